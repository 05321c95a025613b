//! The audit: who did what to what, when, why, from where, and whether it was done; refused attempts to take away what
//! is protected included.
//!
//! There is no table of it. An [`Entry`] follows from one event by a pure function, so the audit can say nothing the log
//! does not say, and proofs of the log are proofs of it. Only from where comes from elsewhere: see
//! [`origins`](super::origins). Auditors ask over HTTP and on the command line; neither needs the server to run.
//!
//! A question takes the thread of the log that is the shortest for it: of a package or a manifest, of a repository, of an
//! actor, or all of it. Moments are turned into places of the log first. A page looks at so many events at most, whatever
//! it finds, and says how far it came.

mod entry;
mod thread;

pub use entry::{ACTIONS, Decision, Entry};

use tokio::sync::Semaphore;

use self::thread::Selection;
use super::retention::Item;
use super::{Error, Registry, origins};
use crate::clock::Micros;
use crate::db::{self, Db};
use crate::events::trail::{self, Outline};
use crate::events::{self, Head};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::views::{self, repositories};

/// Entries of a page, at most.
pub const MAX_PAGE: usize = 1000;

/// What a page has when it is written, in bytes, at most; one entry more at the most.
pub const MAX_BYTES: usize = 1024 * 1024;

/// How much a page looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Events, at most.
    pub(super) looked_at: usize,
    /// Events of a thread together.
    pub(super) stride: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { looked_at: 10_000, stride: 1000 }
    }
}

/// Events that are read together with their payloads, and the bytes of those; a larger one is read alone.
const READ: usize = 64;
const READ_BYTES: i64 = 1024 * 1024;

/// Pages that read payloads at once; others wait, for as long as it takes to read some.
pub(super) const READERS: usize = 4;

/// Which entries. What is not named is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this repository.
    pub repository: Option<RepositoryName>,
    /// Only what this actor did, or tried.
    pub actor: Option<String>,
    /// Only this action, one of [`ACTIONS`].
    pub action: Option<String>,
    /// Only about this package, with its retention, its holds and its dispositions.
    pub package: Option<PackageId>,
    /// Only about this tag, manifest, blob or package. Of a manifest with the packages it stands for; of a package as
    /// [`package`](Self::package), of which only one is given.
    pub reference: Option<Item>,
    /// Only what was done, or only what was refused.
    pub decision: Option<Decision>,
    /// Only from this moment on.
    pub from: Option<Micros>,
    /// Only before this moment.
    pub until: Option<Micros>,
}

/// Which part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// After this event.
    pub since: i64,
    /// Up to this one, if not up to the newest.
    pub to: Option<i64>,
    /// Entries at most; never more than [`MAX_PAGE`].
    pub limit: usize,
    /// Bytes at most, when they are written; never more than [`MAX_BYTES`].
    pub bytes: usize,
}

impl Default for Span {
    fn default() -> Self {
        Self { since: 0, to: None, limit: MAX_PAGE, bytes: MAX_BYTES }
    }
}

/// A part of the audit, the oldest entry first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Every event up to this one was looked at; the next page is after it. The end of the span when that was reached.
    pub scanned_to: i64,
    /// The newest event.
    pub head: i64,
}

impl Registry {
    /// A part of the audit. It can be empty and not be the last: as long as `scanned_to` is before `head` there may be
    /// more.
    pub async fn audit(&self, filter: &Filter, span: Span) -> Result<Page, Error> {
        page_within(&self.inner.db, filter, span, Some(&self.inner.audits), Bounds::default()).await
    }

    /// Waits until the origins of what was submitted so far are written. Before the process ends.
    pub async fn record_origins(&self) {
        self.inner.origins.flush().await;
    }
}

/// The same without a registry: beside a running one, or where nothing may be written.
///
/// An error where it would be incomplete: of a copy that is not finished, and, if the question is about something whose
/// related events only the views know, while these are of another version or not there.
pub async fn read(db: &Db, filter: &Filter, span: Span) -> Result<Page, Error> {
    if !Head::newest(db).await?.is_whole() {
        return Err(events::Error::Unfinished.into());
    }
    if filter.package.is_some() || filter.reference.is_some() {
        events::check_views(db, &views::projections()).await?;
    }
    page_within(db, filter, span, None, Bounds::default()).await
}

pub(super) async fn page_within(
    db: &Db,
    filter: &Filter,
    span: Span,
    readers: Option<&Semaphore>,
    within: Bounds,
) -> Result<Page, Error> {
    let head = Head::newest(db).await?;
    if span.since > head.last() {
        return Err(Error::CursorAhead { since: span.since, head: head.last() });
    }
    let end = span.to.map_or(head.last(), |to| to.min(head.last()));
    let (after, to) = bounds(db, filter, span.since, end).await?;
    let selection = Selection::of(db, filter).await?;
    let mut reading = Reading {
        db,
        log_id: &head.log_id,
        filter,
        selection: &selection,
        readers,
        bounds: within,
        limit: span.limit.min(MAX_PAGE),
        bytes: span.bytes.min(MAX_BYTES),
        entries: Vec::new(),
        weight: 0,
    };
    let scanned_to = reading.read(after, to).await?;
    let mut entries = reading.entries;
    if entries.is_empty()
        && let Some(name) = &filter.repository
        && !repositories::exists(db, name).await?
    {
        return Err(Error::RepositoryUnknown(name.clone()));
    }
    join(db, &mut entries).await?;
    // Behind the last event that can match there is nothing to look at.
    let scanned_to = if scanned_to >= to { end.max(span.since) } else { scanned_to };
    Ok(Page { entries, scanned_to, head: head.last() })
}

/// The events between which the moments of a filter are.
async fn bounds(db: &Db, filter: &Filter, since: i64, end: i64) -> Result<(i64, i64), Error> {
    let (mut after, mut to) = (since, end);
    if let Some(from) = filter.from {
        after = after.max(trail::last_before(db, from, end).await?);
    }
    if let Some(until) = filter.until {
        to = trail::last_before(db, until, end).await?;
    }
    Ok((after, to))
}

/// A page that is being read.
struct Reading<'a> {
    db: &'a Db,
    log_id: &'a str,
    filter: &'a Filter,
    selection: &'a Selection,
    readers: Option<&'a Semaphore>,
    bounds: Bounds,
    limit: usize,
    bytes: usize,
    entries: Vec<Entry>,
    weight: usize,
}

impl Reading<'_> {
    /// Reads until the page is full or enough was looked at; returns up to where.
    async fn read(&mut self, mut after: i64, to: i64) -> Result<i64, Error> {
        let mut looked_at = 0;
        while after < to && looked_at < self.bounds.looked_at && !self.is_full() {
            let (outlines, up_to) = self.selection.next(self.db, (after, to), self.bounds.stride).await?;
            looked_at += outlines.len();
            let wanted: Vec<&Outline> = outlines.iter().filter(|it| self.may_want(it)).collect();
            if let Some(last) = self.take(&wanted).await? {
                return Ok(last);
            }
            after = up_to;
        }
        Ok(after)
    }

    fn may_want(&self, outline: &Outline) -> bool {
        self.selection.may_be_about(outline.read_as()) && self.filter.may_want(outline)
    }

    /// Takes what matches of these; returns the event at which the page was full, unless it never was.
    async fn take(&mut self, wanted: &[&Outline]) -> Result<Option<i64>, Error> {
        let mut rest = wanted;
        while !rest.is_empty() {
            let (now, then) = rest.split_at(fitting(rest));
            let sequences: Vec<i64> = now.iter().map(|outline| outline.sequence).collect();
            let _reading = match self.readers {
                Some(readers) => Some(readers.acquire().await.map_err(|_| Error::Stopping)?),
                None => None,
            };
            for event in trail::load(self.db, self.log_id, &sequences).await? {
                if !self.selection.is_about(&event) {
                    continue;
                }
                let Some(entry) = Entry::of(&event).filter(|entry| self.filter.wants(entry)) else {
                    continue;
                };
                self.weight += entry.weight();
                self.entries.push(entry);
                if self.is_full() {
                    return Ok(Some(event.sequence));
                }
            }
            rest = then;
        }
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.limit || self.weight >= self.bytes
    }
}

/// How many of these are read together: at least one.
fn fitting(outlines: &[&Outline]) -> usize {
    let mut bytes = 0;
    let fits = |outline: &&&Outline| {
        bytes += outline.size;
        bytes <= READ_BYTES
    };
    outlines.iter().take(READ).take_while(fits).count().max(1)
}

impl Filter {
    /// Whether an event can lead to an entry that is wanted, by what its columns say.
    fn may_want(&self, outline: &Outline) -> bool {
        let type_name = outline.read_as();
        let is_refusal = type_name == entry::DENIED;
        let is_told = |action: Option<&str>| {
            let mut actions = entry::TOLD.iter().filter(|(name, _)| action.is_none_or(|it| it == *name));
            actions.any(|(_, types)| types.contains(&type_name))
        };
        let repository = self.repository.as_ref().map(RepositoryName::as_str);
        repository.is_none_or(|name| outline.repository.as_deref() == Some(name))
            && self.actor.as_ref().is_none_or(|actor| outline.actor == *actor)
            && self.decision.is_none_or(|decision| is_refusal == (decision == Decision::Refused))
            && (is_refusal || is_told(self.action.as_deref()))
    }

    /// Whether it is one of those that are asked for, of those that [may be](Self::may_want).
    fn wants(&self, entry: &Entry) -> bool {
        self.action.as_ref().is_none_or(|action| entry.action == *action)
    }
}

/// Adds from where.
async fn join(db: &Db, entries: &mut [Entry]) -> Result<(), db::Error> {
    let mut commands: Vec<_> = entries.iter().map(|entry| &entry.command).collect();
    commands.dedup();
    let found = origins::find(db, &commands).await?;
    for entry in entries {
        entry.from = found.get(entry.command.as_str()).cloned();
    }
    Ok(())
}
