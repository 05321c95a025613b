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
        let mut entries = Vec::new();
        let mut size = 0;
        let mut last = after.cloned();
        loop {
            let page =
                views::referrers::page(&self.inner.db, repository, subject, last.as_ref(), PAGE).await?;
            let is_end = page.len() < usize::try_from(PAGE).expect("a small number");
            for referrer in page {
                let content = referrer.content.clone();
                if wanted(&referrer.artifact_type) {
                    let entry = descriptor(referrer);
                    size += weight(&entry);
                    if size > MAX_BODY && !entries.is_empty() {
                        let index = oci::referrer::index(entries.into_iter());
                        return Ok(ReferrersPage { index, next: last });
                    }
                    entries.push(entry);
                }
                last = Some(content);
            }
            if is_end {
                break;
            }
        }
        for entry in self.listed_under_fallback_tag(repository, subject).await? {
            size += weight(&entry);
            if wanted(&entry.artifact_type) && size <= MAX_BODY {
                entries.push(entry);
            }
        }
        Ok(ReferrersPage { index: oci::referrer::index(entries.into_iter()), next: None })
    }

    /// What the index under the fallback tag lists and the repository holds, except manifests whose own
    /// subject says the same already.
    async fn listed_under_fallback_tag(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<ReferrerDescriptor>, Error> {
        let Some(tag) = oci::referrer::fallback_tag(subject) else {
            return Ok(Vec::new());
        };
        let index = match self.manifest(repository, &Reference::Tag(tag)).await {
            Err(Error::ManifestUnknown(_)) => return Ok(Vec::new()),
            index => index?,
        };
        let Ok(index) = oci::Manifest::parse(&index.bytes, Some(&index.media_type)) else {
            return Ok(Vec::new());
        };
        if index.kind != Kind::Index {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for child in index.children {
            if let Some(entry) = self.fallback_entry(repository, subject, child).await? {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    async fn fallback_entry(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        child: oci::Descriptor,
    ) -> Result<Option<ReferrerDescriptor>, Error> {
        if contents::find(&self.inner.db, &child.digest).await?.is_none() {
            return Ok(None);
        }
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
        Ok(Some(ReferrerDescriptor::of(&parsed, child.digest, manifest.bytes.len() as u64)))
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
