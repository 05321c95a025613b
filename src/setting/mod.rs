//! How a module says what can be set about it.
//!
//! A module declares its [`Setting`]s beside its options and makes the options of [`Values`]. Whoever composes
//! the program knows the declarations only: names in files and in the environment, the example file, the
//! documentation and what is shown to people are all made of them.

mod kind;
mod nearest;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use kind::{Kind, Value};
pub use nearest::nearest;

use crate::secret::{Secret, without_password};

/// One thing that can be set.
#[derive(Debug)]
pub struct Setting {
    /// Its name: the section of the file and the key in it, as `storage.s3.bucket`.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when nobody says anything, as text; `{data}` stands for the data directory. Empty: not set.
    pub default: &'static str,
    /// What it means, in a sentence or two; tells what happens when it is not set, where that is possible.
    pub doc: &'static str,
}

/// A value that its declaration allows and its module cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub key: &'static str,
    /// What to do about it; never holds the value.
    pub hint: String,
}

impl Setting {
    /// What may be shown of a value.
    pub fn shown(&self, text: &str) -> String {
        match self.kind {
            Kind::Secret if !text.is_empty() => "***".to_owned(),
            Kind::Url => without_password(text),
            _ => text.to_owned(),
        }
    }

    /// Its default for a data directory.
    pub fn default_for(&self, data: &str) -> String {
        self.default.replace("{data}", data)
    }

    /// What is wrong with the value it has.
    pub fn problem(&self, hint: impl Into<String>) -> Problem {
        Problem { key: self.key, hint: hint.into() }
    }
}

/// Every value that is set, by its declaration. Asking for what was declared as something else is a bug.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// What is said about a setting; replaces what was said before.
    pub fn set(&mut self, setting: &Setting, value: Value) {
        self.0.insert(setting.key, value);
    }

    /// Whether it has a value, be it its default.
    pub fn has(&self, setting: &Setting) -> bool {
        self.0.contains_key(setting.key)
    }

    /// A text, word, path or address.
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.0.get(setting.key).map(|value| match value {
            Value::Text(text) => text.as_str(),
            other => panic!("{} is no text but {other:?}", setting.key),
        })
    }

    /// A path.
    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// A secret or URL.
    pub fn secret(&self, setting: &Setting) -> Option<Secret> {
        self.0.get(setting.key).map(|value| match value {
            Value::Secret(secret) => secret.clone(),
            other => panic!("{} is no secret but {other:?}", setting.key),
        })
    }

    /// A count or size; the declaration's range fits into the type.
    pub fn number<T: TryFrom<u64>>(&self, setting: &Setting) -> Option<T> {
        self.0.get(setting.key).map(|value| match value {
            Value::Number(number) => T::try_from(*number).ok().expect("the declared range fits"),
            other => panic!("{} is no number but {other:?}", setting.key),
        })
    }

    /// A duration.
    pub fn duration(&self, setting: &Setting) -> Option<Duration> {
        self.0.get(setting.key).map(|value| match value {
            Value::Duration(duration) => *duration,
            other => panic!("{} is no duration but {other:?}", setting.key),
        })
    }

    /// Whether a switch is on.
    pub fn is_on(&self, setting: &Setting) -> bool {
        match self.0.get(setting.key) {
            None => false,
            Some(Value::Switch(on)) => *on,
            Some(other) => panic!("{} is no switch but {other:?}", setting.key),
        }
    }

    /// The entries of a list.
    pub fn list(&self, setting: &Setting) -> &[String] {
        match self.0.get(setting.key) {
            None => &[],
            Some(Value::List(entries)) => entries,
            Some(other) => panic!("{} is no list but {other:?}", setting.key),
        }
    }

    /// What the declarations say when nobody else says anything, for the data directory `data`.
    pub fn defaults(settings: &[&'static Setting], data: &str) -> Self {
        let mut values = Self::default();
        for setting in settings.iter().filter(|setting| !setting.default.is_empty()) {
            values
                .set(setting, setting.kind.parse(&setting.default_for(data)).expect("a default is a value"));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Setting =
        Setting { key: "a.size", kind: Kind::Size { min: 1, max: 1 << 40 }, default: "8MiB", doc: "" };
    const PASSWORD: Setting = Setting { key: "a.password", kind: Kind::Secret, default: "", doc: "" };
    const PLACE: Setting = Setting { key: "a.place", kind: Kind::Url, default: "", doc: "" };

    #[test]
    fn what_has_no_default_is_not_set() {
        let values = Values::defaults(&[&SIZE, &PASSWORD], "data");
        assert_eq!(values.number(&SIZE), Some(8_388_608_u64));
        assert!(values.has(&SIZE) && !values.has(&PASSWORD));
        assert_eq!(values.secret(&PASSWORD), None);
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(PASSWORD.shown("hunter2"), "***");
        assert_eq!(PASSWORD.shown(""), "");
        assert_eq!(PLACE.shown("https://me:hunter2@host/x?key=hunter2"), "https://me@host/x");
        let mut values = Values::default();
        values.set(&PASSWORD, PASSWORD.kind.parse("hunter2").unwrap());
        assert!(!format!("{values:?}").contains("hunter2"), "{values:?}");
    }
}
