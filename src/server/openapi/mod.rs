//! The `OpenAPI` document of the extension, rendered from one table of operations.
//!
//! The table stands beside the routes and not in them: routes are parsed from the tail of a path, which no framework
//! describes. A test sends every operation of the table through the parser, and every method that is not in it.
//! `docs/openapi.json` is the same document; a test compares.

mod audit;
mod clock;
mod components;
mod disposition;
mod events;
mod garbage;
mod objects;
mod operations;
mod retention;
mod scrub;
mod webhooks;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use audit::AUDIT;
use clock::CLOCK;
use components::components;
use disposition::DISPOSITIONS;
use events::EVENTS;
use garbage::GARBAGE;
use objects::OBJECTS;
use operations::{Body, OPERATIONS, Operation, Parameter, Type};
use retention::RETENTION;
use scrub::SCRUB;
use webhooks::WEBHOOKS;

/// Every operation.
fn operations() -> impl Iterator<Item = &'static Operation> {
    let stored = GARBAGE.iter().chain(SCRUB);
    OPERATIONS
        .iter()
        .chain(OBJECTS)
        .chain(EVENTS)
        .chain(stored)
        .chain(RETENTION)
        .chain(DISPOSITIONS)
        .chain(CLOCK)
        .chain(AUDIT)
        .chain(WEBHOOKS)
}

/// The document as it is served.
pub(super) fn bytes() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| rendered().into()).clone()
}

/// What a client may put behind `/v2/` or `/v2/<name>/`, each once.
pub(super) fn endpoints() -> Vec<&'static str> {
    let mut endpoints: Vec<&str> = operations().filter_map(|operation| endpoint(operation.path)).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}

fn endpoint(path: &str) -> Option<&str> {
    path.strip_prefix("/v2/{name}/").or_else(|| path.strip_prefix("/v2/"))
}

fn rendered() -> String {
    serde_json::to_string_pretty(&document()).expect("JSON values serialise") + "\n"
}

const ABOUT: &str = "Evidence packages beside the OCI distribution API. A repository name and the path of a file have \
    slashes of their own, which are sent as they are and not as %2F. Errors have the form of the distribution \
    specification. Times are RFC 3339 in UTC with microseconds. Unknown query parameters are ignored but for those \
    of the log and where it is said; one that is known is refused when it is there twice or is not what its schema says. Every GET is also a HEAD. What stands under /v2/ \
    without the segment _artifactstore (blobs, uploads, manifests, tags, referrers, the catalog) is not described here: \
    its document is the OCI Distribution Specification 1.1, \
    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md";

fn document() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "artifactstore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT No Attribution", "identifier": "MIT-0" },
        },
        "paths": paths,
        "components": components(),
    })
}

fn described(operation: &Operation) -> Value {
    let mut answers = Map::new();
    for answer in operation.answers {
        let mut shown = json!({ "description": answer.doc });
        for body in answer.bodies {
            shown["content"][media_type(*body)] = content(*body);
        }
        for (name, doc) in answer.headers {
            shown["headers"][*name] = json!({ "description": doc, "schema": { "type": "string" } });
        }
        answers.insert(answer.status.to_string(), shown);
    }
    for status in operation.refusals {
        answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
    }
    answers.insert("429".to_owned(), json!({ "$ref": "#/components/responses/429" }));
    answers.insert("503".to_owned(), json!({ "$ref": "#/components/responses/503" }));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": answers,
    });
    let parameters: Vec<Value> = operation.parameters.iter().map(|parameter| shown(parameter)).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = operation.body {
        let media_type = media_type(body);
        let is_required = !matches!(body, Body::Optional(_));
        described["requestBody"] =
            json!({ "required": is_required, "content": { media_type: content(body) } });
    }
    described
}

fn media_type(body: Body) -> &'static str {
    match body {
        Body::Json(_) | Body::Optional(_) => "application/json",
        Body::Any => "*/*",
        Body::Of(media_type) => media_type,
    }
}

fn content(body: Body) -> Value {
    match body {
        Body::Json(schema) | Body::Optional(schema) => {
            json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } })
        }
        Body::Any | Body::Of(_) => json!({}),
    }
}

fn shown(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        Type::Text => json!({ "type": "string" }),
        Type::Number { min, max: None } => json!({ "type": "integer", "minimum": min }),
        Type::Number { min, max: Some(max) } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Type::Flag => json!({ "type": "boolean" }),
        Type::OneOf(values) => json!({ "type": "string", "enum": values }),
    };
    if let Some(pattern) = parameter.pattern {
        schema["pattern"] = pattern.into();
    }
    let is_required = parameter.place == "path";
    json!({
        "name": parameter.name, "in": parameter.place, "required": is_required, "description": parameter.doc,
        "schema": schema,
    })
}

#[cfg(test)]
mod tests;
