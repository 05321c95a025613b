//! What can happen in a history. Numbers name the nth of what there is at that moment, so that a history stays one when
//! proptest leaves steps out.

use proptest::prelude::*;

use super::{BLOBS, CLASSES, KEYS, PATHS, PEOPLE, REPOSITORIES, TAGS};
use crate::storage::testing::Op;

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Do(Deed),
    /// The process ends while something is under way, and another one begins.
    Crash(Deed, usize),
    /// Something else is done while something is under way.
    Beside(Deed, usize, Deed),
    /// Everybody pushes everything while a collection is under way.
    Rush(usize),
    /// The storage fails once meanwhile, or carries out and does not answer.
    Fault(Deed, Op, u64, bool),
    /// Time goes by, or the clock is set back.
    Wait(i64),
    /// The clock is set ahead, and somebody says that this is right, or nobody does.
    Jump(i64, bool),
    /// A new process, with one of two policies.
    Restart(usize),
    /// The views are written to the storage; they and what comes after are the state at the end.
    Snapshot,
}

/// What a retention, a hold or a deletion is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Repository,
    Tag(usize),
    Manifest(usize),
    Package(usize),
}

/// Something a client or an operator does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Push {
        at: usize,
        blob: usize,
    },
    Mount {
        at: usize,
        blob: usize,
    },
    Ask {
        at: usize,
        blob: usize,
    },
    Image {
        at: usize,
        blobs: (usize, usize),
        are_new: bool,
        class: Option<usize>,
        subject: Option<usize>,
        tag: Option<usize>,
    },
    Index {
        at: usize,
        children: (usize, usize),
        class: Option<usize>,
        tag: Option<usize>,
    },
    Retag {
        at: usize,
        manifest: usize,
        tag: usize,
    },
    Package {
        at: usize,
        blob: usize,
        class: usize,
        tag: Option<usize>,
    },
    Draft {
        at: usize,
        class: usize,
    },
    Ingest {
        draft: usize,
        path: usize,
        blob: usize,
        replace: bool,
    },
    DropFile {
        draft: usize,
        path: usize,
    },
    Finalize {
        draft: usize,
        tag: Option<usize>,
    },
    Abort {
        draft: usize,
    },
    Store {
        at: usize,
        key: usize,
        blob: usize,
    },
    DeleteKey {
        at: usize,
        key: usize,
    },
    DeleteTag {
        at: usize,
        tag: usize,
    },
    DeleteManifest {
        at: usize,
        manifest: usize,
    },
    DeleteBlob {
        at: usize,
        blob: usize,
    },
    Hold {
        at: usize,
        what: What,
        is_event: bool,
    },
    Release {
        hold: usize,
    },
    Extend {
        at: usize,
        what: What,
        days: i64,
    },
    /// Of what waits for an event, if anything does; for ever without days.
    Promise {
        retention: usize,
        days: Option<i64>,
    },
    /// An event hold on what waits for one.
    Expect {
        retention: usize,
    },
    ForEver {
        at: usize,
        what: What,
    },
    Raise {
        at: usize,
        what: What,
        class: usize,
    },
    Shorten {
        at: usize,
        what: What,
        days: i64,
        bypass: bool,
    },
    Propose {
        retention: usize,
        by: usize,
        others: usize,
    },
    Approve {
        disposition: usize,
        by: usize,
    },
    Reject {
        disposition: usize,
    },
    Execute {
        disposition: usize,
        by: usize,
    },
    Collect,
    Plan,
    Sweep,
}

/// Any number; what there is decides what it means.
const ANY: usize = 60;

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::Repository),
        5 => (0..TAGS.len()).prop_map(What::Tag),
        6 => (0..ANY).prop_map(What::Manifest),
        4 => (0..ANY).prop_map(What::Package),
    ]
}

fn pushing() -> BoxedStrategy<Deed> {
    let (at, blob, class) = (0..REPOSITORIES.len(), 0..BLOBS, 0..CLASSES.len());
    let tag = prop::option::weighted(0.5, 0..TAGS.len());
    let pair = (blob.clone(), blob.clone());
    let some_class = prop::option::weighted(0.25, class.clone());
    let subject = prop::option::weighted(0.3, 0..ANY);
    prop_oneof![
        8 => (at.clone(), blob.clone()).prop_map(|(at, blob)| Deed::Push { at, blob }),
        3 => (at.clone(), blob.clone()).prop_map(|(at, blob)| Deed::Mount { at, blob }),
        1 => (at.clone(), blob.clone()).prop_map(|(at, blob)| Deed::Ask { at, blob }),
        10 => (at.clone(), pair, any::<bool>(), some_class.clone(), subject, tag.clone()).prop_map(
            |(at, blobs, are_new, class, subject, tag)| Deed::Image { at, blobs, are_new, class, subject, tag }
        ),
        4 => (at.clone(), (0..ANY, 0..ANY), some_class, tag.clone())
            .prop_map(|(at, children, class, tag)| Deed::Index { at, children, class, tag }),
        3 => (at.clone(), 0..ANY, 0..TAGS.len())
            .prop_map(|(at, manifest, tag)| Deed::Retag { at, manifest, tag }),
        4 => (at.clone(), blob.clone(), class, tag)
            .prop_map(|(at, blob, class, tag)| Deed::Package { at, blob, class, tag }),
        3 => (at, 0..KEYS.len(), blob).prop_map(|(at, key, blob)| Deed::Store { at, key, blob }),
    ]
    .boxed()
}

fn drafting() -> BoxedStrategy<Deed> {
    let (draft, path) = (0..ANY, 0..PATHS.len());
    prop_oneof![
        3 => (0..REPOSITORIES.len(), 0..CLASSES.len()).prop_map(|(at, class)| Deed::Draft { at, class }),
        4 => (draft.clone(), path.clone(), 0..BLOBS, any::<bool>())
            .prop_map(|(draft, path, blob, replace)| Deed::Ingest { draft, path, blob, replace }),
        1 => (draft.clone(), path).prop_map(|(draft, path)| Deed::DropFile { draft, path }),
        2 => (draft.clone(), prop::option::of(0..TAGS.len()))
            .prop_map(|(draft, tag)| Deed::Finalize { draft, tag }),
        1 => draft.prop_map(|draft| Deed::Abort { draft }),
    ]
    .boxed()
}

fn deleting() -> BoxedStrategy<Deed> {
    let at = 0..REPOSITORIES.len();
    prop_oneof![
        4 => (at.clone(), 0..TAGS.len()).prop_map(|(at, tag)| Deed::DeleteTag { at, tag }),
        8 => (at.clone(), 0..ANY).prop_map(|(at, manifest)| Deed::DeleteManifest { at, manifest }),
        3 => (at.clone(), 0..BLOBS).prop_map(|(at, blob)| Deed::DeleteBlob { at, blob }),
        3 => (at, 0..KEYS.len()).prop_map(|(at, key)| Deed::DeleteKey { at, key }),
    ]
    .boxed()
}

fn retaining() -> BoxedStrategy<Deed> {
    let (at, days) = (0..REPOSITORIES.len(), -20..200_i64);
    prop_oneof![
        5 => (at.clone(), what(), any::<bool>())
            .prop_map(|(at, what, is_event)| Deed::Hold { at, what, is_event }),
        7 => (0..ANY).prop_map(|hold| Deed::Release { hold }),
        3 => (at.clone(), what(), days.clone()).prop_map(|(at, what, days)| Deed::Extend { at, what, days }),
        1 => (at.clone(), what()).prop_map(|(at, what)| Deed::ForEver { at, what }),
        3 => (0..ANY, prop::option::weighted(0.7, 0..300_i64))
            .prop_map(|(retention, days)| Deed::Promise { retention, days }),
        3 => (0..ANY).prop_map(|retention| Deed::Expect { retention }),
        4 => (at.clone(), what(), 0..CLASSES.len())
            .prop_map(|(at, what, class)| Deed::Raise { at, what, class }),
        6 => (at, what(), -30..20_i64, prop::bool::weighted(0.8))
            .prop_map(|(at, what, days, bypass)| Deed::Shorten { at, what, days, bypass }),
    ]
    .boxed()
}

fn disposing() -> BoxedStrategy<Deed> {
    let (nth, by) = (0..ANY, 0..PEOPLE.len());
    prop_oneof![
        6 => (nth.clone(), by.clone(), 0..PEOPLE.len())
            .prop_map(|(retention, by, others)| Deed::Propose { retention, by, others }),
        6 => (nth.clone(), by.clone()).prop_map(|(disposition, by)| Deed::Approve { disposition, by }),
        1 => nth.clone().prop_map(|disposition| Deed::Reject { disposition }),
        8 => (nth, by).prop_map(|(disposition, by)| Deed::Execute { disposition, by }),
    ]
    .boxed()
}

fn deed() -> BoxedStrategy<Deed> {
    prop_oneof![
        30 => pushing(),
        8 => drafting(),
        16 => deleting(),
        18 => retaining(),
        15 => disposing(),
        12 => Just(Deed::Collect),
        1 => Just(Deed::Plan),
        2 => Just(Deed::Sweep),
    ]
    .boxed()
}

/// How far something gets before something else happens.
fn polls() -> impl Strategy<Value = usize> {
    prop_oneof![0..12_usize, 0..80_usize]
}

fn op() -> impl Strategy<Value = Op> {
    prop::sample::select(vec![
        Op::Put,
        Op::Get,
        Op::Head,
        Op::Delete,
        Op::List,
        Op::Stage,
        Op::Append,
        Op::Publish,
    ])
}

/// Half a day, many days, years; and back.
fn hours() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..60_i64, 5 => 24 * 2..24 * 60_i64, 1 => 24 * 100..24 * 3000_i64, 1 => -24 * 50..0_i64]
}

pub(super) fn step() -> BoxedStrategy<Step> {
    let busy = || prop_oneof![deed(), Just(Deed::Collect)];
    prop_oneof![
        60 => deed().prop_map(Step::Do),
        4 => (busy(), polls()).prop_map(|(deed, polls)| Step::Crash(deed, polls)),
        14 => (busy(), polls(), deed()).prop_map(|(deed, polls, other)| Step::Beside(deed, polls, other)),
        4 => (busy(), op(), 1..3_u64, any::<bool>())
            .prop_map(|(deed, op, nth, is_done)| Step::Fault(deed, op, nth, is_done)),
        3 => polls().prop_map(Step::Rush),
        9 => hours().prop_map(Step::Wait),
        1 => (1..24 * 60_i64, any::<bool>()).prop_map(|(hours, is_confirmed)| Step::Jump(hours, is_confirmed)),
        // The second policy is the one that wants something.
        2 => prop::sample::select(vec![0, 1, 1]).prop_map(Step::Restart),
        2 => Just(Step::Snapshot),
    ]
    .boxed()
}
