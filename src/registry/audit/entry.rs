//! What an event means to an auditor: one line, or nothing.
//!
//! The mapping is exhaustive, so that a new fact asks its question at compile time. It takes names, digests, ids and
//! the reasons people gave for what they did; it never takes what a producer sent: no metadata, no annotation, no
//! schema, no policy, no certificate, no key of the storage, and no error text of a disk or a network. What is not in an
//! [`Entry`] cannot leave by it, so a secret that somebody put into a package stays there.

use crate::clock::Micros;
use crate::events::{CommandId, Event, Fact, ObjectStored, PackageFailure, Target};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::Origin;

/// The type of the one event that tells of what was refused.
pub(super) const DENIED: &str = "v1.retention.denied";

/// Every action, and the events that tell of it when it was done. Sorted by name. A refusal may be of any of them.
pub(super) const TOLD: &[(&str, &[&str])] = &[
    ("blob.delete", &["v1.blob.unlinked"]),
    ("blob.mount", &["v1.blob.linked"]),
    ("blob.purge", &["v1.blob.purged"]),
    ("blob.push", &["v1.blob.linked"]),
    ("blob.release", &["v1.blob.released"]),
    ("blob.repair", &["v1.blob.repaired"]),
    ("certificate.issue", &["v1.certificate.issued"]),
    ("clock.resync", &["v1.clock.resynchronised"]),
    ("damage.clear", &["v1.blob.recovered"]),
    ("damage.record", &["v1.blob.corrupted"]),
    // Only refused: an attempt that is counted and names no step.
    ("disposition", &[]),
    ("disposition.approve", &["v1.disposition.approved"]),
    ("disposition.execute", &["v1.disposition.executed"]),
    ("disposition.propose", &["v1.disposition.proposed"]),
    ("disposition.reject", &["v1.disposition.rejected"]),
    ("disposition.void", &["v1.disposition.voided"]),
    ("file.drop", &["v1.package.file_dropped"]),
    ("file.ingest", &["v1.package.file_ingested"]),
    ("file.replace", &["v1.package.file_replaced"]),
    ("gc.complete", &["v1.gc.completed"]),
    ("hold.place", &["v1.hold.placed"]),
    ("hold.release", &["v1.hold.released"]),
    ("manifest.delete", &["v1.manifest.deleted"]),
    ("manifest.push", &["v1.manifest.pushed"]),
    ("object.delete", &["v1.object.deleted"]),
    ("object.overwrite", &["v1.object.stored"]),
    ("object.store", &["v1.object.stored"]),
    ("orphan.remove", &["v1.orphan.removed"]),
    ("package.abort", &["v1.package.failed"]),
    ("package.create", &["v1.package.created"]),
    ("package.delete", &["v1.package.deleted"]),
    ("package.expire", &["v1.package.failed"]),
    ("package.finalize", &["v1.package.finalized"]),
    ("policy.change", &["v1.policy.changed"]),
    ("retention.extend", &["v1.retention.extended"]),
    ("retention.resolve", &["v1.retention.resolved"]),
    ("retention.shorten", &["v1.retention.shortened"]),
    ("retention.start", &["v1.retention.started"]),
    ("schema.register", &["v1.schema.registered"]),
    ("scrub.complete", &["v1.scrub.completed"]),
    ("snapshot.create", &["v1.snapshot.created"]),
    ("tag.delete", &["v1.tag.deleted"]),
    ("tag.move", &["v1.tag.moved"]),
    // Only refused: a tag that was retired is never used again.
    ("tag.reuse", &[]),
    ("webhook.change", &["v1.webhook.changed"]),
    ("webhook.create", &["v1.webhook.created"]),
    ("webhook.delete", &["v1.webhook.deleted"]),
];

/// The actions an entry can have, sorted.
pub const ACTIONS: &[&str] = &{
    let mut names = [""; TOLD.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TOLD[at].0;
        at += 1;
    }
    names
};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was done.
    Allowed,
    /// Something stood against it.
    Refused,
}

impl Decision {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }

    /// The decision of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allowed, Self::Refused].into_iter().find(|decision| decision.as_str() == text)
    }
}

/// One line of the audit: who did what to what, when, why and from where, and whether it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event it follows from.
    pub sequence: i64,
    /// When that was recorded.
    pub at: Micros,
    /// Who.
    pub actor: String,
    /// What, one of [`ACTIONS`].
    pub action: String,
    /// Whether it was done.
    pub decision: Decision,
    /// Where, if it concerns one repository.
    pub repository: Option<RepositoryName>,
    /// On what, as the log has it: see [`Fact::subject`].
    pub subject: String,
    /// By which name: a tag, a digest, a key, a path, the id of a hold or of a disposition. Of a refusal what the client
    /// wrote.
    pub reference: Option<String>,
    /// The package it is about.
    pub package: Option<PackageId>,
    /// Why, as somebody said; of a refusal what stood against it.
    pub reason: Option<String>,
    /// How often it was refused in a row.
    pub attempts: Option<u64>,
    /// From where, as long as that is kept.
    pub from: Option<Origin>,
    /// The type of the event.
    pub event: &'static str,
    /// The command, by which its origin is found.
    pub(super) command: CommandId,
}

/// What a fact says beyond its envelope.
#[derive(Default)]
struct Told<'a> {
    action: &'a str,
    reference: Option<&'a str>,
    package: Option<&'a PackageId>,
    reason: Option<String>,
    attempts: Option<u64>,
}

impl Entry {
    /// What an event means to an auditor; `None` when it is only how the registry works.
    pub fn of(event: &Event) -> Option<Self> {
        let told = told(&event.fact)?;
        Some(Self {
            sequence: event.sequence,
            at: event.recorded_at,
            actor: event.actor.as_str().to_owned(),
            action: told.action.to_owned(),
            decision: if told.attempts.is_some() { Decision::Refused } else { Decision::Allowed },
            repository: event.fact.repository().cloned(),
            subject: event.fact.subject().to_owned(),
            reference: told.reference.map(str::to_owned),
            package: told.package.cloned(),
            reason: told.reason,
            attempts: told.attempts,
            from: None,
            event: event.type_name(),
            command: event.command.clone(),
        })
    }

    /// About how many bytes it is when it is written.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.reference, &self.reason].into_iter().flatten().map(String::len).sum::<usize>();
        512 + self.actor.len() + self.subject.len() + texts
    }
}

fn told(fact: &Fact) -> Option<Told<'_>> {
    let told = match fact {
        // How the registry works: what they come to stands in another entry of the same command or run, or is nothing
        // anybody did.
        Fact::BlobStored(_)
        | Fact::ContentDigested(_)
        | Fact::BlobsKept(_)
        | Fact::BlobsCondemned(_)
        | Fact::BlobRevived(_)
        | Fact::BlobsDeleteIntended(_)
        | Fact::BlobUnreadable(_)
        | Fact::ClockTicked(_) => return None,
        Fact::BlobLinked(fact) => {
            let action = if fact.mounted_from.is_some() { "blob.mount" } else { "blob.push" };
            Told::new(action).by(fact.digest.as_str())
        }
        Fact::BlobUnlinked(_) => Told::new("blob.delete"),
        Fact::BlobRepaired(_) => Told::new("blob.repair"),
        Fact::BlobsReleased(_) => Told::new("blob.release"),
        Fact::BlobsPurged(_) => Told::new("blob.purge"),
        Fact::OrphansRemoved(_) => Told::new("orphan.remove"),
        // The finding in words names places of the storage.
        Fact::BlobCorrupted(fact) => Told::new("damage.record").because(fact.damage.as_str()),
        Fact::BlobRecovered(_) => Told::new("damage.clear"),
        // Why one failed is an error text of the storage.
        Fact::GcCompleted(_) => Told::new("gc.complete"),
        Fact::ScrubCompleted(_) => Told::new("scrub.complete"),
        Fact::ClockResynchronised(fact) => Told::new("clock.resync").because(&fact.reason),
        Fact::ManifestPushed(fact) => Told::new("manifest.push").by(fact.digest.as_str()),
        Fact::ManifestDeleted(fact) => Told::new("manifest.delete").by(fact.digest.as_str()),
        Fact::TagMoved(fact) => Told::new("tag.move").by(fact.tag.as_str()),
        Fact::TagDeleted(fact) => Told::new("tag.delete").by(fact.tag.as_str()),
        Fact::ObjectStored(fact) => Told::new(stored(fact)).by(fact.key.as_str()),
        Fact::ObjectDeleted(fact) => Told::new("object.delete").by(fact.key.as_str()),
        Fact::SchemaRegistered(fact) => Told::new("schema.register").by(&fact.name),
        Fact::PolicyChanged(_) => Told::new("policy.change"),
        Fact::PackageCreated(fact) => Told::new("package.create").of(&fact.package),
        Fact::PackageFileIngested(fact) => {
            Told::new("file.ingest").of(&fact.package).by(fact.file.path.as_str())
        }
        Fact::PackageFileReplaced(fact) => {
            Told::new("file.replace").of(&fact.package).by(fact.file.path.as_str())
        }
        Fact::PackageFileDropped(fact) => Told::new("file.drop").of(&fact.package).by(fact.path.as_str()),
        Fact::PackageFinalized(fact) => {
            Told::new("package.finalize").of(&fact.package.id).by(fact.package.reference.as_str())
        }
        Fact::PackageFailed(fact) => Told::new(failed(fact.reason)).of(&fact.package),
        Fact::PackageDeleted(fact) => {
            Told::new("package.delete").of(&fact.package).by(fact.disposition.as_str())
        }
        Fact::RetentionResolved(fact) => Told::new("retention.resolve").about(&fact.target),
        Fact::RetentionExtended(fact) => {
            Told::new("retention.extend").about(&fact.target).because(&fact.reason)
        }
        Fact::RetentionStarted(fact) => {
            Told::new("retention.start").about(&fact.target).by(fact.hold.as_str())
        }
        Fact::RetentionShortened(fact) => {
            Told::new("retention.shorten").about(&fact.target).because(&fact.reason)
        }
        Fact::RetentionDenied(fact) => {
            let told = Told::new(&fact.action).by(&fact.subject).because(&fact.reasons.join("; "));
            Told { attempts: Some(fact.count), ..told.maybe_about(fact.target.as_ref()) }
        }
        Fact::HoldPlaced(fact) => {
            let told = Told::new("hold.place").by(fact.hold.as_str()).because(&fact.reason);
            told.maybe_about(fact.target.as_ref())
        }
        Fact::HoldReleased(fact) => Told::new("hold.release").by(fact.hold.as_str()).because(&fact.reason),
        Fact::DispositionProposed(fact) => Told::new("disposition.propose")
            .about(&fact.target)
            .by(fact.disposition.as_str())
            .because(&fact.reason),
        Fact::DispositionApproved(fact) => Told::new("disposition.approve").by(fact.disposition.as_str()),
        Fact::DispositionRejected(fact) => {
            Told::new("disposition.reject").by(fact.disposition.as_str()).because(&fact.reason)
        }
        Fact::DispositionVoided(fact) => {
            Told::new("disposition.void").by(fact.disposition.as_str()).because(&fact.reason)
        }
        Fact::DispositionExecuted(fact) => {
            Told::new("disposition.execute").about(&fact.target).by(fact.disposition.as_str())
        }
        Fact::CertificateIssued(fact) => Told::new("certificate.issue").by(fact.disposition.as_str()),
        Fact::SnapshotCreated(_) => Told::new("snapshot.create"),
        // Of the URL an event has scheme and host only: the rest may be a secret.
        Fact::WebhookCreated(fact) => Told::new("webhook.create").by(&fact.subscribed.url),
        Fact::WebhookChanged(fact) => {
            let told = Told::new("webhook.change").by(&fact.subscribed.url);
            Told { reason: fact.reason.clone(), ..told }
        }
        Fact::WebhookDeleted(fact) => Told::new("webhook.delete").by(&fact.url),
    };
    Some(told)
}

fn stored(fact: &ObjectStored) -> &'static str {
    if fact.previous.is_some() { "object.overwrite" } else { "object.store" }
}

fn failed(reason: PackageFailure) -> &'static str {
    match reason {
        PackageFailure::Aborted => "package.abort",
        PackageFailure::Expired => "package.expire",
    }
}

impl<'a> Told<'a> {
    fn new(action: &'a str) -> Self {
        Self { action, ..Self::default() }
    }

    fn by(self, reference: &'a str) -> Self {
        Self { reference: Some(reference), ..self }
    }

    fn of(self, package: &'a PackageId) -> Self {
        Self { package: Some(package), ..self }
    }

    fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    /// About a thing; a manifest is named by its subject already.
    fn about(self, target: &'a Target) -> Self {
        match target {
            Target::Package(id) => self.of(id),
            Target::Manifest(_) => self,
        }
    }

    fn maybe_about(self, target: Option<&'a Target>) -> Self {
        match target {
            Some(target) => self.about(target),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::examples;
    use crate::package::Object;

    #[test]
    fn every_fact_is_told_under_an_action_of_the_list_or_left_out_of_it() {
        for fact in examples("a", "v1") {
            let name = fact.type_name();
            let listed: Vec<&str> =
                TOLD.iter().filter(|(_, types)| types.contains(&name)).map(|(action, _)| *action).collect();
            match told(&fact) {
                Some(told) if name == DENIED => assert!(ACTIONS.contains(&told.action), "{}", told.action),
                Some(told) => assert!(listed.contains(&told.action), "{name} is {}", told.action),
                None => assert_eq!(listed, [""; 0], "{name}"),
            }
        }
        for (action, types) in TOLD {
            let is_known = |name: &&&str| Fact::TYPES.contains(name);
            assert_eq!(types.iter().filter(is_known).count(), types.len(), "{action}");
        }
        assert!(ACTIONS.is_sorted() && ACTIONS.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn every_refusal_the_registry_records_is_of_an_action_of_the_list() {
        use crate::registry::Action as A;
        let protected = [
            A::DeleteManifest,
            A::DeleteTag,
            A::MoveTag,
            A::DeleteBlob,
            A::OverwriteObject,
            A::DeleteObject,
            A::AbortPackage,
            A::DropFile,
            A::ReplaceFile,
            A::Dispose,
        ];
        let weakening = [
            crate::registry::REUSE,
            "retention.extend",
            "retention.shorten",
            "disposition.propose",
            "disposition.approve",
            "disposition.execute",
        ];
        for action in protected.map(A::as_str).into_iter().chain(weakening) {
            assert!(ACTIONS.contains(&action), "{action}");
        }
    }

    #[test]
    fn the_documentation_has_every_action_and_where_it_follows_from() {
        let document = include_str!("../../../docs/audit.md");
        for (action, types) in TOLD {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{action}` | ")));
            let row = row.unwrap_or_else(|| panic!("docs/audit.md does not tell of {action}"));
            assert!(types.iter().all(|name| row.contains(&format!("`{name}`"))), "{row}");
        }
        let rows = document.lines().filter(|line| line.starts_with("| `"));
        let listed = rows.filter(|row| row.contains("`v1.") || row.ends_with("| only refused |")).count();
        assert_eq!(listed, TOLD.len());
        for name in Fact::TYPES {
            assert!(document.contains(&format!("`{name}`")), "docs/audit.md does not tell of {name}");
        }
    }

    /// Puts a secret into everything a producer sends, and into what a disk or a network says.
    fn with_secrets(fact: &mut Fact, secret: &str) {
        let object = Object::from_json(format!("{{\"token\":\"{secret}\"}}").as_bytes()).unwrap();
        let text = secret.to_owned();
        match fact {
            Fact::BlobStored(fact) => (fact.key, fact.backend) = (text.clone(), text),
            Fact::BlobRepaired(fact) => (fact.key, fact.lost) = (text.clone(), text),
            Fact::BlobCorrupted(fact) => (fact.key, fact.finding) = (text.clone(), text),
            Fact::BlobUnreadable(fact) => (fact.key, fact.reason) = (text.clone(), text),
            Fact::BlobRecovered(fact) => fact.key = text,
            Fact::GcCompleted(fact) => fact.failure = Some(text),
            Fact::ManifestPushed(fact) => {
                fact.media_type = text.clone();
                let subject = fact.subject.as_mut().unwrap();
                subject.artifact_type = Some(text.clone());
                subject.annotations = vec![(text.clone(), text)];
            }
            Fact::PackageCreated(fact) => {
                (fact.provenance, fact.description.metadata) = (object.clone(), object);
            }
            Fact::PackageFinalized(fact) => fact.package.metadata = object,
            Fact::PackageFileIngested(fact) => fact.file.media_type = text,
            Fact::PackageFileReplaced(fact) => fact.file.media_type = text,
            Fact::SchemaRegistered(fact) => fact.schema = text,
            Fact::PolicyChanged(fact) => fact.policy = text,
            Fact::CertificateIssued(fact) => fact.certificate = text,
            Fact::ObjectStored(fact) => fact.media_type = text,
            _ => {}
        }
    }

    #[test]
    fn what_a_producer_sent_is_in_no_entry() {
        let secret = "s3cr3t-t0k3n";
        let mut hidden = 0;
        for mut fact in examples("a", "v1") {
            with_secrets(&mut fact, secret);
            let payload = fact.encode().unwrap();
            hidden += usize::from(payload.windows(secret.len()).any(|part| part == secret.as_bytes()));
            let Some(told) = told(&fact) else { continue };
            let texts = [Some(told.action), told.reference, told.reason.as_deref(), Some(fact.subject())];
            assert!(texts.into_iter().flatten().all(|text| !text.contains(secret)), "{}", fact.type_name());
        }
        assert_eq!(hidden, 15);
    }
}
