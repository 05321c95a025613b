//! Manifest pulls per second, against nginx serving the same bytes from a file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use super::client::{Client, push_blob};
use super::content::{digest, random};
use super::measure::{Comparison, Report, take_turns};
use super::peers::Peer;
use super::{Failure, Outcome};

/// Threads that ask. Each has one request under way on each of its connections.
const ASKERS: usize = 2;
const CONNECTIONS: usize = 16;

/// Requests on each connection in a round.
const EACH: usize = 1500;

const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// 32 keep-alive connections that ask for one manifest by tag.
pub(super) fn get(report: &mut Report) -> Outcome<()> {
    let (ours, nginx) = (Peer::ours()?, Peer::nginx()?);
    let manifest = push_image(&ours)?;
    std::fs::create_dir_all(nginx.files().join("manifests"))?;
    std::fs::write(nginx.files().join("manifests/latest"), manifest)?;
    let seconds = take_turns(&mut [
        Box::new(|_| ask_all(ours.address(), "/v2/bench/image/manifests/latest")),
        Box::new(|_| ask_all(nginx.address(), "/manifests/latest")),
    ])?;
    let comparison = Comparison {
        name: "manifest-get",
        baseline: "nginx",
        unit: "requests/s",
        work: ASKERS * CONNECTIONS * EACH,
        aim: Some(0.5),
    };
    report.compare(&comparison, &seconds[0], &seconds[1]);
    report.note_memory("manifest-get", &ours)?;
    report.note_memory("manifest-get", &nginx)
}

/// Pushes an image of a config and five layers. Returns its manifest.
fn push_image(ours: &Peer) -> Outcome<String> {
    let mut client = Client::connect(ours.address())?;
    let mut descriptors = Vec::new();
    for _ in 0..6 {
        let content = random(512);
        let digest = digest(&[&content]);
        push_blob(&mut client, "bench/image", &digest, &[&content])?;
        descriptors.push(format!(r#""digest":"{digest}","size":512}}"#));
    }
    let mut manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MEDIA_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",{},"layers":["#,
        descriptors[0]
    );
    for (number, descriptor) in descriptors[1..].iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(
            manifest,
            r#"{comma}{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",{descriptor}"#
        )?;
    }
    manifest += "]}";
    client.call("PUT", "/v2/bench/image/manifests/latest", MEDIA_TYPE, &[manifest.as_bytes()], 201)?;
    Ok(manifest)
}

fn ask_all(address: SocketAddr, target: &str) -> Outcome<f64> {
    let askers = (0..ASKERS)
        .map(|_| (0..CONNECTIONS).map(|_| Client::connect(address)).collect())
        .collect::<Outcome<Vec<Vec<Client>>>>()?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\naccept: {MEDIA_TYPE}\r\n\r\n");
    let request = request.as_bytes();
    let start = Instant::now();
    thread::scope(|scope| {
        let askers: Vec<_> =
            askers.into_iter().map(|clients| scope.spawn(move || ask(clients, request))).collect();
        askers.into_iter().try_for_each(|asker| asker.join().map_err(|_| "an asker panicked")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Sends on every connection, then reads from every connection: while one answer is read the others are
/// being made. All answers have the same length as the first.
fn ask(mut clients: Vec<Client>, request: &[u8]) -> Outcome<()> {
    let mut length = 0;
    for client in &mut clients {
        client.send(request)?;
        let first = client.answer(true)?;
        if first.status != 200 || first.header("content-type") != Some(MEDIA_TYPE) {
            return Err(format!("the manifest was answered {first:?}").into());
        }
        length = first.length;
    }
    for _ in 1..EACH {
        clients.iter_mut().try_for_each(|client| client.send(request))?;
        clients.iter_mut().try_for_each(|client| client.skip(length))?;
    }
    // Whatever came out of step shows here.
    let check = |client: &mut Client| {
        client.send(request)?;
        let last = client.answer(true)?;
        if last.status == 200 && last.length == length {
            return Ok(());
        }
        Err(Failure::from("answers of different lengths"))
    };
    clients.iter_mut().try_for_each(check)
}
