//! Dispositions and their approvals.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Index, Key, Row, Table};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence, Target};
use crate::oci::RepositoryName;
use crate::retention::DispositionId;

/// One row per disposition.
pub static DISPOSITIONS: Table = Table {
    name: "dispositions",
    columns: &[
        Column::text("id"),
        Column::text("repository"),
        Column::text("target"),
        Column::text("status"),
        Column::integer("is_open"),
        Column::text("reason"),
        Column::text("proposed_by"),
        Column::integer("proposed_at"),
        Column::integer("revision"),
        Column::integer("approvals"),
        Column::integer("cooling_off"),
        Column::integer("approved_at"),
        Column::text("ended_by"),
        Column::integer("ended_at"),
        Column::text("end_reason"),
        Column::text("certificate"),
        Column::integer("sequence"),
        Column::integer("end_event"),
    ],
    key: 1,
    indexes: &[Index { columns: &[1, 2, 4] }],
};

/// One row per disposition and principal.
pub static DISPOSITION_APPROVALS: Table = Table {
    name: "disposition_approvals",
    columns: &[
        Column::text("disposition"),
        Column::text("principal"),
        Column::integer("approved_at"),
        Column::integer("sequence"),
    ],
    key: 2,
    indexes: &[Index { columns: &[0] }],
};

/// [`DISPOSITIONS`] by repository, target and whether they are open.
const BY_TARGET: usize = 0;
/// [`DISPOSITION_APPROVALS`] by disposition.
const BY_DISPOSITION: usize = 0;

/// The columns in order, behind a condition.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, repository, target, status, is_open, reason, proposed_by, proposed_at, revision, approvals, \
             cooling_off, approved_at, ended_by, ended_at, end_reason, certificate, sequence, end_event \
             FROM dispositions WHERE ",
            $condition
        )
    };
}

const FIND: &str = select!("id = $1");
const PAGE: &str = select!("repository = $1 AND id > $2 AND ($3 = '' OR status = $3) ORDER BY id LIMIT $4");
const OPEN: &str = select!("is_open = 1 AND id > $1 ORDER BY id LIMIT $2");
const UNCERTIFIED: &str =
    select!("status = 'executed' AND certificate IS NULL AND id > $1 ORDER BY id LIMIT $2");
const APPROVALS: &str = "SELECT disposition, principal, approved_at, sequence FROM disposition_approvals \
    WHERE disposition = $1 ORDER BY sequence";

const IDS: &str = "SELECT id FROM dispositions WHERE repository = $1 AND target = $2 AND is_open = $3 AND id > $4 \
    ORDER BY id LIMIT $5";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND, PAGE, OPEN, UNCERTIFIED, APPROVALS, IDS];

/// Ids read at once.
const IDS_PAGE: i64 = 1000;

/// How far a disposition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for approvals.
    Proposed,
    /// It has them all, and waits for its cooling-off to end.
    Approved,
    /// Somebody said no.
    Rejected,
    /// It lost its ground.
    Voided,
    /// It was done.
    Executed,
}

impl Status {
    const ALL: [Self; 5] = [Self::Proposed, Self::Approved, Self::Rejected, Self::Voided, Self::Executed];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Voided => "voided",
            Self::Executed => "executed",
        }
    }

    /// The status of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether it can still come to something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Proposed | Self::Approved)
    }
}

/// A disposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Its id.
    pub id: DispositionId,
    /// Its repository.
    pub repository: RepositoryName,
    /// What it is about.
    pub target: Target,
    /// How far it is.
    pub status: Status,
    /// Why it was proposed.
    pub reason: String,
    /// By whom.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Micros,
    /// The state of the retention it is for (R6).
    pub revision: Sequence,
    /// How many principals must approve.
    pub approvals: u8,
    /// Seconds from the last approval to the execution.
    pub cooling_off: u32,
    /// When the last approval that was needed came.
    pub approved_at: Option<Micros>,
    /// How it ended, if it did: executed, rejected or voided.
    pub end: Option<End>,
    /// Its certificate, canonical JSON, once every byte is accounted for.
    pub certificate: Option<String>,
    /// The event that proposed it.
    pub sequence: Sequence,
}

/// The end of a disposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// By whom.
    pub by: String,
    /// When.
    pub at: Micros,
    /// Why; empty for one that was executed.
    pub reason: String,
    /// The event.
    pub sequence: Sequence,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// By whom.
    pub principal: String,
    /// When.
    pub at: Micros,
    /// The event.
    pub sequence: Sequence,
}

/// The fold.
#[derive(Debug)]
pub struct Dispositions;

impl Projection for Dispositions {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&DISPOSITIONS, &DISPOSITION_APPROVALS]
    }

    fn reads(&self, event: &Event) -> Vec<Read> {
        changed(&event.fact).map(read).into_iter().collect()
    }

    fn apply(&self, event: &Event, rows: &Rows) -> Vec<Change> {
        let actor = event.actor.as_str();
        if let Fact::DispositionProposed(fact) = &event.fact {
            // One that needs no approval has them all.
            let is_approved = fact.approvals == 0;
            let proposed = Disposition {
                id: fact.disposition.clone(),
                repository: fact.repository.clone(),
                target: fact.target.clone(),
                status: if is_approved { Status::Approved } else { Status::Proposed },
                reason: fact.reason.clone(),
                proposed_by: actor.to_owned(),
                proposed_at: event.recorded_at,
                revision: fact.revision,
                approvals: fact.approvals,
                cooling_off: fact.cooling_off,
                approved_at: is_approved.then_some(event.recorded_at),
                end: None,
                certificate: None,
                sequence: event.sequence,
            };
            return vec![Change::Upsert(&DISPOSITIONS, proposed.row())];
        }
        let Some(mut disposition) = changed(&event.fact).and_then(|id| get(rows, id)) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        let end = |reason: &str| {
            let (by, at, reason) = (actor.to_owned(), event.recorded_at, reason.to_owned());
            Some(End { by, at, reason, sequence: event.sequence })
        };
        match &event.fact {
            Fact::DispositionApproved(fact) => {
                let id = fact.disposition.as_str();
                let row = vec![id.into(), actor.into(), event.recorded_at.into(), event.sequence.into()];
                changes.push(Change::Upsert(&DISPOSITION_APPROVALS, Row(row)));
                if fact.is_complete {
                    disposition.status = Status::Approved;
                    disposition.approved_at = Some(event.recorded_at);
                }
            }
            Fact::DispositionRejected(fact) => {
                (disposition.status, disposition.end) = (Status::Rejected, end(&fact.reason));
            }
            Fact::DispositionVoided(fact) => {
                (disposition.status, disposition.end) = (Status::Voided, end(&fact.reason));
            }
            Fact::DispositionExecuted(_) => {
                (disposition.status, disposition.end) = (Status::Executed, end(""));
            }
            Fact::CertificateIssued(fact) => disposition.certificate = Some(fact.certificate.clone()),
            _ => {}
        }
        changes.push(Change::Upsert(&DISPOSITIONS, disposition.row()));
        changes
    }
}

/// The disposition an event changes.
fn changed(fact: &Fact) -> Option<&DispositionId> {
    match fact {
        Fact::DispositionApproved(fact) => Some(&fact.disposition),
        Fact::DispositionRejected(fact) => Some(&fact.disposition),
        Fact::DispositionVoided(fact) => Some(&fact.disposition),
        Fact::DispositionExecuted(fact) => Some(&fact.disposition),
        Fact::CertificateIssued(fact) => Some(&fact.disposition),
        _ => None,
    }
}

impl Disposition {
    fn row(&self) -> Row {
        let end = self.end.as_ref();
        Row(vec![
            self.id.as_str().into(),
            self.repository.as_str().into(),
            self.target.as_str().into(),
            self.status.as_str().into(),
            i64::from(self.status.is_open()).into(),
            self.reason.as_str().into(),
            self.proposed_by.as_str().into(),
            self.proposed_at.into(),
            self.revision.into(),
            i64::from(self.approvals).into(),
            i64::from(self.cooling_off).into(),
            self.approved_at.into(),
            end.map(|end| &*end.by).into(),
            end.map(|end| end.at).into(),
            end.map(|end| &*end.reason).into(),
            self.certificate.as_deref().into(),
            self.sequence.into(),
            end.map(|end| end.sequence).into(),
        ])
    }

    fn from_row(row: &Row) -> Self {
        let end = |by: &str| End {
            by: by.to_owned(),
            at: row.integer(13),
            reason: row.text(14).to_owned(),
            sequence: row.integer(17),
        };
        Self {
            id: row.text(0).parse().expect("views hold only checked ids"),
            repository: row.text(1).parse().expect("views hold only checked names"),
            target: Target::parse(row.text(2)).expect("views hold only checked targets"),
            status: Status::parse(row.text(3)).expect("views hold only known states"),
            reason: row.text(5).to_owned(),
            proposed_by: row.text(6).to_owned(),
            proposed_at: row.integer(7),
            revision: row.integer(8),
            approvals: u8::try_from(row.integer(9)).expect("the fold wrote it"),
            cooling_off: u32::try_from(row.integer(10)).expect("the fold wrote it"),
            approved_at: row.optional_integer(11),
            end: row.optional_text(12).map(end),
            certificate: row.optional_text(15).map(str::to_owned),
            sequence: row.integer(16),
        }
    }
}

impl Approval {
    fn from_row(row: &Row) -> Self {
        Self { principal: row.text(1).to_owned(), at: row.integer(2), sequence: row.integer(3) }
    }
}

/// The key of a disposition.
pub fn key(id: &DispositionId) -> Key {
    vec![id.as_str().into()]
}

/// The read of a disposition.
pub fn read(id: &DispositionId) -> Read {
    Read::row(&DISPOSITIONS, key(id))
}

/// A disposition among loaded rows.
pub fn get(rows: &Rows, id: &DispositionId) -> Option<Disposition> {
    rows.get(&DISPOSITIONS, &key(id)).map(Disposition::from_row)
}

fn open_key(repository: &RepositoryName, target: &Target) -> Key {
    vec![repository.as_str().into(), target.as_str().into(), 1.into()]
}

/// The dispositions about something that ended, among loaded rows.
pub fn closed_about(rows: &Rows, repository: &RepositoryName, target: &Target) -> Vec<Disposition> {
    let key = vec![repository.as_str().into(), target.as_str().into(), 0.into()];
    rows.lookup(&DISPOSITIONS, BY_TARGET, &key).into_iter().map(Disposition::from_row).collect()
}

/// The read of the open dispositions about something.
pub fn about(repository: &RepositoryName, target: &Target) -> Read {
    Read::lookup(&DISPOSITIONS, BY_TARGET, open_key(repository, target))
}

/// The open dispositions about something, among loaded rows.
pub fn open_about(rows: &Rows, repository: &RepositoryName, target: &Target) -> Vec<Disposition> {
    let rows = rows.lookup(&DISPOSITIONS, BY_TARGET, &open_key(repository, target));
    rows.into_iter().map(Disposition::from_row).collect()
}

/// The approvals of a disposition among loaded rows, by principal.
pub fn approvals(rows: &Rows, id: &DispositionId) -> Vec<Approval> {
    let rows = rows.lookup(&DISPOSITION_APPROVALS, BY_DISPOSITION, &key(id));
    rows.into_iter().map(Approval::from_row).collect()
}

/// A disposition by its id, with its approvals in order.
pub async fn find(db: &Db, id: &DispositionId) -> Result<Option<(Disposition, Vec<Approval>)>, Error> {
    let Some(disposition) = db.query(FIND, key(id)).await?.first().map(Disposition::from_row) else {
        return Ok(None);
    };
    let approvals = db.query(APPROVALS, key(id)).await?.iter().map(Approval::from_row).collect();
    Ok(Some((disposition, approvals)))
}

/// Up to `limit` dispositions of a repository by id, after the text given; of one status if so asked.
pub async fn page(
    db: &Db,
    repository: &RepositoryName,
    status: Option<Status>,
    after: &str,
    limit: i64,
) -> Result<Vec<Disposition>, Error> {
    let status = status.map_or("", Status::as_str);
    let values = vec![repository.as_str().into(), after.into(), status.into(), limit.into()];
    Ok(db.query(PAGE, values).await?.iter().map(Disposition::from_row).collect())
}

/// Up to `limit` open dispositions of all repositories by id, after the text given.
pub async fn open(db: &Db, after: &str, limit: i64) -> Result<Vec<Disposition>, Error> {
    let rows = db.query(OPEN, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(Disposition::from_row).collect())
}

/// Up to `limit` executed dispositions without a certificate, by id, after the text given.
pub async fn uncertified(db: &Db, after: &str, limit: i64) -> Result<Vec<Disposition>, Error> {
    let rows = db.query(UNCERTIFIED, vec![after.into(), limit.into()]).await?;
    Ok(rows.iter().map(Disposition::from_row).collect())
}

/// The ids of all dispositions there ever were of something.
pub async fn ids_of(db: &Db, repository: &RepositoryName, target: &Target) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    // Open ones first: one that ends meanwhile is in both lists, and not in neither.
    for is_open in [1, 0] {
        let mut after = String::new();
        loop {
            let (name, target) = (repository.as_str().into(), target.as_str().into());
            let args = vec![name, target, is_open.into(), after.as_str().into(), IDS_PAGE.into()];
            let rows = db.query(IDS, args).await?;
            let Some(last) = rows.last() else { break };
            last.text(0).clone_into(&mut after);
            ids.extend(rows.iter().map(|row| row.text(0).to_owned()));
        }
    }
    Ok(ids)
}
