//! The audit of a registry that has one. Answers are passed on as the JSON they are.

use http::{Method, StatusCode};
use serde_json::Value;

use super::http::Call;
use super::packages::plain;
use super::{Client, Error};
use crate::oci::RepositoryName;

impl Client {
    /// A page of the audit: of one repository, or of the whole registry. `query` is what is asked, by the names of the
    /// parameters.
    pub async fn audit(
        &self,
        repository: Option<&RepositoryName>,
        query: &[(&str, String)],
    ) -> Result<Value, Error> {
        let place = repository.map_or_else(|| "/v2".to_owned(), |name| format!("/v2/{name}"));
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        let target = format!("{place}/_artifactstore/audit?{}", pairs.join("&"));
        let scope = repository.map_or("", RepositoryName::as_str);
        self.json(&Call::new(Method::GET, target, scope), &[StatusCode::OK]).await
    }
}
