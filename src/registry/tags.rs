//! Tag lists, and the history of a tag.

use super::{Error, Registry};
use crate::clock::Micros;
use crate::events::{Head, trail};
use crate::oci::{Digest, RepositoryName, Tag};
use crate::views::tag_history::{self, Entry};
use crate::views::{contents, repositories, tags};

/// Lines of a history that a page looks at, at most.
const LOOKED_AT: usize = 10_000;

/// Which part of the history of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySpan {
    /// Only before this moment.
    pub before: Option<Micros>,
    /// Only after this moment.
    pub since: Option<Micros>,
    /// Only before this event: where the page before ended.
    pub last: Option<i64>,
    /// Only what was about this manifest, by any digest of it.
    pub digest: Option<Digest>,
}

impl Registry {
    /// Up to `limit` tags in bytewise order after `last`, which need not exist, and whether more follow.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: &str,
        limit: usize,
    ) -> Result<(Vec<Tag>, bool), Error> {
        let mut tags = tags::page(&self.inner.db, repository, last, count(limit) + 1).await?;
        if tags.is_empty() && !repositories::exists(&self.inner.db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        let more = tags.len() > limit;
        tags.truncate(limit);
        Ok((tags, more))
    }

    /// Up to `limit` moves and ends of a tag, the newest first, and the event before which more follow, if there may be
    /// some. A page looks at so many at most, whatever it finds. What never was has no history.
    pub async fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        span: &HistorySpan,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<i64>), Error> {
        let db = &self.inner.db;
        let head = Head::newest(db).await?.last();
        let mut before = span.last.unwrap_or(i64::MAX).min(head + 1);
        if let Some(at) = span.before {
            before = before.min(trail::last_before(db, at, head).await? + 1);
        }
        let after = match span.since {
            Some(at) => trail::last_before(db, at.saturating_add(1), head).await?,
            None => 0,
        };
        let wanted = match &span.digest {
            Some(digest) => Some(contents::find(db, digest).await?),
            None => None,
        };
        let (mut entries, mut looked_at) = (Vec::new(), 0);
        while entries.len() < limit {
            let stride = limit - entries.len() + 1;
            let page = tag_history::page(db, repository, tag, (after, before), count(stride)).await?;
            let is_end = page.len() < stride;
            for entry in page {
                if entries.len() == limit {
                    // One more than there is room for: it begins the next page.
                    return Ok((entries, Some(before)));
                }
                before = entry.sequence;
                looked_at += 1;
                let is_wanted = |content: &Option<Digest>| content.as_ref() == Some(&entry.content);
                if wanted.as_ref().is_none_or(is_wanted) {
                    entries.push(entry);
                }
            }
            if is_end {
                return Ok((entries, None));
            }
            if looked_at >= LOOKED_AT {
                return Ok((entries, Some(before)));
            }
        }
        Ok((entries, (limit > 0).then_some(before)))
    }
}

/// A page size as the database takes it.
pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1)
}
