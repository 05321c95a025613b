//! The shapes of bodies, as JSON Schema. Answers have no fields beyond these; clients should bear new ones.

use serde_json::{Value, json};

use crate::oci::ErrorCode;

/// The refusals operations share.
const REFUSALS: [(u16, &str); 12] = [
    (400, "Something in the request is malformed; the message names the field, path or rule."),
    (
        403,
        "What would be replaced is held or retained, as `detail` tells; or the right to do it is missing; or the URL is \
         not one the registry signed for what is there now, or it has ended, or the method changes something.",
    ),
    (404, "There is no such repository, package, file, object, hold, schema, collection, scrub or webhook."),
    (409, "It is in another state than the request needs, or something is in the way."),
    (406, "`Accept` names nothing there is here."),
    (410, "The events after this place are not in the log any more."),
    (
        429,
        "This address asks for more than it may, or as many streams are open as there may be; `Retry-After` says when to try again.",
    ),
    (412, "The key names something else than `If-Match` or `If-None-Match` says."),
    (413, "The body is too large."),
    (416, "No byte of the range is there."),
    (405, "It is held or retained, as `detail` tells; or the path takes other methods, which `Allow` names."),
    (503, "The registry cannot do this for the moment; `Retry-After` says when to try again."),
];

pub(super) fn components() -> Value {
    let mut schemas = schemas();
    let all = [
        super::objects::schemas(),
        super::garbage::schemas(),
        super::scrub::schemas(),
        super::retention::schemas(),
        super::disposition::schemas(),
        super::clock::schemas(),
        super::audit::schemas(),
        super::webhooks::schemas(),
    ];
    for more in all {
        if let (Some(all), Value::Object(more)) = (schemas.as_object_mut(), more) {
            all.extend(more);
        }
    }
    json!({ "schemas": schemas, "responses": responses() })
}

fn responses() -> Value {
    let mut responses = json!({});
    for (status, doc) in REFUSALS {
        let schema = if status == 503 { "Failure" } else { "Errors" };
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        responses[status.to_string()] =
            json!({ "description": doc, "content": { "application/json": { "schema": schema } } });
    }
    responses
}

/// A retention class with everything it demands.
fn class() -> Value {
    json!({
        "type": "object",
        "required": ["name", "mode", "period", "start", "approvals", "cooling_off", "auto_dispose_after"],
        "properties": {
            "name": { "type": "string" },
            "mode": { "enum": ["governance", "compliance"] },
            "period": { "type": ["string", "null"], "description": "ISO 8601; null for ever." },
            "start": { "enum": ["finalized", "event"], "description": "When the period begins." },
            "approvals": {
                "type": "integer", "minimum": 0,
                "description": "Principals other than the proposer who must approve a disposition.",
            },
            "cooling_off": {
                "type": "integer", "minimum": 0,
                "description": "Seconds from the last approval to the execution of a disposition.",
            },
            "auto_dispose_after": {
                "type": ["string", "null"],
                "description": "How long after its end a schedule may dispose of it (ISO 8601); null for never.",
            },
        },
        "additionalProperties": false,
    })
}

fn schemas() -> Value {
    let digest =
        |algorithm: &str| json!({ "type": "string", "pattern": format!("^{algorithm}:[0-9a-f]{{64}}$") });
    let word = json!({ "type": ["string", "null"], "pattern": "^[a-z0-9._-]{1,64}$" });
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let time_or_never = json!({ "type": ["string", "null"], "format": "date-time" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let free = json!({
        "type": "object",
        "description": "Whatever the producer says; integers up to 2^53 - 1, no fractions, keys of printable ASCII; \
                        at most 256 KiB.",
    });
    // In a request, null is a field that is not there.
    let free_or_none = {
        let mut schema = free.clone();
        schema["type"] = json!(["object", "null"]);
        schema
    };
    let tag = json!({ "type": ["string", "null"], "pattern": "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$" });
    let list =
        |of: &str| json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    let of_ours = [ErrorCode::CursorAhead, ErrorCode::CursorExpired];
    let codes: Vec<&str> = ErrorCode::ALL.iter().chain(&of_ours).map(|code| code.as_str()).collect();
    json!({
        "NewPackage": object(&[], json!({
            "kind": word, "retention_class": word, "schema": word, "metadata": free_or_none,
            "provenance": free_or_none,
        })),
        "Finalize": object(&[], json!({ "tag": tag, "retention_class": word, "metadata": free_or_none })),
        "Package": object(
            &["id", "repository", "status", "kind", "retention_class", "schema", "metadata", "provenance",
              "created_at", "updated_at", "expires_at", "file_count", "size"],
            json!({
                "id": text, "repository": text,
                "status": { "enum": ["created", "uploading", "finalized", "deleted", "failed"] },
                "kind": word, "retention_class": word, "schema": word, "metadata": free, "provenance": free,
                "created_at": time, "updated_at": time, "finalized_at": time, "expires_at": time_or_never,
                "file_count": number, "size": number, "files": list("File"), "files_next": text,
                "manifest_digest": digest("blake3"), "content_manifest": digest("blake3"),
                "reference": digest("sha256"), "failure": text, "disposition": text, "deleted_at": time, "tombstone": text, "certificate": text,
                "eligibility": { "$ref": "#/components/schemas/Retention" },
            }),
        ),
        "Packages": object(&["packages"], json!({ "packages": list("Package") })),
        "File": object(
            &["path", "media_type", "size", "content_address", "sha256", "location"],
            json!({
                "path": text, "media_type": text, "size": number, "content_address": digest("blake3"),
                "sha256": digest("sha256"), "role": text,
                "location": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Location" }] },
            }),
        ),
        "Files": object(&["files"], json!({ "files": list("File") })),
        "Location": object(
            &["backend_id", "storage_uri", "retrieval_tier", "restore_status"],
            json!({
                "backend_id": text, "storage_uri": text, "retrieval_tier": { "const": "online" },
                "restore_status": { "const": "none" },
            }),
        ),
        "Events": object(
            &["log_id", "epoch", "events", "next_since", "scanned_to", "head"],
            json!({
                "log_id": text, "epoch": number, "events": list("Event"), "next_since": number,
                "scanned_to": number, "head": number,
            }),
        ),
        "Event": object(
            &["sequence", "type", "recorded_at", "actor", "subject", "payload", "leaf_hash"],
            json!({
                "sequence": number, "type": text, "recorded_at": time, "actor": text, "repository": text,
                "subject": text, "payload": { "type": "object" }, "leaf_hash": digest("sha256"),
            }),
        ),
        "Schema": object(
            &["name", "digest", "registered_at"],
            json!({ "name": text, "digest": digest("blake3"), "registered_at": time }),
        ),
        "Schemas": object(&["schemas"], json!({ "schemas": list("Schema") })),
        "Class": class(),
        "Classes": object(
            &["policy_version", "default", "classes"],
            json!({ "policy_version": number, "default": text, "classes": list("Class") }),
        ),
        "Errors": object(&["errors"], json!({ "errors": {
            "type": "array", "minItems": 1,
            "items": object(
                &["code", "message"],
                json!({ "code": { "enum": codes }, "message": text, "detail": {} }),
            ),
        } })),
        "Failure": object(&["message"], json!({
            "message": text, "request_id": text, "errors": { "$ref": "#/components/schemas/Errors/properties/errors" },
        })),
    })
}
