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
            &["approvals", "ended_by", "ended_at", "end_reason"],
            json!({
                "id": text, "repository": text, "target": text,
                "status": { "enum": ["proposed", "approved", "rejected", "voided", "executed"] },
                "reason": reason, "proposed_by": text, "proposed_at": time, "revision": number,
                "approvals_needed": number, "cooling_off": number, "approved_at": time_or_none,
                "executable_from": time_or_none, "approvals": { "type": "array", "items": approval },
                "ended_by": text, "ended_at": time, "end_reason": text,
            }),
        ),
        "Dispositions": object(&[], json!({
            "dispositions": { "type": "array", "items": { "$ref": "#/components/schemas/Disposition" } },
        })),
        "Propose": object(&[], json!({ "reference": text, "reason": reason })),
        "Approve": object(&["revision"], json!({
            "revision": { "type": ["integer", "null"], "description": "The state of the retention that is approved." },
        })),
        "Reject": object(&[], json!({ "reason": reason })),
    })
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
        method: "POST",
        path: "/v2/{name}/_artifactstore/disposition/{disposition}/approve",
        id: "approveDisposition",
        summary: "Agree to what somebody else proposed",
        parameters: &[&NAME, &DISPOSITION],
        body: Some(Body::Optional("Approve")),
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
        body: None,
        answers: &[FOUND],
        refusals: &[400, 404, 405, 409],
    },
];
