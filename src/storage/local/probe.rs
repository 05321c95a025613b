//! What the folder can do, found out by doing it.

use super::volume::Volume;
use crate::storage::{Capability, Error};

impl Volume {
    /// See [`Backend::probe`](crate::storage::Backend::probe).
    pub(super) fn probe(&self) -> Result<Vec<Capability>, Error> {
        let health = self.health();
        let durable = Capability {
            name: "durable write",
            supported: health.problem.is_none(),
            needed: true,
            detail: health.problem,
        };
        let nameless = Capability {
            name: "nameless files",
            supported: self.nameless,
            needed: false,
            detail: (!self.nameless).then(|| "small objects are written under a name first".to_owned()),
        };
        Ok(vec![durable, nameless])
    }
}
