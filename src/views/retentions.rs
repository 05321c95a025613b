//! What is retained: under which rule, until when.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence, Target};
use crate::oci::RepositoryName;
use crate::package::Manifest;
use crate::retention::{Classes, Floor, Retained};

/// One row per repository and retained thing.
pub static RETENTIONS: Table = Table {
    name: "retentions",
    columns: &[
        Column::text("repository"),
        Column::text("target"),
        Column::text("class"),
        Column::text("mode"),
        Column::text("rule"),
        Column::integer("retain_from"),
        Column::integer("retain_until"),
        Column::text("retain_floor"),
        Column::integer("revision"),
        Column::integer("resolved_under"),
        Column::integer("leaves_at"),
    ],
    key: 2,
    indexes: &[],
};

/// Those that are over at a moment.
const OVER: &str = "SELECT repository, target, class, mode, rule, retain_from, retain_until, retain_floor, revision, resolved_under FROM retentions \
    WHERE repository = $1 AND retain_until <= $2 AND (retain_until, target) > ($3, $4) \
    ORDER BY retain_until, target LIMIT $5";

/// The packages among them. The range of targets is that of their ids.
const PACKAGES_OVER: &str = "SELECT repository, target, class, mode, rule, retain_from, retain_until, retain_floor, revision, resolved_under \
    FROM retentions WHERE repository = $1 AND retain_until <= $2 AND (retain_until, target) > ($3, $4) \
    AND target >= 'pkg_' AND target < 'pkg`' ORDER BY retain_until, target LIMIT $5";

const FIND: &str = "SELECT repository, target, class, mode, rule, retain_from, retain_until, retain_floor, revision, resolved_under FROM retentions \
    WHERE repository = $1 AND target = $2";

/// Those that their classes let leave by a moment.
const DUE: &str = "SELECT repository, target, class, mode, rule, retain_from, retain_until, retain_floor, revision, resolved_under FROM retentions \
    WHERE leaves_at <= $1 AND (leaves_at, repository, target) > ($2, $3, $4) \
    ORDER BY leaves_at, repository, target LIMIT $5";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[OVER, PACKAGES_OVER, FIND, DUE];

/// One retention as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Its repository.
    pub repository: RepositoryName,
    /// What is retained.
    pub target: Target,
    /// Under which rule, until when.
    pub retained: Retained,
    /// The event that changed it last.
    pub revision: Sequence,
    /// The version of the policy it came to be under. Its rule may be of a later one, if it was raised.
    pub resolved_under: u64,
}

/// The fold.
#[derive(Debug)]
pub struct Retentions;

impl Projection for Retentions {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&RETENTIONS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        changed(&event.fact).map(|(repository, target)| read(repository, target)).into_iter().collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let upsert = |repository: &RepositoryName, target: &Target, retained: Retained, resolved_under| {
            let (repository, target, revision) = (repository.clone(), target.clone(), event.sequence);
            let row = Retention { repository, target, retained, revision, resolved_under }.row();
            vec![Change::Upsert(&RETENTIONS, row)]
        };
        match &event.fact {
            // What was finalized before rules were events; where they are, one follows.
            Fact::PackageFinalized(manifest) => {
                let target = Target::Package(manifest.package.id.clone());
                let version = manifest.retention_summary.policy_version;
                upsert(&manifest.package.repository, &target, summarised(manifest), version)
            }
            Fact::RetentionResolved(fact) => {
                let (rule, version) = (fact.rule.clone(), fact.rule.policy_version);
                let retained = Retained { rule, from: fact.from, until: fact.until, floor: None };
                upsert(&fact.repository, &fact.target, retained, version)
            }
            Fact::DispositionExecuted(fact) => {
                // A manifest leaves only if nothing of its own keeps it any more.
                let with = fact.manifests.iter().cloned().map(Target::Manifest);
                let ended = with.chain([fact.target.clone()]);
                ended.map(|target| Change::Delete(&RETENTIONS, key(&fact.repository, &target))).collect()
            }
            fact => {
                let Some((repository, target)) = changed(fact) else { return Vec::new() };
                let Some(before) = get(rows, repository, target) else { return Vec::new() };
                let version = before.resolved_under;
                upsert(repository, target, changed_by(fact, before.retained), version)
            }
        }
    }
}

/// The retention whose row an event changes.
fn changed(fact: &Fact) -> Option<(&RepositoryName, &Target)> {
    match fact {
        Fact::RetentionExtended(fact) => Some((&fact.repository, &fact.target)),
        Fact::RetentionStarted(fact) => Some((&fact.repository, &fact.target)),
        Fact::RetentionShortened(fact) => Some((&fact.repository, &fact.target)),
        _ => None,
    }
}

fn changed_by(fact: &Fact, mut retained: Retained) -> Retained {
    match fact {
        Fact::RetentionExtended(fact) => {
            if let Some(rule) = &fact.rule {
                retained.rule = rule.clone();
            }
            (retained.from, retained.until, retained.floor) = (fact.from, fact.until, fact.floor);
        }
        Fact::RetentionStarted(fact) => {
            (retained.from, retained.until, retained.floor) = (Some(fact.from), fact.until, None);
        }
        Fact::RetentionShortened(fact) => retained.until = Some(fact.until),
        _ => {}
    }
    retained
}

/// What the manifest of a package says, with the rule its class had in the seeded policy.
fn summarised(manifest: &Manifest) -> Retained {
    let summary = &manifest.retention_summary;
    let classes = Classes::default();
    // A class that is none of those there were is kept as the strictest.
    let rule = classes.rule(Some(&summary.class)).or_else(|_| classes.rule(Some("permanent-record")));
    let mut rule = rule.expect("there is a seeded class of that name");
    rule.class.clone_from(&summary.class);
    rule.policy_version = summary.policy_version;
    Retained { rule, from: Some(manifest.package.finalized_at), until: summary.expires_at, floor: None }
}

impl Retention {
    fn row(&self) -> Row {
        let json = |floor: &Floor| serde_json::to_string(floor).expect("a floor always encodes");
        let rule = serde_json::to_string(&self.retained.rule).expect("a rule always encodes");
        Row(vec![
            self.repository.as_str().into(),
            self.target.as_str().into(),
            self.retained.rule.class.as_str().into(),
            self.retained.rule.mode.as_str().into(),
            rule.into(),
            self.retained.from.into(),
            self.retained.until.into(),
            self.retained.floor.map(|floor| json(&floor)).into(),
            self.revision.into(),
            self.resolved_under.cast_signed().into(),
            self.retained.leaves_at().into(),
        ])
    }

    fn from_row(row: &Row) -> Self {
        Self {
            repository: row.text(0).parse().expect("views hold only checked names"),
            target: Target::parse(row.text(1)).expect("views hold only checked targets"),
            retained: Retained {
                rule: serde_json::from_str(row.text(4)).expect("the fold wrote it"),
                from: row.optional_integer(5),
                until: row.optional_integer(6),
                floor: row
                    .optional_text(7)
                    .map(|text| serde_json::from_str(text).expect("the fold wrote it")),
            },
            revision: row.integer(8),
            resolved_under: row.integer(9).unsigned_abs(),
        }
    }
}

/// The key of a retention.
pub fn key(repository: &RepositoryName, target: &Target) -> Key {
    vec![repository.as_str().into(), target.as_str().into()]
}

/// The read of a retention.
pub fn read(repository: &RepositoryName, target: &Target) -> Read {
    Read::row(&RETENTIONS, key(repository, target))
}

/// A retention among loaded rows.
pub fn get(rows: &Rows, repository: &RepositoryName, target: &Target) -> Option<Retention> {
    rows.get(&RETENTIONS, &key(repository, target)).map(Retention::from_row)
}

/// The retention of something, if there is one.
pub async fn find(db: &Db, repository: &RepositoryName, target: &Target) -> Result<Option<Retention>, Error> {
    Ok(db.query(FIND, key(repository, target)).await?.first().map(Retention::from_row))
}

/// Up to `limit` retentions of a repository that are over at `now`, the longest first, after the one that ended then
/// and is about this.
pub async fn over(
    db: &Db,
    repository: &RepositoryName,
    now: Micros,
    after: Option<(Micros, &Target)>,
    limit: i64,
) -> Result<Vec<Retention>, Error> {
    page(db, OVER, repository, now, after, limit).await
}

/// The same of packages.
pub async fn packages_over(
    db: &Db,
    repository: &RepositoryName,
    now: Micros,
    after: Option<(Micros, &Target)>,
    limit: i64,
) -> Result<Vec<Retention>, Error> {
    page(db, PACKAGES_OVER, repository, now, after, limit).await
}

async fn page(
    db: &Db,
    sql: &'static str,
    repository: &RepositoryName,
    now: Micros,
    after: Option<(Micros, &Target)>,
    limit: i64,
) -> Result<Vec<Retention>, Error> {
    let (until, target) = after.map_or((i64::MIN, ""), |(until, target)| (until, target.as_str()));
    let values = vec![repository.as_str().into(), now.into(), until.into(), target.into(), limit.into()];
    Ok(db.query(sql, values).await?.iter().map(Retention::from_row).collect())
}

/// Up to `limit` retentions of all repositories whose classes let what they are of leave by `now`, the longest first,
/// after the one that did so then and is about this.
pub async fn due(
    db: &Db,
    now: Micros,
    after: Option<(Micros, &RepositoryName, &Target)>,
    limit: i64,
) -> Result<Vec<Retention>, Error> {
    let (at, repository, target) = after
        .map_or((i64::MIN, "", ""), |(at, repository, target)| (at, repository.as_str(), target.as_str()));
    let values = vec![now.into(), at.into(), repository.into(), target.into(), limit.into()];
    Ok(db.query(DUE, values).await?.iter().map(Retention::from_row).collect())
}
