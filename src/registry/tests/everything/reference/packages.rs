//! Drafts and packages: what is finalized never changes.

use std::collections::BTreeMap;

use proptest::prelude::TestCaseError;

use super::{Checked, Package, Reference, must, told};
use crate::events::{Event, Fact, Target};
use crate::oci::RepositoryName;
use crate::package::PackageId;

impl Reference {
    pub(super) fn of_packages(&mut self, event: &Event) -> Checked {
        let held = |repository: &RepositoryName, id: &PackageId| {
            self.is_held(repository, None) || self.is_held(repository, Some(&Target::Package(id.clone())))
        };
        let is_frozen = match &event.fact {
            Fact::PackageFileReplaced(fact) => held(&fact.repository, &fact.package),
            Fact::PackageFileDropped(fact) => held(&fact.repository, &fact.package),
            Fact::PackageFailed(fact) => held(&fact.repository, &fact.package),
            _ => false,
        };
        must(!is_frozen, "what is held stays as it is", &told(event))?;
        match &event.fact {
            Fact::PackageCreated(fact) => {
                let package = Package::draft(&fact.repository, BTreeMap::new());
                self.packages.insert(fact.package.clone(), package);
                Ok(())
            }
            Fact::PackageFileIngested(fact) => {
                let (path, content) = (fact.file.path.clone(), fact.file.content_address.clone());
                let before = self.draft(&fact.package, event)?.files.insert(path, content);
                must(before.is_none(), "a file is not overwritten by chance", &told(event))
            }
            Fact::PackageFileReplaced(fact) => {
                let (path, content) = (fact.file.path.clone(), fact.file.content_address.clone());
                self.draft(&fact.package, event)?.files.insert(path, content);
                Ok(())
            }
            Fact::PackageFileDropped(fact) => {
                self.draft(&fact.package, event)?.files.remove(&fact.path);
                Ok(())
            }
            Fact::PackageFinalized(fact) => {
                let files: BTreeMap<_, _> =
                    fact.files.iter().map(|it| (it.path.clone(), it.content_address.clone())).collect();
                if !self.packages.contains_key(&fact.package.id) {
                    let package = Package::draft(&fact.package.repository, files.clone());
                    self.packages.insert(fact.package.id.clone(), package);
                }
                let draft = self.draft(&fact.package.id, event)?;
                must(draft.files == files, "a package is what its draft was", &told(event))?;
                draft.table = Some(fact.package.content_manifest.clone());
                draft.reference = Some(fact.package.reference.clone());
                Ok(())
            }
            Fact::PackageFailed(fact) => {
                self.draft(&fact.package, event)?.has_ended = true;
                Ok(())
            }
            Fact::PackageDeleted(fact) => {
                let target = Target::Package(fact.package.clone());
                let is_disposed = self.leaving.as_ref().is_some_and(|(_, they, _)| they.contains(&target));
                must(is_disposed, "R5: a package leaves by a disposition", &told(event))?;
                self.packages.get_mut(&fact.package).expect("it was disposed of").has_ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn draft(&mut self, id: &PackageId, event: &Event) -> Checked<&mut Package> {
        let draft = self.packages.get_mut(id).filter(|package| package.is_draft());
        draft.ok_or_else(|| {
            TestCaseError::fail(format!("a finalized package never changes: {:?}", told(event)))
        })
    }
}
