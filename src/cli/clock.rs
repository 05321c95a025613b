//! `artifactstore clock …`: on a data directory, or over HTTP with a server.

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{print, say};
use super::package::Remote;
use super::{Common, Failure, Outcome, open, user};
use crate::client::shown;
use crate::clock::{Clock as Time, SECOND};
use crate::registry::{self, Actor, ClockReading};
use crate::retention::rfc3339;

/// What can be done with the compliance clock.
#[derive(Debug, Subcommand)]
pub(super) enum Clock {
    /// Show compliance time, the system's clock and what was recorded last; exits with 1 when it is frozen.
    ///
    /// Of a data directory as it was recorded last, also beside a running server; with --server of that one, now.
    Show {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        remote: Remote,
    },
    /// Say, for the record, that the system's clock is right: compliance time follows it again.
    ///
    /// After a long stop, or when the clock was set. Look at the clock first: what was retained is judged by it from then
    /// on. On a data directory, with SQLite while the server is stopped; with --server over HTTP.
    Resync {
        /// Why: what happened, and how it is known that the clock is right.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        remote: Remote,
    },
}

impl Clock {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::Show { remote, .. } if remote.is_named() => {
                let clock = remote.client()?.clock().await?;
                tell(&clock, remote.json)
            }
            Self::Show { common, remote } => {
                let settings = common.start()?;
                let parts = open::read(&settings).await?;
                let reading =
                    registry::read_clock(&parts.db, &Time::system(), &settings.registry.clock).await?;
                parts.close().await;
                tell(&shape(&reading), remote.json)
            }
            Self::Resync { reason, remote, .. } if remote.is_named() => {
                let clock = remote.client()?.resync_clock(&reason).await?;
                tell(&clock, remote.json)
            }
            Self::Resync { reason, common, remote } => {
                let settings = common.start()?;
                // Nobody sets the clock of a registry that is not there.
                open::read(&settings).await?.close().await;
                let parts = open::write(&settings).await?;
                let registry = parts.registry(&settings).await?;
                let resynchronised = registry.resynchronise_clock(Actor::user(&user::name()), &reason).await;
                drop(registry);
                parts.close().await;
                tell(&shape(&resynchronised?), remote.json)
            }
        }
    }
}

fn shape(reading: &ClockReading) -> Value {
    json!({
        "wall": rfc3339(reading.wall),
        "compliance": rfc3339(reading.compliance),
        "behind_seconds": reading.lag() / SECOND,
        "is_frozen": reading.is_frozen,
        "alarm": reading.alarm(),
        "last_tick": reading.tick.map(|tick| json!({
            "wall": rfc3339(tick.wall),
            "compliance": rfc3339(tick.compliance),
            "is_frozen": tick.is_frozen,
            "sequence": tick.sequence,
        })),
    })
}

/// Whether all is well with it.
fn tell(clock: &Value, as_json: bool) -> Result<bool, Failure> {
    let is_frozen = clock["is_frozen"] == true;
    let text = |field: &str| shown(clock[field].as_str().unwrap_or("-")).to_string();
    if as_json || clock["last_tick"].is_null() {
        print(as_json, clock, "nothing was ever retained: the clock has not begun")?;
        return Ok(!is_frozen);
    }
    say(&format!("compliance time: {}", text("compliance")))?;
    say(&format!("system's clock:  {}", text("wall")))?;
    say(&format!("behind:          {} s", clock["behind_seconds"]))?;
    say(&format!("state:           {}", if is_frozen { "frozen" } else { "running" }))?;
    if is_frozen {
        say(&text("alarm"))?;
    }
    Ok(!is_frozen)
}
