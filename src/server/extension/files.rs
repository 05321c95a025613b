//! The files of a package.

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

use super::super::download::{self, CHANGING, Content, IMMUTABLE};
use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, empty, held, json as answer, link};
use super::super::route::{Ingest, Page, file_path, package_path, plain};
use super::super::service::Call;
use super::shapes;
use crate::oci::{RepositoryName, media};
use crate::package::{PackageId, PackagePath};
use crate::registry::{NewFile, Package, PackageFile};

/// Files of a page, at most and when nobody says.
const MAX_PAGE: usize = 1000;

/// What a file of a page takes while the page is made, and while it is sent.
const MADE: usize = 4 * 1024;
const SENT: usize = 768;

/// What `curl --data-binary` says of any body when it was told nothing.
pub(super) const UNSAID: &str = "application/x-www-form-urlencoded";

/// `GET R/packages/<id>/files`
pub(super) async fn list(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    asked: &Page,
) -> Result<Answer, Error> {
    let package = call.state.registry.package_in(name, id).await?;
    let (making, body) = need(&package, asked);
    let room = call.state.room.take(making, body).await?;
    let (files, next) = page(call, name, id, asked).await?;
    let files: Vec<Value> = files.iter().map(shapes::file).collect();
    let body = json!({ "files": files }).to_string();
    Ok(link(held("application/json", room.hold(body.into_bytes())), next))
}

/// The memory for a page of files: while it is made, and while it is sent.
pub(super) fn need(package: &Package, page: &Page) -> (usize, usize) {
    let files = usize::try_from(package.files).unwrap_or(MAX_PAGE).min(page.limit(MAX_PAGE));
    (files * MADE, files * SENT)
}

/// A page of files by path, and where the next one is.
pub(super) async fn page(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    page: &Page,
) -> Result<(Vec<PackageFile>, Option<String>), Error> {
    let limit = page.limit(MAX_PAGE);
    let mut files = call.state.registry.package_files(id, &page.last, limit + 1).await?;
    let has_more = files.len() > limit;
    files.truncate(limit);
    let next = files.last().filter(|_| has_more).map(|last| {
        format!("{}/files?n={limit}&last={}", package_path(name, id), plain(last.file.path.as_str()))
    });
    Ok((files, next))
}

/// `GET|HEAD R/packages/<id>/files/<path>`, as a blob is served. Whatever the file says it is, a browser must not
/// run it as the registry's own.
pub(super) async fn get(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    path: &PackagePath,
) -> Result<Answer, Error> {
    let registry = call.state.registry.clone();
    let package = registry.package_in(name, id).await?;
    let (file, blob) = registry.package_file(id, path).await?;
    let cache = if package.status.is_draft() { CHANGING } else { IMMUTABLE };
    let content = Content { digest: &file.sha256, media_type: &file.media_type, cache, left: None };
    Ok(download::answer(call, blob, content).await?.with(CONTENT_SECURITY_POLICY, "sandbox"))
}

/// `PUT R/packages/<id>/files/<path>`
pub(super) async fn put(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    path: PackagePath,
    ingest: Ingest,
) -> Result<Answer, Error> {
    let media_type = call.header(&CONTENT_TYPE).map(media::essence).filter(|text| *text != UNSAID);
    let new = NewFile {
        path,
        media_type: media_type.map(str::to_owned),
        role: ingest.role,
        claimed: ingest.digest,
        replace: ingest.replace,
    };
    let (registry, actor) = (call.state.registry.clone(), call.actor.clone());
    let file = match &ingest.mount {
        Some(blob) => registry.ingest_blob(name, actor, id, new, blob).await?,
        None => registry.ingest_file(name, actor, id, new, call.body()).await?,
    };
    let location = registry.file_location(name, &file).await?;
    let shape = shapes::located(&file, location.as_ref());
    Ok(answer(StatusCode::CREATED, &shape).with(LOCATION, &file_path(name, id, &file.path)))
}

/// `DELETE R/packages/<id>/files/<path>`
pub(super) async fn delete(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
    path: &PackagePath,
) -> Result<Answer, Error> {
    call.state.registry.drop_file(name, call.actor.clone(), id, path).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
