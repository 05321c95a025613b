//! Who carries events to receivers.
//!
//! Each replica has one courier. In rounds it looks which webhooks have something to send and nobody who sends it,
//! claims each, and sends in order until all is sent, something fails, or its turn is over. What a filter passes over
//! moves the cursor without a request and without a claim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::deliver::{Deliver, Delivery, LONGEST, Receipt, Undelivered};
use super::table::{Claim, Failure, LEASE, Place, Stored};
use super::{State, Webhook, changing, patience};
use crate::clock::{Micros, SECOND};
use crate::codec::unseen::is_unseen;
use crate::events::Actor;
use crate::events::feed::{self, Page, Record};
use crate::registry::{Error, Registry};
use crate::telemetry::with_causes;

/// Webhooks that are delivered for at once.
const AT_ONCE: usize = 64;

/// How often is looked for what others changed, and for attempts that are due.
const EVERY: Duration = Duration::from_secs(1);

/// Rounds are not closer than this, however fast the log grows.
const APART: Duration = Duration::from_millis(100);

/// Events of a page. Few, since all of them are in memory while the receiver takes its time.
const PAGE: usize = 16;

/// Pages in which nothing is to be sent that a round looks at, for one webhook.
const GLANCE: usize = 4;

/// After this long others have their turn.
const TURN: Duration = Duration::from_secs(30);

/// What was passed over is noted this often.
const NOTE: Micros = 5 * SECOND;

/// A claim must hold for this long when a delivery begins, which ends before: nobody else sends meanwhile.
const SAFE: Micros = LEASE / 2;

/// After this long an event that this registry could not read is tried again.
const OWN_FAULT: Micros = 30 * SECOND;

/// Characters of an answer that are kept.
const EXCERPT: usize = 200;

/// The characters of an error that are kept.
const ERROR: usize = 500;

/// Carries events to receivers. See the [module](self).
#[derive(Clone, Debug)]
pub struct Courier {
    registry: Registry,
    deliver: Arc<dyn Deliver>,
    room: Arc<Semaphore>,
    /// Where webhooks are by what was passed over and not noted yet.
    passed: Arc<Mutex<HashMap<String, Passed>>>,
}

#[derive(Clone, Debug)]
struct Passed {
    /// What the row was.
    version: String,
    cursor: i64,
    /// Where it is by now.
    to: i64,
    noted_at: Micros,
}

/// How an attempt ended.
enum Attempt {
    Delivered(u16),
    /// The receiver wants nothing any more.
    Gone,
    Failed {
        status: Option<u16>,
        /// What became of it, in fixed words: this goes on record.
        in_short: String,
        /// What the receiver or the network said, for the operator alone.
        error: String,
        retry_after: Option<Duration>,
    },
}

impl Registry {
    /// The courier of this replica. Nothing is sent before it [runs](Courier::run).
    pub fn courier(&self, deliver: Arc<dyn Deliver>) -> Courier {
        let (room, passed) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::default());
        Courier { registry: self.clone(), deliver, room, passed }
    }
}

impl Courier {
    /// Sends for ever. May be ended anywhere: what was under way is sent again, by whoever goes on.
    pub async fn run(self) {
        let mut head = self.registry.inner.log.watch();
        let mut sending = JoinSet::new();
        loop {
            head.borrow_and_update();
            self.step(&mut sending).await;
            tokio::time::sleep(APART).await;
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                () = self.registry.inner.webhooks.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
                // Its turn may be over, and there be more to send.
                Some(_) = sending.join_next() => {}
            }
        }
    }

    /// One round, of those that go on for ever.
    pub(in crate::registry) async fn step(&self, sending: &mut JoinSet<()>) {
        // Whose turn is over is let go of first, all of them: they would add up, and each would end a pause.
        while sending.try_join_next().is_some() {}
        if let Err(error) = self.round(sending).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "Looking for webhooks to send failed");
        }
    }

    /// Sends what is due, until nothing is. For tests, and for what embeds a registry.
    pub async fn deliver_due(&self) -> Result<(), Error> {
        loop {
            let mut sending = JoinSet::new();
            self.round(&mut sending).await?;
            if sending.is_empty() {
                return Ok(());
            }
            sending.join_all().await;
        }
    }

    /// Begins to send for every webhook that has something to send.
    async fn round(&self, sending: &mut JoinSet<()>) -> Result<(), Error> {
        let now = self.registry.inner.clock.now();
        let table = self.registry.stored_webhooks();
        for stored in table.due(now).await? {
            let has_work = match self.look(&stored, now).await {
                Ok(has_work) => has_work,
                Err(error) => {
                    complain(&stored.webhook, &error);
                    continue;
                }
            };
            if !has_work {
                continue;
            }
            // Whoever finds no room is due in the next round.
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else { return Ok(()) };
            let lease = ulid::Ulid::generate().to_string();
            let Some((claim, stored)) = table.claim(&stored.webhook.id, &lease, now).await? else { continue };
            let courier = self.clone();
            sending.spawn(async move {
                let _room = room;
                courier.turn(claim, stored).await;
            });
        }
        Ok(())
    }

    /// Whether there is something to send; passes over what is not.
    async fn look(&self, stored: &Stored, now: Micros) -> Result<bool, Error> {
        let (webhook, head) = (&stored.webhook, self.registry.last_sequence());
        let known = self.passed(stored);
        let from = known.as_ref().map_or(webhook.cursor, |passed| passed.to);
        if from == head {
            self.note(stored, known, now).await?;
            return Ok(false);
        }
        if from > head {
            // Another replica may be ahead of what this one has heard of.
            self.registry.inner.log.current().await.map_err(Error::Log)?;
            return Ok(webhook.cursor > self.registry.last_sequence());
        }
        let mut at = from;
        for _ in 0..GLANCE {
            let page = match self.page(webhook, at).await {
                Ok(page) => page,
                Err(error) if error.is_temporary() => return Err(error),
                // It is found out again under a claim, which is what it takes to say so in the webhook and to let it rest.
                Err(_) => return Ok(true),
            };
            at = page.scanned_to;
            if !page.records.is_empty() {
                return Ok(true);
            }
            if page.is_last() {
                break;
            }
        }
        if at < head {
            // The rest is looked through in a turn, where nobody else waits for it.
            return Ok(true);
        }
        let noted_at = known.map_or(now, |passed| passed.noted_at);
        let passed = Passed { version: stored.version.clone(), cursor: webhook.cursor, to: at, noted_at };
        self.remember(webhook, passed.clone());
        self.note(stored, Some(passed), now).await?;
        Ok(false)
    }

    /// What was passed over of this version of a webhook since its cursor was written.
    fn passed(&self, stored: &Stored) -> Option<Passed> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = passed.get(stored.webhook.id.as_str());
        found.filter(|it| it.version == stored.version && it.cursor == stored.webhook.cursor).cloned()
    }

    fn remember(&self, webhook: &Webhook, passed: Passed) {
        let mut all = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone go with the next that are too many.
        if all.len() > 4096 {
            all.clear();
        }
        all.insert(webhook.id.to_string(), passed);
    }

    /// Writes how far a webhook is by what was passed over, every few seconds.
    async fn note(&self, stored: &Stored, passed: Option<Passed>, now: Micros) -> Result<(), Error> {
        let Some(passed) = passed else { return Ok(()) };
        if passed.to == stored.webhook.cursor || now < passed.noted_at + NOTE {
            return Ok(());
        }
        // A cursor that is no place of this log must not become one.
        if self.registry.lost_place(stored).await?.is_some() {
            return Ok(());
        }
        let to = Place { at: passed.to, hash: self.registry.leaf_hash(passed.to).await? };
        self.registry.stored_webhooks().skip(stored, &to, now).await?;
        let passed = Passed { cursor: passed.to, noted_at: now, ..passed };
        self.remember(&stored.webhook, passed);
        Ok(())
    }

    /// The next page of what a webhook is sent.
    async fn page(&self, webhook: &Webhook, after: i64) -> Result<Page, Error> {
        let log = &self.registry.inner.log;
        let mut page = log.feed(after, &webhook.filter, PAGE).await.map_err(|error| match error {
            crate::events::Error::Expired { horizon } => Error::CursorExpired { since: after, horizon },
            error => error.into(),
        })?;
        page.records.retain(|record| webhook.format.says(&record.type_name));
        Ok(page)
    }

    /// Sends for one webhook, as long as it lasts, and gives the claim back.
    async fn turn(&self, mut claim: Claim, stored: Stored) {
        if let Err(error) = self.send_all(&mut claim, &stored).await {
            complain(&stored.webhook, &error);
            let failure = Failure {
                attempts: stored.webhook.attempts,
                failing_since: stored.webhook.failing_since,
                next_attempt_at: self.registry.inner.clock.now() + OWN_FAULT,
                attempted_at: self.registry.inner.clock.now(),
                status: None,
                error: plain(
                    &format!("this registry could not read what comes next: {}", with_causes(&error)),
                    ERROR,
                ),
                state: State::Active,
                reason: None,
            };
            if let Err(error) =
                self.registry.stored_webhooks().failed(&claim, &stored.version, &failure).await
            {
                complain(&stored.webhook, &error);
            }
        }
        // A claim that cannot be given back runs out.
        if let Err(error) = self.registry.stored_webhooks().release(&claim).await {
            complain(&stored.webhook, &error);
        }
    }

    async fn send_all(&self, claim: &mut Claim, stored: &Stored) -> Result<(), Error> {
        if let Some(reason) = self.registry.lost_place(stored).await? {
            return self.give_up(claim, stored, (State::Suspended, reason), (None, None)).await;
        }
        let ends = Instant::now() + TURN;
        let (table, clock) = (self.registry.stored_webhooks(), &self.registry.inner.clock);
        let mut place = stored.place();
        while Instant::now() < ends {
            let page = self.page(&stored.webhook, place.at).await?;
            for record in &page.records {
                let now = clock.now();
                if claim.until < now + SAFE
                    && !table.advance(claim, (&place, &place), &stored.version, now).await?
                {
                    return Ok(());
                }
                let attempt = self.attempt(stored, record).await?;
                let Attempt::Delivered(status) = attempt else {
                    return self.failed(claim, stored, (record.sequence, attempt)).await;
                };
                let next = Place { at: record.sequence, hash: Some(feed::leaf_hash(record)) };
                let done = (clock.now(), status);
                if !table.delivered(claim, (&place, &next), &stored.version, done).await? {
                    return Ok(());
                }
                place = next;
                if Instant::now() >= ends {
                    return Ok(());
                }
            }
            if page.is_last() {
                return Ok(());
            }
            if page.records.is_empty() {
                let next =
                    Place { at: page.scanned_to, hash: self.registry.leaf_hash(page.scanned_to).await? };
                if !table.advance(claim, (&place, &next), &stored.version, clock.now()).await? {
                    return Ok(());
                }
                place = next;
            }
        }
        Ok(())
    }

    /// Sends one event once.
    async fn attempt(&self, stored: &Stored, record: &Arc<Record>) -> Result<Attempt, Error> {
        let webhook = &stored.webhook;
        let body = match webhook.format.render(&self.registry, record).await {
            Ok(body) => body,
            Err(error) => {
                return Err(Error::WebhookEvent { sequence: record.sequence, reason: with_causes(&error) });
            }
        };
        let now = self.registry.inner.clock.now();
        let (id, timestamp) = (delivery_id(&self.registry, record), now / SECOND);
        let signature = stored.secrets.sign(&id, timestamp, &body, now);
        let headers = vec![
            ("content-type", webhook.format.media_type().to_owned()),
            ("user-agent", concat!("artifactstore/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ];
        let delivery = Delivery { endpoint: webhook.endpoint.clone(), headers, body };
        // Whoever delivers keeps to the time; this is what the claim relies on.
        let sent = tokio::time::timeout(LONGEST + Duration::from_secs(2), self.deliver.send(&delivery)).await;
        let sent = sent.unwrap_or_else(|_| Err(Undelivered::Late("no answer in time".to_owned())));
        Ok(judge(webhook, sent))
    }

    /// Notes an attempt that failed, and what comes of it.
    async fn failed(
        &self,
        claim: &Claim,
        stored: &Stored,
        (sequence, attempt): (i64, Attempt),
    ) -> Result<(), Error> {
        let now = self.registry.inner.clock.now();
        let (status, in_short, error, retry_after) = match attempt {
            Attempt::Delivered(_) => return Ok(()),
            Attempt::Gone => {
                let reason = "the receiver answered 410: it wants nothing any more".to_owned();
                return self.give_up(claim, stored, (State::Disabled, reason), (Some(410), None)).await;
            }
            Attempt::Failed { status, in_short, error, retry_after } => {
                (status, in_short, error, retry_after)
            }
        };
        let was = self.registry.webhook(&claim.id).await?;
        let attempts = was.attempts + 1;
        let failing_since = was.failing_since.or(Some(now));
        let error = plain(&format!("event {sequence}: {error}"), ERROR);
        let url = &stored.webhook.endpoint;
        tracing::info!(webhook = %claim.id, %url, attempts, error, "A webhook could not be delivered");
        let Some(pause) = patience::pause(attempts, retry_after) else {
            let reason = format!("{attempts} attempts failed; the last {in_short}");
            return self.give_up(claim, stored, (State::Suspended, reason), (status, Some(error))).await;
        };
        let failure = Failure {
            attempts,
            failing_since,
            next_attempt_at: now + pause,
            attempted_at: now,
            status,
            error,
            state: State::Active,
            reason: None,
        };
        self.registry.stored_webhooks().failed(claim, &stored.version, &failure).await?;
        Ok(())
    }

    /// Sends nothing more until somebody resumes it. The cursor stays. The reason goes on record, where it stays for ever
    /// and is sent to every receiver: it is made of fixed words and numbers. What else there is to say is the error.
    async fn give_up(
        &self,
        claim: &Claim,
        stored: &Stored,
        (state, reason): (State, String),
        (status, error): (Option<u16>, Option<String>),
    ) -> Result<(), Error> {
        let now = self.registry.inner.clock.now();
        let was = self.registry.webhook(&claim.id).await?;
        let failure = Failure {
            attempts: was.attempts + 1,
            failing_since: was.failing_since.or(Some(now)),
            next_attempt_at: 0,
            attempted_at: now,
            status,
            error: error.unwrap_or_else(|| reason.clone()),
            state,
            reason: Some(reason.clone()),
        };
        if self.registry.stored_webhooks().failed(claim, &stored.version, &failure).await? {
            tracing::warn!(webhook = %claim.id, url = %stored.webhook.endpoint, reason, "A webhook is {}", state.as_str());
            let changed = changing::changed(&stored.webhook, &["state"], (state, Some(&reason)), None);
            self.registry.record(Actor::system(), changed).await?;
        }
        Ok(())
    }
}

fn complain(webhook: &Webhook, error: &Error) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, webhook = %webhook.id, url = %webhook.endpoint, "Sending a webhook failed here");
}

/// The same for every attempt, and for no other event: a log that was restored and went on otherwise has other events
/// of the same numbers.
fn delivery_id(registry: &Registry, record: &Record) -> String {
    let leaf = feed::leaf_hash(record);
    let leaf = leaf.split_once(':').map_or("", |(_, hex)| &hex[..16]);
    format!("{}/{}/{leaf}", registry.log_id(), record.sequence)
}

/// What an answer means.
fn judge(webhook: &Webhook, sent: Result<Receipt, Undelivered>) -> Attempt {
    let receipt = match sent {
        Ok(receipt) => receipt,
        Err(undelivered) => {
            let in_short = undelivered.in_short().to_owned();
            let error = undelivered.into_text();
            return Attempt::Failed { status: None, in_short, error, retry_after: None };
        }
    };
    let Receipt { status, retry_after, beginning } = receipt;
    let in_short = format!("was answered {status}");
    match status {
        200..=299 => Attempt::Delivered(status),
        410 => Attempt::Gone,
        300..=399 => {
            let error =
                format!("the receiver answered {status}: redirects are not followed, set the URL it means");
            Attempt::Failed { status: Some(status), in_short, error, retry_after }
        }
        _ => {
            let said = said(webhook, &beginning);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            let error = format!("the receiver answered {status}{said}");
            Attempt::Failed { status: Some(status), in_short, error, retry_after }
        }
    }
}

/// How an answer begins, without what it repeats of a URL that may be a secret.
fn said(webhook: &Webhook, beginning: &[u8]) -> String {
    let text = String::from_utf8_lossy(beginning);
    let (path, query) = webhook.endpoint.path().split_once('?').unwrap_or((webhook.endpoint.path(), ""));
    let secrets = path.split('/').chain(query.split(['&', '='])).filter(|part| part.len() >= 4);
    let text = secrets.fold(text.into_owned(), |text, secret| text.replace(secret, "…"));
    plain(&text, EXCERPT)
}

/// A text on one line, without what cannot be seen, of so many characters at most.
fn plain(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let words = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !is_unseen(*c) && *c != '\u{fffd}').take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_no_more_is_kept_than_can_be_shown() {
        assert_eq!(plain("a\r\n\tb\u{1b}[2J\u{202e}c  d", 100), "a b[2Jc d");
        assert_eq!(plain(&"ä".repeat(900), 200).chars().count(), 200);
    }
}
