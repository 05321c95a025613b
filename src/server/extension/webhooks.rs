//! Webhooks: set up, changed, looked at. A secret is in the one answer that tells it, and a URL in none: what is behind
//! its host may be a secret too.

use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, empty, json as answer, link};
use super::super::route::{Page, Webhooks, webhook_path};
use super::super::service::Call;
use super::input::{self, refused};
use crate::oci::RepositoryName;
use crate::package::PackageId;
use crate::registry::{
    EventFilter, NewWebhook, TypePattern, Webhook, WebhookChange, WebhookFilterChange, WebhookFilterField,
    WebhookFormat, WebhookId, WebhookSecret, WebhookSince,
};
use crate::retention::rfc3339;

/// Webhooks of a page, at most and when nobody says.
const MAX_PAGE: usize = 100;

/// An answer with a secret is kept nowhere.
const NO_STORE: &str = "no-store";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    url: String,
    format: Option<String>,
    filter: Option<Filter>,
    secret: Option<String>,
    since: Option<From>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    url: Option<String>,
    format: Option<String>,
    filter: Option<FilterChange>,
    secret: Option<String>,
    #[serde(default)]
    rotate_secret: bool,
    since: Option<From>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {
    since: Option<From>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    types: Vec<String>,
    repository: Option<String>,
    package: Option<String>,
}

/// What is not there stays, and what is null goes.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FilterChange {
    types: WebhookFilterField<Vec<String>>,
    repository: WebhookFilterField<String>,
    package: WebhookFilterField<String>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WebhookFilterField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Cleared, Self::Set))
    }
}

/// The number of an event, or `"now"`.
struct From(WebhookSince);

impl<'de> Deserialize<'de> for From {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let at = value.as_i64().filter(|at| *at >= 0).map(WebhookSince::After);
        let since = at.or_else(|| (value == "now").then_some(WebhookSince::Now));
        since
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("since: give the number of an event, or \"now\""))
    }
}

pub(super) async fn dispatch(route: Webhooks, call: &mut Call<'_>) -> Result<Answer, Error> {
    match route {
        Webhooks::Create => create(call).await,
        Webhooks::List(page) => list(call, &page).await,
        Webhooks::Get(id) => get(call, &id).await,
        Webhooks::Change(id) => change(call, &id).await,
        Webhooks::Delete(id) => {
            input::nothing(call).await?;
            call.state.registry.delete_webhook(call.actor.clone(), &id).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        Webhooks::Retry(id) => {
            input::nothing(call).await?;
            let webhook = call.state.registry.retry_webhook(&id).await?;
            Ok(answer(StatusCode::OK, &shape(&webhook, call)))
        }
        Webhooks::Suspend(id) => {
            input::nothing(call).await?;
            changed(call, &id, WebhookChange { is_active: Some(false), ..WebhookChange::default() }).await
        }
        Webhooks::Resume(id) => {
            let Resume { since } = input::read(call).await?;
            let since = since.map(|From(since)| since);
            changed(call, &id, WebhookChange { is_active: Some(true), since, ..WebhookChange::default() })
                .await
        }
    }
}

async fn create(call: &mut Call<'_>) -> Result<Answer, Error> {
    let asked: Create = input::read(call).await?;
    let new = NewWebhook {
        endpoint: parsed("url", asked.url.parse())?,
        format: format(asked.format.as_deref())?.unwrap_or(WebhookFormat::Json),
        filter: asked.filter.map(filter).transpose()?.unwrap_or_default(),
        secret: secret(asked.secret.as_deref())?,
        since: asked.since.map_or(WebhookSince::Now, |From(since)| since),
    };
    let (registry, actor) = (&call.state.registry, call.actor.clone());
    let (webhook, secret) = registry.create_webhook(actor, new).await?;
    let mut shape = shape(&webhook, call);
    shape["secret"] = secret.expose().into();
    let answer = answer(StatusCode::CREATED, &shape).with(LOCATION, &webhook_path(&webhook.id));
    Ok(answer.with(CACHE_CONTROL, NO_STORE))
}

async fn list(call: &mut Call<'_>, page: &Page) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let mut found = call.state.registry.webhooks(&page.last, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more);
    let next = next.map(|last| format!("/v2/_artifactstore/webhooks?n={limit}&last={}", last.id));
    let shapes: Vec<Value> = found.iter().map(|webhook| shape(webhook, call)).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "webhooks": shapes })), next))
}

async fn get(call: &mut Call<'_>, id: &WebhookId) -> Result<Answer, Error> {
    let webhook = call.state.registry.webhook(id).await?;
    let mut shape = shape(&webhook, call);
    let overlap = call.state.registry.webhook_overlap(id).await?;
    shape["previous_secret_ends_at"] = overlap.map(rfc3339).into();
    Ok(answer(StatusCode::OK, &shape))
}

async fn change(call: &mut Call<'_>, id: &WebhookId) -> Result<Answer, Error> {
    let asked: Change = input::read(call).await?;
    if asked.rotate_secret && asked.secret.is_some() {
        return Err(refused("rotate_secret: a secret is given; say one of both"));
    }
    let given = secret(asked.secret.as_deref())?;
    let made = asked.rotate_secret.then(WebhookSecret::generate);
    let endpoint = asked.url.map(|url| parsed("url", url.parse())).transpose()?;
    let asked = WebhookChange {
        endpoint,
        format: format(asked.format.as_deref())?,
        filter: filter_change(asked.filter.unwrap_or_default())?,
        secret: given.or_else(|| made.clone()),
        since: asked.since.map(|From(since)| since),
        is_active: None,
    };
    let webhook = call.state.registry.change_webhook(call.actor.clone(), id, asked).await?;
    let mut shape = shape(&webhook, call);
    if let Some(made) = made {
        shape["secret"] = made.expose().into();
    }
    Ok(answer(StatusCode::OK, &shape).with(CACHE_CONTROL, NO_STORE))
}

async fn changed(call: &mut Call<'_>, id: &WebhookId, asked: WebhookChange) -> Result<Answer, Error> {
    let webhook = call.state.registry.change_webhook(call.actor.clone(), id, asked).await?;
    Ok(answer(StatusCode::OK, &shape(&webhook, call)))
}

fn format(text: Option<&str>) -> Result<Option<WebhookFormat>, Error> {
    let names = WebhookFormat::ALL.map(WebhookFormat::as_str);
    let read = |text| {
        WebhookFormat::parse(text).ok_or_else(|| refused(&format!("format: say one of {}", names.join(", "))))
    };
    text.map(read).transpose()
}

fn secret(text: Option<&str>) -> Result<Option<WebhookSecret>, Error> {
    text.map(|text| parsed("secret", WebhookSecret::parse(text))).transpose()
}

fn filter(Filter { types, repository, package }: Filter) -> Result<EventFilter, Error> {
    Ok(EventFilter {
        types: patterns(&types)?,
        repository: repository.as_deref().map(self::repository).transpose()?,
        package: package.as_deref().map(self::package).transpose()?,
    })
}

fn filter_change(asked: FilterChange) -> Result<WebhookFilterChange, Error> {
    Ok(WebhookFilterChange {
        types: asked.types.try_map(|types| patterns(&types))?,
        repository: asked.repository.try_map(|name| repository(&name))?,
        package: asked.package.try_map(|id| package(&id))?,
    })
}

fn patterns(types: &[String]) -> Result<Vec<TypePattern>, Error> {
    if types.iter().any(|pattern| pattern.contains(',')) {
        return Err(refused("filter.types: give each pattern by itself"));
    }
    match types.join(",") {
        none if none.is_empty() && types.is_empty() => Ok(Vec::new()),
        types => parsed("filter.types", EventFilter::parse_types(&types)),
    }
}

fn repository(name: &str) -> Result<RepositoryName, Error> {
    parsed("filter.repository", name.parse())
}

fn package(id: &str) -> Result<PackageId, Error> {
    parsed("filter.package", id.parse())
}

fn parsed<T, E: std::error::Error>(field: &str, parsed: Result<T, E>) -> Result<T, Error> {
    parsed.map_err(|error| refused(&format!("{field}: {error}")))
}

/// A webhook, without what may be a secret.
fn shape(of: &Webhook, call: &Call<'_>) -> Value {
    let head = call.state.registry.last_sequence();
    let waits = Some(of.next_attempt_at).filter(|at| *at > 0);
    json!({
        "id": of.id,
        "url": of.endpoint.to_string(),
        "url_hash": of.endpoint.hash(),
        "format": of.format.as_str(),
        "filter": {
            "types": of.filter.types.iter().map(TypePattern::as_str).collect::<Vec<_>>(),
            "repository": of.filter.repository,
            "package": of.filter.package,
        },
        "state": of.state.as_str(),
        "reason": of.reason,
        "cursor": of.cursor,
        "head": head.max(of.cursor),
        "attempts": of.attempts,
        "failing_since": of.failing_since.map(rfc3339),
        "next_attempt_at": waits.map(rfc3339),
        "attempted_at": of.attempted_at.map(rfc3339),
        "last_status": of.last_status,
        "last_error": of.last_error,
        "delivered_at": of.delivered_at.map(rfc3339),
        "created_at": rfc3339(of.created_at),
        "created_by": of.created_by,
    })
}
