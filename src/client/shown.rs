//! Names that others chose, on a terminal.

use std::fmt;
use std::path::Path;

pub use crate::codec::unseen::is_unseen;

/// A text in which nothing moves the cursor, ends the line or turns the order of what is read.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a str);

/// A text as it can be shown. Everything that can be seen stays as it is.
pub fn shown(text: &str) -> Shown<'_> {
    Shown(text)
}

/// A path as it can be shown.
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).to_string()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            if is_unseen(c) { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_cannot_be_seen_is_written_out_and_nothing_else_changes() {
        assert_eq!(super::shown("a\n\u{1b}[2J\u{9b}b").to_string(), "a\\n\\u{1b}[2J\\u{9b}b");
        assert_eq!(super::shown("txt.\u{202e}gpj").to_string(), "txt.\\u{202e}gpj");
        assert_eq!(super::shown("a\u{61c}\u{2067}b").to_string(), "a\\u{61c}\\u{2067}b");
        let plain = "it's \"größe\" \\ 7 €/x";
        assert_eq!(super::shown(plain).to_string(), plain);
    }
}
