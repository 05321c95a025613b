//! What a producer says of a package on the command line.

use std::fs::File;
use std::io::Read as _;

use serde_json::{Map, Value};

use super::super::Failure;
use crate::package::{Description, Object, check_kind};

/// Bytes of a metadata or provenance file at most; more cannot be encoded anyway.
const MAX_FILE: u64 = 4 << 20;

/// Flags of everything that makes a package.
#[derive(Debug, clap::Args)]
pub(super) struct Said {
    /// What sort of package it is, in your words: a-z, 0-9, '.', '_' and '-'.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The retention class to ask for.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The registered schema the metadata follows.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Metadata: one text, or a JSON object from a file. Can be given several times.
    #[arg(long, value_name = "KEY=VALUE|@FILE")]
    meta: Vec<String>,
    /// Where the files come from (commits, tools, machines): a JSON object from a file.
    #[arg(long, value_name = "@FILE")]
    provenance: Option<String>,
}

impl Said {
    pub(super) fn description(&self) -> Result<Description, Failure> {
        // Before anything is read or sent.
        for (field, value) in [("kind", &self.kind), ("class", &self.class), ("schema", &self.schema)] {
            check_kind(field, value.as_deref())?;
        }
        Ok(Description {
            kind: self.kind.clone(),
            retention_class: self.class.clone(),
            schema: self.schema.clone(),
            metadata: metadata(&self.meta)?,
        })
    }

    pub(super) fn provenance(&self) -> Result<Object, Failure> {
        match &self.provenance {
            None => Ok(Object::default()),
            Some(text) => match text.strip_prefix('@') {
                Some(file) => from_file(file),
                None => {
                    Err(Failure(format!("--provenance takes @FILE, a file with a JSON object, not {text:?}")))
                }
            },
        }
    }
}

/// Puts the arguments together; a key may stand in one of them only.
pub(super) fn metadata(arguments: &[String]) -> Result<Object, Failure> {
    let mut all = Map::new();
    for argument in arguments {
        let entries = match (argument.strip_prefix('@'), argument.split_once('=')) {
            (Some(file), _) => from_file(file)?.entries().clone(),
            (None, Some((key, value))) => {
                [(key.to_owned(), Value::String(value.to_owned()))].into_iter().collect()
            }
            (None, None) => {
                return Err(Failure(format!("--meta takes KEY=VALUE or @FILE, not {argument:?}")));
            }
        };
        for (key, value) in entries {
            if all.insert(key.clone(), value).is_some() {
                return Err(Failure(format!("--meta gives {key:?} twice; give every key once")));
            }
        }
    }
    Object::new(all).map_err(|error| {
        let Failure(reason) = Failure::from(error);
        Failure(format!("--meta: {reason}"))
    })
}

fn from_file(file: &str) -> Result<Object, Failure> {
    let refuse = |reason: String| Failure(format!("{file}: {reason}"));
    // Not by its size: a device or a pipe has none.
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refuse(format!("it has more than {MAX_FILE} bytes")));
    }
    Object::from_json(&bytes).map_err(|error| {
        let Failure(reason) = Failure::from(error);
        refuse(format!("not a JSON object that a manifest can say: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Result<String, String> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        metadata(&arguments).map(|object| object.to_json()).map_err(|Failure(reason)| reason)
    }

    #[test]
    fn metadata_is_put_together_from_texts_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("meta.json");
        std::fs::write(&file, r#"{ "counts": { "passed": 3 } }"#).unwrap();
        let file = format!("@{}", file.display());
        let expected = r#"{"a":"1=2","counts":{"passed":3},"empty":""}"#;
        assert_eq!(given(&["a=1=2", &file, "empty="]).unwrap(), expected);
        assert!(given(&["a=1", "a=2"]).unwrap_err().contains("\"a\" twice"));
        assert!(given(&["counts=1", &file]).unwrap_err().contains("twice"));
        assert!(given(&["word"]).unwrap_err().contains("KEY=VALUE"));
        assert!(given(&["@/nonexistent"]).unwrap_err().contains("/nonexistent"));
        assert!(given(&["@/dev/zero"]).unwrap_err().contains("more than 4194304 bytes"));
        assert!(given(&["ä=1"]).is_err());
        std::fs::write(folder.path().join("bad.json"), r#"{"a": 1.5}"#).unwrap();
        let bad = format!("@{}", folder.path().join("bad.json").display());
        assert!(given(&[&bad]).unwrap_err().contains("bad.json"));
    }
}
