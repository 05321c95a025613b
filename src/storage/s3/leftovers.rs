//! Staged writes as the bucket shows them: open uploads and segments, by the id in their names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_sdk_s3::primitives::DateTime;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::bucket::Bucket;
use super::fault::Fault;
use super::{MULTIPART, STAGING};
use crate::storage::{Deletion, Key, Leftover, StagingId};

/// Uploads looked into at once.
const LOOKS: usize = 8;

/// An id in the only alphabet that names of objects have for it.
pub(super) fn hex(id: &StagingId) -> String {
    id.as_str().bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<StagingId> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()?.parse().ok()
}

impl Bucket {
    /// Aborts the uploads of a staged write and removes its segments; objects stay. Idempotent.
    pub(super) async fn unstage(&self, id: &StagingId) -> Result<Deletion, Fault> {
        let mut found = false;
        for upload in self.uploads(&format!("{MULTIPART}{}.", hex(id)), usize::MAX).await? {
            if let (Some(key), Some(upload_id)) = (upload.key(), upload.upload_id()) {
                self.abort(key, upload_id).await?;
                found = true;
            }
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.names(&format!("{STAGING}{id}/"), after.as_deref(), 1000).await?;
            let names = page.objects.iter().filter_map(|object| self.relative(object.key()?));
            for name in names {
                self.remove(name).await?;
                found = true;
                after = Some(name.to_owned());
            }
            if !page.more || page.objects.is_empty() {
                break;
            }
        }
        Ok(if found { Deletion::Deleted } else { Deletion::Missing })
    }

    /// See [`Backend::leftovers`](crate::storage::Backend::leftovers). An upload was touched when its last part came.
    pub(super) async fn leftovers(&self, limit: usize) -> Result<Vec<Leftover>, Fault> {
        let mut found = BTreeMap::new();
        let uploads = self.uploads(MULTIPART, limit).await?;
        let looks = uploads.into_iter().map(|upload| async move {
            let key = upload.key.unwrap_or_default();
            let parts = self.parts_of(&key, upload.upload_id.as_deref().unwrap_or_default()).await?;
            let name = self.relative(&key).and_then(|name| name.strip_prefix(MULTIPART)).unwrap_or_default();
            let id = name.split_once('.').and_then(|(id, _)| from_hex(id));
            let size = parts.iter().map(|part| size(part.size)).sum::<u64>();
            let times = parts.iter().filter_map(|part| part.last_modified.as_ref());
            let touched = times.chain(upload.initiated.as_ref()).map(micros).max().unwrap_or(0);
            Ok::<_, Fault>((id, size, touched))
        });
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS);
        while let Some((id, size, touched)) = looks.try_next().await? {
            note(&mut found, limit, id, size, touched);
        }
        let mut after: Option<String> = None;
        while found.len() < limit {
            let page = self.names(STAGING, after.as_deref(), 1000).await?;
            for object in &page.objects {
                let name = object.key().and_then(|key| self.relative(key)).unwrap_or_default();
                let id = name.strip_prefix(STAGING).and_then(|name| name.split_once('/')?.0.parse().ok());
                note(
                    &mut found,
                    limit,
                    id,
                    size(object.size),
                    object.last_modified.as_ref().map_or(0, micros),
                );
                after = Some(name.to_owned());
            }
            if !page.more || page.objects.is_empty() {
                break;
            }
        }
        Ok(found.into_values().collect())
    }
}

fn note(
    found: &mut BTreeMap<StagingId, Leftover>,
    limit: usize,
    id: Option<StagingId>,
    size: u64,
    touched: i64,
) {
    // A name that we do not give is not ours.
    let Some(id) = id else { return };
    if found.len() >= limit && !found.contains_key(&id) {
        return;
    }
    let entry = found.entry(id.clone()).or_insert(Leftover { id, size: 0, touched_at: touched });
    entry.size += size;
    entry.touched_at = entry.touched_at.max(touched);
}

fn size(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

fn micros(time: &DateTime) -> i64 {
    i64::try_from(time.as_nanos() / 1000).unwrap_or(i64::MAX)
}

const _: () = assert!(Key::RESERVED.len() + 1 == STAGING.len(), "segments lie where no key can");
