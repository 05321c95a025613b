//! Random histories: whatever is done, nothing protected is lost and no promise becomes weaker.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::retention::{Mode, Retained};

const CLASSES: [&str; 5] =
    ["transient", "raw-evidence", "summary-evidence", "release-evidence", "permanent-record"];
const TAGS: [&str; 3] = ["v1", "v2", "v3"];
const FILES: [&[u8]; 3] = [b"one", b"two", b"three"];

#[derive(Clone, Debug)]
enum Step {
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
        2 => (tag.clone(), class).prop_map(|(tag, class)| Step::Raise { tag, class }),
        2 => (tag.clone(), -10..100_i64, any::<bool>())
            .prop_map(|(tag, days, bypass)| Step::Shorten { tag, days, bypass }),
        3 => tag.prop_map(|tag| Step::DeleteTag { tag }),
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

async fn perform(bench: &Bench, seen: &mut Seen, step: &Step) {
    match *step {
        Step::Package { file, class, tag } => {
            let description =
                Description { retention_class: Some(CLASSES[class].to_owned()), ..Description::default() };
            let id = bench.draft("a", description).await;
            bench.ingest("a", &id, "x", FILES[file]).await.unwrap();
            if let Ok(package) = bench.finalize("a", &id, tagged(TAGS[tag])).await {
                seen.manifests.extend(package.reference);
            }
        }
        Step::Image { layer, class, tag } => {
            let plain = bench.image(FILES[layer]).await;
            let image = class.map_or(plain.clone(), |class| with(&plain, &annotated(CLASSES[class])));
            if let Ok(pushed) = bench.publish(&image, &[TAGS[tag]]).await {
                seen.manifests.push(pushed.digest);
            }
        }
        Step::Hold { tag, is_event } => {
            let new = match tag.map(|tag| TAGS[tag]) {
                Some(tag) if is_event => event(tag),
                tag => legal(tag),
            };
            seen.holds.extend(bench.hold(new).await);
        }
        Step::Release { nth } => {
            if let Some(id) = seen.holds.get(nth).cloned() {
                let _ = bench.release(&id).await;
            }
        }
        Step::Extend { tag, days } => {
            let until = bench.clock.clock().now() + days * DAY;
            let _ = bench.extend(TAGS[tag], Extension::Until(until)).await;
        }
        Step::Raise { tag, class } => {
            let _ = bench.extend(TAGS[tag], Extension::Class(CLASSES[class].to_owned())).await;
        }
        Step::Shorten { tag, days, bypass } => {
            let until = bench.clock.clock().now() + days * DAY;
            let _ = bench.shorten(TAGS[tag], until, bypass).await;
        }
        Step::DeleteTag { tag } => drop(bench.delete(TAGS[tag]).await),
        Step::DeleteManifest { nth } => {
            if let Some(digest) = seen.manifests.get(nth) {
                let _ = bench.delete(digest.as_str()).await;
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
        prop_assert!(found.is_ok() || !is_protected, "{:?} lost {}", step, digest);
        let Some(retained) = retained else { continue };
        let now = &after.protected[digest].1;
        // The one retention of a package may have become the several of two: then neither is its manifest's.
        let Some(now) = now else { continue };
        let is_shorter = match (retained.until, now.until) {
            (None, Some(_)) => !retained.is_waiting(),
            (Some(before), Some(now)) => now < before,
            (_, None) => false,
        };
        if is_shorter {
            prop_assert!(matches!(step, Step::Shorten { bypass: true, .. }), "{:?} {:?}", step, retained);
            prop_assert_eq!(retained.rule.mode, Mode::Governance, "{:?}", step);
        }
        prop_assert!(now.rule.mode >= retained.rule.mode, "R2: {:?}", step);
        if matches!(step, Step::Release { .. }) && !retained.is_waiting() {
            prop_assert_eq!(retained, now, "R3");
        }
    }
    for (text, (digest, is_pinned)) in &before.tags {
        let now = after.tags.get(text).map(|(digest, _)| digest);
        prop_assert!(!is_pinned || now == Some(digest), "{:?} moved {}", step, text);
    }
    Ok(())
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let bench = Bench::new(On::Sqlite).await;
    let mut seen = Seen::default();
    for step in &steps {
        look(&bench, &mut seen).await;
        let before = Seen { protected: seen.protected.clone(), tags: seen.tags.clone(), ..Seen::default() };
        perform(&bench, &mut seen, step).await;
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
