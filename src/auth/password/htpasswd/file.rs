//! Reading a file of `htpasswd`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use super::{COSTS, Entry, Htpasswd};
use crate::auth::{Name, NameError};

/// The longest file, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Users of one file, at most.
const USERS: usize = 10_000;

/// What begins a hash that is not read, and what it is.
const OTHERS: [(&str, &str); 10] = [
    ("$apr1$", "MD5 (apr1)"),
    ("$1$", "MD5"),
    ("{SHA}", "SHA-1"),
    ("{SSHA}", "SHA-1"),
    ("$5$", "SHA-256 (crypt)"),
    ("$6$", "SHA-512 (crypt)"),
    ("$y$", "yescrypt"),
    ("$argon2", "argon2"),
    ("$2x$", "bcrypt with the fault of 2011 ($2x$)"),
    ("$2$", "bcrypt without a version ($2$)"),
];

/// Why a text is no such file: the file, the line and the reason. It shows nothing of the text, since a hash or a
/// password may stand where it should not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct HtpasswdError {
    path: String,
    line: usize,
    reason: String,
}

impl Htpasswd {
    /// Reads a file as a whole or not at all; `path` is what errors call it.
    ///
    /// As Apache has it, empty lines and those that begin with `#` are passed over, and so is the space around a line. A
    /// byte order mark at the beginning is passed over too: editors put it there, and it is no part of a name.
    pub fn parse(path: &str, text: &str) -> Result<Self, HtpasswdError> {
        let error = |line, reason| HtpasswdError { path: path.to_owned(), line, reason };
        if text.len() > LONGEST {
            return Err(error(1, format!("the file has more than {LONGEST} bytes")));
        }
        let mut entries = BTreeMap::new();
        for (line, text) in (1..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines()) {
            let text = text.trim_ascii();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, entry) = read(line, text).map_err(|reason| error(line, reason))?;
            match entries.entry(name) {
                Occupied(first) => {
                    let first: &Entry = first.get();
                    return Err(error(line, format!("the name is on line {} already", first.line)));
                }
                Vacant(place) => place.insert(entry),
            };
            if entries.len() > USERS {
                return Err(error(line, format!("the file has more than {USERS} users")));
            }
        }
        let dearest = entries.values().map(|entry| entry.cost).max();
        Ok(Self { entries, cost: dearest.unwrap_or(*COSTS.start()) })
    }
}

fn read(line: usize, text: &str) -> Result<(Name, Entry), String> {
    let form = || "a line is NAME:HASH, as htpasswd -B writes it".to_owned();
    let (name, hash) = text.split_once(':').ok_or_else(form)?;
    let name = name.parse().map_err(|error| match error {
        NameError::Length => error.to_string(),
        NameError::Character { character, .. } => {
            format!(
                "the name has {character:?}; names are lower-case letters, digits, and . _ - @ + / inside"
            )
        }
    })?;
    Ok((name, Entry { line, cost: cost(hash)?, hash: hash.into() }))
}

/// The cost of a hash that is bcrypt.
fn cost(hash: &str) -> Result<u32, String> {
    let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix));
    if !is_bcrypt {
        let kind = kind(hash);
        return Err(format!("the password is {kind}; only bcrypt is read, as htpasswd -B writes it"));
    }
    let form =
        || "the bcrypt hash is not $2y$, two digits, $ and 53 characters; is the line whole?".to_owned();
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| form())?;
    // That parser takes a sign for a digit.
    if !hash.as_bytes()[4..6].iter().all(u8::is_ascii_digit) {
        return Err(form());
    }
    let cost = parts.get_cost();
    if COSTS.contains(&cost) {
        Ok(cost)
    } else {
        let (least, most) = (COSTS.start(), COSTS.end());
        Err(format!("the cost of the bcrypt hash is {cost}; {least} to {most} are read"))
    }
}

/// What a hash is that is not read.
fn kind(hash: &str) -> &'static str {
    let is_crypt = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    match OTHERS.iter().find(|(prefix, _)| hash.starts_with(prefix)) {
        Some((_, kind)) => kind,
        None if hash.len() == 13 && hash.bytes().all(is_crypt) => "DES (crypt) or plain text",
        None => "plain text or an unknown hash",
    }
}
