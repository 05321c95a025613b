//! A snapshot and what came after it are the whole log.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;

use super::*;
use crate::events::snapshot::{Cause, Dumped, Shelf, dump};
use crate::storage::ByteStream;

on_both![
    a_snapshot_and_the_tail_lead_to_the_same_state,
    an_emptied_database_begins_with_the_snapshot,
    a_damaged_snapshot_is_passed_over,
    what_is_not_as_recorded_is_passed_over_and_nothing_of_it_stays,
    a_snapshot_of_another_version_is_of_no_use,
    nobody_is_kept_from_writing_by_a_dump,
    odd_text_and_the_smallest_number_come_back,
];

/// Objects in memory.
#[derive(Default)]
struct Shelved(HashMap<String, Vec<u8>>);

#[async_trait]
impl Shelf for Shelved {
    async fn open(&self, object: &Copy) -> Result<ByteStream, Cause> {
        let bytes = self.0.get(&object.key).ok_or("it is not there")?;
        // Pieces that end anywhere.
        let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Box::pin(stream::iter(pieces)))
    }
}

async fn dumped(fixture: &Fixture) -> (Dumped, Vec<u8>) {
    let (pieces, mut received) = tokio::sync::mpsc::channel(1);
    let projections = projections(1);
    let mut bytes = Vec::new();
    let (dumped, ()) = tokio::join!(dump(&fixture.db, &projections, pieces), async {
        while let Some(piece) = received.recv().await {
            bytes.extend_from_slice(&piece);
        }
    });
    (dumped.unwrap().expect("somebody took it"), bytes)
}

/// Takes a snapshot and records it.
async fn snapshot(fixture: &Fixture, shelf: &mut Shelved) -> SnapshotCreated {
    let (dumped, bytes) = dumped(fixture).await;
    let (key, size) = (format!("snapshots/{}", dumped.state.sequence), bytes.len() as u64);
    let content = hash::digest(Algorithm::Blake3, &bytes);
    shelf.0.insert(key.clone(), bytes);
    let fact = SnapshotCreated {
        sequence: dumped.state.sequence,
        views_version: dumped.views_version,
        state: dumped.state.digest,
        rows: dumped.rows,
        object: Copy { content, size, backend: "memory".to_owned(), key, version: None },
        retires: None,
    };
    record(fixture, &fact).await;
    fact
}

async fn record(fixture: &Fixture, fact: &SnapshotCreated) {
    let fact = fact.clone();
    fixture.submit(decide(move |_| Ok(vec![fact.clone().into()]))).await.unwrap();
}

async fn restore(fixture: &Fixture, shelf: &Shelved) -> Replayed {
    rebuild_with(&fixture.db, &projections(1), Some(shelf), &mut |_| {}).await.unwrap()
}

async fn a_snapshot_and_the_tail_lead_to_the_same_state(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(1300).await; // more than a page
    let first = snapshot(&fixture, &mut shelf).await;
    assert_eq!((first.sequence, first.rows), (1300, 1301));
    fixture.moved(10).await;
    let second = snapshot(&fixture, &mut shelf).await;
    let deleted = ManifestDeleted {
        repository: "r".parse().unwrap(),
        content: content(7),
        digest: content(7),
        tags: vec![],
    };
    fixture.submit(decide(move |_| Ok(vec![deleted.clone().into(), moved("new", 1)]))).await.unwrap();
    let live = fixture.state().await;
    let restored = restore(&fixture, &shelf).await;
    assert_eq!((restored.from, restored.events), (second.sequence, live.sequence));
    assert_eq!((&restored.state, &fixture.state().await), (&live, &live));
    let whole = rebuild(&fixture.db, &projections(1)).await.unwrap();
    assert_eq!((whole.from, &whole.state), (0, &live));
    let scratch = TempDir::new().unwrap();
    let (checked, found) =
        check_with(&fixture.db, &projections(1), scratch.path(), Some(&shelf), &mut |_| {}).await.unwrap();
    assert_eq!((checked.from, checked.state, found), (second.sequence, live.clone(), live));
}

async fn an_emptied_database_begins_with_the_snapshot(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(5).await;
    snapshot(&fixture, &mut shelf).await;
    fixture.moved(2).await;
    let live = fixture.state().await;
    let table = if on == On::Postgres { " ON events" } else { "" };
    for sql in [
        "DELETE FROM tags".to_owned(),
        "DELETE FROM repositories".to_owned(),
        "UPDATE log_head SET views_version = 0".to_owned(),
        format!("DROP TRIGGER events_are_not_changed{table}"),
        // Whoever reads this one says so.
        "UPDATE events SET actor = 'x' WHERE sequence = 2".to_owned(),
    ] {
        fixture.execute(&sql, vec![]).await;
    }
    let open = async |shelf: Option<&dyn Shelf>| {
        let (db, clock) = (fixture.db.clone(), fixture.clock.clock());
        Log::open_with(db, projections(1), clock, Arc::new(Told::default()), shelf).await
    };
    assert!(matches!(open(None).await, Err(Error::Damaged { sequence: 2, .. })));
    let log = open(Some(&shelf)).await.unwrap();
    assert_eq!(log.watch().borrow().views_version, 1);
    assert_eq!(fixture.state().await, live);
}

async fn a_damaged_snapshot_is_passed_over(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(5).await;
    let older = snapshot(&fixture, &mut shelf).await;
    fixture.moved(5).await;
    let newer = snapshot(&fixture, &mut shelf).await;
    let live = fixture.state().await;
    let whole = shelf.0[&newer.object.key].clone();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        shelf.0.insert(newer.object.key.clone(), damaged);
        let restored = restore(&fixture, &shelf).await;
        assert_eq!((restored.from, &restored.state), (older.sequence, &live), "byte {at}");
    }
    shelf.0.insert(newer.object.key.clone(), whole[..whole.len() - 1].to_vec());
    assert_eq!(restore(&fixture, &shelf).await.from, older.sequence);
    shelf.0.remove(&newer.object.key);
    assert_eq!(restore(&fixture, &shelf).await.from, older.sequence);
    shelf.0.clear();
    let restored = restore(&fixture, &shelf).await;
    assert_eq!((restored.from, restored.state), (0, live));
}

/// The object is what the event names, and still not a dump of these views.
async fn what_is_not_as_recorded_is_passed_over_and_nothing_of_it_stays(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(3).await;
    let fact = snapshot(&fixture, &mut shelf).await;
    let bytes = shelf.0[&fact.object.key].clone();
    let forged = |bytes: Vec<u8>, fact: &SnapshotCreated| {
        let content = hash::digest(Algorithm::Blake3, &bytes);
        let object = Copy { content, key: "forged".to_owned(), ..fact.object.clone() };
        (bytes, SnapshotCreated { object, ..fact.clone() })
    };
    let state = content(0);
    for (bytes, fact) in [
        forged(bytes.clone(), &SnapshotCreated { state, ..fact.clone() }),
        forged(bytes.clone(), &SnapshotCreated { sequence: 2, ..fact.clone() }),
        forged(bytes[..bytes.len() / 2].to_vec(), &fact),
        forged(b"no dump at all".to_vec(), &fact),
        forged(Vec::new(), &fact),
    ] {
        shelf.0.insert("forged".to_owned(), bytes);
        record(&fixture, &fact).await;
        let live = fixture.state().await;
        let restored = restore(&fixture, &shelf).await;
        assert_eq!((restored.from, restored.state), (0, live), "{fact:?}");
    }
}

async fn a_snapshot_of_another_version_is_of_no_use(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(3).await;
    snapshot(&fixture, &mut shelf).await;
    let replayed = rebuild_with(&fixture.db, &projections(2), Some(&shelf), &mut |_| {}).await.unwrap();
    assert_eq!(replayed.from, 0);
    let (pieces, _received) = tokio::sync::mpsc::channel(1);
    let refused = dump(&fixture.db, &projections(1), pieces).await;
    assert!(matches!(refused, Err(Error::Superseded { known: 1, found: 2 })), "{refused:?}");
}

async fn nobody_is_kept_from_writing_by_a_dump(on: On) {
    let fixture = Fixture::new(on).await;
    fixture.moved(3).await;
    let before = fixture.state().await;
    let (pieces, mut received) = tokio::sync::mpsc::channel(1);
    pieces.send(Bytes::from_static(b"full")).await.unwrap();
    let projections = projections(1);
    let mut dumping = Box::pin(dump(&fixture.db, &projections, pieces));
    let begun = fixture.db.statements() + 2;
    while fixture.db.statements() < begun {
        assert!(futures_util::poll!(&mut dumping).is_pending());
        tokio::task::yield_now().await;
    }
    fixture.submit(set("meanwhile", 1)).await.unwrap();
    let (dumped, ()) = tokio::join!(dumping, async { while received.recv().await.is_some() {} });
    assert_eq!(dumped.unwrap().expect("somebody took it").state, before);
    // And whoever does not take it any more ends it.
    let (pieces, received) = tokio::sync::mpsc::channel(1);
    drop(received);
    assert!(dump(&fixture.db, &projections, pieces).await.unwrap().is_none());
}

async fn odd_text_and_the_smallest_number_come_back(on: On) {
    let fixture = Fixture::new(on).await;
    let mut shelf = Shelved::default();
    fixture.moved(1).await;
    let odd = "ä\u{1}\u{10ffff}\"";
    fixture.execute("UPDATE tags SET tag = $1, moved_at = -9007199254740991", vec![odd.into()]).await;
    let live = fixture.state().await;
    let fact = snapshot(&fixture, &mut shelf).await;
    assert_eq!(fact.state, live.digest);
    let restored = restore(&fixture, &shelf).await;
    assert_eq!(restored.state.tables, live.tables);
}
