//! Passwords for once: what somebody is given who has none yet.

use super::NewPassword;
use crate::auth::base32;

/// Groups of a password.
const GROUPS: usize = 7;

/// Symbols of a group: as many as are kept in mind from one screen to another. With [`GROUPS`] they are 140 bits.
const GROUP: usize = 4;

impl NewPassword {
    /// A random one, of 140 bits, that is easy to read aloud and to type: `k7m2-9xq4-…`, seven groups of four.
    pub fn generate() -> Self {
        let groups: Vec<String> = (0..GROUPS).map(|_| base32::random(GROUP)).collect();
        Self::new(groups.join("-").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What was gathered of it could not be guessed, said as a number that a change of the form has to keep.
    const _: () = assert!(GROUPS * GROUP * base32::BITS >= 128);

    #[test]
    fn what_is_generated_is_seven_groups_and_may_be_chosen() {
        let name = "ada".parse().unwrap();
        let (one, other) = (NewPassword::generate(), NewPassword::generate());
        assert_ne!(one.as_secret(), other.as_secret());
        let text = one.as_secret().expose();
        let groups: Vec<&str> = text.split('-').collect();
        assert!(groups.len() == GROUPS && groups.iter().all(|it| it.len() == GROUP && base32::is_plain(it)));
        assert_eq!(NewPassword::choose(one.as_secret(), &name).unwrap().as_secret(), one.as_secret());
    }
}
