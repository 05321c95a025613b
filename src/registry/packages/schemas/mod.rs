//! Metadata schemas: JSON Schemas that packages can name.
//!
//! A schema is self-contained: a reference to another document is refused when it is registered and never fetched.
//! Patterns run in linear time, and what they weigh has a limit ([`patterns`]). What a check may cost is bounded twice:
//! by the schema alone when it is registered ([`cost`]), and together with the metadata before they are checked.

mod check;
mod cost;
mod patterns;
#[cfg(test)]
mod tests;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

pub(in crate::registry) use check::Checks;

use super::commands::RegisterSchema;
use super::{Registered, Schema};
use crate::codec::keys;
use crate::events::SchemaRegistered;
use crate::hash;
use crate::oci::{Algorithm, excerpt};
use crate::package::{Description, check_kind};
use crate::registry::tags::count;
use crate::registry::{Actor, Error, Registry};
use crate::views::schemas;
use cost::{Layout, Shape};
use patterns::MAX_PATTERN;

/// The largest schema, in bytes.
const MAX_SCHEMA: usize = 256 * 1024;

/// What a pattern may take besides to look through texts faster, in bytes; there are up to two such stores for each.
const MAX_FASTER: usize = 256 << 10;

/// Checks that metadata may lead to: a second of work.
const MAX_CHECKS: u64 = 10_000_000;

/// Checks up to which every violation is looked for: the library collects those of all alternatives, some 400 bytes each.
const MAX_LISTED: u64 = 100_000;

/// Violations named at most.
const MAX_VIOLATIONS: usize = 10;

/// Bytes of one violation's text that are passed on: some repeat the value.
const MAX_TEXT: usize = 240;

impl Registry {
    /// Registers a schema under a name, for packages to come; the same one again changes nothing.
    pub async fn register_schema(&self, actor: Actor, name: &str, schema: &[u8]) -> Result<Schema, Error> {
        check_kind("schema", Some(name))?;
        let invalid = |reason: String| Error::SchemaInvalid { name: name.to_owned(), reason };
        if schema.len() > MAX_SCHEMA {
            return Err(invalid(format!("it is larger than {MAX_SCHEMA} bytes")));
        }
        if matches!(name, "." | "..") {
            return Err(invalid(
                "a name of dots cannot be asked for: clients take it for a folder".to_owned(),
            ));
        }
        let text = std::str::from_utf8(schema).map_err(|error| invalid(error.to_string()))?;
        let compiled = text.to_owned();
        self.inner.checks.run(move || register(&compiled)).await?.map_err(invalid)?;
        let fact = SchemaRegistered {
            name: name.to_owned(),
            schema: text.to_owned(),
            digest: hash::digest(Algorithm::Blake3, schema),
        };
        self.submit(actor, RegisterSchema { fact }).await?;
        self.schema(name).await
    }

    /// The schema of a name.
    pub async fn schema(&self, name: &str) -> Result<Schema, Error> {
        let unknown = || Error::SchemaUnknown(excerpt(name));
        // Not every engine can look for a text that has a NUL.
        check_kind("schema", Some(name)).map_err(|_| unknown())?;
        schemas::find(&self.inner.db, name).await?.ok_or_else(unknown)
    }

    /// Up to `limit` schemas by name, after a text that need not be one.
    pub async fn schemas(&self, after: &str, limit: usize) -> Result<Vec<Registered>, Error> {
        Ok(schemas::page(&self.inner.db, after, count(limit)).await?)
    }

    /// Checks metadata against the schema it names, if it names one.
    pub(super) async fn check_metadata(&self, description: &Description) -> Result<(), Error> {
        let Some(name) = &description.schema else { return Ok(()) };
        let schema = schemas::find(&self.inner.db, name).await?;
        let schema = schema.ok_or_else(|| Error::SchemaMissing(name.clone()))?;
        let metadata = Value::Object(description.metadata.entries().clone());
        let checked = self.inner.checks.run(move || violations(&schema.schema, &metadata)).await?;
        let violations = checked.map_err(|reason| Error::SchemaInvalid { name: name.clone(), reason })?;
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::MetadataInvalid { schema: name.clone(), violations })
    }
}

fn register(schema: &str) -> Result<(), String> {
    keys::check_once(schema.as_bytes()).map_err(|error| format!("not JSON: {error}"))?;
    compile(schema).map(drop)
}

/// The schema for checking, and what checking costs. That is found out first: compiling goes as deep as a schema leads.
fn compile(schema: &str) -> Result<(Validator, Layout), String> {
    let schema: Value = serde_json::from_str(schema).map_err(|error| format!("not JSON: {error}"))?;
    let layout = Layout::of(&schema)?;
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_FASTER);
    let validator = jsonschema::options().with_pattern_options(patterns).build(&schema).map_err(|error| {
        let place = error.instance_path().to_string();
        shortened(&format!("{error} (at {})", if place.is_empty() { "/" } else { &place }))
    })?;
    Ok((validator, layout))
}

/// What is wrong with the metadata, each with its place.
fn violations(schema: &str, metadata: &Value) -> Result<Vec<String>, String> {
    let (validator, layout) = compile(schema)?;
    let shape = Shape::of(metadata);
    let checks = layout.checks(&shape);
    if checks > MAX_CHECKS {
        let reason = format!(
            "metadata: so many parts lead to more than {MAX_CHECKS} checks with this schema; send less, or have fewer \
             subschemas apply to one part"
        );
        return Ok(vec![reason]);
    }
    if checks.saturating_add(layout.matching(&shape)) > MAX_CHECKS {
        return Ok(vec![
            "metadata: its texts are too long for the patterns of this schema; send shorter ones, or have patterns repeat less"
                .to_owned(),
        ]);
    }
    if validator.is_valid(metadata) {
        return Ok(Vec::new());
    }
    if checks > MAX_LISTED {
        return Ok(vec![
            "metadata: it is not what the schema asks for, and too large to say where".to_owned(),
        ]);
    }
    let violation = |error: jsonschema::ValidationError<'_>| {
        shortened(&format!("metadata{}: {error}", error.instance_path()))
    };
    Ok(validator.iter_errors(metadata).take(MAX_VIOLATIONS).map(violation).collect())
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
