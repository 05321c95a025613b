//! Nothing changes: every way to lose or re-point what is protected, as the most powerful one there is.

use super::*;

on_both![nothing_changes_what_is_held, nothing_changes_what_is_immutable, nothing_changes_a_held_draft,];

/// Everything that could lose or re-point something of a finalized package with tag `v1`, a signature and a file.
struct Attack {
    package: PackageId,
    reference: Digest,
    content: Digest,
    table: Digest,
    signature: Digest,
    /// Another image, all but pushed.
    other: Bytes,
    /// Another draft.
    draft: PackageId,
}

impl Attack {
    async fn prepare(bench: &Bench, class: &str, is_held: bool) -> Self {
        let package = bench.package(class, b"one", "v1").await;
        if is_held {
            bench.hold(legal(Some("v1"))).await.unwrap();
        }
        let found = bench.registry.package(&package).await.unwrap();
        let reference = found.reference.unwrap();
        let manifest = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap();
        let subject = serde_json::json!({ "subject": descriptor(media::OCI_IMAGE_MANIFEST, &reference) });
        let signature = with(&bench.image(b"signature").await, &subject);
        let signature = bench.publish(&signature, &[]).await.unwrap().digest;
        let other = bench.image(b"two").await;
        bench.publish(&other, &["other"]).await.unwrap();
        let draft = bench.draft("a", Description::default()).await;
        bench.ingest("a", &draft, "x", b"two").await.unwrap();
        let attack = Self {
            package,
            reference,
            content: hash::digest(Algorithm::Blake3, &manifest.bytes),
            table: found.content_manifest.unwrap(),
            signature,
            other,
            draft,
        };
        // Leaves the table of the draft behind, which nothing names.
        assert!(bench.finalize("a", &attack.draft, tagged("v1")).await.is_err());
        attack
    }

    /// What was refused, and what by mistake was not.
    async fn run(&self, bench: &Bench) -> Vec<(&'static str, bool)> {
        let (registry, a, actor) = (&bench.registry, name("a"), Actor::anonymous);
        let by_tag = Reference::Tag(tag("v1"));
        let id = &self.package;
        let put = registry.push_manifest(&a, actor(), &by_tag, vec![], None, self.other.clone());
        let overwrite = NewFile { replace: true, ..new_file("x") };
        let path = "x".parse().unwrap();
        let reason = "because";
        let (v1, class, back) = (item("v1"), Extension::Class("transient".to_owned()), Extension::Until(0));
        let weaker = registry.extend_retention(&a, actor(), &v1, &class, reason);
        let back = registry.extend_retention(&a, actor(), &v1, &back, reason);
        vec![
            ("delete the tag", bench.delete("v1").await.is_err()),
            ("delete by SHA-256", bench.delete(self.reference.as_str()).await.is_err()),
            ("delete by BLAKE3", bench.delete(self.content.as_str()).await.is_err()),
            ("delete a signature", bench.delete(self.signature.as_str()).await.is_err()),
            ("delete a file", bench.delete_blob("a", &sha256(b"one")).await.is_err()),
            ("delete the table", bench.delete_blob("a", &self.table).await.is_err()),
            ("push over the tag", put.await.is_err()),
            ("push with ?tag=", bench.publish(&self.other, &["v1"]).await.is_err()),
            ("finalize onto the tag", bench.finalize("a", &self.draft, tagged("v1")).await.is_err()),
            ("abort", registry.abort_package(&a, actor(), id).await.is_err()),
            ("replace a file", bench.put("a", id, overwrite, b"two").await.is_err()),
            ("drop a file", registry.drop_file(&a, actor(), id, &path).await.is_err()),
            ("lower the class", weaker.await.is_err()),
            ("extend backwards", back.await.is_err()),
            ("shorten", bench.shorten("v1", BEGIN, false).await.is_err()),
            ("dispose", bench.propose("v1").await.is_err()),
            ("release no hold", bench.release(&HoldId::generate()).await.is_err()),
        ]
    }
}

async fn nothing_changes(bench: &Bench, attack: &Attack) {
    let (before, denied) = (bench.state().await, bench.denials().await.len());
    let objects = bench.backend.list("", None, 1000).await.unwrap().objects.len();
    for (what, is_refused) in Box::pin(attack.run(bench)).await {
        assert!(is_refused, "{what}");
    }
    bench.clock.advance(120 * SECOND);
    bench.registry.sweep().await.unwrap();
    let after = bench.state().await;
    assert_eq!(before.differences(&after), [""; 0]);
    // But for the audit.
    let denials = bench.denials().await;
    let recorded = i64::try_from(denials.len() - denied).unwrap();
    assert_eq!(after.sequence - before.sequence, recorded, "{denials:?}");
    assert_eq!(recorded, 14, "{denials:?}");
    assert_eq!(bench.backend.list("", None, 1000).await.unwrap().objects.len(), objects);
    assert_eq!(bench.download(&attack.package, "x").await, b"one");
    bench.check().await;
}

async fn nothing_changes_what_is_held(on: On) {
    let bench = Bench::new(on).await;
    let attack = Attack::prepare(&bench, "raw-evidence", true).await;
    Box::pin(nothing_changes(&bench, &attack)).await;
}

async fn nothing_changes_what_is_immutable(on: On) {
    let bench = Bench::new(on).await;
    let attack = Attack::prepare(&bench, "release-evidence", false).await;
    Box::pin(nothing_changes(&bench, &attack)).await;
    assert!(bench.shorten("v1", BEGIN, true).await.is_err());
}

async fn nothing_changes_a_held_draft(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    bench.hold(legal(Some(id.as_str()))).await.unwrap();
    bench.clock.advance(365 * DAY);
    let before = bench.state().await;
    let overwrite = NewFile { replace: true, ..new_file("x") };
    assert!(bench.put("a", &id, overwrite, b"two").await.is_err());
    assert!(bench.drop_file("a", &id, "x").await.is_err());
    assert!(bench.delete_blob("a", &sha256(b"one")).await.is_err());
    assert!(bench.abort("a", &id).await.is_err());
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 0);
    assert_eq!(before.differences(&bench.state().await), [""; 0]);
    assert_eq!(bench.denials().await.len(), 4);
    bench.check().await;
}
