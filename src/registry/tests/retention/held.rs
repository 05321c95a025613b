//! Holds.

use super::*;
use crate::package::mapping::names;
use crate::retention::{Classes, Policy, Start};

on_both![
    a_hold_keeps_what_nothing_retains,
    several_holds_each_keep_it,
    a_held_draft_loses_nothing,
    a_held_repository_loses_nothing,
    the_release_of_the_last_event_hold_starts_the_period,
    for_ever_was_acknowledged_and_forgotten_when_the_period_began,
    a_release_changes_no_date,
    holds_are_listed,
    what_makes_no_hold_is_refused,
    an_event_hold_on_all_of_a_repository_started_nothing,
];

async fn a_hold_keeps_what_nothing_retains(on: On) {
    let bench = Bench::new(on).await;
    let image = bench.image(b"one").await;
    let digest = bench.publish(&image, &["v1"]).await.unwrap().digest;
    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    let placed = bench.registry.find_hold(&name("a"), &hold).await.unwrap();
    assert_eq!((placed.matter.as_str(), placed.placed_by.as_str()), ("case 7", "anonymous"));
    assert_eq!(placed.placed_at, BEGIN);
    for reference in [digest.as_str(), "v1"] {
        let kept = bench.delete(reference).await;
        assert!(is_held_by(&kept, &hold), "{kept:?}");
    }
    let moved = bench.publish(&bench.image(b"two").await, &["v1"]).await;
    assert!(is_held_by(&moved, &hold), "{moved:?}");
    bench.release(&hold).await.unwrap();
    bench.delete(digest.as_str()).await.unwrap();
    bench.check().await;
}

async fn several_holds_each_keep_it(on: On) {
    let bench = Bench::new(on).await;
    let digest = bench.publish(&bench.image(b"one").await, &[]).await.unwrap().digest;
    let one = bench.hold(legal(Some(digest.as_str()))).await.unwrap();
    let two = bench.hold(event(digest.as_str())).await.unwrap();
    bench.release(&one).await.unwrap();
    let kept = bench.delete(digest.as_str()).await;
    assert!(is_held_by(&kept, &two) && !is_held_by(&kept, &one), "{kept:?}");
    bench.release(&two).await.unwrap();
    bench.delete(digest.as_str()).await.unwrap();
    bench.check().await;
}

async fn a_held_draft_loses_nothing(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.draft("a", Description::default()).await;
    bench.ingest("a", &id, "x", b"one").await.unwrap();
    let hold = bench.hold(legal(Some(id.as_str()))).await.unwrap();
    let replaced = bench.put("a", &id, NewFile { replace: true, ..new_file("x") }, b"two").await;
    assert!(is_held_by(&replaced, &hold), "{replaced:?}");
    let dropped = bench.drop_file("a", &id, "x").await;
    assert!(is_held_by(&dropped, &hold), "{dropped:?}");
    let aborted = bench.abort("a", &id).await;
    assert!(is_held_by(&aborted, &hold), "{aborted:?}");
    bench.clock.advance(100 * DAY);
    // One that is held is no reason to keep another one.
    let other = bench.draft("a", Description::default()).await;
    bench.clock.advance(100 * DAY);
    assert_eq!(bench.registry.sweep().await.unwrap().drafts, 1);
    assert_eq!(bench.registry.package(&other).await.unwrap().status, Status::Failed);
    assert_eq!(bench.denials().await.len(), 3, "what a clock does is no attempt");
    // More may come, and it may become a package, which the hold stays on.
    bench.ingest("a", &id, "y", b"two").await.unwrap();
    bench.ingest("a", &id, "x", b"one").await.unwrap_err();
    bench.finalize("a", &id, tagged("v1")).await.unwrap();
    let kept = bench.delete("v1").await;
    assert!(is_held_by(&kept, &hold), "{kept:?}");
    bench.check().await;
}

async fn a_held_repository_loses_nothing(on: On) {
    let bench = Bench::new(on).await;
    let digest = bench.publish(&bench.image(b"one").await, &["v1"]).await.unwrap().digest;
    let two = bench.image(b"two").await;
    let unnamed = bench.upload(b"three").await;
    let id = bench.draft("a", Description::default()).await;
    let store = bench.registry.keyed_store(&name("a"), Actor::anonymous());
    let key = "k".parse().unwrap();
    let new = || NewObject::default();
    store.put(&key, new(), whole(&Bytes::from_static(b"one"))).await.unwrap();
    let hold = bench.hold(legal(None)).await.unwrap();
    let refused = [
        bench.delete("v1").await,
        bench.delete(digest.as_str()).await,
        bench.publish(&two, &["v1"]).await.map(drop),
        bench.delete_blob("a", &unnamed).await,
        bench.abort("a", &id).await,
        store.put(&key, new(), whole(&Bytes::from_static(b"two"))).await.map(drop),
        store.delete(&key).await.map(drop),
    ];
    for refused in refused {
        assert!(is_held_by(&refused, &hold), "{refused:?}");
    }
    assert_eq!(bench.denials().await.len(), 7);
    assert_eq!(store.get(&key, 10).await.unwrap(), "one");
    // Whatever adds is as before.
    bench.publish(&two, &["v2"]).await.unwrap();
    store.put(&"l".parse().unwrap(), new(), whole(&Bytes::from_static(b"two"))).await.unwrap();
    store.put(&key, new(), whole(&Bytes::from_static(b"one"))).await.unwrap();
    let explained = bench.registry.explain(&name("a"), None).await.unwrap();
    assert_eq!((explained.holds.len(), explained.verdict.is_eligible()), (1, false));
    bench.release(&hold).await.unwrap();
    bench.delete_blob("a", &unnamed).await.unwrap();
    assert!(store.delete(&key).await.unwrap());
    bench.check().await;
}

fn waiting() -> Options {
    let mut class = Classes::default().all()[1].clone();
    (class.name, class.start) = ("case-file".to_owned(), Start::Event);
    let classes = Classes::default().with(vec![class], "case-file").unwrap();
    Options { retention: Policy::new(classes, Vec::new()).unwrap(), ..Options::default() }
}

async fn the_release_of_the_last_event_hold_starts_the_period(on: On) {
    let bench = Bench::with(on, waiting()).await;
    let id = bench.package("case-file", b"one", "v1").await;
    assert_eq!(bench.registry.package(&id).await.unwrap().expires_at, None);
    let (one, two) = (bench.hold(event("v1")).await.unwrap(), bench.hold(event(id.as_str())).await.unwrap());
    let legal = bench.hold(legal(Some("v1"))).await.unwrap();
    bench.clock.advance(1000 * DAY);
    bench.release(&legal).await.unwrap();
    bench.release(&one).await.unwrap();
    let explained = bench.explain("v1").await.unwrap();
    assert!(explained.retention.as_ref().unwrap().retained.is_waiting(), "{explained:?}");
    bench.release(&two).await.unwrap();
    let retained = bench.explain("v1").await.unwrap().retention.unwrap().retained;
    assert_eq!(retained.from, Some(BEGIN + 1000 * DAY));
    assert_eq!(retained.until, Some(BEGIN + 1180 * DAY));
    assert_eq!(bench.registry.package(&id).await.unwrap().expires_at, retained.until);
    let again = bench.hold(event("v1")).await.unwrap();
    bench.clock.advance(DAY);
    bench.release(&again).await.unwrap();
    assert_eq!(bench.explain("v1").await.unwrap().retention.unwrap().retained, retained, "it starts once");
    bench.check().await;
}

async fn for_ever_was_acknowledged_and_forgotten_when_the_period_began(on: On) {
    let bench = Bench::with(on, waiting()).await;
    let extend = async |tag: &'static str, extension: Extension| bench.extend(tag, extension).await;
    let retained = |it: Explanation| it.retention.unwrap().retained;
    bench.package("case-file", b"one", "v1").await;
    bench.package("case-file", b"two", "v2").await;
    bench.package("case-file", b"three", "v3").await;
    let before = bench.registry.last_sequence();
    let promised = retained(extend("v1", Extension::ForEver).await.unwrap());
    assert_eq!((promised.is_waiting(), promised.floor), (true, Some(Floor::ForEver)));
    assert_eq!(bench.registry.last_sequence(), before + 1, "what is answered is recorded");
    extend("v1", Extension::ForEver).await.unwrap();
    assert_eq!(bench.registry.last_sequence(), before + 1, "the same again is nothing");
    let backwards = extend("v1", Extension::Until(BEGIN + 5000 * DAY)).await;
    assert!(matches!(backwards, Err(Error::RetentionRefused(Refused::Backwards))), "{backwards:?}");
    extend("v2", Extension::Until(BEGIN + 5000 * DAY)).await.unwrap();
    let backwards = extend("v2", Extension::Until(BEGIN + 4999 * DAY)).await;
    assert!(matches!(backwards, Err(Error::RetentionRefused(Refused::Backwards))), "{backwards:?}");
    extend("v3", Extension::Until(BEGIN + DAY)).await.unwrap();
    for tag in ["v1", "v2", "v3"] {
        let hold = bench.hold(event(tag)).await.unwrap();
        bench.release(&hold).await.unwrap();
    }
    let until = async |tag| {
        let retained = retained(bench.explain(tag).await.unwrap());
        assert_eq!((retained.from, retained.floor), (Some(BEGIN), None));
        retained.until
    };
    assert_eq!(until("v1").await, None);
    assert_eq!(until("v2").await, Some(BEGIN + 5000 * DAY));
    assert_eq!(until("v3").await, Some(BEGIN + 180 * DAY), "its period is longer");
    bench.clock.advance(4000 * DAY);
    let early = bench.propose("v1").await;
    assert!(matches!(early, Err(Error::Protected(_))), "{early:?}");
    bench.check().await;
}

async fn a_release_changes_no_date(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let before = bench.explain("v1").await.unwrap().retention.unwrap();
    for new in [legal(Some("v1")), event("v1")] {
        let hold = bench.hold(new).await.unwrap();
        bench.clock.advance(DAY);
        bench.release(&hold).await.unwrap();
    }
    assert_eq!(bench.explain("v1").await.unwrap().retention.unwrap(), before);
    assert_eq!(bench.registry.package(&id).await.unwrap().expires_at, before.retained.until);
    bench.check().await;
}

async fn holds_are_listed(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(bench.hold(legal(Some("v1"))).await.unwrap());
    }
    ids.sort();
    bench.release(&ids[1]).await.unwrap();
    let list = async |with_released, after: &str, limit| {
        let found = bench.registry.holds(&name("a"), with_released, after, limit).await.unwrap();
        found.into_iter().map(|hold| hold.id).collect::<Vec<_>>()
    };
    assert_eq!(list(true, "", 10).await, ids);
    assert_eq!(list(false, "", 10).await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(list(true, ids[0].as_str(), 1).await, [ids[1].clone()]);
    let unknown = bench.registry.holds(&name("b"), true, "", 10).await;
    assert!(matches!(unknown, Err(Error::RepositoryUnknown(_))), "{unknown:?}");
    let elsewhere = bench.registry.find_hold(&name("b"), &ids[0]).await;
    assert!(matches!(elsewhere, Err(Error::HoldUnknown(_))), "{elsewhere:?}");
    bench.check().await;
}

async fn what_makes_no_hold_is_refused(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let before = bench.registry.last_sequence();
    for (matter, reason, field) in [
        ("", "why", "matter"),
        ("case", " \t", "reason"),
        ("a\nb", "why", "matter"),
        ("7\u{202e}1", "why", "matter"),
    ] {
        let new = NewHold { matter: matter.to_owned(), reason: reason.to_owned(), ..legal(Some("v1")) };
        let refused = bench.hold(new).await;
        assert!(matches!(refused, Err(Error::TextInvalid { field: is, .. }) if is == field), "{refused:?}");
    }
    let long = NewHold { matter: "x".repeat(129), ..legal(Some("v1")) };
    assert!(matches!(bench.hold(long).await, Err(Error::TextInvalid { most: 128, .. })));
    let unknown = bench.hold(legal(Some("v2"))).await;
    assert!(matches!(unknown, Err(Error::ManifestUnknown(_))), "{unknown:?}");
    let unknown = bench.hold(legal(Some(PackageId::generate().as_str()))).await;
    assert!(matches!(unknown, Err(Error::PackageUnknown(_))), "{unknown:?}");
    let blob = bench.hold(legal(Some(sha256(names::EMPTY_CONFIG).as_str()))).await;
    assert!(matches!(blob, Err(Error::ManifestUnknown(_))), "{blob:?}");
    let other = bench.registry.place_hold(&name("b"), Actor::anonymous(), legal(None)).await;
    assert!(matches!(other, Err(Error::RepositoryUnknown(_))), "{other:?}");
    let other = legal(Some(id.as_str()));
    let other = bench.registry.place_hold(&name("b"), Actor::anonymous(), other).await;
    assert!(matches!(other, Err(Error::PackageUnknown(_))), "{other:?}");
    assert_eq!(bench.registry.last_sequence(), before);

    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    let without = bench.registry.release_hold(&name("a"), Actor::anonymous(), &hold, "").await;
    assert!(matches!(without, Err(Error::TextInvalid { field: "reason", .. })), "{without:?}");
    let elsewhere = bench.registry.release_hold(&name("b"), Actor::anonymous(), &hold, "x").await;
    assert!(matches!(elsewhere, Err(Error::HoldUnknown(_))), "{elsewhere:?}");
    bench.release(&hold).await.unwrap();
    let twice = bench.release(&hold).await;
    assert!(matches!(twice, Err(Error::HoldEnded { .. })), "{twice:?}");
    let nobody = bench.release(&HoldId::generate()).await;
    assert!(matches!(nobody, Err(Error::HoldUnknown(_))), "{nobody:?}");
    let draft = bench.draft("a", Description::default()).await;
    bench.abort("a", &draft).await.unwrap();
    let gone = bench.hold(legal(Some(draft.as_str()))).await;
    assert!(matches!(gone, Err(Error::NothingLeft { .. })), "{gone:?}");
    bench.check().await;
}

/// It was taken; its release started no retention, and that of another hold did while it was in force.
async fn an_event_hold_on_all_of_a_repository_started_nothing(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    let before = bench.registry.last_sequence();
    let refused = bench.hold(NewHold { item: None, ..event("v1") }).await;
    assert!(matches!(refused, Err(Error::EventHoldOnAll)), "{refused:?}");
    assert_eq!(bench.registry.last_sequence(), before);
    bench.hold(legal(None)).await.unwrap();
    bench.check().await;
}
