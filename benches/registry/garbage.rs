//! Pushing while garbage is collected, and over a tag that has to be looked at first: each against the same without.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, push_blob};
use super::content::{digest, random, unique};
use super::measure::{Comparison, Report, take_turns};
use super::peers::Peer;
use super::push::{Artifact, artifact, push_artifact};
use super::{Failure, Outcome};

const PUSHERS: usize = 4;

/// Artifacts each pusher pushes in a round: enough for ten of the slowest hundredth.
const EACH: usize = 250;

/// Blobs that nothing names, made before every round, by as many clients as push.
const LITTER: usize = 750;

/// Pushes of one manifest in a round.
const PUTS: usize = 300;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Without a quarantine, at full speed, and with a grace just long enough for a push to name its blobs.
const HASTY: [(&str, &str); 4] = [
    ("ARTIFACTSTORE_GC_ENABLED", "false"),
    ("ARTIFACTSTORE_GC_GRACE", "2s"),
    ("ARTIFACTSTORE_GC_QUARANTINE", "0s"),
    ("ARTIFACTSTORE_GC_RATE", "1000000"),
];

const GRACE: Duration = Duration::from_millis(2100);

/// The slowest hundredth of pushes while garbage is collected without a pause, against the same with nobody at it.
pub(super) fn collected(report: &mut Report) -> Outcome<()> {
    let ours = Peer::ours_with(&HASTY)?;
    let address = ours.address();
    let seconds = take_turns(&mut [
        Box::new(|_| slowest_hundredth(address, false)),
        Box::new(|_| slowest_hundredth(address, true)),
    ])?;
    report.compare_latency("push-gc p99", "no collection", Some(2.0), &seconds[1], &seconds[0]);
    report.note_memory("push-gc", &ours)
}

/// A manifest under a tag that another one had, which is looked at for whatever protects it, against one under a new tag.
pub(super) fn over_a_tag(report: &mut Report) -> Outcome<()> {
    let ours = Peer::ours()?;
    let mut client = Client::connect(ours.address())?;
    let plain = [published(&mut client, None)?, published(&mut client, None)?];
    let kept = [published(&mut client, Some("raw-evidence"))?, published(&mut client, Some("raw-evidence"))?];
    let client = std::cell::RefCell::new(client);
    let put = |manifests: &[Vec<u8>; 2], tag: &dyn Fn(usize) -> String| {
        let mut client = client.borrow_mut();
        let start = Instant::now();
        for n in 0..PUTS {
            let path = format!("/v2/bench/tags/manifests/{}", tag(n));
            client.call("PUT", &path, MANIFEST, &[&manifests[n % 2]], 201)?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let seconds = take_turns(&mut [
        Box::new(|round| put(&plain, &|n| format!("new-{round}-{n}"))),
        Box::new(|_| put(&plain, &|_| "plain".to_owned())),
        Box::new(|round| put(&kept, &|n| format!("kept-{round}-{n}"))),
        Box::new(|_| put(&kept, &|_| "kept".to_owned())),
    ])?;
    let compare = |name, baseline| Comparison { name, baseline, unit: "puts/s", work: PUTS, aim: None };
    report.compare(&compare("put over a tag", "to a new tag"), &seconds[1], &seconds[0]);
    report.compare(&compare("put over a tag, retained", "to a new tag"), &seconds[3], &seconds[2]);
    report.note_memory("put-over-tag", &ours)
}

/// Pushes an image of its own by digest, under a retention class if there is one. Its manifest.
fn published(client: &mut Client, class: Option<&str>) -> Outcome<Vec<u8>> {
    let Artifact { blobs, manifest: (_, bytes) } = artifact();
    for (digest, bytes) in &blobs {
        push_blob(client, "bench/tags", digest, &[bytes])?;
    }
    let mut document: serde_json::Value = serde_json::from_slice(&bytes)?;
    if let Some(class) = class {
        document["annotations"] = serde_json::json!({ "dev.artifactstore.retention.class": class });
    }
    // A title would make it a package.
    document["layers"][0].as_object_mut().ok_or("a layer")?.remove("annotations");
    let bytes = serde_json::to_vec(&document)?;
    let path = format!("/v2/bench/tags/manifests/{}", digest(&[&bytes]));
    client.call("PUT", &path, MANIFEST, &[&bytes], 201)?;
    Ok(bytes)
}

/// How long 99 of 100 pushes take at most, after litter was made and has lain for the grace.
fn slowest_hundredth(address: SocketAddr, is_collected: bool) -> Outcome<f64> {
    from_all(|_| litter(address))?;
    thread::sleep(GRACE);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| if is_collected { collect(address, &is_over) } else { Ok(1) });
        let pushed = from_all(|pusher| push_all(address, pusher));
        is_over.store(true, Ordering::Relaxed);
        let runs = collector.join().map_err(|_| "the collector panicked")??;
        if runs == 0 {
            return Err("no collection ran to its end".into());
        }
        let mut taken: Vec<f64> = pushed?.into_iter().flatten().collect();
        taken.sort_by(f64::total_cmp);
        Ok(taken[taken.len() * 99 / 100])
    })
}

/// The same from as many threads as there are pushers.
pub(super) fn from_all<T: Send>(work: impl Fn(usize) -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let all: Vec<_> = (0..PUSHERS).map(|pusher| scope.spawn(move || work(pusher))).collect();
        all.into_iter().map(|one| one.join().map_err(|_| Failure::from("a pusher panicked"))?).collect()
    })
}

fn litter(address: SocketAddr) -> Outcome<()> {
    let mut client = Client::connect(address)?;
    (0..LITTER).try_for_each(|_| {
        let bytes = random(256);
        push_blob(&mut client, "bench/litter", &digest(&[&bytes]), &[&bytes])
    })
}

pub(super) fn push_all(address: SocketAddr, pusher: usize) -> Outcome<Vec<f64>> {
    let mut client = Client::connect(address)?;
    let repository = format!("bench/pusher-{pusher}");
    let mut taken = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let (artifact, tag) = (artifact(), format!("t{}", unique()));
        let start = Instant::now();
        push_artifact(&mut client, &repository, &tag, &artifact)?;
        taken.push(start.elapsed().as_secs_f64());
    }
    Ok(taken)
}

/// One collection after the other. How many ran to their end.
fn collect(address: SocketAddr, is_over: &AtomicBool) -> Outcome<usize> {
    let mut client = Client::connect(address)?;
    let request =
        format!("POST /v2/_artifactstore/gc HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n\r\n");
    let mut runs = 0;
    while !is_over.load(Ordering::Relaxed) {
        client.send(request.as_bytes())?;
        match client.answer(true)?.status {
            200 => runs += 1,
            // It takes longer than an answer may, or does still.
            202 | 409 => {}
            status => return Err(format!("a collection was answered {status}").into()),
        }
    }
    Ok(runs)
}
