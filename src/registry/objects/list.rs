//! Listings of keys.

use super::key::{Prefix, after, behind};
use super::{KeyedObject, KeyedStore};
use crate::registry::Error;
use crate::views::{objects, repositories};

/// Entries of a page, at most.
pub const MAX_LISTED: usize = 1000;

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// How they begin.
    pub prefix: Prefix,
    /// Only what is up to the next slash: keys with a further slash are there as common prefixes.
    pub one_level: bool,
    /// Those after this text, which need not be a key.
    pub after: String,
    /// How many entries at most; [`MAX_LISTED`] is the most there are.
    pub limit: usize,
}

/// One page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What was found, in the bytewise order of the keys.
    pub objects: Vec<KeyedObject>,
    /// Common prefixes with their slash, in order; each stands for all the keys that begin so.
    pub prefixes: Vec<String>,
    /// What to pass as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

enum Entry {
    Object(Box<KeyedObject>),
    Folder(String),
}

impl Entry {
    fn as_str(&self) -> &str {
        match self {
            Self::Object(object) => object.storage_key.as_str(),
            Self::Folder(folder) => folder,
        }
    }
}

impl KeyedStore {
    /// One page of the keys of the store. A folder is stepped over and not through: a page of one level costs as many
    /// lookups as it has common prefixes, whatever is in them.
    pub async fn list(&self, list: &List) -> Result<Listing, Error> {
        let limit = list.limit.min(MAX_LISTED);
        let prefix = &list.prefix;
        let start = if list.one_level && list.after.ends_with('/') {
            behind(&list.after)
        } else {
            after(&list.after)
        };
        let (mut from, end) = (start.max(prefix.as_str().to_owned()), prefix.end());
        let mut entries: Vec<Entry> = Vec::new();
        // One more than asked for says whether there are more.
        while entries.len() <= limit {
            let wanted = limit + 1 - entries.len();
            let rows = i64::try_from(wanted).unwrap_or(i64::MAX);
            let found = objects::page(&self.registry.inner.db, &self.repository, &from, &end, rows).await?;
            let is_last = found.len() < wanted;
            for (object, blob) in found {
                let folder = prefix.folder(object.key.as_str()).filter(|_| list.one_level);
                match (folder, entries.last()) {
                    (Some(folder), Some(Entry::Folder(same))) if same == folder => {}
                    (Some(folder), _) => entries.push(Entry::Folder(folder.to_owned())),
                    (None, _) => entries.push(Entry::Object(Box::new(self.describe(object, &blob)?))),
                }
            }
            match entries.last() {
                Some(Entry::Folder(folder)) if !is_last => from = behind(folder),
                Some(Entry::Object(object)) if !is_last => from = after(object.storage_key.as_str()),
                _ => break,
            }
        }
        if entries.is_empty() && !repositories::exists(&self.registry.inner.db, &self.repository).await? {
            return Err(Error::RepositoryUnknown(self.repository.clone()));
        }
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more).map(|entry| entry.as_str().to_owned());
        let mut listing = Listing { next, ..Listing::default() };
        for entry in entries {
            match entry {
                Entry::Object(object) => listing.objects.push(*object),
                Entry::Folder(folder) => listing.prefixes.push(folder),
            }
        }
        Ok(listing)
    }
}
