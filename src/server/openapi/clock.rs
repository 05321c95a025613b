//! The operations on the compliance clock, and their shapes.

use serde_json::{Value, json};

use super::operations::{Body, Operation, ok};

/// Every operation, by path.
pub(super) static CLOCK: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/clock",
        id: "getClock",
        summary: "Read the compliance clock, by which retentions are judged",
        parameters: &[],
        body: None,
        answers: &[ok("The clock.", &[Body::Json("Clock")])],
        refusals: &[],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/clock/resync",
        id: "resyncClock",
        summary: "Say, for the record, that the system's clock is right: compliance time follows it again, and what was \
                  frozen goes on",
        parameters: &[],
        body: Some(Body::Json("Resync")),
        answers: &[ok("The clock as it is now.", &[Body::Json("Clock")])],
        refusals: &[400, 409, 413],
    },
];

/// The shapes of their bodies.
pub(super) fn schemas() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let mut tick = object(json!({
        "wall": time, "compliance": time, "is_frozen": { "type": "boolean" },
        "sequence": { "type": "integer", "minimum": 0 },
    }));
    tick["type"] = json!(["object", "null"]);
    tick["description"] = "As it was recorded last; null while nothing was ever retained.".into();
    json!({
        "Clock": object(json!({
            "wall": time,
            "compliance": time,
            "behind_seconds": { "type": "integer", "minimum": 0 },
            "is_frozen": { "type": "boolean" },
            "alarm": { "type": ["string", "null"] },
            "last_tick": tick,
        })),
        "Resync": object(json!({ "reason": { "type": "string", "minLength": 1, "maxLength": 1024 } })),
    })
}
