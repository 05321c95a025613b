//! Packages that are made file by file, over the extension API.
//!
//! What a lost answer leaves open is looked up: a request that was sent again and is refused, because an earlier
//! attempt was carried out, has succeeded. Only opening a draft is not sent twice; there would be two.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::Call;
use super::packages::{package_target, plain};
use super::payload::{FilePart, Payload};
use super::{Client, Error, Progress, digests};
use crate::oci::{RepositoryName, Tag};
use crate::package::{Description, Object, PackageId, PackagePath, guess_media_type};

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

impl Client {
    /// Opens a draft; the package as JSON. Not repeated when nobody knows whether it arrived.
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
        match self.json(&call, &[StatusCode::CREATED]).await {
            Err(error) if error.may_be_done() => self.taken(id, ingest).await?.ok_or(error),
            done => done,
        }
    }

    /// The file of a draft, if it is what was to be put there: an earlier attempt did it.
    async fn taken(&self, id: &PackageId, ingest: &Ingest<'_>) -> Result<Option<Value>, Error> {
        let Some(there) = self.package_file(id, ingest.path).await? else { return Ok(None) };
        let unwatched = Arc::new(Progress::default());
        let digests = digests::of_files(vec![ingest.file.to_owned()], &unwatched).await.remove(0);
        let ours = digests.map_err(Error::file(ingest.file, "read"))?;
        let is_ours = there["sha256"] == ours.sha256.as_str() && there["role"].as_str() == ingest.role;
        Ok(Some(there).filter(|_| is_ours))
    }

    /// Takes a file out of a draft.
    pub async fn drop_file(&self, id: &PackageId, path: &PackagePath) -> Result<(), Error> {
        let repository = self.repository_of(id).await?;
        let target = format!("{}/files/{}", package_target(&repository, id), plain(path.as_str()));
        let call = Call::new(Method::DELETE, target, repository.as_str());
        match self.expect(&call, &[StatusCode::NO_CONTENT]).await {
            Err(error) if error.is_unknown() && error.may_be_done() => Ok(()),
            dropped => dropped.map(drop),
        }
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
        // The same again of a finalized package is the same package.
        let call = Call::new(Method::POST, target, repository.as_str())
            .header(CONTENT_TYPE, "application/json")
            .payload(Payload::Bytes(Bytes::from(body.to_string())))
            .repeatable();
        self.json(&call, &[StatusCode::OK, StatusCode::CREATED]).await
    }

    /// Gives a draft up, as often as it is asked.
    pub async fn abort_package(&self, id: &PackageId) -> Result<(), Error> {
        let repository = self.repository_of(id).await?;
        let call = Call::new(Method::DELETE, package_target(&repository, id), repository.as_str());
        self.expect(&call, &[StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT]).await.map(drop)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_what_was_given_and_nothing_else() {
        let (name, id): (RepositoryName, _) = ("a/b".parse().unwrap(), PackageId::generate());
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
}
