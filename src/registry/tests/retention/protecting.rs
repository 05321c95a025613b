//! What is protected, and what is bound up with it.

use super::*;
use crate::retention::{Bounds, Classes, Policy};

on_both![
    an_image_comes_under_the_class_it_asks_for,
    an_image_comes_under_the_default_of_its_repository,
    a_class_below_the_bound_of_its_repository_was_refused_the_second_time,
    what_a_retained_index_names_stays,
    what_refers_to_something_retained_stays,
    a_tag_on_what_is_immutable_does_not_move,
    a_tag_on_what_is_governed_may_move_and_the_last_one_stays,
    two_packages_of_one_manifest_keep_it_together,
    what_is_over_still_leaves_by_a_disposition_only,
    refusals_are_on_record_and_counted,
    a_blob_of_something_retained_stays_and_the_attempt_is_on_record,
    an_attempt_on_a_finalized_package_left_no_trace,
    an_attempt_on_a_blob_that_a_draft_has_too_left_no_trace,
    a_refusal_was_filed_under_what_the_client_typed,
    a_child_named_by_sha512_was_deleted_by_sha256,
    an_attempt_on_a_blob_that_many_manifests_name_left_no_trace,
    a_pinned_tag_changed_its_digest_when_the_same_bytes_came_by_another,
    what_had_a_tag_that_looks_like_an_id_could_not_be_explained,
];

async fn an_image_comes_under_the_class_it_asks_for(on: On) {
    let bench = Bench::new(on).await;
    let plain = bench.image(b"one").await;
    let asked = with(&plain, &annotated("summary-evidence"));
    let pushed = bench.publish(&asked, &["v1"]).await.unwrap();
    assert_eq!(pushed.warnings, ["retention: class summary-evidence until 1973-01-12"]);
    let kept = bench.delete(pushed.digest.as_str()).await;
    let Err(Error::Protected(protected)) = &kept else { panic!("{kept:?}") };
    assert_eq!(protected.action, Action::DeleteManifest);
    assert!(
        matches!(&protected.reasons[..], [Reason::Retained { class, .. }] if class == "summary-evidence")
    );
    let before = bench.registry.last_sequence();
    let again = bench.publish(&asked, &["v1"]).await.unwrap();
    assert_eq!((again.warnings, bench.registry.last_sequence()), (pushed.warnings, before));
    let unknown = bench.publish(&with(&plain, &annotated("forever")), &[]).await;
    assert!(matches!(unknown, Err(Error::ClassDenied(Denied::Unknown(_)))), "{unknown:?}");
    // Without a class it is as in any registry.
    let pushed = bench.publish(&plain, &["v2"]).await.unwrap();
    assert!(pushed.warnings.is_empty(), "{pushed:?}");
    bench.delete("v2").await.unwrap();
    bench.delete(pushed.digest.as_str()).await.unwrap();
    bench.check().await;
}

async fn an_image_comes_under_the_default_of_its_repository(on: On) {
    let default = Some("release-evidence".to_owned());
    let bounds = Bounds { pattern: "a".to_owned(), default, ..Bounds::default() };
    let retention = Policy::new(Classes::default(), vec![bounds]).unwrap();
    let bench = Bench::with(on, Options { retention, ..Options::default() }).await;
    let image = bench.image(b"one").await;
    let pushed = bench.publish(&image, &["v1"]).await.unwrap();
    assert_eq!(pushed.warnings, ["retention: class release-evidence until 1980-01-12"]);
    let explained = bench.explain("v1").await.unwrap();
    let rule = explained.retention.unwrap().retained.rule;
    assert_eq!((rule.class.as_str(), rule.policy_version), ("release-evidence", 2));
    assert!(bench.delete("v1").await.is_err());
    bench.check().await;
}

async fn a_class_below_the_bound_of_its_repository_was_refused_the_second_time(on: On) {
    let class = |name: &str| Some(name.to_owned());
    let (at_least, at_most) = (class("raw-evidence"), class("summary-evidence"));
    let bounds = Bounds { pattern: "a".to_owned(), default: None, at_least, at_most };
    let retention = Policy::new(Classes::default(), vec![bounds]).unwrap();
    let bench = Bench::with(on, Options { retention, ..Options::default() }).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let asked = |name: &str| Finalize { retention_class: class(name), ..tagged("v1") };
    let strong = bench.finalize("a", &id, asked("release-evidence")).await;
    assert!(matches!(strong, Err(Error::ClassDenied(Denied::TooStrong { .. }))), "{strong:?}");
    for _ in 0..2 {
        let package = bench.finalize("a", &id, asked("transient")).await.unwrap();
        assert_eq!(package.description.retention_class, class("raw-evidence"));
    }
    let other = bench.finalize("a", &id, asked("summary-evidence")).await;
    assert!(matches!(other, Err(Error::PackageNotDraft { .. })), "{other:?}");
    bench.check().await;
}

async fn what_a_retained_index_names_stays(on: On) {
    let bench = Bench::new(on).await;
    let child = bench.image(b"one").await;
    let inner = index_of(&[sha256(&child)]);
    let outer = with(&index_of(&[sha256(&inner)]), &annotated("raw-evidence"));
    // A sparse index first, which names what nobody knows yet.
    bench.publish(&outer, &["v1"]).await.unwrap();
    bench.publish(&inner, &[]).await.unwrap();
    bench.publish(&child, &["child"]).await.unwrap();
    let stranger = bench.image(b"two").await;
    bench.publish(&stranger, &[]).await.unwrap();
    for manifest in [&outer, &inner, &child] {
        let kept = bench.delete(sha256(manifest).as_str()).await;
        assert!(matches!(kept, Err(Error::Protected(_))), "{kept:?}");
    }
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(matches!(kept, Err(Error::Protected(_))), "{kept:?}");
    bench.delete(sha256(&stranger).as_str()).await.unwrap();
    bench.check().await;
}

async fn what_refers_to_something_retained_stays(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let subject = bench.registry.package(&id).await.unwrap().reference.unwrap();
    let refer = |to: &Digest| serde_json::json!({ "subject": descriptor(media::OCI_IMAGE_MANIFEST, to) });
    let signature = with(&bench.image(b"signature").await, &refer(&subject));
    bench.publish(&signature, &[]).await.unwrap();
    let of_signature = with(&bench.image(b"countersignature").await, &refer(&sha256(&signature)));
    bench.publish(&of_signature, &[]).await.unwrap();
    for manifest in [&signature, &of_signature] {
        let kept = bench.delete(sha256(manifest).as_str()).await;
        assert!(is_kept_by(&kept, &id), "{kept:?}");
    }
    // What refers to something else does not stay.
    let other = bench.publish(&bench.image(b"two").await, &[]).await.unwrap().digest;
    let of_other = with(&bench.image(b"signature").await, &refer(&other));
    bench.publish(&of_other, &[]).await.unwrap();
    bench.delete(sha256(&of_other).as_str()).await.unwrap();
    bench.check().await;
}

async fn a_tag_on_what_is_immutable_does_not_move(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("release-evidence", b"one", "v1").await;
    let other = bench.image(b"two").await;
    let by_tag = Reference::Tag(tag("v1"));
    let (registry, actor, bytes) = (&bench.registry, Actor::anonymous(), other.clone());
    let moved = registry.push_manifest(&name("a"), actor, &by_tag, vec![], None, bytes).await;
    let Err(Error::Protected(protected)) = &moved else { panic!("{moved:?}") };
    assert_eq!((protected.action, protected.action.is_removal()), (Action::MoveTag, false));
    let moved = bench.publish(&other, &["new", "v1"]).await;
    assert!(is_kept_by(&moved, &id), "{moved:?}");
    assert!(bench.registry.manifest(&name("a"), &"new".parse().unwrap()).await.is_err(), "all or nothing");
    let draft = bench.draft("a", Description::default()).await;
    bench.ingest("a", &draft, "x", b"two").await.unwrap();
    let moved = bench.finalize("a", &draft, tagged("v1")).await;
    assert!(is_kept_by(&moved, &id), "{moved:?}");
    assert!(bench.registry.package(&draft).await.unwrap().status.is_draft());
    // The same bytes again, by either name, and a further tag.
    let manifest = bench.registry.manifest(&name("a"), &by_tag).await.unwrap().bytes;
    bench.publish(&manifest, &["v1", "v2"]).await.unwrap();
    let untagged = bench.delete("v2").await;
    assert!(is_kept_by(&untagged, &id), "{untagged:?}");
    bench.check().await;
}

async fn a_tag_on_what_is_governed_may_move_and_the_last_one_stays(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let last = bench.delete("v1").await;
    assert!(is_kept_by(&last, &id), "{last:?}");
    bench.publish(&bench.image(b"two").await, &["v1"]).await.unwrap();
    let reference = bench.registry.package(&id).await.unwrap().reference.unwrap();
    let kept = bench.delete(reference.as_str()).await;
    assert!(is_kept_by(&kept, &id), "it stays by digest: {kept:?}");
    bench.delete("v1").await.unwrap();
    bench.check().await;
}

async fn two_packages_of_one_manifest_keep_it_together(on: On) {
    let bench = Bench::new(on).await;
    let class = "raw-evidence";
    let (one, two) = (bench.package(class, b"one", "v1").await, bench.package(class, b"one", "v2").await);
    let reference = bench.registry.package(&one).await.unwrap().reference.unwrap();
    let kept = bench.delete(reference.as_str()).await;
    assert!(is_kept_by(&kept, &one) && is_kept_by(&kept, &two), "{kept:?}");
    // Of a package the other one is no protection.
    let explained = bench.explain(one.as_str()).await.unwrap();
    assert_eq!(explained.verdict.reasons.len(), 1, "{explained:?}");
    let explained = bench.explain("v1").await.unwrap();
    assert_eq!((explained.packages.len(), explained.verdict.reasons.len()), (2, 2));
    let ambiguous = bench.extend("v1", Extension::ForEver).await;
    assert!(matches!(ambiguous, Err(Error::NotRetained(_))), "{ambiguous:?}");
    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    for id in [&one, &two] {
        let explained = bench.explain(id.as_str()).await.unwrap();
        let is_held = explained.facts.held.iter().any(|(_, held)| held.id == hold);
        assert!(is_held, "a hold on the manifest holds every package of it: {explained:?}");
    }
    bench.check().await;
}

async fn what_is_over_still_leaves_by_a_disposition_only(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("transient", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    let explained = bench.explain("v1").await.unwrap();
    assert!(explained.verdict.is_eligible(), "{explained:?}");
    for reference in ["v1".to_owned(), explained.reference.unwrap().to_string()] {
        let kept = bench.delete(&reference).await;
        assert!(is_kept_by(&kept, &id), "{kept:?}");
        let Err(Error::Protected(protected)) = kept else { panic!() };
        assert!(matches!(&protected.reasons[..], [Reason::Undisposed { .. }]), "{protected:?}");
    }
    bench.check().await;
}

async fn refusals_are_on_record_and_counted(on: On) {
    let bench = Bench::new(on).await;
    bench.package("release-evidence", b"one", "v1").await;
    for _ in 0..5 {
        bench.clock.advance(SECOND);
        assert!(bench.delete("v1").await.is_err());
    }
    assert_eq!(bench.denials().await, [("tag.delete".to_owned(), "v1".to_owned(), 1)]);
    bench.clock.advance(60 * SECOND);
    bench.registry.sweep().await.unwrap();
    let expected = [1, 4].map(|count| ("tag.delete".to_owned(), "v1".to_owned(), count));
    assert_eq!(bench.denials().await, expected);
    bench.check().await;
}

async fn a_blob_of_something_retained_stays_and_the_attempt_is_on_record(on: On) {
    let bench = Bench::new(on).await;
    let image = bench.image(b"one").await;
    bench.publish(&image, &[]).await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    assert!(matches!(kept, Err(Error::BlobInUse { .. })), "{kept:?}");
    assert!(bench.denials().await.is_empty());
    let retained = with(&image, &annotated("raw-evidence"));
    bench.publish(&retained, &[]).await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"one")).await;
    let Err(Error::Protected(protected)) = kept else { panic!("{kept:?}") };
    assert_eq!(protected.about, Some(sha256(&retained).to_string()), "as its client knows it");
    assert_eq!(bench.denials().await, [("blob.delete".to_owned(), sha256(b"one").to_string(), 1)]);
    bench.check().await;
}

/// "It is no draft" was all that was said, and nothing was written down.
async fn an_attempt_on_a_finalized_package_left_no_trace(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("release-evidence", b"one", "v1").await;
    let replace = NewFile { replace: true, ..new_file("x") };
    let attempts = [
        (bench.put("a", &id, replace, b"two").await.map(drop), Action::ReplaceFile),
        (bench.drop_file("a", &id, "x").await, Action::DropFile),
        (bench.abort("a", &id).await, Action::AbortPackage),
    ];
    for (refused, action) in attempts {
        let Err(Error::Protected(protected)) = &refused else { panic!("{refused:?}") };
        assert_eq!((protected.action, protected.about.as_deref()), (action, Some(id.as_str())));
        assert!(matches!(protected.reasons[0], Reason::Retained { .. }), "{refused:?}");
    }
    let file = format!("{id}/x");
    let tried = |action: &str, subject: &str| (action.to_owned(), subject.to_owned(), 1);
    assert_eq!(
        bench.denials().await,
        [tried("file.replace", &file), tried("file.drop", &file), tried("package.abort", id.as_str())]
    );
    // What only adds takes nothing away.
    let added = bench.ingest("a", &id, "y", b"two").await;
    assert!(matches!(added, Err(Error::PackageNotDraft { .. })), "{added:?}");
    assert_eq!(bench.denials().await.len(), 3);
    bench.check().await;
}

/// Only one package that has the blob was asked, and a draft may be the first; an object's key was not asked at all.
async fn an_attempt_on_a_blob_that_a_draft_has_too_left_no_trace(on: On) {
    let bench = Bench::new(on).await;
    let blob = sha256(b"one");
    for _ in 0..3 {
        let draft = bench.draft("a", Description::default()).await;
        for path in ["x", "y"] {
            bench.ingest("a", &draft, path, b"one").await.unwrap();
        }
    }
    let free = bench.delete_blob("a", &blob).await;
    assert!(matches!(free, Err(Error::BlobInPackage { .. })), "{free:?}");
    let kept_by = bench.draft("a", Description::default()).await;
    bench.ingest("a", &kept_by, "x", b"one").await.unwrap();
    let hold = bench.hold(legal(Some(kept_by.as_str()))).await.unwrap();
    let kept = bench.delete_blob("a", &blob).await;
    assert!(is_held_by(&kept, &hold), "{kept:?}");
    assert_eq!(bench.denials().await, [("blob.delete".to_owned(), blob.to_string(), 1)]);
    let store = bench.registry.keyed_store(&name("a"), Actor::anonymous());
    let body = Bytes::from_static(b"object");
    store.put(&"k".parse().unwrap(), NewObject::default(), whole(&body)).await.unwrap();
    let named = bench.delete_blob("a", &sha256(b"object")).await;
    assert!(matches!(named, Err(Error::BlobInObject { .. })), "{named:?}");
    let hold = bench.hold(legal(None)).await.unwrap();
    let kept = bench.delete_blob("a", &sha256(b"object")).await;
    assert!(is_held_by(&kept, &hold), "{kept:?}");
    assert_eq!(bench.denials().await[1..], [("blob.delete".to_owned(), sha256(b"object").to_string(), 1)]);
    bench.check().await;
}

/// Whoever asked for the events of a package did not see who had tried to delete it.
async fn a_refusal_was_filed_under_what_the_client_typed(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("release-evidence", b"one", "v1").await;
    let reference = bench.registry.package(&id).await.unwrap().reference.unwrap();
    bench.delete(reference.as_str()).await.unwrap_err();
    bench.delete("v1").await.unwrap_err();
    bench.publish(&bench.image(b"two").await, &["v1"]).await.unwrap_err();
    bench.delete_blob("a", &sha256(b"one")).await.unwrap_err();
    bench.shorten("v1", BEGIN, true).await.unwrap_err();
    bench.shorten(reference.as_str(), BEGIN, true).await.unwrap_err();
    let events = bench.registry.package_events(&id, 0, 100).await.unwrap();
    let denied: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::RetentionDenied(fact) => Some((fact.action, fact.subject)),
            _ => None,
        })
        .collect();
    let tried = |action: &str, subject: &str| (action.to_owned(), subject.to_owned());
    assert_eq!(
        denied,
        [
            tried("manifest.delete", reference.as_str()),
            tried("tag.delete", "v1"),
            tried("tag.move", "v1"),
            tried("blob.delete", sha256(b"one").as_str()),
            tried("retention.shorten", "v1"),
            tried("retention.shorten", reference.as_str()),
        ]
    );
    bench.check().await;
}

/// Nobody had computed the digest that the index names it by, so nothing was known to name it.
async fn a_child_named_by_sha512_was_deleted_by_sha256(on: On) {
    let bench = Bench::new(on).await;
    let child = bench.image(b"one").await;
    let index = index_of(&[crate::hash::digest(Algorithm::Sha512, &child)]);
    let index = with(&index, &annotated("release-evidence"));
    bench.publish(&index, &["all"]).await.unwrap();
    bench.publish(&child, &["v1"]).await.unwrap();
    let kept = bench.delete(sha256(&child).as_str()).await;
    assert!(matches!(kept, Err(Error::Protected(_))), "{kept:?}");
    bench.check().await;
}

/// Only the first 64 that name it were asked.
async fn an_attempt_on_a_blob_that_many_manifests_name_left_no_trace(on: On) {
    let bench = Bench::new(on).await;
    let image = bench.image(b"shared").await;
    let blob = sha256(b"shared");
    let mut all = Vec::new();
    for n in 0..130 {
        let plain = with(&image, &serde_json::json!({ "annotations": { "n": n.to_string() } }));
        bench.publish(&plain, &[]).await.unwrap();
        all.push(hash::digest(Algorithm::Blake3, &plain));
    }
    let free = bench.delete_blob("a", &blob).await;
    assert!(matches!(free, Err(Error::BlobInUse { .. })), "{free:?}");
    assert!(bench.denials().await.is_empty());
    // Wherever it is in the order in which they are asked.
    all.sort();
    for at in [0, 63, 64, 127, 128, 129] {
        let hold = bench.hold(legal(Some(all[at].as_str()))).await.unwrap();
        let kept = bench.delete_blob("a", &blob).await;
        assert!(is_held_by(&kept, &hold), "{at}: {kept:?}");
        bench.release(&hold).await.unwrap();
    }
    assert_eq!(bench.denials().await.len(), 1, "the others are counted");
    bench.check().await;
}

async fn a_pinned_tag_changed_its_digest_when_the_same_bytes_came_by_another(on: On) {
    let bench = Bench::new(on).await;
    let by_sha512 = async |bytes: &Bytes, text: &str| {
        let (a, actor, other) = (name("a"), Actor::anonymous(), Reference::Digest(sha512(bytes)));
        bench.registry.push_manifest(&a, actor, &other, vec![tag(text)], None, bytes.clone()).await.unwrap();
        bench.registry.manifest(&a, &text.parse().unwrap()).await.unwrap().digest
    };
    let image = with(&bench.image(b"one").await, &annotated("release-evidence"));
    bench.publish(&image, &["v1"]).await.unwrap();
    let before = bench.state().await;
    assert_eq!(by_sha512(&image, "v1").await, sha256(&image));
    assert_eq!(bench.state().await, before);
    // Where nothing is kept the tag is served as it was pushed last.
    let plain = bench.image(b"two").await;
    bench.publish(&plain, &["v2"]).await.unwrap();
    assert_eq!(by_sha512(&plain, "v2").await, sha512(&plain));
    bench.check().await;
}

async fn what_had_a_tag_that_looks_like_an_id_could_not_be_explained(on: On) {
    let bench = Bench::new(on).await;
    let id = "pkg_01arz3ndektsv4rrffq69g5fav";
    let unknown = bench.explain(id).await;
    assert!(matches!(unknown, Err(Error::PackageUnknown(_))), "{unknown:?}");
    bench.publish(&bench.image(b"one").await, &[id]).await.unwrap();
    let hold = bench.hold(legal(Some(id))).await.unwrap();
    let kept = bench.delete(id).await;
    assert!(is_held_by(&kept, &hold), "{kept:?}");
    let explained = bench.explain(id).await.unwrap();
    assert_eq!(explained.holds.len(), 1);
    bench.check().await;
}
