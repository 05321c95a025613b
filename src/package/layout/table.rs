//! TOML tables read strictly: every key has to be known, and every mistake has a line.

use toml::de::{DeTable, DeValue};

use super::Error;
use crate::setting::nearest;

/// The text of a layout and what errors call it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// One table of it.
#[derive(Debug)]
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    /// As `[count]`; empty for the whole file.
    name: String,
    /// Where it begins, in bytes.
    start: usize,
    entries: &'a DeTable<'a>,
}

impl Source<'_> {
    /// An error at a byte.
    fn error(&self, at: usize, problem: String) -> Error {
        let line = self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1;
        Error::Layout { place: format!("{}:{line}", self.name), problem }
    }

    /// Parses the text and hands the whole of it to `read`.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Table<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, error.message().replace('\n', ", "))
        })?;
        read(&Table { source: self, name: String::new(), start: 0, entries: table.get_ref() })
    }
}

impl<'a> Table<'a> {
    /// Refuses every key but these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        let unknown = self.entries.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown else {
            return Ok(());
        };
        let word = key.get_ref();
        let hint = match nearest(word, known.iter().map(|known| ((*known).to_owned(), *known))) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("the keys are {}", known.join(", ")),
        };
        Err(self.source.error(key.span().start, format!("unknown key {}; {hint}", self.key(word))))
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.get(key, "a text in quotes", |value| value.as_str().filter(|text| !text.is_empty()))
    }

    /// A text that has to be there.
    pub(super) fn needed(&self, key: &str) -> Result<&'a str, Error> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of texts, none of them empty.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, Error> {
        self.get(key, "a list of texts, like [\"a\", \"b\"]", |value| {
            let entries = value.as_array()?.iter();
            let texts = entries.map(|entry| entry.get_ref().as_str().filter(|text| !text.is_empty()));
            texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
        })
    }

    /// `true` or `false`, and what it is when nothing is said.
    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, Error> {
        Ok(self.get(key, "true or false", DeValue::as_bool)?.unwrap_or(default))
    }

    /// A whole number above zero that has to be there.
    pub(super) fn positive(&self, key: &str) -> Result<u64, Error> {
        let number = self.get(key, "a whole number from 1 to 1000000", |value| {
            let number = value.as_integer()?;
            let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
            (1..=1_000_000).contains(&number).then_some(number)
        })?;
        number.ok_or_else(|| self.missing(key))
    }

    /// A table in this one.
    pub(super) fn table(&self, key: &str) -> Result<Option<Table<'a>>, Error> {
        let name = self.key(key);
        let found = self.get(key, "a table", |value| value.as_table())?;
        Ok(found.map(|entries| Table { source: self.source, name, start: self.at(key), entries }))
    }

    /// A list of tables, `[[key]]`; empty where there is none.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<Table<'a>>, Error> {
        let name = self.key(key);
        let expected = format!("a list of tables: write [[{name}]]");
        let found = self.get(key, &expected, |value| {
            let entries = value.as_array()?.iter();
            let table = |entry: &'a toml::Spanned<DeValue<'a>>| {
                let entries = entry.get_ref().as_table()?;
                Some(Table { source: self.source, name: name.clone(), start: entry.span().start, entries })
            };
            entries.map(table).collect::<Option<Vec<_>>>()
        })?;
        Ok(found.unwrap_or_default())
    }

    /// What is wrong with the value of a key, or with the table when the key is not there.
    pub(super) fn wrong(&self, key: &str, problem: impl std::fmt::Display) -> Error {
        self.source.error(self.at(key), format!("{}: {problem}", self.key(key)))
    }

    fn missing(&self, key: &str) -> Error {
        self.source.error(self.start, format!("{} is missing", self.key(key)))
    }

    fn get<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.entries.get(key) else {
            return Ok(None);
        };
        let read = read(value.get_ref());
        read.map(Some).ok_or_else(|| self.wrong(key, format_args!("give {expected}")))
    }

    fn at(&self, key: &str) -> usize {
        let entry = self.entries.iter().find(|(known, _)| known.get_ref() == key);
        entry.map_or(self.start, |(known, _)| known.span().start)
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
