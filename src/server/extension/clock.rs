//! The compliance clock: looked at, and set going again.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::respond::{Answer, json as answer};
use super::super::service::Call;
use super::input;
use crate::clock::SECOND;
use crate::registry::{ClockReading, ClockTick};
use crate::retention::rfc3339;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resync {
    #[serde(default)]
    reason: String,
}

/// `GET G/clock`
pub(super) async fn get(call: &mut Call<'_>) -> Result<Answer, Error> {
    Ok(answer(StatusCode::OK, &shape(&call.state.registry.compliance_clock().await?)))
}

/// `POST G/clock/resync`
pub(super) async fn resync(call: &mut Call<'_>) -> Result<Answer, Error> {
    let asked: Resync = input::read(call).await?;
    let (registry, actor) = (&call.state.registry, call.actor.clone());
    let reading = registry.resynchronise_clock(actor, &asked.reason).await?;
    Ok(answer(StatusCode::OK, &shape(&reading)))
}

fn shape(reading: &ClockReading) -> Value {
    let tick = |tick: ClockTick| {
        json!({
            "wall": rfc3339(tick.wall),
            "compliance": rfc3339(tick.compliance),
            "is_frozen": tick.is_frozen,
            "sequence": tick.sequence,
        })
    };
    json!({
        "wall": rfc3339(reading.wall),
        "compliance": rfc3339(reading.compliance),
        "behind_seconds": reading.lag() / SECOND,
        "is_frozen": reading.is_frozen,
        "alarm": reading.alarm(),
        "last_tick": reading.tick.map(tick),
    })
}
