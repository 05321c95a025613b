//! Random histories against a model that fits on a page.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const REPOSITORIES: [&str; 2] = ["a", "b/c"];
const TAGS: [&str; 2] = ["latest", "v1"];
const BLOBS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Push {
        to: usize,
        blob: usize,
    },
    Upload {
        to: usize,
        blob: usize,
    },
    Mount {
        to: usize,
        from: Option<usize>,
        blob: usize,
    },
    DeleteBlob {
        of: usize,
        blob: usize,
    },
    /// An image of two blobs; by digest without a tag.
    Put {
        to: usize,
        blobs: (usize, usize),
        tag: Option<usize>,
    },
    DeleteTag {
        of: usize,
        tag: usize,
    },
    DeleteManifest {
        of: usize,
        blobs: (usize, usize),
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (r, b, t) = (0..REPOSITORIES.len(), 0..BLOBS, 0..TAGS.len());
    let pair = (b.clone(), b.clone());
    prop_oneof![
        4 => (r.clone(), b.clone()).prop_map(|(to, blob)| Step::Push { to, blob }),
        2 => (r.clone(), b.clone()).prop_map(|(to, blob)| Step::Upload { to, blob }),
        2 => (r.clone(), prop::option::of(r.clone()), b.clone())
            .prop_map(|(to, from, blob)| Step::Mount { to, from, blob }),
        2 => (r.clone(), b).prop_map(|(of, blob)| Step::DeleteBlob { of, blob }),
        6 => (r.clone(), pair.clone(), prop::option::of(t.clone()))
            .prop_map(|(to, blobs, tag)| Step::Put { to, blobs, tag }),
        1 => (r.clone(), t).prop_map(|(of, tag)| Step::DeleteTag { of, tag }),
        2 => (r, pair).prop_map(|(of, blobs)| Step::DeleteManifest { of, blobs }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Model {
    repositories: [Repository; 2],
}

#[derive(Default)]
struct Repository {
    exists: bool,
    blobs: BTreeSet<usize>,
    manifests: BTreeSet<(usize, usize)>,
    tags: BTreeMap<usize, (usize, usize)>,
}

impl Model {
    /// Whether the step succeeds; what it changes.
    fn step(&mut self, step: &Step) -> bool {
        match *step {
            Step::Restart => true,
            Step::Push { to, blob } | Step::Upload { to, blob } => self.link(to, blob),
            Step::Mount { to, from, blob } => {
                let holds = |n: usize| self.repositories[n].blobs.contains(&blob);
                from.map_or_else(|| (0..2).any(holds), holds) && self.link(to, blob)
            }
            Step::DeleteBlob { of, blob } => {
                let repository = &mut self.repositories[of];
                let is_named = repository.manifests.iter().any(|&(a, b)| a == blob || b == blob);
                !is_named && repository.blobs.remove(&blob)
            }
            Step::Put { to, blobs, tag } => {
                let repository = &mut self.repositories[to];
                let is_complete = repository.blobs.contains(&blobs.0) && repository.blobs.contains(&blobs.1);
                if is_complete {
                    repository.exists = true;
                    repository.manifests.insert(blobs);
                    repository.tags.extend(tag.map(|tag| (tag, blobs)));
                }
                is_complete
            }
            Step::DeleteTag { of, tag } => self.repositories[of].tags.remove(&tag).is_some(),
            Step::DeleteManifest { of, blobs } => {
                let repository = &mut self.repositories[of];
                repository.tags.retain(|_, named| *named != blobs);
                repository.manifests.remove(&blobs)
            }
        }
    }

    fn link(&mut self, to: usize, blob: usize) -> bool {
        self.repositories[to].exists = true;
        self.repositories[to].blobs.insert(blob);
        true
    }
}

fn content(blob: usize) -> Bytes {
    pattern(100 + blob)
}

fn manifest((config, layer): (usize, usize)) -> Bytes {
    image(&sha256(&content(config)), &[sha256(&content(layer))])
}

async fn perform(fixture: &mut Fixture, step: &Step) -> bool {
    let actor = Actor::anonymous();
    match *step {
        Step::Restart => {
            fixture.restart().await;
            true
        }
        Step::Push { to, blob } => {
            let bytes = content(blob);
            fixture.push_as(REPOSITORIES[to], &sha256(&bytes), &bytes).await.is_ok()
        }
        Step::Upload { to, blob } => {
            let (registry, bytes) = (&fixture.registry, content(blob));
            let upload = registry.begin_upload(&name(REPOSITORIES[to]), actor, None).await.unwrap();
            registry.append_upload(upload.clone(), None, whole(&bytes.slice(..50))).await.unwrap();
            let rest = whole(&bytes.slice(50..));
            registry.finish_upload(upload, sha256(&bytes), None, rest).await.is_ok()
        }
        Step::Mount { to, from, blob } => {
            let (from, digest) = (from.map(|from| name(REPOSITORIES[from])), sha256(&content(blob)));
            let to = name(REPOSITORIES[to]);
            fixture.registry.mount_blob(&to, actor, &digest, from.as_ref()).await.unwrap().is_some()
        }
        Step::DeleteBlob { of, blob } => {
            fixture.delete(REPOSITORIES[of], &sha256(&content(blob))).await.is_ok()
        }
        Step::Put { to, blobs, tag } => {
            let bytes = manifest(blobs);
            let digest = sha256(&bytes);
            let reference = tag.map_or(digest.as_str(), |tag| TAGS[tag]);
            fixture.put(REPOSITORIES[to], reference, &bytes).await.is_ok()
        }
        Step::DeleteTag { of, tag } => fixture.remove(REPOSITORIES[of], TAGS[tag]).await.is_ok(),
        Step::DeleteManifest { of, blobs } => {
            fixture.remove(REPOSITORIES[of], sha256(&manifest(blobs)).as_str()).await.is_ok()
        }
    }
}

async fn compare(fixture: &Fixture, model: &Model) -> Result<(), TestCaseError> {
    let registry = &fixture.registry;
    let expected: Vec<_> =
        (0..2).filter(|&n| model.repositories[n].exists).map(|n| name(REPOSITORIES[n])).collect();
    prop_assert_eq!(registry.repositories("", 10).await.unwrap().0, expected);
    for (text, repository) in REPOSITORIES.iter().zip(&model.repositories) {
        for blob in 0..BLOBS {
            let pulled = fixture.pull(text, &sha256(&content(blob))).await.ok();
            let expected = repository.blobs.contains(&blob).then(|| content(blob).to_vec());
            prop_assert_eq!(pulled, expected);
        }
        for blobs in (0..BLOBS).flat_map(|a| (0..BLOBS).map(move |b| (a, b))) {
            let found = fixture.get(text, sha256(&manifest(blobs)).as_str()).await.ok();
            let expected = repository.manifests.contains(&blobs).then(|| manifest(blobs));
            prop_assert_eq!(found.map(|manifest| manifest.bytes), expected);
        }
        let tags = registry.tags(&name(text), "", 10).await.ok().map(|(tags, _)| tags);
        let expected = repository.tags.keys().map(|&n| tag(TAGS[n])).collect();
        prop_assert_eq!(tags, repository.exists.then_some(expected));
        for (n, &blobs) in &repository.tags {
            prop_assert_eq!(fixture.get(text, TAGS[*n]).await.unwrap().digest, sha256(&manifest(blobs)));
        }
    }
    Ok(())
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut fixture, mut model) = (Fixture::new().await, Model::default());
    let mut stored = BTreeSet::new();
    for step in &steps {
        let (before, expected) = (fixture.registry.last_sequence(), model.step(step));
        prop_assert_eq!(perform(&mut fixture, step).await, expected, "{:?}", step);
        if !expected {
            prop_assert_eq!(fixture.registry.last_sequence(), before, "a refusal records nothing");
        }
        if let Step::Push { blob, .. } | Step::Upload { blob, .. } = step {
            stored.insert(*blob);
        }
        fixture.clock.advance(SECOND);
    }
    compare(&fixture, &model).await?;
    prop_assert_eq!(fixture.objects().await, stored.len(), "one object per content");
    prop_assert_eq!(fixture.leftovers().await, 0);
    let sequences = fixture.db.query("SELECT sequence FROM events ORDER BY sequence", vec![]).await.unwrap();
    let sequences: Vec<_> = sequences.iter().map(|row| row.integer(0)).collect();
    prop_assert_eq!(sequences, (1..=fixture.registry.last_sequence()).collect::<Vec<_>>());
    fixture.check().await;
    let before = replay(&fixture.db).await.unwrap();
    prop_assert_eq!(replay(&fixture.db).await.unwrap().state, before.state);
    compare(&fixture, &model).await
}

#[test]
fn any_history_ends_as_the_model_says_and_as_the_log_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..40))| {
        runtime.block_on(live(steps))?;
    });
}
