//! Crockford's base32, in lower case: what is random and goes through people's hands is written in it.
//!
//! It has no `i`, `l`, `o` and `u`: none of the others is taken for `0` or `1`, and no word comes out by chance
//! (<https://www.crockford.com/base32.html>). Five bits a symbol, so that a random byte gives one without a bias.

/// The symbols, by their value.
const SYMBOLS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random bits of a symbol.
#[cfg(test)]
pub(super) const BITS: usize = 5;

/// Symbols that hold 32 bits.
pub(super) const WORD: usize = 7;

/// Random symbols, from the random source of the operating system.
pub(super) fn random(symbols: usize) -> String {
    let mut bytes = vec![0; symbols];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.into_iter().map(|byte| symbol(byte.into())).collect()
}

/// A number in [`WORD`] symbols, the highest bits first.
pub(super) fn word(number: u32) -> String {
    (0..WORD).rev().map(|at| symbol(u64::from(number) >> (5 * at))).collect()
}

/// Whether a text is of these symbols alone.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| SYMBOLS.contains(&byte))
}

/// The symbol of the lowest five bits.
fn symbol(bits: u64) -> char {
    SYMBOLS[usize::try_from(bits & 31).expect("five bits are an index")].into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_is_written_with_its_highest_bits_first() {
        for (number, expected) in [(0, "0000000"), (1, "0000001"), (32, "0000010"), (u32::MAX, "3zzzzzz")] {
            assert_eq!(word(number), expected);
        }
    }

    #[test]
    fn every_symbol_comes_out_and_none_that_is_mistaken_for_another() {
        let text = random(4096);
        assert!(text.len() == 4096 && is_plain(&text));
        assert_eq!(text.bytes().collect::<BTreeSet<_>>().len(), 1 << BITS);
        for text in ["i", "l", "o", "u", "A", "-", " ", "ä"] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
