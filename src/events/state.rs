//! The state digest: one BLAKE3 over a canonical dump of every view.
//!
//! `table = BLAKE3(for each row in key order: length as 8 bytes big-endian, canonical CBOR [col, …])`,
//! `state = BLAKE3("artifactstore/state/v1" + canonical CBOR {log_id, seq, tables, version})`. Bytes are
//! hex text. Two databases, on any engine, have the same views exactly when their digests are equal.

use std::fmt::Write as _;

use serde::Serialize;

use super::fact::LIMITS;
use super::{Error, Head, Projections, Sequence};
use crate::codec::cbor;
use crate::db::{Row, Table, Tx, Value};
use crate::hash::Hasher;
use crate::oci::{Algorithm, Digest};

const DOMAIN: &[u8] = b"artifactstore/state/v1";

/// Rows read at a time; bounds memory.
const PAGE: i64 = 1000;

/// The digest of all views at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDigest {
    /// The newest event the views include.
    pub sequence: Sequence,
    /// Over everything below.
    pub digest: Digest,
    /// Per table, by name.
    pub tables: Vec<TableDigest>,
}

/// The digest of one view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// The table.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Over its rows in key order.
    pub digest: Digest,
}

impl StateDigest {
    /// Tables whose content differs from `other`'s.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let same = |table: &&TableDigest| !other.tables.contains(table);
        self.tables.iter().filter(same).map(|table| table.name.as_str()).collect()
    }
}

/// Computes the digest inside a transaction.
pub async fn digest(tx: &mut Tx, projections: &Projections) -> Result<StateDigest, Error> {
    #[derive(Serialize)]
    struct Summary<'a> {
        log_id: &'a str,
        seq: Sequence,
        version: i64,
        tables: &'a [TableDigest],
    }
    let head = Head::load(tx).await?;
    let mut tables = Vec::new();
    for table in projections.tables() {
        tables.push(table_digest(tx, table).await?);
    }
    let summary =
        Summary { log_id: &head.log_id, seq: head.last(), version: projections.version(), tables: &tables };
    let mut hasher = Hasher::new(Algorithm::Blake3);
    hasher.update(DOMAIN);
    hasher.update(&cbor::to_vec(&summary).map_err(Error::Encode)?);
    Ok(StateDigest { sequence: head.last(), digest: hasher.finish(), tables })
}

async fn table_digest(tx: &mut Tx, table: &'static Table) -> Result<TableDigest, Error> {
    let mut hasher = Hasher::new(Algorithm::Blake3);
    let mut rows = 0;
    let mut after = None;
    loop {
        let page = tx.page(table, after.as_ref(), PAGE).await?;
        for row in &page {
            let bytes = cbor::to_vec_with_limits(&cells(row), &LIMITS).map_err(Error::Encode)?;
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(&bytes);
            rows += 1;
        }
        match page.last() {
            Some(last) => after = Some(table.key_of(last)),
            None => break,
        }
    }
    Ok(TableDigest { name: table.name.to_owned(), rows, digest: hasher.finish() })
}

/// A cell in the terms of the CBOR profile.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'a> {
    Null(()),
    Integer(i64),
    Text(&'a str),
    Hex(String),
}

fn cells(row: &Row) -> Vec<Cell<'_>> {
    let cell = |value| match value {
        &Value::Null => Cell::Null(()),
        &Value::Integer(n) => Cell::Integer(n),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Hex(hex(bytes)),
    };
    row.0.iter().map(cell).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
