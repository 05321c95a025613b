//! The refusals on record: as many as there were attempts.

use std::collections::BTreeMap;
use std::path::Path;

use artifactstore::codec::jcs;
use serde_json::Value;

use crate::support::Repo;

/// An attempt: in which repository, what, and on what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tried {
    repository: String,
    action: String,
    subject: String,
    /// Whether by the user of this machine, on the data directory; else by a client that did not log in.
    is_local: bool,
}

impl Tried {
    pub(super) fn new(repo: &Repo, action: &str, subject: impl Into<String>) -> Self {
        let (repository, subject) = (repo.name.clone(), subject.into());
        Self { repository, action: action.to_owned(), subject, is_local: false }
    }

    pub(super) fn locally(self) -> Self {
        Self { is_local: true, ..self }
    }
}

/// Every attempt is counted once, under who tried what on what; and there is no other.
#[track_caller]
pub(super) fn is_told(database: &Path, tried: &[Tried]) {
    let mut expected: BTreeMap<Tried, u64> = BTreeMap::new();
    for one in tried {
        *expected.entry(one.clone()).or_default() += 1;
    }
    let mut told: BTreeMap<Tried, u64> = BTreeMap::new();
    for (actor, payload) in denials(database) {
        let text = |field: &str| payload[field].as_str().unwrap().to_owned();
        let is_local = actor.starts_with("os:");
        assert!(is_local || actor == "anonymous", "{actor}");
        let (repository, action, subject) = (text("repository"), text("action"), text("subject"));
        assert!(!payload["reasons"].as_array().unwrap().is_empty(), "{payload}");
        *told.entry(Tried { repository, action, subject, is_local }).or_default() +=
            payload["count"].as_u64().unwrap();
    }
    let missing: Vec<_> = expected.iter().filter(|(one, count)| told.get(one) != Some(count)).collect();
    let unasked: Vec<_> = told.iter().filter(|(one, _)| !expected.contains_key(one)).collect();
    assert!(
        missing.is_empty() && unasked.is_empty(),
        "not counted as often as tried: {missing:#?}\non record and never tried: {unasked:#?}"
    );
    assert!(tried.len() > 100, "{}", tried.len());
}

fn denials(database: &Path) -> Vec<(String, Value)> {
    use sqlx::{ConnectOptions as _, Connection as _, Row as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        let denied = "SELECT actor, payload FROM events WHERE type = 'v1.retention.denied'";
        let rows = sqlx::query(denied).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    });
    let payload = |bytes: Vec<u8>| serde_json::from_slice(&jcs::from_cbor(&bytes).unwrap()).unwrap();
    rows.iter().map(|row| (row.get("actor"), payload(row.get("payload")))).collect()
}
