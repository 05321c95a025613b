//! Who says what, and who wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::{
    Error, FILE_VARIABLE, PREFIX, SERVER_VARIABLE, TESTS_PREFIX, declared, file, flag, suggest, variable,
};
use crate::setting::{Setting, Value, Values};

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the declaration says so.
    Default,
    /// In the file.
    File {
        /// Its path as it was named.
        path: String,
        /// The line.
        line: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag(&'static str),
}

/// A setting and what holds for it.
#[derive(Clone)]
pub struct Entry {
    /// Which.
    pub setting: &'static Setting,
    /// Its value as it was written; not for showing.
    pub text: String,
    /// Who says so.
    pub source: Source,
    /// Who said something else and lost, the strongest first.
    pub over: Vec<Source>,
}

/// What was said so far, later and stronger sources over earlier ones.
#[derive(Default)]
pub(super) struct Sources {
    given: BTreeMap<&'static str, Given>,
}

struct Given {
    text: String,
    value: Value,
    source: Source,
    over: Vec<Source>,
}

impl Source {
    /// A setting as this source calls it, with the place.
    pub(super) fn name_of(&self, key: &str) -> String {
        match self {
            Self::Default => key.to_owned(),
            Self::File { .. } => format!("{self}: {key}"),
            Self::Variable(name) => name.clone(),
            Self::Flag(flag) => (*flag).to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl Entry {
    /// Its value as it may be shown, in the form of the file.
    pub fn shown(&self) -> String {
        self.setting.kind.toml(&self.setting.shown(&self.text))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({}, over {:?})", self.setting.key, self.shown(), self.source, self.over)
    }
}

impl Sources {
    /// What a file says.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), Error> {
        for (setting, text, source) in file::read(path)? {
            self.give(setting, text, source)?;
        }
        Ok(())
    }

    /// What our variables say; one that means nothing is refused.
    pub(super) fn environment(&mut self, variables: &[(String, String)]) -> Result<(), Error> {
        let declared = declared();
        for (name, value) in variables {
            let is_no_setting = [FILE_VARIABLE, SERVER_VARIABLE].contains(&name.as_str());
            if !name.starts_with(PREFIX) || is_no_setting || name.starts_with(TESTS_PREFIX) {
                continue;
            }
            let Some(setting) = declared.iter().find(|setting| variable(setting.key) == *name) else {
                let (what, hint) = (format!("setting {name}"), suggest::variable_like(name));
                return Err(Error::Unknown { place: String::new(), what, hint });
            };
            self.give(setting, value.clone(), Source::Variable(name.clone()))?;
        }
        Ok(())
    }

    /// What the command line says.
    pub(super) fn flags(&mut self, values: Vec<(&'static str, String)>) -> Result<(), Error> {
        let declared = declared();
        for (key, text) in values {
            let setting = declared.iter().find(|setting| setting.key == key).expect("a flag has a setting");
            let source = Source::Flag(flag(key).expect("only what has a flag can be given by one"));
            if text.is_empty() {
                return Err(Error::invalid(setting, &source, &text, setting.kind.hint()));
            }
            self.give(setting, text, source)?;
        }
        Ok(())
    }

    /// Whether anybody but its declaration said what a setting is.
    pub(super) fn given(&self, key: &str) -> Option<(&str, &Source)> {
        self.given.get(key).map(|given| (given.text.as_str(), &given.source))
    }

    /// Everything that was said about the settings of a section.
    pub(super) fn given_below(&self, section: &str) -> Option<(&'static str, &Source)> {
        let within = |key: &str| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
        self.given.iter().find(|(key, _)| within(key)).map(|(key, given)| (*key, &given.source))
    }

    /// Says what a setting is, over everything said before.
    pub(super) fn give(
        &mut self,
        setting: &'static Setting,
        text: String,
        source: Source,
    ) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let value =
            setting.kind.parse(&text).map_err(|hint| Error::invalid(setting, &source, &text, hint))?;
        let mut over = Vec::new();
        if let Some(loser) = self.given.remove(setting.key) {
            over.push(loser.source);
            over.extend(loser.over);
        }
        self.given.insert(setting.key, Given { text, value, source, over });
        Ok(())
    }

    /// Notes somebody who said something about a setting and is not listened to.
    pub(super) fn ignore(&mut self, key: &str, source: Source) {
        if let Some(given) = self.given.get_mut(key) {
            given.over.push(source);
        }
    }

    /// What holds: what was said, and defaults for the rest.
    pub(super) fn compose(mut self) -> (Values, Vec<Entry>) {
        let declared = declared();
        let data = self.given.get("data").map(|given| given.text.clone());
        let data = data.unwrap_or_else(|| super::DATA.default.to_owned());
        let mut values = Values::defaults(&declared, &data);
        let entry = |setting: &'static Setting| match self.given.remove(setting.key) {
            None => {
                Entry { setting, text: setting.default_for(&data), source: Source::Default, over: Vec::new() }
            }
            Some(Given { text, value, source, over }) => {
                values.set(setting, value);
                Entry { setting, text, source, over }
            }
        };
        let entries = declared.into_iter().map(entry).collect();
        (values, entries)
    }
}
