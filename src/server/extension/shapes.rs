//! How things look as JSON. Fields may be added to a shape, and never renamed.

use serde_json::{Value, json};

use crate::clock::Micros;
use crate::oci::Digest;
use crate::package::{File, Object};
use crate::registry::{CollectionPlan, CollectionRun, FileLocation, Package, PackageFile, Tally};
use crate::retention::{Class, Classes, rfc3339};

/// A package without its files.
pub(super) fn package(package: &Package) -> Value {
    let mut shape = described(package);
    shape["metadata"] = json!(package.description.metadata);
    shape["provenance"] = json!(package.provenance);
    shape
}

/// The same as text. What its producer says of it goes in as such: it can be half a mebibyte, and more as a tree.
pub(super) fn package_text(package: &Package) -> String {
    let text = |object: &Object| serde_json::to_string(object).expect("it is JSON");
    let rest = described(package).to_string();
    let (metadata, provenance) = (text(&package.description.metadata), text(&package.provenance));
    format!("{{\"metadata\":{metadata},\"provenance\":{provenance},{}", &rest[1..])
}

/// What the registry says of a package.
fn described(package: &Package) -> Value {
    let description = &package.description;
    let mut shape = json!({
        "id": package.id,
        "repository": package.repository,
        "status": package.status.as_str(),
        "kind": description.kind,
        "retention_class": description.retention_class,
        "schema": description.schema,
        "created_at": rfc3339(package.created_at),
        "updated_at": rfc3339(package.updated_at),
        "expires_at": package.expires_at.map(rfc3339),
        "file_count": package.files,
        "size": package.size,
    });
    let digest = |digest: &Option<Digest>| digest.as_ref().map(|digest| Value::from(digest.as_str()));
    let optional = [
        ("finalized_at", package.finalized_at.map(rfc3339).map(Value::from)),
        ("manifest_digest", digest(&package.manifest_digest)),
        ("content_manifest", digest(&package.content_manifest)),
        ("reference", digest(&package.reference)),
        ("failure", package.failure.clone().map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            shape[name] = value;
        }
    }
    shape
}

/// A file and where its bytes are.
pub(super) fn file(file: &PackageFile) -> Value {
    located(&file.file, file.location.as_ref())
}

/// A file whose place was looked up beside it.
pub(super) fn located(file: &File, location: Option<&FileLocation>) -> Value {
    let mut shape = json!({
        "path": file.path,
        "media_type": file.media_type,
        "size": file.size,
        "content_address": file.content_address,
        "sha256": file.sha256,
        "location": self::location(location),
    });
    if let Some(role) = &file.role {
        shape["role"] = role.as_str().into();
    }
    shape
}

/// Where bytes are; null when they are nowhere by themselves.
pub(super) fn location(location: Option<&FileLocation>) -> Value {
    let Some(location) = location else { return Value::Null };
    // Every backend so far answers at once.
    json!({
        "backend_id": location.backend_id,
        "storage_uri": location.storage_uri,
        "retrieval_tier": "online",
        "restore_status": "none",
    })
}

/// A schema, without its text.
pub(super) fn schema(name: &str, digest: &Digest, registered_at: Micros) -> Value {
    json!({ "name": name, "digest": digest, "registered_at": rfc3339(registered_at) })
}

/// The classes in force.
pub(super) fn classes(classes: &Classes) -> Value {
    let class = |class: &Class| {
        json!({
            "name": class.name,
            "mode": class.mode.as_str(),
            "period": class.period.map(|period| period.to_string()),
            "start": class.start.as_str(),
            "approvals": class.approvals,
            "cooling_off": class.cooling_off,
            "auto_dispose_after": class.auto_dispose_after.map(|period| period.to_string()),
        })
    };
    let all: Vec<Value> = classes.all().iter().map(class).collect();
    json!({ "policy_version": classes.version(), "default": classes.default_class(), "classes": all })
}

/// A collection that began.
pub(super) fn run(run: &CollectionRun) -> Value {
    let done = &run.done;
    json!({
        "run": done.run,
        "status": run.status.as_str(),
        "started_at": rfc3339(done.started_at),
        "finished_at": run.finished_at.map(rfc3339),
        "released": done.released,
        "condemned": done.condemned,
        "purged": done.purged,
        "purged_bytes": done.purged_bytes,
        "orphans": done.orphans,
        "failure": done.failure,
    })
}

/// What a collection would find.
pub(crate) fn plan(plan: &CollectionPlan) -> Value {
    let tally = |tally: Tally| json!({ "objects": tally.objects, "bytes": tally.bytes });
    let mut reasons = json!({});
    for (reason, found) in plan.reasons() {
        reasons[reason] = tally(found);
    }
    json!({
        "dry_run": true,
        "is_frozen": plan.is_frozen,
        "reclaimable": tally(plan.reclaimable()),
        "reasons": reasons,
        "links": plan.links,
        "waiting": tally(plan.waiting),
    })
}
