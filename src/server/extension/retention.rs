//! Retentions and holds.

use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, Headers as _, json as answer, link};
use super::super::route::{Page, Retention, explain_path, holds_path, plain};
use super::super::service::Call;
use super::input;
use super::shapes::location;
use crate::clock::Micros;
use crate::oci::RepositoryName;
use crate::registry::{
    Damage, Explanation, Extension, Hold, Item, NewHold, Protected, Registry, StoredBlob, Target,
};
use crate::retention::{Floor, HoldId, HoldKind, Reason, Retained, parse_rfc3339, rfc3339};

/// Reasons in one answer; there are seldom more than a few.
const REASONS: usize = 100;

/// Holds of a page, at most and when nobody says.
const MAX_PAGE: usize = 1000;

/// Things whose retention is over of a page, at most and when nobody says: each is looked at.
const MAX_OVER: usize = 100;

/// Says that the client means to shorten a retention, as S3's header of a like name does.
const BYPASS: HeaderName = HeaderName::from_static("artifactstore-bypass-governance-retention");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    reference: String,
    until: Option<String>,
    class: Option<String>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shorten {
    reference: String,
    until: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Not null, which may be meant for something whose name is missing.
    #[serde(default, deserialize_with = "there")]
    reference: Option<String>,
    kind: String,
    #[serde(default)]
    matter: String,
    #[serde(default)]
    reason: String,
}

fn there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

pub(super) async fn dispatch(route: Retention, call: &mut Call<'_>) -> Result<Answer, Error> {
    let registry = &call.state.registry;
    match route {
        Retention::Show(name, item) => {
            Ok(answer(StatusCode::OK, &state(&registry.explain(&name, item.as_ref()).await?)))
        }
        Retention::Explain(name, item) => {
            let explained = registry.explain(&name, item.as_ref()).await?;
            let stored = registry.stored_blobs(&explained).await?;
            Ok(answer(StatusCode::OK, &explanation(&explained, &stored)))
        }
        Retention::Over(name, after, n) => over(call, &name, after, n).await,
        Retention::Extend(name) => extend(call, &name).await,
        Retention::Shorten(name) => shorten(call, &name).await,
        Retention::Place(name) => place(call, &name).await,
        Retention::Holds(name, released, page) => list(call, &name, released, &page).await,
        Retention::Hold(name, id) => {
            Ok(answer(StatusCode::OK, &hold(&registry.find_hold(&name, &id).await?)))
        }
        Retention::Release(name, id, reason) => release(call, &name, &id, &reason).await,
    }
}

async fn over(
    call: &mut Call<'_>,
    name: &RepositoryName,
    after: Option<(Micros, Target)>,
    n: Option<usize>,
) -> Result<Answer, Error> {
    let limit = n.unwrap_or(MAX_OVER).min(MAX_OVER);
    let after = after.as_ref().map(|(until, target)| (*until, target));
    let (found, next) = call.state.registry.retentions_over(name, after, limit).await?;
    let next = next.map(|(until, target)| {
        let last = format!("{until}@{target}");
        format!("/v2/{name}/_artifactstore/retention/over?n={limit}&last={}", plain(&last))
    });
    let shapes: Vec<Value> = found.iter().map(state).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "retentions": shapes })), next))
}

async fn extend(call: &mut Call<'_>, name: &RepositoryName) -> Result<Answer, Error> {
    let asked: Extend = input::read(call).await?;
    let extension = match (asked.until.as_deref(), asked.class) {
        (Some("forever"), None) => Extension::ForEver,
        (Some(until), None) => Extension::Until(moment(until)?),
        (None, Some(class)) => Extension::Class(class),
        _ => return Err(input::refused("give until, a time or forever, or class, and not both")),
    };
    let item = item(&asked.reference)?;
    let registry = &call.state.registry;
    let actor = call.actor.clone();
    match registry.extend_retention(name, actor, &item, &extension, &asked.reason).await {
        Ok(extended) => Ok(answer(StatusCode::OK, &state(&extended))),
        Err(error) => Err(refusal(registry, name, ("retention.extend", &item), error).await),
    }
}

async fn shorten(call: &mut Call<'_>, name: &RepositoryName) -> Result<Answer, Error> {
    let asked: Shorten = input::read(call).await?;
    let bypass = call.header(&BYPASS) == Some("true");
    let (item, until, actor) = (item(&asked.reference)?, moment(&asked.until)?, call.actor.clone());
    let registry = &call.state.registry;
    match registry.shorten_retention(name, actor, &item, until, &asked.reason, bypass).await {
        Ok(shortened) => Ok(answer(StatusCode::OK, &state(&shortened))),
        Err(error) => Err(refusal(registry, name, ("retention.shorten", &item), error).await),
    }
}

async fn place(call: &mut Call<'_>, name: &RepositoryName) -> Result<Answer, Error> {
    let asked: Place = input::read(call).await?;
    let kind = HoldKind::parse(&asked.kind);
    let new = NewHold {
        item: asked.reference.as_deref().map(item).transpose()?,
        kind: kind.ok_or_else(|| input::refused("kind: a hold is legal or event"))?,
        matter: asked.matter,
        reason: asked.reason,
    };
    let placed = call.state.registry.place_hold(name, call.actor.clone(), new).await?;
    let location = format!("{}/{}", holds_path(name), placed.id);
    Ok(answer(StatusCode::CREATED, &hold(&placed)).with(LOCATION, &location))
}

async fn list(
    call: &mut Call<'_>,
    name: &RepositoryName,
    released: bool,
    page: &Page,
) -> Result<Answer, Error> {
    let limit = page.limit(MAX_PAGE);
    let mut holds = call.state.registry.holds(name, released, &page.last, limit + 1).await?;
    let has_more = holds.len() > limit;
    holds.truncate(limit);
    let next = holds.last().filter(|_| has_more);
    let next =
        next.map(|last| format!("{}?n={limit}&last={}&released={released}", holds_path(name), last.id));
    let holds: Vec<Value> = holds.iter().map(hold).collect();
    Ok(link(answer(StatusCode::OK, &json!({ "holds": holds })), next))
}

async fn release(
    call: &mut Call<'_>,
    name: &RepositoryName,
    id: &HoldId,
    reason: &str,
) -> Result<Answer, Error> {
    let released = call.state.registry.release_hold(name, call.actor.clone(), id, reason).await?;
    Ok(answer(StatusCode::OK, &hold(&released)))
}

fn item(text: &str) -> Result<Item, Error> {
    text.parse().map_err(|error| input::refused(&format!("reference: {error}")))
}

fn moment(text: &str) -> Result<Micros, Error> {
    parse_rfc3339(text)
        .ok_or_else(|| input::refused(&format!("until: {text:?} is no time like 2030-01-31T00:00:00Z")))
}

/// A hold, in force or released.
fn hold(hold: &Hold) -> Value {
    let mut shape = json!({
        "id": hold.id,
        "kind": hold.kind.as_str(),
        "matter": hold.matter,
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": rfc3339(hold.placed_at),
        "scope": {
            "repository": hold.repository,
            "target": hold.target.as_ref().map(ToString::to_string),
        },
    });
    if let Some(release) = &hold.released {
        shape["released_by"] = release.by.as_str().into();
        shape["released_at"] = rfc3339(release.at).into();
        shape["release_reason"] = release.reason.as_str().into();
    }
    shape
}

/// The retention of something, and whether it may leave.
pub(super) fn state(explained: &Explanation) -> Value {
    let retained = explained.retention.as_ref().map(|retention| &retention.retained);
    let reasons: Vec<Value> = explained.verdict.reasons.iter().take(REASONS).map(reason).collect();
    json!({
        "repository": explained.repository,
        "target": explained.target.as_ref().map(ToString::to_string),
        "reference": explained.reference,
        "class": retained.map(|it| it.rule.class.as_str()),
        "mode": retained.map(|it| it.rule.mode.as_str()),
        "policy_version": retained.map(|it| it.rule.policy_version),
        "retain_from": retained.and_then(|it| it.from).map(rfc3339),
        "retain_until": retained.and_then(|it| it.until).map(rfc3339),
        "retain_at_least": retained.and_then(|it| it.floor).map(floor),
        "waits_for_event": retained.is_some_and(Retained::is_waiting),
        "revision": explained.retention.as_ref().map(|it| it.revision),
        "is_deletable": explained.disposed.is_none() && explained.verdict.is_free(),
        "is_eligible": explained.is_eligible(),
        "reasons": reasons,
        "at": rfc3339(explained.at),
    })
}

/// What was promised while the period has not begun, as it is asked for.
fn floor(floor: Floor) -> String {
    match floor {
        Floor::Until(until) => rfc3339(until),
        Floor::ForEver => "forever".to_owned(),
    }
}

/// Everything that bears on something, and where its bytes are: the first of them, and whether there are more.
fn explanation(explained: &Explanation, (blobs, has_more): &(Vec<StoredBlob>, bool)) -> Value {
    let mut shape = state(explained);
    let disposition =
        |it: &crate::registry::Disposition| json!({ "id": it.id, "status": it.status.as_str() });
    shape["packages"] = json!(explained.packages);
    shape["tags"] = json!(explained.tags);
    shape["indexes"] = json!(explained.indexes);
    shape["subject"] = json!(explained.subject);
    shape["holds"] = explained.holds.iter().map(hold).collect();
    shape["dispositions"] = explained.dispositions.iter().map(disposition).collect();
    // Over everything that retains it, and not only by its own retention.
    shape["protected_until"] = json!(explained.retained_until().flatten().map(rfc3339));
    shape["stored"] = blobs.iter().map(stored).collect();
    shape["stored_more"] = (*has_more).into();
    shape
}

/// Where the bytes of a blob are and how they are.
fn stored(blob: &StoredBlob) -> Value {
    json!({
        "content_address": blob.content,
        "sha256": blob.sha256,
        "size": blob.size,
        "location": location(blob.location.as_ref()),
        "damage": blob.damage.map(Damage::as_str),
        "verified_at": blob.verified_at.map(rfc3339),
    })
}

/// What stands against a change, for the one who tried it.
pub(in crate::server) fn detail(protected: &Protected) -> Value {
    let reasons: Vec<Value> = protected.reasons.iter().take(REASONS).map(reason).collect();
    let explain = match &protected.about {
        Some(reference) => explain_path(&protected.repository, reference),
        None => holds_path(&protected.repository),
    };
    json!({ "action": protected.action.as_str(), "reasons": reasons, "explain": explain })
}

/// A refusal to change a protection or to go on with a disposition, with what protects it now.
pub(super) async fn refusal(
    registry: &Registry,
    name: &RepositoryName,
    (action, item): (&str, &Item),
    error: crate::registry::Error,
) -> Error {
    use crate::registry::Error as E;
    let is_refusal = error.is_weakening() || matches!(error, E::RetentionRefused(_) | E::DispositionOpen(_));
    if !is_refusal {
        return error.into();
    }
    // Without reasons, if it is gone meanwhile.
    let explained = registry.explain(name, Some(item)).await;
    let reasons = explained.map(|it| it.verdict.reasons).unwrap_or_default();
    let reasons: Vec<Value> = reasons.iter().take(REASONS).map(reason).collect();
    let explain = explain_path(name, &item.to_string());
    Error::Refused { error, detail: json!({ "action": action, "reasons": reasons, "explain": explain }) }
}

/// One thing that stands against a deletion.
fn reason(reason: &Reason) -> Value {
    match reason {
        Reason::Held { by, hold } => json!({
            "kind": "hold",
            "id": hold.id,
            "hold_kind": hold.kind.as_str(),
            "matter": hold.matter,
            "by": by,
        }),
        Reason::Retained { by, class, mode, until } => json!({
            "kind": "retention",
            "class": class,
            "mode": mode.as_str(),
            "until": until.map(rfc3339),
            "by": by,
        }),
        Reason::Waiting { by, class, mode } => json!({
            "kind": "retention",
            "class": class,
            "mode": mode.as_str(),
            "until": null,
            "waits_for": "event",
            "by": by,
        }),
        Reason::Undisposed { by, class, mode } => json!({
            "kind": "disposition",
            "class": class,
            "mode": mode.as_str(),
            "by": by,
        }),
        Reason::TooEntangled => json!({ "kind": "entangled" }),
    }
}
