//! The commands: what the registry asks the log to decide. Pure; tested without a database.

use std::collections::HashSet;

use bytes::Bytes;

use super::Error;
use super::collection::{refreshed, rules};
use super::protection::{self, Action};
use crate::clock::Micros;
use crate::dataplane::Stored;
use crate::db::Key;
use crate::events::{
    BlobLinked, BlobRecovered, BlobRepaired, BlobRevived, BlobStored, BlobUnlinked, Command, ContentDigested,
    Decision, Fact, ManifestDeleted, ManifestPushed, Read, Reference, RetentionResolved, Role, Rows, Subject,
    TagDeleted, TagMoved, Target, manifest_key,
};
use crate::oci::{Algorithm, Digest, Kind, Manifest, RepositoryName, Tag};
use crate::retention::Retained;
use crate::views::{
    blobs, contents, damages, holds, links, manifests, objects, package_files, packages, repositories,
    retentions, tags, tombstones,
};

fn content_read(digest: &Digest) -> Read {
    Read::row(&contents::CONTENT_DIGESTS, contents::key(digest))
}

fn blob_read(content: &Digest) -> Read {
    Read::row(&blobs::BLOBS, blobs::key(content))
}

pub(super) fn link_read(repository: &RepositoryName, content: &Digest) -> Read {
    Read::row(&links::BLOB_LINKS, links::key(repository, content))
}

fn manifest_read(key: Key) -> Read {
    Read::row(&manifests::MANIFESTS, key)
}

/// A repository gets a blob whose bytes are durable, or whose content is live already.
#[derive(Debug)]
pub(super) struct LinkBlob {
    pub(super) repository: RepositoryName,
    pub(super) content: Digest,
    /// The digest the client used; checked against the bytes.
    pub(super) digest: Digest,
    /// A fresh durable copy. Without one the command is rejected unless the copy there is stays.
    pub(super) stored: Option<Stored>,
    /// The key of the live copy, if it turned out to be lost: ours takes its place, as it does of one that is known
    /// to be damaged.
    pub(super) lost: Option<String>,
    /// The repository to mount from; it must hold the blob.
    pub(super) from: Option<RepositoryName>,
    /// A link that seems unused since before this begins its grace again.
    pub(super) stale_before: Micros,
}

impl LinkBlob {
    /// What becomes of the bytes: whose copy is the blob's from here on.
    fn copy(&self, rows: &Rows) -> Result<Vec<Fact>, Error> {
        let found = blobs::get(rows, &self.content);
        let is_lost = |blob: &blobs::Blob| blob.damage.is_some() || self.lost.as_ref() == Some(&blob.key);
        let is_lost = found.as_ref().is_some_and(is_lost);
        let push = rules::push(found.as_ref().map(|blob| blob.state), self.stored.is_some(), is_lost);
        let push = push.ok_or_else(|| Error::BlobUnknown(self.digest.clone()))?;
        let mut facts: Vec<Fact> = Vec::new();
        if let (rules::Push::Store, Some(stored)) = (push, &self.stored) {
            let fact = BlobStored {
                content: self.content.clone(),
                digests: stored.digests.all().to_vec(),
                size: stored.location.size,
                backend: stored.location.backend.clone(),
                key: stored.location.key.clone(),
                version: stored.location.version.clone(),
            };
            return Ok(vec![fact.into()]);
        }
        if let (rules::Push::Repair { .. }, Some(stored), Some(blob)) = (push, &self.stored, found) {
            let fact = BlobRepaired {
                content: self.content.clone(),
                size: stored.location.size,
                backend: stored.location.backend.clone(),
                key: stored.location.key.clone(),
                lost: blob.key,
                version: stored.location.version.clone(),
            };
            facts.push(fact.into());
        }
        if matches!(push, rules::Push::Revive | rules::Push::Repair { revives: true }) {
            facts.push(BlobRevived { content: self.content.clone() }.into());
        }
        if rows.get(&contents::CONTENT_DIGESTS, &contents::key(&self.digest)).is_none() {
            let (content, digest) = (self.content.clone(), self.digest.clone());
            facts.push(ContentDigested { content, digest }.into());
        }
        Ok(facts)
    }
}

impl Command for LinkBlob {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![
            blob_read(&self.content),
            content_read(&self.digest),
            link_read(&self.repository, &self.content),
            repositories::read(&self.repository),
        ];
        reads.extend(self.from.as_ref().map(|from| link_read(from, &self.content)));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if let Some(from) = &self.from
            && !links::exists(rows, from, &self.content)
        {
            return Err(Error::BlobUnknown(self.digest.clone()));
        }
        let mut facts = self.copy(rows)?;
        if links::exists(rows, &self.repository, &self.content) {
            facts.extend(refreshed(rows, &self.repository, &self.content, self.stale_before));
        } else {
            let fact = BlobLinked {
                repository: self.repository.clone(),
                content: self.content.clone(),
                digest: self.digest.clone(),
                mounted_from: self.from.clone(),
            };
            facts.push(fact.into());
        }
        Ok(Decision { facts, contents: Vec::new() })
    }
}

/// A repository gives up a blob that none of its manifests, packages and keys names.
#[derive(Debug)]
pub(super) struct UnlinkBlob {
    pub(super) repository: RepositoryName,
    pub(super) content: Digest,
    /// The digest the client used.
    pub(super) digest: Digest,
    /// Every digest of the content, itself included: a sparse manifest names a blob as its client wrote it.
    pub(super) digests: Vec<Digest>,
}

impl Command for UnlinkBlob {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![link_read(&self.repository, &self.content)];
        reads.extend(self.digests.iter().map(|digest| manifests::naming(&self.repository, digest)));
        reads.push(packages::of_content_manifest(&self.repository, &self.content));
        reads.push(package_files::having(&self.repository, &self.content));
        reads.push(objects::naming(&self.repository, &self.content));
        reads.push(holds::on(&self.repository, None));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if !links::exists(rows, &self.repository, &self.content) {
            return Err(Error::BlobUnknown(self.digest.clone()));
        }
        // First: what is held is told so whatever else would keep the blob, and the attempt is on record.
        let subject = self.digest.as_str();
        protection::check_repository(rows, &self.repository, Action::DeleteBlob, subject)?;
        // Before its manifest, which is kept by the same package.
        if let Some(package) = packages::described_by(rows, &self.repository, &self.content) {
            return Err(Error::BlobInPackage { blob: self.digest.clone(), package: package.id });
        }
        let naming = |digest| manifests::naming_one(rows, &self.repository, digest);
        if let Some(manifest) = self.digests.iter().find_map(naming) {
            return Err(Error::BlobInUse { blob: self.digest.clone(), manifest });
        }
        if let Some(package) = package_files::having_one(rows, &self.repository, &self.content) {
            return Err(Error::BlobInPackage { blob: self.digest.clone(), package });
        }
        if let Some(key) = objects::naming_one(rows, &self.repository, &self.content) {
            return Err(Error::BlobInObject { blob: self.digest.clone(), key });
        }
        let fact = BlobUnlinked { repository: self.repository.clone(), content: self.content.clone() };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// A repository gets a manifest and moves tags to it.
#[derive(Debug)]
pub(super) struct PushManifest {
    pub(super) repository: RepositoryName,
    pub(super) manifest: Manifest,
    pub(super) bytes: Bytes,
    pub(super) content: Digest,
    /// The digest to remember it by: the client's, or SHA-256.
    pub(super) digest: Digest,
    /// Every digest it can be asked for by, `content` included.
    pub(super) digests: Vec<Digest>,
    pub(super) tags: Vec<Tag>,
    /// What the manifest names, with the content address where the digest is known.
    pub(super) named: Vec<Named>,
    /// Whether an image may name blobs the repository does not hold.
    pub(super) allow_sparse: bool,
    /// The retention it comes under, unless it is under one.
    pub(super) retained: Option<Retained>,
    /// What its tags name now, as far as is known: what is looked at before they move.
    pub(super) displaced: Vec<Digest>,
    /// Whether its bytes turned out to be lost, although it was pushed before: these take their place.
    pub(super) is_lost: bool,
    /// Compliance time.
    pub(super) now: Micros,
}

/// A descriptor of a manifest on its way in.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) role: Role,
    pub(super) digest: Digest,
    pub(super) content: Option<Digest>,
    /// Whether the registry may go without it (foreign layers).
    pub(super) is_foreign: bool,
}

impl PushManifest {
    /// Its SHA-256 digest.
    pub(super) fn sha256(&self) -> &Digest {
        let sha256 = self.digests.iter().find(|digest| digest.algorithm() == Algorithm::Sha256);
        sha256.expect("a manifest is always known by SHA-256")
    }

    fn key(&self) -> Key {
        manifests::key(&self.repository, &self.content)
    }

    fn target(&self) -> Target {
        Target::Manifest(self.content.clone())
    }

    /// Whether a tag names this content already, by another digest, and stays as it is: what is held does not change
    /// in any way that clients can see.
    fn is_pinned_here(&self, rows: &Rows, tag: &Tag) -> bool {
        tags::content(rows, &self.repository, tag).as_ref() == Some(&self.content)
            && protection::pins_tags(rows, &self.repository, &self.content, self.now)
    }

    /// Its retention, if it comes under one now. What it is under since an earlier push stays as it was pinned then.
    fn resolved(&self, rows: &Rows) -> Option<RetentionResolved> {
        let retained = self.retained.as_ref()?;
        let target = self.target();
        if retentions::get(rows, &self.repository, &target).is_some() {
            return None;
        }
        let (rule, from, until) = (retained.rule.clone(), retained.from, retained.until);
        Some(RetentionResolved { repository: self.repository.clone(), target, rule, from, until })
    }

    /// Its bytes were lost or are thought to be, and it has them again.
    fn recovered(&self, rows: &Rows) -> Option<BlobRecovered> {
        let key = manifest_key(&self.content);
        let is_open = damages::open_trouble(rows, &key).is_some();
        (self.is_lost || is_open).then(|| BlobRecovered { content: self.content.clone(), key })
    }

    /// Resolves every descriptor against what the repository holds; names those it must hold and does not.
    /// Children of an index may be missing: sparse indexes are legal.
    fn references(&self, rows: &Rows) -> Result<Vec<Reference>, Error> {
        let mut references = Vec::with_capacity(self.named.len());
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for named in &self.named {
            let held = named.content.as_ref().filter(|content| match named.role {
                Role::Child => manifests::pushed_as(rows, &self.repository, content).is_some(),
                Role::Config | Role::Layer => links::exists(rows, &self.repository, content),
            });
            let is_needed = named.role != Role::Child && !named.is_foreign && !self.allow_sparse;
            if held.is_none() && is_needed && seen.insert(&named.digest) {
                missing.push(named.digest.clone());
            }
            let target = held.unwrap_or(&named.digest).clone();
            references.push(Reference { role: named.role, target });
        }
        if !missing.is_empty() {
            return Err(Error::ReferencesUnknown(missing));
        }
        references.sort();
        references.dedup();
        Ok(references)
    }

    fn subject(&self) -> Option<Subject> {
        self.manifest.subject.as_ref().map(|subject| Subject {
            digest: subject.digest.clone(),
            artifact_type: self.manifest.artifact_type.clone(),
            annotations: self.manifest.annotations.clone().into_iter().collect(),
        })
    }
}

impl Command for PushManifest {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![manifest_read(self.key()), repositories::read(&self.repository)];
        reads.extend(self.digests.iter().map(content_read));
        reads.push(damages::read(&manifest_key(&self.content)));
        reads.extend(self.tags.iter().map(|tag| Read::row(&tags::TAGS, tags::key(&self.repository, tag))));
        reads.extend(self.tags.iter().map(|tag| tombstones::read_tag(&self.repository, tag)));
        reads.extend(self.displaced.iter().flat_map(|it| protection::reads(&self.repository, it)));
        reads.extend(self.retained.iter().map(|_| retentions::read(&self.repository, &self.target())));
        for named in &self.named {
            let Some(content) = &named.content else { continue };
            reads.push(match named.role {
                Role::Child => manifest_read(manifests::key(&self.repository, content)),
                Role::Config | Role::Layer => link_read(&self.repository, content),
            });
        }
        reads
    }

    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let references = self.references(rows)?;
        let check = |tag| protection::check_tag(rows, &self.repository, tag, &self.content, self.now);
        self.tags.iter().try_for_each(check)?;
        let mut decision = Decision::default();
        let media_type = manifests::media_type(rows, &self.repository, &self.content);
        // The first type stays: another one would change what its other tags are served as.
        if media_type.is_some() {
            let new =
                |digest: &&Digest| rows.get(&contents::CONTENT_DIGESTS, &contents::key(digest)).is_none();
            let aliases = self.digests.iter().filter(new);
            let alias =
                |digest: &Digest| ContentDigested { content: self.content.clone(), digest: digest.clone() };
            decision.facts.extend(aliases.map(|digest| Fact::from(alias(digest))));
            decision.facts.extend(self.recovered(rows).map(Fact::from));
            if self.is_lost {
                decision.contents.push((self.content.clone(), self.bytes.clone()));
            }
        } else {
            decision.facts.extend(self.recovered(rows).map(Fact::from));
            let fact = ManifestPushed {
                repository: self.repository.clone(),
                content: self.content.clone(),
                digests: self.digests.clone(),
                digest: self.digest.clone(),
                media_type: self.manifest.media_type.clone(),
                size: self.bytes.len() as u64,
                references,
                subject: self.subject(),
            };
            decision.facts.push(fact.into());
            decision.contents.push((self.content.clone(), self.bytes.clone()));
        }
        decision.facts.extend(self.resolved(rows).map(Fact::from));
        for tag in &self.tags {
            let previous = tags::digest(rows, &self.repository, tag);
            if previous.as_ref() == Some(&self.digest) || self.is_pinned_here(rows, tag) {
                continue;
            }
            let fact = TagMoved {
                repository: self.repository.clone(),
                tag: tag.clone(),
                digest: self.digest.clone(),
                content: self.content.clone(),
                previous,
            };
            decision.facts.push(fact.into());
        }
        Ok(decision)
    }
}

/// A repository gives up a manifest that nothing protects, and every tag on it.
#[derive(Debug)]
pub(super) struct DeleteManifest {
    pub(super) repository: RepositoryName,
    pub(super) content: Digest,
    /// The digest the client used.
    pub(super) digest: Digest,
    /// Compliance time.
    pub(super) now: Micros,
}

impl Command for DeleteManifest {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = protection::reads(&self.repository, &self.content);
        reads.push(manifest_read(manifests::key(&self.repository, &self.content)));
        reads.push(tags::on(&self.repository, &self.content));
        reads.push(manifests::references(&self.repository, &self.content));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let pushed_as = manifests::pushed_as(rows, &self.repository, &self.content);
        let digest = pushed_as.ok_or_else(|| Error::ManifestUnknown(self.digest.to_string()))?;
        protection::check_delete(rows, &self.repository, (&self.content, &self.digest), self.now)?;
        let fact = ManifestDeleted {
            repository: self.repository.clone(),
            content: self.content.clone(),
            digest,
            tags: tags::names_on(rows, &self.repository, &self.content),
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// A repository gives up a tag; the manifest stays.
#[derive(Debug)]
pub(super) struct DeleteTag {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    /// Compliance time.
    pub(super) now: Micros,
}

impl Command for DeleteTag {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let tag = Read::row(&tags::TAGS, tags::key(&self.repository, &self.tag));
        vec![tag, holds::on(&self.repository, None)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let digest = tags::digest(rows, &self.repository, &self.tag);
        let digest = digest.ok_or_else(|| Error::TagUnknown(self.tag.clone()))?;
        if let Some(content) = tags::content(rows, &self.repository, &self.tag) {
            protection::check_untag(rows, &self.repository, &self.tag, &content, self.now)?;
        }
        let fact = TagDeleted { repository: self.repository.clone(), tag: self.tag.clone(), digest };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// Puts on record what happened, whatever the views say.
#[derive(Debug)]
pub(super) struct Record(pub(super) Fact);

impl Command for Record {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, _: &Rows) -> Result<Decision, Error> {
        Ok(Decision { facts: vec![self.0.clone()], contents: Vec::new() })
    }
}

/// The descriptors of a manifest in the roles they have.
pub(super) fn descriptors(manifest: &Manifest) -> Vec<(Role, &Digest, bool)> {
    let mut all = Vec::new();
    match manifest.kind {
        Kind::Image => {
            all.extend(manifest.config.iter().map(|config| (Role::Config, &config.digest, false)));
            all.extend(manifest.layers.iter().map(|layer| (Role::Layer, &layer.digest, layer.is_foreign())));
        }
        Kind::Index => all.extend(manifest.children.iter().map(|child| (Role::Child, &child.digest, false))),
    }
    all
}
