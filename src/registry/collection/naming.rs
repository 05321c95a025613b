//! What names a blob, as a query: cheap however much does, and possibly outdated by the time it is read.

use super::rules::Naming;
use crate::db::{Db, Error};
use crate::views::{contents, links, manifests, objects, package_files, packages};

/// What a query found that names the blob of a link.
pub(super) fn naming_of(candidate: &links::Candidate) -> Naming {
    match (candidate.is_used, candidate.is_mentioned) {
        (true, _) => Naming::Used,
        (false, true) => Naming::Mentioned,
        (false, false) => Naming::Nothing,
    }
}

/// What of its repository names the blob of a link now.
pub(super) async fn naming_now(db: &Db, link: &links::Unused) -> Result<Naming, Error> {
    let (repository, content) = (&link.repository, &link.content);
    if manifests::is_used_now(db, repository, content).await?
        || package_files::having_now(db, repository, content).await?.is_some()
        || objects::is_named_now(db, repository, content).await?
    {
        return Ok(Naming::Used);
    }
    if packages::described_now(db, repository, content).await?.is_some() {
        return Ok(Naming::Mentioned);
    }
    // A manifest that was pushed before the blob names it as its client wrote it.
    for digest in contents::digests_of(db, content).await? {
        if !manifests::naming_now(db, repository, &digest, 1).await?.is_empty() {
            return Ok(Naming::Mentioned);
        }
    }
    Ok(Naming::Nothing)
}
