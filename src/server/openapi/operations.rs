//! The operations of the extension.

/// One method of one path.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [&'static Parameter],
    pub(super) body: Option<Body>,
    pub(super) answers: &'static [Answer],
    /// Statuses of answers that are errors.
    pub(super) refusals: &'static [u16],
}

/// A part of the path or of the query.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) kind: Type,
    pub(super) pattern: Option<&'static str>,
    pub(super) doc: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Text,
    Number { min: i64, max: Option<i64> },
    Flag,
    OneOf(&'static [&'static str]),
}

/// What a body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// JSON of this schema.
    Json(&'static str),
    /// The same, and none at all means the same as `{}`.
    Optional(&'static str),
    /// Bytes of this type.
    Of(&'static str),
    /// Bytes of any type.
    Any,
}

/// An answer that is no error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) doc: &'static str,
    pub(super) bodies: &'static [Body],
    pub(super) headers: &'static [(&'static str, &'static str)],
}

pub(super) const fn path(name: &'static str, pattern: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, place: "path", kind: Type::Text, pattern: Some(pattern), doc }
}

pub(super) const fn query(name: &'static str, kind: Type, doc: &'static str) -> Parameter {
    Parameter { name, place: "query", kind, pattern: None, doc }
}

const fn word(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, place: "query", kind: Type::Text, pattern: Some(WORD), doc }
}

pub(super) const fn ok(doc: &'static str, schema: &'static [Body]) -> Answer {
    Answer { status: 200, doc, bodies: schema, headers: &[] }
}

pub(super) const fn header(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, place: "header", kind: Type::Text, pattern: None, doc }
}

const SHA256: &str = "^sha256:[0-9a-f]{64}$";
const WORD: &str = "^[a-z0-9._-]{1,64}$";

const REPOSITORY_NAME: &str = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$";
const PACKAGE_ID: &str = "^pkg_[0-7][0-9a-hjkmnp-tv-z]{25}$";

/// A parameter of the query that is a package.
pub(super) const fn package(doc: &'static str) -> Parameter {
    Parameter { name: "package", place: "query", kind: Type::Text, pattern: Some(PACKAGE_ID), doc }
}

/// A parameter of the query that is a repository.
pub(super) const fn repository(doc: &'static str) -> Parameter {
    Parameter { name: "repository", place: "query", kind: Type::Text, pattern: Some(REPOSITORY_NAME), doc }
}

pub(super) static NAME: Parameter =
    path("name", REPOSITORY_NAME, "The repository. Its slashes are sent as they are.");
static ID: Parameter = path("id", PACKAGE_ID, "The package.");
static PATH: Parameter = path(
    "path",
    "^[^/]+(/[^/]+)*$",
    "The path of the file. Its slashes are sent as they are; everything else is percent-encoded UTF-8 in \
     normalisation form C, at most 1024 bytes and 255 in a part, without empty parts, `.`, `..`, backslashes and control characters.",
);
static SCHEMA: Parameter = path("schema", WORD, "The name of the schema.");
pub(super) static N: Parameter =
    query("n", Type::Number { min: 0, max: None }, "Entries at most; the server has a limit of its own.");
pub(super) static LAST: Parameter = Parameter {
    name: "last",
    place: "query",
    kind: Type::Text,
    pattern: Some("^[^\\x00]*$"),
    doc: "Those after this one, which need not exist.",
};
static STATUS: Parameter = query(
    "status",
    Type::OneOf(&["created", "uploading", "finalized", "deleted", "failed"]),
    "Only packages of this status.",
);
static ELIGIBLE: Parameter = query(
    "eligible",
    Type::Flag,
    "Only packages whose retention is over and that nothing holds, the longest over first, each with its `eligibility`. \
     `last` is then that of the link of the page before; a page can be short, and the link says whether there are more.",
);
static CLASS: Parameter = word("class", "Only packages of this retention class.");
static KIND: Parameter = word("kind", "Only packages of this kind.");
static REFERENCE: Parameter = Parameter {
    name: "reference",
    place: "query",
    kind: Type::Text,
    pattern: Some(SHA256),
    doc: "Only packages that this OCI manifest stands for.",
};
static REPLACE: Parameter = query("replace", Type::Flag, "Whether it may take the place of another file.");
pub(super) static DIGEST: Parameter = Parameter {
    name: "digest",
    place: "query",
    kind: Type::Text,
    pattern: Some("^(sha256|blake3):[0-9a-f]{64}$|^sha512:[0-9a-f]{128}$"),
    doc: "What the file hashes to; anything else is refused.",
};
static MOUNT: Parameter = Parameter {
    name: "mount",
    place: "query",
    kind: Type::Text,
    pattern: Some("^(sha256|blake3):[0-9a-f]{64}$|^sha512:[0-9a-f]{128}$"),
    doc: "A blob this repository holds already, which becomes the file; there is no body then.",
};
static ROLE: Parameter = word("role", "What the file is for, e.g. `scorecard`.");
pub(super) static SINCE: Parameter =
    query("since", Type::Number { min: 0, max: Some((1 << 53) - 1) }, "Events after this sequence number.");
pub(super) static LIMIT: Parameter =
    query("limit", Type::Number { min: 1, max: None }, "Events at most; 1000 and 4 MiB in any case.");

pub(super) const LOCATION: (&str, &str) = ("Location", "Where it is.");
pub(super) const LINK: (&str, &str) = ("Link", "The next page, `rel=\"next\"`; absent on the last one.");
pub(super) const ETAG: (&str, &str) = ("ETag", "Its digest.");

const PACKAGE: Answer = ok("The package with its first 1000 files.", &[Body::Json("Package")]);
pub(super) const NOT_MODIFIED: Answer =
    Answer { status: 304, doc: "`If-None-Match` names what is there.", bodies: &[], headers: &[ETAG] };

/// Every operation, by path.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/packages",
        id: "createPackage",
        summary: "Begin a draft",
        parameters: &[&NAME],
        body: Some(Body::Optional("NewPackage")),
        answers: &[Answer {
            status: 201,
            doc: "The draft.",
            bodies: &[Body::Json("Package")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages",
        id: "listPackages",
        summary: "List packages by id, oldest first; 100 at most, without their files",
        parameters: &[&NAME, &ELIGIBLE, &STATUS, &CLASS, &KIND, &REFERENCE, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Packages")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages/{id}",
        id: "getPackage",
        summary: "Read a package",
        parameters: &[&NAME, &ID],
        body: None,
        answers: &[PACKAGE],
        refusals: &[400, 404],
    },
    Operation {
        method: "DELETE",
        path: "/v2/{name}/_artifactstore/packages/{id}",
        id: "abortPackage",
        summary: "Give a draft up; repeating it changes nothing",
        parameters: &[&NAME, &ID],
        body: None,
        answers: &[Answer { status: 204, doc: "It has failed.", bodies: &[], headers: &[] }],
        refusals: &[400, 404, 405, 409],
    },
    Operation {
        method: "POST",
        path: "/v2/{name}/_artifactstore/packages/{id}/finalize",
        id: "finalizePackage",
        summary: "Make a package of a draft, and push its OCI manifest in the same step",
        parameters: &[&NAME, &ID],
        body: Some(Body::Optional("Finalize")),
        answers: &[PACKAGE],
        refusals: &[400, 403, 404, 409, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages/{id}/manifest",
        id: "getPackageManifest",
        summary: "The manifest of a finalized package: canonical CBOR, or its projection to canonical JSON, as \
                  `Accept` says; JSON when it names neither",
        parameters: &[&NAME, &ID],
        body: None,
        answers: &[
            Answer {
                headers: &[ETAG],
                ..ok(
                    "The manifest. The entity tag is its digest, weak for JSON.",
                    &[
                        Body::Of("application/vnd.artifactstore.manifest.v1+cbor"),
                        Body::Of("application/vnd.artifactstore.manifest.v1+json"),
                    ],
                )
            },
            NOT_MODIFIED,
        ],
        refusals: &[400, 404, 409],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages/{id}/events",
        id: "listPackageEvents",
        summary: "What happened to a package, in order",
        parameters: &[&NAME, &ID, &SINCE, &LIMIT],
        body: None,
        answers: &[ok("A page; the next one is since `next_since`.", &[Body::Json("Events")])],
        refusals: &[400, 404, 409],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages/{id}/files",
        id: "listPackageFiles",
        summary: "List files by path; 1000 at most",
        parameters: &[&NAME, &ID, &N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Files")]) }],
        refusals: &[400, 404],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/packages/{id}/files/{path}",
        id: "getPackageFile",
        summary: "Download a file, or ranges of it",
        parameters: &[&NAME, &ID, &PATH],
        body: None,
        answers: &[
            Answer { headers: &[ETAG], ..ok("The file.", &[Body::Any]) },
            Answer { status: 206, doc: "The ranges asked for.", bodies: &[Body::Any], headers: &[ETAG] },
            NOT_MODIFIED,
            Answer {
                status: 307,
                doc: "The storage serves it, unless the request has `X-Artifactstore-Redirect: never`.",
                bodies: &[],
                headers: &[LOCATION],
            },
        ],
        refusals: &[400, 404, 416],
    },
    Operation {
        method: "HEAD",
        path: "/v2/{name}/_artifactstore/packages/{id}/files/{path}",
        id: "headPackageFile",
        summary: "The size, type and digest of a file",
        parameters: &[&NAME, &ID, &PATH],
        body: None,
        answers: &[
            Answer { status: 200, doc: "The file is there.", bodies: &[], headers: &[ETAG] },
            NOT_MODIFIED,
        ],
        refusals: &[400, 404],
    },
    Operation {
        method: "PUT",
        path: "/v2/{name}/_artifactstore/packages/{id}/files/{path}",
        id: "putPackageFile",
        summary: "Put a file into a draft. `Content-Type` is the file's; without one it is guessed from the path",
        parameters: &[&NAME, &ID, &PATH, &REPLACE, &DIGEST, &ROLE, &MOUNT],
        body: Some(Body::Any),
        answers: &[Answer {
            status: 201,
            doc: "The file.",
            bodies: &[Body::Json("File")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 403, 404, 409, 413],
    },
    Operation {
        method: "DELETE",
        path: "/v2/{name}/_artifactstore/packages/{id}/files/{path}",
        id: "deletePackageFile",
        summary: "Take a file out of a draft",
        parameters: &[&NAME, &ID, &PATH],
        body: None,
        answers: &[Answer { status: 204, doc: "It is out.", bodies: &[], headers: &[] }],
        refusals: &[400, 404, 405, 409],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/packages/{id}",
        id: "getPackageAnywhere",
        summary: "Read a package by its id alone",
        parameters: &[&ID],
        body: None,
        answers: &[PACKAGE],
        refusals: &[404],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/schemas",
        id: "listSchemas",
        summary: "List metadata schemas by name; 100 at most",
        parameters: &[&N, &LAST],
        body: None,
        answers: &[Answer { headers: &[LINK], ..ok("A page.", &[Body::Json("Schemas")]) }],
        refusals: &[400],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/schemas/{schema}",
        id: "getSchema",
        summary: "A metadata schema, as it was sent",
        parameters: &[&SCHEMA],
        body: None,
        answers: &[
            Answer { headers: &[ETAG], ..ok("The schema.", &[Body::Of("application/schema+json")]) },
            NOT_MODIFIED,
        ],
        refusals: &[404],
    },
    Operation {
        method: "PUT",
        path: "/v2/_artifactstore/schemas/{schema}",
        id: "putSchema",
        summary: "Register a metadata schema for packages to come: a JSON Schema of at most 256 KiB that refers to \
                  no other document",
        parameters: &[&SCHEMA],
        body: Some(Body::Of("application/schema+json")),
        answers: &[Answer {
            status: 201,
            doc: "It is registered.",
            bodies: &[Body::Json("Schema")],
            headers: &[LOCATION],
        }],
        refusals: &[400, 413],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/retention/classes",
        id: "listRetentionClasses",
        summary: "The retention classes in force, from the shortest to the longest",
        parameters: &[],
        body: None,
        answers: &[ok("The classes.", &[Body::Json("Classes")])],
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/openapi.json",
        id: "getOpenApi",
        summary: "This document",
        parameters: &[],
        body: None,
        answers: &[Answer {
            status: 200,
            doc: "OpenAPI 3.1.",
            bodies: &[Body::Of("application/json")],
            headers: &[],
        }],
        refusals: &[],
    },
];
