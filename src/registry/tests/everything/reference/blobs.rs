//! Links and copies: G1 to G3.

use super::{Blob, Checked, Reference, must, told};
use crate::events::{Event, Fact};
use crate::oci::{Digest, RepositoryName};
use crate::views::blobs::State;

impl Reference {
    pub(super) fn of_blobs(&mut self, event: &Event) -> Checked {
        match &event.fact {
            Fact::BlobStored(fact) => {
                let state = self.blobs.get(&fact.content).map(|blob| blob.state);
                let is_gone = state.is_none_or(|state| !state.is_kept());
                must(is_gone, "a second copy takes the place of none that is kept", &told(event))?;
                must(self.named_keys.insert(fact.key.clone()), "G3: a key is used once", &told(event))?;
                for digest in &fact.digests {
                    self.contents.insert(digest.clone(), fact.content.clone());
                }
                let blob = Blob { key: fact.key.clone(), state: State::Live };
                self.blobs.insert(fact.content.clone(), blob);
                Ok(())
            }
            Fact::BlobRepaired(fact) => {
                must(self.named_keys.insert(fact.key.clone()), "G3: a key is used once", &told(event))?;
                self.given_up.insert(fact.lost.clone());
                let Some(blob) = self.blobs.get_mut(&fact.content).filter(|blob| blob.state.is_kept()) else {
                    return must(false, "only what is there is repaired", &told(event));
                };
                blob.key.clone_from(&fact.key);
                Ok(())
            }
            Fact::BlobLinked(fact) => {
                let is_held = |from: &RepositoryName| {
                    self.repositories.get(from).is_some_and(|it| it.links.contains(&fact.content))
                };
                let is_legal = fact.mounted_from.as_ref().is_none_or(is_held);
                must(is_legal, "a mount is from where the blob is", &told(event))?;
                self.of(&fact.repository).links.insert(fact.content.clone());
                Ok(())
            }
            Fact::BlobUnlinked(fact) => self.unlink(&fact.repository, &fact.content, event),
            Fact::BlobsReleased(fact) => {
                fact.contents.iter().try_for_each(|content| self.unlink(&fact.repository, content, event))
            }
            Fact::BlobsCondemned(fact) => {
                fact.contents.iter().try_for_each(|it| self.step(it, State::Live, State::Condemned, event))
            }
            Fact::BlobRevived(fact) => {
                let blob = self.blobs.get_mut(&fact.content);
                let blob = blob.filter(|blob| blob.state == State::Condemned);
                let is_condemned = blob.map(|blob| blob.state = State::Live).is_some();
                must(is_condemned, "only what is condemned is revived", &told(event))
            }
            Fact::BlobsDeleteIntended(fact) => fact.copies.iter().try_for_each(|copy| {
                let is_the_copy = self.blobs.get(&copy.content).is_some_and(|blob| blob.key == copy.key);
                must(is_the_copy, "G2: the copy that is meant", &told(event))?;
                must(!self.is_frozen, "R12: nothing is deleted while time is in doubt", &told(event))?;
                self.given_up.insert(copy.key.clone());
                self.step(&copy.content, State::Condemned, State::Deleting, event)
            }),
            Fact::BlobsPurged(fact) => fact.copies.iter().try_for_each(|copy| {
                must(self.given_up.contains(&copy.key), "G2: no purge without an intent", &told(event))?;
                let blob = self.blobs.get_mut(&copy.content).filter(|blob| blob.key == copy.key);
                if let Some(blob) = blob.filter(|blob| blob.state == State::Deleting) {
                    blob.state = State::Purged;
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn unlink(&mut self, repository: &RepositoryName, content: &Digest, event: &Event) -> Checked {
        must(!self.is_named(repository, content), "R5, G6: what is named stays linked", &told(event))?;
        must(!self.is_held(repository, None), "a held repository gives nothing up", &told(event))?;
        must(self.of(repository).links.remove(content), "only a link ends", &told(event))
    }

    /// A blob is a stage further on its way out.
    fn step(&mut self, content: &Digest, from: State, to: State, event: &Event) -> Checked {
        let is_linked = self.repositories.values().any(|it| it.links.contains(content));
        must(!is_linked, "G1: what is linked stays", &told(event))?;
        let blob = self.blobs.get_mut(content).filter(|blob| blob.state == from);
        let is_so = blob.map(|blob| blob.state = to).is_some();
        must(is_so, "G2: a blob leaves in order", &told(event))
    }
}
