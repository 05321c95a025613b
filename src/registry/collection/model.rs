//! The protocol explored exhaustively: every order of every step of two pushers and a collector, with crashes, deletes
//! that reach the storage late, and mounts.
//!
//! What is decided here is decided by the functions of [`rules`], which the commands use as well. What is modelled is
//! what surrounds them: looks at the database and the storage that are outdated when they are acted on, objects that
//! are durable before their event, deletes that are carried out at any later time, and processes that forget. One step
//! of the model is one command, one query or one request to the storage. Time is not modelled: every grace may be
//! over at any moment.
//!
//! The three ways in which such a protocol is usually weaker are explored too, and each must be caught: a check that
//! cannot fail shows nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::rules::{self, Naming, Push, Unused};
use crate::views::blobs::State;

/// What is left out of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weakness {
    None,
    /// A copy lies under the digest of its content: every copy under the same key.
    KeysByDigest,
    /// What was found condemned is deleted without another look.
    NoRecheck,
    /// A manifest may name a blob that its repository does not hold.
    UncheckedManifest,
}

/// The key of a copy, a bit of a set.
type Key = u8;

/// Keys there are at most: each pusher stores two.
const KEYS: u8 = 4;

/// Pushes one pusher begins at most.
const PUSHES: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    Absent,
    /// Since a moment that nobody has looked at yet.
    Unused,
    /// As the collector has seen it.
    SeenUnused,
    Used,
}

/// What one push is about to do next, in a repository of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pusher {
    Idle,
    /// Found a copy that stays, in its row and in the storage.
    FoundWhole,
    /// Needs a copy of its own, in place of the lost one if there is one.
    NeedsCopy {
        lost: Option<Key>,
    },
    /// Has made a copy durable that no event names yet.
    Published {
        key: Key,
        lost: Option<Key>,
    },
    /// Was told that the blob is there, with a copy of its own that nobody needs.
    HasDuplicate {
        key: Key,
    },
    /// Was told that the blob is there.
    Pushed,
}

/// What the collector remembers; nothing of it survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Collector {
    Idle,
    /// Found the blob unlinked.
    FoundUnlinked,
    /// Found it condemned.
    FoundCondemned,
    /// The log says that this copy is about to be deleted.
    Intended(Key),
    /// Waits for the answer to a delete.
    Waiting(Key),
    /// The storage said that the copy is gone.
    Gone(Key),
}

/// One content, two repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    blob: Option<(State, Key)>,
    links: [Link; 2],
    /// Whether an acknowledged manifest of the repository names the blob.
    is_named: [bool; 2],
    pushers: [Pusher; 2],
    pushes: [u8; 2],
    collector: Collector,
    /// Objects in the storage, deletes on their way to it, and keys that were given out.
    stored: Key,
    deletes: Key,
    given: u8,
}

impl World {
    const START: Self = Self {
        blob: None,
        links: [Link::Absent; 2],
        is_named: [false; 2],
        pushers: [Pusher::Idle; 2],
        pushes: [0; 2],
        collector: Collector::Idle,
        stored: 0,
        deletes: 0,
        given: 0,
    };

    fn state(&self) -> Option<State> {
        self.blob.map(|(state, _)| state)
    }

    fn links(&self) -> usize {
        self.links.iter().filter(|link| **link != Link::Absent).count()
    }

    fn is_stored(&self, key: Key) -> bool {
        self.stored & key != 0
    }

    /// Whatever a repository holds is live and stored, whatever an acknowledged manifest names it holds, and what is
    /// durable before its event stays so.
    fn is_safe(&self) -> bool {
        let is_there = self.blob.is_some_and(|(state, key)| state == State::Live && self.is_stored(key));
        let links = self.links.iter().all(|link| *link == Link::Absent || is_there);
        let names = (0..2).all(|of| !self.is_named[of] || self.links[of] != Link::Absent);
        let copies = self.pushers.iter().all(|pusher| match pusher {
            Pusher::Published { key, .. } => self.is_stored(*key),
            _ => true,
        });
        links && names && copies
    }

    /// As `LinkBlob` decides: with a copy of the pusher's own or without one. What becomes of the pusher, and the world.
    fn push(mut self, of: usize, own: Option<Key>, lost: Option<Key>) -> Self {
        let is_lost = self.blob.is_some_and(|(_, key)| lost == Some(key));
        let Some(push) = rules::push(self.state(), own.is_some(), is_lost) else {
            self.pushers[of] = Pusher::NeedsCopy { lost: None };
            return self;
        };
        let copy = match push {
            Push::Keep | Push::Revive => self.blob.map(|(_, key)| key),
            Push::Repair { .. } | Push::Store => own,
        };
        self.blob = copy.map(|key| (State::Live, key));
        // A link that there is begins its grace again, or stays in use.
        if self.links[of] != Link::Used {
            self.links[of] = Link::Unused;
        }
        self.pushers[of] = match own {
            Some(key) if copy != own => Pusher::HasDuplicate { key },
            _ => Pusher::Pushed,
        };
        self
    }

    /// Every step that can come next.
    fn next(&self, weakness: Weakness) -> Vec<(&'static str, usize, Self)> {
        let mut next = Vec::new();
        for of in 0..2 {
            self.steps_of_pusher(of, weakness, &mut next);
        }
        self.steps_of_collector(weakness, &mut next);
        for key in (0..KEYS).map(|n| 1 << n) {
            if self.deletes & key != 0 {
                let (stored, deletes) = (self.stored & !key, self.deletes & !key);
                next.push(("a delete reaches the storage", 2, Self { stored, deletes, ..*self }));
            }
            // By the time an orphan was seen twice, whoever made it has its event or has gone.
            let is_held = self.pushers.iter().any(|pusher| match *pusher {
                Pusher::Published { key: held, .. } | Pusher::HasDuplicate { key: held } => held == key,
                _ => false,
            });
            if self.is_stored(key) && self.blob.is_some_and(|(_, named)| named != key) && !is_held {
                next.push(("an orphan is deleted", 2, Self { deletes: self.deletes | key, ..*self }));
            }
        }
        next
    }

    fn steps_of_pusher(&self, of: usize, weakness: Weakness, next: &mut Vec<(&'static str, usize, Self)>) {
        let with = |pusher: Pusher| {
            let mut world = *self;
            world.pushers[of] = pusher;
            world
        };
        match self.pushers[of] {
            Pusher::Idle => {
                if self.pushes[of] < PUSHES {
                    let found = self.blob.filter(|(state, _)| state.is_kept());
                    let mut world = with(match found {
                        Some((_, key)) if self.is_stored(key) => Pusher::FoundWhole,
                        found => Pusher::NeedsCopy { lost: found.map(|(_, key)| key) },
                    });
                    world.pushes[of] += 1;
                    next.push(("looks for a copy", of, world));
                }
                // A HEAD is answered from the link, which begins its grace again.
                if self.links[of] != Link::Absent && !self.is_named[of] {
                    let mut world = with(Pusher::Pushed);
                    if world.links[of] == Link::SeenUnused {
                        world.links[of] = Link::Unused;
                    }
                    next.push(("is told that the blob is there", of, world));
                }
                if self.is_named[of] {
                    let mut world = *self;
                    world.is_named[of] = false;
                    world.links[of] = Link::Unused;
                    next.push(("deletes the manifest", of, world));
                } else if self.links[of] != Link::Absent {
                    let mut world = *self;
                    world.links[of] = Link::Absent;
                    next.push(("deletes the blob", of, world));
                }
            }
            Pusher::FoundWhole => {
                next.push(("pushes without a copy", of, self.push(of, None, None)));
                // A mount is the same where the other repository holds the blob.
                if self.links[1 - of] != Link::Absent {
                    next.push(("mounts", of, self.push(of, None, None)));
                }
            }
            Pusher::NeedsCopy { lost } => {
                let key = if weakness == Weakness::KeysByDigest { 1 } else { 1 << self.given };
                let mut world = with(Pusher::Published { key, lost });
                world.stored |= key;
                if weakness != Weakness::KeysByDigest {
                    world.given += 1;
                }
                if self.given < KEYS {
                    next.push(("makes a copy durable", of, world));
                }
            }
            Pusher::Published { key, lost } => {
                next.push(("pushes with a copy", of, self.push(of, Some(key), lost)));
            }
            Pusher::HasDuplicate { key } => {
                let mut world = with(Pusher::Pushed);
                if rules::is_duplicate(self.blob.map(|(_, key)| NAMES[key as usize]), NAMES[key as usize]) {
                    world.deletes |= key;
                }
                next.push(("removes its duplicate", of, world));
            }
            Pusher::Pushed => {
                let mut world = with(Pusher::Idle);
                if self.links[of] != Link::Absent {
                    world.links[of] = Link::Used;
                    world.is_named[of] = true;
                } else if weakness == Weakness::UncheckedManifest {
                    world.is_named[of] = true;
                }
                next.push(("puts the manifest", of, world));
            }
        }
        if self.pushers[of] != Pusher::Idle {
            next.push(("crashes", of, with(Pusher::Idle)));
        }
    }

    fn steps_of_collector(&self, weakness: Weakness, next: &mut Vec<(&'static str, usize, Self)>) {
        let with = |collector: Collector| Self { collector, ..*self };
        for of in 0..2 {
            let mut world = *self;
            match self.links[of] {
                Link::Unused => {
                    world.links[of] = Link::SeenUnused;
                    next.push(("sees an unused link", 2, world));
                }
                Link::SeenUnused => {
                    let naming = if self.is_named[of] { Naming::Used } else { Naming::Nothing };
                    world.links[of] = match rules::unused(true, naming, false) {
                        Unused::Release => Link::Absent,
                        Unused::Keep => Link::Used,
                        Unused::Defer | Unused::Leave => Link::Unused,
                    };
                    next.push(("releases the link", 2, world));
                }
                Link::Absent | Link::Used => {}
            }
        }
        match (self.collector, self.blob) {
            (Collector::Idle, Some((State::Live, _))) if self.links() == 0 => {
                next.push(("finds the blob unlinked", 2, with(Collector::FoundUnlinked)));
            }
            (Collector::Idle, Some((State::Condemned, _))) => {
                next.push(("finds the blob condemned", 2, with(Collector::FoundCondemned)));
            }
            (Collector::Idle, Some((State::Deleting, key))) => {
                next.push(("goes on with a delete", 2, with(Collector::Intended(key))));
            }
            (Collector::FoundUnlinked, Some((state, key))) => {
                let mut world = with(Collector::Idle);
                if rules::may_condemn(state, self.links()) {
                    world.blob = Some((State::Condemned, key));
                }
                next.push(("condemns the blob", 2, world));
            }
            (Collector::FoundCondemned, Some((state, key))) => {
                let mut world = with(Collector::Idle);
                if rules::may_delete(state, self.links()) || weakness == Weakness::NoRecheck {
                    world.blob = Some((State::Deleting, key));
                    world.collector = Collector::Intended(key);
                }
                next.push(("intends the delete", 2, world));
            }
            (Collector::Intended(key), _) => {
                let deletes = self.deletes | key;
                next.push(("asks for the delete", 2, Self { deletes, ..with(Collector::Waiting(key)) }));
            }
            (Collector::Waiting(key), _) if self.deletes & key == 0 => {
                next.push(("hears that the copy is gone", 2, with(Collector::Gone(key))));
            }
            (Collector::Gone(key), blob) => {
                let mut world = with(Collector::Idle);
                // As the fold of the event does.
                if blob == Some((State::Deleting, key)) {
                    world.blob = Some((State::Purged, key));
                }
                next.push(("records the purge", 2, world));
            }
            _ => {}
        }
        if self.collector != Collector::Idle {
            next.push(("the collector crashes", 2, with(Collector::Idle)));
        }
    }
}

/// Keys as texts.
const NAMES: [&str; 9] = ["", "1", "2", "", "4", "", "", "", "8"];

/// What an exploration found.
#[derive(Debug)]
struct Explored {
    worlds: Vec<World>,
    /// The shortest way to a world that is not safe.
    violation: Option<Vec<(&'static str, usize)>>,
}

/// Breadth first, so that a violation comes with the shortest way to it.
fn explore(weakness: Weakness) -> Explored {
    let mut worlds = vec![World::START];
    let mut came_by = vec![(0, "", 0)];
    let mut known = HashMap::from([(World::START, 0)]);
    let mut at = 0;
    while at < worlds.len() {
        if !worlds[at].is_safe() {
            let mut way = Vec::new();
            while at > 0 {
                let (from, step, who) = came_by[at];
                way.push((step, who));
                at = from;
            }
            way.reverse();
            return Explored { worlds, violation: Some(way) };
        }
        for (step, who, world) in worlds[at].next(weakness) {
            if let Entry::Vacant(free) = known.entry(world) {
                free.insert(worlds.len());
                worlds.push(world);
                came_by.push((at, step, who));
            }
        }
        at += 1;
    }
    Explored { worlds, violation: None }
}

#[test]
fn the_protocol_is_safe_in_every_order_of_its_steps() {
    let explored = explore(Weakness::None);
    assert_eq!(explored.violation, None);
    let has = |what: fn(&World) -> bool| explored.worlds.iter().any(what);
    assert!(explored.worlds.len() > 10_000, "{} worlds", explored.worlds.len());
    // It is not safe because nothing happens in it.
    assert!(has(|world| world.blob.is_some_and(|(state, _)| state == State::Purged) && world.stored == 0));
    assert!(has(|world| world.is_named == [true; 2] && world.given >= 2));
    let is_replaced = |world: &World| {
        world.is_named[0]
            && matches!(world.collector, Collector::Waiting(key) if world.blob != Some((State::Live, key)))
    };
    assert!(has(is_replaced), "a copy is deleted while another one is in use");
}

#[test]
fn keys_that_are_digests_lose_what_was_pushed_again() {
    let way = explore(Weakness::KeysByDigest).violation.expect("the check can fail");
    assert!(
        way.contains(&("intends the delete", 2)) && way.last() == Some(&("a delete reaches the storage", 2)),
        "{way:?}"
    );
}

#[test]
fn a_delete_without_another_look_takes_what_was_pushed_meanwhile() {
    let way = explore(Weakness::NoRecheck).violation.expect("the check can fail");
    assert_eq!(way.last(), Some(&("intends the delete", 2)), "{way:?}");
}

#[test]
fn a_manifest_that_is_not_checked_names_what_is_gone() {
    let way = explore(Weakness::UncheckedManifest).violation.expect("the check can fail");
    assert_eq!(way.last().map(|(step, _)| *step), Some("puts the manifest"), "{way:?}");
}
