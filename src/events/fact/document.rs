//! `docs/events.md` says what the code does: a section for every event type, whose table and example follow from the
//! types here. The words are written by hand, and none may be missing.
//!
//! Whoever adds a type runs this test: it prints the section, to be pasted where it belongs and completed with words.
//! A type that is only read any more keeps its section.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::tests::{examples, older};
use super::{Fact, FactError, LIMITS};
use crate::codec::{cbor, jcs};

const DOCUMENT: &str = include_str!("../../../docs/events.md");

/// Sections of types begin so.
const HEADING: &str = "### v";

/// In an introduction the line that says which views it changes.
const CHANGES: &str = "Changes: ";

/// Where words are missing.
const MISSING: &str = "???";

/// A field of a payload.
struct Field {
    /// As in `references[].role`.
    path: String,
    kind: String,
    is_optional: bool,
}

/// One step to a value in a payload.
#[derive(Clone)]
enum Step {
    Key(String),
    First,
}

/// A payload of a type that can be changed and read again.
struct Payload {
    type_name: &'static str,
    value: Value,
}

impl Payload {
    fn new(type_name: &'static str, cbor: &[u8]) -> Self {
        Self { type_name, value: serde_json::from_slice(&jcs::from_cbor(cbor).unwrap()).unwrap() }
    }

    fn of(fact: &Fact) -> Self {
        Self::new(fact.type_name(), &fact.encode().unwrap())
    }

    /// One of every type, also of those that are not recorded any more.
    fn examples() -> Vec<Self> {
        let mut all: Vec<Self> = examples("team/runs", "nightly").iter().map(Self::of).collect();
        for (name, cbor) in older() {
            if all.iter().all(|known| known.type_name != name) {
                all.push(Self::new(name, &cbor));
            }
        }
        all
    }

    /// What becomes of it with another value at a place, or with none, once it was read and written again. What is only
    /// read is written as another type, and stays as it is here.
    fn with(&self, at: &[Step], other: Option<Value>) -> Result<Value, String> {
        let (last, before) = at.split_last().expect("not the whole payload");
        let mut value = self.value.clone();
        let holder = find_mut(&mut value, before).expect("it is in the example");
        match (last, other) {
            (Step::Key(key), Some(other)) => holder[key.as_str()] = other,
            (Step::Key(key), None) => drop(holder.as_object_mut().and_then(|fields| fields.remove(key))),
            (Step::First, Some(other)) => holder[0] = other,
            (Step::First, None) => *holder = Value::Array(Vec::new()),
        }
        let bytes = cbor::to_vec_with_limits(&value, &LIMITS).unwrap();
        let fact = Fact::decode(self.type_name, &bytes).map_err(|error| match error {
            FactError::Payload(error) => error.to_string(),
            unknown @ FactError::UnknownType(_) => unknown.to_string(),
        })?;
        Ok(if fact.type_name() == self.type_name { Self::of(&fact).value } else { value })
    }

    /// The fields of an object in the order they are declared; `None` where it takes any, or is something else.
    fn declared(&self, at: &[Step]) -> Option<Vec<String>> {
        find(&self.value, at)?.as_object()?;
        let unknown = [at, &[Step::Key("~".to_owned())]].concat();
        let said = self.with(&unknown, Some(Value::Null)).err()?;
        said.contains("unknown field").then(|| expected(&said))
    }

    /// The fields below a place, each before what is in it.
    fn fields(&self, at: &[Step], path: &str, found: &mut Vec<Field>) {
        for name in self.declared(at).unwrap_or_default() {
            let at = [at, &[Step::Key(name.clone())]].concat();
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            let value = find(&self.value, &at);
            let value = value.unwrap_or_else(|| panic!("{}: the example has no {path}", self.type_name));
            let is_optional = self.with(&at, None).is_ok_and(|after| find(&after, &at).is_none());
            let null = self.with(&at, Some(Value::Null));
            let is_nullable = null.is_ok_and(|after| find(&after, &at) == Some(&Value::Null));
            let kind = self.kind(&at, value) + if is_nullable { " or null" } else { "" };
            found.push(Field { path: path.clone(), kind, is_optional });
            match value {
                Value::Object(_) => self.fields(&at, &path, found),
                Value::Array(_) => {
                    self.fields(&[&at[..], &[Step::First]].concat(), &format!("{path}[]"), found);
                }
                _ => {}
            }
        }
    }

    /// What is there, in CBOR and JSON alike.
    fn kind(&self, at: &[Step], value: &Value) -> String {
        match value {
            Value::Null => panic!("{}: an example has everything optional set", self.type_name),
            Value::Bool(_) => "boolean".to_owned(),
            Value::Number(_) => "integer".to_owned(),
            Value::String(_) => match self.with(at, Some("~".into())) {
                Err(said) if said.contains("unknown variant") => {
                    let known: Vec<_> = expected(&said).iter().map(|name| format!("`{name}`")).collect();
                    known.join(", ")
                }
                _ => "text".to_owned(),
            },
            Value::Array(entries) => {
                let first = entries.first().expect("an example has an entry in every list");
                format!("array of {}", self.kind(&[at, &[Step::First]].concat(), first))
            }
            Value::Object(_) => "object".to_owned(),
        }
    }
}

fn find<'a>(value: &'a Value, at: &[Step]) -> Option<&'a Value> {
    at.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::First => value.get(0),
    })
}

fn find_mut<'a>(value: &'a mut Value, at: &[Step]) -> Option<&'a mut Value> {
    at.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::First => value.get_mut(0),
    })
}

/// The names a reader says it expected.
fn expected(said: &str) -> Vec<String> {
    assert!(!said.contains('…'), "a list of names was cut: {said}");
    let names = said.split("expected").nth(1).expect("it says what it expected");
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The section of a type: the words that are there, and the table and the example as the code has them.
fn section(payload: &Payload, there: Option<&str>) -> String {
    let mut fields = Vec::new();
    payload.fields(&[], "", &mut fields);
    let meanings = there.map(meanings).unwrap_or_default();
    let mut text = format!("### {}\n\n", payload.type_name);
    let missing = format!("{MISSING}\n\n{CHANGES}{MISSING}");
    let _ = writeln!(text, "{}\n", there.map_or(missing, introduction));
    text += "| field | type | there | meaning |\n|---|---|---|---|\n";
    for Field { path, kind, is_optional } in fields {
        let there = if is_optional { "optional" } else { "always" };
        let meaning = meanings.get(path.as_str()).copied().unwrap_or(MISSING);
        let _ = writeln!(text, "| `{path}` | {kind} | {there} | {meaning} |");
    }
    let _ = write!(text, "\n```json\n{:#}\n```", payload.value);
    text
}

/// The sections of the document by type.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let mut found = BTreeMap::new();
    let mut rest = DOCUMENT;
    while let Some(start) = rest.find(HEADING) {
        let text = &rest[start..];
        let end = text[1..].find("\n#").map_or(text.len(), |end| end + 1);
        let name = text[HEADING.len() - 1..].lines().next().unwrap_or_default();
        assert!(found.insert(name, text[..end].trim_end()).is_none(), "{name} is there twice");
        rest = &text[end..];
    }
    found
}

/// What is said before the table.
fn introduction(section: &str) -> String {
    let text = section.split_once('\n').map_or("", |(_, text)| text);
    let end = text.find("\n| field |").or(text.find("\n```")).unwrap_or(text.len());
    text[..end].trim().to_owned()
}

/// What is said of each field.
fn meanings(section: &str) -> BTreeMap<&str, &str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| {
        let (path, rest) = row.split_once("` | ")?;
        let meaning = rest.strip_suffix(" |")?.splitn(3, " | ").nth(2)?;
        Some((path, meaning))
    });
    cells.collect()
}

fn is_missing(words: &str) -> bool {
    words.trim().is_empty() || words.contains(MISSING)
}

#[test]
fn every_event_type_is_documented_as_it_is() {
    let sections = sections();
    let mut faults = Vec::new();
    for payload in Payload::examples() {
        let there = sections.get(payload.type_name).copied();
        let expected = section(&payload, there);
        if there != Some(&expected) || is_missing(&introduction(&expected)) || expected.contains(MISSING) {
            faults.push(expected);
        }
    }
    assert!(
        faults.is_empty(),
        "docs/events.md is to have these sections, with words for every {MISSING}:\n\n{}\n",
        faults.join("\n\n")
    );
}

#[test]
fn every_event_type_says_what_it_changes() {
    for (name, section) in sections() {
        let introduction = introduction(section);
        let changes = introduction.lines().find_map(|line| line.strip_prefix(CHANGES));
        assert!(changes.is_some_and(|words| !is_missing(words)), "{name} has no line with {CHANGES:?}");
        assert!(!introduction.starts_with(CHANGES), "{name} does not say what happened");
    }
}

#[test]
fn no_event_type_is_documented_that_is_not_read() {
    let older = Fact::OLDER.iter().map(|(name, _)| *name);
    let known: BTreeSet<&str> = Fact::TYPES.iter().copied().chain(older).collect();
    let documented: BTreeSet<&str> = sections().into_keys().collect();
    assert_eq!(documented, known);
}

#[test]
fn what_is_not_recorded_any_more_says_so_and_as_what_it_is_read() {
    let sections = sections();
    for (name, now) in Fact::OLDER {
        let introduction = introduction(sections[name]);
        assert!(
            introduction.contains("Not recorded any more") && introduction.contains(now),
            "{introduction}"
        );
    }
}
