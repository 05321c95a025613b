//! Referrers: manifests by the subject they name.

use super::contents::stored_digest;
use crate::db::{Column, Db, Error, Index, Key, Row, Table, Value};
use crate::events::{Change, Event, Fact, Projection, Read, Rows};
use crate::oci::{Digest, RepositoryName};

/// One row per referrer.
pub static REFERRERS: Table = Table {
    name: "referrers",
    columns: &[
        Column::text("repository"),
        Column::text("subject"),
        Column::text("content"),
        Column::text("digest"),
        Column::text("media_type"),
        Column::integer("size"),
        Column::text("artifact_type"),
        Column::text("annotations"),
    ],
    key: 3,
    indexes: &[Index { columns: &[0, 2] }],
};

/// [`REFERRERS`] by the manifest that refers.
const BY_CONTENT: usize = 0;

const PAGE: &str = "SELECT content, digest, media_type, size, artifact_type, annotations FROM referrers \
    WHERE repository = $1 AND subject = $2 AND content > $3 ORDER BY content LIMIT $4";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE];

/// One referrer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its content address.
    pub content: Digest,
    /// The digest it was pushed by.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Its artifact type, if it has one.
    pub artifact_type: Option<String>,
    /// Its annotations, sorted by key.
    pub annotations: Vec<(String, String)>,
}

/// The fold.
#[derive(Debug)]
pub struct Referrers;

impl Projection for Referrers {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&REFERRERS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        match &event.fact {
            Fact::ManifestDeleted(fact) => vec![of_manifest(&fact.repository, &fact.content)],
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::ManifestPushed(fact) => {
                let Some(subject) = &fact.subject else {
                    return Vec::new();
                };
                let annotations = serde_json::to_string(&subject.annotations).expect("text always encodes");
                let row = Row(vec![
                    fact.repository.as_str().into(),
                    subject.digest.as_str().into(),
                    fact.content.as_str().into(),
                    fact.digest.as_str().into(),
                    fact.media_type.as_str().into(),
                    fact.size.cast_signed().into(),
                    subject.artifact_type.clone().into(),
                    annotations.into(),
                ]);
                vec![Change::Upsert(&REFERRERS, row)]
            }
            Fact::ManifestDeleted(fact) => {
                let key = vec![fact.repository.as_str().into(), fact.content.as_str().into()];
                let found = rows.lookup(&REFERRERS, BY_CONTENT, &key);
                found.into_iter().map(|row| Change::Delete(&REFERRERS, REFERRERS.key_of(row))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The read of a manifest's own row here.
pub fn of_manifest(repository: &RepositoryName, content: &Digest) -> Read {
    let key: Key = vec![repository.as_str().into(), content.as_str().into()];
    Read::lookup(&REFERRERS, BY_CONTENT, key)
}

/// What a manifest refers to, as it was written, and its own annotations, among loaded rows.
pub fn subject_of(
    rows: &Rows,
    repository: &RepositoryName,
    content: &Digest,
) -> Option<(Digest, Vec<(String, String)>)> {
    let key = [repository.as_str().into(), content.as_str().into()];
    let found = rows.lookup(&REFERRERS, BY_CONTENT, &key);
    found.first().map(|row| (stored_digest(row, 1), annotations(row, 7)))
}

/// Up to `limit` referrers of a subject, by any of its digests, in content order after the one given.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    subject: &[Digest],
    after: Option<&Digest>,
    limit: i64,
) -> Result<Vec<Referrer>, Error> {
    let after = after.map_or("", Digest::as_str);
    let referrer = |row: &Row| Referrer {
        content: stored_digest(row, 0),
        digest: stored_digest(row, 1),
        media_type: row.text(2).to_owned(),
        size: row.integer(3).unsigned_abs(),
        artifact_type: row.optional_text(4).map(str::to_owned),
        annotations: annotations(row, 5),
    };
    // One question per digest: together they would have to be sorted.
    let mut found = Vec::new();
    for digest in subject {
        let args = vec![
            Value::from(repository.as_str()),
            Value::from(digest.as_str()),
            Value::from(after),
            Value::from(limit),
        ];
        found.extend(db.query(PAGE, args).await?.iter().map(referrer));
    }
    found.sort_by(|a, b| a.content.cmp(&b.content));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

fn annotations(row: &Row, at: usize) -> Vec<(String, String)> {
    serde_json::from_str(row.text(at)).expect("the fold wrote it")
}
