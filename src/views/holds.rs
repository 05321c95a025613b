//! Holds, in force and released, and the newest there ever was on each thing.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence, Target};
use crate::oci::RepositoryName;
use crate::retention::{HoldId, HoldKind};

/// One row per hold.
pub static HOLDS: Table = Table {
    name: "holds",
    columns: &[
        Column::text("id"),
        Column::text("repository"),
        Column::text("target"),
        Column::text("kind"),
        Column::text("matter"),
        Column::text("reason"),
        Column::text("placed_by"),
        Column::integer("placed_at"),
        Column::text("state"),
        Column::text("released_by"),
        Column::integer("released_at"),
        Column::text("release_reason"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[Index { columns: &[1, 2, 8] }],
};

/// One row per repository and thing that was ever held: a released hold still tells that protection grew.
pub static NEWEST_HOLDS: Table = Table {
    name: "newest_holds",
    columns: &[
        Column::text("repository"),
        Column::text("target"),
        Column::text("hold"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[],
};

/// [`HOLDS`] by repository, target and state.
const BY_TARGET: usize = 0;

/// The state of a hold in force.
const ACTIVE: &str = "active";
const RELEASED: &str = "released";

/// Ids read at once.
const IDS_PAGE: i64 = 1000;

/// The target of a hold on a whole repository.
const REPOSITORY: &str = "";

const PAGE: &str = "SELECT id, repository, target, kind, matter, reason, placed_by, placed_at, state, released_by, \
    released_at, release_reason, sequence FROM holds \
    WHERE repository = $1 AND id > $2 AND ($3 = '' OR state = $3) ORDER BY id LIMIT $4";

const FIND: &str = "SELECT id, repository, target, kind, matter, reason, placed_by, placed_at, state, released_by, \
    released_at, release_reason, sequence FROM holds WHERE id = $1";

const ON: &str = "SELECT id, repository, target, kind, matter, reason, placed_by, placed_at, state, released_by, \
    released_at, release_reason, sequence FROM holds \
    WHERE repository = $1 AND target = $2 AND state = 'active' ORDER BY id";

const IDS: &str = "SELECT id FROM holds WHERE repository = $1 AND target = $2 AND state = $3 AND id > $4 \
    ORDER BY id LIMIT $5";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[PAGE, FIND, ON, IDS];

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Its repository.
    pub repository: RepositoryName,
    /// What it is on; `None` for the whole repository.
    pub target: Option<Target>,
    /// What it is for.
    pub kind: HoldKind,
    /// The matter it belongs to.
    pub matter: String,
    /// Why it was placed.
    pub reason: String,
    /// By whom.
    pub placed_by: String,
    /// When.
    pub placed_at: Micros,
    /// How it ended, if it did.
    pub released: Option<Release>,
    /// The event that placed it.
    pub sequence: Sequence,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// By whom.
    pub by: String,
    /// When.
    pub at: Micros,
    /// Why.
    pub reason: String,
}

/// The fold.
#[derive(Debug)]
pub struct Holds;

impl Projection for Holds {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&HOLDS, &NEWEST_HOLDS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        match &event.fact {
            Fact::HoldReleased(fact) => vec![read(&fact.hold)],
            _ => Vec::new(),
        }
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        match &event.fact {
            Fact::HoldPlaced(fact) => {
                let hold = Hold {
                    id: fact.hold.clone(),
                    repository: fact.repository.clone(),
                    target: fact.target.clone(),
                    kind: fact.kind,
                    matter: fact.matter.clone(),
                    reason: fact.reason.clone(),
                    placed_by: event.actor.as_str().to_owned(),
                    placed_at: event.recorded_at,
                    released: None,
                    sequence: event.sequence,
                };
                let mut newest = newest_key(&hold.repository, hold.target.as_ref());
                newest.extend([hold.id.as_str().into(), hold.sequence.into()]);
                vec![Change::Upsert(&HOLDS, hold.row()), Change::Upsert(&NEWEST_HOLDS, Row(newest))]
            }
            Fact::HoldReleased(fact) => {
                let Some(hold) = get(rows, &fact.hold) else { return Vec::new() };
                let by = event.actor.as_str().to_owned();
                let released = Some(Release { by, at: event.recorded_at, reason: fact.reason.clone() });
                vec![Change::Upsert(&HOLDS, Hold { released, ..hold }.row())]
            }
            _ => Vec::new(),
        }
    }
}

impl Hold {
    fn row(&self) -> Row {
        let released = self.released.as_ref();
        Row(vec![
            self.id.as_str().into(),
            self.repository.as_str().into(),
            self.target.as_ref().map_or(REPOSITORY, Target::as_str).into(),
            self.kind.as_str().into(),
            self.matter.as_str().into(),
            self.reason.as_str().into(),
            self.placed_by.as_str().into(),
            self.placed_at.into(),
            released.map_or(ACTIVE, |_| RELEASED).into(),
            released.map(|release| &*release.by).into(),
            released.map(|release| release.at).into(),
            released.map(|release| &*release.reason).into(),
            self.sequence.into(),
        ])
    }

    fn from_row(row: &Row) -> Self {
        let release =
            |by: &str| Release { by: by.to_owned(), at: row.integer(10), reason: row.text(11).to_owned() };
        Self {
            id: row.text(0).parse().expect("views hold only checked ids"),
            repository: row.text(1).parse().expect("views hold only checked names"),
            target: Target::parse(row.text(2)),
            kind: HoldKind::parse(row.text(3)).expect("views hold only known kinds"),
            matter: row.text(4).to_owned(),
            reason: row.text(5).to_owned(),
            placed_by: row.text(6).to_owned(),
            placed_at: row.integer(7),
            released: row.optional_text(9).map(release),
            sequence: row.integer(12),
        }
    }
}

/// The read of a hold.
pub fn read(id: &HoldId) -> Read {
    Read::row(&HOLDS, key(id))
}

/// The key of a hold.
pub fn key(id: &HoldId) -> Key {
    vec![id.as_str().into()]
}

/// A hold among loaded rows, also a released one.
pub fn get(rows: &Rows, id: &HoldId) -> Option<Hold> {
    rows.get(&HOLDS, &key(id)).map(Hold::from_row)
}

fn target_key(repository: &RepositoryName, target: Option<&Target>) -> Key {
    let target = target.map_or(REPOSITORY, Target::as_str);
    vec![repository.as_str().into(), target.into(), ACTIVE.into()]
}

fn newest_key(repository: &RepositoryName, target: Option<&Target>) -> Key {
    vec![repository.as_str().into(), target.map_or(REPOSITORY, Target::as_str).into()]
}

/// The newest hold that ever was on something, or on the whole repository, and the event that placed it, among loaded
/// rows.
pub fn newest(
    rows: &Rows,
    repository: &RepositoryName,
    target: Option<&Target>,
) -> Option<(HoldId, Sequence)> {
    let row = rows.get(&NEWEST_HOLDS, &newest_key(repository, target))?;
    Some((row.text(2).parse().expect("views hold only checked ids"), row.integer(3)))
}

/// The read of the holds in force on something; on the whole repository without a target.
pub fn on(repository: &RepositoryName, target: Option<&Target>) -> Read {
    Read::lookup(&HOLDS, BY_TARGET, target_key(repository, target))
}

/// The holds in force on something, or on the whole repository, among loaded rows.
pub fn in_force(rows: &Rows, repository: &RepositoryName, target: Option<&Target>) -> Vec<Hold> {
    let rows = rows.lookup(&HOLDS, BY_TARGET, &target_key(repository, target));
    rows.into_iter().map(Hold::from_row).collect()
}

/// A hold by its id.
pub async fn find(db: &Db, id: &HoldId) -> Result<Option<Hold>, Error> {
    Ok(db.query(FIND, key(id)).await?.first().map(Hold::from_row))
}

/// The holds in force on something, or on the whole repository, as they are now.
pub async fn now_on(
    db: &Db,
    repository: &RepositoryName,
    target: Option<&Target>,
) -> Result<Vec<Hold>, Error> {
    let target = target.map_or(REPOSITORY, Target::as_str);
    let rows = db.query(ON, vec![repository.as_str().into(), target.into()]).await?;
    Ok(rows.iter().map(Hold::from_row).collect())
}

/// The ids of all holds there ever were on something.
pub async fn ids_on(db: &Db, repository: &RepositoryName, target: &Target) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    // In force first: one that is released meanwhile is in both lists, and not in neither.
    for state in [ACTIVE, RELEASED] {
        let mut after = String::new();
        loop {
            let (name, target) = (repository.as_str().into(), target.as_str().into());
            let args = vec![name, target, state.into(), after.as_str().into(), IDS_PAGE.into()];
            let rows = db.query(IDS, args).await?;
            let Some(last) = rows.last() else { break };
            last.text(0).clone_into(&mut after);
            ids.extend(rows.iter().map(|row| row.text(0).to_owned()));
        }
    }
    Ok(ids)
}

/// Up to `limit` holds of a repository by id, after the text given; only those in force if so asked.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    only_in_force: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Hold>, Error> {
    let state = if only_in_force { ACTIVE } else { "" };
    let values = vec![repository.as_str().into(), after.into(), state.into(), limit.into()];
    Ok(db.query(PAGE, values).await?.iter().map(Hold::from_row).collect())
}
