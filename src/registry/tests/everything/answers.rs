//! What an answer means, and which one is due.

use super::call::{Call, Made};
use super::reference::{Checked, must};
use super::rules::given;
use super::world::World;
use crate::events::Target;
use crate::hash;
use crate::oci::{self, Algorithm, RepositoryName};
use crate::registry::{Error, Extension, Item};
use crate::retention::{Floor, HoldKind};

impl World {
    /// What an answer says is so from then on.
    pub(super) fn acknowledged(&self, call: &Call, outcome: &Result<Made, Error>) -> Checked {
        let Ok(made) = outcome else { return Ok(()) };
        let at = |name: &RepositoryName| self.reference.repositories.get(name);
        let content = |bytes: &[u8]| hash::digest(Algorithm::Blake3, bytes);
        let is_so = match (call, made) {
            (Call::Push(to, bytes), _) => at(to).is_some_and(|it| it.links.contains(&content(bytes))),
            (Call::Put(to, _, reference, bytes), _) => at(to).is_some_and(|it| {
                let content = content(bytes);
                let is_tagged = match reference {
                    oci::Reference::Tag(tag) => it.tags.get(tag) == Some(&content),
                    oci::Reference::Digest(_) => true,
                };
                it.manifests.contains_key(&content) && is_tagged
            }),
            (Call::Package(..), Made::Package(id)) | (Call::Finalize(_, id, _), _) => {
                self.reference.packages[id].is_finalized()
            }
            (Call::Draft(..), Made::Package(id)) => self.reference.packages[id].is_draft(),
            (Call::Ingest(_, id, path, bytes, _), _) => {
                self.reference.packages[id].files.get(path) == Some(&content(bytes))
            }
            (Call::Abort(_, id), _) => self.reference.packages[id].has_ended,
            (Call::Store(to, key, bytes), _) => {
                at(to).is_some_and(|it| it.objects.get(key) == Some(&content(bytes)))
            }
            (Call::DeleteKey(of, key), _) => at(of).is_none_or(|it| !it.objects.contains_key(key)),
            (Call::Delete(of, oci::Reference::Tag(tag)), _) => {
                at(of).is_none_or(|it| !it.tags.contains_key(tag))
            }
            (Call::Delete(of, oci::Reference::Digest(digest)), _) => {
                at(of).is_none_or(|it| !it.manifests.contains_key(&self.reference.content(digest)))
            }
            (Call::Hold(..), Made::Hold(id)) => self.reference.holds[id].is_in_force,
            (Call::Release(_, id), _) => !self.reference.holds[id].is_in_force,
            (Call::Extend(of, item, extension), _) => self.is_as_long(of, item, extension),
            (Call::Shorten(.., bypass), _) => *bypass,
            (Call::Execute(_, id, _), _) => !self.reference.dispositions[id].is_open,
            _ => true,
        };
        must(is_so, "what was acknowledged is so", call)
    }

    /// Whether the log says of an item what an extension promised.
    fn is_as_long(&self, of: &RepositoryName, item: &Item, extension: &Extension) -> bool {
        let Some(target) = self.target(of, item) else { return false };
        let Some(kept) = self.reference.kept.get(&(of.clone(), target)) else { return false };
        match (extension, kept.from) {
            (Extension::Until(until), Some(_)) => kept.until.is_none_or(|it| it >= *until),
            (Extension::Until(until), None) => kept.floor >= Some(Floor::Until(*until)),
            (Extension::ForEver, Some(_)) => kept.until.is_none(),
            (Extension::ForEver, None) => kept.floor == Some(Floor::ForEver),
            (Extension::Class(class), _) => {
                let given = given(of, class, self.reference.policy);
                kept.rule.class == *class || given == Some(kept.rule.class.as_str())
            }
        }
    }

    /// Whether a call succeeds, where that is known beforehand.
    pub(super) fn expected(&self, call: &Call) -> Option<bool> {
        let known = &self.reference;
        let at = |name: &RepositoryName| known.repositories.get(name);
        match call {
            Call::Draft(to, class) => Some(given(to, class, known.policy).is_some()),
            Call::Extend(of, _, Extension::Class(class)) if given(of, class, known.policy).is_none() => {
                Some(false)
            }
            Call::Push(..) | Call::Collect | Call::Plan | Call::Sweep => Some(true),
            Call::Put(to, _, oci::Reference::Tag(tag), bytes) => {
                let new = hash::digest(Algorithm::Blake3, bytes);
                let before = at(to).and_then(|it| it.tags.get(tag)).filter(|before| **before != new);
                let is_pinned = before.is_some_and(|it| known.protection(to, it, None).pins_tags());
                let is_retired = at(to).is_some_and(|it| it.retired.contains(tag));
                (is_pinned || is_retired).then_some(false)
            }
            Call::Delete(of, oci::Reference::Tag(tag)) => {
                let Some(content) = at(of).and_then(|it| it.tags.get(tag)) else { return Some(false) };
                let protection = known.protection(of, content, None);
                let is_last = at(of)?.tags.values().filter(|it| *it == content).count() == 1;
                Some(protection.is_free() || !(protection.pins_tags() || is_last))
            }
            Call::Delete(of, oci::Reference::Digest(digest)) => {
                let content = known.content(digest);
                let is_there = at(of).is_some_and(|it| it.manifests.contains_key(&content));
                Some(is_there && known.protection(of, &content, None).is_free())
            }
            Call::DeleteBlob(of, digest) => {
                let content = known.content(digest);
                let is_there = at(of).is_some_and(|it| it.links.contains(&content));
                Some(is_there && !known.is_named(of, &content) && !known.is_held(of, None))
            }
            Call::DeleteKey(of, key) => {
                let is_there = at(of).is_some_and(|it| it.objects.contains_key(key));
                Some(!is_there || !known.is_held(of, None))
            }
            Call::Store(to, key, bytes) => {
                let before = at(to).and_then(|it| it.objects.get(key));
                let is_same = before.is_none_or(|it| *it == hash::digest(Algorithm::Blake3, bytes));
                Some(is_same || !known.is_held(to, None))
            }
            Call::Hold(of, Some(item), _) => {
                let target = self.target(of, item);
                let is_there = |target: &Target| match target {
                    Target::Package(id) => known.packages[id].is_there(),
                    Target::Manifest(_) => true,
                };
                Some(target.is_some_and(|target| is_there(&target)))
            }
            Call::Release(_, id) => Some(known.holds[id].is_in_force),
            Call::Abort(of, id) => {
                let target = Target::Package(id.clone());
                Some(!known.is_held(of, None) && !known.is_held(of, Some(&target)))
            }
            Call::Hold(_, None, HoldKind::Event) | Call::Shorten(.., false) => Some(false),
            _ => None,
        }
    }
}
