//! Random histories of everything at once: pushes, mounts, tags, packages and drafts, keys, holds, retentions,
//! dispositions, deletions, collections without any grace, crashes, failing storage, a clock that jumps. Beside the
//! registry runs a reference that reads the log and knows the rules of the design (R1 to R12, G1 to G6): an event that
//! breaks one ends the history there, and so does an answer, an object or a pull that is not what follows from the log.

mod answers;
mod call;
mod looks;
mod reference;
mod rules;
mod step;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;

use proptest::prelude::*;

use self::reference::Checked;
use self::step::{Deed, Step, What, step};
use self::world::World;
use crate::db::testing::On;

const REPOSITORIES: [&str; 2] = ["a", rules::WITH_DEFAULT];
const TAGS: [&str; 3] = ["v1", "v2", "v3"];
const CLASSES: [&str; 5] = ["brief", "hasty", "case", "vault", "record"];
const KEYS: [&str; 2] = ["one.txt", "two.txt"];
const PATHS: [&str; 2] = ["x", "y"];
const PEOPLE: [&str; 3] = ["ada", "ben", "cleo"];
const BLOBS: usize = 5;

/// What happens in so many steps for certain: without it they would show little. The usual runs have more than 1 000 on
/// each engine.
const EXPECTED: [(u64, &[&str]); 3] = [
    (
        1_000,
        &[
            "v1.blob.condemned",
            "v1.blob.delete_intended",
            "v1.blob.purged",
            "v1.blob.released",
            "v1.clock.resynchronised",
            "v1.clock.ticked",
            "v1.gc.completed",
            "v1.hold.placed",
            "v1.manifest.pushed",
            "v1.object.stored",
            "v1.package.failed",
            "v1.package.file_ingested",
            "v1.package.finalized",
            "v1.policy.changed",
            "v1.retention.denied",
            "v1.retention.resolved",
            "v1.tag.moved",
            "v2.blob.kept",
        ],
    ),
    (
        2_000,
        &[
            "v1.blob.revived",
            "v1.disposition.proposed",
            "v1.hold.released",
            "v1.manifest.deleted",
            "v1.retention.extended",
        ],
    ),
    (
        20_000,
        &[
            "v1.disposition.approved",
            "v1.disposition.executed",
            "v1.disposition.voided",
            "v1.package.deleted",
            "v1.retention.shortened",
            "v1.retention.started",
        ],
    ),
];

/// Steps in a history.
const LENGTH: std::ops::Range<usize> = 40..220;

type Told = BTreeMap<&'static str, u64>;

async fn live(on: On, steps: &[Step], told: &Mutex<Told>) -> Checked {
    let mut world = Box::pin(World::new(on)).await;
    for step in steps {
        Box::pin(world.step(step)).await?;
    }
    Box::pin(world.end()).await?;
    let mut told = told.lock().unwrap();
    for (name, count) in &world.reference.told {
        *told.entry(name).or_default() += count;
    }
    *told.entry("steps").or_default() += steps.len() as u64;
    Ok(())
}

/// How many histories; more with the variable `ARTIFACTSTORE_TEST_HISTORIES`.
fn cases(usual: u32) -> u32 {
    std::env::var("ARTIFACTSTORE_TEST_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn histories(on: On, usual: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: cases(usual), max_shrink_iters: 300, ..ProptestConfig::default() };
    let told = Mutex::new(Told::new());
    proptest!(config, |(steps in prop::collection::vec(step(), LENGTH))| {
        runtime.block_on(Box::pin(live(on, &steps, &told)))?;
    });
    let told = told.into_inner().unwrap();
    println!("{told:#?}");
    let expected = EXPECTED.iter().filter(|(steps, _)| told["steps"] > *steps);
    let missing: Vec<_> =
        expected.flat_map(|(_, names)| *names).filter(|name| !told.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} never happened");
}

#[test]
fn no_rule_is_broken_in_any_history_on_sqlite() {
    histories(On::Sqlite, 24);
}

#[test]
fn no_rule_is_broken_in_any_history_on_postgres() {
    histories(On::Postgres, 12);
}

/// A history that chance seldom makes: what is approved is held by way of something around it, and released again.
fn an_approval_outlives_no_hold(on: On) {
    let brief = CLASSES.iter().position(|class| *class == "brief");
    let image =
        Deed::Image { at: 0, blobs: (0, 1), are_new: true, class: brief, subject: None, tag: Some(0) };
    let index = Deed::Index { at: 0, children: (0, 0), class: None, tag: Some(1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, approved_before) in
        [What::Repository, What::Tag(1)].into_iter().flat_map(|what| [(what, true), (what, false)])
    {
        let mut steps = vec![Step::Do(image), Step::Do(index), Step::Wait(24 * 10)];
        let others = usize::from(approved_before);
        steps.push(Step::Do(Deed::Propose { retention: 0, by: 0, others }));
        steps.push(Step::Do(Deed::Hold { at: 0, what, is_event: false }));
        steps.push(Step::Do(Deed::Release { hold: 0 }));
        if !approved_before {
            steps.push(Step::Do(Deed::Approve { disposition: 1, by: 1 }));
        }
        steps.extend([Step::Wait(24 * 2), Step::Do(Deed::Execute { disposition: 0, by: 0 })]);
        let told = Mutex::new(Told::new());
        runtime.block_on(Box::pin(live(on, &steps, &told))).unwrap();
        let told = told.into_inner().unwrap();
        assert_eq!(told.get("v1.hold.released"), Some(&1), "{told:?}");
        assert_eq!(told.get("v1.disposition.voided"), Some(&1), "{told:?}");
        assert_eq!(told.get("v1.disposition.executed"), None, "{told:?}");
    }
}

#[test]
fn an_approval_outlives_no_hold_on_sqlite() {
    an_approval_outlives_no_hold(On::Sqlite);
}

#[test]
fn an_approval_outlives_no_hold_on_postgres() {
    an_approval_outlives_no_hold(On::Postgres);
}
