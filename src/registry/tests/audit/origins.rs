//! From where: kept beside the log, for a time.

use std::net::IpAddr;

use super::*;

on_both![
    an_entry_says_from_where_as_long_as_that_is_kept,
    an_attempt_from_another_address_is_told_and_only_the_same_again_is_counted,
    who_had_garbage_collected_or_everything_verified_is_told,
    what_is_not_to_be_kept_is_not_written,
];

fn from(address: &str) -> Origin {
    let address: IpAddr = address.parse().unwrap();
    Origin::request(address, Some("oras/1.2"), Some("r-1"))
}

impl Bench {
    /// From where each action came.
    async fn origins(&self) -> Vec<(String, Option<Origin>)> {
        self.registry.record_origins().await;
        let page = self.registry.audit(&AuditFilter::default(), AuditSpan::default()).await.unwrap();
        page.entries.into_iter().map(|entry| (entry.action, entry.from)).collect()
    }
}

async fn an_entry_says_from_where_as_long_as_that_is_kept(on: On) {
    let bench = Bench::new(on).await;
    let there = from("192.0.2.7");
    there.clone().scope(bench.pushed("a", &user("ada"), "layer", "v1")).await;
    bench.clock.advance(HOUR);
    Origin::cli().scope(bench.held(&user("ada"), Some("v1"), HoldKind::Legal)).await;
    bench.held(&user("ben"), Some("v1"), HoldKind::Legal).await;
    let of = |found: &[(String, Option<Origin>)], action: &str| -> Vec<Option<Origin>> {
        found.iter().filter(|(name, _)| name == action).map(|(_, from)| from.clone()).collect()
    };
    let found = bench.origins().await;
    for action in ["blob.push", "manifest.push", "tag.move"] {
        assert!(of(&found, action).iter().all(|it| it.as_ref() == Some(&there)), "{action}: {found:?}");
    }
    assert_eq!(of(&found, "hold.place"), [Some(Origin::cli()), None]);
    // No address is in the log, and none in the views that follow from it.
    for event in bench.log().await {
        let bytes = [event.header(), event.payload()].concat();
        assert!(!bytes.windows(9).any(|part| part == b"192.0.2.7"), "{event:?}");
    }
    let ninety_days = 90 * 24 * HOUR;
    bench.clock.advance(ninety_days - HOUR);
    assert_eq!(bench.registry.sweep().await.unwrap().origins, 0);
    bench.clock.advance(HOUR / 2);
    assert!(bench.registry.sweep().await.unwrap().origins >= 3);
    let found = bench.origins().await;
    assert_eq!(of(&found, "tag.move"), [None], "an address is gone after its time, the entry stays");
    assert_eq!(of(&found, "hold.place"), [Some(Origin::cli()), None]);
    bench.clock.advance(HOUR);
    assert_eq!(bench.registry.sweep().await.unwrap().origins, 1);
    assert!(bench.origins().await.iter().all(|(_, from)| from.is_none()));
}

async fn an_attempt_from_another_address_is_told_and_only_the_same_again_is_counted(on: On) {
    let bench = Bench::new(on).await;
    bench.pushed("a", &user("ada"), "layer", "v1").await;
    bench.held(&user("ada"), Some("v1"), HoldKind::Legal).await;
    let (v1, a) = ("v1".parse().unwrap(), name("a"));
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1"] {
        let delete = bench.registry.delete_manifest(&a, user("ben"), &v1);
        from(address).scope(delete).await.unwrap_err();
    }
    bench.clock.advance(61 * SECOND);
    bench.registry.sweep().await.unwrap();
    bench.registry.record_origins().await;
    let refused = AuditFilter { decision: Some(Decision::Refused), ..AuditFilter::default() };
    let page = bench.registry.audit(&refused, AuditSpan::default()).await.unwrap();
    let told: Vec<_> = page.entries.into_iter().map(|it| (it.attempts, it.from)).collect();
    let came = |times, address| (Some(times), Some(from(address)));
    assert_eq!(told, [came(1, "192.0.2.1"), came(1, "192.0.2.2"), came(2, "192.0.2.1")]);
}

async fn who_had_garbage_collected_or_everything_verified_is_told(on: On) {
    let bench = Bench::new(on).await;
    let (here, patience) = (from("192.0.2.7"), Duration::from_mins(1));
    here.clone().scope(bench.registry.collect_in_background(user("ada"), patience)).await.unwrap();
    here.clone().scope(bench.registry.scrub_in_background(user("ben"), patience)).await.unwrap();
    bench.registry.record_origins().await;
    for (action, actor) in [("gc.complete", "os:ada"), ("scrub.complete", "os:ben")] {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let page = bench.registry.audit(&filter, AuditSpan::default()).await.unwrap();
        let told: Vec<_> = page.entries.into_iter().map(|it| (it.actor, it.from)).collect();
        assert_eq!(told, [(actor.to_owned(), Some(here.clone()))]);
    }
}

async fn what_is_not_to_be_kept_is_not_written(on: On) {
    let bench = Bench::with(on, Options { origins_keep: Duration::ZERO, ..Options::default() }).await;
    from("192.0.2.7").scope(bench.pushed("a", &user("ada"), "layer", "v1")).await;
    Origin::cli().scope(bench.held(&user("ada"), Some("v1"), HoldKind::Legal)).await;
    assert!(bench.origins().await.iter().all(|(_, from)| from.is_none()));
    let rows = bench.db.operational().query("SELECT command_id FROM origins", vec![]).await.unwrap();
    assert_eq!(rows.len(), 0);
}
