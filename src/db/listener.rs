//! What other processes announce.

use super::{Error, postgres};

/// Listens to [`Db::announce`](super::Db::announce) of every process, this one included.
#[derive(Debug)]
pub struct Listener(postgres::Ear);

impl Listener {
    pub(super) fn new(ear: postgres::Ear) -> Self {
        Self(ear)
    }

    /// Begins to listen, when it does not yet. What was announced before is not heard.
    pub async fn attach(&mut self) -> Result<(), Error> {
        self.0.attach().await
    }

    /// Waits for the next message. `None` when it does not listen any more and messages may have been missed:
    /// [attach](Self::attach) again.
    pub async fn hear(&mut self) -> Option<String> {
        self.0.hear().await
    }
}
