//! Where the bytes of files are: the same words everywhere, and none where there is no such place.

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{MANIFEST, Repo, Request, Server, blake3, image, is_production, noise};

const PACKAGE: &str = "application/vnd.artifactstore.package.v1";

/// A plain tar of files.
pub(super) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Pushes an artifact of titled layers and returns the package it is.
#[track_caller]
fn push(repo: &Repo, tag: &str, layers: &[(&str, &[u8], Value)]) -> Pack {
    repo.push_empty_config();
    let layer = |(title, bytes, more): &(&str, &[u8], Value)| {
        let mut layer = repo.push_layer(bytes);
        layer["annotations"] = more.clone();
        layer["annotations"]["org.opencontainers.image.title"] = json!(title);
        layer
    };
    let layers: Vec<Value> = layers.iter().map(layer).collect();
    let manifest = image(&layers, json!({ "artifactType": PACKAGE }));
    let pushed = repo.put_manifest(tag, MANIFEST, &manifest).expect(201);
    Pack { repo: repo.clone(), id: pushed.required("artifactstore-package").to_owned() }
}

/// Where the files of a package are, by path.
#[track_caller]
pub(super) fn locations(pack: &Pack) -> Vec<(String, Value)> {
    let list = shaped(&pack.get("/files").expect(200), "Files");
    let all = list["files"].as_array().unwrap().iter();
    all.map(|file| (file["path"].as_str().unwrap().to_owned(), file["location"].clone())).collect()
}

/// The content addresses and sizes in the receipts of a manifest, all of one backend.
#[track_caller]
fn receipts(pack: &Pack) -> Vec<(String, usize)> {
    let manifest = pack.get("/manifest").expect(200).json();
    let receipts = manifest["storage_receipts"].as_array().unwrap().iter();
    let backend = if is_production() { "s3" } else { "local" };
    let receipt = |receipt: &Value| {
        assert_eq!(receipt["backend_id"], backend);
        assert_eq!(receipt.as_object().unwrap().len(), 3, "never a physical key: {receipt}");
        let size = receipt["size"].as_u64().unwrap().try_into().unwrap();
        (receipt["content_address"].as_str().unwrap().to_owned(), size)
    };
    receipts.map(receipt).collect()
}

fn stored(contents: &[&[u8]]) -> Vec<(String, usize)> {
    let mut all: Vec<_> = contents.iter().map(|bytes| (blake3(bytes), bytes.len())).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_file_was_said_to_be_elsewhere_than_a_keyed_object_of_its_bytes() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let bytes = noise(1, 10_000);
    let put = Request::put(repo.path("_artifactstore/objects/k")).body(&bytes[..]);
    let object = shaped(&repo.client.send(&put).expect(201), "Object");
    let expected = json!({
        "backend_id": object["storage_backend"], "storage_uri": object["storage_uri"],
        "retrieval_tier": "online", "restore_status": "none",
    });
    let scheme = if is_production() { "s3://" } else { "file:///" };
    assert!(object["storage_uri"].as_str().unwrap().starts_with(scheme), "{object}");

    let native = Pack::create(&repo, &json!({}));
    assert_eq!(native.ingest("x", &bytes)["location"], expected);
    native.ingest("copy", &bytes);
    native.ingest("empty", b"");
    let draft = locations(&native);
    assert_eq!((&draft[0].1, &draft[2].1), (&expected, &expected));
    let package = native.finalize(&json!({}));
    assert_eq!(package["files"][0]["location"], expected);
    assert_eq!(locations(&native), draft, "finalize moves nothing");
    assert_eq!(receipts(&native), stored(&[&bytes, b""]));

    let implicit = push(&repo, "implicit", &[("x", &bytes, json!({})), ("y", &bytes, json!({}))]);
    assert!(locations(&implicit).iter().all(|(_, location)| *location == expected));
    assert_eq!(receipts(&implicit), stored(&[&bytes]));
}

#[test]
fn a_file_inside_an_archive_is_nowhere_by_itself() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let (inner, beside) = (noise(2, 5_000), noise(3, 5_000));
    let archive = tar(&[("run/inner.bin", &inner), ("run/other.bin", b"other")]);
    // What another repository holds is not where the file is, and not for this one to know.
    Repo::new(&repo.client, "elsewhere").push_blob(&inner);
    let unpack = json!({ "io.deis.oras.content.unpack": "true" });
    let pack = push(&repo, "archive", &[("run", &archive, unpack), ("beside.bin", &beside, json!({}))]);
    let found = locations(&pack);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["beside.bin", "run/inner.bin", "run/other.bin"]);
    let is_known: Vec<bool> = found.iter().map(|(_, location)| !location.is_null()).collect();
    assert_eq!(is_known, [true, false, false], "{found:?}");
    // What is stored is the archive.
    assert_eq!(receipts(&pack), stored(&[&archive, &beside]));
    pack.get("/files/run/inner.bin").refused(404, "BLOB_UNKNOWN");
}
