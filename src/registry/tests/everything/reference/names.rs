//! Manifests, tags and keys: what is protected stays what it is.

use super::{Checked, Manifest, Reference, must, told};
use crate::events::{Event, Fact, Role};
use crate::oci::{Digest, RepositoryName};

impl Reference {
    pub(super) fn of_names(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::ContentDigested(fact) => {
                self.contents.insert(fact.digest.clone(), fact.content.clone());
                Ok(())
            }
            Fact::ManifestPushed(fact) => {
                for digest in &fact.digests {
                    self.contents.insert(digest.clone(), fact.content.clone());
                }
                let of = |is_child: bool| {
                    let wanted = fact.references.iter().filter(|it| (it.role == Role::Child) == is_child);
                    wanted.map(|it| it.target.clone()).collect()
                };
                let subject = fact.subject.as_ref().map(|subject| subject.digest.clone());
                let manifest = Manifest { blobs: of(false), children: of(true), subject };
                self.of(&fact.repository).manifests.insert(fact.content.clone(), manifest);
                Ok(())
            }
            Fact::ManifestDeleted(fact) => {
                self.check_delete(&fact.repository, &fact.content, event)?;
                let of = self.of(&fact.repository);
                of.manifests.remove(&fact.content);
                of.tags.retain(|_, content| *content != fact.content);
                Ok(())
            }
            Fact::TagMoved(fact) => {
                let of = self.of(&fact.repository);
                must(!of.retired.contains(&fact.tag), "R9: a retired tag is never used again", &told(event))?;
                of.tags.insert(fact.tag.clone(), fact.content.clone());
                let is_pinned = self.pinned.contains(&fact.tag);
                must(!is_pinned, "a tag on what is held or immutable stays", &told(event))
            }
            Fact::TagDeleted(fact) => {
                let of = self.of(&fact.repository);
                let Some(content) = of.tags.remove(&fact.tag) else {
                    return must(false, "a tag that was there", &told(event));
                };
                let is_last = !of.tags.values().any(|it| *it == content);
                let protection = self.protection(&fact.repository, &content, None);
                let may = protection.is_free() || !(protection.pins_tags() || is_last);
                must(
                    may,
                    "a tag on what is held or immutable, and the last one on what is retained",
                    &told(event),
                )
            }
            Fact::ObjectStored(fact) => {
                let is_held = self.is_held(&fact.repository, None);
                let before = self.of(&fact.repository).objects.insert(fact.key.clone(), fact.content.clone());
                must(before.is_none() || !is_held, "a held repository overwrites nothing", &told(event))
            }
            Fact::ObjectDeleted(fact) => {
                must(
                    !self.is_held(&fact.repository, None),
                    "a held repository deletes nothing",
                    &told(event),
                )?;
                let before = self.of(&fact.repository).objects.remove(&fact.key);
                must(before.is_some(), "a key that was there", &told(event))
            }
            _ => Ok(()),
        }
    }

    /// R5: nothing that is protected goes, but what is disposed of, and then only that.
    fn check_delete(&self, repository: &RepositoryName, content: &Digest, event: &Event) -> Checked {
        let mut protection = self.protection(repository, content, None);
        if let Some((_, targets, with)) = &self.leaving {
            protection.kept.retain(|(by, _)| !targets.contains(by));
            must(with.contains(content), "R5: what leaves with a disposition belongs to it", &told(event))?;
        }
        must(protection.is_free(), "R5: what is protected stays", &(told(event), &protection))
    }
}
