//! The extension API: what only this registry knows of packages.
//!
//! Answers are passed on as the JSON they are: fields may be added to them, and whoever reads a command's JSON
//! output gets those as well.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, LINK};
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::http::Call;
use super::payload::{FilePart, Payload};
use super::{Client, Error, Progress};
use crate::oci::{Digest, RepositoryName, Tag};
use crate::package::mapping::names::{MANIFEST_CBOR, MANIFEST_JSON};
use crate::package::{Description, Object, PackageId, PackagePath, guess_media_type};

/// Names the package a pushed manifest is.
const PACKAGE: HeaderName = HeaderName::from_static("artifactstore-package");

/// Bytes of one JSON answer, or one manifest, at most.
const MAX_ANSWER: usize = 64 << 20;

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
}

/// A file for a draft.
#[derive(Clone, Debug)]
pub struct Ingest<'a> {
    /// Where its bytes are.
    pub file: &'a Path,
    /// Its path in the package.
    pub path: &'a PackagePath,
    /// What it is; `None` guesses by its name.
    pub media_type: Option<&'a str>,
    /// What it is for.
    pub role: Option<&'a str>,
    /// Whether it may take the place of another one.
    pub replace: bool,
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
    /// Opens a draft; the package as JSON.
    pub async fn create_package(
        &self,
        repository: &RepositoryName,
        description: &Description,
        provenance: &Object,
    ) -> Result<Value, Error> {
        let body = create_body(description, provenance);
        let target = format!("/v2/{repository}/_artifactstore/packages");
        let call = Call::new(Method::POST, target, repository.as_str())
            .header(CONTENT_TYPE, "application/json")
            .payload(Payload::Bytes(Bytes::from(body.to_string())));
        self.json(&call, &[StatusCode::CREATED]).await
    }

    /// A package by its id, whatever its repository.
    pub async fn package(&self, id: &PackageId) -> Result<Value, Error> {
        self.json(&Call::new(Method::GET, format!("/v2/_artifactstore/packages/{id}"), ""), &[StatusCode::OK])
            .await
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

    /// The files of a package by path.
    pub async fn package_files(&self, id: &PackageId) -> Result<Vec<Value>, Error> {
        let repository = self.repository_of(id).await?;
        let first = format!("{}/files", package_target(&repository, id));
        self.pages(first, &repository, "files", usize::MAX).await
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

    /// Puts a file into a draft; the file as JSON.
    pub async fn ingest_file(
        &self,
        id: &PackageId,
        ingest: &Ingest<'_>,
        progress: &Arc<Progress>,
    ) -> Result<Value, Error> {
        let repository = self.repository_of(id).await?;
        let file = ingest.file.to_owned();
        let meta = tokio::fs::metadata(&file).await.map_err(Error::file(&file, "read"))?;
        if !meta.is_file() {
            return Err(Error::Special { path: file, what: super::tree::special(meta.file_type()) });
        }
        let guessed = guess_media_type(ingest.path);
        let part = FilePart { path: file, size: meta.len(), start: 0, progress: Arc::clone(progress) };
        let call = Call::new(Method::PUT, ingest_target(&repository, id, ingest), repository.as_str())
            .header(CONTENT_TYPE, ingest.media_type.unwrap_or(guessed))
            .payload(Payload::File(part));
        // A file that was taken by an attempt whose answer was lost would be in its own way.
        let call = if ingest.replace { call } else { call.once() };
        self.json(&call, &[StatusCode::CREATED]).await
    }

    /// Takes a file out of a draft.
    pub async fn drop_file(&self, id: &PackageId, path: &PackagePath) -> Result<(), Error> {
        let repository = self.repository_of(id).await?;
        let target = format!("{}/files/{}", package_target(&repository, id), plain(path.as_str()));
        let call = Call::new(Method::DELETE, target, repository.as_str()).once();
        self.expect(&call, &[StatusCode::NO_CONTENT]).await.map(drop)
    }

    /// Makes a draft an immutable package; the package as JSON.
    pub async fn finalize_package(
        &self,
        id: &PackageId,
        tag: Option<&Tag>,
        class: Option<&str>,
        metadata: Option<&Object>,
    ) -> Result<Value, Error> {
        let repository = self.repository_of(id).await?;
        let body = finalize_body(tag, class, metadata);
        let target = format!("{}/finalize", package_target(&repository, id));
        let call = Call::new(Method::POST, target, repository.as_str())
            .header(CONTENT_TYPE, "application/json")
            .payload(Payload::Bytes(Bytes::from(body.to_string())));
        self.json(&call, &[StatusCode::OK, StatusCode::CREATED]).await
    }

    /// Gives a draft up.
    pub async fn abort_package(&self, id: &PackageId) -> Result<(), Error> {
        let repository = self.repository_of(id).await?;
        let call = Call::new(Method::DELETE, package_target(&repository, id), repository.as_str()).once();
        self.expect(&call, &[StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT]).await.map(drop)
    }

    /// The package a pushed manifest is: what the answer says, else what the list says. `None` where the registry
    /// knows no packages.
    pub(super) async fn pushed_id(
        &self,
        repository: &RepositoryName,
        headers: &HeaderMap,
        reference: &Digest,
    ) -> Result<Option<PackageId>, Error> {
        let stated = headers.get(PACKAGE).and_then(|value| value.to_str().ok()?.parse().ok());
        match stated {
            Some(id) => Ok(Some(id)),
            None => self.id_of(repository, reference).await,
        }
    }

    /// The package an OCI manifest is, if the registry knows packages and this one.
    pub(super) async fn id_of(
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
            // Other registries have no such route, and say so in many ways.
            Err(Error::Refused { status: 400..=499, .. } | Error::Protocol { .. }) => Ok(None),
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
            let call = Call::new(Method::GET, target, repository.as_str());
            let answer = self.expect(&call, &[StatusCode::OK]).await?;
            next = answer.headers().get(LINK).and_then(|value| following(value.to_str().ok()?));
            let bytes = self.body(&call.what(), answer, MAX_ANSWER).await?;
            let page: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let Value::Array(page) = page[field].clone() else {
                return Err(self.protocol(&call.what(), format!("its answer has no list of {field}")));
            };
            entries.extend(page);
            if entries.len() >= limit {
                entries.truncate(limit);
                break;
            }
        }
        Ok(entries)
    }
}

fn package_target(repository: &RepositoryName, id: &PackageId) -> String {
    format!("/v2/{repository}/_artifactstore/packages/{id}")
}

fn list_target(repository: &RepositoryName, filter: &Filter) -> String {
    let mut target = format!("/v2/{repository}/_artifactstore/packages");
    let reference = filter.reference.as_ref().map(ToString::to_string);
    let filters = [
        ("status", &filter.status),
        ("class", &filter.class),
        ("kind", &filter.kind),
        ("reference", &reference),
    ];
    let given = filters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (at, (name, value)) in given.enumerate() {
        let separator = if at == 0 { '?' } else { '&' };
        let _ = write!(target, "{separator}{name}={}", plain(value));
    }
    target
}

fn ingest_target(repository: &RepositoryName, id: &PackageId, ingest: &Ingest<'_>) -> String {
    let mut target = format!("{}/files/{}", package_target(repository, id), plain(ingest.path.as_str()));
    let role = ingest.role.map(|role| format!("role={}", plain(role)));
    let replace = ingest.replace.then(|| "replace=true".to_owned());
    let query: Vec<String> = role.into_iter().chain(replace).collect();
    if !query.is_empty() {
        let _ = write!(target, "?{}", query.join("&"));
    }
    target
}

fn create_body(description: &Description, provenance: &Object) -> Value {
    let mut body = json!({ "metadata": description.metadata });
    let fields = [
        ("kind", &description.kind),
        ("retention_class", &description.retention_class),
        ("schema", &description.schema),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    if !provenance.is_empty() {
        body["provenance"] = json!(provenance);
    }
    body
}

fn finalize_body(tag: Option<&Tag>, class: Option<&str>, metadata: Option<&Object>) -> Value {
    let mut body = json!({});
    if let Some(tag) = tag {
        body["tag"] = tag.as_str().into();
    }
    if let Some(class) = class {
        body["retention_class"] = class.into();
    }
    if let Some(metadata) = metadata {
        body["metadata"] = json!(metadata);
    }
    body
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
    fn requests_say_what_was_given_and_nothing_else() {
        let (name, id): (RepositoryName, _) = ("a/b".parse().unwrap(), PackageId::generate());
        let filter =
            Filter { kind: Some("run".to_owned()), class: Some("a b".to_owned()), ..Filter::default() };
        assert_eq!(list_target(&name, &Filter::default()), "/v2/a/b/_artifactstore/packages");
        assert_eq!(list_target(&name, &filter), "/v2/a/b/_artifactstore/packages?class=a%20b&kind=run");
        let path: PackagePath = "ä/b c?#%.json".parse().unwrap();
        let ingest =
            Ingest { file: Path::new("x"), path: &path, media_type: None, role: None, replace: false };
        let target = ingest_target(&name, &id, &ingest);
        assert!(target.ends_with(&format!("/packages/{id}/files/%C3%A4/b%20c%3F%23%25.json")), "{target}");
        let target = ingest_target(&name, &id, &Ingest { role: Some("scorecard"), replace: true, ..ingest });
        assert!(target.ends_with("?role=scorecard&replace=true"), "{target}");
        let description = Description { kind: Some("run".to_owned()), ..Description::default() };
        let body = create_body(&description, &Object::default());
        assert_eq!(body, json!({ "kind": "run", "metadata": {} }));
        assert_eq!(finalize_body(None, None, None), json!({}));
        let tag = "v1".parse().unwrap();
        let body = finalize_body(Some(&tag), Some("c"), Some(&Object::default()));
        assert_eq!(body, json!({ "tag": "v1", "retention_class": "c", "metadata": {} }));
    }

    #[test]
    fn a_link_leads_to_the_next_page() {
        assert_eq!(following("</v2/a?n=1&last=x>; rel=\"next\"").as_deref(), Some("/v2/a?n=1&last=x"));
        assert_eq!(following("</v2/a>; rel=\"prev\""), None);
        assert_eq!(following("nonsense"), None);
    }
}
