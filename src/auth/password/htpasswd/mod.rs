//! Files of Apache's `htpasswd` (<https://httpd.apache.org/docs/current/misc/password_encryptions.html>): a line
//! `NAME:HASH` for everybody, made with `htpasswd -B`.
//!
//! Only bcrypt is read. The others that `htpasswd` writes by itself, MD5, SHA-1 and DES, can be tried millions of times a
//! second. A file that has one is refused as a whole: that somebody cannot log in should be seen when the file is read.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::ops::{Range, RangeInclusive};

use crate::auth::Name;
use crate::secret::Secret;

pub use file::HtpasswdError;

/// Costs of a hash: its work is two to the power of it. 14 is about a second, and every one more doubles it: with 31, the
/// greatest there is, a single request would keep a thread for more than a day.
const COSTS: RangeInclusive<u32> = 4..=14;

/// bcrypt passes over what is behind, in bytes.
const LONGEST: usize = 72;

/// Everybody in a file. Holding one is proof that it was read to the end.
pub struct Htpasswd {
    entries: BTreeMap<Name, Entry>,
    /// The greatest cost of an entry.
    cost: u32,
}

struct Entry {
    /// Where it stands in the file, from 1.
    line: usize,
    hash: Box<str>,
    cost: u32,
}

impl Htpasswd {
    /// How many are in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether somebody is in the file with this password, compared in constant time, byte by byte as it was sent: no
    /// tool that writes such files prepares what is typed.
    ///
    /// Takes as long for a name that is not in the file, and for each that is, as the dearest hash of the file, which may be a
    /// second: callers do it on a thread that may block, and bound how many run at once.
    ///
    /// Two kinds of passwords are never right, and are refused before any work: one longer than 72 bytes, of which bcrypt
    /// would pass over the rest, and one with a NUL: bcrypt repeats a password with a NUL between, and to it `a` and
    /// `a\0a` are the same.
    pub fn verify(&self, name: &Name, password: &Secret) -> bool {
        self.check(self.entries.get(name), password.expose())
    }

    /// The same work for what is not even a [`Name`]. Never true.
    pub fn verify_nobody(&self, password: &Secret) -> bool {
        self.check(None, password.expose())
    }

    fn check(&self, entry: Option<&Entry>, password: &str) -> bool {
        if password.len() > LONGEST || password.contains('\0') {
            return false;
        }
        let is_right = |entry: &Entry| bcrypt::verify(password, &entry.hash).is_ok_and(|is_right| is_right);
        let is_right = entry.is_some_and(is_right);
        for cost in self.besides(entry) {
            work(password, cost);
        }
        is_right
    }

    /// The costs of what is done besides checking an entry, so that every answer takes as long:
    /// 2^n + 2^n + 2^(n+1) + … + 2^(m-1) is 2^m.
    fn besides(&self, entry: Option<&Entry>) -> Range<u32> {
        entry.map_or(self.cost..self.cost + 1, |entry| entry.cost..self.cost)
    }
}

/// What it takes to check a password with a hash of a cost.
fn work(password: &str, cost: u32) {
    let salt = [0; 16];
    let _ = black_box(bcrypt::hash_with_salt(password, cost, salt));
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Htpasswd({} users)", self.len())
    }
}

#[cfg(test)]
mod tests;
