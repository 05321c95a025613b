//! Which backend, and how it is used.

use std::path::PathBuf;

use super::{BackendId, s3};
use crate::setting::{Kind, Problem, Setting, Values};

/// Chooses the backend. It is local unless another is named (CAS-10).
pub const BACKEND: Setting = Setting {
    key: "storage.backend",
    kind: Kind::Word(&["local", "s3"]),
    default: "local",
    doc: "Where bytes are stored: local (a folder) or s3 (a bucket: AWS, Ceph RGW and what speaks their language).",
};
const ALSO: Setting = Setting {
    key: "storage.also",
    kind: Kind::List,
    default: "",
    doc: "Further ids the backend answers for, of backends whose objects were copied into it.",
};
const LOCAL_ROOT: Setting = Setting {
    key: "storage.local.root",
    kind: Kind::Path,
    default: "{data}/storage",
    doc: "The folder of the stored objects, on a local file system.",
};

/// What can be set about storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where bytes are.
    pub engine: Engine,
    /// Further ids it answers for: events name the backend that stored the bytes first.
    pub also: Vec<BackendId>,
}

/// A backend and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files below this folder.
    Local(PathBuf),
    /// Objects in a bucket.
    S3(Box<s3::Options>),
}

impl Options {
    /// What can be set, whatever the backend.
    pub const SETTINGS: &[&Setting] = &[&BACKEND, &ALSO, &LOCAL_ROOT];

    /// What was set, here and in the backend that was chosen.
    pub fn from_values(values: &Values) -> Result<Self, Problem> {
        let engine = match (values.text(&BACKEND), values.path(&LOCAL_ROOT)) {
            (Some("s3"), _) => Engine::S3(Box::new(s3::Options::from_values(values)?)),
            (_, Some(root)) => Engine::Local(root),
            (_, None) => return Err(LOCAL_ROOT.problem("give the path of a folder")),
        };
        let also = values.list(&ALSO).iter().map(|id| id.parse());
        let also = also.collect::<Result<_, _>>();
        let also = also
            .map_err(|_| ALSO.problem("an id has lower-case letters, digits and \"-\", like [\"local\"]"))?;
        Ok(Self { engine, also })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_local_unless_another_backend_is_named() {
        let mut values = Values::defaults(Options::SETTINGS, "data");
        let options = Options::from_values(&values).unwrap();
        assert_eq!(options, Options { engine: Engine::Local("data/storage".into()), also: Vec::new() });
        values.set(&BACKEND, BACKEND.kind.parse("s3").unwrap());
        let error = Options::from_values(&values).unwrap_err();
        assert_eq!(error.key, "storage.s3.bucket");
    }

    #[test]
    fn an_id_is_checked() {
        let mut values = Values::defaults(Options::SETTINGS, "data");
        values.set(&ALSO, ALSO.kind.parse("local, old-1").unwrap());
        let also = Options::from_values(&values).unwrap().also;
        assert_eq!(also.iter().map(BackendId::as_str).collect::<Vec<_>>(), ["local", "old-1"]);
        values.set(&ALSO, ALSO.kind.parse("Local").unwrap());
        assert_eq!(Options::from_values(&values).unwrap_err().key, "storage.also");
    }
}
