//! Registered metadata schemas.

use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::Digest;

/// One row per name: the newest schema.
pub static METADATA_SCHEMAS: Table = Table {
    name: "metadata_schemas",
    columns: &[
        Column::text("name"),
        Column::text("schema_json"),
        Column::text("digest"),
        Column::integer("registered_at"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

const FIND: &str =
    "SELECT name, schema_json, digest, registered_at, sequence FROM metadata_schemas WHERE name = $1";
const PAGE: &str = "SELECT name, digest, registered_at FROM metadata_schemas \
    WHERE name > $1 ORDER BY name LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, PAGE];

/// A metadata schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its name.
    pub name: String,
    /// The JSON Schema, as it was sent.
    pub schema: String,
    /// BLAKE3 of it.
    pub digest: Digest,
    /// When it was registered.
    pub registered_at: Micros,
}

/// A metadata schema in a list, which has no use for its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// BLAKE3 of it.
    pub digest: Digest,
    /// When it was registered.
    pub registered_at: Micros,
}

/// The fold.
#[derive(Debug)]
pub struct Schemas;

impl Projection for Schemas {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&METADATA_SCHEMAS]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let Fact::SchemaRegistered(fact) = &event.fact else {
            return Vec::new();
        };
        let row = Row(vec![
            fact.name.as_str().into(),
            fact.schema.as_str().into(),
            fact.digest.as_str().into(),
            event.recorded_at.into(),
            event.sequence.into(),
        ]);
        vec![Change::Upsert(&METADATA_SCHEMAS, row)]
    }
}

fn schema(row: &Row) -> Schema {
    Schema {
        name: row.text(0).to_owned(),
        schema: row.text(1).to_owned(),
        digest: stored_digest(row, 2),
        registered_at: row.integer(3),
    }
}

fn registered(row: &Row) -> Registered {
    Registered { name: row.text(0).to_owned(), digest: stored_digest(row, 1), registered_at: row.integer(2) }
}

/// The key of a schema.
pub fn key(name: &str) -> Key {
    vec![name.into()]
}

/// The read of a schema.
pub fn read(name: &str) -> Read {
    Read::row(&METADATA_SCHEMAS, key(name))
}

/// A schema among loaded rows.
pub fn get(rows: &Rows, name: &str) -> Option<Schema> {
    rows.get(&METADATA_SCHEMAS, &key(name)).map(schema)
}

/// A schema by its name.
pub async fn find(db: &Db, name: &str) -> Result<Option<Schema>, Error> {
    Ok(db.query(FIND, key(name)).await?.first().map(schema))
}

/// Up to `limit` schemas by name, after the text given.
pub async fn page(db: &Db, after: &str, limit: i64) -> Result<Vec<Registered>, Error> {
    Ok(db.query(PAGE, vec![after.into(), limit.into()]).await?.iter().map(registered).collect())
}
