//! Facts about an error that a client can act on.

use serde_json::json;

use crate::registry;
use crate::retention::rfc3339;
use crate::server::extension::retention;
use crate::server::route::{certificate_path, disposition_path, explain_path};

/// What stands in `detail`, if there is anything.
pub(super) fn detail(error: &registry::Error) -> Option<serde_json::Value> {
    match error {
        registry::Error::BlobInUse { manifest, .. } => Some(json!({ "manifest": manifest })),
        registry::Error::BlobInPackage { package, .. } => Some(json!({ "package": package })),
        registry::Error::BlobInObject { key, .. } | registry::Error::KeyUnknown(key) => {
            Some(json!({ "key": key }))
        }
        registry::Error::Protected(protected) => Some(retention::detail(protected)),
        registry::Error::TagRetired { repository, tag, target, disposition } => Some(json!({
            "action": registry::REUSE,
            "reasons": [{ "kind": "disposition", "id": disposition, "tag": tag, "by": target }],
            "explain": explain_path(repository, target.as_str()),
            "tombstone": disposition_path(repository, disposition),
        })),
        registry::Error::NotApproved { disposition, missing } => {
            Some(json!({ "disposition": disposition, "missing": missing }))
        }
        registry::Error::HoldEnded { hold, at } => Some(json!({ "hold": hold, "released_at": rfc3339(*at) })),
        registry::Error::Disposed { repository, disposition, at, .. } => Some(json!({
            "disposition": disposition,
            "deleted_at": rfc3339(*at),
            "tombstone": disposition_path(repository, disposition),
            "certificate": certificate_path(repository, disposition),
        })),
        registry::Error::NotExecuted { disposition, status }
        | registry::Error::DispositionEnded { disposition, status } => {
            Some(json!({ "disposition": disposition, "status": status.as_str() }))
        }
        registry::Error::DispositionOpen(disposition) => Some(json!({ "disposition": disposition })),
        registry::Error::StaleRevision { revision, .. } => Some(json!({ "revision": revision })),
        registry::Error::ClockFrozen { wall, compliance } => Some(json!({
            "wall": rfc3339(*wall), "compliance": rfc3339(*compliance), "clock": "/v2/_artifactstore/clock",
        })),
        registry::Error::CoolingOff { until, .. } => Some(json!({ "until": rfc3339(*until) })),
        registry::Error::PackageNotDraft { package, status }
        | registry::Error::NothingLeft { package, status }
        | registry::Error::PackageNotFinalized { package, status } => {
            Some(json!({ "package": package, "status": status.as_str() }))
        }
        registry::Error::FileExists { path, .. }
        | registry::Error::FileUnknown { path, .. }
        | registry::Error::FileInArchive { path, .. } => Some(json!({ "path": path })),
        registry::Error::PathConflict { file, inside } => Some(json!({ "path": inside, "file": file })),
        registry::Error::MetadataInvalid { schema, violations } => {
            Some(json!({ "schema": schema, "violations": violations }))
        }
        registry::Error::KeyDiffers { key, now } => Some(json!({ "key": key, "sha256": now })),
        registry::Error::CursorAhead { since, head } => Some(json!({ "since": since, "head": head })),
        registry::Error::OtherLog { log_id, epoch } => Some(json!({ "log_id": log_id, "epoch": epoch })),
        registry::Error::CursorExpired { since, horizon } => {
            Some(json!({ "since": since, "horizon": horizon }))
        }
        registry::Error::UrlExpired { at } => Some(json!({ "expired_at": rfc3339(*at) })),
        registry::Error::DigestMismatch { claimed, actual } => {
            Some(json!({ "claimed": claimed, "actual": actual }))
        }
        _ => None,
    }
}
