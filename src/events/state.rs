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
    let head = Head::load(tx).await?;
    digest_at(tx, &head.log_id, head.last(), projections).await
}

/// The same of views that include the events up to `sequence`, whatever the head says.
pub(super) async fn digest_at(
    tx: &mut Tx,
    log_id: &str,
    sequence: Sequence,
    projections: &Projections,
) -> Result<StateDigest, Error> {
    let mut tables = Vec::new();
    for table in projections.tables() {
        tables.push(table_digest(tx, table).await?);
    }
    Summed { log_id, sequence, version: projections.version(), tables }.digest()
}

/// What the digest is over.
pub(super) struct Summed<'a> {
    pub(super) log_id: &'a str,
    pub(super) sequence: Sequence,
    pub(super) version: i64,
    pub(super) tables: Vec<TableDigest>,
}

impl Summed<'_> {
    pub(super) fn digest(self) -> Result<StateDigest, Error> {
        #[derive(Serialize)]
        struct Summary<'a> {
            log_id: &'a str,
            seq: Sequence,
            version: i64,
            tables: &'a [TableDigest],
        }
        let Self { log_id, sequence, version, tables } = self;
        let summary = Summary { log_id, seq: sequence, version, tables: &tables };
        let mut hasher = Hasher::new(Algorithm::Blake3);
        hasher.update(DOMAIN);
        hasher.update(&cbor::to_vec(&summary).map_err(Error::Encode)?);
        Ok(StateDigest { sequence, digest: hasher.finish(), tables })
    }
}

/// The digest of a table, while its rows come by.
pub(super) struct TableSum {
    name: &'static str,
    rows: u64,
    hasher: Hasher,
}

impl TableSum {
    pub(super) fn new(table: &Table) -> Self {
        Self { name: table.name, rows: 0, hasher: Hasher::new(Algorithm::Blake3) }
    }

    /// Adds the [`frame`] of the next row in key order.
    pub(super) fn add(&mut self, frame: &[u8]) {
        self.hasher.update(frame);
        self.rows += 1;
    }

    pub(super) fn finish(self) -> TableDigest {
        TableDigest { name: self.name.to_owned(), rows: self.rows, digest: self.hasher.finish() }
    }
}

/// A row as it is hashed: the length of its encoding, and that.
pub(super) fn frame(row: &Row) -> Result<Vec<u8>, Error> {
    let bytes = cbor::to_vec_with_limits(&cells(row), &LIMITS).map_err(Error::Encode)?;
    let mut frame = Vec::with_capacity(8 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    frame.extend_from_slice(&bytes);
    Ok(frame)
}

async fn table_digest(tx: &mut Tx, table: &'static Table) -> Result<TableDigest, Error> {
    let mut sum = TableSum::new(table);
    let mut after = None;
    loop {
        let page = tx.page(table, after.as_ref(), PAGE).await?;
        for row in &page {
            sum.add(&frame(row)?);
        }
        match page.last() {
            Some(last) => after = Some(table.key_of(last)),
            None => return Ok(sum.finish()),
        }
    }
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
