//! Passwords: which are good, how they are kept, and how one that is presented is checked.
//!
//! What is kept is a [`PasswordHash`] of argon2id. A file of Apache's `htpasswd` is read as well ([`Htpasswd`]), for
//! those who have one. Nothing here looks anybody up, and nothing here can be printed.
//!
//! To check a password is slow on purpose, and callers have to make room for it: the types say how much.

mod generate;
mod hash;
mod htpasswd;
mod new;

use unicode_normalization::UnicodeNormalization as _;

use crate::secret::Secret;

pub use hash::{PasswordHash, PasswordHashError};
pub use htpasswd::{Htpasswd, HtpasswdError};
pub use new::{NewPassword, PasswordError};

/// A password as it is hashed: prepared by the profile `OpaqueString` of RFC 8265 section 4.2, which is also what
/// RFC 7617 section 2.1 has clients do. Every space is the plain one, and characters are composed (NFC): a keyboard
/// that sends `a` and a diaeresis types the same password as one that sends `ä`.
fn prepared(password: &Secret) -> Secret {
    let is_other_space = |c: char| c.is_whitespace() && !c.is_ascii();
    let spaced = password.expose().chars().map(|c| if is_other_space(c) { ' ' } else { c });
    spaced.nfc().collect::<String>().into()
}
