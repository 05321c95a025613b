//! The commands of a collection. Pure, and each asks again what a query had found: in between everything can have
//! happened.

use std::collections::BTreeMap;

use super::rules::{self, Naming, Unused};
use crate::clock::Micros;
use crate::events::{
    BlobsCondemned, BlobsDeleteIntended, BlobsKept, BlobsPurged, BlobsReleased, Command, Copy, Decision,
    Fact, KeptBecause, Read, Rows,
};
use crate::oci::{Digest, RepositoryName};
use crate::registry::Error;
use crate::registry::commands::link_read;
use crate::registry::compliance::refuse_frozen;
use crate::views::blobs::{self, Blob, State};
use crate::views::{contents, damages, holds, links, manifests, objects, package_files, packages};

fn blob_read(content: &Digest) -> Read {
    Read::row(&blobs::BLOBS, blobs::key(content))
}

/// A link that was unused for the grace period when it was looked at.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Candidate {
    pub(in crate::registry) link: links::Unused,
    /// What was found that names the blob. If nothing was, the command looks for itself.
    pub(in crate::registry) naming: Naming,
}

/// Repositories give up blobs that nothing of theirs names, and keep those that something does.
#[derive(Debug)]
pub(in crate::registry) struct ReleaseLinks {
    pub(in crate::registry) run: String,
    pub(in crate::registry) candidates: Vec<Candidate>,
}

/// What of a repository names a blob: a manifest, as its client wrote it; a package or draft; a key; a package whose
/// content manifest it is.
fn naming(rows: &Rows, repository: &RepositoryName, content: &Digest) -> Naming {
    let digests = contents::known(rows, content);
    // Everything is looked at, so that what is missing is loaded at once.
    let mentions =
        digests.iter().filter_map(|digest| manifests::naming_one(rows, repository, digest)).count();
    let is_table = packages::described_by(rows, repository, content).is_some();
    let uses = [
        manifests::is_used(rows, repository, content),
        package_files::having_one(rows, repository, content).is_some(),
        objects::naming_one(rows, repository, content).is_some(),
    ];
    match (uses.contains(&true), mentions > 0 || is_table) {
        (true, _) => Naming::Used,
        (false, false) => Naming::Nothing,
        (false, true) => Naming::Mentioned,
    }
}

impl Command for ReleaseLinks {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = Vec::new();
        for Candidate { link, naming } in &self.candidates {
            let (repository, content) = (&link.repository, &link.content);
            reads.push(link_read(repository, content));
            if *naming == Naming::Nothing {
                reads.push(contents::of(content));
                reads.push(manifests::naming(repository, content));
                reads.push(packages::of_content_manifest(repository, content));
                reads.push(package_files::having(repository, content));
                reads.push(objects::naming(repository, content));
                reads.push(holds::on(repository, None));
            }
        }
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        #[derive(Default)]
        struct Decided {
            released: Vec<Digest>,
            kept: Vec<Digest>,
            deferred: Vec<Digest>,
        }
        let mut decided: BTreeMap<&RepositoryName, Decided> = BTreeMap::new();
        for Candidate { link, naming: found } in &self.candidates {
            let (repository, content) = (&link.repository, &link.content);
            let is_as_seen = links::unused_since(rows, repository, content) == Some(link.since);
            // What was found naming it still does: whatever gives a blob up since says so in the link.
            let naming = match found {
                Naming::Nothing => naming(rows, repository, content),
                found => *found,
            };
            let is_held = naming == Naming::Nothing && !holds::in_force(rows, repository, None).is_empty();
            let decided = decided.entry(repository).or_default();
            match rules::unused(is_as_seen, naming, is_held) {
                Unused::Release => decided.released.push(content.clone()),
                Unused::Keep => decided.kept.push(content.clone()),
                Unused::Defer => decided.deferred.push(content.clone()),
                Unused::Leave => {}
            }
        }
        let mut facts: Vec<Fact> = Vec::new();
        for (repository, Decided { mut released, mut kept, mut deferred }) in decided {
            released.sort();
            for (contents, reason) in
                [(&mut kept, KeptBecause::Used), (&mut deferred, KeptBecause::Mentioned)]
            {
                contents.sort();
                if !contents.is_empty() {
                    let (repository, contents) = (repository.clone(), std::mem::take(contents));
                    let run = Some(self.run.clone());
                    facts.push(BlobsKept { run, repository, contents, reason }.into());
                }
            }
            if !released.is_empty() {
                let (run, repository) = (self.run.clone(), repository.clone());
                facts.push(BlobsReleased { run, repository, contents: released }.into());
            }
        }
        Ok(Decision { facts, contents: Vec::new() })
    }
}

/// A link that seems unused is about to be relied on: its grace begins again.
#[derive(Debug)]
pub(in crate::registry) struct KeepLink {
    pub(in crate::registry) repository: RepositoryName,
    pub(in crate::registry) content: Digest,
    /// The digest the client used.
    pub(in crate::registry) digest: Digest,
    /// Only if it seems unused since before this.
    pub(in crate::registry) stale_before: Micros,
}

impl Command for KeepLink {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![link_read(&self.repository, &self.content)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if !links::exists(rows, &self.repository, &self.content) {
            return Err(Error::BlobUnknown(self.digest.clone()));
        }
        let facts = refreshed(rows, &self.repository, &self.content, self.stale_before);
        Ok(Decision { facts: facts.into_iter().collect(), contents: Vec::new() })
    }
}

/// The fact that begins the grace of a link again, if it seems unused since before a moment.
pub(in crate::registry) fn refreshed(
    rows: &Rows,
    repository: &RepositoryName,
    content: &Digest,
    stale_before: Micros,
) -> Option<Fact> {
    let since = links::unused_since(rows, repository, content)?;
    let (repository, contents) = (repository.clone(), vec![content.clone()]);
    let kept = || BlobsKept { run: None, repository, contents, reason: KeptBecause::Asked };
    (since < stale_before).then(|| kept().into())
}

/// Blobs that no repository holds wait for their deletion.
#[derive(Debug)]
pub(in crate::registry) struct CondemnBlobs {
    pub(in crate::registry) run: String,
    pub(in crate::registry) contents: Vec<Digest>,
    /// Only those that nobody holds since before this.
    pub(in crate::registry) before: Micros,
}

impl Command for CondemnBlobs {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        self.contents.iter().flat_map(|content| [blob_read(content), links::of(content)]).collect()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let mut contents: Vec<Digest> = Vec::new();
        for content in &self.contents {
            let Some(blob) = blobs::get(rows, content) else { continue };
            let is_due = blobs::unlinked_since(rows, content).is_some_and(|since| since < self.before);
            if rules::may_condemn(blob.state, links::count(rows, content)) && is_due {
                contents.push(content.clone());
            }
        }
        contents.sort();
        let fact = || BlobsCondemned { run: self.run.clone(), contents: contents.clone() };
        let facts = if contents.is_empty() { Vec::new() } else { vec![fact().into()] };
        Ok(Decision { facts, contents: Vec::new() })
    }
}

/// Condemned blobs are about to be deleted: from here on they are not there for anybody.
#[derive(Debug)]
pub(in crate::registry) struct IntendDeletes {
    pub(in crate::registry) run: String,
    pub(in crate::registry) contents: Vec<Digest>,
    /// Only those condemned before this.
    pub(in crate::registry) before: Micros,
}

impl Command for IntendDeletes {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let of = |content| [blob_read(content), links::of(content), damages::of(content)];
        self.contents.iter().flat_map(of).collect()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let (mut copies, mut aside): (Vec<Copy>, Vec<Copy>) = (Vec::new(), Vec::new());
        for content in &self.contents {
            let Some(blob) = blobs::get(rows, content) else { continue };
            let is_due = blobs::condemned_at(rows, content).is_some_and(|at| at < self.before);
            if rules::may_delete(blob.state, links::count(rows, content)) && is_due {
                aside.extend(damages::aside(rows, &blob));
                copies.push(copy(blob));
            }
        }
        if copies.is_empty() {
            return Ok(Decision::default());
        }
        refuse_frozen(rows)?;
        sort(&mut copies);
        sort(&mut aside);
        let fact = BlobsDeleteIntended { run: self.run.clone(), copies, aside };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}

/// The copy of a blob.
pub(super) fn copy(blob: Blob) -> Copy {
    let Blob { content, size, backend, key, version, state: _, damage: _ } = blob;
    Copy { content, size, backend, key, version }
}

fn sort(copies: &mut [Copy]) {
    copies.sort_by(|a, b| (&a.content, &a.key).cmp(&(&b.content, &b.key)));
}

/// Copies whose deletion was intended are gone from the storage.
#[derive(Debug)]
pub(super) struct RecordPurged {
    pub(super) run: String,
    pub(super) copies: Vec<Copy>,
    pub(super) aside: Vec<Copy>,
}

impl Command for RecordPurged {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let aside = self.aside.iter().map(|copy| damages::read(&copy.key));
        self.copies.iter().map(|copy| blob_read(&copy.content)).chain(aside).collect()
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        // Once: another replica that took the run for dead may have said so already.
        let is_news = |copy: &&Copy| {
            let blob = blobs::get(rows, &copy.content);
            !blob.is_some_and(|blob| blob.key == copy.key && blob.state == State::Purged)
        };
        let mut copies: Vec<Copy> = self.copies.iter().filter(is_news).cloned().collect();
        let is_kept = |copy: &&Copy| damages::is_kept(rows, &copy.key);
        let mut aside: Vec<Copy> = self.aside.iter().filter(is_kept).cloned().collect();
        if copies.is_empty() && aside.is_empty() {
            return Ok(Decision::default());
        }
        sort(&mut copies);
        sort(&mut aside);
        let fact = BlobsPurged { run: self.run.clone(), copies, aside };
        Ok(Decision { facts: vec![fact.into()], contents: Vec::new() })
    }
}
