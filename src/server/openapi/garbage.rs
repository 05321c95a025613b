//! The operations on collections of garbage, and their shapes.

use serde_json::{Value, json};

use super::operations::{
    Answer, Body, LAST, LIMIT, LINK, LOCATION, N, Operation, Parameter, SINCE, ok, path,
};

static RUN: Parameter = path("run", "^gc_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The collection.");

/// Every operation, by path.
pub(super) static GARBAGE: &[Operation] = &[
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/gc",
        id: "collectGarbage",
        summary: "Collect garbage now, or say what is garbage and change nothing. One collection at a time",
        parameters: &[],
        body: Some(Body::Optional("Collect")),
        answers: &[
            ok("What the run did; of a dry run what is garbage, by reason.", &[Body::Json("Collected")]),
            Answer {
                status: 202,
                doc: "The run takes longer and goes on by itself.",
                bodies: &[Body::Json("Collection")],
                headers: &[LOCATION],
            },
        ],
        refusals: &[400, 409, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/gc/runs",
        id: "listCollections",
        summary: "List collections that ended, the newest first; 100 at most. What found nothing to do by itself is \
                  not listed",
        parameters: &[&N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Collections")]) }],
        refusals: &[400],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/gc/runs/{run}",
        id: "getCollection",
        summary: "Read a collection, and what it did to which objects: released, condemned, about to be deleted, \
                  purged",
        parameters: &[&RUN, &SINCE, &LIMIT],
        body: None,
        answers: &[ok(
            "The run with a page of its events; the next page is since `next_since`, and there are no more when \
             one is empty.",
            &[Body::Json("CollectionEvents")],
        )],
        refusals: &[400, 404],
    },
];

/// The shapes of their bodies.
pub(super) fn schemas() -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    let time = json!({ "type": "string", "format": "date-time" });
    let tally = json!({ "$ref": "#/components/schemas/Tally" });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    let of_run = [
        "run",
        "status",
        "started_at",
        "finished_at",
        "released",
        "condemned",
        "purged",
        "purged_bytes",
        "orphans",
        "failure",
    ];
    let run = json!({
        "run": { "type": "string" },
        "status": { "enum": ["running", "completed", "failed", "interrupted"] },
        "started_at": time,
        "finished_at": { "type": ["string", "null"], "format": "date-time" },
        "released": number, "condemned": number, "purged": number, "purged_bytes": number, "orphans": number,
        "failure": { "type": ["string", "null"], "description": "Why it ended early, or what could not be deleted." },
    });
    let mut with_events = run.clone();
    with_events["events"] = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Event" } });
    with_events["next_since"] = number.clone();
    json!({
        "Collect": object(&[], json!({ "dry_run": { "type": "boolean" } })),
        "Collected": { "oneOf": [
            { "$ref": "#/components/schemas/Collection" }, { "$ref": "#/components/schemas/CollectionPlan" },
        ] },
        "Collection": object(&of_run, run),
        "Collections": object(&["runs"], json!({
            "runs": { "type": "array", "items": { "$ref": "#/components/schemas/Collection" } },
        })),
        "CollectionEvents": object(&[&of_run[..], &["events", "next_since"]].concat(), with_events),
        "CollectionPlan": object(&["dry_run", "is_frozen", "reclaimable", "reasons", "links", "waiting"], json!({
            "dry_run": { "const": true },
            "is_frozen": { "type": "boolean" },
            "reclaimable": tally,
            "reasons": object(&["unused", "unlinked", "condemned", "deleting", "orphan"], json!({
                "unused": tally, "unlinked": tally, "condemned": tally, "deleting": tally, "orphan": tally,
            })),
            "links": number,
            "waiting": tally,
        })),
        "Tally": object(&["objects", "bytes"], json!({ "objects": number, "bytes": number })),
    })
}
