//! A registry that lies: whatever it says, nothing is written outside the directory, and nothing wrong gets a name.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::gate::{Act, Gate};
use super::kinds::{PACKAGE, archive, gzip, tar};
use super::{contents, directory, package, text, tree};
use crate::support::{MANIFEST, Ran, Repo, Server, descriptor, image, sha256};

/// No path is part of a digest.
const TREE: [(&str, &str); 6] = [
    ("aaaa/evil", "evil"),
    ("aaaaaaaaaaaaaa/x", "x"),
    ("fff", "f"),
    ("ggg/d", "d"),
    ("twice-1", "one"),
    ("twice-2", "two"),
];

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

fn ok(bytes: &[u8]) -> Act {
    Act::Bytes("200 OK".to_owned(), bytes.to_vec())
}

/// A registry whose package `a:x` has another path, everything else in agreement.
fn lies(server: &Server, from: &str, to: &str) -> Gate {
    let repo = Repo::new(&server.client(), "a");
    let manifest = repo.client.get(repo.manifest("x")).expect(200).body;
    let config = serde_json::from_slice::<Value>(&manifest).unwrap()["config"]["digest"].clone();
    let config = config.as_str().unwrap().to_owned();
    let cbor = replaced(&repo.client.get(repo.blob(&config)).expect(200).body, from, to);
    // In JSON a backslash is two.
    let as_json = |path: &str| path.replace('\\', "\\\\");
    let manifest = String::from_utf8(manifest).unwrap().replace(from, &as_json(to));
    let manifest = manifest.replace(&config, &sha256(&cbor)).into_bytes();
    let listed = package(server, &["list", "a", "--json"]).expect(0).json();
    let id = listed["packages"][0]["id"].as_str().unwrap().to_owned();
    let record = replaced(&record_cbor(server, &id), from, to);
    Gate::before(server, move |head, _| match &head.line {
        line if line.contains("/manifests/x ") => {
            Act::Bytes(format!("200 OK\r\nContent-Type: {MANIFEST}"), manifest.clone())
        }
        line if line.contains(&sha256(&cbor)) => ok(&cbor),
        line if line.contains("/manifest ") => ok(&record),
        _ => Act::Pass,
    })
}

/// The registry's manifest of a package.
fn record_cbor(server: &Server, id: &str) -> Vec<u8> {
    let folder = directory();
    let file = folder.path().join("record");
    package(server, &["manifest", id, "--cbor", "-o", text(&file)]).expect(0);
    fs::read(file).unwrap()
}

fn pull(server: &Server, gate: &Gate, what: &str, into: &Path) -> Ran {
    package(server, &["pull", what, "-o", text(into), "--server", &gate.url()])
}

fn pushed(server: &Server) -> String {
    let folder = tree(&TREE);
    let pushed = package(server, &["push", text(folder.path()), "--to", "a:x", "--json"]).expect(0).json();
    pushed["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_path_that_leads_out_of_the_directory_is_refused_before_anything_is_written() {
    let server = Server::start();
    let id = pushed(&server);
    for (from, to, word) in [
        ("aaaa/evil", "../../evi", "has the part \"..\""),
        ("aaaa/evil", "aaaa/../x", "has the part \"..\""),
        ("aaaa/evil", "/tmp/evil", "is absolute"),
        ("aaaa/evil", "aaaa\\evil", "has the character"),
        ("aaaa/evil", "aaaa//vil", "has the part \"\""),
        ("aaaaaaaaaaaaaa/x", ".artifactstore/x", "which is the registry's own"),
        ("twice-2", "twice-1", "twice-1 is there twice"),
        ("ggg/d", "ggg//", "has the part \"\""),
        ("ggg/d", "fff/d", "fff is a file and also the folder of fff/d"),
    ] {
        let gate = lies(&server, from, to);
        for what in ["a:x", &id] {
            let parent = directory();
            let ran = pull(&server, &gate, what, &parent.path().join("one/two")).refused(&[word]);
            assert!(contents(parent.path()).is_empty(), "{to}: {ran}");
            assert!(!Path::new("/tmp/evil").exists());
        }
    }
}

#[test]
fn a_file_that_is_not_what_the_table_says_gets_no_name_and_no_more_room_than_it_has() {
    let server = Server::start();
    let id = pushed(&server);
    let blob = sha256(b"evil");
    for (body, stated) in [
        (&b""[..], None),
        (b"evi", None),
        (b"EVIL", None),
        (b"evil and more", None),
        // It says that a lot more is to come.
        (b"evil and more", Some(99_999_999_999_u64)),
    ] {
        let digest = blob.clone();
        let gate = Gate::before(&server, move |head, _| {
            if !(head.line.starts_with("GET ") && head.line.contains(&digest)) {
                return Act::Pass;
            }
            match stated {
                None => ok(body),
                Some(length) => {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    Act::Raw([head.as_bytes(), body].concat())
                }
            }
        });
        for what in ["a:x", &id] {
            let back = directory();
            pull(&server, &gate, what, back.path()).refused(&["aaaa/evil is not sha256:"]);
            assert!(!back.path().join("aaaa/evil").exists());
            assert!(!back.path().join(".artifactstore/package.cbor").exists());
        }
    }
}

#[test]
fn a_file_whose_last_byte_arrived_before_the_connection_broke_was_asked_for_behind_its_end() {
    let server = Server::start();
    pushed(&server);
    let blob = sha256(b"evil");
    let gate = Gate::before(&server, move |head, _| {
        if head.line.starts_with("GET ") && head.line.contains(&blob) {
            // No last chunk.
            let chunk = "200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nevil\r\n";
            return Act::Raw(format!("HTTP/1.1 {chunk}").into_bytes());
        }
        Act::Pass
    });
    let back = directory();
    pull(&server, &gate, "a:x", back.path()).expect(0);
    assert_eq!(fs::read(back.path().join("aaaa/evil")).unwrap(), b"evil");
    assert_eq!(gate.seen("GET ").iter().filter(|head| head.header("range").is_some()).count(), 0);
}

#[test]
fn a_link_that_is_there_already_leads_nowhere() {
    let server = Server::start();
    pushed(&server);
    for (link, to_file) in [("aaaa", false), ("fff", true), (".artifactstore", false), ("ggg", false)] {
        let (back, outside) = (directory(), directory());
        let target = outside.path().join(if to_file { "file" } else { "" });
        std::os::unix::fs::symlink(&target, back.path().join(link)).unwrap();
        for force in [&[][..], &["--force"]] {
            let arguments = [&["pull", "a:x", "-o", text(back.path())], force].concat();
            package(&server, &arguments).refused(&["symbolic link"]);
        }
        assert!(contents(outside.path()).is_empty(), "{link}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{link}");
    }
}

/// A package of one archive, whose archive becomes another one.
fn archive_becomes(server: &Server, other: Vec<u8>) -> (Gate, String) {
    let repo = Repo::new(&server.client(), "arc");
    repo.push_empty_config();
    let honest = gzip(&tar(&[("a/b", "honest"), ("c", "too")]));
    let manifest = image(&[archive(&repo, ".", &honest)], json!({ "artifactType": PACKAGE }));
    repo.put_manifest("x", MANIFEST, &manifest).expect(201);
    let listed = package(server, &["list", "arc", "--json"]).expect(0).json();
    let id = listed["packages"][0]["id"].as_str().unwrap().to_owned();
    let mut layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &sha256(&other), other.len());
    layer["annotations"] =
        json!({ "org.opencontainers.image.title": ".", "io.deis.oras.content.unpack": "true" });
    let forged = image(&[layer], json!({ "artifactType": PACKAGE }));
    let record = replaced(&record_cbor(server, &id), &sha256(&manifest), &sha256(&forged));
    let gate = Gate::before(server, move |head, _| match &head.line {
        line if line.contains("/manifest ") => ok(&record),
        line if line.contains(&sha256(&forged)) => {
            Act::Bytes(format!("200 OK\r\nContent-Type: {MANIFEST}"), forged.clone())
        }
        line if line.contains(&sha256(&other)) => ok(&other),
        _ => Act::Pass,
    });
    (gate, id)
}

/// A tar with names no writer would let pass.
fn odd_tar(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_that_is_another_one_writes_nothing_outside_and_names_nothing_wrong() {
    let (honest, too) = (("a/b", "honest"), ("c", "too"));
    for (entries, word) in [
        (vec![honest, too, ("../evil", "e")], "cannot be unpacked"),
        (vec![honest, too, ("/tmp/evil", "e")], "cannot be unpacked"),
        (vec![("a/b", "lied!!"), too], "a/b is not sha256:"),
        (vec![("a/b", "honest, and more of it"), too], "a/b is not sha256:"),
        (vec![honest, honest, too], "cannot be written"),
        (vec![honest], "c is not sha256:"),
    ] {
        let server = Server::start();
        let (gate, id) = archive_becomes(&server, odd_tar(&entries));
        let parent = directory();
        let back = parent.path().join("one/two");
        pull(&server, &gate, &id, &back).refused(&[word]);
        assert!(!back.join(".artifactstore/package.cbor").exists());
        assert!(!parent.path().join("one/evil").exists() && !Path::new("/tmp/evil").exists());
        assert!(contents(&back).values().all(|bytes| bytes == b"honest" || bytes == b"too"));
    }
    // What is in the archive beside the table is not restored.
    let server = Server::start();
    let (gate, id) = archive_becomes(&server, odd_tar(&[honest, too, ("extra", "e")]));
    let back = directory();
    pull(&server, &gate, &id, back.path()).expect(0);
    assert_eq!(contents(back.path()).into_keys().collect::<Vec<_>>(), ["a/b", "c"]);
    // Other bytes under the digest of the archive.
    let server = Server::start();
    let (gate, id) = archive_becomes(&server, odd_tar(&[honest, too]));
    let blob = sha256(&odd_tar(&[honest, too]));
    let other = odd_tar(&[honest, ("c", "two")]);
    let liar = Gate::at(gate.address, move |head, _| {
        if head.line.starts_with("GET ") && head.line.contains(&blob) { ok(&other) } else { Act::Pass }
    });
    let back = directory();
    pull(&server, &liar, &id, back.path()).refused(&["archive sha256:", "is not sha256:"]);
    assert!(contents(back.path()).is_empty());
}
