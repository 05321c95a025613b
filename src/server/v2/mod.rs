//! The OCI distribution API: thin handlers, one registry call each.

pub(super) mod base;
pub(super) mod blobs;
pub(super) mod history;
pub(super) mod lists;
pub(super) mod manifests;
pub(super) mod uploads;
