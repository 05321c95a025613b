//! Referrers: the answer, its filter and its pages.

use super::*;

fn referrer(config: &Digest, subject: Option<&Digest>, artifact_type: &str, note: &str) -> Bytes {
    let mut value = serde_json::json!({
        "schemaVersion": 2, "mediaType": media::OCI_IMAGE_MANIFEST, "artifactType": artifact_type,
        "config": descriptor(media::OCI_EMPTY, config), "layers": [], "annotations": {"note": note},
    });
    if let Some(subject) = subject {
        value["subject"] = descriptor(media::OCI_IMAGE_MANIFEST, subject);
    }
    json(&value)
}

impl Fixture {
    async fn refer(&self, subject: Option<&Digest>, artifact_type: &str, note: &str) -> Digest {
        let config = self.push("a", &Bytes::from_static(b"{}")).await;
        let bytes = referrer(&config, subject, artifact_type, note);
        self.put("a", sha256(&bytes).as_str(), &bytes).await.unwrap().digest
    }

    /// All pages: how many, and every digest with its note's length, in their order.
    async fn referrers(&self, subject: &Digest, types: &[&str]) -> (usize, Vec<Digest>) {
        let types: Vec<String> = types.iter().map(|text| (*text).to_owned()).collect();
        let (mut pages, mut all, mut after) = (0, Vec::new(), None);
        loop {
            let page = self.registry.referrers(&name("a"), subject, &types, after.as_ref()).await.unwrap();
            assert!(page.index.len() <= 4 * 1024 * 1024, "{} bytes", page.index.len());
            let index: serde_json::Value = serde_json::from_slice(&page.index).unwrap();
            for entry in index["manifests"].as_array().unwrap() {
                all.push(entry["digest"].as_str().unwrap().parse().unwrap());
            }
            pages += 1;
            after = page.next;
            if after.is_none() {
                return (pages, all);
            }
        }
    }
}

fn sorted(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort();
    digests
}

#[tokio::test]
async fn referrers_are_listed_and_filtered_by_type() {
    let fixture = Fixture::new().await;
    let subject = fixture.push_image("a", "v1", "x").await;
    assert_eq!(fixture.referrers(&subject, &[]).await, (1, vec![]));
    let sbom = fixture.refer(Some(&subject), "application/sbom", "1").await;
    let other = fixture.refer(Some(&subject), "application/sbom", "2").await;
    let signature = fixture.refer(Some(&subject), "application/signature", "1").await;
    let all = sorted(vec![sbom.clone(), other.clone(), signature.clone()]);
    assert_eq!(sorted(fixture.referrers(&subject, &[]).await.1), all);
    let boms = sorted(vec![sbom.clone(), other.clone()]);
    assert_eq!(sorted(fixture.referrers(&subject, &["application/sbom"]).await.1), boms);
    assert_eq!(fixture.referrers(&subject, &["application/none"]).await.1, []);
    let two = ["application/sbom", "application/signature"];
    assert_eq!(sorted(fixture.referrers(&subject, &two).await.1), all);
    fixture.remove("a", sbom.as_str()).await.unwrap();
    assert_eq!(sorted(fixture.referrers(&subject, &[]).await.1), sorted(vec![other, signature]));
    fixture.check().await;
}

#[tokio::test]
async fn a_subject_need_not_exist_and_the_answer_tells_it() {
    let fixture = Fixture::new().await;
    let config = fixture.push("a", &Bytes::from_static(b"{}")).await;
    let subject = sha256(b"not yet here");
    let bytes = referrer(&config, Some(&subject), "application/x", "");
    let pushed = fixture.put("a", "t", &bytes).await.unwrap();
    assert_eq!(pushed.subject, Some(subject.clone()));
    assert_eq!(fixture.referrers(&subject, &[]).await.1, [pushed.digest]);
}

#[tokio::test]
async fn many_referrers_come_in_pages_that_clients_accept() {
    let fixture = Fixture::new().await;
    let subject = sha256(b"subject");
    let mut all = Vec::new();
    for n in 0..7 {
        let note = format!("{n}{}", "\"".repeat(450_000)); // twice that in JSON
        all.push(fixture.refer(Some(&subject), "application/x", &note).await);
        fixture.refer(Some(&subject), "application/y", &n.to_string()).await;
    }
    let (pages, found) = fixture.referrers(&subject, &["application/x"]).await;
    assert_eq!(pages, 2);
    assert_eq!(sorted(found), sorted(all));
    assert_eq!(fixture.referrers(&subject, &[]).await.1.len(), 14);
}

#[tokio::test]
async fn what_old_clients_list_under_the_fallback_tag_is_listed_too() {
    let fixture = Fixture::new().await;
    let subject = fixture.push_image("a", "v1", "x").await;
    let native = fixture.refer(Some(&subject), "application/x", "native").await;
    let listed = fixture.refer(None, "application/x", "listed").await;
    let typed = fixture.refer(None, "application/y", "listed").await;
    // The native one stands there as well, and one that was never pushed.
    let children = [listed.clone(), native.clone(), typed.clone(), sha256(b"gone")];
    let tag = crate::oci::referrer::fallback_tag(&subject).unwrap();
    fixture.put("a", tag.as_str(), &index_of(&children)).await.unwrap();
    let all = sorted(vec![native.clone(), listed.clone(), typed]);
    assert_eq!(sorted(fixture.referrers(&subject, &[]).await.1), all);
    let x = sorted(vec![native, listed]);
    assert_eq!(sorted(fixture.referrers(&subject, &["application/x"]).await.1), x);
}

#[tokio::test]
async fn a_full_page_dropped_what_the_fallback_tag_lists() {
    let fixture = Fixture::new().await;
    let subject = sha256(b"subject");
    let mut all = Vec::new();
    for n in 0..5 {
        let note = format!("{n}{}", "x".repeat(900_000));
        all.push(fixture.refer(Some(&subject), "application/x", &note).await);
    }
    let mut listed = Vec::new();
    for n in 0..6 {
        let note = format!("{n}{}", "y".repeat(900_000));
        listed.push(fixture.refer(None, "application/x", &note).await);
    }
    let tag = crate::oci::referrer::fallback_tag(&subject).unwrap();
    fixture.put("a", tag.as_str(), &index_of(&listed)).await.unwrap();
    all.extend(listed);
    let (pages, found) = fixture.referrers(&subject, &[]).await;
    assert_eq!(pages, 3);
    assert_eq!(sorted(found), sorted(all));
}
