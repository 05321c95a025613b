//! Events as `CloudEvents` 1.0, in the structured mode of its JSON format.

use serde_json::{Value, json};

use super::Record;
use super::json::{leaf_hash, payload};
use crate::retention::rfc3339;

/// What the names of their types begin with.
const REVERSE_DNS: &str = "dev.artifactstore";

/// An event of a log, of which `shown` is its [JSON](super::json). `id` and `source` are the same wherever and whenever
/// the event is read; `sequence` is text that sorts like the number (the extension of that name demands it).
pub fn cloud_event(record: &Record, shown: &[u8], log_id: &str) -> Vec<u8> {
    let sequence = record.sequence;
    let mut event = json!({
        "specversion": "1.0",
        "id": format!("{log_id}/{sequence}"),
        "source": format!("/v2/_artifactstore/log/{log_id}"),
        "type": type_name(&record.type_name),
        "time": rfc3339(record.recorded_at),
        "datacontenttype": "application/json",
        "sequence": format!("{sequence:020}"),
        "actor": record.actor,
        "leafhash": leaf_hash(record),
    });
    if let Some(repository) = &record.repository {
        event["repository"] = (**repository).into();
    }
    if let Some(subject) = subject(record) {
        event["subject"] = subject;
    }
    let mut text = event.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"data\":");
    text.extend_from_slice(payload(shown));
    text.push(b'}');
    text
}

/// `dev.artifactstore.tag.moved.v1` of `v1.tag.moved`.
fn type_name(of: &str) -> String {
    match of.split_once('.') {
        Some((version, name)) => format!("{REVERSE_DNS}.{name}.{version}"),
        None => format!("{REVERSE_DNS}.{of}"),
    }
}

/// What it is about, within its repository. An empty one is not allowed.
fn subject(record: &Record) -> Option<Value> {
    match (&record.repository, &*record.subject) {
        (None, "") => None,
        (Some(repository), "") => Some((**repository).into()),
        (Some(repository), subject) => Some(format!("{repository}@{subject}").into()),
        (None, subject) => Some(subject.into()),
    }
}
