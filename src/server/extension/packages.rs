//! Packages: create, list, read, finalize, abort, and their manifests.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, LOCATION, VARY};
use serde_json::{Value, json};

use super::super::conditional;
use super::super::download::IMMUTABLE;
use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, empty, held, json as answer, link};
use super::super::room::PROJECTED;
use super::super::route::{Page, certificate_path, disposition_path, package_path, plain};
use super::super::service::Call;
use super::retention::state;
use super::{accept, events, files, input, shapes};
use crate::clock::Micros;
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::package::mapping::names::{MANIFEST_CBOR, MANIFEST_JSON};
use crate::registry::{Filter, Package, Target};
use crate::retention::rfc3339;

/// Packages of a page, at most and when nobody says. It ends earlier when their metadata get too large.
const MAX_PAGE: usize = 100;

/// What a page of packages takes while it is made: a mebibyte of metadata as rows, as trees and as text.
const LIST_ROOM: usize = 16 * 1024 * 1024;

/// What such a page comes to: mostly far less.
const LIST: usize = 1024 * 1024;

/// What the text of a package grows to as a tree.
const TREE: usize = 4;

/// `POST R/packages`
pub(super) async fn create(call: &mut Call<'_>, name: &RepositoryName) -> Result<Answer, Error> {
    let new = input::new_package(call).await?;
    let package = call.state.registry.create_package(name, call.actor.clone(), new).await?;
    let mut shape = shapes::package(&package);
    shape["files"] = json!([]);
    Ok(answer(StatusCode::CREATED, &shape).with(LOCATION, &package_path(name, &package.id)))
}

/// `GET R/packages`: without their files.
pub(super) async fn list(
    call: &mut Call<'_>,
    name: &RepositoryName,
    filter: &Filter,
    page: &Page,
) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let room = call.state.room.take(LIST_ROOM, LIST).await?;
    let (packages, has_more) = call.state.registry.packages_page(name, filter, &page.last, limit).await?;
    let next = packages.last().filter(|_| has_more).map(|last| {
        format!("/v2/{name}/_artifactstore/packages?n={limit}&last={}{}", last.id, filters(filter))
    });
    let mut body = String::from("{\"packages\":[");
    for (at, package) in packages.iter().enumerate() {
        body.push_str(if at > 0 { "," } else { "" });
        body.push_str(&shapes::package_text(package));
    }
    body.push_str("]}");
    Ok(link(held("application/json", room.hold(body.into_bytes())), next))
}

/// The parameters of a filter, for the link to the next page.
fn filters(filter: &Filter) -> String {
    let mut query = String::new();
    let filters = [
        ("status", filter.status.map(|status| status.as_str().to_owned())),
        ("kind", filter.kind.clone()),
        ("class", filter.class.clone()),
        ("reference", filter.reference.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", plain(&value));
        }
    }
    query
}

/// `GET R/packages?eligible=true`: each with its retention, and that nothing stands against its disposition.
pub(super) async fn list_eligible(
    call: &mut Call<'_>,
    name: &RepositoryName,
    filter: &Filter,
    after: Option<(Micros, Target)>,
    n: Option<usize>,
) -> Result<Answer, Error> {
    let limit = n.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let room = call.state.room.take(LIST_ROOM, LIST).await?;
    let after = after.as_ref().map(|(until, target)| (*until, target));
    let (found, next) = call.state.registry.eligible_packages(name, filter, after, limit).await?;
    let next = next.map(|(until, target)| {
        let last = format!("{until}@{target}");
        let (last, filters) = (plain(&last), filters(filter));
        format!("/v2/{name}/_artifactstore/packages?eligible=true&n={limit}&last={last}{filters}")
    });
    let mut body = String::from("{\"packages\":[");
    for (at, (package, explained)) in found.iter().enumerate() {
        let text = shapes::package_text(package);
        let open = text.strip_suffix('}').expect("it is an object");
        let _ =
            write!(body, "{}{open},\"eligibility\":{}}}", if at > 0 { "," } else { "" }, state(explained));
    }
    body.push_str("]}");
    Ok(link(held("application/json", room.hold(body.into_bytes())), next))
}

/// `GET R/packages/<id>`
pub(super) async fn get(call: &mut Call<'_>, name: &RepositoryName, id: &PackageId) -> Result<Answer, Error> {
    let package = call.state.registry.package_in(name, id).await?;
    found(call, &package).await
}

/// `GET G/packages/<id>`
pub(super) async fn get_anywhere(call: &mut Call<'_>, id: &PackageId) -> Result<Answer, Error> {
    let package = call.state.registry.package(id).await?;
    found(call, &package).await
}

async fn found(call: &mut Call<'_>, package: &Package) -> Result<Answer, Error> {
    let (making, body) = files::need(package, &Page::default());
    let text = shapes::package_text(package).len();
    let room = call.state.room.take(making + text * TREE, body + text).await?;
    let found = shape_with_files(call, package).await?;
    Ok(held("application/json", room.hold(found.to_string().into_bytes())))
}

/// `POST R/packages/<id>/finalize`
pub(super) async fn finalize(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
) -> Result<Answer, Error> {
    let finalize = input::finalize(call).await?;
    let package = call.state.registry.finalize_package(name, call.actor.clone(), id, finalize).await?;
    // Without waiting for room: what was asked for is done.
    Ok(answer(StatusCode::OK, &shape_with_files(call, &package).await?))
}

/// `DELETE R/packages/<id>`
pub(super) async fn abort(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
) -> Result<Answer, Error> {
    call.state.registry.abort_package(name, call.actor.clone(), id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET R/packages/<id>/manifest`: the bytes its digest is over, or their projection. The projection has a weak
/// entity tag of the same digest, since other bytes must not have the same strong one (RFC 9110 section 8.8.3.3).
pub(super) async fn manifest(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &PackageId,
) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    let package = registry.package_in(name, id).await?;
    let size = registry.package_manifest_size(id).await?;
    let digest = package.manifest_digest.expect("what has a manifest has its digest");
    let is_cbor = accept::prefers_cbor(&call.headers);
    let found = if conditional::is_known(&call.headers, &digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        // The row, a cell of it, and the bytes.
        let (making, body) = if is_cbor { (size * 3, size) } else { (size * PROJECTED, size * 2) };
        let room = call.state.room.take(making, body).await?;
        let cbor = registry.package_manifest(id).await?;
        if is_cbor {
            held(MANIFEST_CBOR, room.hold(cbor)).with(DIGEST, digest.as_str())
        } else {
            held(MANIFEST_JSON, room.hold(events::projected(cbor).await?))
        }
    };
    let etag = conditional::etag(&digest);
    let etag = if is_cbor { etag } else { format!("W/{etag}") };
    Ok(found.with(ETAG, &etag).with(VARY, "Accept").with(CACHE_CONTROL, IMMUTABLE))
}

/// A package with its first files, and where the others are.
async fn shape_with_files(call: &mut Call<'_>, package: &Package) -> Result<Value, Error> {
    let page = Page::default();
    let (files, next) = files::page(call, &package.repository, &package.id, &page).await?;
    let mut shape = shapes::package(package);
    shape["files"] = files.iter().map(shapes::file).collect();
    if let Some(next) = next {
        shape["files_next"] = next.into();
    }
    if let Some(left) = call.state.registry.tombstone(package).await? {
        shape["disposition"] = json!(left.disposition);
        shape["deleted_at"] = rfc3339(left.deleted_at).into();
        shape["tombstone"] = disposition_path(&package.repository, &left.disposition).into();
        shape["certificate"] = certificate_path(&package.repository, &left.disposition).into();
    }
    Ok(shape)
}
