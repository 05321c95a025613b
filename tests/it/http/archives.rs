//! Archives that are made to hurt: refused with the rule they break, in bounded memory, and without a trace.

use std::io::Write as _;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::locations::{locations, tar};
use super::packages::Pack;
use super::packages_refused::refused_without_a_trace;
use crate::support::{MANIFEST, Repo, Request, Server, image};

/// What the server may have had in memory at its peak, MiB.
const PEAK: u64 = 256;

/// One member of a gzip stream; several in a row are one stream.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The header of an entry, whatever follows it.
fn header(name: &str, kind: EntryType, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Headers without contents, the same few over and over.
fn entries(count: usize, kind: EntryType) -> Vec<u8> {
    let some: Vec<u8> = (0..10_000).flat_map(|n| header(&format!("d/{n:05}"), kind, 0)).collect();
    gzip(&some).repeat(count / 10_000)
}

/// Zeros behind a header that tells of them.
fn zeros(name: &str, kind: EntryType, mib: usize) -> Vec<u8> {
    let mut archive = gzip(&header(name, kind, (mib as u64) << 20));
    archive.extend(gzip(&vec![0; 16 << 20]).repeat(mib / 16));
    archive
}

/// A tar of one entry that is no file.
fn special(name: &str, kind: EntryType) -> Vec<u8> {
    let mut archive = header(name, kind, 0);
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// A tar of one file whose name a careful program would not write.
fn escaping(name: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(EntryType::Regular);
    header.set_size(0);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// The manifest of `oras push REPOSITORY:TAG ./`.
#[track_caller]
fn manifest(repo: &Repo, archive: &[u8]) -> Vec<u8> {
    repo.push_empty_config();
    let mut layer = repo.push_layer(archive);
    layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    layer["annotations"] =
        json!({ "org.opencontainers.image.title": "run", "io.deis.oras.content.unpack": "true" });
    image(&[layer], json!({ "artifactType": "application/vnd.artifactstore.package.v1" }))
}

fn put(repo: &Repo, manifest: Vec<u8>) -> Request {
    Request::put(repo.manifest("v1")).header("Content-Type", MANIFEST).body(manifest)
}

#[test]
fn an_archive_that_is_made_to_hurt_is_refused_in_bounded_memory() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "a");
    let cases = [
        (entries(1_000_000, EntryType::Directory), "more than 100000 entries|d/"),
        (entries(1_000_000, EntryType::Regular), "more than 40000 files|d/"),
        (zeros("bomb", EntryType::Regular, 1024), "200 times its size|bomb"),
        (zeros("name", EntryType::GNULongName, 1024), "extended header of more than 1048576 bytes"),
        (zeros("pax", EntryType::XHeader, 1024), "extended header of more than 1048576 bytes"),
        (gzip(&header("vast", EntryType::Regular, 1 << 36)), "more than 68719476736 bytes|vast"),
        (special("disk", EntryType::Block), "disk|block device"),
        (special("holes", EntryType::GNUSparse), "holes|sparse"),
        (special("pipe", EntryType::Fifo), "pipe"),
        (escaping("a/../../x"), "\"a/../../x\""),
        (escaping("/etc/passwd"), "/etc/passwd"),
        (tar(&[("twice", b"1"), ("twice", b"2")]), "twice"),
        (tar(&[("a", b"1"), ("a/b", b"2")]), "a is a file"),
        (tar(&[("cut", &[7; 5000])])[..2048].to_vec(), "cut off|cut"),
        (vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0], "zstd"),
        (b"this is no archive".repeat(100), "checksum"),
    ];
    // The blobs first: they are ordinary ones, and stay.
    let cases = cases.map(|(archive, words)| (manifest(&repo, &archive), words));
    let cases = cases.map(|(manifest, words)| (put(&repo, manifest), 400, "MANIFEST_INVALID", words));
    refused_without_a_trace(&client, cases.into());
    assert!(repo.tags().is_empty());
    let listed = client.get(repo.path("_artifactstore/packages")).expect(200).json();
    assert_eq!(listed["packages"], json!([]));
    let peak = server.peak_memory();
    assert!(peak < PEAK, "{peak} MiB at the peak");
}

/// As many links as there may be entries, which is more than provenance can tell one by one.
#[test]
fn four_archives_full_of_links_at_once_took_more_memory_than_a_server_has() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    let mut archive = Vec::new();
    for n in 0..99_999 {
        let mut link = Header::new_ustar();
        link.set_path(format!("links/{n:06}")).unwrap();
        link.set_link_name("/etc/passwd").unwrap();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        link.set_cksum();
        archive.extend_from_slice(link.as_bytes());
    }
    archive.extend(tar(&[("file", b"1")]));
    let manifest: Value = serde_json::from_slice(&manifest(&repo, &gzip(&archive))).unwrap();
    let push = &|n: usize| {
        let mut manifest = manifest.clone();
        manifest["annotations"] = json!({ "number": n.to_string() });
        let pushed = repo.client.send(&put(&repo, manifest.to_string().into_bytes())).expect(201);
        Pack { id: pushed.required("artifactstore-package").to_owned(), repo: repo.clone() }
    };
    let packs: Vec<Pack> = thread::scope(|scope| {
        let pushes: Vec<_> = (0..4).map(|n| scope.spawn(move || push(n))).collect();
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    for pack in packs {
        assert_eq!(locations(&pack).len(), 1);
        assert_eq!(pack.read()["provenance"], json!({ "archive_links": 99_999 }));
    }
    let peak = server.peak_memory();
    assert!(peak < PEAK, "{peak} MiB at the peak");
}
