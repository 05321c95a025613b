//! The operations on webhooks, and their shapes.

use serde_json::{Value, json};

use super::operations::{Answer, Body, LAST, LINK, LOCATION, N, Operation, Parameter, ok, path};

static WEBHOOK: Parameter = path("webhook", "^whk_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The webhook.");

const FOUND: Answer = ok("The webhook.", &[Body::Json("Webhook")]);

/// Every operation, by path.
pub(super) static WEBHOOKS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/webhooks",
        id: "listWebhooks",
        summary: "List webhooks by id; 100 at most",
        parameters: &[&N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Webhooks")]) }],
        refusals: &[400],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/webhooks",
        id: "createWebhook",
        summary: "Have events sent to a receiver as they are recorded. The answer has the secret, and no other answer does",
        parameters: &[],
        body: Some(Body::Json("NewWebhook")),
        answers: &[Answer {
            status: 201,
            doc: "It is active.",
            bodies: &[Body::Json("Webhook")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 409, 410, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/webhooks/{webhook}",
        id: "getWebhook",
        summary: "A webhook: how far it is, and what went wrong",
        parameters: &[&WEBHOOK],
        body: None,
        answers: &[FOUND],
        refusals: &[404],
    },
    Operation {
        method: "PATCH",
        path: "/v2/_artifactstore/webhooks/{webhook}",
        id: "changeWebhook",
        summary: "Change a webhook; what is not named stays, also of the filter. With `rotate_secret` the answer has the new \
                  secret, and the one before signs too for 24 hours",
        parameters: &[&WEBHOOK],
        body: Some(Body::Optional("WebhookChange")),
        answers: &[FOUND],
        refusals: &[400, 404, 409, 410, 413],
    },
    Operation {
        method: "DELETE",
        path: "/v2/_artifactstore/webhooks/{webhook}",
        id: "deleteWebhook",
        summary: "Remove a webhook; a delivery under way is the last",
        parameters: &[&WEBHOOK],
        body: None,
        answers: &[Answer { status: 204, doc: "It is gone.", bodies: &[], headers: &[] }],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/webhooks/{webhook}/retry",
        id: "retryWebhook",
        summary: "Have the next attempt made now",
        parameters: &[&WEBHOOK],
        body: None,
        answers: &[FOUND],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/webhooks/{webhook}/suspend",
        id: "suspendWebhook",
        summary: "Send nothing until it is resumed; it keeps its place",
        parameters: &[&WEBHOOK],
        body: None,
        answers: &[FOUND],
        refusals: &[400, 404, 409, 413],
    },
    Operation {
        method: "POST",
        path: "/v2/_artifactstore/webhooks/{webhook}/resume",
        id: "resumeWebhook",
        summary: "Send again, from where it is or after the event that is named",
        parameters: &[&WEBHOOK],
        body: Some(Body::Optional("Resume")),
        answers: &[FOUND],
        refusals: &[400, 404, 409, 410, 413],
    },
];

/// The shapes of their bodies.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let text_or_none = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    let time_or_none = json!({ "type": ["string", "null"], "format": "date-time" });
    let number = json!({ "type": "integer", "minimum": 0 });
    let object = |optional: &[&str], properties: Value| {
        let all = properties.as_object().into_iter().flat_map(|all| all.keys());
        let required: Vec<&String> = all.filter(|name| !optional.contains(&name.as_str())).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let types = json!({
        "type": "array", "items": text, "maxItems": 64,
        "description": "Beginnings of event types, as `package`, `tag.moved` or `v1.tag.moved`; all when there is none.",
    });
    let filter = object(&[], json!({ "types": types, "repository": text_or_none, "package": text_or_none }));
    let mut asked_filter = filter.clone();
    asked_filter["required"] = json!([]);
    asked_filter["type"] = json!(["object", "null"]);
    let mut changed_filter = asked_filter.clone();
    changed_filter["properties"]["types"]["type"] = json!(["array", "null"]);
    changed_filter["description"] =
        json!("What is not there stays, and what is null is asked for no longer.");
    let formats = json!(["json", "cloudevents", "distribution", null]);
    let format = json!({ "enum": formats, "description": "json when nobody says." });
    let secret = json!({
        "type": ["string", "null"], "pattern": "^whsec_[A-Za-z0-9+/]{32,88}={0,2}$",
        "description": "24 to 64 bytes; made here when there is none.",
    });
    let since = json!({
        "oneOf": [{ "type": "integer", "minimum": 0 }, { "const": "now" }, { "type": "null" }],
        "description": "The events after this one are sent next; `now` for what is recorded from now on.",
    });
    let url = json!({ "type": "string", "maxLength": 2048, "description": "http or https, without a user." });
    let mut url_or_none = url.clone();
    url_or_none["type"] = json!(["string", "null"]);
    json!({
        "Webhook": object(
            &["secret", "previous_secret_ends_at"],
            json!({
                "id": text,
                "url": { "type": "string", "description": "Scheme, host and port, and /… where there is more." },
                "url_hash": { "type": "string", "pattern": "^[0-9a-f]{12}$" },
                "format": { "enum": ["json", "cloudevents", "distribution"] },
                "filter": filter,
                "state": { "enum": ["active", "suspended", "disabled", "damaged"] },
                "reason": text_or_none,
                "cursor": number, "head": number, "attempts": number,
                "failing_since": time_or_none, "next_attempt_at": time_or_none, "attempted_at": time_or_none,
                "last_status": { "type": ["integer", "null"] }, "last_error": text_or_none,
                "delivered_at": time_or_none, "created_at": time, "created_by": text,
                "secret": text, "previous_secret_ends_at": time_or_none,
            }),
        ),
        "Webhooks": object(&[], json!({
            "webhooks": { "type": "array", "items": { "$ref": "#/components/schemas/Webhook" } },
        })),
        "NewWebhook": object(
            &["format", "filter", "secret", "since"],
            json!({ "url": url, "format": format, "filter": asked_filter, "secret": secret, "since": since }),
        ),
        "WebhookChange": object(
            &["url", "format", "filter", "secret", "rotate_secret", "since"],
            json!({
                "url": url_or_none, "format": format, "filter": changed_filter, "secret": secret,
                "rotate_secret": { "type": "boolean" }, "since": since,
            }),
        ),
        "Resume": object(&["since"], json!({ "since": since })),
    })
}
