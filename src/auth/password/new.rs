//! Which passwords somebody may have.

use super::prepared;
use crate::auth::{ApiKey, Name};
use crate::secret::Secret;

/// The shortest one, in characters: NIST SP 800-63B revision 3, section 5.1.1.2, which counts code points. Nothing is
/// asked of what the characters are, as the same section has it.
const SHORTEST: usize = 8;

/// The longest one, in bytes of UTF-8. NIST asks for 64 characters at least.
const LONGEST: usize = 1024;

/// A password that somebody may have from now on, prepared for hashing. Holding one is proof that it was checked.
#[derive(Clone, Debug)]
pub struct NewPassword(Secret);

/// Why a text may not be a password. Does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short to withstand being guessed, or longer than anybody types.
    #[error("a password has at least {SHORTEST} characters and at most {LONGEST} bytes")]
    Length,
    /// Not everything that asks for a password lets somebody type it (RFC 7617 section 2).
    #[error("a password has no control characters")]
    Control,
    /// It is the first that would be tried.
    #[error("a password is not the name it belongs to")]
    Name,
    /// It would be taken for a key, and never be found.
    #[error("a password does not begin with {}, as keys do", ApiKey::PREFIX)]
    Key,
}

impl NewPassword {
    /// Checks a password that was chosen by whoever has the name, or for them.
    pub fn choose(password: &Secret, name: &Name) -> Result<Self, PasswordError> {
        if password.expose().chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        let password = prepared(password);
        let text = password.expose();
        if text.chars().count() < SHORTEST || text.len() > LONGEST {
            Err(PasswordError::Length)
        } else if text.to_lowercase() == name.as_str() {
            Err(PasswordError::Name)
        } else if text.starts_with(ApiKey::PREFIX) {
            Err(PasswordError::Key)
        } else {
            Ok(Self(password))
        }
    }

    /// For what was made here.
    pub(super) fn new(password: Secret) -> Self {
        Self(password)
    }

    /// The password, for the one answer that tells it.
    pub fn as_secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<NewPassword, PasswordError> {
        NewPassword::choose(&text.into(), &"ada.lovelace".parse().unwrap())
    }

    #[test]
    fn a_password_is_anything_of_eight_characters_to_a_kibibyte() {
        for text in
            ["12345678", "aaaaaaaa", "two words", "ééééééé!", "ada.lovelace1", &"ä".repeat(LONGEST / 2)]
        {
            assert_eq!(choose(text).unwrap().as_secret().expose(), text);
        }
    }

    #[test]
    fn what_may_not_be_a_password_is_refused_with_the_reason() {
        let length = "a password has at least 8 characters and at most 1024 bytes";
        let long = "a".repeat(LONGEST + 1);
        for (text, reason) in [
            ("", length),
            ("1234567", length),
            ("éééé", length),
            // Eight characters as they are sent, four when they are composed.
            ("e\u{301}e\u{301}e\u{301}e\u{301}", length),
            (&long, length),
            ("12345678\n", "a password has no control characters"),
            ("1234\u{85}5678", "a password has no control characters"),
            ("\0\0\0\0\0\0\0\0", "a password has no control characters"),
            ("ada.lovelace", "a password is not the name it belongs to"),
            ("Ada.Lovelace", "a password is not the name it belongs to"),
            ("ars_12345678", "a password does not begin with ars_, as keys do"),
        ] {
            assert_eq!(choose(text).unwrap_err().to_string(), reason, "{text:?}");
        }
    }

    #[test]
    fn the_same_password_of_two_keyboards_is_one() {
        for typed in ["Zu\u{308}rich 2026", "Z\u{fc}rich\u{a0}2026", "Z\u{fc}rich\u{3000}2026"] {
            assert_eq!(choose(typed).unwrap().as_secret().expose(), "Z\u{fc}rich 2026");
        }
        // What merely looks alike stays another one: that is NFKC, which RFC 8265 does not use.
        assert_eq!(choose("1234567\u{b2}").unwrap().as_secret().expose(), "1234567\u{b2}");
    }

    #[test]
    fn a_new_password_is_never_printed() {
        assert_eq!(format!("{:?}", choose("hunter2hunter2")), "Ok(NewPassword(***))");
    }
}
