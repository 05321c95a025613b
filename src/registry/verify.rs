//! Verify: are all acknowledged bytes there and correct?

use std::path::Path;

use super::Error;
use super::blobs::location;
use super::snapshots::{self, Shelved};
use crate::dataplane::{DataPlane, Location, Verdict};
use crate::db::Db;
use crate::events::snapshot::Shelf;
use crate::events::{self, Progress, Replayed, StateDigest};
use crate::hash;
use crate::oci::Digest;
use crate::views::{self, blobs, manifests};

/// Rows read at a time.
const PAGE: i64 = 500;

/// Reported at most; a damaged disk must not fill the report.
const MAX_FAULTS: usize = 10_000;

/// The outcome of verifying everything.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Blobs read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests read.
    pub manifests: u64,
    /// Snapshots read.
    pub snapshots: u64,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// Snapshots that cannot be used any more. Nothing is lost with one: a replay does without.
    pub unusable: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The content address, or `repository@content` for a manifest.
    pub content: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads every stored blob and manifest and compares its digest. Needs no running registry and disturbs
/// none: it only reads. A backend that fails ends it with an error, since that says nothing about the bytes.
pub async fn verify(
    db: &Db,
    data: &DataPlane,
    mut progress: impl FnMut(&Verification),
) -> Result<Verification, Error> {
    let mut done = Verification::default();
    let mut after: Option<Digest> = None;
    loop {
        let page = blobs::page(db, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.content.clone());
        for blob in page {
            let (content, location) = (blob.content.clone(), location(blob));
            if let Verdict::Damaged(finding) = data.verify(&location, &content).await?
                && is_kept(db, &content, &location).await?
            {
                done.fault(content.to_string(), format!("{} {finding}", location.key));
            }
            done.blobs += 1;
            done.bytes += location.size;
            progress(&done);
        }
    }
    verify_manifests(db, &mut done).await?;
    verify_snapshots(db, data, &mut done).await?;
    progress(&done);
    Ok(done)
}

async fn verify_snapshots(db: &Db, data: &DataPlane, done: &mut Verification) -> Result<(), Error> {
    for snapshot in views::snapshots::kept(db).await? {
        let (object, location) = (&snapshot.object, snapshots::location(&snapshot.object));
        done.snapshots += 1;
        if let Verdict::Damaged(finding) = data.verify(&location, &object.content).await?
            && views::snapshots::kept(db).await?.contains(&snapshot)
        {
            let (content, reason) = (object.content.to_string(), format!("{} {finding}", object.key));
            done.unusable.push(Fault { content, reason });
        }
    }
    Ok(())
}

/// Whether the log still says that the copy is there: a collection may have deleted it meanwhile.
pub(super) async fn is_kept(db: &Db, content: &Digest, location: &Location) -> Result<bool, Error> {
    let blob = blobs::of_any_state(db, content).await?;
    Ok(blob.is_some_and(|blob| blob.state.is_kept() && blob.key == location.key))
}

async fn verify_manifests(db: &Db, done: &mut Verification) -> Result<(), Error> {
    let mut after: Option<Digest> = None;
    loop {
        let page = manifests::contents(db, after.as_ref(), 16).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (content, bytes) in page {
            let actual = hash::digest(content.algorithm(), &bytes);
            if actual != content {
                done.fault(content.to_string(), format!("manifest hashes to {actual}"));
            }
            done.manifests += 1;
        }
    }
    for lost in manifests::missing(db, PAGE).await? {
        done.fault(lost, "manifest bytes are missing".to_owned());
    }
    Ok(())
}

/// Rebuilds every view from the log, in place and in one transaction.
pub async fn replay(db: &Db) -> Result<Replayed, Error> {
    Ok(events::rebuild(db, &views::projections()).await?)
}

/// The same, told how far it is. With a storage it begins with the newest snapshot there that can be used.
pub async fn replay_with(
    db: &Db,
    storage: Option<&DataPlane>,
    progress: Progress<'_>,
) -> Result<Replay, Error> {
    let shelf = storage.map(Shelved);
    let shelf = shelf.as_ref().map(|shelf| shelf as &dyn Shelf);
    match events::rebuild_with(db, &views::projections(), shelf, progress).await {
        Ok(replayed) => Ok(Replay::Done(replayed)),
        Err(error) if is_of_the_log(&error) => Ok(Replay::Damaged(error)),
        Err(error) => Err(error.into()),
    }
}

/// What a replay came to.
#[derive(Debug)]
pub enum Replay {
    /// The views are what the log leads to.
    Done(Replayed),
    /// The log is not what was recorded, or holds what this program does not know. The views are as they were.
    Damaged(events::Error),
}

fn is_of_the_log(error: &events::Error) -> bool {
    matches!(error, events::Error::Damaged { .. } | events::Error::Gap { .. } | events::Error::Head { .. })
}

/// Rebuilds every view into a scratch database in `directory` and compares it with the live ones of the
/// same moment.
pub async fn replay_check(db: &Db, directory: &Path) -> Result<Check, Error> {
    replay_check_with(db, directory, None, &mut |_| {}).await
}

/// The same, told how far it is. With a storage it begins with the newest snapshot there that can be used.
pub async fn replay_check_with(
    db: &Db,
    directory: &Path,
    storage: Option<&DataPlane>,
    progress: Progress<'_>,
) -> Result<Check, Error> {
    let shelf = storage.map(Shelved);
    let shelf = shelf.as_ref().map(|shelf| shelf as &dyn Shelf);
    match events::check_with(db, &views::projections(), directory, shelf, progress).await {
        Ok((replayed, live)) => Ok(Check::Compared { replayed, live }),
        Err(error) if is_of_the_log(&error) => Ok(Check::Damaged(error)),
        Err(error) => Err(error.into()),
    }
}

/// What checking the views against the log showed.
#[derive(Debug)]
pub enum Check {
    /// The log is whole; the views follow from it if the two states are equal.
    Compared {
        /// What the log leads to.
        replayed: Replayed,
        /// What is there.
        live: StateDigest,
    },
    /// The log itself is not what was recorded.
    Damaged(events::Error),
}

impl Verification {
    fn fault(&mut self, content: String, reason: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { content, reason });
        }
    }
}
