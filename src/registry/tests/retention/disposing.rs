//! Dispositions: the only way out.

use super::*;
use crate::events::Target;

on_both![
    what_is_over_leaves_by_the_hands_of_several,
    nothing_leaves_that_is_not_over_or_is_held,
    an_approval_is_for_one_state_and_by_somebody_else,
    what_nobody_executes_lapses,
    what_others_need_stays,
    tags_of_what_was_immutable_are_never_used_again,
    a_package_in_parts_leaves_whole,
    an_approval_outlived_a_hold_on_something_around_it,
    a_hold_on_a_repository_left_its_dispositions_open,
    a_disposition_ended_twice_by_a_hold_that_reached_it_by_two_ways,
    an_approval_outlived_an_extension_of_something_around_it,
    what_left_with_an_index_was_said_to_be_unknown,
    an_execution_for_another_state_is_refused,
    a_manifest_with_a_class_of_its_own_outlived_its_package,
    what_was_disposed_of_said_nothing_of_it,
];

fn user(name: &str) -> Actor {
    Actor::user(name)
}

impl Bench {
    pub(super) async fn propose(&self, text: &str) -> Result<DispositionId, Error> {
        let (repository, item) = (name("a"), item(text));
        let proposed = self.registry.propose_disposition(&repository, user("ann"), &item, "it is over");
        Ok(proposed.await?.id)
    }

    pub(super) async fn approve(&self, id: &DispositionId, by: &str) -> Result<DispositionStatus, Error> {
        Ok(self.registry.approve_disposition(&name("a"), user(by), id, None).await?.status)
    }

    pub(super) async fn execute(&self, id: &DispositionId) -> Result<Disposition, Error> {
        self.registry.execute_disposition(&name("a"), user("ann"), id, None).await
    }

    /// Everything at once.
    pub(super) async fn dispose(&self, text: &str) -> Disposition {
        let id = self.propose(text).await.unwrap();
        for by in ["bob", "cid"] {
            self.approve(&id, by).await.unwrap();
        }
        self.clock.advance(2 * DAY);
        self.execute(&id).await.unwrap()
    }

    async fn status(&self, id: &DispositionId) -> DispositionStatus {
        self.registry.find_disposition(&name("a"), id).await.unwrap().0.status
    }
}

async fn what_is_over_leaves_by_the_hands_of_several(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("release-evidence", b"one", "v1").await;
    bench.clock.advance(3660 * DAY);
    let (over, next) = bench.registry.retentions_over(&name("a"), None, 10).await.unwrap();
    assert_eq!(next, None);
    let [explained] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!(explained.target, Some(Target::Package(id.clone())));
    assert!(explained.verdict.is_eligible());
    let disposition = bench.propose("v1").await.unwrap();
    let twice = bench.propose(id.as_str()).await;
    assert!(matches!(twice, Err(Error::DispositionOpen(_))), "{twice:?}");
    let early = bench.execute(&disposition).await;
    assert!(matches!(early, Err(Error::NotApproved { missing: 2, .. })), "{early:?}");
    assert_eq!(bench.approve(&disposition, "bob").await.unwrap(), DispositionStatus::Proposed);
    assert_eq!(
        bench.approve(&disposition, "bob").await.unwrap(),
        DispositionStatus::Proposed,
        "twice is once"
    );
    assert_eq!(bench.approve(&disposition, "cid").await.unwrap(), DispositionStatus::Approved);
    let hot = bench.execute(&disposition).await;
    assert!(matches!(hot, Err(Error::CoolingOff { .. })), "{hot:?}");
    bench.clock.advance(DAY);
    let done = bench.execute(&disposition).await.unwrap();
    assert_eq!((done.status, done.end.unwrap().by.as_str()), (DispositionStatus::Executed, "os:ann"));
    let package = bench.registry.package(&id).await.unwrap();
    assert_eq!(package.status, Status::Deleted);
    assert!(bench.registry.package_manifest(&id).await.is_ok(), "its record stays");
    let digest = Reference::Digest(package.reference.unwrap());
    for reference in [digest, "v1".parse().unwrap()] {
        let gone = bench.registry.manifest(&name("a"), &reference).await;
        assert!(
            matches!(&gone, Err(Error::Disposed { disposition: by, .. }) if *by == disposition),
            "{gone:?}"
        );
    }
    // Nothing names its file any more.
    bench.delete_blob("a", &sha256(b"one")).await.unwrap();
    let again = bench.execute(&disposition).await;
    assert!(matches!(again, Err(Error::DispositionEnded { .. })), "{again:?}");
    assert!(bench.registry.retentions_over(&name("a"), None, 10).await.unwrap().0.is_empty());
    bench.check().await;
}

async fn nothing_leaves_that_is_not_over_or_is_held(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.package("permanent-record", b"two", "v2").await;
    let early = bench.propose("v1").await;
    assert!(matches!(&early, Err(Error::Protected(it)) if it.action == Action::Dispose), "{early:?}");
    let plain = bench.publish(&bench.image(b"three").await, &["v3"]).await.unwrap().digest;
    let plain = bench.propose(plain.as_str()).await;
    assert!(matches!(plain, Err(Error::NotRetained(_))), "{plain:?}");
    bench.clock.advance(40_000 * DAY);
    let never = bench.propose("v2").await;
    assert!(matches!(never, Err(Error::Protected(_))), "{never:?}");
    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    let refused = bench.propose("v1").await;
    assert!(is_held_by(&refused, &hold), "{refused:?}");
    bench.release(&hold).await.unwrap();
    // It is approved from the beginning, and a hold on all that is there still stops it.
    let disposition = bench.propose("v1").await.unwrap();
    assert_eq!(bench.status(&disposition).await, DispositionStatus::Approved);
    bench.hold(legal(None)).await.unwrap();
    let refused = bench.execute(&disposition).await;
    assert!(matches!(refused, Err(Error::DispositionEnded { .. })), "{refused:?}");
    bench.registry.record_denials(true).await;
    let denials = bench.denials().await;
    let attempts: u64 = denials.iter().filter(|it| it.0.starts_with("disposition")).map(|it| it.2).sum();
    assert_eq!(attempts, 4, "{denials:?}");
    bench.check().await;
}

async fn an_approval_is_for_one_state_and_by_somebody_else(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.clock.advance(200 * DAY);
    let disposition = bench.propose("v1").await.unwrap();
    let own = bench.approve(&disposition, "ann").await;
    assert!(matches!(own, Err(Error::OwnProposal(_))), "{own:?}");
    let stale = bench.registry.approve_disposition(&name("a"), user("bob"), &disposition, Some(1)).await;
    assert!(matches!(stale, Err(Error::StaleRevision { .. })), "{stale:?}");
    bench.extend("v1", Extension::Until(BEGIN + 300 * DAY)).await.unwrap();
    assert_eq!(bench.status(&disposition).await, DispositionStatus::Voided, "its retention was extended");
    let late = bench.approve(&disposition, "bob").await;
    assert!(matches!(late, Err(Error::DispositionEnded { .. })), "{late:?}");
    bench.clock.advance(200 * DAY);
    let disposition = bench.propose("v1").await.unwrap();
    bench.approve(&disposition, "bob").await.unwrap();
    let hold = bench.hold(legal(Some("v1"))).await.unwrap();
    assert_eq!(bench.status(&disposition).await, DispositionStatus::Voided, "a hold was placed");
    bench.release(&hold).await.unwrap();
    let disposition = bench.propose("v1").await.unwrap();
    let reject = async |reason| {
        bench.registry.reject_disposition(&name("a"), Actor::anonymous(), &disposition, reason).await
    };
    let without = reject(" ").await;
    assert!(matches!(without, Err(Error::TextInvalid { field: "reason", .. })), "{without:?}");
    assert_eq!(reject("not yet").await.unwrap().status, DispositionStatus::Rejected);
    let unknown = bench.approve(&DispositionId::generate(), "bob").await;
    assert!(matches!(unknown, Err(Error::DispositionUnknown(_))), "{unknown:?}");
    bench.check().await;
}

async fn what_nobody_executes_lapses(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.clock.advance(200 * DAY);
    let disposition = bench.propose("v1").await.unwrap();
    bench.approve(&disposition, "bob").await.unwrap();
    bench.clock.advance(31 * DAY);
    let late = bench.execute(&disposition).await;
    let voided = DispositionStatus::Voided;
    assert!(matches!(&late, Err(Error::DispositionEnded { status, .. }) if *status == voided), "{late:?}");
    let listed = bench.registry.dispositions(&name("a"), Some(voided), "", 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.is_ok());
    bench.check().await;
}

async fn what_others_need_stays(on: On) {
    let bench = Bench::new(on).await;
    let one = bench.package("transient", b"one", "v1").await;
    bench.clock.advance(5 * DAY);
    let two = bench.package("transient", b"one", "v2").await;
    bench.clock.advance(3 * DAY);
    bench.dispose(one.as_str()).await;
    assert_eq!(bench.registry.package(&one).await.unwrap().status, Status::Deleted);
    let found = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(found.digest, bench.registry.package(&two).await.unwrap().reference.unwrap());
    assert_eq!(bench.download(&two, "x").await, b"one");
    let kept = bench.delete(found.digest.as_str()).await;
    assert!(is_kept_by(&kept, &two) && !is_kept_by(&kept, &one), "{kept:?}");
    // The last one takes the manifest along, and its tags, which are free again.
    bench.clock.advance(5 * DAY);
    bench.dispose(two.as_str()).await;
    let gone = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await;
    assert!(matches!(gone, Err(Error::ManifestUnknown(_))), "{gone:?}");
    bench.publish(&bench.image(b"two").await, &["v1"]).await.unwrap();
    bench.check().await;
}

async fn tags_of_what_was_immutable_are_never_used_again(on: On) {
    let bench = Bench::new(on).await;
    bench.package("release-evidence", b"one", "v1").await;
    bench.clock.advance(3660 * DAY);
    bench.dispose("v1").await;
    let other = bench.image(b"two").await;
    let reused = bench.publish(&other, &["v1"]).await;
    assert!(matches!(reused, Err(Error::TagRetired { .. })), "{reused:?}");
    assert_eq!(bench.denials().await, [("tag.reuse".to_owned(), "v1".to_owned(), 1)]);
    bench.publish(&other, &["v2"]).await.unwrap();
    // The same evidence may come again: as another package, under another name.
    bench.package("raw-evidence", b"one", "v3").await;
    bench.check().await;
}

async fn a_package_in_parts_leaves_whole(on: On) {
    let bench = Bench::new(on).await;
    let child = bench.image(b"one").await;
    let shared = bench.image(b"two").await;
    for image in [&child, &shared] {
        bench.publish(image, &[]).await.unwrap();
    }
    let index = with(&index_of(&[sha256(&child), sha256(&shared)]), &annotated("transient"));
    bench.publish(&index, &["v1"]).await.unwrap();
    bench.publish(&index_of(&[sha256(&shared)]), &["other"]).await.unwrap();
    bench.clock.advance(8 * DAY);
    bench.dispose("v1").await;
    let is_there = async |bytes: &Bytes| {
        bench.registry.manifest(&name("a"), &Reference::Digest(sha256(bytes))).await.is_ok()
    };
    assert!(!is_there(&index).await && !is_there(&child).await);
    assert!(is_there(&shared).await, "another index names it");
    bench.delete_blob("a", &sha256(b"one")).await.unwrap();
    bench.check().await;
}

/// A hold on something else that bears on what was approved did not end the approval: once it was released, what was
/// agreed to before anybody knew of it was carried out.
async fn an_approval_outlived_a_hold_on_something_around_it(on: On) {
    let bench = Bench::new(on).await;
    let image = with(&bench.image(b"one").await, &annotated("raw-evidence"));
    let child = bench.publish(&image, &["v1"]).await.unwrap().digest;
    let index = bench.publish(&index_of(&[child]), &["all"]).await.unwrap().digest;
    let over = bench.publish(&index_of(std::slice::from_ref(&index)), &["over"]).await.unwrap().digest;
    let twin = bench.package("raw-evidence", b"two", "v2").await;
    bench.package("raw-evidence", b"two", "v3").await;
    bench.clock.advance(200 * DAY);
    let around = [
        ("v1", None),
        ("v1", Some(index.as_str())),
        ("v1", Some(over.as_str())),
        (twin.as_str(), None),
        (twin.as_str(), Some("v3")),
    ];
    for (what, held) in around {
        let disposition = bench.propose(what).await.unwrap();
        assert_eq!(bench.approve(&disposition, "bob").await.unwrap(), DispositionStatus::Approved);
        bench.clock.advance(2 * DAY);
        let hold = bench.hold(legal(held)).await.unwrap();
        bench.release(&hold).await.unwrap();
        let executed = bench.execute(&disposition).await;
        assert!(matches!(executed, Err(Error::DispositionEnded { .. })), "{what} {held:?}: {executed:?}");
        let (ended, _) = bench.registry.find_disposition(&name("a"), &disposition).await.unwrap();
        assert_eq!(ended.status, DispositionStatus::Voided);
        assert!(ended.end.unwrap().reason.contains(hold.as_str()), "it says which hold");
    }
    // Nor does an approval count that comes after it, and nobody waits for the sweep to begin again.
    let before = bench.propose("v1").await.unwrap();
    let hold = bench.hold(legal(None)).await.unwrap();
    bench.release(&hold).await.unwrap();
    let late = bench.approve(&before, "bob").await;
    assert!(matches!(late, Err(Error::DispositionEnded { .. })), "{late:?}");
    let before = bench.propose("v1").await.unwrap();
    let hold = bench.hold(legal(None)).await.unwrap();
    bench.release(&hold).await.unwrap();
    let again = bench.propose("v1").await.unwrap();
    assert_eq!(bench.status(&before).await, DispositionStatus::Voided);
    // An index that is gone when its child is executed held it all the same.
    let hold = bench.hold(legal(Some("over"))).await.unwrap();
    bench.release(&hold).await.unwrap();
    bench.delete(over.as_str()).await.unwrap();
    bench.approve(&again, "bob").await.unwrap_err();
    assert_eq!(bench.status(&again).await, DispositionStatus::Voided);
    let done = bench.dispose("v1").await;
    assert_eq!(done.status, DispositionStatus::Executed, "what nobody holds leaves");
    bench.check().await;
}

async fn a_hold_on_a_repository_left_its_dispositions_open(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.package("transient", b"two", "v2").await;
    bench.clock.advance(200 * DAY);
    let (proposed, approved) = (bench.propose("v1").await.unwrap(), bench.propose("v2").await.unwrap());
    assert_eq!(bench.status(&proposed).await, DispositionStatus::Proposed);
    assert_eq!(bench.status(&approved).await, DispositionStatus::Approved);
    let hold = bench.hold(legal(None)).await.unwrap();
    for disposition in [&proposed, &approved] {
        let (ended, _) = bench.registry.find_disposition(&name("a"), disposition).await.unwrap();
        assert_eq!(ended.status, DispositionStatus::Voided);
        let end = ended.end.unwrap();
        assert_eq!(end.by, Actor::anonymous().as_str(), "who placed the hold");
        assert!(end.reason.contains(hold.as_str()), "{}", end.reason);
    }
    bench.check().await;
}

async fn a_disposition_ended_twice_by_a_hold_that_reached_it_by_two_ways(on: On) {
    let bench = Bench::new(on).await;
    let image = with(&bench.image(b"one").await, &annotated("raw-evidence"));
    let child = bench.publish(&image, &["v1"]).await.unwrap().digest;
    let inner = bench.publish(&index_of(std::slice::from_ref(&child)), &[]).await.unwrap().digest;
    bench.publish(&index_of(&[child, inner]), &["all"]).await.unwrap();
    bench.clock.advance(200 * DAY);
    let disposition = bench.propose("v1").await.unwrap();
    let before = bench.registry.last_sequence();
    bench.hold(legal(Some("all"))).await.unwrap();
    let events = bench.registry.events(before, 10).await.unwrap();
    let types: Vec<&str> = events.iter().map(|event| event.fact.type_name()).collect();
    assert_eq!(types, ["v1.hold.placed", "v1.disposition.voided"]);
    assert_eq!(bench.status(&disposition).await, DispositionStatus::Voided);
    bench.check().await;
}

async fn an_approval_outlived_an_extension_of_something_around_it(on: On) {
    let bench = Bench::new(on).await;
    let image = with(&bench.image(b"one").await, &annotated("raw-evidence"));
    let child = bench.publish(&image, &["v1"]).await.unwrap().digest;
    let over = with(&index_of(std::slice::from_ref(&child)), &annotated("raw-evidence"));
    bench.publish(&over, &["all"]).await.unwrap();
    bench.clock.advance(200 * DAY);
    let now = BEGIN + 200 * DAY;
    let approved = async || {
        let disposition = bench.propose("v1").await.unwrap();
        assert_eq!(bench.approve(&disposition, "bob").await.unwrap(), DispositionStatus::Approved);
        disposition
    };
    let disposition = approved().await;
    bench.extend("all", Extension::Until(now + 100 * DAY)).await.unwrap();
    assert_eq!(bench.status(&disposition).await, DispositionStatus::Voided);
    bench.shorten("all", now, true).await.unwrap();
    // A new one around it that is retained.
    let disposition = approved().await;
    let new = with(&index_of(&[child.clone(), child]), &annotated("transient"));
    bench.publish(&new, &["new"]).await.unwrap();
    bench.clock.advance(10 * DAY);
    let late = bench.execute(&disposition).await;
    assert!(matches!(late, Err(Error::DispositionEnded { .. })), "{late:?}");
    let (ended, _) = bench.registry.find_disposition(&name("a"), &disposition).await.unwrap();
    assert!(ended.end.unwrap().reason.contains("which protects it, was changed"));
    let done = bench.dispose("v1").await;
    assert_eq!(done.status, DispositionStatus::Executed);
    bench.check().await;
}

async fn what_left_with_an_index_was_said_to_be_unknown(on: On) {
    let bench = Bench::new(on).await;
    let child = bench.image(b"one").await;
    bench.publish(&child, &[]).await.unwrap();
    let index = with(&index_of(&[sha256(&child)]), &annotated("transient"));
    bench.publish(&index, &["v1"]).await.unwrap();
    bench.clock.advance(8 * DAY);
    let done = bench.dispose("v1").await;
    let digests = [sha256(&index), sha256(&child), sha512(&child), hash::digest(Algorithm::Blake3, &child)];
    for digest in digests {
        let gone = bench.registry.manifest(&name("a"), &Reference::Digest(digest.clone())).await;
        let Err(Error::Disposed { disposition, .. }) = &gone else { panic!("{digest}: {gone:?}") };
        assert_eq!(*disposition, done.id);
    }
    bench.publish(&child, &["again"]).await.unwrap();
    assert!(bench.registry.manifest(&name("a"), &"again".parse().unwrap()).await.is_ok());
    bench.check().await;
}

async fn an_execution_for_another_state_is_refused(on: On) {
    let bench = Bench::new(on).await;
    bench.package("transient", b"one", "v1").await;
    bench.clock.advance(8 * DAY);
    let id = bench.propose("v1").await.unwrap();
    let revision = bench.registry.find_disposition(&name("a"), &id).await.unwrap().0.revision;
    let execute =
        async |seen| bench.registry.execute_disposition(&name("a"), user("ann"), &id, Some(seen)).await;
    let stale = execute(revision - 1).await;
    assert!(matches!(stale, Err(Error::StaleRevision { .. })), "{stale:?}");
    assert_eq!(bench.denials().await.len(), 1);
    assert_eq!(execute(revision).await.unwrap().status, DispositionStatus::Executed);
    bench.check().await;
}

/// It needed a second disposition, which nobody could propose while there was a package, and nobody knew of after.
async fn a_manifest_with_a_class_of_its_own_outlived_its_package(on: On) {
    let bench = Bench::new(on).await;
    let one = bench.package("transient", b"one", "v1").await;
    let two = bench.package("transient", b"one", "v2").await;
    let reference = bench.registry.package(&two).await.unwrap().reference.unwrap();
    // As long as it is two packages its digest stands for neither.
    bench.extend(reference.as_str(), Extension::Class("raw-evidence".to_owned())).await.unwrap();
    bench.clock.advance(200 * DAY);
    let only_package = bench.propose(one.as_str()).await.unwrap();
    bench.execute(&only_package).await.unwrap();
    let there = Reference::Digest(reference.clone());
    assert!(bench.registry.manifest(&name("a"), &there).await.is_ok(), "it is another package too");
    let both = bench.propose(two.as_str()).await.unwrap();
    let early = bench.execute(&both).await;
    assert!(matches!(early, Err(Error::NotApproved { missing: 1, .. })), "the stronger class: {early:?}");
    bench.approve(&both, "bob").await.unwrap();
    bench.clock.advance(2 * DAY);
    bench.execute(&both).await.unwrap();
    let gone = bench.registry.manifest(&name("a"), &there).await;
    assert!(matches!(gone, Err(Error::Disposed { .. })), "{gone:?}");
    assert!(bench.registry.retentions_over(&name("a"), None, 10).await.unwrap().0.is_empty());
    bench.check().await;
}

/// A package that was disposed of led nowhere, its files looked as if they had never been, and an explanation said that
/// anybody might delete it.
async fn what_was_disposed_of_said_nothing_of_it(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("transient", b"one", "v1").await;
    let image = with(&bench.image(b"two").await, &annotated("transient"));
    let plain = bench.publish(&image, &["v2"]).await.unwrap().digest;
    bench.clock.advance(8 * DAY);
    let done = bench.dispose(id.as_str()).await;
    bench.dispose("v2").await;
    let package = bench.registry.package(&id).await.unwrap();
    let left = bench.registry.tombstone(&package).await.unwrap().unwrap();
    assert_eq!(left.disposition, done.id);
    let file = bench.registry.package_file(&id, &"x".parse().unwrap()).await;
    assert!(matches!(&file, Err(Error::Disposed { disposition, .. }) if *disposition == done.id), "{file:?}");
    let explained = bench.explain(id.as_str()).await.unwrap();
    assert_eq!(explained.disposed, Some(left));
    assert_eq!(explained.dispositions.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [done.id]);
    let gone = bench.explain(plain.as_str()).await;
    assert!(matches!(gone, Err(Error::Disposed { .. })), "{gone:?}");
    bench.check().await;
}
