//! How passwords are kept: argon2id (RFC 9106), as text of the PHC string format
//! (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>).

use std::fmt;
use std::hint::black_box;
use std::ops::RangeInclusive;

use argon2::password_hash::phc;
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
};

use super::{NewPassword, prepared};
use crate::secret::Secret;

/// What a new hash costs: the minimum of OWASP's password storage cheat sheet for argon2id, 19 MiB and two passes
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
const COST: Cost = Cost { memory: 19_456, passes: 2, lanes: 1 };

/// What a hash may cost that is kept, else one line of a table could take all memory there is. Enough for every choice
/// of the cheat sheet and the second recommendation of RFC 9106 section 4.
const MOST: Cost = Cost { memory: 65_536, passes: 10, lanes: 4 };

/// Bytes of the salt of a new hash (RFC 9106 section 3.1).
const SALT: usize = 16;

/// Bytes of the output of a new hash.
const OUTPUT: usize = 32;

/// Bytes of the salt and of the output of a hash that is kept.
const SALTS: RangeInclusive<usize> = 8..=48;
const OUTPUTS: RangeInclusive<usize> = 16..=64;

/// What is kept of a password. Cannot be printed: whoever has it may guess at the password as fast as they can.
///
/// To make one takes 19 MiB and tens of milliseconds, and to check a password with one as much: callers do both on a
/// thread that may block, and bound how many run at once.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// Why a text is no hash of a password. Does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// It is not of the form.
    #[error("the hash of the password is not $argon2id$v=19$m=…,t=…,p=…$SALT$HASH")]
    Form,
    /// It is of another function, or of another version of it.
    #[error("the hash of the password is not argon2id version 19")]
    Algorithm,
    /// To check a password with it would take too much memory or time, or it is less than argon2 has.
    #[error(
        "the hash of the password asks for m={}, t={}, p={}; at most m={}, t={}, p={} are taken",
        .memory, .passes, .lanes, MOST.memory, MOST.passes, MOST.lanes
    )]
    Cost {
        /// In KiB.
        memory: u32,
        /// How often the memory is gone through.
        passes: u32,
        /// In how many parts.
        lanes: u32,
    },
    /// Its salt or its output is too short or too long.
    #[error("the hash of the password has a salt of 8 to 48 bytes and an output of 16 to 64")]
    Length,
}

/// What a hash takes: memory in KiB, how often it is gone through, and in how many parts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl PasswordHash {
    /// The hash of a password, with a salt of its own.
    pub fn of(password: &NewPassword) -> Self {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).expect("the operating system gives random bytes");
        Self(derive(password.as_secret(), salt))
    }

    /// Reads a hash that was kept. One that passes takes no more than 64 MiB and ten passes.
    pub fn parse(text: &Secret) -> Result<Self, PasswordHashError> {
        let hash: phc::PasswordHash = text.expose().parse().map_err(|_| PasswordHashError::Form)?;
        if hash.algorithm != ARGON2ID_IDENT || hash.version != Some(Version::V0x13.into()) {
            return Err(PasswordHashError::Algorithm);
        }
        let cost = Cost::read(&hash.params).ok_or(PasswordHashError::Form)?;
        if !cost.is_fit() {
            let Cost { memory, passes, lanes } = cost;
            return Err(PasswordHashError::Cost { memory, passes, lanes });
        }
        match (&hash.salt, &hash.hash) {
            (Some(salt), Some(output)) if SALTS.contains(&salt.len()) && OUTPUTS.contains(&output.len()) => {
                Ok(Self(hash))
            }
            (Some(_), Some(_)) => Err(PasswordHashError::Length),
            _ => Err(PasswordHashError::Form),
        }
    }

    /// The hash as text, for whoever keeps it.
    pub fn to_secret(&self) -> Secret {
        self.0.to_string().into()
    }

    /// Whether a password is the one, compared in constant time. Takes as long as [`of`](Self::of) did.
    pub fn verify(&self, password: &Secret) -> bool {
        Argon2::default().verify_password(prepared(password).expose().as_bytes(), &self.0).is_ok()
    }

    /// The same work for a name that nobody has, so that the time of an answer does not tell who is there. Never true.
    ///
    /// It is the work of a new hash: as long as some are [outdated](Self::is_outdated), theirs differs.
    pub fn verify_nobody(password: &Secret) -> bool {
        black_box(derive(&prepared(password), [0; SALT]));
        false
    }

    /// Whether a new hash of the same password would be another kind: after a login that succeeded it should be made.
    pub fn is_outdated(&self) -> bool {
        let has = |salt: &phc::Salt, output: &phc::Output| (salt.len(), output.len()) == (SALT, OUTPUT);
        let is_long =
            self.0.salt.as_ref().zip(self.0.hash.as_ref()).is_some_and(|(salt, hash)| has(salt, hash));
        !is_long || Cost::read(&self.0.params) != Some(COST)
    }
}

impl Cost {
    /// The parameters, when they are these three and nothing else, in their order.
    fn read(params: &phc::ParamsString) -> Option<Self> {
        let number = |name: &str| params.get_decimal(name);
        let cost = Self { memory: number("m")?, passes: number("t")?, lanes: number("p")? };
        let canonical = format!("m={},t={},p={}", cost.memory, cost.passes, cost.lanes);
        (params.as_str() == canonical).then_some(cost)
    }

    /// Whether a hash that is kept may take it. RFC 9106 section 3.1 has the lower ends.
    fn is_fit(self) -> bool {
        (1..=MOST.lanes).contains(&self.lanes)
            && (1..=MOST.passes).contains(&self.passes)
            && (8 * self.lanes..=MOST.memory).contains(&self.memory)
    }
}

/// A hash of a password that was prepared.
fn derive(password: &Secret, salt: [u8; SALT]) -> phc::PasswordHash {
    let params = Params::new(COST.memory, COST.passes, COST.lanes, Some(OUTPUT));
    let params = params.expect("the cost is one that argon2 has");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.expose().as_bytes(), &salt);
    hash.expect("argon2 takes every password of less than 4 GiB")
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the tests of the reference implementation (phc-winner-argon2, `src/test.c`), of `password`.
    const REFERENCE: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn parse(text: &str) -> Result<PasswordHash, PasswordHashError> {
        PasswordHash::parse(&text.into())
    }

    #[test]
    fn hashes_are_those_of_the_reference_implementation() {
        let two_lanes =
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
        for text in [REFERENCE, two_lanes] {
            let hash = parse(text).unwrap();
            assert!(hash.verify(&"password".into()) && !hash.verify(&"Password".into()), "{text}");
            assert!(hash.is_outdated() && hash.to_secret().expose() == text);
        }
    }

    #[test]
    fn a_password_is_known_by_its_hash_however_it_is_typed_and_no_other_is() {
        let password = NewPassword::choose(&"Zu\u{308}rich 2026".into(), &"ada".parse().unwrap()).unwrap();
        let hash = PasswordHash::of(&password);
        let read = PasswordHash::parse(&hash.to_secret()).unwrap();
        assert!(read == hash && !read.is_outdated());
        assert!(hash.to_secret().expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(read.verify(&"Z\u{fc}rich\u{a0}2026".into()));
        assert!(!read.verify(&"Zurich 2026".into()));
        assert!(PasswordHash::of(&password) != hash, "the salt is another one");
        assert!(!PasswordHash::verify_nobody(password.as_secret()));
    }

    #[test]
    fn what_is_no_hash_of_ours_is_refused_with_the_reason() {
        let form = "the hash of the password is not $argon2id$v=19$m=…,t=…,p=…$SALT$HASH";
        let algorithm = "the hash of the password is not argon2id version 19";
        let length = "the hash of the password has a salt of 8 to 48 bytes and an output of 16 to 64";
        let cost = |asked: &str| {
            format!("the hash of the password asks for {asked}; at most m=65536, t=10, p=4 are taken")
        };
        let with = |from: &str, to: &str| REFERENCE.replace(from, to);
        for (text, reason) in [
            (String::new(), form),
            ("password".to_owned(), form),
            (with("$c29tZXNhbHQ$", "$"), form),
            (format!("{REFERENCE}$more"), form),
            (format!("{REFERENCE}="), form),
            (with("m=256,t=2,p=1", "t=2,m=256,p=1"), form),
            (with("m=256,t=2,p=1", "m=256,t=2"), form),
            (with("p=1", "p=1,keyid=8PDw8A"), form),
            (with("m=256", "m=0256"), form),
            (with("m=256", "m=99999999999"), form),
            (with("c29tZXNhbHQ", "c29tZQ"), form),
            (with("$v=19", ""), algorithm),
            (with("v=19", "v=16"), algorithm),
            (with("argon2id", "argon2i"), algorithm),
            (with("argon2id", "scrypt"), algorithm),
            (with("m=256", "m=4194304"), &cost("m=4194304, t=2, p=1")),
            (with("m=256", "m=65537"), &cost("m=65537, t=2, p=1")),
            (with("m=256", "m=7"), &cost("m=7, t=2, p=1")),
            (with("t=2", "t=4000000000"), &cost("m=256, t=4000000000, p=1")),
            (with("t=2", "t=0"), &cost("m=256, t=0, p=1")),
            (with("p=1", "p=5"), &cost("m=256, t=2, p=5")),
            (with("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65EOgLrQMR/uIPnA4r"), length),
        ] {
            assert_eq!(parse(&text).unwrap_err().to_string(), reason, "{text}");
        }
        for text in [with("m=256", "m=65536"), with("t=2", "t=10"), with("p=1", "p=4")] {
            assert!(parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_weaker_than_a_new_one_is_outdated() {
        let new = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(!parse(new).unwrap().is_outdated());
        for (from, to) in [
            ("m=19456", "m=19455"),
            ("t=2", "t=1"),
            ("p=1", "p=2"),
            ("$AAAAAAAAAAAAAAAAAAAAAA$", "$c29tZXNhbHQ$"),
            ("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$AAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            let other = new.replace(from, to);
            assert!(other != new && parse(&other).unwrap().is_outdated(), "{other}");
        }
    }

    #[test]
    fn a_hash_is_never_printed() {
        let shown = format!("{:?} {:?}", parse(REFERENCE), parse(&REFERENCE.replace("v=19", "v=16")));
        assert_eq!(shown, "Ok(PasswordHash(***)) Err(Algorithm)");
    }

    proptest! {
        #[test]
        fn no_text_is_a_hash_by_panic(text in ".{0,80}", numbers in "[m=0-9,tpv$]{0,30}") {
            let _ = parse(&text);
            let _ = parse(&format!("$argon2id$v=19${numbers}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg"));
        }
    }
}
