//! `/health`, `/livez`, `/readyz` (API-3).

use http::StatusCode;
use serde_json::json;

use super::respond::{Answer, full, json};
use crate::registry::{Component, Registry};

/// Is the process worth keeping?
pub(super) fn live(registry: &Registry) -> Answer {
    if registry.is_alive() {
        full(StatusCode::OK, "text/plain", "ok\n")
    } else {
        full(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the event log has stopped\n")
    }
}

/// Does every part work now? Tries the database and the storage.
pub(super) async fn ready(registry: &Registry) -> Answer {
    let health = registry.health().await;
    let (status, word) =
        if health.is_ready() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "failing") };
    let component = |part: &Component| {
        let capacity =
            part.capacity.map(|(total, available)| json!({ "total": total, "available": available }));
        json!({ "name": part.name, "status": if part.problem.is_none() { "ok" } else { "failing" },
                "problem": part.problem, "capacity": capacity, "capabilities": part.capabilities })
    };
    let components: Vec<_> = health.components.iter().map(component).collect();
    let body = json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "sequence": registry.last_sequence(),
        "components": components,
    });
    json(status, &body)
}
