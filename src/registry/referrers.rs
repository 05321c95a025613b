//! Referrers of a manifest.
//!
//! The answer is what names the digest as its subject, together with what a client without the referrers
//! API listed under the fallback tag (distribution-spec "Referrers Tag Schema" and "Upgrade Procedures").

use std::collections::BTreeMap;

use super::{Error, Registry};
use crate::oci::{self, Digest, Kind, Reference, ReferrerDescriptor, RepositoryName};
use crate::views::{self, contents};

/// Rows read at a time.
const PAGE: i64 = 500;

/// Most clients never read a second page, so one carries as much as they accept: 4 MiB, less the frame.
const MAX_BODY: usize = 4 * 1024 * 1024 - 64 * 1024;

/// One page of referrers.
#[derive(Clone, Debug)]
pub struct ReferrersPage {
    /// An OCI image index.
    pub index: Vec<u8>,
    /// Pass as `after` to continue; `None` at the end.
    pub next: Option<Digest>,
}

impl Registry {
    /// The referrers of `subject`, which need not exist. With `artifact_types` only those of one of them.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_types: &[String],
        after: Option<&Digest>,
    ) -> Result<ReferrersPage, Error> {
        let wanted = |artifact_type: &Option<String>| {
            artifact_types.is_empty()
                || artifact_types.iter().any(|wanted| artifact_type.as_deref() == Some(wanted))
        };
        // Both sources are walked in the order of the content address, so one cursor pages through both.
        let mut listed = self.listed_under_fallback_tag(repository, subject).await?;
        listed.retain(|content, entry| {
            after.is_none_or(|after| content > after) && wanted(&entry.artifact_type)
        });
        let subjects = self.digests_of(repository, subject).await?;
        let mut page = Page { entries: Vec::new(), size: 0, last: after.cloned() };
        loop {
            let rows =
                views::referrers::page(&self.inner.db, repository, &subjects, page.last.as_ref(), PAGE)
                    .await?;
            let is_end = rows.len() < usize::try_from(PAGE).expect("a small number");
            for referrer in rows {
                let content = referrer.content.clone();
                while let Some(first) = listed.first_entry().filter(|first| *first.key() < content) {
                    let (before, entry) = first.remove_entry();
                    if !page.add(before, entry) {
                        return Ok(page.followed());
                    }
                }
                if !wanted(&referrer.artifact_type) {
                    page.last = Some(content);
                } else if !page.add(content, descriptor(referrer)) {
                    return Ok(page.followed());
                }
            }
            if is_end {
                break;
            }
        }
        for (content, entry) in listed {
            if !page.add(content, entry) {
                return Ok(page.followed());
            }
        }
        Ok(ReferrersPage { index: oci::referrer::index(page.entries.into_iter()), next: None })
    }

    /// Every digest the subject is known by: a referrer may name it by any of them. Of what the repository does not
    /// hold only the one given, or an answer would tell that another one holds it.
    pub(super) async fn digests_of(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Digest>, Error> {
        let db = &self.inner.db;
        let manifest = views::manifests::find(db, repository, &Reference::Digest(subject.clone())).await?;
        let content = match manifest {
            Some(manifest) => Some(manifest.content),
            None => views::links::find(db, repository, subject).await?.map(|blob| blob.content),
        };
        match content {
            Some(content) => Ok(contents::digests_of(db, &content).await?),
            None => Ok(vec![subject.clone()]),
        }
    }

    /// What the index under the fallback tag lists and the repository holds, except manifests whose own
    /// subject says the same already.
    async fn listed_under_fallback_tag(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<BTreeMap<Digest, ReferrerDescriptor>, Error> {
        let mut entries = BTreeMap::new();
        let Some(tag) = oci::referrer::fallback_tag(subject) else {
            return Ok(entries);
        };
        let index = match self.manifest(repository, &Reference::Tag(tag)).await {
            Err(Error::ManifestUnknown(_)) => return Ok(entries),
            index => index?,
        };
        let Ok(index) = oci::Manifest::parse(&index.bytes, Some(&index.media_type)) else {
            return Ok(entries);
        };
        if index.kind != Kind::Index {
            return Ok(entries);
        }
        for child in index.children {
            entries.extend(self.fallback_entry(repository, subject, child).await?);
        }
        Ok(entries)
    }

    async fn fallback_entry(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        child: oci::Descriptor,
    ) -> Result<Option<(Digest, ReferrerDescriptor)>, Error> {
        let Some(content) = contents::find(&self.inner.db, &child.digest).await? else {
            return Ok(None);
        };
        let manifest = match self.manifest(repository, &Reference::Digest(child.digest.clone())).await {
            Err(Error::ManifestUnknown(_)) => return Ok(None),
            manifest => manifest?,
        };
        let Ok(parsed) = oci::Manifest::parse(&manifest.bytes, Some(&manifest.media_type)) else {
            return Ok(None);
        };
        if parsed.subject.as_ref().is_some_and(|own| own.digest == *subject) {
            return Ok(None);
        }
        let entry = ReferrerDescriptor::of(&parsed, child.digest, manifest.bytes.len() as u64);
        Ok(Some((content, entry)))
    }
}

/// A page in the making.
struct Page {
    entries: Vec<ReferrerDescriptor>,
    size: usize,
    /// The content address of the newest entry that was looked at.
    last: Option<Digest>,
}

impl Page {
    /// Adds an entry, unless the page is full without it.
    fn add(&mut self, content: Digest, entry: ReferrerDescriptor) -> bool {
        self.size += weight(&entry);
        if self.size > MAX_BODY && !self.entries.is_empty() {
            return false;
        }
        self.entries.push(entry);
        self.last = Some(content);
        true
    }

    fn followed(self) -> ReferrersPage {
        ReferrersPage { index: oci::referrer::index(self.entries.into_iter()), next: self.last }
    }
}

fn descriptor(referrer: views::referrers::Referrer) -> ReferrerDescriptor {
    ReferrerDescriptor {
        media_type: referrer.media_type,
        digest: referrer.digest,
        size: referrer.size,
        artifact_type: referrer.artifact_type,
        annotations: referrer.annotations.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// About how many bytes an entry takes in the body, never less (escapes double a text at most here: the
/// frame's reserve covers the rest).
fn weight(entry: &ReferrerDescriptor) -> usize {
    let text = |text: &str| 8 + serde_json::to_string(text).map_or(0, |json| json.len());
    let annotations: usize = entry.annotations.iter().map(|(key, value)| text(key) + text(value)).sum();
    160 + text(&entry.media_type)
        + entry.digest.as_str().len()
        + entry.artifact_type.as_deref().map_or(0, text)
        + annotations
}
