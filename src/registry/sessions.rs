//! Upload sessions: an operational table. Losing a row costs a client one upload, never a byte that was
//! acknowledged as stored.
//!
//! A request that writes to a session first claims it with a compare-and-set, so two requests can not
//! interleave in one object, whichever replica they reach. A claim is for a short time and renewed while its
//! request is at work; that of a replica that was killed runs out. What is written under a claim is written with
//! a compare of the claim, so one that ran out unnoticed changes nothing.
//!
//! Every statement comes to the same when it is repeated, since the database may run it again over another connection.
//! So a claim whose request noted what it received keeps its name, and only its time is over.
//!
//! The times are those of the replicas, whose clocks may differ by less than half a [`LEASE`].

use super::Error;
use crate::clock::{Micros, SECOND};
use crate::dataplane::Checkpoint;
use crate::db::{self, Operational, Row, Value};
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};

/// A claim that is not renewed ends after this long: its process is gone.
pub(super) const LEASE: Micros = 20 * SECOND;

const OPEN: &str = "INSERT INTO uploads \
    (id, repository, principal, algorithm, received, lease, lease_until, expires_at, finished) \
    VALUES ($1, $2, $3, $4, 0, NULL, 0, $5, NULL) ON CONFLICT (id) DO NOTHING";

const FIND: &str = "SELECT received, algorithm, finished, lease, lease_until FROM uploads \
    WHERE id = $1 AND repository = $2 AND principal = $3";

const CLAIM: &str = "UPDATE uploads SET lease = $1, lease_until = $2 \
    WHERE id = $3 AND repository = $4 AND principal = $5 AND finished IS NULL \
    AND (lease IS NULL OR lease_until < $6 OR lease = $1) \
    RETURNING received, algorithm, finished, lease, lease_until, checkpoint, written_by";

const RENEW: &str = "UPDATE uploads SET received = $1, lease_until = $2, expires_at = $3 \
    WHERE id = $4 AND lease = $5 AND lease_until > 0";

const SUSPEND: &str = "UPDATE uploads SET received = $1, checkpoint = $2, written_by = $5, lease_until = 0, \
    expires_at = $3 WHERE id = $4 AND lease = $5";

const RELEASE: &str = "UPDATE uploads SET received = $1, lease = NULL, expires_at = $2 \
    WHERE id = $3 AND lease = $4 AND lease_until > 0";

const FINISH: &str = "UPDATE uploads SET finished = $1, checkpoint = NULL, lease = NULL, expires_at = $2 \
    WHERE id = $3 AND lease = $4";

const REMOVE: &str = "DELETE FROM uploads WHERE id = $1 AND lease = $2";

const REMOVE_EXPIRED: &str = "DELETE FROM uploads \
    WHERE id = $1 AND expires_at < $2 AND (lease IS NULL OR lease_until < $2) RETURNING finished";

const RELEASE_ALL: &str = "UPDATE uploads SET lease = NULL WHERE lease IS NOT NULL";

const EXPIRED: &str = "SELECT id FROM uploads WHERE expires_at < $1 AND (lease IS NULL OR lease_until < $1) \
    ORDER BY expires_at LIMIT $2";

const KNOWN: &str = "SELECT id FROM uploads WHERE id = $1";

const MARK: &str =
    "SELECT id FROM uploads WHERE repository = $1 AND principal = $2 AND expires_at >= $3 LIMIT 1";

const UNMARK: &str = "DELETE FROM uploads WHERE id = $1 AND principal = $2";

/// Every named statement of this table, for the test that prepares each.
#[cfg(test)]
pub(super) static STATEMENTS: &[&str] = &[
    OPEN,
    FIND,
    CLAIM,
    RENEW,
    SUSPEND,
    RELEASE,
    FINISH,
    REMOVE,
    REMOVE_EXPIRED,
    RELEASE_ALL,
    EXPIRED,
    KNOWN,
    MARK,
    UNMARK,
];

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
    /// Until when a request is writing to it, if one is.
    pub(super) busy_until: Option<Micros>,
}

/// The right to write to a session until it is released.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: UploadId,
    pub(super) session: Session,
    /// What is needed to go on where the session stands.
    pub(super) checkpoint: Option<Checkpoint>,
    /// The claim under which the bytes up to there were written.
    pub(super) written_by: Option<String>,
    /// Names the claim among all claims of all replicas.
    pub(super) lease: String,
    /// When it runs out unless it is renewed.
    pub(super) until: Micros,
}

/// Why a session could not be claimed.
pub(super) enum Unclaimed {
    Unknown,
    Finished(Digest),
    Busy { received: u64, until: Micros },
}

impl Session {
    fn from_row(row: &Row, now: Micros) -> Self {
        Self {
            received: row.integer(0).unsigned_abs(),
            algorithm: row.optional_text(1).and_then(|name| name.parse().ok()),
            finished: row.optional_text(2).and_then(|digest| digest.parse().ok()),
            busy_until: row.optional_text(3).map(|_| row.integer(4)).filter(|until| *until >= now),
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
        let (lease, until) = (ulid::Ulid::generate().to_string(), now + LEASE);
        let args = vec![
            Value::from(lease.as_str()),
            until.into(),
            id.as_str().into(),
            owner.repository.as_str().into(),
            owner.principal.as_str().into(),
            now.into(),
        ];
        if let Some(row) = self.table.query(CLAIM, args).await?.first() {
            return Ok(Ok(Claim {
                id: id.clone(),
                session: Session::from_row(row, now),
                checkpoint: row.optional_blob(5).map(Checkpoint::from_bytes),
                written_by: row.optional_text(6).map(str::to_owned),
                lease,
                until,
            }));
        }
        Ok(Err(match self.find(id, owner, now).await? {
            None => Unclaimed::Unknown,
            Some(Session { finished: Some(digest), .. }) => Unclaimed::Finished(digest),
            // Released between the two statements: looked at again at once.
            Some(session) => {
                Unclaimed::Busy { received: session.received, until: session.busy_until.unwrap_or(now) }
            }
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

    /// Notes what was received and how to go on with it, and ends the claim. `false` when it had ended already and
    /// nothing was noted.
    pub(super) async fn suspend(
        &self,
        claim: &Claim,
        received: u64,
        checkpoint: Option<&Checkpoint>,
        now: Micros,
    ) -> Result<bool, Error> {
        let args = vec![
            received.cast_signed().into(),
            checkpoint.map(Checkpoint::as_bytes).into(),
            self.expires(now),
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
        ];
        Ok(self.table.execute(SUSPEND, args).await? > 0)
    }

    /// Ends a claim under which no byte was written that counts. `false` when it had ended already.
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

    /// Removes a session that is still expired and not claimed, and says whether it had become a blob. `None` when
    /// it is in use again or gone.
    pub(super) async fn remove_expired(&self, id: &UploadId, now: Micros) -> Result<Option<bool>, Error> {
        let removed = self.table.query(REMOVE_EXPIRED, vec![id.as_str().into(), now.into()]).await?;
        Ok(removed.first().map(|row| row.optional_text(0).is_some()))
    }

    /// Ends every claim. For the one process that owns the table, when it starts.
    pub(super) async fn release_all(&self) -> Result<(), db::Error> {
        self.table.execute(RELEASE_ALL, Vec::new()).await.map(drop)
    }

    pub(super) async fn expired(&self, now: Micros, limit: i64) -> Result<Vec<UploadId>, Error> {
        let rows = self.table.query(EXPIRED, vec![now.into(), limit.into()]).await?;
        Ok(rows.iter().filter_map(|row| row.text(0).parse().ok()).collect())
    }

    /// Notes that a body for a draft is on its way, for every replica to see. The note ends with
    /// [`unmark`](Self::unmark), and that of a process that was killed like an upload that stands idle.
    pub(super) async fn mark(&self, draft: &Owner, now: Micros) -> Result<UploadId, Error> {
        let id: UploadId =
            format!("draft-{}", ulid::Ulid::generate()).parse().expect("ULIDs make upload ids");
        self.open(&id, draft, None, now).await?;
        Ok(id)
    }

    /// The body came, or will not.
    pub(super) async fn unmark(&self, id: &UploadId, draft: &Owner) -> Result<(), Error> {
        let args = vec![id.as_str().into(), draft.principal.as_str().into()];
        self.table.execute(UNMARK, args).await?;
        Ok(())
    }

    /// Whether a body for a draft is on its way.
    pub(super) async fn is_marked(&self, draft: &Owner, now: Micros) -> Result<bool, Error> {
        let args = vec![draft.repository.as_str().into(), draft.principal.as_str().into(), now.into()];
        Ok(!self.table.query(MARK, args).await?.is_empty())
    }

    pub(super) async fn is_known(&self, id: &str) -> Result<bool, Error> {
        Ok(!self.table.query(KNOWN, vec![id.into()]).await?.is_empty())
    }

    fn expires(&self, now: Micros) -> Value {
        Value::Integer(now.saturating_add(self.expiry))
    }
}
