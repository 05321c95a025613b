//! Large events: however many there are, few are in memory.

use super::*;
use crate::db::PAGE_BYTES;
use crate::package::{
    ContentManifest, Description, File, Object, PackageId, Record, RetentionSummary, StorageReceipt,
};

on_both![
    a_thousand_large_events_were_read_as_one_page,
    a_page_of_large_events_was_folded_at_once,
    a_page_of_large_events_was_copied_at_once,
];

/// Files of a package whose event alone is more than a page.
const FILES: usize = 20_000;

fn package() -> PackageId {
    "pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap()
}

/// An event of some 200 KiB.
fn large() -> Fact {
    let text = |n: usize| (format!("k{n}"), "x".repeat(50_000).into());
    let metadata = Object::new((0..4).map(text).collect()).unwrap();
    PackageCreated {
        repository: "r".parse().unwrap(),
        package: package(),
        description: Description { metadata, ..Description::default() },
        provenance: Object::default(),
        expires_at: None,
    }
    .into()
}

/// One of some 5 MiB.
fn huge() -> Fact {
    let sha256 = hash::digest(Algorithm::Sha256, b"");
    let file = |n: usize| File {
        path: format!("f{n}").parse().unwrap(),
        media_type: "text/plain".to_owned(),
        size: 0,
        content_address: content(0),
        sha256: sha256.clone(),
        role: None,
    };
    let files = (0..FILES).map(file).collect();
    let whole = ContentManifest::new(Description::default(), files, Object::default()).unwrap();
    let record = Record {
        id: package(),
        repository: "r".parse().unwrap(),
        kind: None,
        retention_class: None,
        schema: None,
        metadata: Object::default(),
        created_at: 1,
        finalized_at: 2,
        content_manifest: content(0),
        reference: sha256.clone(),
    };
    let receipt = StorageReceipt { content_address: content(0), backend_id: "local".to_owned(), size: 0 };
    let retention = RetentionSummary { class: "transient".to_owned(), policy_version: 1, expires_at: None };
    PackageFinalized::new(whole, record, vec![receipt], retention).into()
}

/// 61 events of 17 MiB in one commit, with a small one before and after them.
fn facts() -> Vec<Fact> {
    let mut facts = vec![moved("first", 1)];
    facts.extend((0..30).map(|_| large()));
    facts.push(huge());
    facts.extend((0..30).map(|_| large()));
    facts.push(moved("last", 2));
    facts
}

fn all() -> Do {
    decide(|_| Ok(facts()))
}

/// A page has the allowed bytes, or is one event.
#[track_caller]
fn assert_fits(sizes: &[usize]) {
    let bytes: usize = sizes.iter().sum();
    assert!(sizes.len() == 1 || i64::try_from(bytes).unwrap() <= PAGE_BYTES, "{bytes} bytes in {sizes:?}");
}

fn sizes(events: &[Event]) -> Vec<usize> {
    events.iter().map(|event| event.payload().len()).collect()
}

async fn a_thousand_large_events_were_read_as_one_page(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.submit(all()).await.unwrap();
    let (mut last, mut pages) = (0, 0);
    loop {
        let page = fixture.log.after(last, 1000).await.unwrap();
        let Some(newest) = page.last() else { break };
        assert_eq!(page[0].sequence, last + 1);
        assert_fits(&sizes(&page));
        (last, pages) = (newest.sequence, pages + 1);
    }
    assert!(last == 63 && pages >= 5, "{pages} pages up to event {last}");
    let (mut last, mut found) = (0, 0);
    loop {
        let page = fixture.log.of_package(&package(), last, 1000).await.unwrap();
        let Some(newest) = page.last() else { break };
        assert_fits(&sizes(&page));
        (last, found) = (newest.sequence, found + page.len());
    }
    assert_eq!((last, found), (62, 61));
    assert_eq!(fixture.log.of_package(&package(), 1, 3).await.unwrap().len(), 3, "as many as asked for");
}

/// Pages of the log that ended after these events were of a size.
async fn assert_pages_fit(fixture: &Fixture, ends: &[Sequence]) {
    assert_eq!((ends.first(), ends.last()), (Some(&0), Some(&63)));
    let lengths = fixture.rows("SELECT CAST(LENGTH(payload) AS BIGINT) FROM events ORDER BY sequence").await;
    let lengths: Vec<usize> = lengths.iter().map(|row| row.integer(0).try_into().unwrap()).collect();
    for page in ends.windows(2) {
        let [from, to] = [page[0], page[1]].map(|end| usize::try_from(end).unwrap());
        assert_fits(&lengths[from..to]);
    }
}

async fn a_page_of_large_events_was_folded_at_once(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.submit(all()).await.unwrap();
    let scratch = TempDir::new().unwrap();
    let (mut checked, mut rebuilt) = (vec![0], vec![0]);
    let progress = &mut |folded: Folded| checked.push(folded.events);
    let (replayed, live) =
        check_with(&fixture.db, &projections(1), scratch.path(), None, progress).await.unwrap();
    assert_eq!(replayed.state, live);
    let progress = &mut |folded: Folded| rebuilt.push(folded.events);
    let replayed = rebuild_with(&fixture.db, &projections(1), None, progress).await.unwrap();
    assert_eq!((replayed.events, replayed.state), (63, live));
    assert_pages_fit(&fixture, &checked).await;
    assert_pages_fit(&fixture, &rebuilt).await;
}

async fn a_page_of_large_events_was_copied_at_once(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.submit(all()).await.unwrap();
    let place = Place::new(on).await;
    let copy = place.open(Access::Create).await;
    transfer::begin(&fixture.db, &copy).await.unwrap();
    let mut ends = vec![0];
    transfer::events(&fixture.db, &copy, |sequence| ends.push(sequence)).await.unwrap();
    assert_pages_fit(&fixture, &ends).await;
    transfer::compare(&fixture.db, &copy).await.unwrap();
}

#[tokio::test]
async fn a_page_of_large_events_was_followed_at_once() {
    let (a, b, _database) = replicas::two().await;
    a.moves("before", 0).await;
    b.log.current().await.unwrap();
    a.submit(all()).await.unwrap();
    b.log.current().await.unwrap();
    assert_eq!(b.told.sequences(), (1..=64).collect::<Vec<_>>());
    b.told.pages().iter().for_each(|page| assert_fits(page));
}
