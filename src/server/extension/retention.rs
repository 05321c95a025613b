//! Retention and holds as JSON.

use serde_json::{Value, json};

use super::super::route::{explain_path, holds_path};
use crate::registry::Protected;
use crate::retention::{Reason, rfc3339};

/// Reasons in one answer; whoever wants all of them asks for an explanation.
const REASONS: usize = 100;

/// What stands against a change, for the one who tried it.
pub(in crate::server) fn detail(protected: &Protected) -> Value {
    let reasons: Vec<Value> = protected.reasons.iter().take(REASONS).map(reason).collect();
    let explain = match &protected.about {
        Some(reference) => explain_path(&protected.repository, reference),
        None => holds_path(&protected.repository),
    };
    json!({ "action": protected.action.as_str(), "reasons": reasons, "explain": explain })
}

/// One thing that stands against a deletion.
pub(super) fn reason(reason: &Reason) -> Value {
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
