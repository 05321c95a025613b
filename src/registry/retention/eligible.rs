//! Packages that may be disposed of. They are listed and nothing else: what is eligible stays until somebody proposes.

use super::Explanation;
use crate::clock::Micros;
use crate::events::Target;
use crate::oci::RepositoryName;
use crate::package::Description;
use crate::registry::tags::count;
use crate::registry::{Error, Filter, Package, Registry};
use crate::views::{repositories, retentions};

/// What producers may say of all packages on a page, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;

/// An eligible package, and why it is one.
pub type Eligible = (Package, Explanation);

impl Registry {
    /// The packages of a repository that pass the filter and that a disposition may go on with, with everything that
    /// bears on it, the longest over first, after the one whose retention ended then; and where the list goes on.
    ///
    /// At most `limit` packages whose retention is over are looked at: a page can have fewer, or none, and go on.
    pub async fn eligible_packages(
        &self,
        repository: &RepositoryName,
        filter: &Filter,
        after: Option<(Micros, &Target)>,
        limit: usize,
    ) -> Result<(Vec<Eligible>, Option<(Micros, Target)>), Error> {
        let (db, now) = (&self.inner.db, self.compliance_now());
        let over = retentions::packages_over(db, repository, now, after, count(limit)).await?;
        if over.is_empty() && !repositories::exists(db, repository).await? {
            return Err(Error::RepositoryUnknown(repository.clone()));
        }
        let is_full = over.len() == limit;
        let (mut found, mut bytes, mut last) = (Vec::new(), 0, None);
        for retention in over {
            let Target::Package(id) = &retention.target else { continue };
            let package = self.package(id).await?;
            bytes += weight(&package.description);
            if bytes > PAGE_BYTES && last.is_some() {
                return Ok((found, last));
            }
            last = retention.retained.until.map(|until| (until, retention.target.clone()));
            if !passes(filter, &package) {
                continue;
            }
            match self.explain(repository, Some(&retention.target.into())).await {
                Ok(explained) if explained.is_eligible() => found.push((package, explained)),
                // It is held, or was disposed of a moment ago.
                Ok(_) | Err(Error::PackageUnknown(_) | Error::ManifestUnknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((found, last.filter(|_| is_full)))
    }
}

fn passes(filter: &Filter, package: &Package) -> bool {
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    filter.status.is_none_or(|status| status == package.status)
        && is(&filter.kind, &package.description.kind)
        && is(&filter.class, &package.description.retention_class)
        && (filter.reference.is_none() || filter.reference == package.reference)
}

fn weight(description: &Description) -> usize {
    description.metadata.to_json().len()
}
