//! The webhooks and how far they are: an operational table. The log tells which there were, and everything else is here
//! alone: secrets are in no event.
//!
//! Who delivers holds a lease, and writes under a compare of it; who changes a webhook writes under a compare of its
//! version, which every change exchanges. Deliveries under way end as they began; the next one is decided on what is
//! here then.
//!
//! What somebody asked for, and what is on record, is synced to disk before it is answered. How far deliveries are is not,
//! which would be a sync for each: after a power cut the cursor may be behind, and events come again.
//!
//! Every statement comes to the same when it is repeated.

use super::endpoint::Endpoint;
use super::format::Format;
use super::secrets::Secrets;
use super::{State, Webhook};
use crate::clock::{Micros, SECOND};
use crate::db::{self, Db, Operational, Row, Value};
use crate::events::WebhookId;
use crate::events::feed::{Filter, TypePattern};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::Error;

/// A lease that is not renewed ends after this long: its process is gone.
pub(super) const LEASE: Micros = 60 * SECOND;

/// No lease ends later than this: one that seems to was taken by a clock that was wrong, and is void.
const LONGEST: Micros = 10 * LEASE;

/// What every look reads. Repeated in each statement, since they are constants.
macro_rules! columns {
    () => {
        "id, url, format, types, repository, package, secrets, state, reason, cursor_at, cursor_hash, attempts, \
         failing_since, next_attempt_at, attempted_at, last_status, last_error, delivered_at, created_at, created_by, \
         version"
    };
}

const ADD: &str = "INSERT INTO webhooks (id, url, format, types, repository, package, secrets, state, reason, \
    cursor_at, cursor_hash, attempts, next_attempt_at, lease_until, created_at, created_by, version) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, $12, $13, $14) ON CONFLICT (id) DO NOTHING";

const COUNT: &str = "SELECT COUNT(*) FROM webhooks";

const FIND: &str = concat!("SELECT ", columns!(), " FROM webhooks WHERE id = $1");

const LIST: &str = concat!("SELECT ", columns!(), " FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2");

/// Who was served longest ago is first: a round has room for so many, and those with more to send than a turn takes are due
/// again at once. A lease that was given back tells when, since its end stays.
const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM webhooks WHERE state = 'active' AND next_attempt_at <= $1 \
      AND (lease IS NULL OR lease_until < $1 OR lease_until > $2) ORDER BY lease_until, id"
);

const CLAIM: &str = concat!(
    "UPDATE webhooks SET lease = $1, lease_until = $2 WHERE id = $3 AND state = 'active' AND next_attempt_at <= $4 \
     AND (lease IS NULL OR lease_until < $4 OR lease_until > $5 OR lease = $1) RETURNING ",
    columns!()
);

const MOVE: &str = "UPDATE webhooks SET cursor_at = $1, cursor_hash = $2, lease_until = $3 \
    WHERE id = $4 AND lease = $5 AND (cursor_at = $6 OR cursor_at = $1) RETURNING version, state";

const DELIVERED: &str = "UPDATE webhooks SET cursor_at = $1, cursor_hash = $2, lease_until = $3, attempts = 0, \
    failing_since = NULL, next_attempt_at = 0, attempted_at = $7, delivered_at = $7, last_status = $8, \
    last_error = NULL WHERE id = $4 AND lease = $5 AND (cursor_at = $6 OR cursor_at = $1) \
    RETURNING version, state";

const FAILED: &str = "UPDATE webhooks SET attempts = $1, failing_since = $2, next_attempt_at = $3, attempted_at = $4, \
    last_status = $5, last_error = $6, state = $7, reason = $8 WHERE id = $9 AND lease = $10 AND version = $11";

const RELEASE: &str = "UPDATE webhooks SET lease = NULL WHERE id = $1 AND lease = $2";

const RELEASE_ALL: &str = "UPDATE webhooks SET lease = NULL, lease_until = 0 WHERE lease IS NOT NULL";

const SKIP: &str = "UPDATE webhooks SET cursor_at = $1, cursor_hash = $2 \
    WHERE id = $3 AND version = $4 AND cursor_at = $5 AND (lease IS NULL OR lease_until < $6)";

const PUT: &str = "UPDATE webhooks SET url = $1, format = $2, types = $3, repository = $4, package = $5, secrets = $6, \
    state = $7, reason = $8, cursor_at = $9, cursor_hash = $10, attempts = 0, failing_since = NULL, \
    next_attempt_at = 0, last_error = NULL, version = $11 WHERE id = $12 AND (version = $13 OR version = $11)";

/// The same without the cursor, which the one who delivers may be moving.
const PUT_IN_PLACE: &str = "UPDATE webhooks SET url = $1, format = $2, types = $3, repository = $4, package = $5, \
    secrets = $6, state = $7, reason = $8, attempts = 0, failing_since = NULL, next_attempt_at = 0, \
    last_error = NULL, version = $9 WHERE id = $10 AND (version = $11 OR version = $9)";

const ENFORCE: &str = "UPDATE webhooks SET state = $1, reason = $2 WHERE id = $3 AND version = $4";

const HASTEN: &str = "UPDATE webhooks SET next_attempt_at = 0 WHERE id = $1";

const REMOVE: &str = "DELETE FROM webhooks WHERE id = $1";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(in crate::registry) static STATEMENTS: &[&str] = &[
    ADD,
    COUNT,
    FIND,
    LIST,
    DUE,
    CLAIM,
    MOVE,
    DELIVERED,
    FAILED,
    RELEASE,
    RELEASE_ALL,
    SKIP,
    PUT,
    PUT_IN_PLACE,
    ENFORCE,
    HASTEN,
    REMOVE,
];

/// The table.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Webhooks {
    /// For deliveries.
    table: Operational,
    /// For what is promised.
    synced: Operational,
}

/// A webhook with what only deliveries need.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) webhook: Webhook,
    pub(super) secrets: Secrets,
    /// The leaf hash of the event at the cursor; by it the log is known again.
    pub(super) cursor_hash: Option<String>,
    /// Exchanged by every change.
    pub(super) version: String,
}

/// A place in the log, and by what it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: i64,
    pub(super) hash: Option<String>,
}

/// What is to be noted of a delivery that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) attempts: i64,
    pub(super) failing_since: Option<Micros>,
    pub(super) next_attempt_at: Micros,
    pub(super) attempted_at: Micros,
    pub(super) status: Option<u16>,
    pub(super) error: String,
    pub(super) state: State,
    pub(super) reason: Option<String>,
}

/// The right to deliver for one webhook.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) id: WebhookId,
    pub(super) lease: String,
    pub(super) until: Micros,
}

impl Webhooks {
    pub(in crate::registry) fn new(db: &Db) -> Self {
        Self { table: db.operational(), synced: db.operational_synced() }
    }

    pub(super) async fn add(&self, stored: &Stored) -> Result<(), Error> {
        let Stored { webhook, secrets, cursor_hash, version } = stored;
        let mut args = described(webhook, secrets);
        args.insert(0, webhook.id.as_str().into());
        args.extend([
            webhook.cursor.into(),
            cursor_hash.as_deref().into(),
            webhook.created_at.into(),
            webhook.created_by.as_str().into(),
            version.as_str().into(),
        ]);
        self.synced.execute(ADD, args).await?;
        Ok(())
    }

    pub(super) async fn count(&self) -> Result<usize, Error> {
        let rows = self.table.query(COUNT, Vec::new()).await?;
        Ok(rows.first().map_or(0, |row| usize::try_from(row.integer(0)).unwrap_or(usize::MAX)))
    }

    pub(super) async fn find(&self, id: &WebhookId) -> Result<Stored, Error> {
        let rows = self.table.query(FIND, vec![id.as_str().into()]).await?;
        rows.first().and_then(Stored::from_row).ok_or_else(|| Error::WebhookUnknown(id.clone()))
    }

    /// Those after one, by id.
    pub(super) async fn list(&self, after: &str, limit: usize) -> Result<Vec<Stored>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.table.query(LIST, vec![after.into(), limit.into()]).await?;
        Ok(rows.iter().filter_map(Stored::from_row).collect())
    }

    /// Those that nobody delivers for and that may be delivered for now.
    pub(super) async fn due(&self, now: Micros) -> Result<Vec<Stored>, Error> {
        let rows = self.table.query(DUE, vec![now.into(), (now + LONGEST).into()]).await?;
        let stored = rows.iter().filter_map(Stored::from_row);
        Ok(stored.filter(|stored| stored.webhook.state == State::Active).collect())
    }

    /// Claims the right to deliver. `None` when somebody else has it, or there is nothing to deliver any more.
    pub(super) async fn claim(
        &self,
        id: &WebhookId,
        lease: &str,
        now: Micros,
    ) -> Result<Option<(Claim, Stored)>, Error> {
        let until = now + LEASE;
        let args = vec![lease.into(), until.into(), id.as_str().into(), now.into(), (now + LONGEST).into()];
        let rows = self.table.query(CLAIM, args).await?;
        let stored = rows.first().and_then(Stored::from_row);
        Ok(stored.map(|stored| (Claim { id: id.clone(), lease: lease.to_owned(), until }, stored)))
    }

    /// Moves the cursor, and renews the claim. `false` when the claim, or what it was made on, holds no more.
    pub(super) async fn advance(
        &self,
        claim: &mut Claim,
        (from, to): (&Place, &Place),
        version: &str,
        now: Micros,
    ) -> Result<bool, Error> {
        let until = now + LEASE;
        let rows = self.table.query(MOVE, moving(claim, from, to, until)).await?;
        claim.until = until;
        Ok(goes_on(&rows, version))
    }

    /// The same after a delivery.
    pub(super) async fn delivered(
        &self,
        claim: &mut Claim,
        (from, to): (&Place, &Place),
        version: &str,
        (now, status): (Micros, u16),
    ) -> Result<bool, Error> {
        let until = now + LEASE;
        let mut args = moving(claim, from, to, until);
        args.extend([now.into(), i64::from(status).into()]);
        let rows = self.table.query(DELIVERED, args).await?;
        claim.until = until;
        Ok(goes_on(&rows, version))
    }

    /// Notes that a delivery failed. `false` when the webhook was changed meanwhile: then it means nothing any more.
    pub(super) async fn failed(
        &self,
        claim: &Claim,
        version: &str,
        failure: &Failure,
    ) -> Result<bool, Error> {
        let args = vec![
            failure.attempts.into(),
            failure.failing_since.into(),
            failure.next_attempt_at.into(),
            failure.attempted_at.into(),
            failure.status.map(i64::from).into(),
            failure.error.as_str().into(),
            failure.state.as_str().into(),
            failure.reason.as_deref().into(),
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
            version.into(),
        ];
        // What is given up is on record as well.
        let table = if failure.state == State::Active { &self.table } else { &self.synced };
        Ok(table.execute(FAILED, args).await? > 0)
    }

    /// Gives the right back.
    pub(super) async fn release(&self, claim: &Claim) -> Result<(), Error> {
        self.table.execute(RELEASE, vec![claim.id.as_str().into(), claim.lease.as_str().into()]).await?;
        Ok(())
    }

    /// Ends every claim. For the one process that has the database to itself, when it starts.
    pub(in crate::registry) async fn release_all(&self) -> Result<(), db::Error> {
        self.table.execute(RELEASE_ALL, Vec::new()).await.map(drop)
    }

    /// Moves the cursor over what is not to be delivered, unless somebody delivers.
    pub(super) async fn skip(&self, stored: &Stored, to: &Place, now: Micros) -> Result<(), Error> {
        let args = vec![
            to.at.into(),
            to.hash.as_deref().into(),
            stored.webhook.id.as_str().into(),
            stored.version.as_str().into(),
            stored.webhook.cursor.into(),
            now.into(),
        ];
        self.table.execute(SKIP, args).await?;
        Ok(())
    }

    /// Writes what a webhook is to be in the place of what it was in a version; with another cursor where one is given.
    /// `false` when it is of another version by now.
    pub(super) async fn put(&self, stored: &Stored, to: Option<&Place>, was: &str) -> Result<bool, Error> {
        let mut args = described(&stored.webhook, &stored.secrets);
        if let Some(to) = to {
            args.extend([to.at.into(), to.hash.as_deref().into()]);
        }
        args.extend([stored.version.as_str().into(), stored.webhook.id.as_str().into(), was.into()]);
        let statement = if to.is_some() { PUT } else { PUT_IN_PLACE };
        Ok(self.synced.execute(statement, args).await? > 0)
    }

    /// Puts a version in force.
    pub(super) async fn enforce(
        &self,
        id: &WebhookId,
        version: &str,
        (state, reason): (State, Option<&str>),
    ) -> Result<(), Error> {
        let args = vec![state.as_str().into(), reason.into(), id.as_str().into(), version.into()];
        self.synced.execute(ENFORCE, args).await?;
        Ok(())
    }

    /// Lets the next attempt be now.
    pub(super) async fn hasten(&self, id: &WebhookId) -> Result<(), Error> {
        self.table.execute(HASTEN, vec![id.as_str().into()]).await?;
        Ok(())
    }

    pub(super) async fn remove(&self, id: &WebhookId) -> Result<(), Error> {
        self.synced.execute(REMOVE, vec![id.as_str().into()]).await?;
        Ok(())
    }
}

/// Whether a row was written that is still what the delivery began with.
fn goes_on(rows: &[Row], version: &str) -> bool {
    rows.first().is_some_and(|row| row.text(0) == version && row.text(1) == State::Active.as_str())
}

fn moving(claim: &Claim, from: &Place, to: &Place, until: Micros) -> Vec<Value> {
    vec![
        to.at.into(),
        to.hash.as_deref().into(),
        until.into(),
        claim.id.as_str().into(),
        claim.lease.as_str().into(),
        from.at.into(),
    ]
}

/// From the URL to the reason.
fn described(webhook: &Webhook, secrets: &Secrets) -> Vec<Value> {
    let filter = &webhook.filter;
    let types: Vec<&str> = filter.types.iter().map(TypePattern::as_str).collect();
    vec![
        webhook.endpoint.expose().into(),
        webhook.format.as_str().into(),
        types.join(",").into(),
        filter.repository.as_ref().map(RepositoryName::as_str).into(),
        filter.package.as_ref().map(PackageId::as_str).into(),
        secrets.to_text().into(),
        webhook.state.as_str().into(),
        webhook.reason.as_deref().into(),
    ]
}

impl Stored {
    /// A row. One that somebody altered, or that another version wrote, is a webhook that is damaged: it can be seen and
    /// removed, and stands in nobody's way. Nothing where not even the id is one.
    fn from_row(row: &Row) -> Option<Self> {
        let id: WebhookId = row.text(0).parse().ok()?;
        let read = Self::read(row);
        let damaged = |field: &str| {
            let reason =
                format!("what is stored of its {field} cannot be read; delete it and set it up again");
            (Parts::default(), State::Damaged, Some(reason))
        };
        let (parts, state, reason) = match read {
            Ok(parts) => {
                let state = State::parse(row.text(7));
                let reason = row.optional_text(8).map(str::to_owned);
                state.map_or_else(|| damaged("state"), |state| (parts, state, reason))
            }
            Err(field) => damaged(field),
        };
        let Parts { endpoint, format, filter, secrets } = parts;
        let webhook = Webhook {
            id,
            endpoint,
            format,
            filter,
            state,
            reason,
            cursor: row.integer(9),
            attempts: row.integer(11),
            failing_since: row.optional_integer(12),
            next_attempt_at: row.integer(13),
            attempted_at: row.optional_integer(14),
            last_status: row.optional_integer(15).and_then(|status| u16::try_from(status).ok()),
            last_error: row.optional_text(16).map(str::to_owned),
            delivered_at: row.optional_integer(17),
            created_at: row.integer(18),
            created_by: row.text(19).to_owned(),
        };
        let (cursor_hash, version) = (row.optional_text(10).map(str::to_owned), row.text(20).to_owned());
        Some(Self { webhook, secrets, cursor_hash, version })
    }

    fn read(row: &Row) -> Result<Parts, &'static str> {
        let endpoint: Endpoint = row.text(1).parse().map_err(|_| "URL")?;
        let format = Format::parse(row.text(2)).ok_or("format")?;
        let types = Some(row.text(3)).filter(|text| !text.is_empty());
        let filter = Filter {
            types: types.map_or_else(|| Ok(Vec::new()), Filter::parse_types).map_err(|_| "filter")?,
            repository: row.optional_text(4).map(str::parse).transpose().map_err(|_| "filter")?,
            package: row.optional_text(5).map(str::parse).transpose().map_err(|_| "filter")?,
        };
        let secrets = Secrets::from_text(row.text(6)).ok_or("secrets")?;
        Ok(Parts { endpoint, format, filter, secrets })
    }

    /// Where it is in the log.
    pub(super) fn place(&self) -> Place {
        Place { at: self.webhook.cursor, hash: self.cursor_hash.clone() }
    }
}

/// What a damaged row may not say.
struct Parts {
    endpoint: Endpoint,
    format: Format,
    filter: Filter,
    secrets: Secrets,
}

impl Default for Parts {
    /// Leads nowhere: what is damaged is never sent.
    fn default() -> Self {
        Self {
            endpoint: "https://damaged.invalid".parse().expect("it is a URL"),
            format: Format::Json,
            filter: Filter::default(),
            secrets: Secrets::new(super::WebhookSecret::generate()),
        }
    }
}
