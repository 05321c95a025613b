//! Retention and holds, on both engines.

mod certifying;
mod changing;
mod clock;
mod disposing;
mod held;
mod histories;
mod model;
mod protecting;
mod scheduled;
mod unchanged;

use super::packages::{Bench, is_kept_by, new_file, tagged};
use super::*;
use crate::db::testing::{On, on_both};
use crate::events;
use crate::package::{Description, PackageId};
use crate::retention::{Denied, DispositionId, Floor, HoldId, HoldKind, Reason, Refused};

const DAY: Micros = 86_400 * SECOND;

/// When a bench begins.
const BEGIN: Micros = 1_000_000 * SECOND;

fn item(text: &str) -> Item {
    text.parse().unwrap()
}

fn legal(item: Option<&str>) -> NewHold {
    NewHold {
        item: item.map(|text| text.parse().unwrap()),
        kind: HoldKind::Legal,
        matter: "case 7".to_owned(),
        reason: "the court asked".to_owned(),
    }
}

fn event(item: &str) -> NewHold {
    NewHold { kind: HoldKind::Event, ..legal(Some(item)) }
}

/// Whether something was refused because of a hold.
fn is_held_by<T>(outcome: &Result<T, Error>, id: &HoldId) -> bool {
    let Err(Error::Protected(protected)) = outcome else { return false };
    protected.reasons.iter().any(|reason| matches!(reason, Reason::Held { hold, .. } if hold.id == *id))
}

impl Bench {
    /// A package of one file, with a tag.
    async fn package(&self, class: &str, file: &'static [u8], tag: &str) -> PackageId {
        let class = Some(class.to_owned());
        let id = self.draft("a", Description { retention_class: class, ..Description::default() }).await;
        self.ingest("a", &id, "x", file).await.unwrap();
        self.finalize("a", &id, tagged(tag)).await.unwrap();
        id
    }

    async fn hold(&self, new: NewHold) -> Result<HoldId, Error> {
        Ok(self.registry.place_hold(&name("a"), Actor::anonymous(), new).await?.id)
    }

    async fn release(&self, id: &HoldId) -> Result<Hold, Error> {
        self.registry.release_hold(&name("a"), Actor::anonymous(), id, "it is over").await
    }

    async fn extend(&self, text: &str, extension: Extension) -> Result<Explanation, Error> {
        let (actor, reason) = (Actor::anonymous(), "the audit asked");
        self.registry.extend_retention(&name("a"), actor, &item(text), &extension, reason).await
    }

    async fn shorten(&self, text: &str, until: Micros, bypass: bool) -> Result<Explanation, Error> {
        let (actor, reason) = (Actor::anonymous(), "it was a test");
        self.registry.shorten_retention(&name("a"), actor, &item(text), until, reason, bypass).await
    }

    async fn explain(&self, text: &str) -> Result<Explanation, Error> {
        self.registry.explain(&name("a"), Some(&item(text))).await
    }

    async fn upload(&self, bytes: &'static [u8]) -> Digest {
        let (bytes, actor) = (Bytes::from_static(bytes), Actor::anonymous());
        let digest = sha256(&bytes);
        self.registry.push_blob(&name("a"), actor, &digest, whole(&bytes)).await.unwrap();
        digest
    }

    /// Pushes a manifest by digest, and the tags with it.
    async fn publish(&self, bytes: &Bytes, tags: &[&str]) -> Result<PushedManifest, Error> {
        let reference = Reference::Digest(sha256(bytes));
        let tags = tags.iter().map(|text| tag(text)).collect();
        let actor = Actor::anonymous();
        self.registry.push_manifest(&name("a"), actor, &reference, tags, None, bytes.clone()).await
    }

    /// An image of its own.
    async fn image(&self, layer: &'static [u8]) -> Bytes {
        let config = self.upload(b"{}").await;
        image(&config, &[self.upload(layer).await])
    }

    async fn delete(&self, reference: &str) -> Result<(), Error> {
        self.delete_manifest("a", reference).await
    }

    async fn denials(&self) -> Vec<(String, String, u64)> {
        let events = self.registry.events(0, 10_000).await.unwrap();
        let denied = events.into_iter().filter_map(|event| match event.fact {
            Fact::RetentionDenied(fact) => Some((fact.action, fact.subject, fact.count)),
            _ => None,
        });
        denied.collect()
    }

    /// Ends the process and starts it again with other options.
    async fn reopen(&mut self, options: Options) {
        self.db.close().await;
        self.db = self.place.open(Access::Create).await;
        let data = DataPlane::new(Arc::new(self.backend.clone()));
        let (db, clock) = (self.db.clone(), self.clock.clock());
        self.registry = Registry::open(db, data, clock, options).await.unwrap();
    }

    async fn state(&self) -> StateDigest {
        events::digest(&mut self.db.snapshot().await.unwrap(), &views::projections()).await.unwrap()
    }
}

/// A manifest with more in it.
fn with(manifest: &Bytes, more: &serde_json::Value) -> Bytes {
    let mut document: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json(&document)
}

/// What a manifest says to come under a class.
fn annotated(class: &str) -> serde_json::Value {
    serde_json::json!({ "annotations": { "dev.artifactstore.retention.class": class } })
}
