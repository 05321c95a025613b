//! The operations on the log.

use super::operations::{
    Answer, Body, LIMIT, NAME, Operation, Parameter, Type, header, ok, package, query, repository,
};

static SINCE: Parameter = Parameter {
    name: "since",
    place: "query",
    kind: Type::Text,
    pattern: Some("^(now|[0-9]+)$"),
    doc: "Events after this sequence number, of at most 2^53 - 1, or those recorded from `now` on. Where nobody says: 0 \
          for JSON and CBOR, which list the log; `now` for lines and server-sent events, which follow it.",
};
static WAIT: Parameter = query(
    "wait",
    Type::Number { min: 0, max: Some(60) },
    "Seconds to wait for more at the end of the log. Where nobody says: 0 for JSON and CBOR; lines and server-sent \
     events go on.",
);
static TYPES: Parameter = Parameter {
    name: "types",
    place: "query",
    kind: Type::Text,
    pattern: Some("^[a-z0-9._*]+( *, *[a-z0-9._*]+)*$"),
    doc: "Only events of these types, separated by commas: `tag.moved`, `v1.tag.moved`, or all that begin so, as in \
          `package` or `package.*`. Each must be that of some event there can be.",
};
static PACKAGE: Parameter = package("Only events whose subject is this package.");
static REPOSITORY: Parameter = repository("Only events about this repository.");
static LOG_ID: Parameter = Parameter {
    name: "log_id",
    place: "query",
    kind: Type::Text,
    pattern: Some("^[!-~]{1,64}$"),
    doc: "The log that `since` is a place in; any other is refused with 409.",
};
static EPOCH: Parameter =
    query("epoch", Type::Number { min: 0, max: Some((1 << 53) - 1) }, "The same of the epoch of the log.");
static FORMAT: Parameter = query(
    "format",
    Type::OneOf(&["json", "cloudevents"]),
    "How an event looks as JSON: as everywhere here, or as a `CloudEvent` 1.0 in structured mode.",
);
static LAST_EVENT_ID: Parameter =
    header("Last-Event-ID", "Of server-sent events: where the client was. Wins over `since`.");

const PAGE: Answer = Answer {
    headers: &[(
        "Link",
        "The next page of a batch of `CloudEvents`, `rel=\"next\"`, whether there is something on it yet or not.",
    )],
    ..ok(
        "As `Accept` says: a page; lines of JSON or server-sent events that go on until the client, the limit, the time \
         or the server ends them, with bookmarks in between; the stored bytes as a sequence of CBOR maps.",
        &[
            Body::Json("Events"),
            Body::Of("application/x-ndjson"),
            Body::Of("text/event-stream"),
            Body::Of("application/cbor-seq"),
            Body::Of("application/cloudevents-batch+json"),
        ],
    )
};

/// Every operation, by path.
pub(super) static EVENTS: &[Operation] = &[
    Operation {
        method: "GET",
        path: "/v2/_artifactstore/events",
        id: "followLog",
        summary: "List or follow the log. Unknown query parameters are refused here",
        parameters: &[
            &SINCE,
            &LIMIT,
            &WAIT,
            &TYPES,
            &PACKAGE,
            &REPOSITORY,
            &LOG_ID,
            &EPOCH,
            &FORMAT,
            &LAST_EVENT_ID,
        ],
        body: None,
        answers: &[PAGE],
        refusals: &[400, 406, 409, 410],
    },
    Operation {
        method: "GET",
        path: "/v2/{name}/_artifactstore/events",
        id: "followRepository",
        summary: "List or follow what happens to a repository. Unknown query parameters are refused here",
        parameters: &[
            &NAME,
            &SINCE,
            &LIMIT,
            &WAIT,
            &TYPES,
            &PACKAGE,
            &LOG_ID,
            &EPOCH,
            &FORMAT,
            &LAST_EVENT_ID,
        ],
        body: None,
        answers: &[PAGE],
        refusals: &[400, 404, 406, 409, 410],
    },
];
