//! Deletion certificates: what they tell of every blob, and that they tell the same for ever.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;
use crate::events::Damage;

on_both![
    a_certificate_follows_every_blob_to_its_end,
    what_others_name_is_kept_and_the_certificate_says_by_whom,
    what_was_not_executed_has_no_certificate,
    a_damaged_blob_is_called_damaged_until_it_is_gone,
    a_certificate_is_of_the_disposition_and_not_of_the_next_one_of_the_same_manifest,
];

/// As long as everything takes to be collected.
const COLLECTED: [Micros; 4] = [2 * DAY, 2 * DAY, DAY, 0];

impl Bench {
    async fn certificate(&self, id: &DispositionId) -> (Value, bool) {
        let found = self.registry.certificate(&name("a"), id).await.unwrap();
        (serde_json::from_str(&found.document).unwrap(), found.is_final)
    }

    async fn record(&self, fact: Fact) {
        self.registry.submit(Actor::system(), Record(fact)).await.unwrap();
    }

    async fn collect_everything(&self) {
        for time in COLLECTED {
            self.clock.advance(time);
            self.registry.collect().await.unwrap().unwrap();
        }
    }
}

/// The line of some bytes.
fn line<'a>(certificate: &'a Value, bytes: &[u8]) -> &'a Value {
    let sha256 = json!(sha256(bytes));
    certificate["blobs"].as_array().unwrap().iter().find(|blob| blob["sha256"] == sha256).unwrap()
}

async fn a_certificate_follows_every_blob_to_its_end(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let until = bench.registry.package(&id).await.unwrap().expires_at.unwrap();
    bench.clock.advance(200 * DAY);
    let done = bench.dispose("v1").await;
    let (interim, is_final) = bench.certificate(&done.id).await;
    assert!(!is_final && interim["status"] == "interim", "{interim}");
    assert_eq!(line(&interim, b"one")["outcome"], "pending");
    assert_eq!(line(&interim, b"one")["waits_as"], "unused");
    assert_eq!(interim["summary"]["pending"]["blobs"], interim["blobs"].as_array().unwrap().len());
    assert_eq!(bench.certificate(&done.id).await.0, interim, "the same events, the same bytes");

    bench.clock.advance(2 * DAY);
    bench.registry.collect().await.unwrap().unwrap();
    assert_eq!(line(&bench.certificate(&done.id).await.0, b"one")["waits_as"], "unlinked");
    bench.collect_everything().await;
    let (found, is_final) = bench.certificate(&done.id).await;
    assert!(is_final && found["status"] == "final", "{found}");
    let one = line(&found, b"one");
    assert_eq!((&one["outcome"], &one["size"]), (&json!("purged"), &json!(3)), "{one}");
    assert_eq!(one["content_address"], json!(hash::digest(Algorithm::Blake3, b"one")));
    assert_eq!(found["summary"]["purged"]["blobs"], found["blobs"].as_array().unwrap().len());
    assert_eq!((&found["target"], &found["package"]["id"]), (&json!(id), &json!(id)));
    let retention = &found["retention"];
    assert_eq!((&retention["class"], &retention["mode"]), (&json!("raw-evidence"), &json!("governance")));
    assert_eq!(retention["retain_until"], json!(crate::retention::rfc3339(until)));
    let disposition = &found["disposition"];
    assert_eq!(
        (&disposition["proposed_by"], &disposition["executed_by"]),
        (&json!("os:ann"), &json!("os:ann"))
    );
    assert_eq!(disposition["approvals"][0]["by"], "os:bob");
    assert_eq!(disposition["approvals"][0]["revision"], retention["revision"]);

    // Whoever has the log finds each event that is named, with this hash, and what it says.
    let events = bench.registry.events(0, 10_000).await.unwrap();
    let evidence = found["log"]["events"].as_array().unwrap();
    let hex = |event: &Event| {
        event.leaf_hash().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    for named in evidence {
        let event = events.iter().find(|event| named["sequence"] == event.sequence).unwrap();
        assert_eq!(
            (&named["type"], &named["leaf_hash"]),
            (&json!(event.fact.type_name()), &json!(hex(event)))
        );
    }
    let of = |sequence: &Value| {
        evidence.iter().find(|it| it["sequence"] == *sequence).unwrap()["type"].as_str().unwrap()
    };
    assert_eq!(of(&disposition["proposed_in"]), "v1.disposition.proposed");
    assert_eq!(of(&disposition["approvals"][0]["event"]), "v1.disposition.approved");
    assert_eq!(of(&disposition["executed_in"]), "v1.disposition.executed");
    assert_eq!(of(&one["purged_in"]), "v1.blob.purged");
    let issued = events.iter().find_map(|event| match &event.fact {
        Fact::CertificateIssued(fact) => Some(fact),
        _ => None,
    });
    let document = bench.registry.certificate(&name("a"), &done.id).await.unwrap();
    assert_eq!(issued.unwrap().certificate, document.document);
    assert_eq!(issued.unwrap().digest, document.digest());

    // The same evidence comes again: what was certified was deleted all the same.
    bench.package("raw-evidence", b"one", "v2").await;
    bench.registry.sweep().await.unwrap();
    assert_eq!(bench.registry.certificate(&name("a"), &done.id).await.unwrap(), document);
    bench.check().await;
}

async fn what_others_name_is_kept_and_the_certificate_says_by_whom(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"shared", "v1").await;
    let other = {
        let class = Some("raw-evidence".to_owned());
        let id = bench.draft("a", Description { retention_class: class, ..Description::default() }).await;
        bench.ingest("a", &id, "shared", b"shared").await.unwrap();
        bench.ingest("a", &id, "sole", b"sole").await.unwrap();
        bench.finalize("a", &id, tagged("v2")).await.unwrap();
        id
    };
    let key = bench.draft("b", Description::default()).await;
    bench.ingest("b", &key, "x", b"shared").await.unwrap();
    bench.clock.advance(8 * DAY);
    let done = bench.dispose("v1").await;
    let (interim, _) = bench.certificate(&done.id).await;
    let shared = line(&interim, b"shared");
    assert_eq!(shared["outcome"], "kept", "{shared}");
    let because = shared["because"].as_array().unwrap();
    assert_eq!(because[0], json!({ "kind": "package", "id": other }));
    assert!(because.contains(&json!({ "kind": "elsewhere", "repositories": 1 })), "{shared}");
    assert_eq!(interim["summary"]["kept"], json!({ "blobs": 1, "bytes": 6 }));
    bench.collect_everything().await;
    let (found, is_final) = bench.certificate(&done.id).await;
    assert!(is_final, "{found}");
    assert_eq!(line(&found, b"shared"), shared);
    assert_eq!(bench.download(&other, "shared").await, b"shared");
    let purged = found["summary"]["purged"]["blobs"].as_u64().unwrap();
    assert_eq!(purged + 1, found["blobs"].as_array().unwrap().len() as u64);
    bench.check().await;
}

async fn what_was_not_executed_has_no_certificate(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.clock.advance(200 * DAY);
    let id = bench.propose("v1").await.unwrap();
    for _ in 0..2 {
        let early = bench.registry.certificate(&name("a"), &id).await;
        assert!(matches!(early, Err(Error::NotExecuted { .. })), "{early:?}");
        bench.approve(&id, "bob").await.unwrap();
    }
    let elsewhere = bench.registry.certificate(&name("b"), &id).await;
    assert!(matches!(elsewhere, Err(Error::DispositionUnknown(_))), "{elsewhere:?}");
    assert_eq!(bench.registry.issue_certificates().await.unwrap(), 0);
}

async fn a_damaged_blob_is_called_damaged_until_it_is_gone(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    let content = hash::digest(Algorithm::Blake3, b"one");
    let blob = views::blobs::of_any_state(&bench.db, &content).await.unwrap().unwrap();
    let (backend, key, finding) = (blob.backend, blob.key, "another digest".to_owned());
    let damage = Damage::Corrupt;
    let run = "a-cycle".to_owned();
    let fact = crate::events::BlobCorrupted { run, content, backend, key, damage, finding };
    bench.record(fact.into()).await;
    let done = bench.dispose("v1").await;
    let (interim, is_final) = bench.certificate(&done.id).await;
    let one = line(&interim, b"one");
    assert_eq!((&one["outcome"], &one["damage"]), (&json!("damaged"), &json!("corrupt")), "{one}");
    assert!(!is_final);
    bench.collect_everything().await;
    let (found, is_final) = bench.certificate(&done.id).await;
    assert!(is_final && line(&found, b"one")["outcome"] == "purged", "{found}");
}

async fn a_certificate_is_of_the_disposition_and_not_of_the_next_one_of_the_same_manifest(on: On) {
    let bench = Bench::new(on).await;
    let image = with(&bench.image(b"one").await, &annotated("transient"));
    let mut certificates = Vec::new();
    for tag in ["v1", "v2"] {
        bench.image(b"one").await;
        bench.publish(&image, &[tag]).await.unwrap();
        bench.clock.advance(8 * DAY);
        let done = bench.dispose(tag).await;
        certificates.push((done.id, tag));
    }
    bench.collect_everything().await;
    for (id, tag) in certificates {
        let (found, is_final) = bench.certificate(&id).await;
        assert!(is_final, "{found}");
        assert_eq!((&found["disposition"]["id"], &found["tags"]), (&json!(id), &json!([tag])));
    }
    bench.check().await;
}
