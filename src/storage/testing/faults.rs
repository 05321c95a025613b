//! Which faults happen when: what a test holds in its hand.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::storage::Error;

/// The calls of the storage interface that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Backend::put`](crate::storage::Backend::put).
    Put,
    /// [`Backend::get`](crate::storage::Backend::get).
    Get,
    /// [`Backend::head`](crate::storage::Backend::head).
    Head,
    /// [`Backend::delete`](crate::storage::Backend::delete).
    Delete,
    /// [`Backend::list`](crate::storage::Backend::list).
    List,
    /// [`Backend::health`](crate::storage::Backend::health); an error becomes its problem.
    Health,
    /// [`Backend::stage`](crate::storage::Backend::stage).
    Stage,
    /// [`Backend::resume`](crate::storage::Backend::resume).
    Resume,
    /// [`Backend::unstage`](crate::storage::Backend::unstage).
    Unstage,
    /// [`Backend::leftovers`](crate::storage::Backend::leftovers).
    Leftovers,
    /// [`Staged::append`](crate::storage::Staged::append).
    Append,
    /// [`Staged::read`](crate::storage::Staged::read).
    ReadStaged,
    /// [`Staged::suspend`](crate::storage::Staged::suspend).
    Suspend,
    /// [`Staged::publish`](crate::storage::Staged::publish).
    Publish,
    /// [`Staged::discard`](crate::storage::Staged::discard).
    Discard,
}

/// Why an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `ENOSPC`: the volume is full.
    NoSpace,
    /// `EIO`: the disk failed.
    Broken,
    /// `EROFS`: the volume turned read-only.
    ReadOnly,
    /// Anything else, e.g. a network that timed out.
    Kind(io::ErrorKind),
}

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails and nothing was done.
    Fail(Cause),
    /// The call is carried out and then reported as failed: the answer got lost.
    LoseResponse(Cause),
    /// The body of a [`Op::Get`] or [`Op::ReadStaged`] ends after `keep` bytes. Other calls ignore it.
    Shorten {
        /// How many bytes still come.
        keep: u64,
        /// How the body ends then.
        ending: Ending,
    },
    /// The call waits until the test lets it go on, and is then carried out.
    Wait(Hold),
}

/// How a shortened body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an error, as the interface demands.
    Error(Cause),
    /// As if it were complete: a backend that breaks its promise.
    Silent,
}

/// Stops a call until it is released. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Hold(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    reached: Semaphore,
    released: Semaphore,
}

/// The plan of a [`Faulty`](super::Faulty) backend. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    calls: HashMap<Op, u64>,
    armed: HashMap<(Op, u64), Fault>,
}

impl Cause {
    /// The error as the operating system would have reported it.
    pub fn to_io(self) -> io::Error {
        match self {
            Self::NoSpace => io::Error::from_raw_os_error(28),
            Self::Broken => io::Error::from_raw_os_error(5),
            Self::ReadOnly => io::Error::from_raw_os_error(30),
            Self::Kind(kind) => kind.into(),
        }
    }

    pub(super) fn error(self, op: Op) -> Error {
        Error::io(format!("{op:?} (injected fault)"), self.to_io())
    }
}

impl Faults {
    /// Lets the `nth` call of `op` from now on, the next being 1, go wrong once. Panics for 0.
    pub fn arm(&self, op: Op, nth: u64, fault: Fault) {
        assert!(nth > 0, "calls are counted from 1");
        let mut plan = self.lock();
        let call = plan.calls.get(&op).copied().unwrap_or(0) + nth;
        plan.armed.insert((op, call), fault);
    }

    /// Lets the next call of `op` fail without being carried out.
    pub fn fail(&self, op: Op, cause: Cause) {
        self.arm(op, 1, Fault::Fail(cause));
    }

    /// Lets the next call of `op` be carried out and reported as failed.
    pub fn lose_response(&self, op: Op, cause: Cause) {
        self.arm(op, 1, Fault::LoseResponse(cause));
    }

    /// Lets the next call of `op` wait for the returned hold.
    pub fn hold(&self, op: Op) -> Hold {
        let hold = Hold::new();
        self.arm(op, 1, Fault::Wait(hold.clone()));
        hold
    }

    /// Calls of `op` so far, failed ones included.
    pub fn calls(&self, op: Op) -> u64 {
        self.lock().calls.get(&op).copied().unwrap_or(0)
    }

    /// Forgets every fault that has not happened yet.
    pub fn disarm(&self) {
        self.lock().armed.clear();
    }

    /// Counts a call and says what goes wrong with it.
    pub(super) fn next(&self, op: Op) -> Option<Fault> {
        let mut plan = self.lock();
        let call = plan.calls.entry(op).or_default();
        *call += 1;
        let call = *call;
        plan.armed.remove(&(op, call))
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// A hold that nobody has reached or released.
    pub fn new() -> Self {
        Self(Arc::new(Gate { reached: Semaphore::new(0), released: Semaphore::new(0) }))
    }

    /// Waits until the call has come to the hold.
    pub async fn reached(&self) {
        pass(&self.0.reached).await;
    }

    /// Lets the call go on, also when it comes only later.
    pub fn release(&self) {
        self.0.released.add_permits(1);
    }

    pub(super) async fn wait(&self) {
        self.0.reached.add_permits(1);
        pass(&self.0.released).await;
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for a permit and leaves it: whoever comes later passes as well.
async fn pass(gate: &Semaphore) {
    drop(gate.acquire().await.expect("never closed"));
}
