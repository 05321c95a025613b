//! What has to be so, from nothing but what succeeded.
//!
//! The registry alone would find itself right if it forgot a hold both where it explains and where it refuses.

use std::collections::BTreeMap;

use super::histories::Step;
use super::*;
use crate::retention::Classes;

pub(super) const CLASSES: [&str; 5] =
    ["transient", "raw-evidence", "summary-evidence", "release-evidence", "permanent-record"];
pub(super) const TAGS: [&str; 3] = ["v1", "v2", "v3"];
pub(super) const FILES: [&[u8]; 3] = [b"one", b"two", b"three"];

/// What was promised for a manifest by one class.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) class: usize,
    from: Micros,
    /// At least this long: the registry may have begun later. `None` for ever.
    pub(super) until: Option<Micros>,
}

impl Promise {
    pub(super) fn of(class: usize, from: Micros) -> Self {
        let rule = Classes::default().rule(Some(CLASSES[class])).unwrap();
        Self { class, from, until: rule.period.map(|period| period.after(from)) }
    }

    pub(super) fn raise(&mut self, class: usize) {
        let until = Self::of(class, self.from).until;
        let later = self.until.zip(until).map(|(a, b)| a.max(b));
        *self = Self { class, from: self.from, until: later };
    }

    pub(super) fn is_compliance(&self) -> bool {
        self.class >= 3
    }
}

/// What has to be so, from nothing but what succeeded.
#[derive(Default)]
pub(super) struct Model {
    pub(super) tags: BTreeMap<&'static str, Digest>,
    /// Every manifest that is there, with the file it needs and what was promised for it.
    pub(super) manifests: BTreeMap<Digest, (usize, Vec<Promise>)>,
    pub(super) holds: BTreeMap<HoldId, Option<Digest>>,
}

impl Model {
    pub(super) fn is_held(&self, digest: &Digest) -> bool {
        self.holds.values().any(|target| target.as_ref().is_none_or(|target| target == digest))
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
