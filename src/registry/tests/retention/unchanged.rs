//! Nothing changes by time alone, on either engine: however long somebody waits, sweeps, collects and disposes by
//! schedule. That no operation, route or command changes anything is shown on the program: `tests/it/http/unchanged`.

use std::collections::BTreeMap;

use super::*;

on_both![
    time_changes_nothing_of_what_is_held,
    time_changes_nothing_of_what_is_immutable,
    nothing_changes_a_held_draft,
];

/// The views that tell of collections and of the clock.
const OF_RUNS: [&str; 2] = ["compliance_clock", "gc_runs"];

/// Lets time go by in three steps, with a try at the tag, the manifest and the file after each: every one is on record.
async fn time_changes_nothing(bench: &Bench, id: &PackageId, days: i64) {
    let before = bench.state().await;
    let objects = bench.backend.list("", None, 1000).await.unwrap().objects.len();
    let reference = bench.registry.package(id).await.unwrap().reference.unwrap();
    for _ in 0..3 {
        bench.clock.advance(days * DAY);
        let run = bench.registry.dispose_by_schedule().await.unwrap().unwrap();
        assert_eq!((run.proposed, run.executed), (0, 0));
        bench.registry.sweep().await.unwrap();
        bench.registry.collect().await.unwrap().unwrap();
        assert!(bench.delete("v1").await.is_err());
        assert!(bench.delete(reference.as_str()).await.is_err());
        assert!(bench.delete_blob("a", &sha256(b"one")).await.is_err());
        assert!(bench.registry.abort_package(&name("a"), Actor::anonymous(), id).await.is_err());
    }
    bench.registry.record_denials(true).await;
    let after = bench.state().await;
    let mut changed = before.differences(&after);
    changed.retain(|table| !OF_RUNS.contains(table));
    assert_eq!(changed, [""; 0]);
    let mut told = BTreeMap::new();
    for (action, _, count) in bench.denials().await {
        *told.entry(action).or_insert(0) += count;
    }
    let each = ["blob.delete", "manifest.delete", "package.abort", "tag.delete"];
    assert_eq!(told, each.map(|action| (action.to_owned(), 3)).into());
    assert_eq!(bench.backend.list("", None, 1000).await.unwrap().objects.len(), objects);
    assert_eq!(bench.download(id, "x").await, b"one");
    bench.check().await;
}

/// A class that needs nobody to let it go, and over for months.
async fn time_changes_nothing_of_what_is_held(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("transient", b"one", "v1").await;
    bench.hold(legal(Some("v1"))).await.unwrap();
    Box::pin(time_changes_nothing(&bench, &id, 100)).await;
}

/// And over at last.
async fn time_changes_nothing_of_what_is_immutable(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("release-evidence", b"one", "v1").await;
    Box::pin(time_changes_nothing(&bench, &id, 1500)).await;
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
