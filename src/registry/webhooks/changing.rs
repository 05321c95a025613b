//! Setting up, changing and removing webhooks.
//!
//! Each goes the same way: the row is written so that nothing is sent by it, then the change is recorded, then the row
//! is put in force. A crash in between leaves a webhook that is suspended and says why, and nothing is sent that is not
//! on record.

use std::mem;

use super::secrets::Secrets;
use super::table::{Place, Stored};
use super::{Endpoint, Format, Guard, State, Webhook, WebhookSecret};
use crate::clock::Micros;
use crate::events::feed::{Filter, TypePattern};
use crate::events::{
    Actor, Command, Decision, Fact, Read, Rows, Subscribed, WebhookChanged, WebhookCreated, WebhookDeleted,
    WebhookId,
};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::{Error, Registry};

/// What a webhook says while it is being set up or changed.
const UNFINISHED: &str =
    "a change of it was not finished; resume it when it is as it should be, or delete it";

/// The same while it is being removed.
const LEAVING: &str = "it was not removed to the end; delete it again";

/// A webhook to set up.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Where it is sent to.
    pub endpoint: Endpoint,
    /// How events are rendered.
    pub format: Format,
    /// Which events are sent.
    pub filter: Filter,
    /// What deliveries are signed with; made when there is none.
    pub secret: Option<WebhookSecret>,
    /// What is sent first.
    pub since: Since,
}

/// Where a webhook begins, or goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// With what is recorded from now on.
    #[default]
    Now,
    /// After the event of this number; 0 is before the first.
    After(i64),
}

/// What is to be different. What is not named stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Where it is sent to.
    pub endpoint: Option<Endpoint>,
    /// How events are rendered.
    pub format: Option<Format>,
    /// Which events are sent.
    pub filter: FilterChange,
    /// What deliveries are signed with. The secret before signs too, for a day.
    pub secret: Option<WebhookSecret>,
    /// Where it goes on.
    pub since: Option<Since>,
    /// Whether it is sent: suspended or resumed.
    pub is_active: Option<bool>,
}

/// What is to be different in a filter. What is not named stays here too: whoever asks for other types does not ask to be
/// told of every repository.
#[derive(Clone, Debug, Default)]
pub struct FilterChange {
    /// Of which types.
    pub types: FilterField<Vec<TypePattern>>,
    /// About which repository.
    pub repository: FilterField<RepositoryName>,
    /// About which package.
    pub package: FilterField<PackageId>,
}

/// What becomes of one field of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FilterField<T> {
    /// It stays.
    #[default]
    Kept,
    /// It lets everything through from now on.
    Cleared,
    /// It is this one from now on.
    Set(T),
}

impl FilterChange {
    /// The filter that becomes of one.
    fn of(self, was: &Filter) -> Filter {
        Filter {
            types: self.types.of(Some(was.types.clone())).unwrap_or_default(),
            repository: self.repository.of(was.repository.clone()),
            package: self.package.of(was.package.clone()),
        }
    }
}

impl<T> FilterField<T> {
    fn of(self, was: Option<T>) -> Option<T> {
        match self {
            Self::Kept => was,
            Self::Cleared => None,
            Self::Set(becomes) => Some(becomes),
        }
    }

    /// The same of something that is made of what is set.
    pub fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<FilterField<U>, E> {
        Ok(match self {
            Self::Kept => FilterField::Kept,
            Self::Cleared => FilterField::Cleared,
            Self::Set(becomes) => FilterField::Set(make(becomes)?),
        })
    }
}

impl Registry {
    /// Sets up a webhook, which is active from then on. The secret is told here and never again.
    ///
    /// [`Error::WebhookForbidden`] for a URL that may not be called as far as it says itself; what a name resolves to is
    /// looked at when it is called.
    pub async fn create_webhook(
        &self,
        actor: Actor,
        new: NewWebhook,
    ) -> Result<(Webhook, WebhookSecret), Error> {
        self.guard().check(&new.endpoint).map_err(Error::WebhookForbidden)?;
        let (table, limit) = (self.stored_webhooks(), self.inner.options.webhooks.max);
        if table.count().await? >= limit {
            return Err(Error::TooManyWebhooks { limit });
        }
        let place = self.begin(new.since).await?;
        let secret = new.secret.unwrap_or_else(WebhookSecret::generate);
        let webhook = Webhook {
            id: WebhookId::generate(),
            endpoint: new.endpoint,
            format: new.format,
            filter: new.filter,
            state: State::Suspended,
            reason: Some(UNFINISHED.to_owned()),
            cursor: place.at,
            attempts: 0,
            failing_since: None,
            next_attempt_at: 0,
            attempted_at: None,
            last_status: None,
            last_error: None,
            delivered_at: None,
            created_at: self.inner.clock.now(),
            created_by: actor.as_str().to_owned(),
        };
        let secrets = Secrets::new(secret.clone());
        let mut stored = Stored { webhook, secrets, cursor_hash: place.hash, version: version() };
        table.add(&stored).await?;
        let webhook = &stored.webhook;
        let (id, subscribed, since) = (webhook.id.clone(), subscribed(webhook), webhook.cursor);
        self.record(actor, WebhookCreated { webhook: id, subscribed, since }).await?;
        table.enforce(&stored.webhook.id, &stored.version, (State::Active, None)).await?;
        (stored.webhook.state, stored.webhook.reason) = (State::Active, None);
        self.inner.webhooks.notify_one();
        Ok((stored.webhook, secret))
    }

    /// Changes a webhook; failures so far are forgotten, and what is active is tried at once.
    ///
    /// [`Error::WebhookMoved`] when somebody else changes it at the same time, and [`Error::WebhookPlaceLost`] when it is
    /// to be resumed at an event that is not in the log.
    pub async fn change_webhook(
        &self,
        actor: Actor,
        id: &WebhookId,
        change: Change,
    ) -> Result<Webhook, Error> {
        let table = self.stored_webhooks();
        let mut stored = table.find(id).await?;
        if stored.webhook.state == State::Damaged {
            return Err(Error::WebhookDamaged(id.clone()));
        }
        let is_unfinished = matches!(stored.webhook.reason.as_deref(), Some(UNFINISHED | LEAVING));
        if is_unfinished && change.is_active.is_none() {
            // Somebody may be at it in this moment, and what it is to be then is known to them alone.
            return Err(Error::WebhookMoved(id.clone()));
        }
        if let Some(endpoint) = &change.endpoint {
            self.guard().check(endpoint).map_err(Error::WebhookForbidden)?;
        }
        let to = match change.since {
            Some(since) => Some(self.begin(since).await?),
            None => None,
        };
        if change.is_active == Some(true)
            && to.is_none()
            && let Some(reason) = self.lost_place(&stored).await?
        {
            return Err(Error::WebhookPlaceLost { id: id.clone(), reason });
        }
        let was = mem::replace(&mut stored.version, version());
        let mut changes = Vec::new();
        let webhook = &mut stored.webhook;
        let (state, reason) = match change.is_active {
            Some(true) => (State::Active, None),
            Some(false) => (State::Suspended, None),
            // Why it lost its place does not count once it has another.
            None => (webhook.state, webhook.reason.take().filter(|_| to.is_none())),
        };
        if state != webhook.state {
            changes.push("state");
        }
        exchange(&mut webhook.endpoint, change.endpoint, "url", &mut changes);
        exchange(&mut webhook.format, change.format, "format", &mut changes);
        let filter = change.filter.of(&webhook.filter);
        exchange(&mut webhook.filter, Some(filter), "filter", &mut changes);
        if let Some(secret) = change.secret {
            let rotated = stored.secrets.rotated(secret, self.inner.clock.now());
            exchange(&mut stored.secrets, Some(rotated), "secret", &mut changes);
        }
        if let Some(to) = &to {
            webhook.cursor = to.at;
            changes.push("since");
        }
        changes.sort_unstable();
        (webhook.state, webhook.reason) = (State::Suspended, Some(UNFINISHED.to_owned()));
        if !table.put(&stored, to.as_ref(), &was).await? {
            return Err(Error::WebhookMoved(id.clone()));
        }
        if !changes.is_empty() || is_unfinished {
            let since = to.map(|place| place.at);
            self.record(actor, changed(&stored.webhook, &changes, (state, reason.as_deref()), since)).await?;
        }
        table.enforce(id, &stored.version, (state, reason.as_deref())).await?;
        self.inner.webhooks.notify_one();
        self.webhook(id).await
    }

    /// Removes a webhook. A delivery under way is the last.
    pub async fn delete_webhook(&self, actor: Actor, id: &WebhookId) -> Result<(), Error> {
        let table = self.stored_webhooks();
        let mut stored = table.find(id).await?;
        if stored.webhook.state != State::Damaged {
            let was = mem::replace(&mut stored.version, version());
            (stored.webhook.state, stored.webhook.reason) = (State::Suspended, Some(LEAVING.to_owned()));
            if !table.put(&stored, None, &was).await? {
                return Err(Error::WebhookMoved(id.clone()));
            }
        }
        let url = stored.webhook.endpoint.to_string();
        self.record(actor, WebhookDeleted { webhook: id.clone(), url }).await?;
        table.remove(id).await
    }

    /// Has the next attempt made at once, wherever the courier is. [`Error::WebhookInactive`] unless it is active.
    pub async fn retry_webhook(&self, id: &WebhookId) -> Result<Webhook, Error> {
        let table = self.stored_webhooks();
        let webhook = table.find(id).await?.webhook;
        if webhook.state != State::Active {
            return Err(Error::WebhookInactive { id: id.clone(), state: webhook.state });
        }
        table.hasten(id).await?;
        self.inner.webhooks.notify_one();
        self.webhook(id).await
    }

    /// Until when the secret before the newest signs as well, while it does.
    pub async fn webhook_overlap(&self, id: &WebhookId) -> Result<Option<Micros>, Error> {
        let stored = self.stored_webhooks().find(id).await?;
        Ok(stored.secrets.overlap_ends_at(self.inner.clock.now()))
    }

    pub(super) async fn record<F>(&self, actor: Actor, fact: F) -> Result<(), Error>
    where
        F: Into<Fact>,
    {
        self.submit(actor, OnRecord(fact.into())).await?;
        Ok(())
    }

    fn guard(&self) -> &Guard {
        &self.inner.options.webhooks.guard
    }

    async fn begin(&self, since: Since) -> Result<Place, Error> {
        match since {
            Since::After(at) => self.place_in_log(at).await,
            Since::Now => {
                self.inner.log.current().await.map_err(Error::Log)?;
                self.place_in_log(self.last_sequence()).await
            }
        }
    }
}

/// What is put on record of a webhook that becomes another.
pub(super) fn changed(
    webhook: &Webhook,
    changes: &[&str],
    (state, reason): (State, Option<&str>),
    since: Option<i64>,
) -> WebhookChanged {
    WebhookChanged {
        webhook: webhook.id.clone(),
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        subscribed: subscribed(webhook),
        state: state.as_str().to_owned(),
        reason: reason.map(str::to_owned),
        since,
    }
}

fn subscribed(webhook: &Webhook) -> Subscribed {
    Subscribed {
        url: webhook.endpoint.to_string(),
        format: webhook.format.as_str().to_owned(),
        types: webhook.filter.types.iter().map(ToString::to_string).collect(),
        repository: webhook.filter.repository.as_ref().map(ToString::to_string),
        package: webhook.filter.package.as_ref().map(ToString::to_string),
    }
}

fn exchange<T: PartialEq>(
    was: &mut T,
    becomes: Option<T>,
    name: &'static str,
    changes: &mut Vec<&'static str>,
) {
    if let Some(becomes) = becomes
        && *was != becomes
    {
        *was = becomes;
        changes.push(name);
    }
}

/// Never the same again.
fn version() -> String {
    ulid::Ulid::generate().to_string()
}

/// Something that was decided elsewhere is put on record.
#[derive(Debug)]
struct OnRecord(Fact);

impl Command for OnRecord {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        Vec::new()
    }

    fn decide(&self, _: &Rows) -> Result<Decision, Error> {
        Ok(Decision { facts: vec![self.0.clone()], contents: Vec::new() })
    }
}
