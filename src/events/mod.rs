//! The event log: the source of truth.
//!
//! Every change of the registry is a [`Command`] handed to [`Log::submit`]. One appender per process takes
//! what has queued up, decides each command against the rows it names, numbers the events, folds them into
//! the views and commits everything in one synced transaction (group commit). Then it answers.
//!
//! - **Gapless.** Sequence numbers are 1..N; the head row is taken first and updated last.
//! - **Pure.** [`Command::decide`] and [`Projection::apply`] look only at [`Rows`]: no clock, no I/O, no
//!   randomness. Both are tested without a database, and replay is the same `apply`.
//! - **One log, many replicas.** In a shared database the lock of the head row orders the appends of all
//!   replicas. Each follows what the others append and hands it to its [`Observer`]; [`Log::current`] is the
//!   barrier behind which a reader sees every write acknowledged anywhere. A head that does not continue the
//!   one known (a restore, a failover that lost events) stops the replica.
//! - **The log does not know the views.** It owns the [`Projection`] trait; the registry hands it the list.

mod appender;
mod command;
mod event;
mod fact;
pub mod feed;
mod follower;
#[cfg(test)]
pub(crate) mod golden;
mod head;
mod log;
mod look;
mod patience;
pub mod places;
mod query;
mod replay;
mod rows;
pub mod snapshot;
mod state;
mod tail;
mod target;
pub mod trail;
pub mod transfer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use command::{Command, Committed, Decision, Refusal};
pub use event::{Actor, CommandId, Event, EventError, Sequence};
#[cfg(test)]
pub(crate) use fact::tests::examples;
pub use fact::{
    BlobCorrupted, BlobLinked, BlobRecovered, BlobRepaired, BlobRevived, BlobStored, BlobUnlinked,
    BlobUnreadable, BlobsCondemned, BlobsDeleteIntended, BlobsKept, BlobsPurged, BlobsReleased,
    CertificateIssued, ClockResynchronised, ClockTicked, ContentDigested, Copy, Damage, DispositionApproved,
    DispositionExecuted, DispositionProposed, DispositionRejected, DispositionVoided, Fact, FactError,
    GcCompleted, HoldPlaced, HoldReleased, KeptBecause, ManifestDeleted, ManifestPushed, ObjectDeleted,
    ObjectStored, Orphan, OrphansRemoved, PackageCreated, PackageDeleted, PackageFailed, PackageFailure,
    PackageFileDropped, PackageFileIngested, PackageFileReplaced, PackageFinalized, PolicyChanged, Reference,
    RetentionDenied, RetentionExtended, RetentionResolved, RetentionShortened, RetentionStarted, Role,
    SchemaRegistered, ScrubCompleted, SnapshotCreated, Subject, Subscribed, TagDeleted, TagMoved,
    WebhookChanged, WebhookCreated, WebhookDeleted, WebhookId, WebhookIdError, manifest_key,
};
pub use head::Head;
pub use log::{Log, Observer};
pub use look::look;
pub use replay::{Folded, Progress, Replayed, check, check_views, check_with, rebuild, rebuild_with};
pub use rows::{Change, Read, Rows};
pub use state::{StateDigest, TableDigest, digest};

pub use target::Target;

use crate::db::{self, Column, Table};

/// The bytes of every manifest (truth): what events name but do not carry.
pub static MANIFEST_CONTENTS: Table = Table {
    name: "manifest_contents",
    columns: &[Column::text("content"), Column::blob("bytes")],
    key: 1,
    indexes: &[],
};

/// The tables that hold the truth and what belongs to it: never rebuilt, what a backup must have.
pub fn tables() -> [&'static Table; 4] {
    [&event::EVENTS, Head::table(), &MANIFEST_CONTENTS, places::table()]
}

/// Every named statement of the log, for the test that prepares each.
pub fn statements() -> impl Iterator<Item = &'static str> {
    let all = [
        appender::STATEMENTS,
        feed::STATEMENTS,
        head::STATEMENTS,
        query::STATEMENTS,
        snapshot::STATEMENTS,
        tail::STATEMENTS,
        trail::STATEMENTS,
    ];
    all.into_iter().flatten().copied()
}

/// Folds events into the rows of its tables.
///
/// `apply` is a pure function of the event and of rows in its own tables. It never reads a clock,
/// configuration, storage or a random source, or a replay would rebuild something else.
pub trait Projection: Send + Sync {
    /// The tables this projection owns.
    fn tables(&self) -> Vec<&'static Table>;

    /// Rows that [`apply`](Self::apply) will look at; a hint that lets a batch load them together.
    fn reads(&self, event: &Event) -> Vec<Read>;

    /// The row changes that follow from an event.
    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change>;
}

/// Every projection of the registry. Cheap to clone.
#[derive(Clone)]
pub struct Projections {
    list: Arc<[Box<dyn Projection>]>,
    version: i64,
}

impl Projections {
    /// `version` grows whenever any projection or its schema changes: stored views of another version are
    /// rebuilt when the log is opened.
    pub fn new(list: Vec<Box<dyn Projection>>, version: i64) -> Self {
        Self { list: list.into(), version }
    }

    /// The version of the whole list.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Every table of every projection, by name.
    pub fn tables(&self) -> Vec<&'static Table> {
        let mut tables: Vec<_> = self.list.iter().flat_map(|p| p.tables()).collect();
        tables.sort_by_key(|table| table.name);
        tables
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        self.list.iter().flat_map(|p| p.reads(event)).collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        self.list.iter().flat_map(|p| p.apply(event, rows)).collect()
    }
}

impl std::fmt::Debug for Projections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Projections(version {})", self.version)
    }
}

/// What can go wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed; nothing of the command is recorded.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A fact does not fit the encoding: a text too long, an integer too large.
    #[error("a fact cannot be encoded")]
    Encode(#[source] crate::codec::cbor::Error),
    /// An event's header would not fit into a proof.
    #[error("an event header of {len} bytes, at most {limit} are allowed")]
    HeaderTooLong {
        /// How long it would be.
        len: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A stored event is not what was recorded.
    #[error("event {sequence} is damaged")]
    Damaged {
        /// Its position.
        sequence: Sequence,
        /// What does not hold.
        #[source]
        source: EventError,
    },
    /// The log has a hole.
    #[error("event {expected} is missing, {found} follows")]
    Gap {
        /// The number that should be next.
        expected: Sequence,
        /// The number found.
        found: Sequence,
    },
    /// The head row says the log ends elsewhere than its last event.
    #[error("the head says {head} events, the log has {events}")]
    Head {
        /// Events according to the head row.
        head: Sequence,
        /// Events found.
        events: Sequence,
    },
    /// The database holds another log than the one to be copied.
    #[error("the database holds log {found}, not {expected}")]
    OtherLog {
        /// The log to be copied.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A finished copy and its original have different lengths: each has gone on by itself.
    #[error(
        "the copy was finished and has {copy} events, the original has {original}: they are two histories now"
    )]
    Grown {
        /// Events of the copy.
        copy: Sequence,
        /// Events of the original.
        original: Sequence,
    },
    /// Two logs that should be the same are not.
    #[error("the logs differ at event {sequence}")]
    Differs {
        /// The first event that differs or that one of them lacks.
        sequence: Sequence,
    },
    /// The bytes of a manifest are not what they were.
    #[error("the bytes of manifest {content} hash to {actual}")]
    Content {
        /// The content address.
        content: String,
        /// What is there.
        actual: crate::oci::Digest,
    },
    /// The database is not the log this process knows; it must not append to it.
    #[error(transparent)]
    Forked(Forked),
    /// The views were written by another version of the program, which must be the one to go on.
    #[error(
        "the views are of version {found}, this program writes version {known}; run the same artifactstore \
         everywhere, or rebuild the views with this one: artifactstore replay"
    )]
    Superseded {
        /// The version this program writes.
        known: i64,
        /// The version found.
        found: i64,
    },
    /// The log was restored without the views, and nobody has rebuilt them yet.
    #[error(
        "the log has events and the views have nothing; start the server, or rebuild them: artifactstore replay"
    )]
    Unbuilt,
    /// A copy into this database was not finished.
    #[error("a copy into this database is not finished; run `artifactstore copy` again")]
    Unfinished,
    /// The event that is asked for is not in the log any more.
    #[error("the events up to {horizon} are not in the log any more")]
    Expired {
        /// The last one that is not.
        horizon: Sequence,
    },
    /// The log was never initialised.
    #[error("the database has no log")]
    Absent,
    /// Deciding a command or folding its events panicked; nothing of it is recorded, others are unharmed.
    #[error("deciding or folding panicked: {0}")]
    Poisoned(String),
    /// The appender has stopped.
    #[error("the log is closed")]
    Closed,
}

impl Error {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_unavailable())
    }
}

/// A log that does not go on where it was: a restore, or a failover that lost events.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the database went back: this process knows event {} of log {} (epoch {}), the database ends at event {} of \
     log {} (epoch {}){}; check what was restored, then restart", known.last(), known.log_id, known.epoch,
    found.last(), found.log_id, found.epoch,
    differs_at.map(|at| format!(" and has another event {at}")).unwrap_or_default()
)]
pub struct Forked {
    /// Where the log was.
    pub known: Box<Head>,
    /// Where the database says it is.
    pub found: Box<Head>,
    /// A known event that is another one there; `None` when the head alone tells.
    pub differs_at: Option<Sequence>,
}
