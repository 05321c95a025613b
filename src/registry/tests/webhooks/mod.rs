//! Webhooks, with a receiver that does what the test says, over a clock that the test moves.

mod changing;
mod delivering;
mod formats;
mod replicas;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::Value;

use super::*;
use crate::db::testing::{On, Place};
use crate::events::feed::Filter;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const URL: &str = "https://hooks.example.com/services/T000/token-of-a-url";
const HOUR: Micros = 60 * 60 * SECOND;

/// Takes deliveries, and answers as it was told to; with 204 when it was told nothing.
#[derive(Debug, Default)]
struct Receiver {
    script: Mutex<VecDeque<Result<Receipt, Undelivered>>>,
    taken: Mutex<Vec<Taken>>,
    under_way: AtomicUsize,
    /// Deliveries that were under way at the same time, at most.
    most: AtomicUsize,
    /// Whether deliveries are received and not answered.
    is_stalled: Mutex<bool>,
    /// Ends the stall of one delivery.
    release: Notify,
    is_dead: Mutex<bool>,
}

/// A delivery as it came.
#[derive(Clone, Debug)]
struct Taken {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    status: u16,
}

fn receipt(status: u16) -> Receipt {
    Receipt { status, retry_after: None, beginning: Bytes::new() }
}

#[async_trait]
impl Deliver for Receiver {
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, Undelivered> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        // Others have every opportunity to send at the same time.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let told = if *self.is_dead.lock().unwrap() {
            Err(Undelivered::Unreachable(
                "hooks.example.com cannot be reached: connection refused".to_owned(),
            ))
        } else {
            self.script.lock().unwrap().pop_front().unwrap_or_else(|| Ok(receipt(204)))
        };
        let status = told.as_ref().map_or(0, |receipt| receipt.status);
        let taken = Taken {
            url: delivery.endpoint.expose().to_owned(),
            headers: delivery.headers.clone(),
            body: delivery.body.clone(),
            status,
        };
        self.taken.lock().unwrap().push(taken);
        let is_stalled = *self.is_stalled.lock().unwrap();
        if is_stalled {
            self.release.notified().await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        told
    }
}

impl Receiver {
    fn answers(&self, told: impl IntoIterator<Item = Result<Receipt, Undelivered>>) {
        self.script.lock().unwrap().extend(told);
    }

    fn all(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// The numbers of the events it said it has.
    fn has(&self) -> Vec<i64> {
        self.all().iter().filter(|taken| (200..300).contains(&taken.status)).map(Taken::sequence).collect()
    }
}

impl Taken {
    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(found, _)| *found == name).unwrap().1
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn sequence(&self) -> i64 {
        self.json()["sequence"].as_i64().unwrap()
    }
}

/// A registry and who sends for it.
struct Stage {
    on: On,
    place: Place,
    clock: ManualClock,
    bytes: Arc<Memory>,
    db: Db,
    registry: Registry,
    receiver: Arc<Receiver>,
    courier: Courier,
}

impl Stage {
    async fn new(on: On) -> Self {
        Self::with(on, Options::default()).await
    }

    async fn with(on: On, options: Options) -> Self {
        let place = Place::new(on).await;
        let clock = ManualClock::at(1_000_000 * SECOND);
        let bytes = Arc::new(Memory::with_clock(clock.clock()));
        let (db, registry) = open_with(&place, &clock, &bytes, options).await;
        let receiver = Arc::<Receiver>::default();
        let courier = registry.courier(receiver.clone());
        Self { on, place, clock, bytes, db, registry, receiver, courier }
    }

    /// A courier more to the same receiver; of a process of its own where there can be several.
    async fn join(&self) -> (Registry, Courier) {
        let registry = match self.on {
            On::Sqlite => self.registry.clone(),
            On::Postgres => open(&self.place, &self.clock, &self.bytes).await.1,
        };
        let courier = registry.courier(self.receiver.clone());
        (registry, courier)
    }

    async fn hook(&self) -> Webhook {
        self.hook_with(|_| {}).await
    }

    async fn hook_with(&self, set: impl FnOnce(&mut NewWebhook)) -> Webhook {
        let mut new = subscription(URL);
        set(&mut new);
        self.registry.create_webhook(Actor::anonymous(), new).await.unwrap().0
    }

    /// Two events.
    async fn push(&self, seed: &str) {
        let bytes = Bytes::from(seed.to_owned());
        let body = whole(&bytes);
        self.registry.push_blob(&name("a/b"), Actor::anonymous(), &sha256(&bytes), body).await.unwrap();
    }

    async fn send(&self) {
        self.courier.deliver_due().await.unwrap();
    }

    async fn see(&self, webhook: &Webhook) -> Webhook {
        self.registry.webhook(&webhook.id).await.unwrap()
    }

    /// Lets time pass, and sends what became due, minute by minute.
    async fn pass(&self, minutes: i64) {
        for _ in 0..minutes {
            self.clock.advance(60 * SECOND);
            self.send().await;
        }
    }

    async fn change(&self, webhook: &Webhook, change: WebhookChange) -> Result<Webhook, Error> {
        self.registry.change_webhook(Actor::anonymous(), &webhook.id, change).await
    }

    async fn resume(&self, webhook: &Webhook, since: Option<i64>) -> Result<Webhook, Error> {
        let since = since.map(WebhookSince::After);
        self.change(webhook, WebhookChange { is_active: Some(true), since, ..WebhookChange::default() }).await
    }

    /// The events about webhooks, as their facts.
    async fn recorded(&self) -> Vec<(String, Fact)> {
        let events = self.registry.events(0, 10_000).await.unwrap();
        let of = events.into_iter().filter(|event| event.fact.type_name().starts_with("v1.webhook."));
        of.map(|event| (event.actor.as_str().to_owned(), event.fact)).collect()
    }

    async fn alter(&self, sql: &'static str) {
        self.db.operational().execute(sql, vec![]).await.unwrap();
    }

    /// That a receiver has every event of the log after one, each once and in order, and which is the last.
    fn has_all_after(&self, since: i64) -> i64 {
        let last = self.registry.last_sequence();
        assert_eq!(self.receiver.has(), (since + 1..=last).collect::<Vec<_>>());
        last
    }
}

async fn open(place: &Place, clock: &ManualClock, bytes: &Arc<Memory>) -> (Db, Registry) {
    open_with(place, clock, bytes, Options::default()).await
}

async fn open_with(
    place: &Place,
    clock: &ManualClock,
    bytes: &Arc<Memory>,
    options: Options,
) -> (Db, Registry) {
    let db = place.open(Access::Create).await;
    let data = DataPlane::new(bytes.clone());
    // Shared, also where the database is a file: nobody ends the leases of another.
    let registry = Registry::open_as(db.clone(), data, clock.clock(), options, true).await.unwrap();
    (db, registry)
}

fn subscription(url: &str) -> NewWebhook {
    NewWebhook {
        endpoint: url.parse().unwrap(),
        format: WebhookFormat::Json,
        filter: Filter::default(),
        secret: Some(WebhookSecret::parse(SECRET).unwrap()),
        since: WebhookSince::Now,
    }
}
