//! Is it alive, can it work (API-3).

use std::collections::BTreeMap;

use super::{Error, Registry};
use crate::dataplane::DataPlane;
use crate::db::Db;
use crate::events::{self, Head};
use crate::retention::rfc3339;
use crate::storage::{self, Capability};

/// What a registry says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its parts.
    pub components: Vec<Component>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// `database`, `log`, `storage:<id>`, `clock`.
    pub name: String,
    /// One sentence when it does not work.
    pub problem: Option<String>,
    /// Bytes in total and available, for storage that knows.
    pub capacity: Option<(u64, u64)>,
    /// What it turned out to be able to do, by name, e.g. `versioning: enabled`. Never a secret.
    pub capabilities: BTreeMap<String, String>,
}

impl Health {
    /// Whether every part works.
    pub fn is_ready(&self) -> bool {
        self.components.iter().all(|component| component.problem.is_none())
    }
}

impl Registry {
    /// Whether requests can be served at all: the log's appender is running.
    pub fn is_alive(&self) -> bool {
        self.inner.log.is_open()
    }

    /// Tries every part: reads the database, writes and removes a probe in storage.
    pub async fn health(&self) -> Health {
        let mut health = inspect(&self.inner.db, &self.inner.data).await;
        health.components.push(Component {
            name: "log".to_owned(),
            problem: self.inner.log.problem(),
            capacity: None,
            capabilities: BTreeMap::new(),
        });
        health.components.extend(self.clock_component());
        health
    }

    /// The compliance clock, once it has begun. Frozen it is no reason to send clients elsewhere.
    fn clock_component(&self) -> Option<Component> {
        let reading = self.inner.compliance.read();
        reading.tick?;
        let state = reading.alarm().map_or_else(|| "running".to_owned(), |alarm| format!("frozen: {alarm}"));
        let capabilities = BTreeMap::from([
            ("compliance".to_owned(), rfc3339(reading.compliance)),
            ("state".to_owned(), state),
        ]);
        Some(Component { name: "clock".to_owned(), problem: None, capacity: None, capabilities })
    }
}

/// Whether a log was ever begun in a database.
pub async fn has_log(db: &Db) -> Result<bool, Error> {
    match Head::read(db).await {
        Ok(_) => Ok(true),
        Err(events::Error::Absent) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tries database and storage without opening a registry over them; works beside a running one.
pub async fn inspect(db: &Db, data: &DataPlane) -> Health {
    let head = Head::read(db).await;
    let mut components = vec![Component {
        name: "database".to_owned(),
        problem: head.err().map(|error| error.to_string()),
        capacity: None,
        capabilities: BTreeMap::new(),
    }];
    for (id, health) in data.health().await {
        let unwritable = (!health.writable).then(|| "it takes no writes".to_owned());
        components.push(Component {
            name: format!("storage:{id}"),
            problem: health.problem.or(unwritable),
            capacity: health.capacity.map(|capacity| (capacity.total, capacity.available)),
            capabilities: health
                .capabilities
                .into_iter()
                .map(|can| (can.name.to_owned(), said(&can)))
                .collect(),
        });
    }
    Health { components }
}

fn said(can: &Capability) -> String {
    let supported = if can.supported { "yes" } else { "no" };
    can.detail.as_ref().map_or_else(|| supported.to_owned(), |detail| format!("{supported}, {detail}"))
}

/// What every storage can do, by its id, tried now.
pub async fn probe(data: &DataPlane) -> Result<Vec<(String, Vec<Capability>)>, storage::Error> {
    data.probe().await
}
