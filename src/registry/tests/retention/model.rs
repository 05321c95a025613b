//! What has to be so, from nothing but what succeeded.
//!
//! The registry alone would find itself right if it forgot a hold both where it explains and where it refuses.

use std::collections::{BTreeMap, BTreeSet};

use super::histories::Step;
use super::*;
use crate::retention::{Classes, Policy, Start};

/// From the weakest to the strongest. The period of a case file begins with the release of an event hold.
pub(super) const CLASSES: [&str; 6] =
    ["transient", "raw-evidence", "case-file", "summary-evidence", "release-evidence", "permanent-record"];
pub(super) const TAGS: [&str; 3] = ["v1", "v2", "v3"];
pub(super) const FILES: [&[u8]; 3] = [b"one", b"two", b"three"];

pub(super) fn policy() -> Policy {
    let mut class = Classes::default().all()[1].clone();
    (class.name, class.start, class.auto_dispose_after) = ("case-file".to_owned(), Start::Event, None);
    Policy::new(Classes::default().with(vec![class], "raw-evidence").unwrap(), Vec::new()).unwrap()
}

/// What was promised for a manifest by one class. The registry may have begun later, so that it lasts longer.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) class: usize,
    /// `None` while it waits.
    from: Option<Micros>,
    /// At least this long: `None` for ever, and while it waits.
    pub(super) until: Option<Micros>,
    /// What extensions promised, whether or not its period had begun.
    floor: Option<Floor>,
}

impl Promise {
    pub(super) fn of(class: usize, at: Micros) -> Self {
        let mut promise = Self { class, from: None, until: None, floor: None };
        if CLASSES[class] != "case-file" {
            promise.begin(at);
        }
        promise
    }

    /// An event hold was released.
    pub(super) fn begin(&mut self, at: Micros) {
        if self.from.is_none() {
            self.from = Some(at);
            self.until = self.end(at);
        }
    }

    fn end(&self, from: Micros) -> Option<Micros> {
        let rule = policy().rule("a", Some(CLASSES[self.class])).unwrap();
        let end = rule.period?.after(from);
        match self.floor {
            None => Some(end),
            Some(Floor::Until(floor)) => Some(end.max(floor)),
            Some(Floor::ForEver) => None,
        }
    }

    /// It was extended, says the registry.
    pub(super) fn extend(&mut self, until: Option<Micros>, step: &Step) {
        let floor = Some(until.map_or(Floor::ForEver, Floor::Until));
        assert!(self.floor <= floor, "R1: {step:?} {self:?}");
        // Of one that waits for several events the registry may know that it has not begun.
        let is_sure = CLASSES[self.class] != "case-file" && self.from.is_some();
        let is_later = until.is_none_or(|until| self.until.is_some_and(|before| before <= until));
        assert!(!is_sure || is_later, "R1: {step:?} {self:?}");
        self.floor = floor;
        if self.from.is_some() {
            self.until = self.until.zip(until).map(|(before, until)| before.max(until));
        }
    }

    pub(super) fn shorten(&mut self, until: Micros) {
        (self.until, self.floor) = (Some(until), Some(Floor::Until(until)));
    }

    pub(super) fn raise(&mut self, class: usize, at: Micros) {
        self.class = class;
        let waits = self.from.is_none() && CLASSES[class] == "case-file";
        if !waits {
            let (before, is_begun) = (self.until, self.from.is_some());
            let from = *self.from.get_or_insert(at);
            let until = self.end(from);
            self.until =
                if is_begun { before.zip(until).map(|(before, until)| before.max(until)) } else { until };
        }
    }

    pub(super) fn is_compliance(&self) -> bool {
        self.class >= 4
    }
}

/// What has to be so, from nothing but what succeeded.
#[derive(Default)]
pub(super) struct Model {
    pub(super) tags: BTreeMap<&'static str, Digest>,
    /// Every manifest that is there, with the file it needs and what was promised for it.
    pub(super) manifests: BTreeMap<Digest, (usize, Vec<Promise>)>,
    pub(super) holds: BTreeMap<HoldId, Option<Digest>>,
    pub(super) event_holds: BTreeSet<HoldId>,
}

impl Model {
    pub(super) fn is_held(&self, digest: &Digest) -> bool {
        self.holds.values().any(|target| target.as_ref().is_none_or(|target| target == digest))
    }

    /// A hold is over: what waited for it may begin.
    pub(super) fn release(&mut self, id: &HoldId, at: Micros) -> bool {
        let Some(target) = self.holds.remove(id) else { return false };
        let is_event = self.event_holds.contains(id);
        if let Some((_, promises)) = target.filter(|_| is_event).and_then(|it| self.manifests.get_mut(&it)) {
            for promise in promises {
                promise.begin(at);
            }
        }
        true
    }

    pub(super) fn promises(&self, digest: &Digest) -> &[Promise] {
        self.manifests.get(digest).map_or(&[], |(_, promises)| promises)
    }

    fn pins(&self, digest: &Digest) -> bool {
        self.is_held(digest) || self.promises(digest).iter().any(Promise::is_compliance)
    }

    /// The only promise for what a tag names; where there are several, the registry asks which one is meant.
    pub(super) fn only(&mut self, tag: usize) -> Option<&mut Promise> {
        let digest = self.tags.get(TAGS[tag])?.clone();
        let (_, promises) = self.manifests.get_mut(&digest)?;
        match promises.as_mut_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// A tag names something from now on.
    pub(super) fn tag(&mut self, tag: usize, digest: &Digest, file: usize, step: &Step) {
        if let Some(before) = self.tags.get(TAGS[tag]) {
            assert!(before == digest || !self.pins(before), "{step:?} moved a pinned tag");
        }
        self.tags.insert(TAGS[tag], digest.clone());
        self.manifests.entry(digest.clone()).or_insert((file, Vec::new()));
    }

    pub(super) fn untag(&mut self, tag: usize, step: &Step) {
        let Some(digest) = self.tags.remove(TAGS[tag]) else { return };
        assert!(!self.pins(&digest), "{step:?} took a pinned tag off");
        let has_other = self.tags.values().any(|other| *other == digest);
        assert!(has_other || self.promises(&digest).is_empty(), "{step:?} took the last tag off");
    }

    pub(super) fn remove(&mut self, digest: &Digest) {
        self.manifests.remove(digest);
        self.tags.retain(|_, other| other != digest);
    }

    /// Everything that was promised or is held is there with its bytes.
    pub(super) async fn check(&self, bench: &Bench, step: &Step) {
        for (digest, (file, promises)) in &self.manifests {
            if promises.is_empty() && !self.is_held(digest) {
                continue;
            }
            let found = bench.registry.manifest(&name("a"), &Reference::Digest(digest.clone())).await;
            assert!(found.is_ok(), "{step:?} lost {digest}");
            let blob = bench.registry.blob(&name("a"), &sha256(FILES[*file])).await.unwrap();
            let object = bench.registry.open_blob(&blob, None).await.unwrap();
            assert_eq!(collect(object.body).await.unwrap(), FILES[*file], "{step:?}");
        }
    }
}
