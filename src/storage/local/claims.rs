//! Which staged writes are open in this process.
//!
//! A caller may stop waiting for an append; the blocking task finishes it all the same. Opening the
//! same staged write again at that moment would let the old bytes land on top of new ones, behind the
//! back of every hash. So a staged write is claimed while anything of it is at work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::storage::StagingId;

/// The claims of one volume.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<StagingId, watch::Receiver<bool>>>);

/// The right to touch one staged write; ends on drop.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    id: StagingId,
    held: watch::Sender<bool>,
}

impl Claims {
    /// Claims `id`. `None` when somebody holds it; work that is merely coming to its end is waited for.
    pub(super) async fn take(self: &Arc<Self>, id: &StagingId) -> Option<Claim> {
        loop {
            let mut other = {
                let mut open = self.lock();
                let Some(other) = open.get(id) else {
                    let (held, watcher) = watch::channel(false);
                    open.insert(id.clone(), watcher);
                    return Some(Claim { claims: Arc::clone(self), id: id.clone(), held });
                };
                other.clone()
            };
            if *other.borrow_and_update() {
                return None;
            }
            // An error means that the claim has ended: look again either way.
            let _ = other.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StagingId, watch::Receiver<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Says that somebody will use the staged write for as long as they like: others are turned away.
    pub(super) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Says that only started work is left: others wait.
    pub(super) fn release(&self) {
        self.held.send_replace(false);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.id);
    }
}
