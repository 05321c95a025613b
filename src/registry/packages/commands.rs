//! The commands on drafts. Pure.

use crate::clock::Micros;
use crate::events::{
    Command, Decision, PackageCreated, PackageFailed, PackageFailure, PackageFileDropped,
    PackageFileIngested, PackageFileReplaced, Read, RetentionResolved, Role, Rows, SchemaRegistered,
    Sequence, Target,
};
use crate::oci::{Digest, RepositoryName, excerpt};
use crate::package::mapping::Mismatch;
use crate::package::{File, Invalid, MAX_FILES, Manifest, PackageId, PackagePath};
use crate::registry::Error;
use crate::registry::commands::{LinkBlob, Named, PushManifest, link_read};
use crate::registry::protection::{self, Action};
use crate::retention::Retained;
use crate::views::packages::{Package, Status};
use crate::views::{holds, links, manifests, package_files, packages, repositories, retentions, schemas};

/// What a file weighs in the event that finalizes its package, about, in bytes.
const FILE: usize = 512;

/// The draft a command is about.
pub(super) fn draft(rows: &Rows, repository: &RepositoryName, id: &PackageId) -> Result<Package, Error> {
    only_draft(known(rows, repository, id)?)
}

fn known(rows: &Rows, repository: &RepositoryName, id: &PackageId) -> Result<Package, Error> {
    let package = packages::get(rows, id).filter(|package| package.repository == *repository);
    package.ok_or_else(|| Error::PackageUnknown(id.clone()))
}

fn only_draft(package: Package) -> Result<Package, Error> {
    if package.status.is_draft() {
        Ok(package)
    } else {
        Err(Error::PackageNotDraft { package: package.id, status: package.status })
    }
}

/// The draft that a command takes something from. Of what is finalized it tells what protects it and not only that it
/// is no draft: that is an attempt for the record.
fn draft_to_lose(
    rows: &Rows,
    repository: &RepositoryName,
    id: &PackageId,
    (action, subject): (Action, &str),
    now: Micros,
) -> Result<Package, Error> {
    let package = known(rows, repository, id)?;
    if !package.status.is_draft() {
        protection::check_package(rows, &package, action, subject, now)?;
    }
    only_draft(package)
}

/// A file of a draft, as refusals name it.
pub(super) fn in_package(package: &PackageId, path: &PackagePath) -> String {
    format!("{package}/{path}")
}

/// What holds a draft, or all of its repository.
fn holds_on(repository: &RepositoryName, package: &PackageId) -> [Read; 3] {
    let target = Target::Package(package.clone());
    let retention = retentions::read(repository, &target);
    [holds::on(repository, None), holds::on(repository, Some(&target)), retention]
}

/// A repository gets a draft.
#[derive(Debug)]
pub(super) struct CreatePackage {
    pub(super) fact: PackageCreated,
}

impl Command for CreatePackage {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![packages::read(&self.fact.package), repositories::read(&self.fact.repository)];
        reads.extend(self.fact.description.schema.as_deref().map(schemas::read));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        match &self.fact.description.schema {
            Some(name) if schemas::get(rows, name).is_none() => Err(Error::SchemaMissing(name.clone())),
            _ => Ok(Decision { facts: vec![self.fact.clone().into()], contents: Vec::new() }),
        }
    }
}

/// A draft gets a file, and its repository the blob.
#[derive(Debug)]
pub(super) struct IngestFile {
    pub(super) link: LinkBlob,
    pub(super) package: PackageId,
    pub(super) file: File,
    /// Whether another file may stand at its path.
    pub(super) replace: bool,
    /// Compliance time.
    pub(super) now: Micros,
}

impl IngestFile {
    /// What the package has at the path now, if the file may come there.
    fn place(&self, rows: &Rows) -> Result<Option<File>, Error> {
        let (package, path) = (&self.package, &self.file.path);
        let (repository, before) = (&self.link.repository, package_files::get(rows, package, path));
        if let Some(before) = before.filter(|_| self.replace) {
            let attempt = (Action::ReplaceFile, &*in_package(package, path));
            let draft = draft_to_lose(rows, repository, package, attempt, self.now)?;
            if before != self.file {
                protection::check_package(rows, &draft, attempt.0, attempt.1, self.now)?;
            }
            return Ok(Some(before));
        }
        let draft = draft(rows, repository, package)?;
        if package_files::get(rows, package, path).is_some() {
            return Err(Error::FileExists { package: package.clone(), path: path.clone() });
        }
        // Of the other way round, a path that is a folder already, finalize is sure.
        if let Some(folder) = path.folders().find(|folder| package_files::is_file(rows, package, folder)) {
            let file = folder.parse().expect("it is the path of a file");
            return Err(Error::PathConflict { file, inside: path.clone() });
        }
        if draft.files >= MAX_FILES as u64 {
            return Err(Invalid::TooMany(MAX_FILES + 1).into());
        }
        Ok(None)
    }
}

impl Command for IngestFile {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = self.link.reads();
        reads.push(packages::read(&self.package));
        reads.push(package_files::read(&self.package, &self.file.path));
        reads
            .extend(self.file.path.folders().map(|folder| package_files::read_folder(&self.package, folder)));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let before = self.place(rows)?;
        let mut decision = self.link.decide(rows)?;
        let (repository, package) = (self.link.repository.clone(), self.package.clone());
        let file = self.file.clone();
        match before {
            Some(before) if before == file => {}
            Some(before) => {
                let previous = before.content_address;
                decision.facts.push(PackageFileReplaced { repository, package, file, previous }.into());
            }
            None => decision.facts.push(PackageFileIngested { repository, package, file }.into()),
        }
        Ok(decision)
    }
}

/// A draft loses a file; the blob stays in the repository.
#[derive(Debug)]
pub(super) struct DropFile {
    pub(super) repository: RepositoryName,
    pub(super) package: PackageId,
    pub(super) path: PackagePath,
    /// Compliance time.
    pub(super) now: Micros,
}

impl Command for DropFile {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let file = package_files::read(&self.package, &self.path);
        let reads = vec![packages::read(&self.package), file];
        reads.into_iter().chain(holds_on(&self.repository, &self.package)).collect()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let attempt = (Action::DropFile, &*in_package(&self.package, &self.path));
        let draft = draft_to_lose(rows, &self.repository, &self.package, attempt, self.now)?;
        let file = package_files::get(rows, &self.package, &self.path)
            .ok_or_else(|| Error::FileUnknown { package: self.package.clone(), path: self.path.clone() })?;
        protection::check_package(rows, &draft, attempt.0, attempt.1, self.now)?;
        let fact = PackageFileDropped {
            repository: self.repository.clone(),
            package: self.package.clone(),
            path: self.path.clone(),
            content: file.content_address,
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// A draft ends.
#[derive(Debug)]
pub(super) struct FailPackage {
    pub(super) repository: RepositoryName,
    pub(super) package: PackageId,
    pub(super) reason: PackageFailure,
    /// Only if nothing happened to it since.
    pub(super) idle_since: Option<Micros>,
    /// Compliance time.
    pub(super) now: Micros,
}

impl Command for FailPackage {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let reads = vec![packages::read(&self.package), package_files::of_package(&self.package)];
        reads.into_iter().chain(holds_on(&self.repository, &self.package)).collect()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let package = known(rows, &self.repository, &self.package)?;
        // Said twice, or by a sweep on two replicas.
        let has_ended = package.status == Status::Failed;
        if has_ended || self.idle_since.is_some_and(|since| package.updated_at >= since) {
            return Ok(Decision::default());
        }
        let (id, action) = (&self.package, Action::AbortPackage);
        match protection::check_package(rows, &package, action, id.as_str(), self.now) {
            // That nobody touches it is nobody's attempt.
            Err(Error::Protected(_)) if self.idle_since.is_some() => return Ok(Decision::default()),
            checked => checked?,
        }
        only_draft(package)?;
        let fact = PackageFailed {
            repository: self.repository.clone(),
            package: self.package.clone(),
            reason: self.reason,
        };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// A repository gets the manifest of a package, and the package with it.
#[derive(Debug)]
pub(super) struct RecordPackage {
    pub(super) push: PushManifest,
    /// The referrer that publishes what the registry generated.
    pub(super) beside: Option<PushManifest>,
    pub(super) manifest: Manifest,
    /// The retention it comes under; its manifest has the summary.
    pub(super) retained: Retained,
    /// Content the repository must hold besides what the manifests name themselves.
    pub(super) held: Vec<Digest>,
    /// The revision of the draft it was made of. Without one it was pushed whole, and is recorded unless the manifest
    /// is a package already.
    pub(super) draft: Option<Sequence>,
}

impl RecordPackage {
    fn repository(&self) -> &RepositoryName {
        &self.push.repository
    }

    fn parts(&self) -> impl Iterator<Item = &Named> {
        self.push.named.iter().filter(|named| named.role == Role::Child)
    }

    /// A part may be missing from an ordinary index and never from a package.
    fn check_held(&self, rows: &Rows) -> Result<(), Error> {
        let repository = self.repository();
        let is_pushed = |content: &Digest| manifests::pushed_as(rows, repository, content).is_some();
        let parts = self.parts().filter(|part| !part.content.as_ref().is_some_and(is_pushed));
        let blobs = self.held.iter().filter(|content| !links::exists(rows, repository, content));
        let missing: Vec<Digest> = parts.map(|part| &part.digest).chain(blobs).cloned().collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::ReferencesUnknown(missing)) }
    }

    /// The first type of a manifest stays. As another one it would be no package to whoever pulls it.
    fn check_type(&self, rows: &Rows) -> Result<(), Mismatch> {
        let pushed = &self.push.manifest.media_type;
        match manifests::media_type(rows, self.repository(), &self.push.content) {
            Some(stored) if stored != pushed => {
                Err(Mismatch::StoredAs { stored: excerpt(stored), pushed: pushed.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a package to be recorded.
    fn is_new(&self, rows: &Rows) -> Result<bool, Error> {
        let Some(revision) = self.draft else {
            let known = packages::named_by(rows, self.repository(), self.push.sha256());
            return Ok(!known.iter().any(|package| package.status == Status::Finalized));
        };
        let id = &self.manifest.package.id;
        if draft(rows, self.repository(), id)?.revision == revision {
            Ok(true)
        } else {
            Err(Error::PackageChanged(id.clone()))
        }
    }
}

impl Command for RecordPackage {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = self.push.reads();
        reads.extend(self.beside.iter().flat_map(PushManifest::reads));
        reads.extend(self.held.iter().map(|content| link_read(self.repository(), content)));
        reads.push(packages::read(&self.manifest.package.id));
        // A draft may be finalized however many packages have the same manifest.
        if self.draft.is_none() {
            reads.push(packages::of_reference(self.repository(), self.push.sha256()));
        }
        reads
    }

    fn weight(&self) -> usize {
        let files = self.manifest.files.len() * FILE;
        self.push.weight() + self.beside.as_ref().map_or(0, PushManifest::weight) + files
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let is_new = self.is_new(rows)?;
        self.check_held(rows)?;
        if is_new {
            self.check_type(rows)?;
        }
        let mut decision = self.push.decide(rows)?;
        if !is_new {
            return Ok(decision);
        }
        if let Some(beside) = &self.beside {
            let beside = beside.decide(rows)?;
            decision.facts.extend(beside.facts);
            decision.contents.extend(beside.contents);
        }
        decision.facts.push(self.manifest.clone().into());
        let Retained { rule, from, until, .. } = self.retained.clone();
        let target = Target::Package(self.manifest.package.id.clone());
        let repository = self.repository().clone();
        decision.facts.push(RetentionResolved { repository, target, rule, from, until }.into());
        Ok(decision)
    }
}

/// A name gets a metadata schema.
#[derive(Debug)]
pub(super) struct RegisterSchema {
    pub(super) fact: SchemaRegistered,
}

impl Command for RegisterSchema {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![schemas::read(&self.fact.name)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let is_known =
            schemas::get(rows, &self.fact.name).is_some_and(|known| known.digest == self.fact.digest);
        let facts = if is_known { Vec::new() } else { vec![self.fact.clone().into()] };
        Ok(Decision { facts, contents: Vec::new() })
    }
}
