//! Keyed objects.

use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION};
use serde_json::{Value, json};

use super::super::conditional::{condition, etag};
use super::super::download::{self, CHANGING, Content};
use super::super::error::Error;
use super::super::respond::{Answer, DIGEST, Headers as _, empty, json as answer, link};
use super::super::route::{EXTENSION, Objects, Page, Which, plain};
use super::super::service::Call;
use super::files::UNSAID;
use crate::oci::{Digest, RepositoryName, media};
use crate::package::PackagePath;
use crate::registry::{
    Blob, Error as Refusal, KeyedObject, KeyedStore, List, Listing, MAX_LISTED, NewObject, object_path,
};
use crate::retention::rfc3339;

pub(super) async fn dispatch(route: Objects, call: &mut Call<'_>) -> Result<Answer, Error> {
    match route {
        Objects::List(name, which, page) => list(call, &name, which, page).await,
        Objects::Get(name, key) => {
            let found = store(call, &name).open(&key).await?;
            get(call, found, None).await
        }
        Objects::GetSigned(name, key, signature) => {
            let found = call.state.registry.signed_object(&name, &key, &signature).await?;
            let left = call.state.registry.time_left(&signature);
            get(call, found, Some(left)).await
        }
        Objects::Put(name, key, claimed) => put(call, &name, &key, claimed).await,
        Objects::Delete(name, key) => {
            let existed = store(call, &name).delete_if(&key, condition(&call.headers)).await?;
            if existed { Ok(empty(StatusCode::NO_CONTENT)) } else { Err(Refusal::KeyUnknown(key).into()) }
        }
        Objects::Url(name, key, expires_in) => {
            let made = store(call, &name).get_url(&key, expires_in).await?;
            let shape = json!({ "url": made.url, "expires_at": rfc3339(made.expires_at) });
            // Whoever has it may read.
            Ok(answer(StatusCode::OK, &shape).with(CACHE_CONTROL, "no-store"))
        }
    }
}

fn store(call: &Call<'_>, name: &RepositoryName) -> KeyedStore {
    call.state.registry.keyed_store(name, call.actor.clone())
}

async fn list(
    call: &mut Call<'_>,
    name: &RepositoryName,
    Which { prefix, one_level }: Which,
    page: Page,
) -> Result<Answer, Error> {
    let limit = page.limit(MAX_LISTED);
    let wanted = List { prefix: prefix.clone(), one_level, after: page.last, limit };
    let Listing { objects, prefixes, next } = store(call, name).list(&wanted).await?;
    let objects: Vec<Value> = objects.iter().map(shape).collect();
    let next = next.map(|last| {
        format!(
            "/v2/{name}/{EXTENSION}/objects?prefix={}&recursive={}&n={limit}&last={}",
            plain(prefix.as_str()),
            !one_level,
            plain(&last)
        )
    });
    Ok(link(answer(StatusCode::OK, &json!({ "objects": objects, "prefixes": prefixes })), next))
}

/// As a blob is served, under a key that may name something else the next time. Whatever the object says it is, a
/// browser must not run it as the registry's own. Where it is for a time only, so is a URL of the storage.
async fn get(
    call: &mut Call<'_>,
    (object, blob): (KeyedObject, Blob),
    left: Option<Duration>,
) -> Result<Answer, Error> {
    let content = Content { digest: &object.sha256, media_type: &object.mime_type, cache: CHANGING, left };
    Ok(download::answer(call, blob, content).await?.with(CONTENT_SECURITY_POLICY, "sandbox"))
}

async fn put(
    call: &mut Call<'_>,
    name: &RepositoryName,
    key: &PackagePath,
    claimed: Option<Digest>,
) -> Result<Answer, Error> {
    let mime_type = call.header(&CONTENT_TYPE).map(media::essence).filter(|text| *text != UNSAID);
    let condition = condition(&call.headers);
    let new = NewObject { mime_type: mime_type.map(str::to_owned), claimed, condition };
    let object = store(call, name).put(key, new, call.body()).await?;
    Ok(answer(StatusCode::CREATED, &shape(&object))
        .with(LOCATION, &object_path(name, key))
        .with(DIGEST, object.sha256.as_str())
        .with(ETAG, &etag(&object.sha256)))
}

fn shape(object: &KeyedObject) -> Value {
    json!({
        "storage_key": object.storage_key,
        "storage_backend": object.storage_backend,
        "storage_uri": object.storage_uri,
        "content_address": object.content,
        "sha256": object.sha256,
        "size": object.size,
        "mime_type": object.mime_type,
        "created_at": rfc3339(object.created_at),
    })
}
