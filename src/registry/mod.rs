//! The use cases: what a registry does, as a library.
//!
//! [`Registry`] is the API that the HTTP server and the commands call; it can be used without either
//! (LOG-6). It knows no HTTP: it takes checked types and bodies and returns facts or an [`Error`] that
//! names what a caller can act on.
//!
//! Every change goes the same way: bytes are made durable by the data plane, then one command is submitted
//! to the log, whose decision sees the views as they are at that moment.

mod audit;
mod blobs;
mod cache;
mod catalog;
mod collection;
mod commands;
mod compliance;
mod copy;
mod denials;
mod error;
mod events;
mod feed;
mod health;
mod maintenance;
mod manifests;
mod objects;
mod options;
mod origins;
mod pace;
mod packages;
mod places;
mod protection;
mod referrers;
mod retention;
mod scrub;
mod serving;
mod sessions;
mod signing;
mod snapshots;
mod store;
mod sweep;
mod tags;
mod troubles;
mod unlinking;
mod uploads;
mod verify;
mod webhooks;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

pub use audit::{
    ACTIONS as AUDIT_ACTIONS, Decision, Entry as AuditEntry, Filter as AuditFilter,
    MAX_BYTES as MAX_AUDIT_BYTES, MAX_PAGE as MAX_AUDITED, Page as AuditPage, Span as AuditSpan,
    read as read_audit,
};
pub use blobs::{Blob, PushedBlob};
pub use collection::{
    CollectionRun, Options as CollectionOptions, Plan as CollectionPlan, RunStatus, Tally,
    plan as plan_collection,
};
pub use compliance::{ClockReading, ClockTick, Options as ClockOptions, read_clock};
pub use copy::{Copied, CopyOutcome, Side, copy};
pub use error::Error;
pub use events::{has_repository, read_events};
pub use feed::{Begin, ExpectedLog, Feed, Sight};
pub use health::{Component, Health, has_log, inspect, probe};
pub use manifests::{Manifest, PushedManifest};
pub use objects::{
    Condition, Contents, KeyedObject, KeyedStore, List, Listing, MAX_LISTED, NewObject, ObjectUrl, Prefix,
    build_key, normalise_key, object_path,
};
pub use origins::{Origin, Via};
pub use packages::{
    FileLocation, Filter, Finalize, NewFile, NewPackage, Package, PackageFile, Registered, Schema, Status,
};
pub use places::{WrongPlace, refuse_same_place};
pub use protection::{Action, Protected, REUSE};
pub use referrers::ReferrersPage;
pub use retention::{
    Approval, Certificate, DisposalOptions, DisposalRun, Disposition, DispositionStatus, Eligible,
    Explanation, Extension, Hold, Item, ItemError, NewHold, Release, Retention, Scheduled, ScheduledStep,
    StoredBlob, Tombstone, plan_disposal,
};
pub use scrub::{
    Options as ScrubOptions, ScrubRun, ScrubState, ScrubStatus, TroubleCounts, Verified as VerifiedCopy,
};
pub use signing::Signature;
pub use signing::keys::{LONGEST as LONGEST_URL, rotate_signing_key};
pub use snapshots::{Options as SnapshotOptions, Snapshot};
pub use store::{LOCAL, Stat, Store, Verified};
pub use sweep::Swept;
pub use tags::HistorySpan;
pub use uploads::{Progress, Upload};
pub use verify::{
    Check, Fault, Replay, Verification, replay, replay_check, replay_check_with, replay_with, verify,
};
pub use webhooks::{
    Allowed, AllowedError, Change as WebhookChange, Courier, Deliver, Delivery, Endpoint, EndpointError,
    FilterChange as WebhookFilterChange, FilterField as WebhookFilterField, Forbidden,
    Format as WebhookFormat, Guard, Host, LONGEST_DELIVERY, NewWebhook, Options as WebhookOptions, Receipt,
    SecretError, Since as WebhookSince, State as WebhookState, Undelivered, Webhook, WebhookSecret,
};

pub use crate::dataplane::{Body, ClientError};
pub use crate::events::feed::{
    Filter as EventFilter, Limit as EventLimit, Page as EventPage, Record, SCANNED as SCANNED_EVENTS,
    TypePattern, TypePatternError, cloud_event, json as event_json, leaf_hash,
};
pub use crate::events::{
    Actor, Damage, Event, Folded, Head, Replayed, StateDigest, Target, WebhookId, WebhookIdError,
};
pub use crate::storage::{ByteRange, ByteStream, Capability, Object};
pub use crate::views::damages::{DATABASE, Damaged, State as DamageState, Trouble};
pub use crate::views::tag_history::{Entry as TagTurn, Turn};

use crate::clock::{Clock, Micros, SECOND};
use crate::dataplane::DataPlane;
use crate::db::Db;
use crate::events::{Command, Committed, Fact, Log, Observer, Refusal};
use crate::retention::Policy;
use crate::views;

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long an upload session may stand idle before it is swept.
    pub upload_expiry: Duration,
    /// The largest manifest; a larger one is refused before it is buffered.
    pub max_manifest: usize,
    /// The largest blob.
    pub max_blob: u64,
    /// Whether an image manifest may name blobs that its repository does not hold. An index may always.
    pub allow_sparse: bool,
    /// Whether a blob that is read as a whole is compared with its content address on the way.
    pub verify_reads: bool,
    /// Memory for manifests that are asked for often, bytes.
    pub manifest_cache: u64,
    /// How long nothing may happen to a draft of a package before it is given up.
    pub draft_expiry: Duration,
    /// How garbage is collected.
    pub gc: CollectionOptions,
    /// How the clock is kept that retentions are judged by.
    pub clock: ClockOptions,
    /// Whether and when what may leave by schedule does.
    pub disposal: DisposalOptions,
    /// How stored bytes are verified.
    pub scrub: ScrubOptions,
    /// When snapshots of the views are written.
    pub snapshots: SnapshotOptions,
    /// Where webhooks may be sent, and how many.
    pub webhooks: WebhookOptions,
    /// How long it is kept from where commands came; zero for not at all.
    pub origins_keep: Duration,
    /// How long things are kept.
    pub retention: Policy,
    /// Whether the newest policy of the log is in force instead, and none is recorded.
    pub keeps_policy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            upload_expiry: Duration::from_hours(24),
            max_manifest: 4 * 1024 * 1024,
            max_blob: u64::MAX,
            allow_sparse: false,
            verify_reads: true,
            manifest_cache: 32 * 1024 * 1024,
            draft_expiry: Duration::from_hours(7 * 24),
            gc: CollectionOptions::default(),
            clock: ClockOptions::default(),
            disposal: DisposalOptions::default(),
            scrub: ScrubOptions::default(),
            snapshots: SnapshotOptions::default(),
            webhooks: WebhookOptions::default(),
            origins_keep: Duration::from_hours(90 * 24),
            retention: Policy::default(),
            keeps_policy: false,
        }
    }
}

/// An open registry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    log: Log,
    data: DataPlane,
    clock: Clock,
    options: Options,
    cache: Arc<cache::Cache>,
    uploads: uploads::Active,
    /// The policy in force, as the log has it.
    policy: Policy,
    denials: denials::Denials,
    origins: origins::Recorder,
    /// Bounds how many pages of the audit read payloads at once.
    audits: Semaphore,
    compliance: Arc<compliance::Keeper>,
    troubles: Arc<troubles::Troubles>,
    /// Bounds how many copies that seem damaged are read again at once.
    looks: Semaphore,
    /// Bounds what is spent on large packages at once.
    composing: packages::Weights,
    /// Bounds what is spent on metadata at once.
    checks: packages::Checks,
    /// Told of changes of webhooks here.
    webhooks: Notify,
    opened_at: Micros,
    /// Whether other replicas write to the database too.
    is_shared: bool,
}

impl Registry {
    /// Opens the registry whose log is in `db` and whose bytes are in `data`.
    ///
    /// Never walks the store: start-up takes the same time however much is stored.
    pub async fn open(db: Db, data: DataPlane, clock: Clock, options: Options) -> Result<Self, Error> {
        let is_shared = db.is_shared();
        Self::open_as(db, data, clock, options, is_shared).await
    }

    async fn open_as(
        db: Db,
        data: DataPlane,
        clock: Clock,
        options: Options,
        is_shared: bool,
    ) -> Result<Self, Error> {
        let cache = Arc::new(cache::Cache::new(options.manifest_cache));
        let compliance = Arc::new(compliance::Keeper::new(clock.clone(), micros(options.clock.jump)));
        let troubles = Arc::<troubles::Troubles>::default();
        let told = Told {
            cache: Arc::clone(&cache),
            compliance: Arc::clone(&compliance),
            troubles: Arc::clone(&troubles),
        };
        let observer: Arc<dyn Observer> = Arc::new(told);
        let shelf = snapshots::Shelved(&data);
        let log =
            Log::open_with(db.clone(), views::projections(), clock.clone(), observer, Some(&shelf)).await?;
        let uploads = uploads::Active::default();
        let opened_at = clock.now();
        if let Some(tick) = views::compliance::find(&db).await? {
            compliance.learn(tick);
        }
        let policy = if options.keeps_policy {
            retention::in_force(&db).await?
        } else {
            retention::adopt(&db, &log, options.retention.clone()).await?
        };
        let origins = origins::Recorder::start(&db, clock.clone(), options.origins_keep);
        let inner = Inner {
            db,
            log,
            data,
            clock,
            options,
            cache,
            uploads,
            policy,
            denials: denials::Denials::default(),
            origins,
            audits: Semaphore::new(audit::READERS),
            compliance,
            troubles,
            looks: Semaphore::new(scrub::LOOKS),
            composing: packages::Weights::default(),
            checks: packages::Checks::default(),
            webhooks: Notify::new(),
            opened_at,
            is_shared,
        };
        let registry = Self { inner: Arc::new(inner) };
        if !is_shared {
            // Nobody else has the database: claims of an earlier process are void.
            registry.sessions().release_all().await?;
            maintenance::Maintenance::new(&registry.inner.db).release_all().await?;
            webhooks::table::Webhooks::new(&registry.inner.db).release_all().await?;
        }
        Ok(registry)
    }

    /// What it was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Names the log among all logs.
    pub fn log_id(&self) -> String {
        self.inner.log.watch().borrow().log_id.clone()
    }

    /// Where the log ends, as far as this process knows.
    pub fn head(&self) -> Head {
        self.inner.log.watch().borrow().clone()
    }

    /// The number of the newest event.
    pub fn last_sequence(&self) -> i64 {
        self.inner.log.last()
    }

    async fn submit<C>(&self, actor: Actor, command: C) -> Result<Committed, Error>
    where
        C: Command<Rejection = Error>,
    {
        let command = compliance::WithClock { command, wall: self.inner.clock.now() };
        match self.inner.log.submit(actor.clone(), command).await {
            Ok(committed) => {
                self.inner.origins.note(Origin::here().as_deref(), &committed).await;
                Ok(committed)
            }
            Err(Refusal::Rejected(error)) => {
                self.note_refusal(&actor, &error).await;
                Err(error)
            }
            Err(Refusal::Failed(error)) => Err(Error::Log(error)),
        }
    }

    /// Looks into the cache. What is found there is as new as the newest acknowledged write before the call, also one
    /// of another replica; when that cannot be made sure of, the answer is an error and never an old one.
    async fn cached<T>(&self, look: impl Fn(&cache::Cache) -> Option<T>) -> Result<Option<T>, Error> {
        let found = look(&self.inner.cache);
        if found.is_none() || !self.inner.is_shared {
            return Ok(found);
        }
        self.inner.log.current().await.map_err(Error::Log)?;
        Ok(look(&self.inner.cache))
    }

    fn upload_expiry(&self) -> Micros {
        micros(self.inner.options.upload_expiry)
    }

    fn draft_expiry(&self) -> Micros {
        micros(self.inner.options.draft_expiry)
    }
}

fn micros(duration: Duration) -> Micros {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND)
}

/// Who is told of what was committed.
struct Told {
    cache: Arc<cache::Cache>,
    compliance: Arc<compliance::Keeper>,
    troubles: Arc<troubles::Troubles>,
}

impl Observer for Told {
    fn committed(&self, events: &[Event]) {
        self.cache.committed(events);
        self.compliance.committed(events);
        self.troubles.committed(events);
    }

    fn lost_track(&self) {
        self.cache.lost_track();
        self.compliance.lost_track();
        self.troubles.lost_track();
    }
}

impl Observer for cache::Cache {
    fn committed(&self, events: &[Event]) {
        for event in events {
            match (&event.fact, event.fact.repository()) {
                (_, Some(repository)) => self.invalidate(repository),
                // For every repository that links them the bytes moved, or are served no more or again.
                (Fact::BlobRepaired(_) | Fact::BlobCorrupted(_) | Fact::BlobRecovered(_), None) => {
                    self.invalidate_all();
                }
                (_, None) => {}
            }
        }
    }

    fn lost_track(&self) {
        self.invalidate_all();
    }
}
