//! Upload sessions: an operational table. Losing a row costs a client one upload, never a byte that was
//! acknowledged as stored.
//!
//! A request that writes to a session first claims it with a compare-and-set, so two requests can not
//! interleave in one object, whichever replica they reach.

use super::Error;
use crate::clock::{Micros, SECOND};
use crate::db::{self, Operational, Row, Value};
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};

/// A claim that is not renewed ends after this long: its process is gone.
const LEASE: Micros = 60 * SECOND;

const OPEN: &str = "INSERT INTO uploads \
    (id, repository, principal, algorithm, received, lease, lease_until, expires_at, finished) \
    VALUES ($1, $2, $3, $4, 0, NULL, 0, $5, NULL)";

const FIND: &str = "SELECT received, algorithm, finished, lease, lease_until FROM uploads \
    WHERE id = $1 AND repository = $2 AND principal = $3";

const CLAIM: &str = "UPDATE uploads SET lease = $1, lease_until = $2 \
    WHERE id = $3 AND repository = $4 AND principal = $5 AND finished IS NULL \
    AND (lease IS NULL OR lease_until < $6) RETURNING received, algorithm, finished, lease, lease_until";

const RENEW: &str =
    "UPDATE uploads SET received = $1, lease_until = $2, expires_at = $3 WHERE id = $4 AND lease = $5";

const RELEASE: &str =
    "UPDATE uploads SET received = $1, lease = NULL, expires_at = $2 WHERE id = $3 AND lease = $4";

const FINISH: &str =
    "UPDATE uploads SET finished = $1, lease = NULL, expires_at = $2 WHERE id = $3 AND lease = $4";

const REMOVE: &str = "DELETE FROM uploads WHERE id = $1 AND lease = $2";

const REMOVE_EXPIRED: &str =
    "DELETE FROM uploads WHERE id = $1 AND expires_at < $2 AND (lease IS NULL OR lease_until < $2)";

const RELEASE_ALL: &str = "UPDATE uploads SET lease = NULL WHERE lease IS NOT NULL";

const EXPIRED: &str = "SELECT id FROM uploads WHERE expires_at < $1 AND (lease IS NULL OR lease_until < $1) \
    ORDER BY expires_at LIMIT $2";

const KNOWN: &str = "SELECT id FROM uploads WHERE id = $1";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(super) static STATEMENTS: &[&str] =
    &[OPEN, FIND, CLAIM, RENEW, RELEASE, FINISH, REMOVE, REMOVE_EXPIRED, RELEASE_ALL, EXPIRED, KNOWN];

/// Who may use a session: bound to repository and principal.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) repository: RepositoryName,
    pub(super) principal: String,
}

/// A session as stored.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) received: u64,
    pub(super) algorithm: Option<Algorithm>,
    /// Set when the upload became a blob; kept a while so that a lost answer can be asked for again.
    pub(super) finished: Option<Digest>,
    is_leased: bool,
}

/// The right to write to a session until it is released.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: UploadId,
    pub(super) session: Session,
    lease: String,
}

/// Why a session could not be claimed.
pub(super) enum Unclaimed {
    Unknown,
    Finished(Digest),
    Busy { received: u64 },
}

impl Session {
    fn from_row(row: &Row, now: Micros) -> Self {
        Self {
            received: row.integer(0).unsigned_abs(),
            algorithm: row.optional_text(1).and_then(|name| name.parse().ok()),
            finished: row.optional_text(2).and_then(|digest| digest.parse().ok()),
            is_leased: row.optional_text(3).is_some() && row.integer(4) >= now,
        }
    }
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    table: Operational,
    expiry: Micros,
}

impl Sessions {
    pub(super) fn new(table: Operational, expiry: Micros) -> Self {
        Self { table, expiry }
    }

    pub(super) async fn open(
        &self,
        id: &UploadId,
        owner: &Owner,
        algorithm: Option<Algorithm>,
        now: Micros,
    ) -> Result<(), Error> {
        let args = vec![
            Value::from(id.as_str()),
            owner.repository.as_str().into(),
            owner.principal.as_str().into(),
            algorithm.map(Algorithm::as_str).into(),
            self.expires(now),
        ];
        self.table.execute(OPEN, args).await?;
        Ok(())
    }

    pub(super) async fn find(
        &self,
        id: &UploadId,
        owner: &Owner,
        now: Micros,
    ) -> Result<Option<Session>, Error> {
        let args =
            vec![Value::from(id.as_str()), owner.repository.as_str().into(), owner.principal.as_str().into()];
        let rows = self.table.query(FIND, args).await?;
        Ok(rows.first().map(|row| Session::from_row(row, now)))
    }

    pub(super) async fn claim(
        &self,
        id: &UploadId,
        owner: &Owner,
        now: Micros,
    ) -> Result<Result<Claim, Unclaimed>, Error> {
        let lease = ulid::Ulid::generate().to_string();
        let args = vec![
            Value::from(lease.as_str()),
            (now + LEASE).into(),
            id.as_str().into(),
            owner.repository.as_str().into(),
            owner.principal.as_str().into(),
            now.into(),
        ];
        if let Some(row) = self.table.query(CLAIM, args).await?.first() {
            let session = Session::from_row(row, now);
            return Ok(Ok(Claim { id: id.clone(), session, lease }));
        }
        Ok(Err(match self.find(id, owner, now).await? {
            None => Unclaimed::Unknown,
            Some(Session { finished: Some(digest), .. }) => Unclaimed::Finished(digest),
            Some(session) => Unclaimed::Busy { received: session.received },
        }))
    }

    /// Notes progress and keeps the claim alive. `false` when it had ended and somebody else has the session.
    pub(super) async fn renew(&self, claim: &Claim, received: u64, now: Micros) -> Result<bool, Error> {
        let args = vec![
            received.cast_signed().into(),
            (now + LEASE).into(),
            self.expires(now),
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
        ];
        Ok(self.table.execute(RENEW, args).await? > 0)
    }

    /// Notes progress and ends the claim. `false` when it had ended already and nothing was noted.
    pub(super) async fn release(&self, claim: &Claim, received: u64, now: Micros) -> Result<bool, Error> {
        let args = vec![
            received.cast_signed().into(),
            self.expires(now),
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
        ];
        Ok(self.table.execute(RELEASE, args).await? > 0)
    }

    /// Turns the session into a note of its result, so that a repeated close is answered alike.
    pub(super) async fn finish(&self, claim: &Claim, digest: &Digest, now: Micros) -> Result<(), Error> {
        let args = vec![
            Value::from(digest.as_str()),
            self.expires(now),
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
        ];
        self.table.execute(FINISH, args).await?;
        Ok(())
    }

    /// Removes a claimed session. `false` when the claim had ended.
    pub(super) async fn remove(&self, claim: &Claim) -> Result<bool, Error> {
        let args = vec![claim.id.as_str().into(), claim.lease.as_str().into()];
        Ok(self.table.execute(REMOVE, args).await? > 0)
    }

    /// Removes a session that is still expired and not claimed. `false` when it is in use again or gone.
    pub(super) async fn remove_expired(&self, id: &UploadId, now: Micros) -> Result<bool, Error> {
        Ok(self.table.execute(REMOVE_EXPIRED, vec![id.as_str().into(), now.into()]).await? > 0)
    }

    /// Ends every claim. For the one process that owns the table, when it starts.
    pub(super) async fn release_all(&self) -> Result<(), db::Error> {
        self.table.execute(RELEASE_ALL, Vec::new()).await.map(drop)
    }

    pub(super) async fn expired(&self, now: Micros, limit: i64) -> Result<Vec<UploadId>, Error> {
        let rows = self.table.query(EXPIRED, vec![now.into(), limit.into()]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0).parse().ok()).collect())
    }

    pub(super) async fn is_known(&self, id: &str) -> Result<bool, Error> {
        Ok(!self.table.query(KNOWN, vec![id.into()]).await?.is_empty())
    }

    fn expires(&self, now: Micros) -> Value {
        Value::Integer(now.saturating_add(self.expiry))
    }
}

impl Session {
    /// Whether a request is writing to it now.
    pub(super) fn is_busy(&self) -> bool {
        self.is_leased
    }
}
