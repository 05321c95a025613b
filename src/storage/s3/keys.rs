//! What is called how in the bucket.
//!
//! ```text
//! <prefix>blake3/ab/cd/<hex>.<incarnation>     an object: the key of the data plane
//! <prefix>multipart/<hex of id>.<ulid>         an object that arrived in parts: a key of our own
//! <prefix>staging/<id>/<ulid>                  a segment that an unfinished write put aside
//! <prefix>.registry                            whose objects these are
//! <prefix>.probe-<ulid>                        a probe
//! ```

use std::fmt::Write as _;

use ulid::Ulid;

use crate::storage::{Key, StagingId};

/// The first segment of the keys of our own.
const MULTIPART: &str = "multipart";

/// Names in a bucket, below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Box<str>,
}

impl Names {
    pub(super) fn below(prefix: &str) -> Self {
        let prefix =
            if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        Self { prefix: prefix.trim_start_matches('/').into() }
    }

    /// The name of a key, or of everything whose key starts with a text.
    pub(super) fn of(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key of a name; `None` for what is not an object of the registry.
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&*self.prefix)?.parse().ok()
    }

    pub(super) fn owner(&self) -> String {
        self.of(".registry")
    }

    pub(super) fn probe(&self) -> String {
        format!("{}.probe-{}", self.prefix, fresh())
    }

    /// Whether this is one of [`probe`](Self::probe)'s.
    pub(super) fn is_probe(&self, name: &str) -> bool {
        name.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with(".probe-"))
    }

    /// Where the segments of a staged write are, or with no id those of all.
    pub(super) fn segments(&self, id: Option<&StagingId>) -> String {
        match id {
            Some(id) => format!("{}{}/{id}/", self.prefix, Key::RESERVED),
            None => format!("{}{}/", self.prefix, Key::RESERVED),
        }
    }

    /// The staged write a segment belongs to.
    pub(super) fn id_of_segment(&self, name: &str) -> Option<StagingId> {
        let (id, _) = name.strip_prefix(&self.segments(None))?.split_once('/')?;
        id.parse().ok()
    }

    /// What the names of all multipart uploads of a staged write start with, or with no id those of all.
    pub(super) fn uploads(&self, id: Option<&StagingId>) -> String {
        let id = id.map_or_else(String::new, |id| format!("{}.", hex(id)));
        format!("{}{MULTIPART}/{id}", self.prefix)
    }

    /// The staged write a multipart upload belongs to.
    pub(super) fn id_of_upload(&self, name: &str) -> Option<StagingId> {
        let (hex, _) = name.strip_prefix(&self.uploads(None))?.split_once('.')?;
        unhex(hex)?.parse().ok()
    }
}

/// A key for an object of this staged write that no other write has.
pub(super) fn multipart_key(id: &StagingId) -> Key {
    format!("{MULTIPART}/{}.{}", hex(id), fresh()).parse().expect("hex and ULIDs make keys")
}

/// A text that was never given out before.
pub(super) fn fresh() -> String {
    Ulid::generate().to_string().to_lowercase()
}

/// Staging ids may have upper case, keys may not.
fn hex(id: &StagingId) -> String {
    id.as_str().bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<String> {
    let bytes = text.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_what_it_names() {
        for prefix in ["", "a/", "a/b", "/lead"] {
            let names = Names::below(prefix);
            let id: StagingId = "Up-1_z".parse().unwrap();
            let key = multipart_key(&id);
            let name = names.of(key.as_str());
            assert_eq!(names.key(&name), Some(key));
            assert!(name.starts_with(&names.uploads(Some(&id))), "{name}");
            assert_eq!(names.id_of_upload(&name), Some(id.clone()));
            let segment = format!("{}{}", names.segments(Some(&id)), fresh());
            assert_eq!(names.id_of_segment(&segment), Some(id));
            assert_eq!(names.key(&segment), None, "a segment is no object");
            assert_eq!(names.key(&names.owner()), None);
            assert!(names.is_probe(&names.probe()) && names.key(&names.probe()).is_none());
        }
        assert_eq!(Names::below("a").of("k"), "a/k");
    }

    #[test]
    fn ids_that_begin_alike_are_told_apart() {
        let names = Names::below("");
        let (short, long): (StagingId, StagingId) = ("ab".parse().unwrap(), "abc".parse().unwrap());
        let key = multipart_key(&long);
        assert!(!key.as_str().starts_with(&names.uploads(Some(&short))));
    }
}
