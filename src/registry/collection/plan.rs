//! What a collection would find: the same questions, and nothing changed. Works beside a running server.

use super::naming::{naming_now, naming_of};
use super::orphans::{Seen, again, unnamed};
use super::rules::Naming;
use crate::clock::{Clock, Micros};
use crate::dataplane::DataPlane;
use crate::db::Db;
use crate::registry::{self, Error, micros, read_clock};
use crate::storage::Key;
use crate::views::blobs::{self, Blob, Leaving, Stage};
use crate::views::{damages, holds, links};

/// Rows that are read together.
const PAGE: i64 = 250;

/// Repositories of one blob that are looked at. What more of them hold is not called garbage.
const HOLDERS: i64 = 1000;

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What is garbage, by the reason why. An object counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whether time is in doubt: nothing leaves before somebody has looked at the clock.
    pub is_frozen: bool,
    /// Links that repositories would give up: nothing of them named the blob for the grace period.
    pub links: u64,
    /// Blobs that no repository would hold then.
    pub unused: Tally,
    /// Blobs that no repository held for the grace period: to be condemned.
    pub unlinked: Tally,
    /// Condemned blobs whose quarantine is over: to be deleted.
    pub condemned: Tally,
    /// Copies whose deletion was begun and not confirmed.
    pub deleting: Tally,
    /// Objects no row names, seen so before: to be removed.
    pub orphans: Tally,
    /// What is on its way there and not yet due: unlinked, in quarantine, or an orphan seen for the first time.
    pub waiting: Tally,
}

impl Plan {
    /// What is garbage now, by the name of the reason.
    pub fn reasons(&self) -> [(&'static str, Tally); 5] {
        [
            ("unused", self.unused),
            ("unlinked", self.unlinked),
            ("condemned", self.condemned),
            ("deleting", self.deleting),
            ("orphan", self.orphans),
        ]
    }

    /// Everything that is garbage now, whether one run frees it or several.
    pub fn reclaimable(&self) -> Tally {
        let all = self.reasons();
        Tally {
            objects: all.iter().map(|(_, tally)| tally.objects).sum(),
            bytes: all.iter().map(|(_, tally)| tally.bytes).sum(),
        }
    }
}

/// Says what a collection would find now. Only reads.
pub async fn plan(
    db: &Db,
    data: &DataPlane,
    clock: &Clock,
    options: &registry::Options,
) -> Result<Plan, Error> {
    let is_frozen = read_clock(db, clock, &options.clock).await?.is_frozen;
    let (now, options) = (clock.now(), &options.gc);
    let grace = now.saturating_sub(micros(options.grace));
    let quarantine = now.saturating_sub(micros(options.quarantine));
    let mut plan = Plan { is_frozen, ..Plan::default() };
    unused(db, grace, &mut plan).await?;
    at_stage(db, Stage::Unlinked, grace, &mut plan.unlinked, &mut plan.waiting).await?;
    at_stage(db, Stage::Condemned, quarantine, &mut plan.condemned, &mut plan.waiting).await?;
    at_stage(db, Stage::Deleting, Micros::MAX, &mut plan.deleting, &mut plan.waiting).await?;
    let before = now.saturating_sub(micros(options.orphan_grace));
    let seen = Seen::new(db);
    let mut after: Option<Key> = None;
    loop {
        let (objects, next) = unnamed(db, data, after.as_ref(), before).await?;
        for object in objects {
            let first = seen.first(&object.key).await?;
            let is_due = first.is_some_and(|at| at.saturating_add(again(options)) <= now);
            let tally = if is_due { &mut plan.orphans } else { &mut plan.waiting };
            tally.add(object.size);
        }
        after = next;
        if after.is_none() {
            return Ok(plan);
        }
    }
}

/// Counts the blobs at a stage: those due and those that wait.
async fn at_stage(
    db: &Db,
    stage: Stage,
    before: Micros,
    due: &mut Tally,
    waiting: &mut Tally,
) -> Result<(), Error> {
    let mut after: Option<Leaving> = None;
    loop {
        let page = blobs::leaving(db, stage, Micros::MAX, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let blobs: Vec<Blob> = page.iter().map(|leaving| leaving.blob.clone()).collect();
        let aside = damages::aside_now(db, &blobs).await?;
        for leaving in page {
            let tally = if leaving.since < before { &mut *due } else { &mut *waiting };
            tally.add(leaving.blob.size);
            for copy in aside.iter().filter(|copy| copy.content == leaving.blob.content) {
                tally.add(copy.size);
            }
        }
    }
}

async fn unused(db: &Db, before: Micros, plan: &mut Plan) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = links::unused(db, before, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.link.clone());
        for candidate in page {
            let link = &candidate.link;
            if naming_of(&candidate) != Naming::Nothing || is_held(db, link).await? {
                continue;
            }
            plan.links += 1;
            if is_last(db, link, before).await?
                && let Some(blob) = blobs::find(db, &link.content).await?
            {
                let aside = damages::aside_now(db, std::slice::from_ref(&blob)).await?;
                plan.unused.add(blob.size);
                for copy in aside {
                    plan.unused.add(copy.size);
                }
            }
        }
    }
}

async fn is_held(db: &Db, link: &links::Unused) -> Result<bool, Error> {
    Ok(!holds::now_on(db, &link.repository, None).await?.is_empty())
}

/// Whether every other repository would give the blob up as well, and this link is the one to count it by.
async fn is_last(db: &Db, link: &links::Unused, before: Micros) -> Result<bool, Error> {
    let all = links::links_of(db, &link.content, HOLDERS + 1).await?;
    if all.len() > usize::try_from(HOLDERS).unwrap_or(usize::MAX) {
        return Ok(false);
    }
    for (repository, since) in all {
        let Some(since) = since.filter(|since| *since < before) else { return Ok(false) };
        let other = links::Unused { since, repository, content: link.content.clone() };
        if other == *link {
            continue;
        }
        // Counted at the last of them in the order they are looked at.
        if other > *link || is_held(db, &other).await? || naming_now(db, &other).await? != Naming::Nothing {
            return Ok(false);
        }
    }
    Ok(true)
}
