//! `/metrics`: what an operator is to be told of, in `OpenMetrics` text.
//!
//! Everything is asked for when it is scraped, and is the same from whichever replica it is asked: all but the requests
//! that were refused, which each process counts for itself.

use std::sync::atomic::AtomicU64;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Metrics, Unit};

use super::State;
use super::error::Error;
use super::limits::Refusals;
use super::respond::{Answer, full};
use crate::clock::{Micros, SECOND};
use crate::registry::{ClockReading, CollectionRun, RunStatus, ScrubState};

/// The media type of the `OpenMetrics` specification, 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trouble {
    trouble: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

/// `GET /metrics`
pub(super) async fn metrics(state: &State) -> Result<Answer, Error> {
    let registry = &state.registry;
    let mut metrics = Metrics::with_prefix("artifactstore");
    count(&mut metrics, "log_events", "Events in the log", registry.last_sequence());
    scrub(&mut metrics, &registry.scrub_state().await?);
    if let [run] = &registry.gc_runs(None, 1).await?[..] {
        collection(&mut metrics, run);
    }
    clock(&mut metrics, &registry.compliance_clock().await?);
    refusals(&mut metrics, state.limits.refusals());
    let mut text = String::new();
    encode(&mut text, &metrics).expect("a string takes everything");
    Ok(full(StatusCode::OK, OPEN_METRICS, text))
}

fn scrub(metrics: &mut Metrics, state: &ScrubState) {
    let copies = Family::<Trouble, Gauge>::default();
    let troubles = state.troubles;
    for (trouble, found) in
        [("corrupt", troubles.corrupt), ("missing", troubles.missing), ("unreadable", troubles.unreadable)]
    {
        copies.get_or_create(&Trouble { trouble }).set(found.cast_signed());
    }
    metrics.register("damaged_copies", "Stored copies that are damaged or unreadable now", copies);
    if let Some(last) = &state.last {
        let help = "When the last cycle of the scrub that ended began: all that was stored by then was verified since";
        time(metrics, "scrub_cycle_begun", help, last.done.started_at);
    }
}

fn collection(metrics: &mut Metrics, run: &CollectionRun) {
    let begun = "When the last collection of garbage on record began";
    time(metrics, "gc_run_begun", begun, run.done.started_at);
    let is_failed = i64::from(run.status == RunStatus::Failed);
    count(metrics, "gc_run_failed", "Whether it ended early, or could not delete something", is_failed);
}

fn clock(metrics: &mut Metrics, reading: &ClockReading) {
    let frozen = "Whether dispositions and deletions wait for somebody to look at the clock";
    count(metrics, "compliance_clock_frozen", frozen, i64::from(reading.is_frozen));
    let behind = "How far compliance time is behind the system's clock";
    seconds(metrics, "compliance_clock_behind", behind, reading.lag());
}

fn refusals(metrics: &mut Metrics, refusals: Refusals) {
    let requests = Family::<Limit, Counter>::default();
    for (limit, refused) in [
        ("requests", refusals.requests),
        ("crowded_out", refusals.crowded_out),
        ("uploads", refusals.uploads),
    ] {
        requests.get_or_create(&Limit { limit }).inc_by(refused);
    }
    metrics.register(
        "requests_refused",
        "Requests this process answered 429 for a limit of addresses",
        requests,
    );
}

fn count(metrics: &mut Metrics, name: &str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    metrics.register(name, help, gauge);
}

fn time(metrics: &mut Metrics, name: &str, help: &str, at: Micros) {
    seconds(metrics, &format!("{name}_timestamp"), help, at);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point: microseconds are exact to the year 2255"
)]
fn seconds(metrics: &mut Metrics, name: &str, help: &str, micros: Micros) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(micros as f64 / SECOND as f64);
    metrics.register_with_unit(name, help, Unit::Seconds, gauge);
}
