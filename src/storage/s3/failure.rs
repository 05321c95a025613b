//! From what the SDK reports to what a backend answers.

use std::error::Error as StdError;
use std::io;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;

use crate::storage::Error;

/// Codes that mean "not now", whatever status they came with.
const BUSY: [&str; 7] = [
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "OperationAborted",
];

/// An error of the SDK, whatever the operation.
#[derive(Debug)]
pub(super) struct Failure {
    status: Option<u16>,
    code: Option<String>,
    message: String,
}

impl<E> From<SdkError<E, Response>> for Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, Response>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let message = match (&error, error.message()) {
            (SdkError::ServiceError(_), Some(message)) if !message.is_empty() => message.to_owned(),
            (SdkError::ServiceError(_), _) => {
                status.map_or_else(String::new, |status| format!("status {status}"))
            }
            _ => DisplayErrorContext(&error).to_string().split(" (").next().unwrap_or_default().to_owned(),
        };
        Self { status, code, message }
    }
}

impl Failure {
    /// The server looked and there is no such object.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.code(), "NoSuchKey" | "NotFound")
            || (self.status == Some(404) && self.code().is_empty())
    }

    /// There is no such multipart upload (any more).
    pub(super) fn is_no_upload(&self) -> bool {
        self.code() == "NoSuchUpload"
    }

    /// A range outside of the object.
    pub(super) fn is_out_of_range(&self) -> bool {
        self.code() == "InvalidRange" || self.status == Some(416)
    }

    /// The object is not the one that was begun to read.
    pub(super) fn is_replaced(&self) -> bool {
        self.status == Some(412)
    }

    /// Whether the same request may work later: the server is overloaded, away or did not answer.
    pub(super) fn is_temporary(&self) -> bool {
        match self.status {
            None => true,
            Some(status) => status >= 500 || status == 429 || BUSY.contains(&self.code()),
        }
    }

    /// There was no answer at all.
    pub(super) fn is_unanswered(&self) -> bool {
        self.status.is_none()
    }

    /// The server's code, such as `AccessDenied`; empty when it gave none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// The error of a backend that was doing `action`.
    pub(super) fn during(self, action: impl Into<String>) -> Error {
        let source = io::Error::other(self.to_string());
        if self.is_temporary() { Error::unavailable(action, source) } else { Error::io(action, source) }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.code {
            Some(code) if !self.message.is_empty() => write!(f, "{code}: {}", self.message),
            Some(code) => f.write_str(code),
            None => f.write_str(&self.message),
        }
    }
}
