//! The configuration file: TOML, read with the line of every value.

use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Error, Source, declared, section, suggest};
use crate::setting::{Kind, Setting};

/// The largest file that is read, bytes.
const MAX_LEN: u64 = 1024 * 1024;

/// A value as text, and where it stands.
type Found = (&'static Setting, String, Source);

/// Reads every value of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Found>, Error> {
    let shown = path.display().to_string();
    let failed = |source| Error::Unreadable { path: shown.clone(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_LEN {
        return Err(failed(std::io::Error::other("it is larger than 1 MiB")));
    }
    parse(&shown, &fs::read_to_string(path).map_err(failed)?)
}

/// The values in a text; `path` is what errors call it.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Found>, Error> {
    let table = DeTable::parse(text).map_err(|error| Error::Syntax {
        path: path.to_owned(),
        line: line(text, error.span().map_or(0, |span| span.start)),
        // Not its `Display`, which quotes the line: there may be a password in it.
        reason: format!("{}; texts stand in \"quotes\"", error.message().replace('\n', ", ")),
    })?;
    let mut reader = Reader { path, text, declared: declared(), found: Vec::new() };
    reader.section("", table.get_ref())?;
    Ok(reader.found)
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    declared: Vec<&'static Setting>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn section(&mut self, name: &str, table: &DeTable<'_>) -> Result<(), Error> {
        for (key, value) in table {
            let line = line(self.text, key.span().start);
            let source = Source::File { path: self.path.to_owned(), line };
            let word = key.get_ref().as_ref();
            let full = if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
            // A quoted key may hold dots and would look like a key of another section.
            let setting =
                self.declared.iter().copied().find(|known| known.key == full && !word.contains('.'));
            match (setting, value.get_ref()) {
                (Some(setting), value) => {
                    let text =
                        text_of(setting.kind, value).ok_or_else(|| wrong_type(setting, &source, value))?;
                    self.found.push((setting, text, source));
                }
                (None, DeValue::Table(table)) if self.is_section(&full) => self.section(&full, table)?,
                (None, DeValue::Table(_)) => {
                    let (what, hint) = (format!("section [{full}]"), suggest::section_like(&full));
                    return Err(Error::Unknown { place: format!("{source}: "), what, hint });
                }
                (None, _) if self.is_section(&full) => {
                    let (what, hint) =
                        (format!("setting {full}"), format!("it is a section: write [{full}]"));
                    return Err(Error::Unknown { place: format!("{source}: "), what, hint });
                }
                (None, _) => {
                    let (what, hint) = (format!("setting {full}"), suggest::key_like(&full));
                    return Err(Error::Unknown { place: format!("{source}: "), what, hint });
                }
            }
        }
        Ok(())
    }

    /// Whether a name is that of a section, or of one with sections in it.
    fn is_section(&self, name: &str) -> bool {
        self.declared.iter().any(|setting| {
            section(setting.key)
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// A value as text, when it has the type its kind is written in. An empty text is no value, for every kind.
fn text_of(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::Count { .. } | Kind::Size { .. }, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        (Kind::List, DeValue::Array(entries)) => {
            let entries = entries.iter().map(|entry| entry.get_ref().as_str());
            entries.collect::<Option<Vec<_>>>().map(|entries| entries.join(","))
        }
        (Kind::Switch | Kind::Count { .. } | Kind::List, DeValue::String(text)) if !text.is_empty() => None,
        (_, DeValue::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn wrong_type(setting: &Setting, source: &Source, value: &DeValue<'_>) -> Error {
    match value {
        DeValue::String(text) => Error::invalid(setting, source, text, setting.kind.hint()),
        DeValue::Integer(number) if !matches!(setting.kind, Kind::Secret) => {
            Error::wrong_type(setting, source, number.as_str())
        }
        other => Error::wrong_type(setting, source, &format!("of type {}", other.type_str())),
    }
}

/// The line a byte is in, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}
