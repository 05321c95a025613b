//! From a run directory to what its layout makes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::{Description, Object, PackagePath, check_kind};
use super::document::{Documents, problem, type_of};
use super::read::{LAYOUT, TOTAL};
use super::{Applied, Assigned, Count, Field, Kind, Layout, Problem, Reports};
use crate::oci::excerpt;

/// Problems of one sort that are reported at most.
const SHOWN: usize = 20;

impl Layout {
    /// Applies it to a directory of these files, with the content of those [`Self::documents`] that are there.
    ///
    /// The same directory always gives the same. When it is not as the layout says, everything that is wrong
    /// with it, at most some dozens; when it is no run directory of this producer at all, only that.
    pub fn apply(
        &self,
        paths: &[PackagePath],
        documents: &BTreeMap<PackagePath, Vec<u8>>,
    ) -> Result<Applied, Vec<Problem>> {
        let mut problems = Vec::new();
        let places: Vec<_> = self.places().collect();
        let documents = Documents::parse(documents, &places, &mut problems);
        self.recognise(paths, &documents, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut metadata = Map::new();
        for field in &self.metadata {
            keep(&mut metadata, field, &documents, &mut problems);
        }
        for count in &self.counts {
            count.apply(&mut metadata, &documents, &mut problems);
        }
        self.agree(&metadata, &documents, &mut problems);
        let mut provenance = Map::new();
        set(&mut provenance, LAYOUT, json!({ "name": self.name, "version": self.version }));
        for field in &self.provenance {
            keep(&mut provenance, field, &documents, &mut problems);
        }
        let files = self.assign(paths, &mut problems);
        if let Some(reports) = &self.reports {
            reports.apply(&mut metadata, &files);
        }
        let class = self.class(&documents, &mut problems);
        let metadata = object("metadata", metadata, &mut problems);
        let provenance = object("provenance", provenance, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (kind, schema) = (Some(self.kind.clone()), self.schema.clone());
        let description = Description { kind, retention_class: class, schema, metadata };
        Ok(Applied { description, provenance, files })
    }

    fn recognise(&self, paths: &[PackagePath], documents: &Documents<'_>, problems: &mut Vec<Problem>) {
        let there: BTreeSet<_> = paths.iter().collect();
        for marker in self.markers.iter().filter(|marker| !there.contains(marker)) {
            let reason = format!("is not there: this is no complete {} run directory", self.name);
            problems.push(problem(marker, "", reason));
        }
        for condition in &self.conditions {
            let place = &condition.place;
            let expected = condition.is.join(" or ");
            match documents.get(place).map(|value| (value.as_str(), value)) {
                Some((Some(text), _)) if condition.is.iter().any(|is| is == text) => {}
                Some((Some(text), _)) => {
                    let reason = format!("is {:?}, and has to be {expected}", excerpt(text));
                    problems.push(problem(&place.document, &place.pointer, reason));
                }
                Some((None, value)) => {
                    let reason = format!("is {}, and has to be {expected}", type_of(value));
                    problems.push(problem(&place.document, &place.pointer, reason));
                }
                // That it is not there, or no JSON, was said.
                None if problems.iter().any(|known| is_whole(known, &place.document)) => {}
                None => problems.push(documents.missing(place, &format!("{expected:?}"))),
            }
        }
    }

    /// Compares what was counted with what the documents say.
    fn agree(&self, metadata: &Map<String, Value>, documents: &Documents<'_>, problems: &mut Vec<Problem>) {
        for agreement in &self.agreements {
            let (name, place) = (&agreement.name, &agreement.place);
            let mut parts = name.split('.');
            let first = parts.next().and_then(|part| metadata.get(part));
            // What could not be counted was reported.
            let Some(counted) = parts.try_fold(first, |value, part| Some(value?.get(part))).flatten() else {
                continue;
            };
            match documents.get(place) {
                None => problems.push(documents.missing(place, &format!("the number for {name}"))),
                Some(said) if said == counted => {}
                Some(said) if Kind::Integer.accepts(said) => {
                    let reason = format!("says {said}, but {name} comes to {counted}");
                    problems.push(problem(&place.document, &place.pointer, reason));
                }
                Some(said) => {
                    let reason = format!("is {}, and has to be an integer ({name})", type_of(said));
                    problems.push(problem(&place.document, &place.pointer, reason));
                }
            }
        }
    }

    /// Says of every file what it is; the first rule with a role wins, and the first with a media type.
    fn assign(&self, paths: &[PackagePath], problems: &mut Vec<Problem>) -> Vec<Assigned> {
        let mut matched = vec![false; self.files.len()];
        let mut assign = |path: &PackagePath| {
            let mut file = Assigned { path: path.clone(), role: None, media_type: None };
            for (at, rule) in self.files.iter().enumerate() {
                if rule.paths.iter().any(|glob| glob.matches(path)) {
                    matched[at] = true;
                    file.role = file.role.or_else(|| rule.role.clone());
                    file.media_type = file.media_type.or_else(|| rule.media_type.clone());
                }
            }
            file
        };
        let files = paths.iter().map(&mut assign).collect();
        for (rule, _) in self.files.iter().zip(matched).filter(|(rule, matched)| rule.required && !matched) {
            let role = rule.role.as_deref().map(|role| format!(" ({role})")).unwrap_or_default();
            let reason = format!("no file is like {}{role}", rule.shown);
            problems.push(Problem { document: None, pointer: None, reason });
        }
        files
    }

    /// The class the run asks for, or else that of the layout.
    fn class(&self, documents: &Documents<'_>, problems: &mut Vec<Problem>) -> Option<String> {
        let asked = self.class_from.as_ref().and_then(|place| Some((place, documents.get(place)?)));
        match asked {
            None | Some((_, Value::Null)) => self.class.clone(),
            Some((place, Value::String(class))) if !class.is_empty() => {
                if check_kind("retention_class", Some(class)).is_err() {
                    let reason = format!(
                        "is {:?}, and a retention class is 1 to 64 of a-z, 0-9, '.', '_' and '-'",
                        excerpt(class)
                    );
                    problems.push(problem(&place.document, &place.pointer, reason));
                }
                Some(class.clone())
            }
            Some((place, other)) => {
                let reason = format!("is {}, and has to be a text (the retention class)", type_of(other));
                problems.push(problem(&place.document, &place.pointer, reason));
                None
            }
        }
    }
}

/// Whether a problem is about a document as a whole.
fn is_whole(problem: &Problem, document: &PackagePath) -> bool {
    problem.document.as_ref() == Some(document) && problem.pointer.as_deref() == Some("")
}

/// Takes one value over.
fn keep(
    into: &mut Map<String, Value>,
    field: &Field,
    documents: &Documents<'_>,
    problems: &mut Vec<Problem>,
) {
    let Field { name, place, kind, required } = field;
    let wrong = |reason| problem(&place.document, &place.pointer, reason);
    match documents.get(place) {
        None | Some(Value::Null) if !required => {}
        None => problems.push(documents.missing(place, name)),
        Some(value) if !kind.accepts(value) => {
            problems.push(wrong(format!("is {}, and has to be {} ({name})", type_of(value), kind.name())));
        }
        Some(value) => {
            // One by one, so that what metadata cannot hold is named by where it stands.
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            match Object::new(alone) {
                Ok(_) => set(into, name, value.clone()),
                Err(error) => problems.push(wrong(format!("cannot be kept as {name}: {}", whole(&error)))),
            }
        }
    }
}

impl Count {
    fn apply(&self, into: &mut Map<String, Value>, documents: &Documents<'_>, problems: &mut Vec<Problem>) {
        let Self { name, place, by, values } = self;
        let entries = match documents.get(place) {
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                let reason = format!("is {}, and has to be a list ({name})", type_of(other));
                return problems.push(problem(&place.document, &place.pointer, reason));
            }
            None => return problems.push(documents.missing(place, name)),
        };
        let mut counts: BTreeMap<&str, u64> = values.iter().map(|value| (value.as_str(), 0)).collect();
        let mut wrong = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let value = entry.pointer(by);
            if let Some(count) = value.and_then(Value::as_str).and_then(|value| counts.get_mut(value)) {
                *count += 1;
            } else if wrong.len() < SHOWN {
                let is = match value {
                    None => "is not there".to_owned(),
                    Some(Value::String(text)) => format!("is {:?}", excerpt(text)),
                    Some(other) => format!("is {}", type_of(other)),
                };
                let pointer = format!("{}/{at}{by}", place.pointer);
                let reason = format!("{is}, and has to be one of {} ({name})", values.join(", "));
                wrong.push(problem(&place.document, &pointer, reason));
            }
        }
        if !wrong.is_empty() {
            return problems.append(&mut wrong);
        }
        set(into, &format!("{name}.{TOTAL}"), json!(entries.len()));
        for (value, count) in counts {
            set(into, &format!("{name}.{value}"), json!(count));
        }
    }
}

impl Reports {
    fn apply(&self, into: &mut Map<String, Value>, files: &[Assigned]) {
        let mut by_role = Map::new();
        for role in &self.roles {
            let with_role = files.iter().filter(|file| file.role.as_ref() == Some(role));
            let mut paths: Vec<_> = with_role.map(|file| file.path.as_str()).collect();
            paths.sort_unstable();
            by_role.insert(role.clone(), json!(paths));
        }
        set(into, &self.name, Value::Object(by_role));
    }
}

/// Puts a value at a dotted name. The names of a layout do not get in each other's way.
fn set(into: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(into.insert(name.to_owned(), value)),
        Some((outer, inner)) => {
            let outer = into.entry(outer).or_insert_with(|| json!({}));
            set(outer.as_object_mut().expect("names were checked to be distinct"), inner, value);
        }
    }
}

fn object(what: &str, map: Map<String, Value>, problems: &mut Vec<Problem>) -> Object {
    Object::new(map).unwrap_or_else(|error| {
        let reason = format!("the {what} cannot be kept: {}", whole(&error));
        problems.push(Problem { document: None, pointer: None, reason });
        Object::default()
    })
}

/// An error and what it is due to, in one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
