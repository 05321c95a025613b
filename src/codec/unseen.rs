//! Characters that do something to a line, instead of standing in it.

/// Whether a character moves the cursor, ends the line or turns the order of what is read.
pub fn is_unseen(c: char) -> bool {
    // The marks of writing direction are no control characters to Unicode.
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}
