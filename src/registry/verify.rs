//! Verify: are all acknowledged bytes there and correct?

use std::path::Path;

use super::Error;
use super::blobs::location;
use crate::dataplane::{DataPlane, Location, Verdict};
use crate::db::Db;
use crate::events::{self, Replayed, StateDigest};
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
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
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
    progress(&done);
    Ok(done)
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

/// Rebuilds every view into a scratch database in `directory` and compares it with the live ones of the
/// same moment.
pub async fn replay_check(db: &Db, directory: &Path) -> Result<Check, Error> {
    match events::check(db, &views::projections(), directory).await {
        Ok((replayed, live)) => Ok(Check::Compared { replayed, live }),
        Err(
            error @ (events::Error::Damaged { .. } | events::Error::Gap { .. } | events::Error::Head { .. }),
        ) => Ok(Check::Damaged(error)),
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
