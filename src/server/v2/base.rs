//! `/v2/` and extension discovery.

use http::StatusCode;
use serde_json::json;

use super::super::openapi;
use super::super::respond::{Answer, json};

/// Yes, this is a registry (distribution-spec "Determining Support").
pub(in crate::server) fn base() -> Answer {
    json(StatusCode::OK, &json!({}))
}

/// What is here beyond the specification (distribution-spec `extensions/_oci.md`).
pub(in crate::server) fn discover() -> Answer {
    let extensions = json!({ "extensions": [
        {
            "name": "_oci",
            "url": "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
            "description": "extension discovery, and the history of tags as proposed",
            "endpoints": ["_oci/ext/discover", "_oci/tag-history"],
        },
        {
            "name": "_catalog",
            "url": "https://distribution.github.io/distribution/spec/api/#catalog",
            "description": "list of repositories",
            "endpoints": ["_catalog"],
        },
        {
            "name": "_artifactstore",
            "url": "/v2/_artifactstore/openapi.json",
            "description": "evidence packages, metadata schemas, retention classes and the event log",
            "endpoints": openapi::endpoints(),
        },
    ] });
    json(StatusCode::OK, &extensions)
}
