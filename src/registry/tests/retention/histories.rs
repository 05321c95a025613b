//! Random histories: whatever is done, nothing protected is lost and no promise becomes weaker.
//!
//! What is protected is known twice: from what the registry explains, and from a [model](super::model) that only knows
//! what succeeded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model::{CLASSES, FILES, Model, Promise, TAGS, policy};
use super::*;
use crate::retention::{Mode, Retained};

const PRINCIPALS: [&str; 3] = ["ann", "bob", "cid"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Package {
        file: usize,
        class: usize,
        tag: usize,
    },
    Image {
        layer: usize,
        class: Option<usize>,
        tag: usize,
    },
    Hold {
        tag: Option<usize>,
        is_event: bool,
    },
    Release {
        nth: usize,
    },
    Extend {
        tag: usize,
        days: i64,
    },
    ForEver {
        tag: usize,
    },
    Raise {
        tag: usize,
        class: usize,
    },
    Shorten {
        tag: usize,
        days: i64,
        bypass: bool,
    },
    DeleteTag {
        tag: usize,
    },
    DeleteManifest {
        nth: usize,
    },
    DeleteBlob {
        file: usize,
    },
    /// The whole workflow, up to where it is refused; the approver may be the proposer.
    Dispose {
        tag: usize,
        approver: usize,
    },
    Collect,
    /// A jump of the system's clock, back too.
    Wait {
        days: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (file, class, tag) = (0..FILES.len(), 0..CLASSES.len(), 0..TAGS.len());
    prop_oneof![
        4 => (file.clone(), class.clone(), tag.clone())
            .prop_map(|(file, class, tag)| Step::Package { file, class, tag }),
        4 => (file.clone(), prop::option::of(class.clone()), tag.clone())
            .prop_map(|(layer, class, tag)| Step::Image { layer, class, tag }),
        3 => (prop::option::weighted(0.9, tag.clone()), any::<bool>())
            .prop_map(|(tag, is_event)| Step::Hold { tag, is_event }),
        3 => (0..8_usize).prop_map(|nth| Step::Release { nth }),
        2 => (tag.clone(), -10..1000_i64).prop_map(|(tag, days)| Step::Extend { tag, days }),
        1 => tag.clone().prop_map(|tag| Step::ForEver { tag }),
        2 => (tag.clone(), class).prop_map(|(tag, class)| Step::Raise { tag, class }),
        2 => (tag.clone(), -10..100_i64, any::<bool>())
            .prop_map(|(tag, days, bypass)| Step::Shorten { tag, days, bypass }),
        3 => tag.clone().prop_map(|tag| Step::DeleteTag { tag }),
        3 => (tag, 0..PRINCIPALS.len()).prop_map(|(tag, approver)| Step::Dispose { tag, approver }),
        1 => Just(Step::Collect),
        4 => (0..8_usize).prop_map(|nth| Step::DeleteManifest { nth }),
        2 => file.prop_map(|file| Step::DeleteBlob { file }),
        2 => (-50..400_i64).prop_map(|days| Step::Wait { days }),
    ]
}

/// What was seen, to be compared with what is seen next.
#[derive(Default)]
struct Seen {
    /// Every manifest that was ever pushed.
    manifests: Vec<Digest>,
    holds: Vec<HoldId>,
    /// What protected each manifest after the last step, and its retention.
    protected: BTreeMap<Digest, (bool, Option<Retained>)>,
    tags: BTreeMap<&'static str, (Digest, bool)>,
}

/// Proposes, has it approved by one other at most, and executes: what of it succeeded was right.
async fn dispose(bench: &Bench, model: &mut Model, tag: usize, approver: usize, step: &Step) {
    let Ok(id) = bench.propose(TAGS[tag]).await else { return };
    let _ = bench.approve(&id, PRINCIPALS[approver]).await;
    bench.clock.advance(DAY);
    if bench.execute(&id).await.is_err() {
        let (repository, actor) = (name("a"), Actor::anonymous());
        let _ = bench.registry.reject_disposition(&repository, actor, &id, "not now").await;
        return;
    }
    let now = bench.clock.clock().now();
    let digest = model.tags[TAGS[tag]].clone();
    assert!(!model.is_held(&digest), "{step:?} disposed of what is held");
    // Of one that is several packages only what was retained besides them is over now.
    let Some(promise) = model.only(tag).cloned() else { return };
    assert!(promise.until.is_some_and(|until| until <= now), "{step:?} disposed of {promise:?} at {now}");
    let given = usize::from(PRINCIPALS[approver] != "ann");
    let needed = [0, 1, 1, 1, 2, usize::MAX][promise.class];
    assert!(given >= needed, "{step:?} was approved by {given} of {needed}");
    model.remove(&digest);
}

/// Extends what a tag names: what is acknowledged is so.
async fn extend(bench: &Bench, model: &mut Model, tag: usize, until: Option<Micros>, step: &Step) {
    let extension = until.map_or(Extension::ForEver, Extension::Until);
    let Ok(extended) = bench.extend(TAGS[tag], extension).await else { return };
    let retained = extended.retention.unwrap().retained;
    let is_so = match (retained.is_waiting(), until) {
        (true, until) => retained.floor >= Some(until.map_or(Floor::ForEver, Floor::Until)),
        (false, Some(until)) => retained.until.is_none_or(|it| it >= until),
        (false, None) => retained.until.is_none(),
    };
    assert!(is_so, "{step:?} was acknowledged: {retained:?}");
    if let Some(promise) = model.only(tag) {
        promise.extend(until, step);
    }
}

async fn perform(bench: &Bench, seen: &mut Seen, model: &mut Model, step: &Step) {
    let now = bench.clock.clock().now();
    match *step {
        Step::Package { file, class, tag } => {
            let description =
                Description { retention_class: Some(CLASSES[class].to_owned()), ..Description::default() };
            let id = bench.draft("a", description).await;
            bench.ingest("a", &id, "x", FILES[file]).await.unwrap();
            if let Ok(package) = bench.finalize("a", &id, tagged(TAGS[tag])).await {
                let digest = package.reference.unwrap();
                model.tag(tag, &digest, file, step);
                model.manifests.get_mut(&digest).unwrap().1.push(Promise::of(class, now));
                seen.manifests.push(digest);
            }
        }
        Step::Image { layer, class, tag } => {
            let plain = bench.image(FILES[layer]).await;
            let image = class.map_or(plain.clone(), |class| with(&plain, &annotated(CLASSES[class])));
            if let Ok(pushed) = bench.publish(&image, &[TAGS[tag]]).await {
                model.tag(tag, &pushed.digest, layer, step);
                let promises = &mut model.manifests.get_mut(&pushed.digest).unwrap().1;
                if let (Some(class), true) = (class, promises.is_empty()) {
                    promises.push(Promise::of(class, now));
                }
                seen.manifests.push(pushed.digest);
            }
        }
        Step::Hold { tag, is_event } => {
            let new = match tag.map(|tag| TAGS[tag]) {
                Some(tag) if is_event => event(tag),
                tag => legal(tag),
            };
            if let Ok(id) = bench.hold(new).await {
                let target = tag.map(|tag| model.tags[TAGS[tag]].clone());
                model.holds.insert(id.clone(), target);
                if is_event && tag.is_some() {
                    model.event_holds.insert(id.clone());
                }
                seen.holds.push(id);
            }
        }
        Step::Release { nth } => {
            if let Some(id) = seen.holds.get(nth).cloned() {
                let is_first = bench.release(&id).await.is_ok();
                assert_eq!(model.release(&id, now), is_first, "{step:?}");
            }
        }
        Step::Extend { tag, days } => {
            extend(bench, model, tag, Some(now + days * DAY), step).await;
        }
        Step::ForEver { tag } => extend(bench, model, tag, None, step).await,
        Step::Raise { tag, class } => {
            if bench.extend(TAGS[tag], Extension::Class(CLASSES[class].to_owned())).await.is_ok() {
                let digest = model.tags[TAGS[tag]].clone();
                if let Some(promise) = model.only(tag) {
                    assert!(class >= promise.class, "R2: {step:?} {promise:?}");
                    promise.raise(class, now);
                } else if model.promises(&digest).is_empty() {
                    model.manifests.get_mut(&digest).unwrap().1.push(Promise::of(class, now));
                }
            }
        }
        Step::Shorten { tag, days, bypass } => {
            let until = bench.clock.clock().now() + days * DAY;
            if bench.shorten(TAGS[tag], until, bypass).await.is_ok()
                && let Some(promise) = model.only(tag)
            {
                assert!(bypass && !promise.is_compliance(), "R10: {step:?} {promise:?}");
                promise.shorten(until);
            }
        }
        Step::DeleteTag { tag } => {
            if bench.delete(TAGS[tag]).await.is_ok() {
                model.untag(tag, step);
            }
        }
        Step::Dispose { tag, approver } => dispose(bench, model, tag, approver, step).await,
        Step::Collect => drop(bench.registry.collect().await.unwrap()),
        Step::DeleteManifest { nth } => {
            if let Some(digest) = seen.manifests.get(nth)
                && bench.delete(digest.as_str()).await.is_ok()
            {
                assert!(!model.is_held(digest), "{step:?} deleted what is held");
                assert!(
                    model.promises(digest).is_empty(),
                    "{step:?} deleted what leaves by a disposition only"
                );
                model.remove(digest);
            }
        }
        Step::DeleteBlob { file } => drop(bench.delete_blob("a", &sha256(FILES[file])).await),
        Step::Wait { days } => bench.clock.advance(days * DAY),
    }
}

/// What protects each manifest now, by what the registry itself says.
async fn look(bench: &Bench, seen: &mut Seen) {
    (seen.protected, seen.tags) = (BTreeMap::new(), BTreeMap::new());
    for digest in &seen.manifests {
        if let Ok(explained) = bench.explain(digest.as_str()).await {
            let retained = explained.retention.map(|retention| retention.retained);
            seen.protected.insert(digest.clone(), (!explained.verdict.is_free(), retained));
        }
    }
    for text in TAGS {
        if let Ok(explained) = bench.explain(text).await {
            let digest = explained.reference.unwrap();
            seen.tags.insert(text, (digest, explained.verdict.pins_tags()));
        }
    }
}

/// Nothing that was protected is gone, and no promise is weaker, unless the step is one that may do that.
async fn compare(bench: &Bench, before: &Seen, after: &Seen, step: &Step) -> Result<(), TestCaseError> {
    for (digest, (is_protected, retained)) in &before.protected {
        let reference = Reference::Digest(digest.clone());
        let found = bench.registry.manifest(&name("a"), &reference).await;
        let is_disposal = matches!(step, Step::Dispose { .. });
        prop_assert!(found.is_ok() || !is_protected || is_disposal, "{:?} lost {}", step, digest);
        let Some(retained) = retained else { continue };
        let Some((_, now)) = after.protected.get(digest) else { continue };
        // The one retention of a package may have become the several of two: then neither is its manifest's.
        let Some(now) = now else { continue };
        let is_shorter = match (retained.until, now.until) {
            (None, Some(until)) if retained.is_waiting() => match retained.floor {
                None => false,
                Some(Floor::Until(floor)) => until < floor,
                Some(Floor::ForEver) => true,
            },
            (None, Some(_)) => true,
            (Some(before), Some(now)) => now < before,
            (_, None) if now.is_waiting() => !retained.is_waiting() || now.floor < retained.floor,
            (_, None) => false,
        };
        if is_shorter {
            prop_assert!(matches!(step, Step::Shorten { bypass: true, .. }), "{:?} {:?}", step, retained);
            prop_assert_eq!(retained.rule.mode, Mode::Governance, "{:?}", step);
        }
        prop_assert!(now.rule.mode >= retained.rule.mode, "R2: {:?}", step);
        let is_sooner = match (retained.leaves_at(), now.leaves_at()) {
            // The period of a class that lets things leave began.
            (None, Some(_)) => !retained.is_waiting(),
            (Some(before), Some(now)) => now < before,
            (_, None) => false,
        };
        prop_assert!(!is_sooner || matches!(step, Step::Shorten { .. }), "R2: {:?} lets it leave", step);
        if matches!(step, Step::Release { .. }) && !retained.is_waiting() {
            prop_assert_eq!(retained, now, "R3");
        }
    }
    for (text, (digest, is_pinned)) in &before.tags {
        let now = after.tags.get(text).map(|(digest, _)| digest);
        let is_disposal = matches!(step, Step::Dispose { .. });
        prop_assert!(!is_pinned || now == Some(digest) || is_disposal, "{:?} moved {}", step, text);
    }
    Ok(())
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let bench = Bench::with(On::Sqlite, Options { retention: policy(), ..Options::default() }).await;
    let (mut seen, mut model) = (Seen::default(), Model::default());
    for step in &steps {
        look(&bench, &mut seen).await;
        let before = Seen { protected: seen.protected.clone(), tags: seen.tags.clone(), ..Seen::default() };
        perform(&bench, &mut seen, &mut model, step).await;
        model.check(&bench, step).await;
        look(&bench, &mut seen).await;
        compare(&bench, &before, &seen, step).await?;
    }
    bench.check().await;
    Ok(())
}

#[test]
fn whatever_is_done_nothing_protected_is_lost_and_no_promise_becomes_weaker() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..40))| {
        runtime.block_on(live(steps))?;
    });
}
