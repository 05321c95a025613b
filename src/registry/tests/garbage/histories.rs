//! Random histories without any grace, with crashes in between: what was acknowledged stays pullable, what nothing
//! names goes, and the log leads to what is there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const REPOSITORIES: [&str; 2] = ["a", "b/c"];
const BLOBS: usize = 4;
const KEYS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Push {
        to: usize,
        blob: usize,
    },
    Mount {
        to: usize,
        blob: usize,
    },
    DeleteBlob {
        of: usize,
        blob: usize,
    },
    /// An image of two blobs; it is acknowledged if the repository has both.
    Put {
        to: usize,
        blobs: (usize, usize),
    },
    DeleteManifest {
        of: usize,
        blobs: (usize, usize),
    },
    Store {
        to: usize,
        key: usize,
        blob: usize,
    },
    DeleteKey {
        of: usize,
        key: usize,
    },
    Collect,
    /// The process ends in the middle of a run.
    Crash {
        polls: usize,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (r, b, k) = (0..REPOSITORIES.len(), 0..BLOBS, 0..KEYS);
    let pair = (b.clone(), b.clone());
    prop_oneof![
        6 => (r.clone(), b.clone()).prop_map(|(to, blob)| Step::Push { to, blob }),
        2 => (r.clone(), b.clone()).prop_map(|(to, blob)| Step::Mount { to, blob }),
        1 => (r.clone(), b.clone()).prop_map(|(of, blob)| Step::DeleteBlob { of, blob }),
        6 => (r.clone(), pair.clone()).prop_map(|(to, blobs)| Step::Put { to, blobs }),
        3 => (r.clone(), pair).prop_map(|(of, blobs)| Step::DeleteManifest { of, blobs }),
        1 => (r.clone(), k.clone(), b).prop_map(|(to, key, blob)| Step::Store { to, key, blob }),
        1 => (r, k).prop_map(|(of, key)| Step::DeleteKey { of, key }),
        6 => Just(Step::Collect),
        3 => (0..50_usize).prop_map(|polls| Step::Crash { polls }),
        1 => Just(Step::Restart),
    ]
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    manifests: BTreeSet<(usize, (usize, usize))>,
    keys: std::collections::BTreeMap<(usize, usize), usize>,
}

impl Acknowledged {
    /// What has to be there, by repository.
    fn blobs(&self) -> BTreeSet<(usize, usize)> {
        let of_manifests = self.manifests.iter().flat_map(|&(of, (a, b))| [(of, a), (of, b)]);
        of_manifests.chain(self.keys.iter().map(|(&(of, _), &blob)| (of, blob))).collect()
    }
}

fn content(blob: usize) -> String {
    format!("the content of blob {blob}")
}

fn digest(blob: usize) -> Digest {
    sha256(content(blob).as_bytes())
}

fn manifest((config, layer): (usize, usize)) -> Bytes {
    image(&digest(config), &[digest(layer)])
}

async fn perform(shop: &mut Shop, acknowledged: &mut Acknowledged, step: &Step) {
    let actor = Actor::anonymous();
    match *step {
        Step::Push { to, blob } => drop(shop.push(REPOSITORIES[to], &content(blob)).await),
        Step::Mount { to, blob } => {
            let to = name(REPOSITORIES[to]);
            shop.registry.mount_blob(&to, actor, &digest(blob), None).await.unwrap();
        }
        Step::DeleteBlob { of, blob } => {
            let deleted = shop.registry.delete_blob(&name(REPOSITORIES[of]), actor, &digest(blob)).await;
            assert!(deleted.is_err() || !acknowledged.blobs().contains(&(of, blob)));
        }
        Step::Put { to, blobs } => match shop.put(REPOSITORIES[to], &manifest(blobs)).await {
            Ok(_) => drop(acknowledged.manifests.insert((to, blobs))),
            Err(Error::ReferencesUnknown(_)) => {
                assert!(!acknowledged.manifests.contains(&(to, blobs)));
            }
            Err(error) => panic!("{error}"),
        },
        Step::DeleteManifest { of, blobs } => {
            if acknowledged.manifests.remove(&(of, blobs)) {
                shop.remove(REPOSITORIES[of], sha256(&manifest(blobs))).await;
            }
        }
        Step::Store { to, key, blob } => {
            let store = shop.registry.keyed_store(&name(REPOSITORIES[to]), actor);
            let path = format!("key {key}").parse().unwrap();
            store.put(&path, NewObject::default(), whole(&content(blob).into())).await.unwrap();
            acknowledged.keys.insert((to, key), blob);
        }
        Step::DeleteKey { of, key } => {
            let store = shop.registry.keyed_store(&name(REPOSITORIES[of]), actor);
            let was_there = store.delete(&format!("key {key}").parse().unwrap()).await.unwrap();
            assert_eq!(was_there, acknowledged.keys.remove(&(of, key)).is_some());
        }
        Step::Collect => drop(shop.run().await),
        Step::Crash { polls } => {
            let registry = shop.registry.clone();
            killed_after(polls, registry.collect()).await;
            drop(registry);
            shop.restart().await;
        }
        Step::Restart => shop.restart().await,
    }
}

async fn live(on: On, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut shop, mut acknowledged) = (Shop::hasty(on).await, Acknowledged::default());
    for step in &steps {
        perform(&mut shop, &mut acknowledged, step).await;
        for (of, blob) in acknowledged.blobs() {
            let pulled = shop.pull(REPOSITORIES[of], &digest(blob)).await;
            prop_assert_eq!(pulled.ok(), Some(content(blob).into_bytes()), "after {:?}", step);
        }
        shop.clock.advance(1);
    }
    // Everything else goes: what is garbage in three runs, and what a crash left behind as an orphan.
    for time in [1, 1, 1, 1, 8 * DAY, 8 * DAY] {
        shop.after(time).await;
    }
    let wanted: BTreeSet<usize> = acknowledged.blobs().into_iter().map(|(_, blob)| blob).collect();
    prop_assert_eq!(shop.objects().await.len(), wanted.len(), "one object per content");
    for (of, blobs) in &acknowledged.manifests {
        let reference = Reference::Digest(sha256(&manifest(*blobs)));
        let found = shop.registry.manifest(&name(REPOSITORIES[*of]), &reference).await.unwrap();
        prop_assert_eq!(found.bytes, manifest(*blobs));
    }
    prop_assert_eq!(shop.plan().await, CollectionPlan::default());
    shop.check().await;
    Ok(())
}

/// How many histories; more with the variable `ARTIFACTSTORE_TEST_HISTORIES`.
fn cases(usual: u32) -> u32 {
    std::env::var("ARTIFACTSTORE_TEST_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn histories(on: On, usual: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: cases(usual), max_shrink_iters: 200, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..60))| {
        runtime.block_on(live(on, steps))?;
    });
}

#[test]
fn no_acknowledged_byte_is_lost_in_any_history_on_sqlite() {
    histories(On::Sqlite, 24);
}

#[test]
fn no_acknowledged_byte_is_lost_in_any_history_on_postgres() {
    histories(On::Postgres, 3);
}
