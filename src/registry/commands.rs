//! The commands: what the registry asks the log to decide. Pure; tested without a database.

use std::collections::HashSet;

use bytes::Bytes;

use super::Error;
use crate::dataplane::Stored;
use crate::db::Key;
use crate::events::{
    BlobLinked, BlobRepaired, BlobStored, BlobUnlinked, Command, ContentDigested, Decision, Fact,
    ManifestDeleted, ManifestPushed, Read, Reference, Role, Rows, Subject, TagDeleted, TagMoved,
};
use crate::oci::{Algorithm, Digest, Kind, Manifest, RepositoryName, Tag};
use crate::package::mapping::names;
use crate::views::packages::Status;
use crate::views::{
    blobs, contents, links, manifests, objects, package_files, packages, referrers, repositories, tags,
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
    /// A fresh durable copy. Without one the command is rejected unless the content is live.
    pub(super) stored: Option<Stored>,
    /// The key of the live copy, if it turned out to be lost: ours takes its place.
    pub(super) lost: Option<String>,
    /// The repository to mount from; it must hold the blob.
    pub(super) from: Option<RepositoryName>,
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
        let unknown = || Error::BlobUnknown(self.digest.clone());
        if let Some(from) = &self.from
            && !links::exists(rows, from, &self.content)
        {
            return Err(unknown());
        }
        let mut facts: Vec<Fact> = Vec::new();
        let live = blobs::get(rows, &self.content).filter(|blob| blob.is_live);
        if let Some(blob) = live {
            if self.lost.as_ref() == Some(&blob.key) {
                let stored = self.stored.as_ref().ok_or_else(unknown)?;
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
            if rows.get(&contents::CONTENT_DIGESTS, &contents::key(&self.digest)).is_none() {
                let (content, digest) = (self.content.clone(), self.digest.clone());
                facts.push(ContentDigested { content, digest }.into());
            }
        } else {
            let stored = self.stored.as_ref().ok_or_else(unknown)?;
            let fact = BlobStored {
                content: self.content.clone(),
                digests: stored.digests.all().to_vec(),
                size: stored.location.size,
                backend: stored.location.backend.clone(),
                key: stored.location.key.clone(),
                version: stored.location.version.clone(),
            };
            facts.push(fact.into());
        }
        if !links::exists(rows, &self.repository, &self.content) {
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
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if !links::exists(rows, &self.repository, &self.content) {
            return Err(Error::BlobUnknown(self.digest.clone()));
        }
        // First, since the manifest that names it is kept by the same package.
        if let Some(package) = packages::described_by(rows, &self.repository, &self.content) {
            return Err(kept("blob", &self.digest, package));
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
        reads.extend(self.tags.iter().map(|tag| Read::row(&tags::TAGS, tags::key(&self.repository, tag))));
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
        } else {
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
        for tag in &self.tags {
            let previous = tags::digest(rows, &self.repository, tag);
            if previous.as_ref() == Some(&self.digest) {
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

/// A repository gives up a manifest that no package needs, and every tag on it.
#[derive(Debug)]
pub(super) struct DeleteManifest {
    pub(super) repository: RepositoryName,
    pub(super) content: Digest,
    /// The digest the client used.
    pub(super) digest: Digest,
}

impl DeleteManifest {
    /// The finalized package that cannot do without a manifest of this content.
    fn kept_by(&self, rows: &Rows) -> Option<packages::Package> {
        self.is_or_is_part_of(rows).or_else(|| self.publishes_table_of(rows))
    }

    /// The package whose table the registry derived and published in this manifest.
    fn publishes_table_of(&self, rows: &Rows) -> Option<packages::Package> {
        let (subject, annotations) = referrers::subject_of(rows, &self.repository, &self.content)?;
        let is_generated = annotations.iter().any(|(key, value)| key == names::GENERATED && value == "true");
        if !is_generated {
            return None;
        }
        // Anybody can write the annotation: what counts is the table of the package.
        let named = manifests::named(rows, &self.repository, &self.content);
        packages::named_by(rows, &self.repository, &subject).into_iter().find(|package| {
            let table = package.content_manifest.as_ref();
            package.status == Status::Finalized && table.is_some_and(|table| named.contains(table))
        })
    }

    /// The package that the manifest is, or is a part of.
    fn is_or_is_part_of(&self, rows: &Rows) -> Option<packages::Package> {
        let digests = contents::known(rows, &self.content);
        let parents = digests.iter().flat_map(|digest| manifests::parents(rows, &self.repository, digest));
        let parents: Vec<Vec<Digest>> = parents.map(|parent| contents::known(rows, &parent)).collect();
        let named = std::iter::once(&digests).chain(&parents).flatten();
        let named = named.filter(|digest| digest.algorithm() == Algorithm::Sha256);
        named
            .flat_map(|digest| packages::named_by(rows, &self.repository, digest))
            .find(|package| package.status == Status::Finalized)
    }
}

impl Command for DeleteManifest {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![
            contents::of(&self.content),
            manifests::naming(&self.repository, &self.content),
            manifest_read(manifests::key(&self.repository, &self.content)),
            tags::on(&self.repository, &self.content),
            manifests::references(&self.repository, &self.content),
            referrers::of_manifest(&self.repository, &self.content),
        ]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let pushed_as = manifests::pushed_as(rows, &self.repository, &self.content);
        let digest = pushed_as.ok_or_else(|| Error::ManifestUnknown(self.digest.to_string()))?;
        if let Some(package) = self.kept_by(rows) {
            return Err(kept("manifest", &self.digest, package));
        }
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
}

impl Command for DeleteTag {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![Read::row(&tags::TAGS, tags::key(&self.repository, &self.tag))]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let digest = tags::digest(rows, &self.repository, &self.tag);
        let digest = digest.ok_or_else(|| Error::TagUnknown(self.tag.clone()))?;
        let fact = TagDeleted { repository: self.repository.clone(), tag: self.tag.clone(), digest };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// What cannot leave because of a package.
pub(super) fn kept(what: &'static str, digest: &Digest, package: packages::Package) -> Error {
    Error::PackageKeeps {
        what,
        digest: digest.clone(),
        package: package.id,
        class: package.description.retention_class.unwrap_or_default(),
        until: package.expires_at,
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
