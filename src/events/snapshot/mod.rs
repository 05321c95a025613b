//! Snapshots: the views at one moment as an object in the storage, so that an emptied database begins there and folds
//! only the events after it.
//!
//! ```text
//! object  = gzip(header frame, then per table: one frame per row in key order, one empty frame)
//! frame   = length as 8 bytes big-endian, canonical CBOR
//! header  = {format, log_id, seq, tables: [{columns, name}], version}
//! row     = [col, …]
//! ```
//!
//! The frames of a table are what its digest is computed over (see [`state`](super::state)), so that the object can be
//! held against the state digest without a database. The log says what the object must be: its content address and
//! the state digest stand in the event `v1.snapshot.created`. The truth stays the log: a snapshot that is not whole is
//! passed over, and `replay` without one proves that they say the same.

mod dump;
mod frames;
mod load;

use async_trait::async_trait;
use futures_util::StreamExt as _;

pub use self::dump::{Dumped, dump};
use super::fact::{Copy, Fact, SnapshotCreated};
use super::tail::read;
use super::{Error, Head, Projections, Sequence};
use crate::db::{Db, Tx};
use crate::hash::Hasher;
use crate::oci::Digest;
use crate::storage::{self, ByteStream};

/// What a header says it is.
const FORMAT: &str = "artifactstore/snapshot/v1";

/// Snapshots that are kept; the event of a new one retires the one before these.
const KEPT: i64 = 2;

/// Newest first. Few: the type has an index of its own.
const NEWEST: &str = "SELECT sequence, type, recorded_at, actor, repository, subject, command_id, header, payload, salt, \
    leaf_hash FROM events WHERE type = 'v1.snapshot.created' ORDER BY sequence DESC LIMIT $1";

/// Every named statement of this module.
pub(super) static STATEMENTS: &[&str] = &[NEWEST];

/// Where the objects of snapshots are.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Opens one, at its size.
    async fn open(&self, object: &Copy) -> Result<ByteStream, Cause>;
}

/// Why an object cannot be read.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a snapshot is passed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("its object cannot be opened")]
    Unopened(#[source] Cause),
    #[error("its object cannot be read")]
    Unread(#[source] storage::Error),
    #[error("its object hashes to {0}")]
    Content(Digest),
    #[error("its object is not of the format {FORMAT}: {0}")]
    Malformed(&'static str),
    #[error("its views come to state {0}")]
    State(Digest),
}

/// A snapshot whose object is what was stored.
pub(super) struct Usable<'a> {
    fact: SnapshotCreated,
    shelf: &'a dyn Shelf,
}

impl Usable<'_> {
    /// The newest event it includes.
    pub(super) fn sequence(&self) -> Sequence {
        self.fact.sequence
    }

    /// Says that something else is used.
    pub(super) fn warn(&self, unusable: &Unusable) {
        warn(&self.fact, unusable);
    }

    /// Fills the views, which must be empty, and holds them against the state digest. When it cannot be used after
    /// all, some of it may be in them.
    pub(super) async fn load(
        &self,
        tx: &mut Tx,
        head: &Head,
        projections: &Projections,
    ) -> Result<Result<(), Unusable>, Error> {
        load::load(self, tx, head, projections).await
    }
}

/// The newest snapshot for these projections whose object is whole. The older one is for when that is damaged.
pub(super) async fn newest_usable<'a>(
    db: &Db,
    projections: &Projections,
    shelf: &'a dyn Shelf,
) -> Result<Option<Usable<'a>>, Error> {
    for fact in newest(db).await? {
        if fact.views_version != projections.version() {
            continue;
        }
        match is_whole(&fact, shelf).await {
            Ok(()) => return Ok(Some(Usable { fact, shelf })),
            Err(unusable) => warn(&fact, &unusable),
        }
    }
    Ok(None)
}

async fn newest(db: &Db) -> Result<Vec<SnapshotCreated>, Error> {
    let head = match Head::newest(db).await {
        Err(Error::Absent) => return Ok(Vec::new()),
        head => head?,
    };
    let events = read(&db.query(NEWEST, vec![KEPT.into()]).await?, &head.log_id)?;
    let fact = |event: super::Event| match event.fact {
        Fact::SnapshotCreated(fact) => Some(fact),
        _ => None,
    };
    Ok(events.into_iter().filter_map(fact).collect())
}

async fn is_whole(fact: &SnapshotCreated, shelf: &dyn Shelf) -> Result<(), Unusable> {
    let mut body = shelf.open(&fact.object).await.map_err(Unusable::Unopened)?;
    let mut hasher = Hasher::new(fact.object.content.algorithm());
    while let Some(bytes) = body.next().await {
        hasher.update(&bytes.map_err(Unusable::Unread)?);
    }
    let actual = hasher.finish();
    if actual == fact.object.content { Ok(()) } else { Err(Unusable::Content(actual)) }
}

fn warn(fact: &SnapshotCreated, unusable: &Unusable) {
    tracing::warn!(
        key = fact.object.key,
        error = unusable as &dyn std::error::Error,
        "The snapshot at event {} is passed over",
        fact.sequence
    );
}
