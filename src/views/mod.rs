//! The views: what the events add up to, one file per projection.
//!
//! A file holds the table, the fold that fills it and the queries that read it. Folds are pure (see
//! [`Projection`]); queries are named constants in one SQL text for both engines, listed in
//! [`STATEMENTS`] so that a test can prepare each.

pub mod blobs;
pub mod compliance;
pub mod contents;
pub mod damages;
pub mod dispositions;
pub mod holds;
pub mod links;
pub mod manifests;
pub mod objects;
pub mod package_files;
pub mod packages;
pub mod policies;
pub mod purges;
pub mod referrers;
pub mod repositories;
pub mod retentions;
pub mod runs;
pub mod schemas;
pub mod snapshots;
pub mod tag_history;
pub mod tags;
pub mod tombstones;

#[cfg(test)]
mod tests;

use crate::events::{Projection, Projections};

/// Grows whenever a fold or a view's schema changes; stored views of another version are rebuilt.
const VERSION: i64 = 6;

/// Every projection of the registry.
pub fn projections() -> Projections {
    let list: Vec<Box<dyn Projection>> = vec![
        Box::new(blobs::Blobs),
        Box::new(contents::Contents),
        Box::new(links::Links),
        Box::new(manifests::Manifests),
        Box::new(objects::Objects),
        Box::new(package_files::PackageFiles),
        Box::new(packages::Packages),
        Box::new(referrers::Referrers),
        Box::new(repositories::Repositories),
        Box::new(schemas::Schemas),
        Box::new(tag_history::TagHistory),
        Box::new(tags::Tags),
        Box::new(compliance::ComplianceClock),
        Box::new(damages::Damages),
        Box::new(dispositions::Dispositions),
        Box::new(holds::Holds),
        Box::new(policies::Policies),
        Box::new(purges::Purges),
        Box::new(retentions::Retentions),
        Box::new(runs::Runs),
        Box::new(snapshots::Snapshots),
        Box::new(tombstones::Tombstones),
    ];
    Projections::new(list, VERSION)
}

/// Every named statement of every view.
pub static STATEMENTS: &[&[&str]] = &[
    blobs::STATEMENTS,
    links::STATEMENTS,
    contents::STATEMENTS,
    manifests::STATEMENTS,
    objects::STATEMENTS,
    package_files::STATEMENTS,
    packages::STATEMENTS,
    referrers::STATEMENTS,
    repositories::STATEMENTS,
    schemas::STATEMENTS,
    tag_history::STATEMENTS,
    tags::STATEMENTS,
    compliance::STATEMENTS,
    damages::STATEMENTS,
    dispositions::STATEMENTS,
    holds::STATEMENTS,
    policies::STATEMENTS,
    retentions::STATEMENTS,
    runs::STATEMENTS,
    snapshots::STATEMENTS,
    tombstones::STATEMENTS,
];
