//! What is wrong with the configuration, in a sentence that names the place.

use std::io;

use super::sources::{Entry, Source};
use super::variable;
use crate::setting::{Problem, Setting};

/// A configuration that cannot be used. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be had.
    #[error("cannot read the configuration file {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{path}:{line}: {reason}")]
    Syntax {
        /// Which file.
        path: String,
        /// Where.
        line: usize,
        /// What is wrong, without the text itself.
        reason: String,
    },
    /// There is no such setting.
    #[error("{place}unknown {what}; {hint}")]
    Unknown {
        /// `path:line: `, or nothing.
        place: String,
        /// `setting NAME` or `section [NAME]`.
        what: String,
        /// What it might have meant.
        hint: String,
    },
    /// Its value has no meaning.
    #[error("{name} {value}: {hint}")]
    Invalid {
        /// Where it stands and how it is called there.
        name: String,
        /// What it says, as far as that may be shown.
        value: String,
        /// What it should say.
        hint: String,
    },
    /// It would store in a bucket, or not, without anybody having said so.
    #[error("{0}")]
    Undecided(String),
}

impl Error {
    /// A value that its declaration does not allow.
    pub(super) fn invalid(setting: &Setting, source: &Source, text: &str, hint: String) -> Self {
        let value = format!("is {:?}", setting.shown(text));
        Self::Invalid { name: source.name_of(setting.key), value, hint }
    }

    /// Something that is no value of the kind at all, as a table is no duration.
    pub(super) fn wrong_type(setting: &Setting, source: &Source, is: &str) -> Self {
        let value = format!("is {is}");
        Self::Invalid { name: source.name_of(setting.key), value, hint: setting.kind.hint() }
    }

    /// What the module that owns a setting says of it.
    pub(super) fn unusable(problem: Problem, entries: &[Entry]) -> Self {
        let Problem { key, hint } = problem;
        match entries.iter().find(|entry| entry.setting.key == key) {
            Some(entry) if !entry.text.is_empty() => {
                Self::invalid(entry.setting, &entry.source, &entry.text, hint)
            }
            _ => Self::Invalid {
                name: format!("{key} ({})", variable(key)),
                value: "is not set".to_owned(),
                hint,
            },
        }
    }
}
