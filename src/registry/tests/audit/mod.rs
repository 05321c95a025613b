//! The audit and the history of tags, on both engines.

pub(super) mod naive;
mod origins;

use super::packages::{Bench, new_file, tagged};
use super::*;
use crate::db::testing::{On, on_both};
use crate::package::{Description, PackageId};
use crate::registry::audit::{Bounds, page_within};
use crate::retention::HoldKind;

on_both![
    whatever_is_asked_the_audit_is_what_the_log_says,
    a_package_with_many_holds_is_told_completely,
    what_is_asked_wrongly_is_refused,
    what_would_be_incomplete_is_refused,
    the_history_of_a_tag_outlives_it,
];

const HOUR: Micros = 3600 * SECOND;

fn user(name: &str) -> Actor {
    Actor::user(name)
}

fn item(text: &str) -> Item {
    text.parse().unwrap()
}

impl Bench {
    async fn log(&self) -> Vec<Event> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.registry.events(after, 1000).await.unwrap();
            let Some(last) = page.last() else { return all };
            after = last.sequence;
            all.extend(page);
        }
    }

    /// A page that looks at so many events, of which so many together.
    async fn audited(&self, filter: &AuditFilter, limit: usize, bounds: Bounds) -> Vec<AuditEntry> {
        let (mut all, mut span) = (Vec::new(), AuditSpan { limit, ..AuditSpan::default() });
        loop {
            let page = page_within(&self.db, filter, span, None, bounds).await.unwrap();
            assert!(page.entries.len() <= limit, "{filter:?}");
            assert!(page.entries.iter().all(|it| (span.since + 1..=page.scanned_to).contains(&it.sequence)));
            all.extend(page.entries);
            if page.scanned_to >= page.head {
                return all;
            }
            assert!(page.scanned_to > span.since, "it goes on: {filter:?}");
            span.since = page.scanned_to;
        }
    }

    /// However it is cut into pages, it is what the whole log says.
    async fn is_told(&self, log: &[Event], filter: &AuditFilter) -> usize {
        let mut expected = naive::audit(log, filter);
        for (limit, looked_at, stride) in [(1000, 10_000, 1000), (3, 10_000, 2), (1000, 5, 3), (1, 1, 1)] {
            let mut found = self.audited(filter, limit, Bounds { looked_at, stride }).await;
            found.iter_mut().chain(&mut expected).for_each(|entry| entry.from = None);
            assert_eq!(found, expected, "{filter:?} by {limit}, {looked_at} and {stride}");
        }
        expected.len()
    }

    async fn pushed(&self, repository: &str, actor: &Actor, layer: &str, to: &str) -> Digest {
        let repository = name(repository);
        let mut digests = Vec::new();
        for bytes in ["{}", layer] {
            let bytes = Bytes::copy_from_slice(bytes.as_bytes());
            let digest = sha256(&bytes);
            let pushed = self.registry.push_blob(&repository, actor.clone(), &digest, whole(&bytes));
            pushed.await.unwrap();
            digests.push(digest);
        }
        let (manifest, to) = (image(&digests[0], &digests[1..]), to.parse().unwrap());
        let pushed = self.registry.push_manifest(&repository, actor.clone(), &to, vec![], None, manifest);
        pushed.await.unwrap().digest
    }

    async fn filled(&self, class: &str, to: &str) -> PackageId {
        let description = Description { retention_class: Some(class.to_owned()), ..Description::default() };
        let id = self.draft("a", description).await;
        self.put("a", &id, new_file("x"), b"one").await.unwrap();
        self.finalize("a", &id, tagged(to)).await.unwrap();
        id
    }

    async fn held(&self, actor: &Actor, on: Option<&str>, kind: HoldKind) -> Hold {
        let (matter, reason) = ("case 7".to_owned(), "the court asked".to_owned());
        let new = NewHold { item: on.map(item), kind, matter, reason };
        self.registry.place_hold(&name("a"), actor.clone(), new).await.unwrap()
    }

    /// Something of every kind, by several people over several hours.
    async fn story(&self) -> (PackageId, Digest) {
        let (registry, a) = (&self.registry, name("a"));
        let (ada, ben) = (user("ada"), user("ben"));
        let image = self.pushed("a", &ada, "first", "v1").await;
        self.pushed("b", &ben, "first", "v1").await;
        self.clock.advance(HOUR);
        let package = self.filled("release-evidence", "p1").await;
        let hold = self.held(&ada, Some("v1"), HoldKind::Legal).await;
        let on_package = self.held(&ben, Some(package.as_str()), HoldKind::Legal).await;
        for _ in 0..3 {
            let v1 = "v1".parse().unwrap();
            registry.delete_manifest(&a, ben.clone(), &v1).await.unwrap_err();
            self.clock.advance(40 * SECOND);
        }
        self.pushed("a", &ada, "second", "v2").await;
        self.clock.advance(HOUR);
        registry.release_hold(&a, ben.clone(), &hold.id, "it is over").await.unwrap();
        let earlier = Extension::Until(SECOND);
        registry.extend_retention(&a, ada.clone(), &item("p1"), &earlier, "a mistake").await.unwrap_err();
        registry.release_hold(&a, ben.clone(), &on_package.id, "it is over").await.unwrap();
        self.clock.advance(20 * 366 * 24 * HOUR);
        registry.tick().await.unwrap();
        registry.resynchronise_clock(ada.clone(), "it was looked at").await.unwrap();
        let proposed = registry.propose_disposition(&a, ada.clone(), &item("p1"), "its time is over").await;
        let proposed = proposed.unwrap().id;
        registry.approve_disposition(&a, ada.clone(), &proposed, None).await.unwrap_err();
        registry.reject_disposition(&a, ben.clone(), &proposed, "not yet").await.unwrap();
        let _ = registry.propose_disposition(&a, ada.clone(), &item("p1"), "its time is over").await;
        let store = registry.keyed_store(&a, ben.clone());
        let key = "run/log.txt".parse().unwrap();
        for text in ["one", "two"] {
            store.put(&key, NewObject::default(), whole(&Bytes::from(text))).await.unwrap();
        }
        let v2 = "v2".parse().unwrap();
        registry.delete_manifest(&a, ada.clone(), &v2).await.unwrap();
        registry.delete_manifest(&a, ben.clone(), &Reference::Digest(image.clone())).await.unwrap();
        self.clock.advance(HOUR);
        registry.sweep().await.unwrap();
        registry.collect().await.unwrap();
        (package, image)
    }
}

async fn whatever_is_asked_the_audit_is_what_the_log_says(on: On) {
    let bench = Bench::new(on).await;
    let (package, image) = bench.story().await;
    let log = bench.log().await;
    let all = AuditFilter::default();
    assert!(bench.is_told(&log, &all).await > 30);
    let refused = AuditFilter { decision: Some(Decision::Refused), ..all.clone() };
    assert!(bench.is_told(&log, &refused).await >= 3, "refused attempts are there");
    let allowed = AuditFilter { decision: Some(Decision::Allowed), ..all.clone() };
    bench.is_told(&log, &allowed).await;
    for actor in ["anonymous", "system", "os:ada", "os:ben", "nobody"] {
        let by = AuditFilter { actor: Some(actor.to_owned()), ..all.clone() };
        assert_eq!(bench.is_told(&log, &by).await > 0, actor != "nobody", "{actor}");
        let by = AuditFilter { repository: Some(name("a")), ..by };
        bench.is_told(&log, &by).await;
    }
    for action in AUDIT_ACTIONS {
        let of = AuditFilter { action: Some((*action).to_owned()), ..all.clone() };
        bench.is_told(&log, &of).await;
    }
    for repository in ["a", "b"] {
        let of = AuditFilter { repository: Some(name(repository)), ..all.clone() };
        assert!(bench.is_told(&log, &of).await > 3);
        for tag in ["v1", "v2", "p1"] {
            bench.is_told(&log, &AuditFilter { reference: Some(item(tag)), ..of.clone() }).await;
        }
        let of_image = AuditFilter { reference: Some(item(image.as_str())), ..of.clone() };
        assert!(bench.is_told(&log, &of_image).await >= 2);
        let blob = sha256(&Bytes::from_static(b"first"));
        bench.is_told(&log, &AuditFilter { reference: Some(item(blob.as_str())), ..of.clone() }).await;
    }
    let of_package = AuditFilter { package: Some(package.clone()), ..all.clone() };
    let told = bench.is_told(&log, &of_package).await;
    assert!(told >= 9, "holds and dispositions of it are there: {told}");
    let reference = bench.registry.package(&package).await.unwrap().reference.unwrap();
    let by_digest =
        AuditFilter { repository: Some(name("a")), reference: Some(item(reference.as_str())), ..all.clone() };
    assert!(bench.is_told(&log, &by_digest).await > told, "the manifest, and the package it stands for");
    // Every moment at which anything happened, and those around them.
    let mut moments: Vec<Micros> = log.iter().map(|event| event.recorded_at).collect();
    moments.dedup();
    for at in moments.iter().flat_map(|at| [at - 1, *at, at + 1]) {
        let since = AuditFilter { from: Some(at), ..all.clone() };
        let before = AuditFilter { until: Some(at), ..all.clone() };
        for filter in [&since, &before] {
            let found = bench.audited(filter, 1000, Bounds::default()).await;
            let expected = naive::audit(&log, filter);
            let sequences =
                |entries: &[AuditEntry]| -> Vec<i64> { entries.iter().map(|entry| entry.sequence).collect() };
            assert_eq!(sequences(&found), sequences(&expected), "{filter:?}");
        }
    }
    let (first, last) = (moments[0], *moments.last().unwrap());
    bench.is_told(&log, &AuditFilter { from: Some(first + HOUR), until: Some(last), ..of_package }).await;
    bench.is_told(&log, &AuditFilter { from: Some(last), until: Some(first), ..all }).await;
    bench.check().await;
}

async fn a_package_with_many_holds_is_told_completely(on: On) {
    let bench = Bench::new(on).await;
    let package = bench.filled("raw-evidence", "p1").await;
    let mut holds = Vec::new();
    for _ in 0..40 {
        holds.push(bench.held(&user("ada"), Some(package.as_str()), HoldKind::Legal).await.id);
    }
    for hold in holds.iter().rev() {
        bench.registry.release_hold(&name("a"), user("ben"), hold, "it is over").await.unwrap();
    }
    let filter = AuditFilter { package: Some(package), ..AuditFilter::default() };
    assert!(bench.is_told(&bench.log().await, &filter).await > 80);
}

async fn what_is_asked_wrongly_is_refused(on: On) {
    let bench = Bench::new(on).await;
    let package = bench.filled("raw-evidence", "p1").await;
    let ask = async |filter: AuditFilter| bench.registry.audit(&filter, AuditSpan::default()).await;
    let all = AuditFilter::default;
    let elsewhere = AuditFilter { repository: Some(name("b")), package: Some(package.clone()), ..all() };
    assert!(matches!(ask(elsewhere).await, Err(Error::PackageUnknown(_))));
    let nothing = AuditFilter { package: Some(PackageId::generate()), ..all() };
    assert!(matches!(ask(nothing).await, Err(Error::PackageUnknown(_))));
    let anywhere = AuditFilter { reference: Some(item("p1")), ..all() };
    assert!(matches!(ask(anywhere).await, Err(Error::AuditOfRepository)));
    let unknown = AuditFilter { repository: Some(name("b")), ..all() };
    assert!(matches!(ask(unknown).await, Err(Error::RepositoryUnknown(_))));
    let head = bench.registry.last_sequence();
    let span = |since| AuditSpan { since, ..AuditSpan::default() };
    let ahead = bench.registry.audit(&all(), span(head + 1)).await;
    assert!(matches!(ahead, Err(Error::CursorAhead { .. })), "{ahead:?}");
    let page = bench.registry.audit(&all(), span(head)).await.unwrap();
    assert_eq!((page.entries.len(), page.scanned_to, page.head), (0, head, head));
    // A digest nobody knows has no events, and a tag may look like the id of a package.
    let digest = sha256(&Bytes::from_static(b"nothing"));
    let digest = AuditFilter { repository: Some(name("a")), reference: Some(item(digest.as_str())), ..all() };
    assert_eq!(ask(digest).await.unwrap().entries, []);
    let looks_like_one = PackageId::generate();
    bench.pushed("a", &user("ada"), "layer", looks_like_one.as_str()).await;
    let tag =
        AuditFilter { repository: Some(name("a")), reference: Some(item(looks_like_one.as_str())), ..all() };
    assert_eq!(ask(tag).await.unwrap().entries[0].action, "tag.move");
}

async fn what_would_be_incomplete_is_refused(on: On) {
    let bench = Bench::new(on).await;
    let package = bench.filled("raw-evidence", "p1").await;
    bench.held(&user("ada"), Some(package.as_str()), HoldKind::Legal).await;
    let about = AuditFilter { package: Some(package.clone()), ..AuditFilter::default() };
    let digest = bench.registry.package(&package).await.unwrap().reference.unwrap();
    let (repository, reference) = (Some(name("a")), Some(item(digest.as_str())));
    let of_manifest = AuditFilter { repository, reference, ..AuditFilter::default() };
    let all = AuditFilter::default();
    let read = async |filter: &AuditFilter| read_audit(&bench.db, filter, AuditSpan::default()).await;
    let whole = read(&all).await.unwrap();
    assert!(read(&about).await.unwrap().entries.iter().any(|it| it.action == "hold.place"));
    let execute = async |sql| {
        let mut tx = bench.db.write().await.unwrap();
        tx.execute(sql, vec![]).await.unwrap();
        tx.commit().await.unwrap();
    };
    let is = |asked: Result<AuditPage, Error>, expected: fn(&crate::events::Error) -> bool| {
        assert!(matches!(&asked, Err(Error::Log(error)) if expected(error)), "{asked:?}");
    };
    execute("UPDATE log_head SET views_version = 0").await;
    for filter in [&about, &of_manifest] {
        is(read(filter).await, |error| matches!(error, crate::events::Error::Superseded { .. }));
    }
    assert_eq!(read(&all).await.unwrap(), whole, "events alone tell of everything");
    let mut tx = bench.db.write().await.unwrap();
    for table in views::projections().tables() {
        tx.clear(table).await.unwrap();
    }
    tx.commit().await.unwrap();
    let version = views::projections().version();
    let known = format!("UPDATE log_head SET views_version = {version}");
    execute(Box::leak(known.into_boxed_str())).await;
    for filter in [&about, &of_manifest] {
        is(read(filter).await, |error| matches!(error, crate::events::Error::Unbuilt));
    }
    execute("UPDATE log_head SET epoch = -1").await;
    is(read(&all).await, |error| matches!(error, crate::events::Error::Unfinished));
}

async fn the_history_of_a_tag_outlives_it(on: On) {
    let bench = Bench::new(on).await;
    bench.story().await;
    let (registry, log) = (&bench.registry, bench.log().await);
    let expected = naive::history(&log);
    assert!(expected.len() >= 4, "{expected:?}");
    for ((repository, tag), lines) in &expected {
        for limit in [1, 2, 1000] {
            let (mut found, mut span) = (Vec::new(), HistorySpan::default());
            loop {
                let (page, next) = registry.tag_history(repository, tag, &span, limit).await.unwrap();
                found.extend(page);
                let Some(next) = next else { break };
                span.last = Some(next);
            }
            assert_eq!(found, *lines, "{repository}:{tag} by {limit}");
        }
        for line in lines {
            let span = HistorySpan { before: Some(line.at), ..HistorySpan::default() };
            let (before, _) = registry.tag_history(repository, tag, &span, 1000).await.unwrap();
            let older: Vec<_> = lines.iter().filter(|it| it.at < line.at).cloned().collect();
            assert_eq!(before, older);
            let span = HistorySpan { since: Some(line.at), ..HistorySpan::default() };
            let (since, _) = registry.tag_history(repository, tag, &span, 1000).await.unwrap();
            let newer: Vec<_> = lines.iter().filter(|it| it.at > line.at).cloned().collect();
            assert_eq!(since, newer);
            for digest in [&line.digest, &line.content] {
                let span = HistorySpan { digest: Some(digest.clone()), ..HistorySpan::default() };
                let (of, _) = registry.tag_history(repository, tag, &span, 1000).await.unwrap();
                let same: Vec<_> = lines.iter().filter(|it| it.content == line.content).cloned().collect();
                assert_eq!(of, same);
            }
        }
        let nothing = registry.tag_history(repository, tag, &HistorySpan::default(), 0).await.unwrap();
        assert_eq!(nothing, (vec![], None));
    }
    let digest = HistorySpan { digest: Some(sha256(&Bytes::new())), ..HistorySpan::default() };
    let v1 = "v1".parse().unwrap();
    assert_eq!(registry.tag_history(&name("a"), &v1, &digest, 10).await.unwrap(), (vec![], None));
    let never = registry.tag_history(&name("z"), &v1, &HistorySpan::default(), 10).await.unwrap();
    assert_eq!(never, (vec![], None));
    bench.check().await;
}
