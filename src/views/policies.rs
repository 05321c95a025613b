//! The versions of the retention policy.

use super::contents::stored_digest;
use crate::clock::Micros;
use crate::db::{Column, Db, Error, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::Digest;
use crate::retention;

/// One row per version; the seeded policy, version 1, is in none.
pub static RETENTION_POLICIES: Table = Table {
    name: "retention_policies",
    columns: &[
        Column::integer("version"),
        Column::text("policy"),
        Column::text("digest"),
        Column::integer("changed_at"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

const NEWEST: &str = "SELECT version, policy, digest, changed_at, sequence FROM retention_policies \
    WHERE version > 0 ORDER BY version DESC LIMIT 1";

const PAGE: &str = "SELECT version, policy, digest, changed_at, sequence FROM retention_policies \
    WHERE version > $1 ORDER BY version LIMIT $2";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[NEWEST, PAGE];

/// One version of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its number.
    pub version: u64,
    /// The whole policy in canonical JSON.
    pub policy: String,
    /// BLAKE3 of that.
    pub digest: Digest,
    /// Since when.
    pub changed_at: Micros,
}

/// The fold.
#[derive(Debug)]
pub struct Policies;

impl Projection for Policies {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&RETENTION_POLICIES]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let Fact::PolicyChanged(fact) = &event.fact else { return Vec::new() };
        let row = Row(vec![
            fact.version.cast_signed().into(),
            fact.policy.as_str().into(),
            fact.digest.as_str().into(),
            event.recorded_at.into(),
            event.sequence.into(),
        ]);
        vec![Change::Upsert(&RETENTION_POLICIES, row)]
    }
}

impl Policy {
    /// What it says.
    pub fn parsed(&self) -> retention::Policy {
        retention::Policy::from_json(&self.policy, self.version).expect("views hold only written policies")
    }

    fn from_row(row: &Row) -> Self {
        Self {
            version: row.integer(0).unsigned_abs(),
            policy: row.text(1).to_owned(),
            digest: stored_digest(row, 2),
            changed_at: row.integer(3),
        }
    }
}

/// The read of a version.
pub fn read(version: u64) -> Read {
    Read::row(&RETENTION_POLICIES, vec![version.cast_signed().into()])
}

/// A version among loaded rows.
pub fn get(rows: &Rows, version: u64) -> Option<Policy> {
    rows.get(&RETENTION_POLICIES, &[version.cast_signed().into()]).map(Policy::from_row)
}

/// The newest version, unless it is the seeded one.
pub async fn newest(db: &Db) -> Result<Option<Policy>, Error> {
    Ok(db.query(NEWEST, Vec::new()).await?.first().map(Policy::from_row))
}

/// Up to `limit` versions after one.
pub async fn page(db: &Db, after: u64, limit: i64) -> Result<Vec<Policy>, Error> {
    let rows = db.query(PAGE, vec![after.cast_signed().into(), limit.into()]).await?;
    Ok(rows.iter().map(Policy::from_row).collect())
}
