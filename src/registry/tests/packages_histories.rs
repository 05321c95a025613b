//! Random histories of drafts against a model that fits on a page.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::packages::{Bench, is_kept_by, new_file};
use super::*;
use crate::db::testing::On;
use crate::events::{Event, Fact};
use crate::package::{Description, PackageId};

const PATHS: [&str; 5] = ["a", "a/b", "a/b/c", "d/e", "d/f"];
const CONTENTS: [&[u8]; 3] = [b"", b"one", b"two"];

#[derive(Clone, Debug)]
enum Step {
    Ingest {
        path: usize,
        content: usize,
        replace: bool,
    },
    Drop {
        path: usize,
    },
    Finalize {
        tag: bool,
    },
    Abort,
    /// Days, and a sweep.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        12 => (path.clone(), 0..CONTENTS.len(), any::<bool>())
            .prop_map(|(path, content, replace)| Step::Ingest { path, content, replace }),
        4 => path.prop_map(|path| Step::Drop { path }),
        2 => any::<bool>().prop_map(|tag| Step::Finalize { tag }),
        1 => Just(Step::Abort),
        1 => (1..9i64).prop_map(Step::Wait),
    ]
}

/// A draft in the mind.
struct Model {
    files: BTreeMap<&'static str, usize>,
    status: Status,
    is_tagged: bool,
    idle_days: i64,
}

impl Model {
    /// Whether the step succeeds; what it changes.
    fn step(&mut self, step: &Step) -> bool {
        let before = self.files.clone();
        let is_done = match *step {
            Step::Wait(days) => {
                self.idle_days += days;
                if self.status.is_draft() && self.idle_days > 7 {
                    self.fail();
                }
                return true;
            }
            Step::Abort if self.status == Status::Failed => return true,
            Step::Finalize { tag } if self.status == Status::Finalized => return !tag || self.is_tagged,
            _ if !self.status.is_draft() => return false,
            Step::Ingest { path, content, replace } => self.ingest(PATHS[path], content, replace),
            Step::Drop { path } => self.files.remove(PATHS[path]).is_some(),
            Step::Finalize { tag } => {
                let is_whole = !self.files.is_empty();
                if is_whole {
                    (self.status, self.is_tagged) = (Status::Finalized, tag);
                }
                is_whole
            }
            Step::Abort => {
                self.fail();
                true
            }
        };
        if self.files != before {
            self.idle_days = 0;
        }
        is_done
    }

    fn fail(&mut self) {
        self.status = Status::Failed;
        self.files.clear();
    }

    fn ingest(&mut self, path: &'static str, content: usize, replace: bool) -> bool {
        let is_inside = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let conflicts = self.files.keys().any(|&other| is_inside(path, other) || is_inside(other, path));
        if conflicts || (self.files.contains_key(path) && !replace) {
            return false;
        }
        self.status = Status::Uploading;
        self.files.insert(path, content);
        true
    }
}

async fn perform(bench: &Bench, id: &PackageId, step: &Step) -> bool {
    match *step {
        Step::Ingest { path, content, replace } => {
            let new = NewFile { replace, ..new_file(PATHS[path]) };
            bench.put("a", id, new, CONTENTS[content]).await.is_ok()
        }
        Step::Drop { path } => bench.drop_file("a", id, PATHS[path]).await.is_ok(),
        Step::Finalize { tag: is_tagged } => {
            let finalize = Finalize { tag: is_tagged.then(|| tag("v1")), ..Finalize::default() };
            bench.finalize("a", id, finalize).await.is_ok()
        }
        Step::Abort => bench.abort("a", id).await.is_ok(),
        Step::Wait(days) => {
            bench.clock.advance(days * 86_400 * SECOND);
            bench.registry.sweep().await.is_ok()
        }
    }
}

async fn compare(bench: &Bench, id: &PackageId, model: &Model) -> Result<(), TestCaseError> {
    let package = bench.registry.package(id).await.unwrap();
    prop_assert_eq!(package.status, model.status);
    let paths: Vec<_> = model.files.keys().map(|path| (*path).to_owned()).collect();
    prop_assert_eq!(bench.paths(id).await, paths);
    let size: usize = model.files.values().map(|content| CONTENTS[*content].len()).sum();
    prop_assert_eq!((package.files, package.size), (model.files.len() as u64, size as u64));
    for (path, content) in &model.files {
        prop_assert_eq!(bench.download(id, path).await, CONTENTS[*content]);
        let kept = bench.delete_blob("a", &sha256(CONTENTS[*content])).await;
        let is_kept = match model.status {
            Status::Finalized => is_kept_by(&kept, id),
            _ => matches!(kept, Err(Error::BlobInPackage { .. })),
        };
        prop_assert!(is_kept, "{:?}", kept);
    }
    let manifest = bench.registry.package_manifest(id).await;
    prop_assert_eq!(manifest.is_ok(), model.status == Status::Finalized);
    let is_tagged = bench.registry.manifest(&name("a"), &"v1".parse().unwrap()).await.is_ok();
    prop_assert_eq!(is_tagged, model.is_tagged);
    Ok(())
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let bench = Bench::new(On::Sqlite).await;
    let id = bench.draft("a", Description::default()).await;
    let files = BTreeMap::new();
    let mut model = Model { files, status: Status::Created, is_tagged: false, idle_days: 0 };
    for step in &steps {
        // Whatever is done between two days is done at once.
        let (before, expected) = (bench.registry.last_sequence(), model.step(step));
        prop_assert_eq!(perform(&bench, &id, step).await, expected, "{:?}", step);
        if !expected && !matches!(step, Step::Finalize { .. }) {
            let recorded = bench.registry.events(before, 100).await.unwrap();
            let is_audit = |event: &Event| matches!(event.fact, Fact::RetentionDenied(_));
            prop_assert!(recorded.iter().all(is_audit), "a refusal records nothing but itself");
        }
        compare(&bench, &id, &model).await?;
    }
    bench.check().await;
    Ok(())
}

#[test]
fn any_history_of_a_draft_ends_as_the_model_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..30))| {
        runtime.block_on(live(steps))?;
    });
}
