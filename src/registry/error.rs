//! What a use case can say no with.

use std::sync::Arc;
use std::time::Duration;

use super::places::WrongPlace;
use super::protection::Protected;
use super::{DispositionStatus, Forbidden, Status, WebhookState};
use crate::clock::Micros;
use crate::events::{Damage, Target, WebhookId};
use crate::oci::{Digest, ManifestError, RepositoryName, Tag, UploadId};
use crate::package::mapping::Mismatch;
use crate::package::{self, PackageId, PackagePath};
use crate::retention::{Denied, DispositionId, HoldId, LATEST, Refused, rfc3339};
use crate::storage::PlaceId;
use crate::{dataplane, db, events};

/// Everything a caller can act on, and the failures below.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was ever pushed to this repository.
    #[error("repository {0} is not known")]
    RepositoryUnknown(RepositoryName),
    /// The repository does not hold this blob.
    #[error("blob {0} is not known in this repository")]
    BlobUnknown(Digest),
    /// The repository does not hold this manifest.
    #[error("manifest {0} is not known in this repository")]
    ManifestUnknown(String),
    /// A blob cannot leave while a manifest names it.
    #[error("blob {blob} is named by manifest {manifest}")]
    BlobInUse {
        /// The blob.
        blob: Digest,
        /// One manifest that names it, by the digest it was pushed by.
        manifest: Digest,
    },
    /// A blob cannot leave while it is a file of a package or of a draft, or the content manifest of a package.
    #[error("blob {blob} is a file or the content manifest of package {package}")]
    BlobInPackage {
        /// The blob.
        blob: Digest,
        /// One package that has it.
        package: PackageId,
    },
    /// A blob cannot leave while a key names it.
    #[error("blob {blob} is the object of key {key:?}", key = key.as_str())]
    BlobInObject {
        /// The blob.
        blob: Digest,
        /// One key that names it.
        key: PackagePath,
    },
    /// It is held or retained.
    #[error(transparent)]
    Protected(Box<Protected>),
    /// A tag that named what was disposed of is never used again.
    #[error("tag {tag} was retired by disposition {disposition}: it is never used again")]
    TagRetired {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it named.
        target: Target,
        /// What retired it.
        disposition: DispositionId,
    },
    /// A retention may not be changed so.
    #[error(transparent)]
    RetentionRefused(#[from] Refused),
    /// The policy gives no such class.
    #[error(transparent)]
    ClassDenied(#[from] Denied),
    /// Nothing retains it by itself, so there is nothing to change.
    #[error("{0} is under no retention of its own; give it a class first, or name the package that has one")]
    NotRetained(String),
    /// A draft comes under its retention when it is finalized.
    #[error("package {0} is a draft: its retention begins when it is finalized")]
    NotRetainedYet(PackageId),
    /// To shorten a retention needs the special right and the will to use it.
    #[error("to shorten a retention one must ask to bypass governance, and have the right to")]
    BypassNeeded,
    /// Whose retention the release of a hold on everything would start is not to be told.
    #[error(
        "an event hold is on one thing, whose retention its release starts; hold a whole repository by a legal hold"
    )]
    EventHoldOnAll,
    /// No hold of this repository has this id.
    #[error("hold {0} is not known in this repository")]
    HoldUnknown(HoldId),
    /// A hold ends once.
    #[error("hold {hold} was released at {at} already", at = rfc3339(*at))]
    HoldEnded {
        /// The hold.
        hold: HoldId,
        /// When it was released.
        at: Micros,
    },
    /// No disposition of this repository has this id.
    #[error("disposition {0} is not known in this repository")]
    DispositionUnknown(DispositionId),
    /// A disposition ends once.
    #[error("disposition {disposition} is {status} and over", status = status.as_str())]
    DispositionEnded {
        /// The disposition.
        disposition: DispositionId,
        /// How it ended.
        status: DispositionStatus,
    },
    /// What was not executed deleted nothing that could be certified.
    #[error("disposition {disposition} is {status}: only one that was executed has a certificate", status = status.as_str())]
    NotExecuted {
        /// The disposition.
        disposition: DispositionId,
        /// How far it is.
        status: DispositionStatus,
    },
    /// There is one disposition of a thing at a time.
    #[error("disposition {0} is open already; approve, reject or execute that one")]
    DispositionOpen(DispositionId),
    /// Nobody approves what he proposed.
    #[error("disposition {0} must be approved by others than the one who proposed it")]
    OwnProposal(DispositionId),
    /// The retention is not as it was when the approver looked.
    #[error("disposition {disposition} is about revision {revision}; look at it again")]
    StaleRevision {
        /// The disposition.
        disposition: DispositionId,
        /// The revision it is about.
        revision: i64,
    },
    /// Approvals are missing.
    #[error("disposition {disposition} needs {missing} more approvals")]
    NotApproved {
        /// The disposition.
        disposition: DispositionId,
        /// How many are missing.
        missing: usize,
    },
    /// The time to think again is not over.
    #[error("disposition {disposition} cools off until {at}", at = rfc3339(*until))]
    CoolingOff {
        /// The disposition.
        disposition: DispositionId,
        /// Until when.
        until: Micros,
    },
    /// It was here and was disposed of.
    #[error("{reference} was disposed of at {at} by disposition {disposition}", at = rfc3339(*at))]
    Disposed {
        /// Its repository.
        repository: RepositoryName,
        /// How it was asked for.
        reference: String,
        /// What ended it.
        disposition: DispositionId,
        /// When.
        at: Micros,
    },
    /// What is not there any more cannot be held.
    #[error("package {package} is {status}: there is nothing left to hold or retain", status = status.as_str())]
    NothingLeft {
        /// The package.
        package: PackageId,
        /// What it is.
        status: Status,
    },
    /// A time that the log cannot say.
    #[error("there is no such time in the log: it ends at {at}; say forever for later", at = rfc3339(LATEST))]
    TimeInvalid,
    /// A text that has to be given is missing, too long or not plain.
    #[error(
        "{field}: give a text of 1 to {most} bytes without control characters and marks of writing direction"
    )]
    TextInvalid {
        /// Which.
        field: &'static str,
        /// The longest, in bytes.
        most: usize,
    },
    /// What a tag or a digest names differs from repository to repository.
    #[error("reference: a tag or a digest is something in a repository; name the repository too")]
    AuditOfRepository,
    /// There is no such package here.
    #[error("package {0} is not known here")]
    PackageUnknown(PackageId),
    /// Only a draft can be changed.
    #[error("package {package} is {status} and no draft: it cannot be changed any more", status = status.as_str())]
    PackageNotDraft {
        /// The package.
        package: PackageId,
        /// What it is.
        status: Status,
    },
    /// The draft changed whenever it was about to be finalized.
    #[error("package {0} keeps changing; finalize it when everything was sent")]
    PackageChanged(PackageId),
    /// Only a finalized package has a manifest.
    #[error("package {package} is {status}: only a finalized package has a manifest", status = status.as_str())]
    PackageNotFinalized {
        /// The package.
        package: PackageId,
        /// What it is.
        status: Status,
    },
    /// The draft has a file at this path already.
    #[error("package {package} has a file {path} already; ask to replace it, or choose another path")]
    FileExists {
        /// The package.
        package: PackageId,
        /// The path.
        path: PackagePath,
    },
    /// The package has no such file.
    #[error("package {package} has no file {path}")]
    FileUnknown {
        /// The package.
        package: PackageId,
        /// The path.
        path: PackagePath,
    },
    /// The file is inside an archive that was pushed whole.
    #[error(
        "file {path} of package {package} is inside an archive; pull the package, or its layer, to get it"
    )]
    FileInArchive {
        /// The package.
        package: PackageId,
        /// The path.
        path: PackagePath,
    },
    /// A path would be a file and a folder.
    #[error("{file} would be a file and also the folder of {inside}")]
    PathConflict {
        /// The file.
        file: PackagePath,
        /// What is in the folder.
        inside: PackagePath,
    },
    /// It does not make a package.
    #[error(transparent)]
    PackageInvalid(#[from] package::Invalid),
    /// An archive that was pushed as a package cannot be listed.
    #[error("layer {layer}: {source}")]
    ArchiveInvalid {
        /// The layer.
        layer: Digest,
        /// What is wrong with it.
        source: package::archive::Error,
    },
    /// No metadata schema of this name.
    #[error("metadata schema {0:?} is not known")]
    SchemaUnknown(String),
    /// A package names a schema that was never registered.
    #[error("metadata schema {0:?} is not registered; register it first, or leave the field schema out")]
    SchemaMissing(String),
    /// What was to be registered is not a JSON Schema.
    #[error("{name:?} is not a JSON Schema this registry takes: {reason}")]
    SchemaInvalid {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The metadata is not what its schema says.
    #[error("the metadata violates schema {schema:?}: {}", violations.join("; "))]
    MetadataInvalid {
        /// The schema.
        schema: String,
        /// Each violation with its place.
        violations: Vec<String>,
    },
    /// No object has this key.
    #[error("there is no object with key {key:?} in this repository", key = .0.as_str())]
    KeyUnknown(PackagePath),
    /// What an object is said to be is not a media type.
    #[error("{0:?} is not a media type; one is like application/pdf, without parameters")]
    MediaTypeInvalid(String),
    /// No byte of the range is in the object.
    #[error("no byte of the range is in these {size} bytes")]
    RangeInvalid {
        /// The object's size.
        size: u64,
    },
    /// A URL cannot work for such a time.
    #[error("a URL works for 1 to {} seconds", longest.as_secs())]
    UrlTime {
        /// The longest one works.
        longest: Duration,
    },
    /// The URL proves nothing, or not any more.
    #[error("this URL is not one the registry signed for what is there now; ask for a new one")]
    UrlRefused,
    /// The URL was good once.
    #[error("this URL ended at {at}; ask for a new one", at = rfc3339(*at))]
    UrlExpired {
        /// When it ended.
        at: Micros,
    },
    /// A manifest names content the repository does not hold.
    #[error("the manifest names content that this repository does not hold")]
    ReferencesUnknown(Vec<Digest>),
    /// The bytes are not an acceptable manifest.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest is too large.
    #[error("the manifest is larger than {limit} bytes")]
    ManifestTooLarge {
        /// The limit.
        limit: usize,
    },
    /// More tags than one request may set.
    #[error("at most {limit} tags can be set at once")]
    TooManyTags {
        /// The limit.
        limit: usize,
    },
    /// The repository does not have this tag.
    #[error("tag {0} is not known in this repository")]
    TagUnknown(Tag),
    /// The content is not what its digest says.
    #[error("the content has digest {actual}, not {claimed}")]
    DigestMismatch {
        /// What the client said.
        claimed: Digest,
        /// What it is.
        actual: Digest,
    },
    /// There is no such upload session here, or not any more.
    #[error("upload {0} is not known in this repository")]
    UploadUnknown(UploadId),
    /// The chunk does not continue where the upload stands; nothing was appended.
    #[error("the upload stands at {received} bytes, the chunk does not continue there")]
    UploadOutOfOrder {
        /// Bytes received.
        received: u64,
    },
    /// The body has another length than its range says; nothing was appended.
    #[error("the chunk has {actual} bytes, its range says {declared}")]
    ChunkSize {
        /// What the range says.
        declared: u64,
        /// What came.
        actual: u64,
    },
    /// The body broke off. What arrived is kept.
    #[error("the request body broke off after {received} bytes of the upload: {reason}")]
    BodyBroken {
        /// Bytes the upload has now.
        received: u64,
        /// What happened.
        reason: String,
    },
    /// The key names something else than its client said it would, or something at all.
    #[error(
        "key {key:?} names {now}, which is not what the condition of the request says",
        key = key.as_str(), now = now.as_ref().map_or("nothing", Digest::as_str)
    )]
    KeyDiffers {
        /// The key.
        key: PackagePath,
        /// SHA-256 of what it names.
        now: Option<Digest>,
    },
    /// The blob is too large.
    #[error("the blob is larger than {limit} bytes")]
    BlobTooLarge {
        /// The limit.
        limit: u64,
    },
    /// Stored bytes failed.
    #[error("stored bytes cannot be used")]
    Data(#[source] dataplane::Error),
    /// The log failed.
    #[error("the event log failed")]
    Log(#[source] Arc<events::Error>),
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] db::Error),
    /// A manifest row exists without its bytes, or with others.
    #[error("the bytes of manifest {0} are missing or damaged; push it again to repair it")]
    ManifestLost(Digest),
    /// The stored bytes are known not to be what was stored.
    #[error("the stored bytes of {digest} are {damage}; push the content again to repair it", damage = damage.as_str())]
    BlobDamaged {
        /// The digest asked for.
        digest: Digest,
        /// What is wrong with them.
        damage: Damage,
    },
    /// A copy leads to other views than its original: this program folds events differently than the one before.
    #[error("the views of the copy differ from the original's: {0}")]
    CopyDiffers(String),
    /// The storage is not the one that the objects of the log are in.
    #[error(transparent)]
    WrongPlace(WrongPlace),
    /// Both sides of a copy store in one place.
    #[error(
        "both sides store in place {0}: what is written to the copy or removed from it would be the original's; give \
         the copy a folder or a bucket of its own"
    )]
    SamePlace(PlaceId),
    /// A place in the log that is beyond its end.
    #[error(
        "event {since} is beyond the end of the log, which is at {head}: it was restored or replaced; compare log_id and \
         epoch with those of your last answer, and see what is missing here before you begin again at 0"
    )]
    CursorAhead {
        /// What was asked for.
        since: i64,
        /// Where the log ends.
        head: i64,
    },
    /// A place in another log, or in an earlier life of this one.
    #[error(
        "this is log {log_id} in epoch {epoch}, and not the one the place is in: it was restored or replaced; see what \
         is missing here before you begin again at 0"
    )]
    OtherLog {
        /// The log that is here.
        log_id: String,
        /// Its epoch.
        epoch: i64,
    },
    /// A place in the log whose next event is not there any more.
    #[error(
        "the events up to {horizon} are not in the log any more, and the one after {since} is one of them"
    )]
    CursorExpired {
        /// What was asked for.
        since: i64,
        /// The last event that is gone.
        horizon: i64,
    },
    /// There is no such webhook.
    #[error("webhook {0} is not known")]
    WebhookUnknown(WebhookId),
    /// There are as many webhooks as there may be.
    #[error("there are {limit} webhooks, as many as webhooks.max allows; delete one first")]
    TooManyWebhooks {
        /// The limit.
        limit: usize,
    },
    /// A webhook may not be sent there.
    #[error("url: {0}")]
    WebhookForbidden(Forbidden),
    /// Somebody else changed the webhook at the same time.
    #[error("webhook {0} was changed at the same time; look at it and try again")]
    WebhookMoved(WebhookId),
    /// The place of a webhook is not in the log any more.
    #[error("webhook {id} cannot go on where it was: {reason}")]
    WebhookPlaceLost {
        /// The webhook.
        id: WebhookId,
        /// Why.
        reason: String,
    },
    /// What is stored of a webhook cannot be read.
    #[error("what is stored of webhook {0} cannot be read; delete it and set it up again")]
    WebhookDamaged(WebhookId),
    /// Only an active webhook is sent.
    #[error("webhook {id} is {state}: resume it first", state = state.as_str())]
    WebhookInactive {
        /// The webhook.
        id: WebhookId,
        /// What it is.
        state: WebhookState,
    },
    /// An event cannot be put into the form a webhook sends.
    #[error("event {sequence}: {reason}")]
    WebhookEvent {
        /// The event.
        sequence: i64,
        /// Why.
        reason: String,
    },
    /// Something of which only so much is done at once is being done for others.
    #[error("{0}; try again in a few seconds")]
    Busy(&'static str),
    /// There is no such collection.
    #[error("collection {0} is not known")]
    RunUnknown(String),
    /// One collection at a time.
    #[error("a collection is under way already; wait for its end, or look at it")]
    CollectionRunning,
    /// One scrub at a time.
    #[error("a scrub is under way already; wait for its end, or look at it")]
    ScrubRunning,
    /// A scrub that stood still for too long was taken over.
    #[error("another replica has taken the scrub over")]
    ScrubTaken,
    /// There is no such cycle of the scrub.
    #[error("scrub {0} is not known")]
    ScrubUnknown(String),
    /// So many objects in a row could not be read that it is the storage that fails.
    #[error("{0} objects in a row could not be read; look at the storage")]
    ScrubStuck(u64),
    /// A collection that stood still for too long was taken over.
    #[error("another replica has taken the collection over")]
    CollectionTaken,
    /// The system's clock is further ahead than anybody need believe.
    #[error(
        "the system's clock shows {wall} and compliance time is {compliance}: nothing leaves until somebody has looked \
         at the clock and says so with `artifactstore clock resync --reason`",
        wall = rfc3339(*wall), compliance = rfc3339(*compliance)
    )]
    ClockFrozen {
        /// What the system's clock showed.
        wall: Micros,
        /// Compliance time.
        compliance: Micros,
    },
    /// Nothing was ever retained.
    #[error("there is no compliance clock yet: it begins with the first retention")]
    ClockNotBegun,
    /// Part of a request was ended by a shutdown.
    #[error("the registry is shutting down")]
    Stopping,
}

impl Error {
    /// Whether no registry could answer, because what was asked for can not be.
    pub fn is_unanswerable(&self) -> bool {
        matches!(self, Self::Db(db::Error::Nul))
    }

    /// Whether something was refused that would have made a protection weaker, or led on to a deletion. What is held
    /// or retained is [`Protected`](Self::Protected).
    pub fn is_weakening(&self) -> bool {
        match self {
            Self::RetentionRefused(refused) => !matches!(refused, Refused::Forwards),
            Self::BypassNeeded
            | Self::OwnProposal(_)
            | Self::StaleRevision { .. }
            | Self::NotApproved { .. }
            | Self::CoolingOff { .. }
            | Self::DispositionEnded { .. }
            | Self::ClockFrozen { .. } => true,
            _ => false,
        }
    }

    /// Whether stored bytes are not what was stored: gone, cut short or changed.
    pub fn is_damage(&self) -> bool {
        use dataplane::Error as E;
        matches!(
            self,
            Self::Data(E::Missing { .. } | E::Size { .. } | E::DigestMismatch { .. })
                | Self::BlobDamaged { .. }
                | Self::ManifestLost(_)
        )
    }

    /// Whether the same request may well succeed in a few seconds: the storage or the database cannot be had for
    /// the moment. Says nothing about whether this one was carried out.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Data(error) => error.is_unavailable(),
            Self::Db(error) => error.is_unavailable(),
            // Another replica may be the one to ask: this one has to be restarted.
            Self::Log(error) => {
                let must_restart =
                    matches!(**error, events::Error::Forked(_) | events::Error::Superseded { .. });
                must_restart || error.is_unavailable()
            }
            Self::Stopping | Self::Busy(_) => true,
            _ => false,
        }
    }
}

impl From<dataplane::Error> for Error {
    fn from(error: dataplane::Error) -> Self {
        match error {
            dataplane::Error::DigestMismatch { claimed, actual } => Self::DigestMismatch { claimed, actual },
            dataplane::Error::TooLarge { limit } => Self::BlobTooLarge { limit },
            other => Self::Data(other),
        }
    }
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::PackageInvalid(mismatch.into())
    }
}

impl From<events::Error> for Error {
    fn from(error: events::Error) -> Self {
        Self::Log(Arc::new(error))
    }
}
