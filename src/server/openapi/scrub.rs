//! The operations on the scrub, and their shapes.

use serde_json::{Value, json};

use super::operations::{Answer, Body, LAST, LINK, LOCATION, N, Operation, Parameter, ok, path};

static RUN: Parameter = path("run", "^scrub_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The cycle.");

/// Every operation, by path.
pub(super) static SCRUB: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/scrub",
        id: "getScrub",
        summary: "Read how the verification of stored bytes stands, and what is damaged now: the counts, and 100 copies \
                  at most",
        parameters: &[&N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("How it stands.", &[Body::Json("ScrubState")]) }],
        refusals: &[400],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/scrub",
        id: "scrub",
        summary: "Go on with the verification of stored bytes now, or begin a cycle. One pass at a time",
        parameters: &[],
        body: Some(Body::Optional("StartScrub")),
        answers: &[
            ok("How far the cycle is after the pass.", &[Body::Json("Scrub")]),
            Answer {
                status: 202,
                doc: "The pass takes longer and goes on by itself.",
                bodies: &[Body::Json("Scrub")],
                headers: &[LOCATION],
            },
        ],
        refusals: &[400, 409, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/scrub/runs",
        id: "listScrubs",
        summary: "List cycles that ended, the newest first; 100 at most",
        parameters: &[&N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Scrubs")]) }],
        refusals: &[400],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/scrub/runs/{run}",
        id: "getScrubRun",
        summary: "Read a cycle, and the copies that it was the first to find damaged or unreadable; 100 at most",
        parameters: &[&RUN, &N, &LAST],
        body: None,
        answers: &[Answer {
            headers: &[LINK],
            ..ok("The cycle with a page of its findings.", &[Body::Json("ScrubFindings")])
        }],
        refusals: &[400, 404],
    },
];

/// The shapes of their bodies.
pub(super) fn schemas() -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    let time = json!({ "type": "string", "format": "date-time" });
    let time_or_none = json!({ "type": ["string", "null"], "format": "date-time" });
    let text = json!({ "type": "string" });
    let text_or_none = json!({ "type": ["string", "null"] });
    let object = |properties: Value| {
        let required: Vec<&String> =
            properties.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let findings = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Finding" } });
    let run_or_none = json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Scrub" }] });
    let run = json!({
        "run": text,
        "status": { "enum": ["running", "paused", "completed"] },
        "started_at": time,
        "finished_at": time_or_none,
        "covers": {
            "type": "integer", "minimum": 0,
            "description": "The newest event when it began: what that one and earlier ones named was verified.",
        },
        "blobs": number, "bytes": number, "manifests": number,
        "damaged": number, "unreadable": number, "recovered": number, "repaired": number,
        "failure": { "type": ["string", "null"], "description": "Why its last pass ended early." },
    });
    let mut with_findings = run.clone();
    with_findings["findings"] = findings.clone();
    json!({
        "StartScrub": object(json!({})),
        "Scrub": object(run),
        "Scrubs": object(json!({
            "runs": { "type": "array", "items": { "$ref": "#/components/schemas/Scrub" } },
        })),
        "ScrubFindings": object(with_findings),
        "ScrubState": object(json!({
            "current": run_or_none, "last": run_or_none,
            "corrupt": number, "missing": number, "unreadable": number, "findings": findings,
        })),
        "Finding": object(json!({
            "content": text, "backend": text, "key": text,
            "trouble": { "enum": ["corrupt", "missing", "unreadable", "lost"] },
            "finding": text,
            "run": { "type": ["string", "null"], "description": "The cycle that found it; null for a reader or a push." },
            "found_at": time,
            "state": { "enum": ["open", "recovered", "replaced", "released"] },
            "ended_at": time_or_none,
            "replaced_by": text_or_none,
        })),
    })
}
