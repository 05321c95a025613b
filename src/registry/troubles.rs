//! Whether any stored copy is known to be damaged or unreadable. Nearly always none is: who asks for every blob of a
//! push need not ask the database.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Error, Registry};
use crate::events::{Event, Fact, Observer};
use crate::views::damages;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Raised by whatever may change the answer: one that was asked for before is of no use then.
    version: u64,
    are_there: Option<bool>,
}

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, are_there: Option<bool>) {
        let mut known = self.lock();
        known.version += 1;
        known.are_there = are_there;
    }
}

impl Observer for Troubles {
    fn committed(&self, events: &[Event]) {
        for event in events {
            match &event.fact {
                Fact::BlobCorrupted(_) | Fact::BlobUnreadable(_) => self.change(Some(true)),
                // One less, and maybe the last.
                Fact::BlobRecovered(_)
                | Fact::BlobRepaired(_)
                | Fact::BlobStored(_)
                | Fact::BlobsPurged(_)
                    if self.lock().are_there != Some(false) =>
                {
                    self.change(None);
                }
                _ => {}
            }
        }
    }

    fn lost_track(&self) {
        self.change(None);
    }
}

impl Registry {
    /// Whether any copy is known to be damaged or unreadable.
    pub(super) async fn has_troubles(&self) -> Result<bool, Error> {
        let noted = {
            let known = self.inner.troubles.lock();
            if let Some(are_there) = known.are_there {
                return Ok(are_there);
            }
            known.version
        };
        let are_there = !damages::open(&self.inner.db, "", 1).await?.is_empty();
        let mut known = self.inner.troubles.lock();
        if known.version == noted {
            known.are_there = Some(are_there);
        }
        Ok(are_there)
    }

    /// Whether the copy under a key is known to be damaged or unreadable.
    pub(super) async fn is_in_trouble(&self, key: &str) -> Result<bool, Error> {
        if !self.has_troubles().await? {
            return Ok(false);
        }
        let found = damages::among(&self.inner.db, &[key]).await?;
        Ok(found.iter().any(|copy| copy.state == damages::State::Open))
    }
}
