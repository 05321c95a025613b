//! Retentions and holds of a registry that knows them. Answers are passed on as the JSON they are.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::Call;
use super::packages::plain;
use super::payload::Payload;
use super::{Client, Error};
use crate::oci::RepositoryName;
use crate::retention::HoldId;

/// Says that a retention in governance mode is meant to be shortened.
const BYPASS: HeaderName = HeaderName::from_static("artifactstore-bypass-governance-retention");

impl Client {
    /// The retention classes in force, with their modes and periods.
    pub async fn retention_policy(&self) -> Result<Value, Error> {
        let call = Call::new(Method::GET, "/v2/_artifactstore/retention/classes".to_owned(), "");
        self.json(&call, &[StatusCode::OK]).await
    }

    /// The compliance clock.
    pub async fn clock(&self) -> Result<Value, Error> {
        let call = Call::new(Method::GET, "/v2/_artifactstore/clock".to_owned(), "");
        self.json(&call, &[StatusCode::OK]).await
    }

    /// Says that the registry's system clock is right; the compliance clock as it is then.
    pub async fn resync_clock(&self, reason: &str) -> Result<Value, Error> {
        let target = "/v2/_artifactstore/clock/resync".to_owned();
        let call = Call::new(Method::POST, target, "").header(CONTENT_TYPE, "application/json");
        let call = call.payload(Payload::Bytes(Bytes::from(json!({ "reason": reason }).to_string())));
        self.json(&call.once(), &[StatusCode::OK]).await
    }

    /// The retention of something, a tag, a digest or a package id; of the whole repository without.
    pub async fn retention(
        &self,
        repository: &RepositoryName,
        reference: Option<&str>,
    ) -> Result<Value, Error> {
        self.about(repository, "retention", reference).await
    }

    /// Why something stays; the whole repository without a reference.
    pub async fn explain(
        &self,
        repository: &RepositoryName,
        reference: Option<&str>,
    ) -> Result<Value, Error> {
        self.about(repository, "explain", reference).await
    }

    /// Makes a retention longer; `asked` is the body of the request.
    pub async fn extend_retention(&self, repository: &RepositoryName, asked: &Value) -> Result<Value, Error> {
        let target = format!("/v2/{repository}/_artifactstore/retention/extend");
        self.json(&post(target, repository, asked), &[StatusCode::OK]).await
    }

    /// Makes a retention in governance mode shorter.
    pub async fn shorten_retention(
        &self,
        repository: &RepositoryName,
        asked: &Value,
        bypass: bool,
    ) -> Result<Value, Error> {
        let target = format!("/v2/{repository}/_artifactstore/retention/shorten");
        let call = post(target, repository, asked);
        let call = if bypass { call.header(BYPASS, "true") } else { call };
        self.json(&call, &[StatusCode::OK]).await
    }

    /// Holds something, or the whole repository; the hold as JSON.
    pub async fn place_hold(&self, repository: &RepositoryName, asked: &Value) -> Result<Value, Error> {
        // A second attempt would be a second hold.
        let call = post(holds(repository), repository, asked).once();
        self.json(&call, &[StatusCode::CREATED]).await
    }

    /// The holds of a repository by id, also released ones if so asked.
    pub async fn holds(&self, repository: &RepositoryName, with_released: bool) -> Result<Vec<Value>, Error> {
        let first = format!("{}?released={with_released}", holds(repository));
        self.pages(first, repository, "holds", usize::MAX).await
    }

    /// Releases a hold; the hold as JSON.
    pub async fn release_hold(
        &self,
        repository: &RepositoryName,
        id: &HoldId,
        reason: &str,
    ) -> Result<Value, Error> {
        let target = format!("{}/{id}?reason={}", holds(repository), plain(reason));
        let call = Call::new(Method::DELETE, target, repository.as_str()).once();
        self.json(&call, &[StatusCode::OK]).await
    }

    async fn about(
        &self,
        repository: &RepositoryName,
        what: &str,
        reference: Option<&str>,
    ) -> Result<Value, Error> {
        let query = reference.map(|text| format!("?reference={}", plain(text))).unwrap_or_default();
        let target = format!("/v2/{repository}/_artifactstore/{what}{query}");
        self.json(&Call::new(Method::GET, target, repository.as_str()), &[StatusCode::OK]).await
    }
}

fn holds(repository: &RepositoryName) -> String {
    format!("/v2/{repository}/_artifactstore/holds")
}

/// A request with a JSON body.
pub(super) fn post<'a>(target: String, repository: &'a RepositoryName, asked: &Value) -> Call<'a> {
    Call::new(Method::POST, target, repository.as_str())
        .header(CONTENT_TYPE, "application/json")
        .payload(Payload::Bytes(Bytes::from(asked.to_string())))
}
