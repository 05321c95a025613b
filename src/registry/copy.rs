//! Copying a registry to other engines: the same log, the same objects, the same state.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::blobs::location;
use super::snapshots;
use super::verify::{Verification, is_kept, verify};
use super::{Error, places};
use crate::dataplane::{DataPlane, Location};
use crate::db::Db;
use crate::events::{self, StateDigest, transfer};
use crate::oci::Digest;
use crate::views::{self, blobs};

/// Objects on their way at once.
const STREAMS: usize = 4;

/// Blobs looked at between two pages.
const PAGE: i64 = 500;

/// One end of a copy.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its log.
    pub db: &'a Db,
    /// Its bytes.
    pub data: &'a DataPlane,
}

/// What a copy did so far.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Objects looked at.
    pub objects: u64,
    /// Of these, sent in this run; the others were there.
    pub sent: u64,
    /// Bytes sent in this run.
    pub bytes: u64,
    /// Manifests in the copy.
    pub manifests: u64,
    /// Events in the copy.
    pub events: i64,
}

/// How a copy ended.
#[derive(Clone, Debug)]
pub enum CopyOutcome {
    /// The original was in use and may go on: the copy stays closed until another run finds it at rest.
    Closed(Copied),
    /// The copy is whole and checked; it may be served.
    Whole {
        /// What was done.
        copied: Copied,
        /// Over every event as stored, equal on both sides.
        log: Digest,
        /// The views of both sides.
        state: Box<StateDigest>,
    },
    /// Everything was copied and something in the copy is not what it should be.
    Damaged {
        /// What was done.
        copied: Copied,
        /// Whether an earlier run had finished the copy: then nothing was changed in it. Otherwise it stays closed, and
        /// damaged objects were removed from it, so that another run sends them again.
        is_open: bool,
        /// Every object of the copy, read back.
        verification: Verification,
    },
}

/// Copies a registry. Resumable: what an earlier run copied is not sent again. `is_at_rest` says that nobody can
/// write to the original meanwhile; only then the copy is checked and opened.
///
/// Bytes go before the events that name them, so that whatever the copy's log says is there.
pub async fn copy(
    from: Side<'_>,
    to: Side<'_>,
    is_at_rest: bool,
    mut progress: impl FnMut(&Copied),
) -> Result<CopyOutcome, Error> {
    let mut copied = Copied::default();
    let (log_id, is_whole) = transfer::look(from.db, to.db).await?;
    let place = places::claim_copy(from, to, &log_id, is_whole).await?;
    let (_, is_whole) = transfer::begin(from.db, to.db).await?;
    places::remember(to.db, to.data, place, &log_id).await?;
    objects(from, to, &mut copied, &mut progress).await?;
    copy_snapshots(from, to).await?;
    copied.manifests = transfer::contents(from.db, to.db).await?;
    copied.events = transfer::events(from.db, to.db, |sequence| {
        progress(&Copied { events: sequence, ..copied.clone() });
    })
    .await?;
    if !is_at_rest {
        return Ok(CopyOutcome::Closed(copied));
    }
    if !is_whole {
        // From event 1: a snapshot would bring over whatever is wrong with the views of the original, and they are
        // compared below.
        events::rebuild(to.db, &views::projections()).await?;
    }
    let log = transfer::compare(from.db, to.db).await?;
    let (state, original) = (state(to.db).await?, state(from.db).await?);
    if state != original {
        return Err(Error::CopyDiffers(state.differences(&original).join(", ")));
    }
    let verification = verify(to.db, to.data, |_| {}).await?;
    if !verification.faults.is_empty() {
        if !is_whole {
            remove_damaged(to, &verification).await?;
        }
        return Ok(CopyOutcome::Damaged { copied, is_open: is_whole, verification });
    }
    transfer::finish(to.db).await?;
    Ok(CopyOutcome::Whole { copied, log, state: Box::new(state) })
}

/// They belong to the log. One that is damaged is none the copy needs.
async fn copy_snapshots(from: Side<'_>, to: Side<'_>) -> Result<(), Error> {
    for snapshot in views::snapshots::kept(from.db).await? {
        let (key, location) = (&snapshot.object.key, snapshots::location(&snapshot.object));
        match to.data.copy_from(from.data, &location, &snapshot.object.content).await {
            Ok(_) => {}
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(key, error = &error as &dyn std::error::Error, "A snapshot is not copied");
            }
        }
    }
    Ok(())
}

/// Removes what is damaged from a copy that nobody uses yet, so that another run sends it again: one that finds an
/// object of the right size takes it for sent. By the key alone: the log knows the versions of the original's bucket.
async fn remove_damaged(to: Side<'_>, verification: &Verification) -> Result<(), Error> {
    for content in verification.faults.iter().filter_map(|fault| fault.content.parse::<Digest>().ok()) {
        if let Some(blob) = blobs::find(to.db, &content).await? {
            to.data.delete(&Location { version: None, ..location(blob) }).await?;
        }
    }
    Ok(())
}

async fn state(db: &Db) -> Result<StateDigest, Error> {
    Ok(events::digest(&mut db.snapshot().await?, &views::projections()).await?)
}

async fn objects(
    from: Side<'_>,
    to: Side<'_>,
    copied: &mut Copied,
    progress: &mut impl FnMut(&Copied),
) -> Result<(), Error> {
    let (sent, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut after: Option<Digest> = None;
    loop {
        let page = blobs::page(from.db, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.content.clone());
        let each = stream::iter(page).map(|blob| {
            let (sent, bytes) = (&sent, &bytes);
            async move {
                let (content, size, location) = (blob.content.clone(), blob.size, location(blob));
                match to.data.copy_from(from.data, &location, &content).await {
                    Ok(false) => {}
                    Ok(true) => {
                        sent.fetch_add(1, Ordering::Relaxed);
                        bytes.fetch_add(size, Ordering::Relaxed);
                    }
                    // A collection deleted it meanwhile.
                    Err(_) if !is_kept(from.db, &content, &location).await? => {}
                    Err(error) => return Err(error.into()),
                }
                Ok::<_, Error>(())
            }
        });
        let mut each = each.buffer_unordered(STREAMS);
        while each.try_next().await?.is_some() {
            copied.objects += 1;
            copied.sent = sent.load(Ordering::Relaxed);
            copied.bytes = bytes.load(Ordering::Relaxed);
            progress(copied);
        }
    }
}
