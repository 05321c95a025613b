//! Following what other replicas append.
//!
//! One task looks at the database: when the doorbell rings, when somebody wants to be sure, and by the clock.
//! Another listens to the doorbell. Everything works without the doorbell, only later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Error;
use super::tail::Tail;
use crate::db::{Db, Listener};

/// Between two looks when nothing happens.
const POLL: Duration = Duration::from_secs(1);

/// The same while nobody hears the doorbell.
const POLL_DEAF: Duration = Duration::from_millis(250);

/// Between two attempts to listen.
const RELISTEN: Duration = Duration::from_millis(250);

/// Between two rings: at most 50 a second, however many commits there are.
const RINGS: Duration = Duration::from_millis(20);

/// Announced after the views were rebuilt: what was remembered of them is void.
const REBUILT: &str = "rebuilt";

/// The looks so far.
#[derive(Clone, Debug, Default)]
struct Looks {
    /// When the newest one that succeeded started.
    done: Option<Instant>,
    /// When the newest one that failed started, and why it did.
    failed: Option<(Instant, Arc<Error>)>,
}

/// The handle. The tasks end when the last one is gone.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    wake: Arc<Notify>,
    looks: watch::Receiver<Looks>,
    max_staleness: Duration,
    _stop: Arc<DropGuard>,
}

impl Follower {
    /// Starts to follow, and to ring for `bell`.
    pub(super) fn start(db: &Db, listener: Listener, tail: &Arc<Tail>, bell: Arc<Notify>) -> Self {
        let stop = CancellationToken::new();
        let wake = Arc::new(Notify::new());
        let hears = Arc::new(AtomicBool::new(false));
        let (publish, looks) = watch::channel(Looks::default());
        let follow = follow(Arc::clone(tail), Arc::clone(&wake), Arc::clone(&hears), publish);
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        let listen = listen(listener, Arc::clone(tail), Arc::clone(&wake), hears);
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen));
        let ring = ring(db.clone(), Arc::clone(tail), bell);
        tokio::spawn(stop.clone().run_until_cancelled_owned(ring));
        Self { wake, looks, max_staleness: db.max_staleness(), _stop: Arc::new(stop.drop_guard()) }
    }

    /// Returns when a look is done that started no earlier than the allowed age ago. Those who wait at the same
    /// time share one.
    pub(super) async fn current(&self) -> Result<(), Arc<Error>> {
        self.look(self.max_staleness).await
    }

    /// Returns when a look is done that started no earlier than now, whatever age is allowed.
    pub(super) async fn current_now(&self) -> Result<(), Arc<Error>> {
        self.look(Duration::ZERO).await
    }

    async fn look(&self, max_staleness: Duration) -> Result<(), Arc<Error>> {
        let called = Instant::now();
        let enough = called.checked_sub(max_staleness).unwrap_or(called);
        let is_done = |looks: &Looks| looks.done.is_some_and(|started| started >= enough);
        let has_failed = |looks: &Looks| looks.failed.as_ref().is_some_and(|(started, _)| *started >= called);
        let mut looks = self.looks.clone();
        if is_done(&looks.borrow()) {
            return Ok(());
        }
        self.wake.notify_one();
        let settled = looks.wait_for(|looks| is_done(looks) || has_failed(looks)).await;
        let settled = settled.map_err(|_| Arc::new(Error::Closed))?;
        match &settled.failed {
            Some((_, error)) if !is_done(&settled) => Err(Arc::clone(error)),
            _ => Ok(()),
        }
    }
}

async fn follow(tail: Arc<Tail>, wake: Arc<Notify>, hears: Arc<AtomicBool>, looks: watch::Sender<Looks>) {
    loop {
        let started = Instant::now();
        match tail.look().await {
            Ok(()) => {
                if looks.borrow().failed.is_some() {
                    tracing::info!("Following the log again");
                }
                looks.send_replace(Looks { done: Some(started), failed: None });
            }
            Err(error) => {
                if looks.borrow().failed.is_none() {
                    tracing::warn!(error = &error as &dyn std::error::Error, "The log cannot be followed");
                }
                looks.send_modify(|looks| looks.failed = Some((started, Arc::new(error))));
            }
        }
        let pause = if hears.load(Ordering::Acquire) { POLL } else { POLL_DEAF };
        // Woken or not, the next look is due.
        let _ = tokio::time::timeout(pause, wake.notified()).await;
    }
}

async fn listen(mut listener: Listener, tail: Arc<Tail>, wake: Arc<Notify>, hears: Arc<AtomicBool>) {
    loop {
        match listener.attach().await {
            Ok(()) => {
                // A rebuild may have been announced while nobody listened.
                tail.lost_track();
                hears.store(true, Ordering::Release);
                wake.notify_one();
                while let Some(message) = listener.hear().await {
                    if message == REBUILT {
                        tail.lost_track();
                    }
                    // Our own ring, or one that came after a look.
                    let is_known = message.parse().is_ok_and(|last: i64| last <= tail.last());
                    if !is_known {
                        wake.notify_one();
                    }
                }
                hears.store(false, Ordering::Release);
                wake.notify_one();
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "The doorbell cannot be heard");
            }
        }
        tokio::time::sleep(RELISTEN).await;
    }
}

async fn ring(db: Db, tail: Arc<Tail>, bell: Arc<Notify>) {
    loop {
        bell.notified().await;
        if let Err(error) = db.announce(&tail.last().to_string()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "The doorbell does not ring");
        }
        tokio::time::sleep(RINGS).await;
    }
}

/// Tells every replica that the views were rebuilt. One that does not hear it notices when it listens again.
pub(super) async fn announce_rebuilt(db: &Db) {
    if let Err(error) = db.announce(REBUILT).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "Running replicas do not know that the views were rebuilt; restart them"
        );
    }
}
