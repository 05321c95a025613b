//! The operations on keyed objects, and the shapes of their bodies.

use serde_json::{Value, json};

use super::operations::{
    Answer, Body, DIGEST, ETAG, LAST, LINK, LOCATION, N, NAME, NOT_MODIFIED, Operation, Parameter, Type, ok,
    path, query,
};

static KEY: Parameter = path(
    "key",
    "^[^/]+(/[^/]+)*$",
    "The key. Its slashes are sent as they are. Doubled slashes, `.` parts and decomposed Unicode are put right; `..`, \
     backslashes, control characters and more than 1024 bytes are refused.",
);
static PREFIX: Parameter = query("prefix", Type::Text, "Only keys that begin so.");
static RECURSIVE: Parameter =
    query("recursive", Type::Flag, "`false`: keys with a further slash are there as common prefixes.");
static EXPIRES_IN: Parameter = query(
    "expires_in",
    Type::Number { min: 1 },
    "Seconds the URL works; 3600 when nobody says, 604800 at most.",
);
static EXPIRES: Parameter = query("expires", Type::Number { min: 0 }, "Of a signed URL: when it ends.");
static KID: Parameter = query("kid", Type::Text, "Of a signed URL: the key it was signed with.");
static SIGNATURE: Parameter = query("signature", Type::Text, "Of a signed URL: the signature.");

/// The shapes, as JSON Schema.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let digest =
        |algorithm: &str| json!({ "type": "string", "pattern": format!("^{algorithm}:[0-9a-f]{{64}}$") });
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    };
    let list = |items: Value| json!({ "type": "array", "items": items });
    json!({
        "Object": object(json!({
            "storage_key": text, "storage_backend": text, "storage_uri": text,
            "content_address": digest("blake3"), "sha256": digest("sha256"),
            "size": { "type": "integer", "minimum": 0 }, "mime_type": text, "created_at": time,
        })),
        "Objects": object(json!({
            "objects": list(json!({ "$ref": "#/components/schemas/Object" })), "prefixes": list(text.clone()),
        })),
        "ObjectUrl": object(json!({ "url": text, "expires_at": time })),
    })
}

/// Every operation on keyed objects, by path.
pub(super) static OBJECTS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/objects",
        id: "listObjects",
        summary: "List objects by key; 1000 at most",
        parameters: &[&NAME, &PREFIX, &RECURSIVE, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Objects")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/objects/{key}",
        id: "getObject",
        summary: "Download an object, or ranges of it",
        parameters: &[&NAME, &KEY, &EXPIRES, &KID, &SIGNATURE],
        body: None,
        answers: &[
            Answer { headers: &[ETAG], ..ok("The object.", &[Body::Any]) },
            Answer { status: 206, doc: "The ranges asked for.", bodies: &[Body::Any], headers: &[ETAG] },
            NOT_MODIFIED,
            Answer {
                status: 307,
                doc: "The storage serves it, unless the request has `X-Artifactstore-Redirect: never`.",
                bodies: &[],
                headers: &[LOCATION],
            },
        ],
        refusals: &[400, 403, 404, 416],
    },
    Operation {
        method: "HEAD",
        path: "/v2/{name}/_artifactstore/objects/{key}",
        id: "headObject",
        summary: "The size, type and digest of an object",
        parameters: &[&NAME, &KEY, &EXPIRES, &KID, &SIGNATURE],
        body: None,
        answers: &[
            Answer { status: 200, doc: "The object is there.", bodies: &[], headers: &[ETAG] },
            NOT_MODIFIED,
        ],
        refusals: &[400, 403, 404],
    },
    Operation {
        method: "PUT",
        path: "/v2/{name}/_artifactstore/objects/{key}",
        id: "putObject",
        summary: "Store an object, whatever the key named before. `Content-Type` is the object's; without one it is \
                  guessed from the key",
        parameters: &[&NAME, &KEY, &DIGEST],
        body: Some(Body::Any),
        answers: &[Answer {
            status: 201,
            doc: "The object.",
            bodies: &[Body::Json("Object")],
            headers: &[LOCATION, ETAG],
        }],
        refusals: &[400, 403, 413],
    },
    Operation {
        method: "DELETE",
        path: "/v2/{name}/_artifactstore/objects/{key}",
        id: "deleteObject",
        summary: "Make a key name nothing",
        parameters: &[&NAME, &KEY],
        body: None,
        answers: &[Answer { status: 204, doc: "It is gone.", bodies: &[], headers: &[] }],
        refusals: &[400, 404, 405],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/objects/{key}/url",
        id: "makeObjectUrl",
        summary: "Make a URL under which anyone can read what the key names now, for a time",
        parameters: &[&NAME, &KEY, &EXPIRES_IN],
        body: None,
        answers: &[ok(
            "A URL of the storage, or a path of this server with its query.",
            &[Body::Json("ObjectUrl")],
        )],
        refusals: &[400, 404],
    },
];
