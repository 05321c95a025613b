//! From errors to the wire: the only place that knows which status an error has.

mod detail;

use http::header::{ALLOW, LOCATION, RANGE, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde_json::json;

use self::detail::detail;
use super::limits::Refused;
use super::respond::{Answer, Headers as _, full};
use super::route::RouteError;
use crate::oci::{Digest, ErrorBody, ErrorCode, ReferenceError, received_range_status};
use crate::registry;

/// Missing digests named in one answer; a client that pushes them meets the others next.
const MAX_MISSING: usize = 1000;

/// Seconds after which an upload may have ended; when one does is not known.
const UPLOADS_RETRY: u64 = 5;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) enum Error {
    Route(RouteError),
    Registry(registry::Error),
    /// The registry said no to a change of a protection, or to a step of a disposition.
    Refused {
        error: registry::Error,
        /// What was tried, what stands against it, and where to ask about it.
        detail: serde_json::Value,
    },
    /// The registry said no to a request on an upload; a client recovers from `Location` and `Range`.
    Upload {
        error: registry::Error,
        location: String,
    },
    /// The `Content-Range` of a chunk is not one.
    ContentRange {
        reason: String,
        location: String,
        received: u64,
    },
    /// The `Range` of a download cannot be satisfied.
    Unsatisfiable {
        size: u64,
    },
    /// An upload cannot be cancelled while a request writes to it.
    Busy,
    /// There was no memory in time for a large body, in or out.
    Crowded,
    /// The client wants an answer in a form there is none in.
    NotAcceptable(&'static [&'static str]),
    /// The header `Last-Event-ID` is no place in the log.
    LastEventId,
    /// As many clients follow the log as may at once.
    TooManyStreams {
        limit: usize,
    },
    /// An address asks for too much.
    Limited(Refused),
    /// A bug, or a database altered by hand.
    Panicked(String),
    /// The body is not the JSON it should be.
    Body(String),
    /// The body is larger than any of its kind.
    BodyTooLarge {
        limit: usize,
    },
    /// The body ended early; nobody reads this answer.
    Broken(String),
}

impl From<RouteError> for Error {
    fn from(error: RouteError) -> Self {
        Self::Route(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Limited(refused)
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(error)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panic(String);

/// Status and code of an error; no code for a 5xx, whose body is not the spec's.
type Wire = (StatusCode, Option<ErrorCode>);

fn refused(status: StatusCode, code: ErrorCode) -> Wire {
    (status, Some(code))
}

fn route(error: &RouteError) -> Wire {
    match error {
        RouteError::NotFound => refused(StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        RouteError::Method(_) => refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
        RouteError::Name(_) => refused(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        RouteError::Digest(_)
        | RouteError::QueryDigest { .. }
        | RouteError::DigestMissing
        | RouteError::Reference(ReferenceError::Digest(_)) => {
            refused(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
        }
        // Not TAG_INVALID, which the spec's list does not have; skopeo takes MANIFEST_INVALID for a wish
        // to see another manifest type, but a malformed reference fails with any.
        RouteError::Reference(ReferenceError::Tag(_))
        | RouteError::Tag(_)
        | RouteError::Path(_)
        | RouteError::Item(_)
        | RouteError::EncodedSlash(_) => refused(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
        // The conformance suite of 1.1 asks for 404 here, and a tag that cannot be is one that is not.
        RouteError::NoSuchTag(_)
        | RouteError::Package(_)
        | RouteError::Hold(_)
        | RouteError::Disposition(_)
        | RouteError::Webhook(_) => refused(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
        RouteError::SignedForReading => refused(StatusCode::FORBIDDEN, ErrorCode::Denied),
        RouteError::Upload => refused(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
        RouteError::Key(_)
        | RouteError::Encoding(_)
        | RouteError::Query { .. }
        | RouteError::UnknownQuery { .. } => refused(StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
    }
}

fn wire(error: &registry::Error) -> Wire {
    use registry::Error as E;
    match error {
        E::RepositoryUnknown(_) => refused(StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
        E::BlobUnknown(_) | E::FileUnknown { .. } | E::FileInArchive { .. } | E::KeyUnknown(_) => {
            refused(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown)
        }
        E::ManifestUnknown(_)
        | E::TagUnknown(_)
        | E::PackageUnknown(_)
        | E::SchemaUnknown(_)
        | E::DispositionUnknown(_)
        | E::HoldUnknown(_)
        | E::RunUnknown(_)
        | E::ScrubUnknown(_)
        | E::WebhookUnknown(_) => refused(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
        // 405 and not 409: the spec's table knows 405 for a delete the registry will not do.
        E::BlobInUse { .. } | E::BlobInPackage { .. } | E::BlobInObject { .. } => {
            refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Denied)
        }
        // 403 where something was to be put in its place: there 405 would say that nobody may push.
        E::Protected(protected) if protected.action.is_removal() => {
            refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Denied)
        }
        E::CursorAhead { .. } | E::OtherLog { .. } => refused(StatusCode::CONFLICT, ErrorCode::CursorAhead),
        E::CursorExpired { .. } => refused(StatusCode::GONE, ErrorCode::CursorExpired),
        E::Disposed { .. } => refused(StatusCode::GONE, ErrorCode::ManifestUnknown),
        E::Protected(_) | E::TagRetired { .. } | E::BypassNeeded | E::OwnProposal(_) => {
            refused(StatusCode::FORBIDDEN, ErrorCode::Denied)
        }
        E::ReferencesUnknown(_) => refused(StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown),
        E::ManifestInvalid(_)
        | E::PackageInvalid(_)
        | E::ArchiveInvalid { .. }
        | E::ClassDenied(_)
        | E::TextInvalid { .. }
        | E::EventHoldOnAll
        | E::TimeInvalid
        | E::SchemaMissing(_)
        | E::SchemaInvalid { .. }
        | E::MetadataInvalid { .. } => refused(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
        E::ManifestTooLarge { .. } => refused(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid),
        // Endpoints of our own, which no conformance suite asks: here 409 is what it says.
        E::PackageNotDraft { .. }
        | E::PackageChanged(_)
        | E::PackageNotFinalized { .. }
        | E::FileExists { .. }
        | E::PathConflict { .. }
        | E::CollectionRunning
        | E::CollectionTaken
        | E::ScrubRunning
        | E::ScrubTaken
        | E::RetentionRefused(_)
        | E::NotRetained(_)
        | E::NotRetainedYet(_)
        | E::HoldEnded { .. }
        | E::DispositionEnded { .. }
        | E::NotExecuted { .. }
        | E::DispositionOpen(_)
        | E::StaleRevision { .. }
        | E::NotApproved { .. }
        | E::CoolingOff { .. }
        | E::ClockFrozen { .. }
        | E::ClockNotBegun
        | E::TooManyWebhooks { .. }
        | E::WebhookMoved(_)
        | E::WebhookPlaceLost { .. }
        | E::WebhookDamaged(_)
        | E::WebhookInactive { .. }
        | E::NothingLeft { .. } => refused(StatusCode::CONFLICT, ErrorCode::Denied),
        E::MediaTypeInvalid(_) | E::UrlTime { .. } | E::WebhookForbidden(_) | E::AuditOfRepository => {
            refused(StatusCode::BAD_REQUEST, ErrorCode::Unsupported)
        }
        E::RangeInvalid { .. } => refused(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid),
        E::UrlRefused | E::UrlExpired { .. } => refused(StatusCode::FORBIDDEN, ErrorCode::Denied),
        E::TooManyTags { .. } => refused(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported),
        E::DigestMismatch { .. } => refused(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        E::UploadUnknown(_) => refused(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
        E::UploadOutOfOrder { .. } => {
            refused(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid)
        }
        E::ChunkSize { .. } => refused(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
        E::BodyBroken { .. } => refused(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid),
        E::BlobTooLarge { .. } => refused(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid),
        E::KeyDiffers { .. } => refused(StatusCode::PRECONDITION_FAILED, ErrorCode::Denied),
        error if error.is_unanswerable() => refused(StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
        error if error.is_temporary() => (StatusCode::SERVICE_UNAVAILABLE, None),
        E::Stopping | E::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        E::CopyDiffers(_)
        | E::WrongPlace(_)
        | E::SamePlace(_)
        | E::Data(_)
        | E::Log(_)
        | E::Db(_)
        | E::BlobDamaged { .. }
        | E::ScrubStuck(_)
        | E::WebhookEvent { .. }
        | E::ManifestLost(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// Renders an error. A 5xx is logged here, once, with everything that led to it; the client gets an id. One that
/// passes by itself is a warning.
pub(super) fn answer(error: Error) -> Answer {
    match error {
        Error::Route(error) => {
            let rendered = render(route(&error), &error, None);
            match &error {
                RouteError::Method(allowed) => rendered.with(ALLOW, &allowed.join(", ")),
                _ => rendered,
            }
        }
        Error::Registry(registry::Error::ReferencesUnknown(missing)) => references_unknown(&missing),
        Error::Registry(error) if error.is_damage() => damaged(&error),
        Error::Registry(error) => render(wire(&error), &error, detail(&error)).with_extras(&error),
        Error::Refused { error, detail: mut known } => {
            if let (Some(known), Some(serde_json::Value::Object(more))) =
                (known.as_object_mut(), detail(&error))
            {
                known.extend(more);
            }
            render(wire(&error), &error, Some(known)).with_extras(&error)
        }
        Error::Upload { error, location } => {
            let rendered = render(wire(&error), &error, detail(&error)).with_extras(&error);
            match error {
                registry::Error::UploadOutOfOrder { received } => {
                    rendered.with(LOCATION, &location).with(RANGE, &received_range_status(received))
                }
                _ => rendered,
            }
        }
        Error::ContentRange { reason, location, received } => {
            let body =
                ErrorBody::new(ErrorCode::BlobUploadInvalid, format!("invalid Content-Range: {reason}"));
            full(StatusCode::RANGE_NOT_SATISFIABLE, "application/json", body.to_bytes())
                .with(LOCATION, &location)
                .with(RANGE, &received_range_status(received))
        }
        Error::Unsatisfiable { size } => {
            let body = ErrorBody::new(
                ErrorCode::SizeInvalid,
                format!("no byte of the range is in these {size} bytes"),
            );
            full(StatusCode::RANGE_NOT_SATISFIABLE, "application/json", body.to_bytes())
                .with(http::header::CONTENT_RANGE, &format!("bytes */{size}"))
        }
        // Not 416, which is for chunks: the specification knows 400 and 404 here.
        Error::Busy => {
            let reason = "a request is still writing to this upload; cancel it when that has ended";
            let body = ErrorBody::new(ErrorCode::BlobUploadInvalid, reason);
            full(StatusCode::BAD_REQUEST, "application/json", body.to_bytes())
        }
        Error::Crowded => {
            let reason = "the registry is busy with other large requests and did nothing about this one; send it \
                again in a few seconds";
            let code = ErrorCode::TooManyRequests.as_str();
            let body = json!({ "message": reason, "errors": [{ "code": code, "message": reason }] });
            full(StatusCode::SERVICE_UNAVAILABLE, "application/json", body.to_string()).with(RETRY_AFTER, "5")
        }
        Error::NotAcceptable(forms) => {
            let reason = format!("Accept names nothing there is here, which is {}", forms.join(", "));
            let body = ErrorBody::new(ErrorCode::Unsupported, reason);
            full(StatusCode::NOT_ACCEPTABLE, "application/json", body.to_bytes())
        }
        Error::LastEventId => {
            let reason =
                "the header Last-Event-ID is not the number of an event, as in the field id of the stream";
            let body = ErrorBody::new(ErrorCode::Unsupported, reason);
            full(StatusCode::BAD_REQUEST, "application/json", body.to_bytes())
        }
        Error::TooManyStreams { limit } => {
            let reason = format!("{limit} streams of events are open, which are all there may be");
            let body = ErrorBody::new(ErrorCode::TooManyRequests, reason);
            full(StatusCode::TOO_MANY_REQUESTS, "application/json", body.to_bytes()).with(RETRY_AFTER, "30")
        }
        Error::Limited(refused) => limited(refused),
        Error::Body(reason) => {
            let body = ErrorBody::new(ErrorCode::ManifestInvalid, reason);
            full(StatusCode::BAD_REQUEST, "application/json", body.to_bytes())
        }
        Error::BodyTooLarge { limit } => {
            let reason = format!("the body of this request has at most {limit} bytes");
            let body = ErrorBody::new(ErrorCode::SizeInvalid, reason);
            full(StatusCode::PAYLOAD_TOO_LARGE, "application/json", body.to_bytes())
        }
        Error::Panicked(reason) => failed(StatusCode::INTERNAL_SERVER_ERROR, &Panic(reason)),
        Error::Broken(reason) => {
            let body = ErrorBody::new(ErrorCode::SizeInvalid, reason);
            full(StatusCode::BAD_REQUEST, "application/json", body.to_bytes())
        }
    }
}

fn limited(refused: Refused) -> Answer {
    let (reason, seconds) = match refused {
        Refused::Requests { seconds } => ("too many requests come from this address", seconds),
        Refused::Uploads => ("too many uploads from this address are under way", UPLOADS_RETRY),
    };
    let body = ErrorBody::new(ErrorCode::TooManyRequests, format!("{reason}; come back in {seconds} s"));
    full(StatusCode::TOO_MANY_REQUESTS, "application/json", body.to_bytes())
        .with(RETRY_AFTER, &seconds.to_string())
}

/// One error per missing digest, each once (distribution-spec "Pushing Manifests").
fn references_unknown(missing: &[Digest]) -> Answer {
    let mut named: Vec<&Digest> = Vec::new();
    for digest in missing {
        if named.len() < MAX_MISSING && !named.contains(&digest) {
            named.push(digest);
        }
    }
    let code = ErrorCode::ManifestBlobUnknown;
    let message =
        |digest: &Digest| format!("the manifest names {digest}, which this repository does not hold");
    let mut named = named.into_iter();
    let first = named.next().expect("the registry names at least one");
    let mut body = ErrorBody::new(code, message(first)).with_detail(json!({ "digest": first }));
    for digest in named {
        body = body.and(code, message(digest)).with_detail(json!({ "digest": digest }));
    }
    full(StatusCode::BAD_REQUEST, "application/json", body.to_bytes())
}

fn render(
    (status, code): Wire,
    error: &(dyn std::error::Error + 'static),
    detail: Option<serde_json::Value>,
) -> Answer {
    let Some(code) = code else {
        return failed(status, error);
    };
    let mut body = ErrorBody::new(code, error.to_string());
    if let Some(detail) = detail {
        body = body.with_detail(detail);
    }
    full(status, "application/json", body.to_bytes())
}

/// What other registries say where the specification has no code.
const UNKNOWN: &str = "UNKNOWN";

/// Stored bytes are not what was stored: no wrong byte is given out, and whoever can is told to push them again.
fn damaged(error: &registry::Error) -> Answer {
    let (id, reason) = logged(StatusCode::INTERNAL_SERVER_ERROR, error);
    let mut detail = json!({ "request_id": id });
    if let registry::Error::BlobDamaged { digest, damage } = error {
        detail["digest"] = json!(digest);
        detail["damage"] = damage.as_str().into();
    }
    let message = match error {
        registry::Error::BlobDamaged { .. } | registry::Error::ManifestLost(_) => reason,
        _ => "the stored bytes are missing or damaged; push the content again to repair it".to_owned(),
    };
    let body = json!({ "errors": [{ "code": UNKNOWN, "message": message, "detail": detail }] });
    full(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body.to_string())
}

fn failed(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Answer {
    let (id, _) = logged(status, error);
    let message = if status == StatusCode::SERVICE_UNAVAILABLE {
        "the registry cannot do this for the moment; try again, the request id names the log line"
    } else {
        "the registry failed; the request id names the log line"
    };
    let body = json!({ "message": message, "request_id": id });
    full(status, "application/json", body.to_string())
}

/// Logs why an answer ends that was under way; under which id.
pub(super) fn failed_midway(error: &Error) -> String {
    match error {
        Error::Registry(error) if error.is_temporary() => logged(StatusCode::SERVICE_UNAVAILABLE, error).0,
        Error::Registry(error) => logged(StatusCode::INTERNAL_SERVER_ERROR, error).0,
        other => logged(StatusCode::INTERNAL_SERVER_ERROR, &Panic(format!("{other:?}"))).0,
    }
}

/// Logs a failure with everything that led to it: under which id, and what.
fn logged(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> (String, String) {
    let id = ulid::Ulid::generate().to_string();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(request.id = id, status = status.as_u16(), "A request has to be repeated: {reason}");
    } else {
        tracing::error!(request.id = id, status = status.as_u16(), "A request failed: {reason}");
    }
    (id, reason)
}

trait Extras {
    fn with_extras(self, error: &registry::Error) -> Self;
}

impl Extras for Answer {
    fn with_extras(self, error: &registry::Error) -> Self {
        let extra: Option<(HeaderName, &str)> = match error {
            registry::Error::BlobInUse { .. }
            | registry::Error::BlobInPackage { .. }
            | registry::Error::BlobInObject { .. } => Some((ALLOW, "GET, HEAD")),
            registry::Error::Protected(protected) if protected.action.is_removal() => {
                Some((ALLOW, "GET, HEAD"))
            }
            error if error.is_temporary() => Some((RETRY_AFTER, "5")),
            _ => None,
        };
        match extra {
            Some((name, value)) => self.with(name, value),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::ResponseBody;
    use super::*;

    #[test]
    fn a_refusal_for_want_of_memory_told_of_the_server_and_not_of_the_request() {
        let refused = answer(Error::Crowded);
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[RETRY_AFTER], "5");
        let ResponseBody::Full(body) = refused.into_body() else { panic!("a refusal is short") };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
        assert!(body["errors"][0]["message"].as_str().unwrap().contains("send it again"), "{body}");
    }
}
