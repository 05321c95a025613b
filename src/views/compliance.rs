//! The compliance clock as it was last recorded.

use crate::clock::Micros;
use crate::db::{Column, Db, Error, Row, Table, Value};
use crate::events::{Change, Event, Fact, Projection, Read, Rows, Sequence};

/// One row, once the clock was read.
pub static COMPLIANCE_CLOCK: Table = Table {
    name: "compliance_clock",
    columns: &[
        Column::integer("id"),
        Column::integer("wall"),
        Column::integer("compliance"),
        Column::integer("is_frozen"),
        Column::integer("sequence"),
    ],
    key: 1,
    indexes: &[],
};

const FIND: &str = "SELECT id, wall, compliance, is_frozen, sequence FROM compliance_clock WHERE id = 1";

/// Every named statement of this view.
pub static STATEMENTS: &[&str] = &[FIND];

/// The clock as it was last recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// What the system's clock showed.
    pub wall: Micros,
    /// Compliance time.
    pub compliance: Micros,
    /// Whether dispositions are frozen.
    pub is_frozen: bool,
    /// The event.
    pub sequence: Sequence,
}

/// The fold.
#[derive(Debug)]
pub struct ComplianceClock;

impl Projection for ComplianceClock {
    fn tables(&self) -> Vec<&'static Table> {
        vec![&COMPLIANCE_CLOCK]
    }

    fn reads(&self, _: &Event) -> Vec<Read> {
        Vec::new()
    }

    fn apply(&self, event: &Event, _: &Rows) -> Vec<Change> {
        let (wall, compliance, is_frozen) = match &event.fact {
            Fact::ClockTicked(fact) => (fact.wall, fact.compliance, fact.is_frozen),
            Fact::ClockResynchronised(fact) => (fact.compliance, fact.compliance, false),
            _ => return Vec::new(),
        };
        let row = [1, wall, compliance, is_frozen.into(), event.sequence];
        vec![Change::Upsert(&COMPLIANCE_CLOCK, Row(row.map(Value::from).into()))]
    }
}

impl Tick {
    fn from_row(row: &Row) -> Self {
        Self {
            wall: row.integer(1),
            compliance: row.integer(2),
            is_frozen: row.integer(3) != 0,
            sequence: row.integer(4),
        }
    }
}

/// The read of the clock.
pub fn read() -> Read {
    Read::row(&COMPLIANCE_CLOCK, vec![1.into()])
}

/// The clock among loaded rows.
pub fn get(rows: &Rows) -> Option<Tick> {
    rows.get(&COMPLIANCE_CLOCK, &[1.into()]).map(Tick::from_row)
}

/// The clock as it was last recorded, if it ever was.
pub async fn find(db: &Db) -> Result<Option<Tick>, Error> {
    Ok(db.query(FIND, Vec::new()).await?.first().map(Tick::from_row))
}
