//! Listing keys: what of the bucket's names are ours.

use super::bucket::Bucket;
use super::fault::Fault;
use crate::storage::{Error, Key, Metadata, Page};

impl Bucket {
    /// See [`Backend::list`](crate::storage::Backend::list).
    pub(super) async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let limit = limit.max(1);
        let mut objects = Vec::new();
        let mut cursor = after.map(|key| key.as_str().to_owned());
        // Names that are no keys shorten a page, so a page here may be several there.
        while objects.len() <= limit {
            let page = self.names(prefix, cursor.as_deref(), limit.saturating_add(1)).await;
            let page = page.map_err(|fault| fault.during("list objects"))?;
            let mut last = None;
            for object in &page.objects {
                let Some(name) = object.key().and_then(|key| self.relative(key)) else { continue };
                last = Some(name.to_owned());
                // Some servers do not know `start-after`.
                let is_new = after.is_none_or(|after| name > after.as_str());
                if let (true, Ok(key)) = (is_new, name.parse::<Key>()) {
                    let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                    objects.push(Metadata { key, size });
                }
            }
            if !page.more {
                break;
            }
            match last {
                Some(last) if cursor.as_ref().is_none_or(|cursor| last > *cursor) => cursor = Some(last),
                // There is more, and no way to it.
                _ => {
                    return Err(
                        Fault::odd("a page says there is more and does not get on").during("list objects")
                    );
                }
            }
        }
        let more = objects.len() > limit;
        objects.truncate(limit);
        let next = if more { objects.last().map(|last| last.key.clone()) } else { None };
        Ok(Page { objects, next })
    }
}
