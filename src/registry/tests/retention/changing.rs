//! Retentions that become longer, stronger or shorter.

use super::*;
use crate::retention::{Bounds, Classes, LATEST, Policy};

on_both![
    a_period_that_no_document_can_say_is_for_ever,
    a_retention_is_extended_and_never_shortened,
    a_class_is_raised,
    an_image_gets_a_class_later,
    only_governance_is_shortened_by_those_who_may,
    a_clock_that_was_set_back_shortens_nothing,
    a_changed_policy_touches_nothing_that_was_resolved,
    the_lower_bound_of_a_repository_was_gone_round_by_an_extension,
    a_bypass_went_below_the_bound_of_its_repository,
    a_bound_that_was_taken_away_let_what_it_had_kept_be_shortened,
];

fn until(explained: &Explanation) -> Option<Micros> {
    explained.retention.as_ref().unwrap().retained.until
}

async fn a_retention_is_extended_and_never_shortened(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let end = BEGIN + 180 * DAY;
    for reference in ["v1", id.as_str()] {
        let backwards = bench.extend(reference, Extension::Until(end - 1)).await;
        assert!(matches!(backwards, Err(Error::RetentionRefused(Refused::Backwards))), "{backwards:?}");
    }
    let extended = bench.extend("v1", Extension::Until(end + DAY)).await.unwrap();
    assert_eq!(until(&extended), Some(end + DAY));
    let before = bench.registry.last_sequence();
    bench.extend("v1", Extension::Until(end + DAY)).await.unwrap();
    assert_eq!(bench.registry.last_sequence(), before, "the same again is nothing");
    assert_eq!(bench.registry.package(&id).await.unwrap().expires_at, Some(end + DAY));
    assert_eq!(until(&bench.extend("v1", Extension::ForEver).await.unwrap()), None);
    let beyond = bench.extend("v1", Extension::Until(LATEST + 1)).await;
    assert!(matches!(beyond, Err(Error::TimeInvalid)), "{beyond:?}");
    let back = bench.extend("v1", Extension::Until(LATEST)).await;
    assert!(matches!(back, Err(Error::RetentionRefused(Refused::Backwards))), "{back:?}");
    let draft = bench.draft("a", Description::default()).await;
    let early = bench.extend(draft.as_str(), Extension::ForEver).await;
    assert!(matches!(early, Err(Error::NotRetainedYet(_))), "{early:?}");
    let unknown = bench.extend("v9", Extension::ForEver).await;
    assert!(matches!(unknown, Err(Error::ManifestUnknown(_))), "{unknown:?}");
    bench.check().await;
}

async fn a_class_is_raised(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let class = |name: &str| Extension::Class(name.to_owned());
    let raised = bench.extend("v1", class("release-evidence")).await.unwrap();
    assert_eq!(
        until(&raised),
        Some("1980-01-12T13:46:40Z".parse::<jiff::Timestamp>().unwrap().as_microsecond())
    );
    let package = bench.registry.package(&id).await.unwrap();
    assert_eq!(package.description.retention_class.as_deref(), Some("release-evidence"));
    assert_eq!(package.expires_at, until(&raised));
    let weaker = bench.extend("v1", class("summary-evidence")).await;
    assert!(matches!(weaker, Err(Error::RetentionRefused(Refused::Weaker { .. }))), "{weaker:?}");
    let unknown = bench.extend("v1", class("forever")).await;
    assert!(matches!(unknown, Err(Error::ClassDenied(Denied::Unknown(_)))), "{unknown:?}");
    let before = bench.registry.last_sequence();
    bench.extend("v1", class("release-evidence")).await.unwrap();
    assert_eq!(bench.registry.last_sequence(), before);
    let kept = bench.publish(&bench.image(b"two").await, &["v1"]).await;
    assert!(is_kept_by(&kept, &id), "its tags are pinned from now on: {kept:?}");
    bench.check().await;
}

async fn an_image_gets_a_class_later(on: On) {
    let bench = Bench::new(on).await;
    let digest = bench.publish(&bench.image(b"one").await, &["v1"]).await.unwrap().digest;
    let until_then = bench.extend("v1", Extension::Until(BEGIN + DAY)).await;
    assert!(matches!(until_then, Err(Error::NotRetained(_))), "{until_then:?}");
    bench.clock.advance(DAY);
    let class = Extension::Class("transient".to_owned());
    let begun = bench.extend(digest.as_str(), class).await.unwrap();
    assert_eq!(until(&begun), Some(BEGIN + 8 * DAY));
    assert!(matches!(bench.delete(digest.as_str()).await, Err(Error::Protected(_))));
    bench.check().await;
}

async fn only_governance_is_shortened_by_those_who_may(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.package("release-evidence", b"two", "v2").await;
    let end = BEGIN + 10 * DAY;
    let without = bench.shorten("v1", end, false).await;
    assert!(matches!(without, Err(Error::BypassNeeded)), "{without:?}");
    for bypass in [false, true] {
        let never = bench.shorten("v2", end, bypass).await;
        assert!(matches!(never, Err(Error::RetentionRefused(Refused::Compliance { .. }))), "{never:?}");
    }
    let longer = bench.shorten("v1", BEGIN + 181 * DAY, true).await;
    assert!(matches!(longer, Err(Error::RetentionRefused(Refused::Forwards))), "{longer:?}");
    let shortened = bench.shorten("v1", end, true).await.unwrap();
    assert_eq!(until(&shortened), Some(end));
    bench.clock.advance(10 * DAY);
    assert!(bench.explain("v1").await.unwrap().verdict.is_eligible());
    bench.check().await;
}

async fn a_clock_that_was_set_back_shortens_nothing(on: On) {
    let bench = Bench::new(on).await;
    bench.package("raw-evidence", b"one", "v1").await;
    bench.clock.advance(-100 * DAY);
    let late = bench.package("raw-evidence", b"two", "v2").await;
    let late = bench.registry.package(&late).await.unwrap();
    assert_eq!(late.finalized_at, Some(late.created_at), "finalized a hundred days before it was created");
    for reference in ["v1", "v2"] {
        assert_eq!(until(&bench.explain(reference).await.unwrap()), Some(BEGIN + 180 * DAY));
    }
    bench.check().await;
}

async fn a_changed_policy_touches_nothing_that_was_resolved(on: On) {
    let bench = Bench::new(on).await;
    let id = bench.package("raw-evidence", b"one", "v1").await;
    let mut class = Classes::default().all()[1].clone();
    class.period = Some("P1D".parse().unwrap());
    let classes = Classes::default().with(vec![class], "raw-evidence").unwrap();
    let at_most = Some("summary-evidence".to_owned());
    let bounds = Bounds { pattern: "*".to_owned(), at_most, ..Bounds::default() };
    let options = |retention| Options { retention, ..Options::default() };
    let changed = options(Policy::new(classes, vec![bounds]).unwrap());
    let reopen = async |options: &Options| {
        let data = DataPlane::new(Arc::new(bench.backend.clone()));
        Registry::open(bench.db.clone(), data, bench.clock.clock(), options.clone()).await.unwrap()
    };
    let before = bench.registry.last_sequence();
    let again = reopen(&options(Policy::default())).await;
    assert_eq!(again.last_sequence(), before, "the policy is the same");
    let registry = reopen(&changed).await;
    assert_eq!((registry.last_sequence(), registry.retention_classes().version()), (before + 1, 2));
    assert_eq!(reopen(&changed).await.last_sequence(), before + 1);
    let explained = registry.explain(&name("a"), Some(&item("v1"))).await.unwrap();
    assert_eq!(until(&explained), Some(BEGIN + 180 * DAY));
    let (actor, class) = (Actor::anonymous(), Extension::Class("release-evidence".to_owned()));
    let strong = registry.extend_retention(&name("a"), actor, &item(id.as_str()), &class, "x").await;
    assert!(matches!(strong, Err(Error::ClassDenied(Denied::TooStrong { .. }))), "{strong:?}");
    assert_eq!(reopen(&options(Policy::default())).await.retention_classes().version(), 3);
    bench.check().await;
}

/// A policy that wants at least release evidence, or something, and has a class that only lasts longer.
fn demanding(at_least: &str) -> Options {
    let mut long = Classes::default().all()[2].clone();
    (long.name, long.period, long.approvals) = ("long".to_owned(), Some("P11Y".parse().unwrap()), 0);
    let classes = Classes::default().with(vec![long], "raw-evidence").unwrap();
    let bounds = Bounds { pattern: "a".to_owned(), at_least: Some(at_least.to_owned()), ..Bounds::default() };
    Options { retention: Policy::new(classes, vec![bounds]).unwrap(), ..Options::default() }
}

async fn the_lower_bound_of_a_repository_was_gone_round_by_an_extension(on: On) {
    let bench = Bench::with(on, demanding("release-evidence")).await;
    let class = |name: &str| Extension::Class(name.to_owned());
    let name_of = |explained: Explanation| explained.retention.unwrap().retained.rule.class;
    bench.publish(&bench.image(b"one").await, &["v1"]).await.unwrap();
    let long = bench.extend("v1", class("long")).await;
    assert!(matches!(long, Err(Error::ClassDenied(Denied::Incomparable { .. }))), "{long:?}");
    assert_eq!(name_of(bench.extend("v1", class("transient")).await.unwrap()), "release-evidence");
    let before = bench.registry.last_sequence();
    assert_eq!(name_of(bench.extend("v1", class("transient")).await.unwrap()), "release-evidence");
    assert_eq!(bench.registry.last_sequence(), before, "the same again is nothing");
    let image = with(&bench.image(b"two").await, &annotated("long"));
    let pushed = bench.publish(&image, &["v2"]).await;
    assert!(matches!(pushed, Err(Error::ClassDenied(Denied::Incomparable { .. }))), "{pushed:?}");
    let id = bench.package("transient", b"three", "v3").await;
    let record = bench.extend(id.as_str(), class("permanent-record")).await.unwrap();
    assert_eq!(name_of(record), "permanent-record");
    let back = bench.extend(id.as_str(), class("transient")).await;
    assert!(matches!(back, Err(Error::RetentionRefused(Refused::Weaker { .. }))), "{back:?}");
    bench.check().await;
}

async fn a_bypass_went_below_the_bound_of_its_repository(on: On) {
    let bench = Bench::with(on, demanding("summary-evidence")).await;
    bench.package("summary-evidence", b"one", "v1").await;
    let end = until(&bench.explain("v1").await.unwrap()).unwrap();
    bench.extend("v1", Extension::Until(end + DAY)).await.unwrap();
    for bypass in [false, true] {
        let below = bench.shorten("v1", end - 1, bypass).await;
        assert!(matches!(below, Err(Error::RetentionRefused(Refused::BelowFloor { .. }))), "{below:?}");
    }
    assert_eq!(until(&bench.shorten("v1", end, true).await.unwrap()), Some(end));
    assert_eq!(bench.denials().await[0].0, "retention.shorten");
    bench.check().await;
}

async fn a_bound_that_was_taken_away_let_what_it_had_kept_be_shortened(on: On) {
    let mut bench = Bench::with(on, demanding("summary-evidence")).await;
    let id = bench.package("summary-evidence", b"one", "v1").await;
    let end = until(&bench.explain("v1").await.unwrap()).unwrap();
    bench.extend("v1", Extension::Until(end + DAY)).await.unwrap();
    bench.reopen(Options::default()).await;
    bench.package("summary-evidence", b"two", "v2").await;
    bench.extend(id.as_str(), Extension::ForEver).await.unwrap();
    let below = bench.shorten("v1", end - 1, true).await;
    assert!(matches!(below, Err(Error::RetentionRefused(Refused::BelowFloor { .. }))), "{below:?}");
    assert_eq!(until(&bench.shorten("v1", end, true).await.unwrap()), Some(end));
    assert_eq!(until(&bench.shorten("v2", BEGIN, true).await.unwrap()), Some(BEGIN), "it came without one");
    // What it is raised under counts as well.
    bench.reopen(demanding("summary-evidence")).await;
    bench.extend("v2", Extension::Class("long".to_owned())).await.unwrap_err();
    bench.extend("v2", Extension::Until(end)).await.unwrap();
    let mut strict = Classes::default().all()[2].clone();
    (strict.name, strict.approvals) = ("strict".to_owned(), 3);
    let classes = Classes::default().with(vec![strict], "strict").unwrap();
    let at_least = Some("summary-evidence".to_owned());
    let bounds = Bounds { pattern: "a".to_owned(), at_least, ..Bounds::default() };
    let retention = Policy::new(classes.clone(), vec![bounds]).unwrap();
    bench.reopen(Options { retention, ..Options::default() }).await;
    bench.extend("v2", Extension::Class("strict".to_owned())).await.unwrap();
    let retention = Policy::new(classes, Vec::new()).unwrap();
    bench.reopen(Options { retention, ..Options::default() }).await;
    let below = bench.shorten("v2", BEGIN, true).await;
    assert!(matches!(below, Err(Error::RetentionRefused(Refused::BelowFloor { .. }))), "{below:?}");
    bench.check().await;
}

async fn a_period_that_no_document_can_say_is_for_ever(on: On) {
    let mut class = Classes::default().all()[1].clone();
    (class.name, class.period) = ("millennium".to_owned(), Some("P1000Y".parse().unwrap()));
    let classes = Classes::default().with(vec![class], "millennium").unwrap();
    let retention = Policy::new(classes, Vec::new()).unwrap();
    let bench = Bench::with(on, Options { retention, ..Options::default() }).await;
    let id = bench.package("millennium", b"one", "v1").await;
    assert_eq!(bench.registry.package(&id).await.unwrap().expires_at, None);
    assert_eq!(until(&bench.explain("v1").await.unwrap()), None);
    bench.check().await;
}
