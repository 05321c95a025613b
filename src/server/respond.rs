//! Building responses.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use http::{Response, StatusCode};

use super::body::{OutStream, ResponseBody};
use super::room::Sending;

/// What handlers return.
pub(super) type Answer = Response<ResponseBody>;

pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(super) const OCI_FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The package a pushed manifest stands for.
pub(super) const PACKAGE: HeaderName = HeaderName::from_static("artifactstore-package");

/// `never`: the client wants the bytes of a blob from here, also when the storage would serve them.
pub(super) const REDIRECT: HeaderName = HeaderName::from_static("x-artifactstore-redirect");

/// All warnings of a response together stay below this (distribution-spec "Warnings").
const MAX_WARNINGS: usize = 4096;

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

/// An answer with a body in memory.
pub(super) fn full(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let length = body.len() as u64;
    let mut answer = Response::new(ResponseBody::Full(body));
    *answer.status_mut() = status;
    answer.set(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

/// An answer whose body has a place in the memory for answers.
pub(super) fn held(content_type: &str, body: Sending) -> Answer {
    let length = body.left();
    let mut answer = Response::new(ResponseBody::Held(body));
    answer.set(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    full(status, "application/json", body.to_string())
}

/// A page of a list, and where the next one is.
pub(super) fn link(answer: Answer, next: Option<String>) -> Answer {
    match next {
        Some(next) => answer.with(LINK, &format!("<{next}>; rel=\"next\"")),
        None => answer,
    }
}

/// An answer with a body of `length` bytes that streams.
pub(super) fn stream(status: StatusCode, content_type: &str, frames: OutStream, length: u64) -> Answer {
    let mut answer = Response::new(ResponseBody::Stream { frames, left: length });
    *answer.status_mut() = status;
    answer.set(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

/// An answer with a body that streams until it ends.
pub(super) fn open(content_type: &str, frames: OutStream) -> Answer {
    Response::new(ResponseBody::Open(frames)).with(CONTENT_TYPE, content_type)
}

/// Setting headers whose values were checked.
pub(super) trait Headers {
    /// Sets a header. A value that cannot travel in a header is left out.
    fn set(&mut self, name: HeaderName, value: &str);

    /// Adds a header beside others of its name.
    fn add(&mut self, name: HeaderName, value: &str);

    /// Sets a header and returns the answer.
    #[must_use]
    fn with(self, name: HeaderName, value: &str) -> Self;

    /// Adds warnings, as many as fit.
    #[must_use]
    fn warn(self, warnings: &[String]) -> Self;
}

impl Headers for Answer {
    fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers_mut().insert(name, value);
        }
    }

    fn add(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers_mut().append(name, value);
        }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.set(name, value);
        self
    }

    fn warn(mut self, warnings: &[String]) -> Self {
        let mut left = MAX_WARNINGS;
        for text in warnings {
            let warning = warning(text);
            let Some(rest) = left.checked_sub(warning.len()) else { break };
            left = rest;
            self.add(http::header::WARNING, &warning);
        }
        self
    }
}

/// `299 - "text"`: no date, quotes escaped, no control characters, ASCII.
fn warning(text: &str) -> String {
    let mut quoted = String::from("299 - \"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_stay_within_four_kibibytes() {
        assert_eq!(warning("say \"hi\"\n\\"), r#"299 - "say \"hi\"?\\""#);
        let many: Vec<String> = (0..30).map(|n| format!("{n} {}", "x".repeat(300))).collect();
        let answer = empty(StatusCode::CREATED).warn(&many);
        let values: Vec<_> = answer.headers().get_all(http::header::WARNING).iter().collect();
        let total: usize = values.iter().map(|value| value.len()).sum();
        assert!(values.len() > 10 && total <= MAX_WARNINGS, "{} warnings, {total} bytes", values.len());
    }
}
