use std::sync::Arc;

use ciborium::Value as Cbor;
use serde_json::{Value, json};

use super::frame::{Frames, Framing, Place, Reason};
use super::shape;
use crate::codec::cbor;
use crate::registry::{Record, cloud_event};
use crate::server::route::Format;

fn record(repository: Option<&str>, subject: &str) -> Arc<Record> {
    let payload = cbor::to_vec(&json!({ "text": "a\n\",\"payload\":{}", "n": 1 })).unwrap();
    Arc::new(Record::unstored(12, repository, subject, payload))
}

fn frames(framing: Framing, format: Format) -> Frames {
    Frames { framing, format, log_id: "LOG".into(), epoch: 3 }
}

const PLACE: Place = Place { scanned_to: 12, head: 30 };

async fn event(frames: &Frames, record: &Arc<Record>) -> String {
    let mut out = Vec::new();
    frames.event(&mut out, record, &shape::shown(record).await.unwrap());
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn what_is_shown_has_the_payload_last_whatever_the_other_fields_say() {
    let payload = json!({ "text": "a\n\",\"payload\":{}", "n": 1 });
    for subject in ["s", "\",\"payload\":1", ""] {
        let record = record(Some("a/b"), subject);
        let shown = shape::shown(&record).await.unwrap();
        let expected = json!({
            "sequence": 12, "type": "v1.tag.moved", "recorded_at": "1970-01-01T00:00:01.000000Z",
            "actor": "anonymous", "repository": "a/b", "subject": subject, "payload": payload,
            "leaf_hash": format!("sha256:{}", "07".repeat(32)),
        });
        assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), expected);
        let cloud: Value = serde_json::from_slice(&cloud_event(&record, &shown, "LOG")).unwrap();
        assert_eq!(cloud["data"], payload);
        assert!(shape::is_shown(&record));
    }
}

#[tokio::test]
async fn a_line_is_one_event_one_bookmark_or_the_end() {
    let frames = frames(Framing::Ndjson, Format::Json);
    let first = "{\"bookmark\":{\"epoch\":3,\"head\":30,\"log_id\":\"LOG\",\"scanned_to\":12}}\n";
    assert_eq!(frames.begin(PLACE), first);
    assert_eq!(frames.bookmark(PLACE), "{\"bookmark\":{\"head\":30,\"scanned_to\":12}}\n");
    let line = event(&frames, &record(None, "s")).await;
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
    let end = frames.end(Reason::Time, 12, None);
    assert_eq!(end, "{\"end\":{\"reason\":\"time\",\"scanned_to\":12}}\n");
    let failed = frames.end(Reason::Error, 12, Some("R"));
    assert_eq!(failed, "{\"end\":{\"reason\":\"error\",\"request_id\":\"R\",\"scanned_to\":12}}\n");
}

#[tokio::test]
async fn whatever_a_browser_reads_last_is_where_it_goes_on() {
    let frames = frames(Framing::Sse, Format::Json);
    let begin = String::from_utf8(frames.begin(PLACE).to_vec()).unwrap();
    assert!(begin.starts_with("retry: 3000\n\nid: 12\nevent: bookmark\ndata: {"), "{begin}");
    let sent = event(&frames, &record(None, "s")).await;
    assert!(sent.starts_with("id: 12\nevent: v1.tag.moved\ndata: {") && sent.ends_with("}\n\n"), "{sent}");
    assert_eq!(sent.matches('\n').count(), 4);
    let expected = "id: 12\nevent: bookmark\ndata: {\"head\":30,\"scanned_to\":12}\n\n";
    assert_eq!(frames.bookmark(PLACE), expected);
    let end = "id: 9\nevent: end\ndata: {\"reason\":\"shutdown\",\"scanned_to\":9}\n\n";
    assert_eq!(frames.end(Reason::Shutdown, 9, None), end);
}

#[test]
fn every_item_of_a_sequence_is_a_canonical_map() {
    let frames = frames(Framing::Cbor, Format::Json);
    let mut stored = Vec::new();
    frames.event(&mut stored, &record(None, "s"), b"");
    let mut fields = Vec::new();
    for (item, outer, names) in [
        (stored.into(), None, vec!["salt", "header", "payload", "sequence", "leaf_hash"]),
        (frames.begin(PLACE), Some("bookmark"), vec!["head", "epoch", "log_id", "scanned_to"]),
        (frames.bookmark(PLACE), Some("bookmark"), vec!["head", "scanned_to"]),
        (frames.end(Reason::Head, 12, None), Some("end"), vec!["reason", "scanned_to"]),
        (frames.end(Reason::Error, 12, Some("R")), Some("end"), vec!["reason", "request_id", "scanned_to"]),
    ] {
        let mut rest = &item[..];
        let Cbor::Map(mut map) = ciborium::from_reader(&mut rest).unwrap() else { panic!("no map") };
        assert!(rest.is_empty());
        if let Some(outer) = outer {
            assert_eq!(map[0].0.as_text(), Some(outer));
            map = map.remove(0).1.into_map().unwrap();
        }
        assert_eq!(map.iter().map(|(name, _)| name.as_text().unwrap()).collect::<Vec<_>>(), names);
        assert!(names.is_sorted_by_key(|name| (name.len(), *name)), "{names:?}");
        fields.push(map);
    }
    assert_eq!(fields[0][1].1, Cbor::Bytes(b"header".to_vec()));
    assert_eq!(fields[0][4].1, Cbor::Bytes(vec![7; 32]));
    assert_eq!(fields[1][3].1, Cbor::from(12));
}

#[tokio::test]
async fn a_cloud_event_names_the_log_and_sorts_by_its_sequence() {
    for (repository, subject, expected) in [
        (Some("a/b"), "s", json!("a/b@s")),
        (Some("a/b"), "", json!("a/b")),
        (None, "s", json!("s")),
        (None, "", Value::Null),
    ] {
        let record = record(repository, subject);
        let shown = shape::shown(&record).await.unwrap();
        let event: Value = serde_json::from_slice(&cloud_event(&record, &shown, "LOG")).unwrap();
        assert_eq!(event["subject"], expected);
        assert_eq!(event.get("subject").is_none(), expected.is_null());
        assert_eq!(
            (&event["id"], &event["source"]),
            (&json!("LOG/12"), &json!("/v2/_artifactstore/log/LOG"))
        );
        assert_eq!(event["type"], "dev.artifactstore.tag.moved.v1");
        assert_eq!(event["sequence"], "00000000000000000012");
        assert_eq!(event["data"]["n"], 1);
        let names = event.as_object().unwrap().keys();
        let is_name =
            |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(names.clone().all(is_name), "{names:?}");
    }
}
