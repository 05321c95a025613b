//! The operations on dispositions, and the shapes of their bodies.

use serde_json::{Value, json};

use super::operations::{
    Answer, Body, LAST, LINK, LOCATION, N, NAME, Operation, Parameter, Type, ok, path, query,
};

static DISPOSITION: Parameter = path("disposition", "^disp_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The disposition.");
static STATUS: Parameter = query(
    "status",
    Type::OneOf(&["proposed", "approved", "rejected", "voided", "executed"]),
    "Only those of this status.",
);

const FOUND: Answer = ok("The disposition.", &[Body::Json("Disposition")]);

/// The shapes, as JSON Schema.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let time_or_none = json!({ "type": ["string", "null"], "format": "date-time" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": 1024 });
    let object = |optional: &[&str], properties: Value| {
        let all = properties.as_object().into_iter().flat_map(|all| all.keys());
        let required: Vec<&String> = all.filter(|name| !optional.contains(&name.as_str())).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let approval = object(&[], json!({ "by": text, "at": time }));
    json!({
        "Disposition": object(
            &["approvals", "ended_by", "ended_at", "end_reason", "certificate"],
            json!({
                "id": text, "repository": text, "target": text,
                "status": { "enum": ["proposed", "approved", "rejected", "voided", "executed"] },
                "reason": reason, "proposed_by": text, "proposed_at": time, "revision": number,
                "approvals_needed": number, "cooling_off": number, "approved_at": time_or_none,
                "executable_from": time_or_none, "approvals": { "type": "array", "items": approval },
                "ended_by": text, "ended_at": time, "end_reason": text, "certificate": text,
            }),
        ),
        "Dispositions": object(&[], json!({
            "dispositions": { "type": "array", "items": { "$ref": "#/components/schemas/Disposition" } },
        })),
        "Certificate": certificate(),
        "Propose": object(&[], json!({ "reference": text, "reason": reason })),
        "AsSeen": object(&["revision"], json!({
            "revision": { "type": ["integer", "null"], "description": "The state of the retention that is approved." },
        })),
        "Reject": object(&[], json!({ "reason": reason })),
    })
}

/// A deletion certificate: what is not known is not there.
fn certificate() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let object = |optional: &[&str], properties: Value| {
        let all = properties.as_object().into_iter().flat_map(|all| all.keys());
        let required: Vec<&String> = all.filter(|name| !optional.contains(&name.as_str())).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let because = object(
        &["id", "content_address", "repositories"],
        json!({
            "kind": { "enum": ["package", "manifest", "object", "elsewhere"] }, "id": text, "content_address": text,
            "repositories": number,
        }),
    );
    let blob = object(
        &[
            "sha256",
            "size",
            "backend_id",
            "damage",
            "stored_again_in",
            "purged_at",
            "purged_in",
            "because",
            "waits_as",
        ],
        json!({
            "content_address": text,
            "outcome": { "enum": ["purged", "kept", "pending", "damaged", "absent"] },
            "sha256": text, "size": number, "backend_id": text, "damage": { "enum": ["corrupt", "missing"] },
            "stored_again_in": number, "purged_at": time, "purged_in": number, "because": list(because),
            "waits_as": { "enum": ["unused", "unlinked", "condemned", "deleting"] },
        }),
    );
    let event = json!({
        "sequence": number, "type": text, "recorded_at": time, "actor": text,
        "leaf_hash": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
    });
    let tally = object(&[], json!({ "blobs": number, "bytes": number }));
    let approval = json!({ "by": text, "at": time, "revision": number, "event": number });
    object(
        &["package", "blobs_left_out"],
        json!({
            "type": { "const": "dev.artifactstore.deletion-certificate.v1" },
            "status": { "enum": ["interim", "final"] },
            "repository": text, "target": text, "reference": text, "manifests": list(text.clone()),
            "tags": list(text.clone()), "tags_retired": { "type": "boolean" },
            "package": object(&["kind", "finalized_at", "manifest_digest", "content_manifest"], json!({
                "id": text, "kind": text, "created_at": time, "finalized_at": time, "files": number, "size": number,
                "manifest_digest": text, "content_manifest": text,
            })),
            "retention": object(&["retain_from", "retain_until"], json!({
                "class": text, "mode": { "enum": ["governance", "compliance"] }, "policy_version": number,
                "revision": number, "retain_from": time, "retain_until": time,
            })),
            "disposition": object(&["approved_at", "executed_by", "executed_at", "executed_in"], json!({
                "id": text, "reason": text, "proposed_by": text, "proposed_at": time, "proposed_in": number,
                "approvals_needed": number, "approvals": list(object(&[], approval)), "cooling_off": number,
                "approved_at": time, "executed_by": text, "executed_at": time, "executed_in": number,
            })),
            "summary": { "type": "object", "additionalProperties": tally },
            "blobs": list(blob), "blobs_left_out": number,
            "log": object(&[], json!({ "id": text, "leaf_hash": text, "events": list(object(&[], event)) })),
        }),
    )
}

/// Every operation on dispositions.
pub(super) static DISPOSITIONS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/disposition",
        id: "listDispositions",
        summary: "List dispositions by id; 1000 at most",
        parameters: &[&NAME, &STATUS, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Dispositions")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/disposition",
        id: "proposeDisposition",
        summary: "Propose to dispose of something whose retention is over",
        parameters: &[&NAME],
        body: Some(Body::Json("Propose")),
        answers: &[Answer {
            status: 201,
            doc: "It is proposed.",
            bodies: &[Body::Json("Disposition")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 404, 405, 409, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}",
        id: "getDisposition",
        summary: "A disposition and its approvals; what is left of what was disposed of",
        parameters: &[&NAME, &DISPOSITION],
        body: None,
        answers: &[FOUND],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}/certificate",
        id: "getCertificate",
        summary: "What became of every blob of what was disposed of; final once all of them are gone or kept by others",
        parameters: &[&NAME, &DISPOSITION],
        body: None,
        answers: &[ok("The certificate, canonical JSON.", &[Body::Json("Certificate")])],
        refusals: &[400, 404, 409],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}/approve",
        id: "approveDisposition",
        summary: "Agree to what somebody else proposed",
        parameters: &[&NAME, &DISPOSITION],
        body: Some(Body::Optional("AsSeen")),
        answers: &[FOUND],
        refusals: &[400, 403, 404, 405, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}/reject",
        id: "rejectDisposition",
        summary: "End a proposal",
        parameters: &[&NAME, &DISPOSITION],
        body: Some(Body::Json("Reject")),
        answers: &[FOUND],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}/execute",
        id: "executeDisposition",
        summary: "Dispose of it, once it is approved and has cooled off; its tombstone stays for ever",
        parameters: &[&NAME, &DISPOSITION],
        body: Some(Body::Optional("AsSeen")),
        answers: &[FOUND],
        refusals: &[400, 404, 405, 409, 413],
    },
];
