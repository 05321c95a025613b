//! How events are rendered.

use serde_json::json;

use super::*;
use crate::db::testing::on_both;

on_both!(
    a_cloud_event_says_what_the_event_says,
    receivers_of_the_distribution_registry_understand_what_happened,
);

async fn a_cloud_event_says_what_the_event_says(on: On) {
    let stage = Stage::new(on).await;
    let types = Filter::parse_types("blob.linked").unwrap();
    stage
        .hook_with(|new| {
            new.format = WebhookFormat::CloudEvents;
            new.filter.types = types;
        })
        .await;
    stage.push("one").await;
    stage.send().await;
    let taken = stage.receiver.all().remove(0);
    assert_eq!(taken.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let (event, log_id) = (taken.json(), stage.registry.log_id());
    let last = stage.registry.last_sequence();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], format!("{log_id}/{last}"));
    assert_eq!(event["type"], "dev.artifactstore.blob.linked.v1");
    assert_eq!(event["sequence"], format!("{last:020}"));
    assert_eq!((&event["repository"], &event["data"]["repository"]), (&json!("a/b"), &json!("a/b")));
    let subject = event["subject"].as_str().unwrap();
    assert!(subject.starts_with("a/b@blake3:"), "{subject}");
}

async fn receivers_of_the_distribution_registry_understand_what_happened(on: On) {
    let stage = Stage::new(on).await;
    let webhook = stage.hook_with(|new| new.format = WebhookFormat::Distribution).await;
    let bytes = Bytes::from("one");
    let blob = sha256(&bytes);
    stage.push("one").await;
    stage.registry.mount_blob(&name("c"), Actor::anonymous(), &blob, Some(&name("a/b"))).await.unwrap();
    let manifest = image(&blob, std::slice::from_ref(&blob));
    let (tag, actor) = ("v1".parse().unwrap(), Actor::anonymous());
    let size = manifest.len();
    let pushed =
        stage.registry.push_manifest(&name("a/b"), actor, &tag, vec![], None, manifest).await.unwrap();
    stage.send().await;
    let reference = Reference::Digest(pushed.digest.clone());
    stage.registry.delete_manifest(&name("a/b"), Actor::anonymous(), &tag).await.unwrap();
    stage.registry.delete_manifest(&name("a/b"), Actor::anonymous(), &reference).await.unwrap();
    stage.registry.delete_blob(&name("c"), Actor::anonymous(), &blob).await.unwrap();
    stage.send().await;
    let taken = stage.receiver.all();
    for taken in &taken {
        let media_type = taken.header("content-type");
        assert_eq!(media_type, "application/vnd.docker.distribution.events.v2+json");
    }
    let told: Vec<Value> = taken.iter().map(|taken| taken.json()["events"][0].clone()).collect();
    let digest = pushed.digest.as_str();
    let manifest = json!({
        "repository": "a/b", "digest": digest, "size": size, "length": size,
        "mediaType": media::OCI_IMAGE_MANIFEST, "url": format!("/v2/a/b/manifests/{digest}"),
    });
    let mut tagged = manifest.clone();
    tagged["tag"] = "v1".into();
    let layer = |repository: &str| {
        json!({
            "repository": repository, "digest": blob, "size": 3, "length": 3,
            "mediaType": "application/octet-stream", "url": format!("/v2/{repository}/blobs/{blob}"),
        })
    };
    let mut mounted = layer("c");
    mounted["fromRepository"] = "a/b".into();
    let expected = [
        ("push", layer("a/b")),
        ("mount", mounted),
        ("push", manifest),
        ("push", tagged),
        ("delete", json!({ "repository": "a/b", "tag": "v1" })),
        ("delete", json!({ "repository": "a/b", "digest": digest })),
        ("delete", json!({ "repository": "c", "digest": blob })),
    ];
    let found: Vec<_> =
        told.iter().map(|event| (event["action"].as_str().unwrap(), event["target"].clone())).collect();
    assert_eq!(found, expected);
    assert!(told.iter().all(|event| event["actor"]["name"] == "anonymous" && event["id"].is_string()));
    stage.pass(1).await;
    assert_eq!(stage.see(&webhook).await.cursor, stage.registry.last_sequence());
}
