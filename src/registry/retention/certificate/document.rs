//! The certificate as a document. Pure: the same events make the same bytes.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::outcome::{Because, End, Outcome};
use crate::events::{DispositionExecuted, Event};
use crate::retention::rfc3339;
use crate::views::dispositions::{Approval, Disposition};
use crate::views::packages::Package;

/// What the document is.
const TYPE: &str = "dev.artifactstore.deletion-certificate.v1";

/// How the hash of an event comes about.
const LEAF: &str = "sha256 of a zero byte and the header of the event, canonical CBOR (RFC 6962 section 2.1)";

/// Blobs that are listed; a package has not so many. `v1.disposition.executed` names all there are.
const LISTED: usize = 40_100;

/// Blobs from which on one reason has to do for each that is kept: a certificate has to fit into the log.
const MANY: usize = 4096;

/// Everything that stands in a certificate.
pub(super) struct Drawn<'a> {
    pub(super) log_id: String,
    pub(super) disposition: &'a Disposition,
    pub(super) approvals: &'a [Approval],
    pub(super) executed: &'a DispositionExecuted,
    pub(super) package: Option<Package>,
    pub(super) outcomes: &'a [Outcome],
    /// The events it rests on, in order.
    pub(super) evidence: Vec<Value>,
    pub(super) is_final: bool,
}

/// An event, as somebody who has the log finds and checks it.
pub(super) fn evidence(event: &Event) -> Value {
    let mut hash = String::with_capacity(64);
    for byte in event.leaf_hash() {
        let _ = write!(hash, "{byte:02x}");
    }
    json!({
        "sequence": event.sequence,
        "type": event.type_name(),
        "recorded_at": rfc3339(event.recorded_at),
        "actor": event.actor.as_str(),
        "leaf_hash": hash,
    })
}

/// The document; what is not known is left out of it.
pub(super) fn certificate(drawn: &Drawn<'_>) -> Value {
    let executed = drawn.executed;
    let mut document = json!({
        "type": TYPE,
        "status": if drawn.is_final { "final" } else { "interim" },
        "repository": executed.repository,
        "target": executed.target.to_string(),
        "reference": executed.reference,
        "manifests": executed.manifests,
        "tags": executed.tags,
        "tags_retired": executed.retires_tags,
        "retention": retention(drawn),
        "disposition": disposition(drawn),
        "summary": summary(drawn.outcomes),
        "blobs": blobs(drawn.outcomes),
        "log": { "id": drawn.log_id, "leaf_hash": LEAF, "events": drawn.evidence },
    });
    let left_out = drawn.outcomes.len().saturating_sub(LISTED);
    put(&mut document, "blobs_left_out", (left_out > 0).then_some(left_out));
    if let Some(package) = &drawn.package {
        document["package"] = of_package(package);
    }
    document
}

fn retention(drawn: &Drawn<'_>) -> Value {
    let DispositionExecuted { rule, from, until, .. } = drawn.executed;
    let mut shape = json!({
        "class": rule.class,
        "mode": rule.mode.as_str(),
        "policy_version": rule.policy_version,
        "revision": drawn.disposition.revision,
    });
    put(&mut shape, "retain_from", from.map(rfc3339));
    put(&mut shape, "retain_until", until.map(rfc3339));
    shape
}

fn disposition(drawn: &Drawn<'_>) -> Value {
    let of = drawn.disposition;
    let approval = |it: &Approval| {
        // An approval is for the state that was proposed and for no other.
        json!({ "by": it.principal, "at": rfc3339(it.at), "revision": of.revision, "event": it.sequence })
    };
    let mut shape = json!({
        "id": of.id,
        "reason": of.reason,
        "proposed_by": of.proposed_by,
        "proposed_at": rfc3339(of.proposed_at),
        "proposed_in": of.sequence,
        "approvals_needed": of.approvals,
        "approvals": drawn.approvals.iter().map(approval).collect::<Vec<_>>(),
        "cooling_off": of.cooling_off,
    });
    put(&mut shape, "approved_at", of.approved_at.map(rfc3339));
    if let Some(end) = &of.end {
        shape["executed_by"] = end.by.as_str().into();
        shape["executed_at"] = rfc3339(end.at).into();
        shape["executed_in"] = end.sequence.into();
    }
    shape
}

fn of_package(package: &Package) -> Value {
    let mut shape = json!({
        "id": package.id,
        "created_at": rfc3339(package.created_at),
        "files": package.files,
        "size": package.size,
    });
    put(&mut shape, "kind", package.description.kind.clone());
    put(&mut shape, "finalized_at", package.finalized_at.map(rfc3339));
    put(&mut shape, "manifest_digest", package.manifest_digest.as_ref().map(ToString::to_string));
    put(&mut shape, "content_manifest", package.content_manifest.as_ref().map(ToString::to_string));
    shape
}

/// How many blobs and bytes there are of each outcome.
fn summary(outcomes: &[Outcome]) -> Value {
    let mut tallies: Map<String, Value> = Map::new();
    for outcome in outcomes {
        let tally = tallies.entry(word(outcome)).or_insert_with(|| json!({ "blobs": 0, "bytes": 0 }));
        let grown = |field: &str, by: u64| tally[field].as_u64().unwrap_or_default() + by;
        let (blobs, bytes) = (grown("blobs", 1), grown("bytes", outcome.size.unwrap_or_default()));
        *tally = json!({ "blobs": blobs, "bytes": bytes });
    }
    tallies.into()
}

fn word(outcome: &Outcome) -> &'static str {
    match (&outcome.end, outcome.damage) {
        (End::Purged { .. }, _) => "purged",
        (End::Absent, _) => "absent",
        (_, Some(_)) => "damaged",
        (End::Kept(_), None) => "kept",
        (End::Pending(_), None) => "pending",
    }
}

fn blobs(outcomes: &[Outcome]) -> Value {
    let reasons = if outcomes.len() > MANY { 1 } else { usize::MAX };
    outcomes.iter().take(LISTED).map(|outcome| blob(outcome, reasons)).collect()
}

fn blob(outcome: &Outcome, reasons: usize) -> Value {
    let mut shape = json!({ "content_address": outcome.content, "outcome": word(outcome) });
    put(&mut shape, "sha256", outcome.sha256.as_ref().map(ToString::to_string));
    put(&mut shape, "size", outcome.size);
    put(&mut shape, "backend_id", outcome.backend.clone());
    put(&mut shape, "damage", outcome.damage.map(|damage| damage.as_str().to_owned()));
    put(&mut shape, "stored_again_in", outcome.stored_again);
    match &outcome.end {
        End::Purged { at, by } => {
            shape["purged_at"] = rfc3339(*at).into();
            shape["purged_in"] = (*by).into();
        }
        End::Kept(because) => shape["because"] = because.iter().take(reasons).map(reason).collect(),
        End::Pending(step) => shape["waits_as"] = (*step).into(),
        End::Absent => {}
    }
    shape
}

fn reason(because: &Because) -> Value {
    match because {
        Because::Package(id) => json!({ "kind": "package", "id": id }),
        Because::Manifest(content) => json!({ "kind": "manifest", "content_address": content }),
        Because::Object => json!({ "kind": "object" }),
        Because::Elsewhere(repositories) => json!({ "kind": "elsewhere", "repositories": repositories }),
    }
}

fn put(shape: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        shape[field] = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::jcs;
    use crate::hash;
    use crate::oci::Algorithm;

    #[test]
    fn as_many_blobs_as_there_can_be_fit_into_the_log() {
        let outcome = |n: usize| Outcome {
            content: hash::digest(Algorithm::Blake3, &n.to_be_bytes()),
            sha256: Some(hash::digest(Algorithm::Sha256, &n.to_be_bytes())),
            size: Some(1 << 40),
            backend: Some("local".to_owned()),
            damage: None,
            stored_again: None,
            end: End::Kept(vec![Because::Manifest(hash::digest(Algorithm::Blake3, b"x")); 9]),
        };
        let outcomes: Vec<Outcome> = (0..LISTED + 7).map(outcome).collect();
        let listed = blobs(&outcomes);
        assert_eq!(listed.as_array().unwrap().len(), LISTED);
        assert_eq!(listed[0]["because"].as_array().unwrap().len(), 1);
        let bytes = jcs::to_vec(&listed).unwrap().len();
        assert!(bytes + (1 << 19) < super::super::LONGEST, "{bytes}");
        assert_eq!(summary(&outcomes)["kept"]["blobs"], LISTED + 7);
    }
}
