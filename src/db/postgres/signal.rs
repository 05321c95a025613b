//! The doorbell: a replica that changed the log tells the others at once. Only a hint; whoever missed it looks
//! by the clock.

use sqlx::postgres::PgListener;

use super::pool::Connections;
use crate::db::{Error, Value};

const CHANNEL: &str = "artifactstore";

/// Rings. Its own transaction: in that of an append all appends of the server would queue for one lock.
pub(super) async fn announce(signals: &Connections, message: &str) -> Result<(), Error> {
    let args = vec![CHANNEL.into(), Value::from(message)];
    let ring = || signals.execute("SELECT pg_notify($1, $2)", args.clone());
    signals.again(ring).await.map(drop).map_err(Error::statement)
}

/// Hears what is announced.
#[derive(Debug)]
pub(in crate::db) struct Ear {
    signals: Connections,
    listener: Option<PgListener>,
}

impl Ear {
    pub(super) fn new(signals: Connections) -> Self {
        Self { signals, listener: None }
    }

    /// Listens from now on, when it does not yet.
    pub(in crate::db) async fn attach(&mut self) -> Result<(), Error> {
        if self.listener.is_none() {
            let listener = self.signals.again(|| listen(&self.signals)).await;
            self.listener = Some(listener.map_err(Error::statement)?);
        }
        Ok(())
    }

    /// Waits for a message; `None` when the connection was lost, and with it maybe messages.
    pub(in crate::db) async fn hear(&mut self) -> Option<String> {
        let heard = self.listener.as_mut()?.try_recv().await;
        if let Ok(Some(notification)) = heard {
            return Some(notification.payload().to_owned());
        }
        self.listener = None;
        None
    }
}

async fn listen(signals: &Connections) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(signals.pool()).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
