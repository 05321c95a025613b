//! Dispositions of a registry that knows them. Answers are passed on as the JSON they are.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

use super::http::Call;
use super::packages::{MAX_ANSWER, plain};
use super::retention::post;
use super::{Client, Error};
use crate::oci::RepositoryName;
use crate::retention::DispositionId;

impl Client {
    /// Proposes to dispose of something; `asked` is the body of the request.
    pub async fn propose_disposition(
        &self,
        repository: &RepositoryName,
        asked: &Value,
    ) -> Result<Value, Error> {
        let call = post(dispositions(repository), repository, asked).once();
        self.json(&call, &[StatusCode::CREATED]).await
    }

    /// A step of a disposition: `approve`, `reject` or `execute`.
    pub async fn step_disposition(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
        step: &str,
        asked: &Value,
    ) -> Result<Value, Error> {
        // A second attempt would find the first one's work in its way.
        let call = post(format!("{}/{id}/{step}", dispositions(repository)), repository, asked).once();
        self.json(&call, &[StatusCode::OK]).await
    }

    /// A disposition with its approvals.
    pub async fn disposition(&self, repository: &RepositoryName, id: &DispositionId) -> Result<Value, Error> {
        let target = format!("{}/{id}", dispositions(repository));
        self.json(&Call::new(Method::GET, target, repository.as_str()), &[StatusCode::OK]).await
    }

    /// The dispositions of a repository by id, of one status if so asked.
    pub async fn dispositions(
        &self,
        repository: &RepositoryName,
        status: Option<&str>,
    ) -> Result<Vec<Value>, Error> {
        let query = status.map(|status| format!("?status={}", plain(status))).unwrap_or_default();
        let first = format!("{}{query}", dispositions(repository));
        self.pages(first, repository, "dispositions", usize::MAX).await
    }

    /// The deletion certificate of a disposition that was executed, the bytes its digest is over.
    pub async fn certificate(&self, repository: &RepositoryName, id: &DispositionId) -> Result<Bytes, Error> {
        let target = format!("{}/{id}/certificate", dispositions(repository));
        let call = Call::new(Method::GET, target, repository.as_str());
        let answer = self.expect(&call, &[StatusCode::OK]).await?;
        self.body(&call.what(), answer, MAX_ANSWER).await
    }
}

fn dispositions(repository: &RepositoryName) -> String {
    format!("/v2/{repository}/_artifactstore/disposition")
}
