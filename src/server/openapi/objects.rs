//! The operations on keyed objects, and the shapes of their bodies.

use serde_json::{Value, json};

use super::operations::{
    Answer, Body, DIGEST, ETAG, LAST, LINK, LOCATION, N, NAME, NOT_MODIFIED, Operation, Parameter, Type,
    header, ok, path, query,
};

static KEY: Parameter = path(
    "key",
    "^[^/]+(/[^/]+)*$",
    "The key. Its slashes are sent as they are. Doubled slashes, `.` parts and decomposed Unicode are put right; `..`, \
     backslashes, control characters and more than 1024 bytes, or 255 in a part, are refused.",
);
static PREFIX: Parameter = query("prefix", Type::Text, "Only keys that begin so.");
static RECURSIVE: Parameter =
    query("recursive", Type::Flag, "`false`: keys with a further slash are there as common prefixes.");
static EXPIRES_IN: Parameter = query(
    "expires_in",
    Type::Number { min: 1, max: Some(604_800) },
    "Seconds the URL works; 3600 when nobody says.",
);
static EXPIRES: Parameter =
    query("expires", Type::Number { min: 0, max: None }, "Of a signed URL: when it ends.");
static KID: Parameter = query("kid", Type::Text, "Of a signed URL: the key it was signed with.");
static SIGNATURE: Parameter = query("signature", Type::Text, "Of a signed URL: the signature.");

static IF_MATCH: Parameter = header(
    "If-Match",
    "Only if the key names what one of these entity tags is of; `*`: only if it names something.",
);
static IF_NONE_MATCH: Parameter = header(
    "If-None-Match",
    "Only if the key names nothing that one of these entity tags is of; `*`: only if it names nothing.",
);

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

const OBJECT: &str = "/v2/{name}/_artifactstore/objects/{key}";
const URL: &str = "/v2/{name}/_artifactstore/objects/{key}/url";

/// No name of a file is the registry's to take, so this path is an object as well.
const NAMED_URL: &str = "The same for an object whose key ends in `/url`";

const GET: Operation = Operation {
    method: "GET",
    path: OBJECT,
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
};

const HEAD: Operation = Operation {
    method: "HEAD",
    path: OBJECT,
    id: "headObject",
    summary: "The size, type and digest of an object",
    parameters: &[&NAME, &KEY, &EXPIRES, &KID, &SIGNATURE],
    body: None,
    answers: &[
        Answer { status: 200, doc: "The object is there.", bodies: &[], headers: &[ETAG] },
        NOT_MODIFIED,
    ],
    refusals: &[400, 403, 404],
};

const PUT: Operation = Operation {
    method: "PUT",
    path: OBJECT,
    id: "putObject",
    summary: "Store an object, whatever the key named before. `Content-Type` is the object's; without one it is \
              guessed from the key",
    parameters: &[&NAME, &KEY, &DIGEST, &IF_MATCH, &IF_NONE_MATCH],
    body: Some(Body::Any),
    answers: &[Answer {
        status: 201,
        doc: "The object.",
        bodies: &[Body::Json("Object")],
        headers: &[LOCATION, ETAG],
    }],
    refusals: &[400, 403, 412, 413],
};

const DELETE: Operation = Operation {
    method: "DELETE",
    path: OBJECT,
    id: "deleteObject",
    summary: "Make a key name nothing",
    parameters: &[&NAME, &KEY, &IF_MATCH, &IF_NONE_MATCH],
    body: None,
    answers: &[Answer { status: 204, doc: "It is gone.", bodies: &[], headers: &[] }],
    refusals: &[400, 403, 404, 405, 412],
};

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
    GET,
    HEAD,
    PUT,
    DELETE,
    Operation {
        method: "POST",
        path: URL,
        id: "makeObjectUrl",
        summary: "Make a URL under which anyone can read what the key names now, for a time",
        parameters: &[&NAME, &KEY, &EXPIRES_IN],
        body: None,
        answers: &[ok(
            "A URL of the storage, or a path of this server with its query.",
            &[Body::Json("ObjectUrl")],
        )],
        refusals: &[400, 403, 404],
    },
    Operation { path: URL, id: "getObjectNamedUrl", summary: NAMED_URL, ..GET },
    Operation { path: URL, id: "headObjectNamedUrl", summary: NAMED_URL, ..HEAD },
    Operation { path: URL, id: "putObjectNamedUrl", summary: NAMED_URL, ..PUT },
    Operation { path: URL, id: "deleteObjectNamedUrl", summary: NAMED_URL, ..DELETE },
];
