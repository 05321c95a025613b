//! The extension API: what only this registry knows of packages.
//!
//! Answers are passed on as the JSON they are: fields may be added to them, and whoever reads a command's JSON
//! output gets those as well.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap, HeaderName, LINK};
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::http::Call;
use super::{Client, Error};
use crate::oci::{Digest, RepositoryName};
use crate::package::mapping::names::{MANIFEST_CBOR, MANIFEST_JSON};
use crate::package::{PackageId, PackagePath};

/// Names the package a pushed manifest is.
const PACKAGE: HeaderName = HeaderName::from_static("artifactstore-package");

/// Bytes of one JSON answer, or one manifest, at most.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// Pages of one list at most: whatever a server says, a list ends.
const MAX_PAGES: usize = 10_000;

/// What may stand in a path or a query value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Which packages of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `created`, `uploading`, `finalized`, `deleted` or `failed`.
    pub status: Option<String>,
    /// The resolved class.
    pub class: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The SHA-256 digest of the OCI manifest.
    pub reference: Option<Digest>,
    /// Only those behind this id; it need not exist.
    pub after: Option<String>,
    /// Only those that a disposition may go on with.
    pub eligible: bool,
}

/// How a package's manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The canonical CBOR, which digests are over.
    Cbor,
    /// Its projection to canonical JSON.
    Json,
}

impl Client {
    /// A package by its id, whatever its repository. An answer about anything else is none.
    pub async fn package(&self, id: &PackageId) -> Result<Value, Error> {
        let call = Call::new(Method::GET, format!("/v2/_artifactstore/packages/{id}"), "");
        let package = self.json(&call, &[StatusCode::OK]).await?;
        if package["id"].as_str() != Some(id.as_str()) {
            return Err(self.protocol(&call.what(), format!("its answer is not about package {id}")));
        }
        Ok(package)
    }

    /// The repository a package is in.
    pub async fn repository_of(&self, id: &PackageId) -> Result<RepositoryName, Error> {
        let package = self.package(id).await?;
        let name = package["repository"].as_str().unwrap_or_default();
        let wrong = || self.protocol(&format!("package {id}"), "its answer names no repository");
        name.parse().map_err(|_| wrong())
    }

    /// The packages of a repository that the filter lets through, at most `limit`, by id.
    pub async fn packages(
        &self,
        repository: &RepositoryName,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let first = list_target(repository, filter);
        self.pages(first, repository, "packages", limit).await
    }

    /// The names of the retention classes, from the shortest to the longest; `None` from a registry that has none.
    pub async fn retention_classes(&self) -> Result<Option<Vec<String>>, Error> {
        let call = Call::new(Method::GET, "/v2/_artifactstore/retention/classes", "");
        let answer = match self.json(&call, &[StatusCode::OK]).await {
            Ok(answer) => answer,
            Err(error) if error.is_no_extension() => return Ok(None),
            Err(error) => return Err(error),
        };
        let names = |classes: &Vec<Value>| {
            classes.iter().filter_map(|class| class["name"].as_str().map(str::to_owned)).collect()
        };
        Ok(answer["classes"].as_array().map(names))
    }

    /// The files of a package behind a path, which need not exist, at most `limit`, by path.
    pub async fn package_files(
        &self,
        id: &PackageId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let repository = self.repository_of(id).await?;
        let first = format!("{}/files?last={}", package_target(&repository, id), plain(after));
        self.pages(first, &repository, "files", limit).await
    }

    /// One file of a package as the list has it.
    pub async fn package_file(&self, id: &PackageId, path: &PackagePath) -> Result<Option<Value>, Error> {
        // Whatever is less by its last character is somewhere before it.
        let mut before = path.as_str().to_owned();
        before.pop();
        let repository = self.repository_of(id).await?;
        let mut next = Some(format!("{}/files?last={}", package_target(&repository, id), plain(&before)));
        for _ in 0..MAX_PAGES {
            let Some(target) = next.take() else { break };
            let (page, following) = self.page(target, &repository, "files").await?;
            let is_at = |file: &Value| file["path"].as_str().is_some_and(|at| at >= path.as_str());
            if let Some(file) = page.into_iter().find(is_at) {
                return Ok(Some(file).filter(|file| file["path"] == path.as_str()));
            }
            next = following;
        }
        Ok(None)
    }

    /// What happened to a package after the event `since`, at most `limit` events, the oldest first.
    pub async fn package_events(
        &self,
        id: &PackageId,
        since: i64,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let repository = self.repository_of(id).await?;
        let (mut events, mut since) = (Vec::new(), since);
        for _ in 0..MAX_PAGES {
            let target = format!("{}/events?since={since}", package_target(&repository, id));
            let call = Call::new(Method::GET, target, repository.as_str());
            let mut answer = self.json(&call, &[StatusCode::OK]).await?;
            let (Value::Array(page), Some(next)) = (answer["events"].take(), answer["next_since"].as_i64())
            else {
                return Err(self.protocol(&call.what(), "its answer has no list of events"));
            };
            if page.is_empty() || events.len() >= limit {
                break;
            }
            events.extend(page);
            since = next;
        }
        events.truncate(limit);
        Ok(events)
    }

    /// The manifest of a finalized package.
    pub async fn package_manifest(&self, id: &PackageId, encoding: Encoding) -> Result<Bytes, Error> {
        let repository = self.repository_of(id).await?;
        let target = format!("{}/manifest", package_target(&repository, id));
        let accept = match encoding {
            Encoding::Cbor => MANIFEST_CBOR,
            Encoding::Json => MANIFEST_JSON,
        };
        let call = Call::new(Method::GET, target, repository.as_str()).header(ACCEPT, accept);
        let answer = self.expect(&call, &[StatusCode::OK]).await?;
        self.body(&call.what(), answer, MAX_ANSWER).await
    }

    /// The package a pushed manifest is: what the answer says, else what the list says. `None` where the registry
    /// knows no packages.
    pub(super) async fn pushed_id(
        &self,
        repository: &RepositoryName,
        headers: &HeaderMap,
        reference: &Digest,
    ) -> Option<PackageId> {
        let stated = headers.get(PACKAGE).and_then(|value| value.to_str().ok()?.parse().ok());
        match stated {
            Some(id) => Some(id),
            None => self.id_of(repository, reference).await,
        }
    }

    /// The package an OCI manifest is, as far as can be found out: what is done is done without its id too.
    pub(super) async fn id_of(&self, repository: &RepositoryName, reference: &Digest) -> Option<PackageId> {
        match self.find_id(repository, reference).await {
            Ok(id) => id,
            Err(error) => {
                tracing::debug!(%error, "The id of a package is not known");
                None
            }
        }
    }

    /// The package an OCI manifest is, if the registry knows packages and this one.
    pub(super) async fn find_id(
        &self,
        repository: &RepositoryName,
        reference: &Digest,
    ) -> Result<Option<PackageId>, Error> {
        let filter = Filter {
            status: Some("finalized".to_owned()),
            reference: Some(reference.clone()),
            ..Filter::default()
        };
        match self.packages(repository, &filter, 1).await {
            Ok(packages) => Ok(packages.first().and_then(|package| package["id"].as_str()?.parse().ok())),
            Err(error) if error.is_no_extension() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn json(&self, call: &Call<'_>, expected: &[StatusCode]) -> Result<Value, Error> {
        let answer = self.expect(call, expected).await?;
        let bytes = self.body(&call.what(), answer, MAX_ANSWER).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.protocol(&call.what(), "its answer is not JSON"))
    }

    /// The entries of a list, page after page.
    pub(super) async fn pages(
        &self,
        first: String,
        repository: &RepositoryName,
        field: &str,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let mut entries = Vec::new();
        let mut next = Some(first);
        for _ in 0..MAX_PAGES {
            let Some(target) = next.take() else { break };
            let (page, following) = self.page(target, repository, field).await?;
            entries.extend(page);
            next = following;
            if entries.len() >= limit {
                entries.truncate(limit);
                break;
            }
        }
        Ok(entries)
    }

    /// One page of a list, and where the next one is.
    async fn page(
        &self,
        target: String,
        repository: &RepositoryName,
        field: &str,
    ) -> Result<(Vec<Value>, Option<String>), Error> {
        let call = Call::new(Method::GET, target, repository.as_str());
        let answer = self.expect(&call, &[StatusCode::OK]).await?;
        let next = answer.headers().get(LINK).and_then(|value| following(value.to_str().ok()?));
        let bytes = self.body(&call.what(), answer, MAX_ANSWER).await?;
        let mut page: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match page[field].take() {
            Value::Array(page) => Ok((page, next)),
            _ => Err(self.protocol(&call.what(), format!("its answer has no list of {field}"))),
        }
    }
}

pub(super) fn package_target(repository: &RepositoryName, id: &PackageId) -> String {
    format!("/v2/{repository}/_artifactstore/packages/{id}")
}

fn list_target(repository: &RepositoryName, filter: &Filter) -> String {
    let mut target = format!("/v2/{repository}/_artifactstore/packages");
    let reference = filter.reference.as_ref().map(ToString::to_string);
    let eligible = filter.eligible.then(|| "true".to_owned());
    let filters = [
        ("eligible", &eligible),
        ("status", &filter.status),
        ("class", &filter.class),
        ("kind", &filter.kind),
        ("reference", &reference),
        ("last", &filter.after),
    ];
    let given = filters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (at, (name, value)) in given.enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        let _ = write!(target, "{separator}{name}={}", plain(value));
    }
    target
}

pub(super) fn plain(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, PLAIN)
}

/// The target of `<…>; rel="next"`.
fn following(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ask_for_what_was_given_and_nothing_else() {
        let name: RepositoryName = "a/b".parse().unwrap();
        let filter =
            Filter { kind: Some("run".to_owned()), class: Some("a b".to_owned()), ..Filter::default() };
        assert_eq!(list_target(&name, &Filter::default()), "/v2/a/b/_artifactstore/packages");
        assert_eq!(list_target(&name, &filter), "/v2/a/b/_artifactstore/packages?class=a%20b&kind=run");
    }

    #[test]
    fn a_link_leads_to_the_next_page() {
        assert_eq!(following("</v2/a?n=1&last=x>; rel=\"next\"").as_deref(), Some("/v2/a?n=1&last=x"));
        assert_eq!(following("</v2/a>; rel=\"prev\""), None);
        assert_eq!(following("nonsense"), None);
    }
}
