//! The repositories there are. One comes into being with the first thing pushed to it.

use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::RepositoryName;

/// One row per repository.
pub static REPOSITORIES: Table = Table {
    name: "repositories",
    columns: &[Column::text("name"), Column::integer("created_at"), Column::integer("sequence")],
    key: 1,
    indexes: &[],
};

const PAGE: &str = "SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2";
const FIND: &str = "SELECT name FROM repositories WHERE name = $1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE, FIND];

/// The fold.
#[derive(Debug)]
pub struct Repositories;

impl Projection for Repositories {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&REPOSITORIES]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        created_by(event).into_iter().map(read).collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let Some(name) = created_by(event) else {
            return Vec::new();
        };
        if rows.get(&REPOSITORIES, &key(name)).is_some() {
            return Vec::new();
        }
        let row = Row(vec![name.as_str().into(), event.recorded_at.into(), event.sequence.into()]);
        vec![Change::Upsert(&REPOSITORIES, row)]
    }
}

/// The repository an event may bring into being.
fn created_by(event: &Event) -> Option<&RepositoryName> {
    match &event.fact {
        Fact::BlobLinked(fact) => Some(&fact.repository),
        Fact::ManifestPushed(fact) => Some(&fact.repository),
        Fact::PackageCreated(fact) => Some(&fact.repository),
        _ => None,
    }
}

fn key(name: &RepositoryName) -> Key {
    vec![name.as_str().into()]
}

/// The read of a repository's row.
pub fn read(name: &RepositoryName) -> Read {
    Read::row(&REPOSITORIES, key(name))
}

/// Whether anything was ever pushed to the repository, among loaded rows.
pub fn is_known(rows: &Rows, name: &RepositoryName) -> bool {
    rows.get(&REPOSITORIES, &key(name)).is_some()
}

/// Up to `limit` names in bytewise order, after the text given.
pub async fn page(db: &Db, after: &str, limit: i64) -> Result<Vec<RepositoryName>, Error> {
    let rows = db.query(PAGE, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(|row| row.text(0).parse().expect("views hold only checked names")).collect())
}

/// Whether anything was ever pushed to the repository.
pub async fn exists(db: &Db, name: &RepositoryName) -> Result<bool, Error> {
    Ok(!db.query(FIND, key(name)).await?.is_empty())
}
