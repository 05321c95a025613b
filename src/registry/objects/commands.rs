//! The commands on keys. Pure.

use super::Condition;
use crate::events::{Command, Decision, Fact, ObjectDeleted, ObjectStored, Read, Rows};
use crate::oci::{Digest, RepositoryName};
use crate::package::{PackagePath, guess_media_type};
use crate::registry::Error;
use crate::registry::commands::LinkBlob;
use crate::registry::protection::{self, Action};
use crate::views::{holds, objects};

/// What a key is to name.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) content: Digest,
    pub(super) sha256: Digest,
    pub(super) size: u64,
    /// What it is, if anybody said.
    pub(super) media_type: Option<String>,
}

/// What happens to a key that is to name something else, or nothing. Every overwrite and every delete comes by here:
/// what protects an object says no here. `None` when it names that already.
fn change(
    rows: &Rows,
    repository: &RepositoryName,
    key: &PackagePath,
    new: Option<&New>,
    condition: &Condition,
) -> Result<Option<Fact>, Error> {
    let before = objects::get(rows, repository, key);
    let now = before.as_ref().map(|before| &before.sha256);
    if !condition.allows(now) {
        return Err(Error::KeyDiffers { key: key.clone(), now: now.cloned() });
    }
    let check = |action| protection::check_repository(rows, repository, action, key.as_str());
    let Some(new) = new else {
        let content = before.ok_or_else(|| Error::KeyUnknown(key.clone()))?.content;
        check(Action::DeleteObject)?;
        return Ok(Some(ObjectDeleted { repository: repository.clone(), key: key.clone(), content }.into()));
    };
    let is_same = before.as_ref().is_some_and(|before| {
        before.content == new.content && new.media_type.as_ref().is_none_or(|it| *it == before.media_type)
    });
    if is_same {
        return Ok(None);
    }
    if before.is_some() {
        check(Action::OverwriteObject)?;
    }
    let fact = ObjectStored {
        repository: repository.clone(),
        key: key.clone(),
        content: new.content.clone(),
        sha256: new.sha256.clone(),
        size: new.size,
        media_type: new.media_type.clone().unwrap_or_else(|| guess_media_type(key).to_owned()),
        previous: before.map(|before| before.content),
    };
    Ok(Some(fact.into()))
}

/// A key gets an object, and its repository the blob.
#[derive(Debug)]
pub(super) struct StoreObject {
    pub(super) link: LinkBlob,
    pub(super) key: PackagePath,
    pub(super) new: New,
    pub(super) condition: Condition,
}

impl Command for StoreObject {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = self.link.reads();
        reads.push(objects::read(&self.link.repository, &self.key));
        reads.push(holds::on(&self.link.repository, None));
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let changed = change(rows, &self.link.repository, &self.key, Some(&self.new), &self.condition)?;
        let mut decision = self.link.decide(rows)?;
        decision.facts.extend(changed);
        Ok(decision)
    }
}

/// A key names nothing any more; the blob stays in the repository.
#[derive(Debug)]
pub(super) struct DeleteObject {
    pub(super) repository: RepositoryName,
    pub(super) key: PackagePath,
    pub(super) condition: Condition,
}

impl Command for DeleteObject {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![objects::read(&self.repository, &self.key), holds::on(&self.repository, None)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let facts = change(rows, &self.repository, &self.key, None, &self.condition)?.into_iter().collect();
        Ok(Decision { facts, contents: Vec::new() })
    }
}
