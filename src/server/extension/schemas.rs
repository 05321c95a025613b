//! What holds for every repository: metadata schemas and retention classes.

use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use serde_json::{Value, json};

use super::super::conditional;
use super::super::download::CHANGING;
use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, empty, full, json as answer, link};
use super::super::route::{Page, plain};
use super::super::service::Call;
use super::{input, shapes};

/// Schemas of a page, at most and when nobody says. Their text is not read.
const MAX_PAGE: usize = 100;

/// The largest body that is looked at; the registry's own limit is smaller and names the schema.
const MAX_BODY: usize = 1024 * 1024;

/// JSON Schema (`draft-bhutton-json-schema-01` section 14).
const SCHEMA: &str = "application/schema+json";

/// `PUT G/schemas/<name>`
pub(super) async fn put(call: &mut Call<'_>, name: &str) -> Result<Answer, Error> {
    let bytes = input::collected(call, MAX_BODY).await?;
    let schema = call.state.registry.register_schema(call.actor.clone(), name, &bytes).await?;
    let location = format!("/v2/_artifactstore/schemas/{}", schema.name);
    Ok(answer(StatusCode::CREATED, &shapes::schema(&schema.name, &schema.digest, schema.registered_at))
        .with(LOCATION, &location))
}

/// `GET G/schemas/<name>`: the schema itself, as it was sent.
pub(super) async fn get(call: &mut Call<'_>, name: &str) -> Result<Answer, Error> {
    let schema = call.state.registry.schema(name).await?;
    let found = if conditional::is_known(&call.headers, &schema.digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        full(StatusCode::OK, SCHEMA, schema.schema)
    };
    Ok(found.with(ETAG, &conditional::etag(&schema.digest)).with(CACHE_CONTROL, CHANGING))
}

/// `GET G/schemas`
pub(super) async fn list(call: &mut Call<'_>, page: &Page) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let mut schemas = call.state.registry.schemas(&page.last, limit + 1).await?;
    let has_more = schemas.len() > limit;
    schemas.truncate(limit);
    let next = schemas.last().filter(|_| has_more);
    let next = next.map(|last| format!("/v2/_artifactstore/schemas?n={limit}&last={}", plain(&last.name)));
    let schemas: Vec<Value> = schemas
        .iter()
        .map(|schema| shapes::schema(&schema.name, &schema.digest, schema.registered_at))
        .collect();
    Ok(link(answer(StatusCode::OK, &json!({ "schemas": schemas })), next))
}

/// `GET G/retention/classes`
pub(super) fn retention_classes(call: &Call<'_>) -> Answer {
    answer(StatusCode::OK, &shapes::classes(call.state.registry.retention_classes()))
}
