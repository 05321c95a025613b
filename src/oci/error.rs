//! The errors a client sees (distribution-spec, "Error Codes").

use serde::Serialize;
use serde_json::Value;

/// Every code the specification knows, and those of the extension. A 4xx answer carries one of these and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum ErrorCode {
    /// code-1: blob unknown to registry.
    BlobUnknown,
    /// code-2: blob upload invalid.
    BlobUploadInvalid,
    /// code-3: blob upload unknown to registry.
    BlobUploadUnknown,
    /// code-4: provided digest did not match uploaded content.
    DigestInvalid,
    /// code-5: manifest references a manifest or blob unknown to registry.
    ManifestBlobUnknown,
    /// code-6: manifest invalid.
    ManifestInvalid,
    /// code-7: manifest unknown to registry.
    ManifestUnknown,
    /// code-8: invalid repository name.
    NameInvalid,
    /// code-9: repository name not known to registry.
    NameUnknown,
    /// code-10: provided length did not match content length.
    SizeInvalid,
    /// code-11: authentication required.
    Unauthorized,
    /// code-12: requested access to the resource is denied.
    Denied,
    /// code-13: the operation is unsupported.
    Unsupported,
    /// code-14: too many requests.
    TooManyRequests,
    /// Of the extension: a place in the log that this log does not have.
    CursorAhead,
    /// Of the extension: a place in the log that is not there any more.
    CursorExpired,
}

impl ErrorCode {
    /// Every code of the specification, in its order.
    pub const ALL: [Self; 14] = [
        Self::BlobUnknown,
        Self::BlobUploadInvalid,
        Self::BlobUploadUnknown,
        Self::DigestInvalid,
        Self::ManifestBlobUnknown,
        Self::ManifestInvalid,
        Self::ManifestUnknown,
        Self::NameInvalid,
        Self::NameUnknown,
        Self::SizeInvalid,
        Self::Unauthorized,
        Self::Denied,
        Self::Unsupported,
        Self::TooManyRequests,
    ];

    /// The code as the wire has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::CursorAhead => "CURSOR_AHEAD",
            Self::CursorExpired => "CURSOR_EXPIRED",
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<ErrorCode> for &'static str {
    fn from(code: ErrorCode) -> Self {
        code.as_str()
    }
}

/// The body of an error answer: `{"errors":[{"code","message","detail"?}]}`, at least one entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorBody {
    errors: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entry {
    code: ErrorCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

impl ErrorBody {
    /// A body with one error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![Entry { code, message: message.into(), detail: None }] }
    }

    /// Adds one more error, e.g. a `MANIFEST_BLOB_UNKNOWN` per missing blob.
    #[must_use]
    pub fn and(mut self, code: ErrorCode, message: impl Into<String>) -> Self {
        self.errors.push(Entry { code, message: message.into(), detail: None });
        self
    }

    /// Sets the unstructured detail of the error added last.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Value>) -> Self {
        let last = self.errors.last_mut().expect("a body starts with one error");
        last.detail = Some(detail.into());
        self
    }

    /// The JSON text to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and JSON values always serialise")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn there_are_14_codes_and_each_has_its_own_text() {
        let texts: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), 14);
    }

    #[test]
    fn a_body_lists_its_errors_in_order_and_leaves_out_absent_details() {
        let body = ErrorBody::new(ErrorCode::ManifestBlobUnknown, "layer missing")
            .with_detail(json!({"digest": "sha256:00"}))
            .and(ErrorCode::ManifestBlobUnknown, "config \"x\" missing");
        assert_eq!(
            String::from_utf8(body.to_bytes()).unwrap(),
            r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"layer missing","detail":{"digest":"sha256:00"}},{"code":"MANIFEST_BLOB_UNKNOWN","message":"config \"x\" missing"}]}"#
        );
    }
}
