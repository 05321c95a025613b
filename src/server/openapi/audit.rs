//! The operations on the audit, and the shapes of their answers.

use serde_json::{Value, json};

use super::operations::{Answer, Body, NAME, Operation, Parameter, SINCE, Type, ok, query};
use crate::registry::AUDIT_ACTIONS;

static LIMIT: Parameter = query(
    "limit",
    Type::Number { min: 1, max: None },
    "Entries at most; of a page 1000 and about 1 MiB in any case.",
);
static REPOSITORY: Parameter = query("repository", Type::Text, "Only of this repository.");
static ACTOR: Parameter = query("actor", Type::Text, "Only what this actor did, or tried.");
static ACTION: Parameter = query("action", Type::OneOf(AUDIT_ACTIONS), "Only this action.");
static PACKAGE: Parameter = Parameter {
    name: "package",
    place: "query",
    kind: Type::Text,
    pattern: Some("^pkg_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    doc: "Only about this package, with its retention, its holds and its dispositions.",
};
static REFERENCE: Parameter = query(
    "reference",
    Type::Text,
    "Only about this tag, digest or package id; of a manifest with the packages it stands for. A tag or a digest is \
     something in a repository: name that too. Not beside `package`.",
);
static DECISION: Parameter =
    query("decision", Type::OneOf(&["allowed", "refused"]), "Only what was done, or only what was refused.");
static FROM: Parameter = query("from", Type::Text, "Only from this moment on, RFC 3339.");
static UNTIL: Parameter = query("until", Type::Text, "Only before this moment, RFC 3339.");

const PAGE: Answer = ok(
    "A page, the oldest entry first; or, as `Accept` says, all of them up to the head of now, an entry a line. A page can \
     be empty and not the last: the next one is since `next_since`, as long as that is before `head`.",
    &[Body::Json("Audit"), Body::Of("application/x-ndjson"), Body::Of("text/csv")],
);

/// Every operation, by path.
pub(super) static AUDIT: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/audit",
        id: "getAudit",
        summary: "Who did what, when, why and from where, and what was refused. An unknown query parameter is refused",
        parameters: &[
            &SINCE,
            &LIMIT,
            &REPOSITORY,
            &ACTOR,
            &ACTION,
            &PACKAGE,
            &REFERENCE,
            &DECISION,
            &FROM,
            &UNTIL,
        ],
        body: None,
        answers: &[PAGE],
        refusals: &[400, 404, 409],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/audit",
        id: "getRepositoryAudit",
        summary: "The same of one repository",
        parameters: &[&NAME, &SINCE, &LIMIT, &ACTOR, &ACTION, &PACKAGE, &REFERENCE, &DECISION, &FROM, &UNTIL],
        body: None,
        answers: &[PAGE],
        refusals: &[400, 404, 409],
    },
];

/// The shapes of their answers.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    json!({
        "Audit": object(
            &["entries", "next_since", "scanned_to", "head"],
            json!({
                "entries": { "type": "array", "items": { "$ref": "#/components/schemas/AuditEntry" } },
                "next_since": number, "scanned_to": number, "head": number,
            }),
        ),
        "AuditEntry": object(
            &["sequence", "at", "actor", "action", "decision", "subject", "event"],
            json!({
                "sequence": number, "at": time, "actor": text, "action": { "enum": AUDIT_ACTIONS },
                "decision": { "enum": ["allowed", "refused"] }, "repository": text, "subject": text,
                "reference": text, "package": text, "reason": text, "attempts": number, "event": text,
                "from": { "$ref": "#/components/schemas/AuditOrigin" },
            }),
        ),
        "AuditOrigin": object(
            &["via"],
            json!({
                "via": { "enum": ["http", "cli"] }, "address": text, "client": text, "request_id": text,
            }),
        ),
    })
}
