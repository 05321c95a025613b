//! Memory for answers that are made as a whole out of what is stored: manifests, pages of events and of packages.
//!
//! How much one takes is known before anything is read. An answer keeps its room until it was sent, so clients that
//! read slowly do not add up to more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Error;

/// All the room there is, in bytes. One answer that needs more has it for itself.
const ALL: usize = 96 * 1024 * 1024;

/// What is given away at once.
const PLACE: usize = 64 * 1024;

/// What stored canonical CBOR grows to while its JSON is made: rows, a tree, and the text.
pub(super) const PROJECTED: usize = 8;

/// The memory there is.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    patience: Duration,
}

/// The memory of one answer.
#[derive(Debug)]
pub(super) struct Taken(OwnedSemaphorePermit);

/// Bytes on their way, and their memory.
struct Held {
    bytes: Vec<u8>,
    _taken: Taken,
}

impl Room {
    /// All of it, for which an answer waits no longer than `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(ALL / PLACE)), patience }
    }

    /// Waits for so many bytes; [`Error::Crowded`] when they did not come free in time.
    pub(super) async fn take(&self, bytes: usize) -> Result<Taken, Error> {
        let places = u32::try_from(places(bytes)).expect("no more than there are");
        let taken = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_many_owned(places));
        taken.await.map_err(|_| Error::Crowded)?.map(Taken).map_err(|_| Error::Crowded)
    }
}

impl Taken {
    /// The body of an answer. What it does not need of the memory is given back at once.
    pub(super) fn hold(mut self, bytes: Vec<u8>) -> Bytes {
        let spare = self.0.num_permits().saturating_sub(places(bytes.capacity()));
        drop(self.0.split(spare));
        Bytes::from_owner(Held { bytes, _taken: self })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn places(bytes: usize) -> usize {
    bytes.div_ceil(PLACE).min(ALL / PLACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_reads_keeps_its_memory_and_no_more() {
        let room = Room::new(Duration::from_millis(20));
        let whole = room.take(usize::MAX).await.unwrap();
        assert!(matches!(room.take(1).await, Err(Error::Crowded)));
        let unread = whole.hold(vec![0; 3 * PLACE]);
        let rest = room.take(ALL - 3 * PLACE).await.unwrap();
        assert!(matches!(room.take(1).await, Err(Error::Crowded)));
        assert_eq!(unread.len(), 3 * PLACE);
        drop((unread, rest));
        room.take(ALL).await.unwrap();
    }
}
