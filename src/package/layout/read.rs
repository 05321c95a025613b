//! From TOML to a layout.

use super::super::manifest::check_kind;
use super::glob::Glob;
use super::table::{Source, Table};
use super::{Agreement, Condition, Count, Error, Field, FileRule, Kind, Layout, Place, Reports};
use crate::oci::media::is_media_type;
use crate::setting::nearest;

/// Rules of one sort in a layout at most.
const MAX_RULES: usize = 256;

/// What kept values may be, as it is written.
const KINDS: [(&str, Kind); 5] = [
    ("text", Kind::Text),
    ("integer", Kind::Integer),
    ("boolean", Kind::Boolean),
    ("object", Kind::Object),
    ("list", Kind::List),
];

/// The count of all elements, beside those by value.
pub(super) const TOTAL: &str = "total";

/// What every layout puts into the provenance by itself.
pub(super) const LAYOUT: &str = "layout";

pub(super) fn layout(name: &str, text: &str) -> Result<Layout, Error> {
    Source { name, text }.read(|file| {
        file.only(&[
            "layout",
            "recognise",
            "package",
            "metadata",
            "count",
            "agree",
            "provenance",
            "files",
            "reports",
        ])?;
        let (head, recognise, package) =
            (part(file, "layout")?, part(file, "recognise")?, part(file, "package")?);
        head.only(&["name", "version"])?;
        recognise.only(&["files", "where"])?;
        package.only(&["kind", "schema", "retention_class", "retention_class_from"])?;
        let markers = recognise
            .texts("files")?
            .ok_or_else(|| recognise.wrong("files", "name at least one file that every run directory has"))?;
        let markers = markers.iter().map(|path| path.parse());
        let markers = markers.collect::<Result<_, _>>().map_err(|e| recognise.wrong("files", e))?;
        let files = rules(file, "files", file_rule)?;
        let layout = Layout {
            name: word(&head, "name")?.ok_or_else(|| head.wrong("name", "give the producer a name"))?,
            version: head.positive("version")?,
            kind: word(&package, "kind")?
                .ok_or_else(|| package.wrong("kind", "say what sort of package it is"))?,
            schema: word(&package, "schema")?,
            class: word(&package, "retention_class")?,
            class_from: class_from(&package)?,
            markers,
            conditions: recognise.tables("where")?.iter().map(condition).collect::<Result<_, _>>()?,
            metadata: rules(file, "metadata", field)?,
            counts: rules(file, "count", count)?,
            agreements: rules(file, "agree", agreement)?,
            provenance: rules(file, "provenance", field)?,
            reports: file.table("reports")?.map(|table| reports(&table, &files)).transpose()?,
            files,
        };
        check_names(file, &layout)?;
        Ok(layout)
    })
}

/// A section that has to be there.
fn part<'a>(file: &Table<'a>, name: &str) -> Result<Table<'a>, Error> {
    file.table(name)?.ok_or_else(|| file.wrong(name, format_args!("the section [{name}] is missing")))
}

fn rules<T>(
    file: &Table<'_>,
    name: &str,
    read: impl Fn(&Table<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let tables = file.tables(name)?;
    if tables.len() > MAX_RULES {
        return Err(file.wrong(name, format_args!("there are {}, {MAX_RULES} at most", tables.len())));
    }
    tables.iter().map(read).collect()
}

fn condition(table: &Table<'_>) -> Result<Condition, Error> {
    table.only(&["document", "pointer", "is"])?;
    let is = table.texts("is")?.ok_or_else(|| table.wrong("is", "list the texts it may be"))?;
    Ok(Condition { place: place(table)?, is: owned(&is) })
}

fn field(table: &Table<'_>) -> Result<Field, Error> {
    table.only(&["name", "document", "pointer", "type", "required"])?;
    let kind = table.needed("type")?;
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let known = KINDS.map(|(name, _)| name);
        let hint = match nearest(kind, known.iter().map(|name| ((*name).to_owned(), *name))) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("say {}", known.join(", ")),
        };
        return Err(table.wrong("type", format_args!("{kind:?} is no type; {hint}")));
    };
    let required = table.switch("required", true)?;
    Ok(Field { name: dotted(table)?, place: place(table)?, kind: *kind, required })
}

fn count(table: &Table<'_>) -> Result<Count, Error> {
    table.only(&["name", "document", "pointer", "by", "values"])?;
    let values = table.texts("values")?.ok_or_else(|| table.wrong("values", "list what is counted"))?;
    let mut seen = vec![TOTAL];
    for value in &values {
        if seen.contains(value) {
            return Err(table.wrong("values", format_args!("{value:?} is there twice, or is {TOTAL:?}")));
        }
        check_key(value).map_err(|problem| table.wrong("values", problem))?;
        seen.push(value);
    }
    table.needed("by")?;
    let by = pointer(table, "by")?;
    Ok(Count { name: dotted(table)?, place: place(table)?, by, values: owned(&values) })
}

fn agreement(table: &Table<'_>) -> Result<Agreement, Error> {
    table.only(&["name", "document", "pointer"])?;
    Ok(Agreement { name: dotted(table)?, place: place(table)? })
}

fn file_rule(table: &Table<'_>) -> Result<FileRule, Error> {
    table.only(&["paths", "role", "media_type", "required", "whole"])?;
    let paths = table.texts("paths")?.ok_or_else(|| table.wrong("paths", "list patterns of paths"))?;
    let glob = |text: &&str| {
        Glob::parse(text).map_err(|problem| table.wrong("paths", format_args!("{text:?}: {problem}")))
    };
    let rule = FileRule {
        paths: paths.iter().map(glob).collect::<Result<_, _>>()?,
        shown: paths.join(", "),
        role: word(table, "role")?,
        media_type: table.text("media_type")?.map(str::to_owned),
        required: table.switch("required", false)?,
        whole: table.switch("whole", false)?,
    };
    match &rule.media_type {
        Some(media_type) if !is_media_type(media_type) => {
            Err(table.wrong("media_type", format_args!("{media_type:?} is no media type such as text/plain")))
        }
        None if rule.role.is_none() && !rule.required && !rule.whole => {
            Err(table.wrong("paths", "a rule gives a role or a media type, or is required or whole"))
        }
        _ => Ok(rule),
    }
}

fn reports(table: &Table<'_>, files: &[FileRule]) -> Result<Reports, Error> {
    table.only(&["name", "roles"])?;
    let roles = table.texts("roles")?.ok_or_else(|| table.wrong("roles", "list roles that files have"))?;
    let given: Vec<_> = files.iter().filter_map(|rule| rule.role.as_deref()).collect();
    if let Some(role) = roles.iter().find(|role| !given.contains(role)) {
        let hint = match nearest(role, given.iter().map(|known| ((*known).to_owned(), *known))) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("the roles are {}", given.join(", ")),
        };
        return Err(table.wrong("roles", format_args!("no [[files]] rule gives the role {role:?}; {hint}")));
    }
    Ok(Reports { name: dotted(table)?, roles: owned(&roles) })
}

fn class_from(package: &Table<'_>) -> Result<Option<Place>, Error> {
    let Some(table) = package.table("retention_class_from")? else {
        return Ok(None);
    };
    table.only(&["document", "pointer"])?;
    place(&table).map(Some)
}

fn place(table: &Table<'_>) -> Result<Place, Error> {
    let document = table.needed("document")?.parse().map_err(|error| table.wrong("document", error))?;
    Ok(Place { document, pointer: pointer(table, "pointer")? })
}

/// A JSON pointer; the whole when it is not there.
fn pointer(table: &Table<'_>, key: &str) -> Result<String, Error> {
    let text = table.text(key)?.unwrap_or_default();
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (text.is_empty() || text.starts_with('/')) && escapes {
        return Ok(text.to_owned());
    }
    let hint = "a JSON pointer begins with a slash, as /target/id; ~ is written ~0 and a slash in a key ~1";
    Err(table.wrong(key, format_args!("{text:?}: {hint}")))
}

/// A kind, class, role or schema name.
fn word(table: &Table<'_>, key: &'static str) -> Result<Option<String>, Error> {
    let text = table.text(key)?;
    check_kind(key, text).map_err(|error| table.wrong(key, error))?;
    Ok(text.map(str::to_owned))
}

/// The name of a kept value.
fn dotted(table: &Table<'_>) -> Result<String, Error> {
    let name = table.needed("name")?;
    if name.split('.').count() > 8 {
        return Err(table.wrong("name", "a name has at most 8 parts"));
    }
    name.split('.').try_for_each(check_key).map_err(|problem| table.wrong("name", problem))?;
    Ok(name.to_owned())
}

/// Whether a text can be a key that people write in queries.
fn check_key(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    let is_key = !text.is_empty() && text.len() <= 64 && text.bytes().all(plain);
    let rule = "a name is 1 to 64 of a-z, A-Z, 0-9, '_' and '-', with dots between names";
    if is_key { Ok(()) } else { Err(format!("{text:?}: {rule}")) }
}

/// Whether every kept value has a place of its own, and every agreement something to agree with.
fn check_names(file: &Table<'_>, layout: &Layout) -> Result<(), Error> {
    let metadata = layout.metadata.iter().map(|field| ("metadata", field.name.as_str()));
    let counts = layout.counts.iter().map(|count| ("count", count.name.as_str()));
    let reports = layout.reports.iter().map(|reports| ("reports", reports.name.as_str()));
    distinct(file, metadata.chain(counts).chain(reports))?;
    let provenance = layout.provenance.iter().map(|field| ("provenance", field.name.as_str()));
    distinct(file, [("provenance", LAYOUT)].into_iter().chain(provenance))?;
    let is_counted = |name: &str| {
        let count = |count: &Count| {
            let value = name.strip_prefix(&count.name).and_then(|rest| rest.strip_prefix('.'));
            value.is_some_and(|value| value == TOTAL || count.values.iter().any(|known| known == value))
        };
        layout.counts.iter().any(count)
            || layout.metadata.iter().any(|field| field.name == name && field.kind == Kind::Integer)
    };
    match layout.agreements.iter().find(|agreement| !is_counted(&agreement.name)) {
        Some(agreement) => {
            let name = &agreement.name;
            Err(file.wrong("agree", format_args!("{name} is no count and no integer of this layout")))
        }
        None => Ok(()),
    }
}

fn distinct<'a>(file: &Table<'_>, names: impl Iterator<Item = (&'static str, &'a str)>) -> Result<(), Error> {
    let mut seen: Vec<&str> = Vec::new();
    for (section, name) in names {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(other) = seen.iter().find(|other| within(name, other) || within(other, name)) {
            let problem = format_args!("the name {name} takes the place of {other}");
            return Err(file.wrong(section, problem));
        }
        seen.push(name);
    }
    Ok(())
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
