//! What stands against a change: gathered from the rows a command decides on, and judged. Pure.
//!
//! Every command that could lose or re-point something asks here, in its own decision: what was true a moment before
//! protects nothing. A manifest shares the protection of the packages it is, of every index that names it, and of the
//! manifest it refers to; transitively. So an index keeps its children, and what is retained keeps its signatures.

mod gathering;

use std::fmt;

pub(super) use self::gathering::{
    beneath, newest_around, newest_hold, of_manifest, of_package, of_repository, of_target, reads, stands_for,
};
use super::Error;
use crate::clock::Micros;
use crate::events::{RetentionDenied, Rows, Target};
use crate::oci::{Digest, RepositoryName, Tag};
use crate::retention::{DispositionId, Reason, judge};
use crate::views::packages::Package;
use crate::views::{manifests, tags, tombstones};

/// Reasons a message or a fact tells.
const TOLD: usize = 16;

/// To use a tag again that was retired, as the log has it.
pub const REUSE: &str = "tag.reuse";

/// What somebody tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To delete a manifest.
    DeleteManifest,
    /// To delete a tag.
    DeleteTag,
    /// To make a tag name another manifest.
    MoveTag,
    /// To delete a blob.
    DeleteBlob,
    /// To make a key name something else.
    OverwriteObject,
    /// To make a key name nothing.
    DeleteObject,
    /// To give a draft up.
    AbortPackage,
    /// To take a file out of a draft.
    DropFile,
    /// To put another file in the place of one.
    ReplaceFile,
    /// To dispose of something.
    Dispose,
}

impl Action {
    /// As the log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeleteManifest => "manifest.delete",
            Self::DeleteTag => "tag.delete",
            Self::MoveTag => "tag.move",
            Self::DeleteBlob => "blob.delete",
            Self::OverwriteObject => "object.overwrite",
            Self::DeleteObject => "object.delete",
            Self::AbortPackage => "package.abort",
            Self::DropFile => "file.drop",
            Self::ReplaceFile => "file.replace",
            Self::Dispose => "disposition",
        }
    }

    /// Whether something was to be taken away, and not only to be replaced.
    pub fn is_removal(self) -> bool {
        !matches!(self, Self::MoveTag | Self::OverwriteObject | Self::ReplaceFile)
    }

    fn said(self) -> &'static str {
        match self {
            Self::DeleteManifest | Self::DeleteTag | Self::DeleteBlob | Self::DeleteObject => "deleted",
            Self::MoveTag => "moved",
            Self::OverwriteObject => "overwritten",
            Self::AbortPackage => "given up",
            Self::DropFile => "dropped",
            Self::ReplaceFile => "replaced",
            Self::Dispose => "disposed of",
        }
    }
}

/// A change that something stands against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Protected {
    /// Where.
    pub repository: RepositoryName,
    /// What was tried.
    pub action: Action,
    /// On what: a digest, a tag, a key, an id, a path.
    pub subject: String,
    /// What that is; `None` when only the whole repository is held.
    pub target: Option<Target>,
    /// By which reference one can ask what protects it; `None` when the whole repository is held.
    pub about: Option<String>,
    /// What stands against it; at least one.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be {}: ", self.subject, self.action.said())?;
        for (n, reason) in self.reasons.iter().take(TOLD).enumerate() {
            write!(f, "{}{reason}", if n == 0 { "" } else { "; " })?;
        }
        match self.reasons.len().checked_sub(TOLD) {
            Some(more) if more > 0 => write!(f, "; and {more} more"),
            _ => Ok(()),
        }
    }
}

impl Protected {
    /// The attempt, for the log.
    pub(super) fn denied(&self) -> RetentionDenied {
        RetentionDenied {
            repository: self.repository.clone(),
            action: self.action.as_str().to_owned(),
            target: self.target.clone(),
            subject: self.subject.clone(),
            reasons: self.reasons.iter().take(TOLD).map(Reason::to_string).collect(),
            count: 1,
        }
    }
}

/// An attempt to use a tag again that a disposition of something retired, for the log.
pub(super) fn retired(
    repository: &RepositoryName,
    tag: &Tag,
    target: &Target,
    by: &DispositionId,
) -> RetentionDenied {
    RetentionDenied {
        repository: repository.clone(),
        action: REUSE.to_owned(),
        target: Some(target.clone()),
        subject: tag.to_string(),
        reasons: vec![format!("disposition {by} retired the tag for ever")],
        count: 1,
    }
}

/// Refuses unless nothing ever retained or held the manifest.
pub(super) fn check_delete(
    rows: &Rows,
    repository: &RepositoryName,
    (content, digest): (&Digest, &Digest),
    now: Micros,
) -> Result<(), Error> {
    let verdict = judge(&of_manifest(rows, repository, content), now);
    if verdict.is_free() {
        return Ok(());
    }
    let target = Some(stands_for(rows, repository, content));
    Err(refusal(repository, Action::DeleteManifest, digest.as_str(), target, verdict.reasons))
}

/// Refuses to take a tag off what is held, what pins its tags, or what is retained and has no other tag.
pub(super) fn check_untag(
    rows: &Rows,
    repository: &RepositoryName,
    tag: &Tag,
    content: &Digest,
    now: Micros,
) -> Result<(), Error> {
    let verdict = judge(&of_manifest(rows, repository, content), now);
    let is_last = || tags::names_on(rows, repository, content).len() <= 1;
    if verdict.is_free() || !(verdict.pins_tags() || is_last()) {
        return Ok(());
    }
    let target = Some(stands_for(rows, repository, content));
    Err(refusal(repository, Action::DeleteTag, tag.as_str(), target, verdict.reasons))
}

/// Refuses a tag that was retired, and one on other content that is held or pins its tags.
pub(super) fn check_tag(
    rows: &Rows,
    repository: &RepositoryName,
    tag: &Tag,
    content: &Digest,
    now: Micros,
) -> Result<(), Error> {
    if let Some((disposition, target)) = tombstones::retired_by(rows, repository, tag) {
        let (repository, tag) = (repository.clone(), tag.clone());
        return Err(Error::TagRetired { repository, tag, target, disposition });
    }
    let Some(before) = tags::content(rows, repository, tag).filter(|before| before != content) else {
        return Ok(());
    };
    let verdict = judge(&of_manifest(rows, repository, &before), now);
    if !verdict.pins_tags() {
        return Ok(());
    }
    let target = Some(stands_for(rows, repository, &before));
    Err(refusal(repository, Action::MoveTag, tag.as_str(), target, verdict.reasons))
}

/// Whether the tags of a manifest stay on it.
pub(super) fn pins_tags(rows: &Rows, repository: &RepositoryName, content: &Digest, now: Micros) -> bool {
    judge(&of_manifest(rows, repository, content), now).pins_tags()
}

/// Refuses unless the retention of something is over and nothing holds it (R5).
pub(super) fn check_eligible(
    rows: &Rows,
    repository: &RepositoryName,
    target: &Target,
    now: Micros,
) -> Result<(), Error> {
    let verdict = judge(&of_target(rows, repository, target), now);
    if verdict.is_eligible() {
        return Ok(());
    }
    Err(refusal(repository, Action::Dispose, target.as_str(), Some(target.clone()), verdict.reasons))
}

/// Refuses a change to a draft that is held, and to a package that is held or ever was retained.
pub(super) fn check_package(
    rows: &Rows,
    package: &Package,
    action: Action,
    subject: &str,
    now: Micros,
) -> Result<(), Error> {
    let reasons = judge(&of_package(rows, package), now).reasons;
    if reasons.is_empty() {
        return Ok(());
    }
    let target = Some(Target::Package(package.id.clone()));
    Err(refusal(&package.repository, action, subject, target, reasons))
}

/// Refuses a change to what only its repository can protect.
pub(super) fn check_repository(
    rows: &Rows,
    repository: &RepositoryName,
    action: Action,
    subject: &str,
) -> Result<(), Error> {
    let reasons = judge(&of_repository(rows, repository), 0).reasons;
    if reasons.is_empty() {
        return Ok(());
    }
    Err(refusal(repository, action, subject, None, reasons))
}

/// What protects a blob through a manifest or package that has it, if anything does.
pub(super) fn of_blob(
    rows: &Rows,
    repository: &RepositoryName,
    digest: &Digest,
    named_by: &[Target],
    now: Micros,
) -> Option<Error> {
    let reasons =
        named_by.iter().map(|target| (target, judge(&of_target(rows, repository, target), now).reasons));
    let (target, reasons) = reasons.into_iter().find(|(_, reasons)| !reasons.is_empty())?;
    // By the digest clients know a manifest by.
    let about = match target {
        Target::Manifest(content) => manifests::pushed_as(rows, repository, content).map(|it| it.to_string()),
        Target::Package(_) => None,
    };
    let target = match target {
        Target::Manifest(content) => stands_for(rows, repository, content),
        Target::Package(_) => target.clone(),
    };
    let about = Some(about.unwrap_or_else(|| target.to_string()));
    let (repository, subject, target) = (repository.clone(), digest.to_string(), Some(target));
    let action = Action::DeleteBlob;
    Some(Error::Protected(Box::new(Protected { repository, action, subject, target, about, reasons })))
}

/// A refusal of what the client named, be it by a tag, a digest or an id. Whoever asks what protects a file of a
/// package asks about the package.
fn refusal(
    repository: &RepositoryName,
    action: Action,
    subject: &str,
    target: Option<Target>,
    reasons: Vec<Reason>,
) -> Error {
    let is_in_package = matches!(action, Action::AbortPackage | Action::DropFile | Action::ReplaceFile);
    let named = |target: &Target| if is_in_package { target.to_string() } else { subject.to_owned() };
    let about = target.as_ref().map(named);
    let (repository, subject) = (repository.clone(), subject.to_owned());
    Error::Protected(Box::new(Protected { repository, action, subject, target, about, reasons }))
}
