//! Webhooks: events are sent to receivers as they are recorded.
//!
//! The log is the queue. A webhook is a place in it, the [cursor](Webhook::cursor), and moves on when the receiver has
//! taken what comes next:
//!
//! - **In order, one at a time.** The next event is sent when the receiver answered the one before with a 2xx.
//! - **At least once.** The cursor is durable after the answer; a process that ends in between leads to the same
//!   delivery again, with the same id. One replica at a time delivers, under a lease ([`table`]).
//! - **Never lossy.** A receiver that fails is tried again over [almost five days](patience), then the webhook is
//!   suspended and keeps its cursor: it goes on there when somebody resumes it. One that is gone (410) is disabled
//!   likewise.
//! - **No other log.** The cursor has the leaf hash of its event. After a restore that does not have this event, the
//!   webhook is suspended, since nobody knows what its receiver has seen.
//! - **Nowhere inside.** Only addresses of the public internet are called, and those that were allowed ([`guard`]).
//!
//! That a webhook is set up, changed or removed is on record, and in force only then. Deliveries are not: each would be
//! one to deliver. They are seen in the webhook itself.

mod changing;
mod courier;
mod deliver;
mod endpoint;
mod format;
mod guard;
mod options;
mod patience;
mod secrets;
pub(super) mod table;

pub use changing::{Change, FilterChange, FilterField, NewWebhook, Since};
pub use courier::Courier;
pub use deliver::{Deliver, Delivery, LONGEST as LONGEST_DELIVERY, Receipt, Undelivered};
pub use endpoint::{Endpoint, EndpointError, Host};
pub use format::Format;
pub use guard::{Allowed, AllowedError, Forbidden, Guard};
pub use options::Options;
pub use secrets::{SecretError, WebhookSecret};

use super::{Error, Registry};
use crate::clock::Micros;
use crate::events::WebhookId;
use crate::events::feed::{self, Filter};
use table::{Place, Stored, Webhooks};

/// A webhook as it can be seen: without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub id: WebhookId,
    /// Where it is sent to. Shown to nobody whole.
    pub endpoint: Endpoint,
    /// How events are rendered.
    pub format: Format,
    /// Which events are sent.
    pub filter: Filter,
    /// Whether it is sent.
    pub state: State,
    /// Why not, where the registry says so.
    pub reason: Option<String>,
    /// The number of the last event that was delivered, or passed over.
    pub cursor: i64,
    /// Attempts in a row that failed.
    pub attempts: i64,
    /// Since when.
    pub failing_since: Option<Micros>,
    /// When the next attempt is due; 0 when there is nothing to wait for.
    pub next_attempt_at: Micros,
    /// When the last attempt was.
    pub attempted_at: Option<Micros>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong with the last attempt.
    pub last_error: Option<String>,
    /// When an event was delivered last.
    pub delivered_at: Option<Micros>,
    /// When it was set up.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
}

/// Whether a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Active,
    /// Not until it is resumed.
    Suspended,
    /// The same; the receiver said that it is gone.
    Disabled,
    /// What is stored of it cannot be read.
    Damaged,
}

impl State {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Disabled => "disabled",
            Self::Damaged => "damaged",
        }
    }

    /// One that is stored: what is damaged says so by itself.
    fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Disabled].into_iter().find(|state| state.as_str() == text)
    }
}

impl Registry {
    /// A webhook.
    pub async fn webhook(&self, id: &WebhookId) -> Result<Webhook, Error> {
        Ok(self.stored_webhooks().find(id).await?.webhook)
    }

    /// The webhooks after one, by id.
    pub async fn webhooks(&self, after: &str, limit: usize) -> Result<Vec<Webhook>, Error> {
        let found = self.stored_webhooks().list(after, limit).await?;
        Ok(found.into_iter().map(|stored| stored.webhook).collect())
    }

    fn stored_webhooks(&self) -> Webhooks {
        Webhooks::new(&self.inner.db)
    }

    /// The place after an event: what comes behind it is next.
    async fn place_in_log(&self, at: i64) -> Result<Place, Error> {
        let head = self.inner.log.current_at(at).await.map_err(Error::Log)?;
        let horizon = self.inner.log.horizon();
        match at {
            _ if at > head => Err(Error::CursorAhead { since: at, head }),
            _ if at < horizon => Err(Error::CursorExpired { since: at, horizon }),
            _ => Ok(Place { at, hash: self.leaf_hash(at).await? }),
        }
    }

    /// The leaf hash of an event. `None` before the first, and where it is not in the log any more.
    async fn leaf_hash(&self, at: i64) -> Result<Option<String>, Error> {
        if at <= self.inner.log.horizon() {
            return Ok(None);
        }
        let page = self.inner.log.feed(at - 1, &Filter::default(), 1).await?;
        Ok(page.records.first().filter(|record| record.sequence == at).map(|record| feed::leaf_hash(record)))
    }

    /// Why a cursor is no place of this log any more, if it is none.
    async fn lost_place(&self, stored: &Stored) -> Result<Option<String>, Error> {
        let at = stored.webhook.cursor;
        let place = match self.place_in_log(at).await {
            Ok(place) => place,
            Err(Error::CursorAhead { head, .. }) => {
                return Ok(Some(format!(
                    "the log ends at event {head}, and the receiver had event {at}: the log was restored from an older \
                     copy; compare with the receiver, and resume with the event to go on after"
                )));
            }
            Err(Error::CursorExpired { horizon, .. }) => {
                return Ok(Some(format!(
                    "the events up to {horizon} are not in the log any more, and the receiver had those up to {at}; \
                     resume with the event to go on after"
                )));
            }
            Err(error) => return Err(error),
        };
        let is_other =
            matches!((&place.hash, &stored.cursor_hash), (Some(here), Some(known)) if here != known);
        Ok(is_other.then(|| {
            format!(
                "event {at} is not the one that the receiver had: the log was restored from another copy; compare with \
                 the receiver, and resume with the event to go on after"
            )
        }))
    }
}
