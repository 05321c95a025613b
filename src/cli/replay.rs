//! `artifactstore replay` and `artifactstore snapshot`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::Scratch;
use super::interrupt::Signals;
use super::output::{print, remark};
use super::package::meter::size;
use super::{Failure, Outcome, open};
use crate::config::Settings;
use crate::registry::{self, Check, Folded, Replay, Snapshot, StateDigest};

/// How often a terminal is told.
const TICK: Duration = Duration::from_millis(200);

/// How often anything else is: it keeps every line.
const LINE: Duration = Duration::from_secs(5);

/// Cells of the bar.
const BAR: u64 = 30;

/// Rebuilds the views in place.
pub(super) async fn replay(settings: &Settings, from_snapshot: bool, as_json: bool) -> Outcome {
    let storage = if from_snapshot { Some(open::storage(settings).await?) } else { None };
    let database = open::database(settings).await?;
    let mut bar = Bar::new(as_json);
    let replayed =
        registry::replay_with(&database.db, storage.as_ref(), &mut |folded| bar.show(folded)).await;
    bar.end();
    let replayed = match replayed? {
        Replay::Done(replayed) => replayed,
        Replay::Damaged(error) => return damaged(error, as_json),
    };
    database.db.close().await;
    let text = format!("{}\nstate {}", what(&replayed), replayed.state.digest);
    let body = json!({ "events": replayed.events, "from": replayed.from, "state": state(&replayed.state) });
    print(as_json, &body, &text)?;
    Ok(true)
}

/// Rebuilds them beside the live ones, and compares.
pub(super) async fn replay_check(settings: &Settings, from_snapshot: bool, as_json: bool) -> Outcome {
    let parts = open::read(settings).await?;
    let mut signals = Signals::listen()?;
    let scratch = Scratch::new()?;
    let storage = from_snapshot.then_some(&parts.data);
    let mut bar = Bar::new(as_json);
    let show = &mut |folded: Folded| bar.show(folded);
    let checked = tokio::select! {
        checked = registry::replay_check_with(&parts.db, scratch.path(), storage, show) => checked,
        stop = signals.next() => {
            // A copy of all views is in it, and a process that ends drops nothing.
            drop(scratch);
            bar.end();
            stop.end("nothing was changed")
        }
    };
    bar.end();
    let (replayed, live) = match checked? {
        Check::Compared { replayed, live } => (replayed, live),
        Check::Damaged(error) => return damaged(error, as_json),
    };
    let differences = replayed.state.differences(&live);
    let text = if differences.is_empty() {
        format!("{}; the views are what they lead to\nstate {}", what(&replayed), live.digest)
    } else {
        let differ = format!("these views differ from the log: {}", differences.join(", "));
        let rows: String = differences.iter().map(|name| rows_of(name, &replayed.state, &live)).collect();
        format!("{differ}{rows}\nreplayed {}\nlive     {}", replayed.state.digest, live.digest)
    };
    let body = json!({
        "events": replayed.events,
        "from": replayed.from,
        "matches": differences.is_empty(),
        "differences": differences,
        "replayed": state(&replayed.state),
        "live": state(&live),
    });
    print(as_json, &body, &text)?;
    Ok(differences.is_empty())
}

/// Writes a snapshot.
pub(super) async fn snapshot(settings: &Settings, as_json: bool) -> Outcome {
    let parts = open::write(settings).await?;
    let registry = parts.registry(settings).await?;
    let written = registry.snapshot().await?;
    drop(registry);
    parts.db.close().await;
    let Some(Snapshot { sequence, views_version, state, rows, object, created_at: _ }) = written else {
        let reason = "a server is writing a snapshot already";
        return Err(Failure(reason.to_owned()));
    };
    let text = format!(
        "wrote a snapshot at event {sequence}: {rows} rows, {}, {}\nstate {state}",
        size(object.size),
        object.key
    );
    let body = json!({
        "sequence": sequence, "views_version": views_version, "state": state, "rows": rows,
        "content": object.content, "size": object.size, "backend": object.backend, "key": object.key,
    });
    print(as_json, &body, &text)?;
    Ok(true)
}

fn damaged(error: impl std::error::Error, as_json: bool) -> Outcome {
    let Failure(reason) = Failure::from(error);
    let text = format!("the log is damaged: {reason}");
    print(as_json, &json!({ "matches": false, "damage": reason }), &text)?;
    Ok(false)
}

fn what(replayed: &registry::Replayed) -> String {
    match replayed.from {
        0 => format!("replayed {} events", replayed.events),
        from => format!("replayed {} events, from the snapshot at event {from}", replayed.events),
    }
}

fn rows_of(name: &str, replayed: &StateDigest, live: &StateDigest) -> String {
    let count =
        |state: &StateDigest| state.tables.iter().find(|table| table.name == name).map_or(0, |it| it.rows);
    format!("\n  {name}: {} rows from the log, {} live", count(replayed), count(live))
}

fn state(state: &StateDigest) -> Value {
    json!({ "sequence": state.sequence, "digest": state.digest, "tables": state.tables })
}

/// Says on standard error how far a replay is: one line that changes on a terminal, now and then a line elsewhere.
struct Bar {
    is_terminal: bool,
    is_silent: bool,
    told: Duration,
    has_line: bool,
}

impl Bar {
    fn new(is_silent: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, is_silent, told: Duration::ZERO, has_line: false }
    }

    fn show(&mut self, folded: Folded) {
        let every = if self.is_terminal { TICK } else { LINE };
        if self.is_silent || folded.taken < self.told + every {
            return;
        }
        self.told = folded.taken;
        if self.is_terminal {
            self.has_line = true;
            remark(&format!("\r\x1b[K{} {}", bar(&folded), line(&folded)));
        } else {
            remark(&format!("{}\n", line(&folded)));
        }
    }

    fn end(&self) {
        if self.has_line {
            remark("\r\x1b[K");
        }
    }
}

fn line(folded: &Folded) -> String {
    let Folded { events, total, .. } = folded;
    let (rate, left) = (folded.per_second(), (total - events).unsigned_abs());
    let mut line = format!("{events} of {total} events, {rate}/s");
    if let Some(seconds) = left.checked_div(rate).filter(|seconds| *seconds > 0) {
        let _ = write!(line, ", {}:{:02} left", seconds / 60, seconds % 60);
    }
    line
}

fn bar(folded: &Folded) -> String {
    let (events, total) = (folded.events.unsigned_abs(), folded.total.unsigned_abs().max(1));
    let full = usize::try_from(events.min(total) * BAR / total).unwrap_or_default();
    let cells = usize::try_from(BAR).unwrap_or_default();
    format!("[{}{}]", "#".repeat(full), "-".repeat(cells - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_how_fast_and_how_long() {
        let folded = Folded { from: 0, events: 250_000, total: 1_000_000, taken: Duration::from_secs(2) };
        assert_eq!(line(&folded), "250000 of 1000000 events, 125000/s, 0:06 left");
        assert_eq!(bar(&folded), format!("[{}{}]", "#".repeat(7), "-".repeat(23)));
        let begun = Folded { events: 0, taken: Duration::ZERO, ..folded };
        assert_eq!(line(&begun), "0 of 1000000 events, 0/s");
        let done = Folded { events: 1_000_000, ..folded };
        assert_eq!(
            (line(&done), bar(&done)),
            ("1000000 of 1000000 events, 500000/s".to_owned(), format!("[{}]", "#".repeat(30)))
        );
        assert_eq!(bar(&Folded { events: 0, total: 0, ..folded }), format!("[{}]", "-".repeat(30)));
    }
}
