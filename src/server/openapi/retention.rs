//! The operations on retentions and holds, and the shapes of their bodies.

use serde_json::{Value, json};

use super::operations::{
    Answer, Body, LAST, LINK, LOCATION, N, NAME, Operation, Parameter, Type, ok, path, query,
};

static HOLD: Parameter = path("hold", "^hold_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The hold.");
static REFERENCE: Parameter = query(
    "reference",
    Type::Text,
    "A tag, a digest or the id of a package; without one it is about the whole repository.",
);
static RELEASED: Parameter =
    query("released", Type::Flag, "Whether those that were released are listed too.");
static REASON: Parameter = query("reason", Type::Text, "Why; needed.");
static BYPASS: Parameter = Parameter {
    name: "artifactstore-bypass-governance-retention",
    place: "header",
    kind: Type::OneOf(&["true"]),
    pattern: None,
    doc: "That the client means it and has the right to.",
};

/// The shapes, as JSON Schema.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let text_or_none = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    let time_or_none = json!({ "type": ["string", "null"], "format": "date-time" });
    let number_or_none = json!({ "type": ["integer", "null"], "minimum": 0 });
    let floor = json!({
        "type": ["string", "null"],
        "description": "What was promised while the period has not begun: a time, or forever.",
    });
    let flag = json!({ "type": "boolean" });
    let matter = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": 1024 });
    let kind = json!({ "enum": ["legal", "event"] });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let shape = |of: &str| json!({ "$ref": format!("#/components/schemas/{of}") });
    let object = |optional: &[&str], properties: Value| {
        let all = properties.as_object().into_iter().flat_map(|all| all.keys());
        let required: Vec<&String> = all.filter(|name| !optional.contains(&name.as_str())).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let state = json!({
        "repository": text, "target": text_or_none, "reference": text_or_none, "class": text_or_none,
        "mode": text_or_none, "policy_version": number_or_none, "retain_from": time_or_none,
        "retain_until": time_or_none, "retain_at_least": floor, "waits_for_event": flag, "revision": number_or_none,
        "is_deletable": flag, "is_eligible": flag, "reasons": list(shape("Reason")), "at": time,
    });
    let mut explanation = state.clone();
    explanation["packages"] = list(text.clone());
    explanation["tags"] = list(text.clone());
    explanation["indexes"] = list(text.clone());
    explanation["subject"] = text_or_none.clone();
    explanation["holds"] = list(shape("Hold"));
    explanation["dispositions"] = list(object(&[], json!({ "id": text, "status": text })));
    explanation["protected_until"] = time_or_none.clone();
    explanation["stored"] = list(shape("StoredBlob"));
    explanation["stored_more"] = flag.clone();
    json!({
        "Retention": object(&[], state),
        "Retentions": object(&[], json!({ "retentions": list(shape("Retention")) })),
        "Explanation": object(&[], explanation),
        "StoredBlob": object(
            &[],
            json!({
                "content_address": text, "sha256": text_or_none, "size": { "type": "integer", "minimum": 0 },
                "location": { "oneOf": [shape("Location"), { "type": "null" }] },
                "damage": { "enum": ["corrupt", "missing", null] }, "verified_at": time_or_none,
            }),
        ),
        "Reason": object(
            &["id", "hold_kind", "matter", "class", "mode", "until", "waits_for", "by"],
            json!({
                "kind": { "enum": ["hold", "retention", "disposition", "entangled"] }, "id": text,
                "hold_kind": kind, "matter": text, "class": text, "mode": { "enum": ["governance", "compliance"] },
                "until": time_or_none, "waits_for": { "const": "event" }, "by": text_or_none,
            }),
        ),
        "Hold": object(
            &["released_by", "released_at", "release_reason"],
            json!({
                "id": text, "kind": kind, "matter": matter, "reason": reason, "placed_by": text, "placed_at": time,
                "scope": object(&[], json!({ "repository": text, "target": text_or_none })),
                "released_by": text, "released_at": time, "release_reason": text,
            }),
        ),
        "Holds": object(&[], json!({ "holds": list(shape("Hold")) })),
        "NewHold": object(
            &["reference"],
            json!({ "reference": text, "kind": kind, "matter": matter, "reason": reason }),
        ),
        "Extend": object(
            &["until", "class"],
            json!({
                "reference": text, "class": text_or_none, "reason": reason,
                "until": { "type": ["string", "null"], "description": "RFC 3339, or `forever`." },
            }),
        ),
        "Shorten": object(&[], json!({ "reference": text, "until": time, "reason": reason })),
    })
}

/// Every operation on retentions and holds.
pub(super) static RETENTION: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/retention",
        id: "getRetention",
        summary: "The retention of something, and whether it may leave",
        parameters: &[&NAME, &REFERENCE],
        body: None,
        answers: &[ok("The retention.", &[Body::Json("Retention")])],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/retention/over",
        id: "listRetentionsOver",
        summary: "List what has a retention that is over, the longest first, and whether it may leave; 100 at most",
        parameters: &[&NAME, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Retentions")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/retention/extend",
        id: "extendRetention",
        summary: "Make a retention longer, or put something under a stronger class",
        parameters: &[&NAME],
        body: Some(Body::Json("Extend")),
        answers: &[ok("It is so, or was so before.", &[Body::Json("Retention")])],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/retention/shorten",
        id: "shortenRetention",
        summary: "Make a retention in governance mode shorter, with the right to and a reason",
        parameters: &[&NAME, &BYPASS],
        body: Some(Body::Json("Shorten")),
        answers: &[ok("It is shorter.", &[Body::Json("Retention")])],
        refusals: &[400, 403, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/holds",
        id: "placeHold",
        summary: "Hold a package, a manifest or, without a reference, the whole repository",
        parameters: &[&NAME],
        body: Some(Body::Json("NewHold")),
        answers: &[Answer {
            status: 201,
            doc: "It is held.",
            bodies: &[Body::Json("Hold")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/holds",
        id: "listHolds",
        summary: "List holds by id; 1000 at most",
        parameters: &[&NAME, &RELEASED, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Holds")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/holds/{hold}",
        id: "getHold",
        summary: "A hold, in force or released",
        parameters: &[&NAME, &HOLD],
        body: None,
        answers: &[ok("The hold.", &[Body::Json("Hold")])],
        refusals: &[400, 404],
    },
    Operation {
        method: "DELETE",
        path: "/v2/{name}/_artifactstore/holds/{hold}",
        id: "releaseHold",
        summary: "Release a hold; that of the last event hold starts a retention that waited for it",
        parameters: &[&NAME, &HOLD, &REASON],
        body: None,
        answers: &[ok("It is released.", &[Body::Json("Hold")])],
        refusals: &[400, 404, 409],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/explain",
        id: "explain",
        summary: "Why something stays: what names it, what holds it, under which classes and until when",
        parameters: &[&NAME, &REFERENCE],
        body: None,
        answers: &[ok("Everything that bears on it.", &[Body::Json("Explanation")])],
        refusals: &[400, 404],
    },
];
