//! What a bucket's refusal means. An error is never read as absence.

use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::storage::Error;
use crate::telemetry::with_causes;

/// A request that failed, after all its attempts.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// What the server answered, if it did.
    pub(super) status: Option<u16>,
    /// Its own name for the error.
    pub(super) code: Option<String>,
    /// Whether nothing was sent, for want of credentials.
    is_anonymous: bool,
    text: String,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object. A HEAD cannot tell this from a missing bucket.
    Absent,
    /// There is no such multipart upload.
    NoUpload,
    /// The range lies outside the object.
    Range,
    /// The object is not the one that was asked for (`If-Match`).
    Changed,
    /// Overloaded, unreachable or silent: later it may work. Whether it was carried out is unknown.
    Unavailable,
    /// Anything else, for good.
    Refused,
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.as_service_error().and_then(|e| e.code()).map(str::to_owned);
        let message = error.as_service_error().and_then(|e| e.message());
        let text = match (status, message) {
            (Some(status), Some(message)) => {
                format!("{status} {}: {message}", code.as_deref().unwrap_or("error"))
            }
            (Some(status), None) if code.is_some() => {
                format!("{status} {}", code.as_deref().unwrap_or("error"))
            }
            _ => with_causes(&error),
        };
        let kind = match &error {
            SdkError::ConstructionFailure(_) => Kind::Refused,
            SdkError::ServiceError(_) => kind(status, code.as_deref()),
            // Neither a time-out nor a cut connection nor half an answer says what the server did.
            _ => Kind::Unavailable,
        };
        Self { kind, status, code, is_anonymous: lacks_credentials(&error), text }
    }
}

/// Whether the chain of credentials came to nothing.
fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error + 'static>::is::<CredentialsError>)
}

fn kind(status: Option<u16>, code: Option<&str>) -> Kind {
    match (status, code) {
        (_, Some("NoSuchUpload")) => Kind::NoUpload,
        (_, Some("NoSuchKey" | "NoSuchVersion" | "NotFound")) | (Some(404), None) => Kind::Absent,
        (_, Some("InvalidRange")) | (Some(416), _) => Kind::Range,
        (_, Some("PreconditionFailed")) | (Some(412), _) => Kind::Changed,
        (_, Some("SlowDown" | "RequestTimeout" | "ThrottlingException" | "OperationAborted" | "InternalError"))
        // With a 200 it is an error in the body: the server began to answer before it knew.
        | (Some(408 | 429 | 500..=599 | 200..=299), _) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

impl Fault {
    /// A body or an answer that makes no sense.
    pub(super) fn odd(text: impl Into<String>) -> Self {
        Self { kind: Kind::Unavailable, status: None, code: None, is_anonymous: false, text: text.into() }
    }

    /// The same, read otherwise by who knows what was asked.
    pub(super) fn read_as(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// As an error of the interface, seen while doing `action`. Absence needs its own answer, from a caller
    /// who knows of what.
    pub(super) fn during(self, action: impl Into<String>) -> Error {
        let action = action.into();
        match self.kind {
            Kind::Unavailable => Error::unavailable(action, io::Error::other(self.text)),
            Kind::Refused if self.is_denied() => {
                let text = format!("the credentials may not do this: {}", self.text);
                Error::io(action, io::Error::new(io::ErrorKind::PermissionDenied, text))
            }
            _ => Error::io(action, io::Error::other(self.text)),
        }
    }

    /// Whether the server knows us and says no.
    pub(super) fn is_denied(&self) -> bool {
        self.code.as_deref() == Some("AccessDenied") || (self.code.is_none() && self.status == Some(403))
    }

    /// Whether the server says that it does not have what was asked of it.
    pub(super) fn is_not_there(&self) -> bool {
        self.status == Some(501) || matches!(self.code.as_deref(), Some("NotImplemented" | "InvalidArgument"))
    }

    /// Whether another request on the same name was quicker, or may have been (409 of conditional requests).
    pub(super) fn is_raced(&self) -> bool {
        self.kind == Kind::Changed || self.status == Some(409)
    }

    /// Whether nothing was sent, for want of credentials.
    pub(super) fn lacks_credentials(&self) -> bool {
        self.is_anonymous
    }

    /// What happened, for people.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
