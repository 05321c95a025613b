//! Packages that other clients pushed, pulled: titled layers, archives, an index of parts.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{FILES, contents, directory, package, text, tree};
use crate::support::{INDEX, MANIFEST, Repo, Server, descriptor, image, index, run, sha256};

pub(super) const PACKAGE: &str = "application/vnd.artifactstore.package.v1";
const PART: &str = "application/vnd.artifactstore.package.part.v1";
const TITLE: &str = "org.opencontainers.image.title";

/// A layer as `oras push FILE` makes it.
fn titled(repo: &Repo, path: &str, bytes: &[u8]) -> Value {
    let mut layer = descriptor("application/octet-stream", &repo.push_blob(bytes), bytes.len());
    layer["annotations"] = json!({ TITLE: path });
    layer
}

/// A layer as `oras push DIR/` makes it.
pub(super) fn archive(repo: &Repo, title: &str, tar: &[u8]) -> Value {
    let digest = repo.push_blob(tar);
    let mut layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &digest, tar.len());
    layer["annotations"] = json!({ TITLE: title, "io.deis.oras.content.unpack": "true" });
    layer
}

/// A tar of these files, with folders, an own folder of everything, and a link that leads out.
pub(super) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes).unwrap();
    };
    add(tar::EntryType::Directory, "./", b"");
    for (path, text) in files {
        add(tar::EntryType::Regular, &format!("./{path}"), text.as_bytes());
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "./link", "../outside").unwrap();
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Pulls by tag, by digest and by id; each time all of it, into a directory that verifies.
#[track_caller]
fn comes_back(server: &Server, repository: &str, digest: &str, expected: &Path) {
    let listed = package(server, &["list", repository, "--reference", digest, "--json"]).expect(0).json();
    let id = listed["packages"][0]["id"].as_str().unwrap().to_owned();
    for what in [format!("{repository}:x"), format!("{repository}@{digest}"), id.clone()] {
        let back = directory();
        let pull = ["pull", &what, "-o", text(back.path()), "--json"];
        let pulled = package(server, &pull).expect(0).json();
        assert_eq!((&pulled["id"], &pulled["digest"]), (&json!(id), &json!(digest)), "{what}");
        assert!(contents(back.path()) == contents(expected), "{what}: {:?}", contents(back.path()).keys());
        run(&["package", "verify", text(back.path())]).expect(0);
        assert!(!back.path().join(".artifactstore/incoming").exists());
        let again = package(server, &pull).expect(0).json();
        assert_eq!(again["downloaded"], 0, "{again}");
        // And it goes on where something is missing.
        std::fs::remove_file(back.path().join("report.json")).unwrap();
        let more = package(server, &pull).expect(0).json();
        assert_eq!(more["downloaded"], 1, "{more}");
        assert!(contents(back.path()) == contents(expected), "{what}");
    }
}

#[test]
fn files_pushed_with_their_titles_come_back_by_tag_by_digest_and_by_id() {
    let (server, folder) = (Server::start(), tree(&FILES));
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    let layers: Vec<_> = FILES.iter().map(|(path, text)| titled(&repo, path, text.as_bytes())).collect();
    let manifest = image(&layers, json!({ "artifactType": PACKAGE }));
    repo.put_manifest("x", MANIFEST, &manifest).expect(201);
    comes_back(&server, "a", &sha256(&manifest), folder.path());
}

#[test]
fn files_inside_archives_could_not_be_pulled() {
    let (server, folder) = (Server::start(), tree(&FILES));
    let repo = Repo::new(&server.client(), "a");
    repo.push_empty_config();
    // Two archives, one of them packed, and a file beside them.
    let layers = [
        archive(&repo, ".", &gzip(&tar(&FILES[..3]))),
        titled(&repo, FILES[6].0, FILES[6].1.as_bytes()),
        archive(&repo, "more", &{
            let mut builder = tar::Builder::new(Vec::new());
            for (path, text) in &FILES[3..6] {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                builder.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            builder.into_inner().unwrap()
        }),
    ];
    let manifest = image(&layers, json!({ "artifactType": PACKAGE }));
    repo.put_manifest("x", MANIFEST, &manifest).expect(201);
    comes_back(&server, "a", &sha256(&manifest), folder.path());
}

#[test]
fn an_index_of_parts_comes_back_by_tag_by_digest_and_by_id() {
    let (server, folder) = (Server::start(), tree(&FILES));
    let repo = Repo::new(&server.client(), "a");
    package(&server, &["push", text(folder.path()), "--to", "a:whole"]).expect(0);
    let whole = repo.client.get(repo.manifest("whole")).expect(200).json();
    repo.push_empty_config();
    // What the command makes above 8000 files, with fewer of them in a part.
    let layers = whole["layers"].as_array().unwrap();
    let mut entries = Vec::new();
    for (at, layers) in layers.chunks(3).enumerate() {
        let config = if at == 0 { json!({ "config": whole["config"] }) } else { json!({}) };
        let mut more = config;
        more["artifactType"] = PART.into();
        let part = image(layers, more);
        let digest = sha256(&part);
        repo.put_manifest(&digest, MANIFEST, &part).expect(201);
        let mut entry = descriptor(MANIFEST, &digest, part.len());
        entry["artifactType"] = PART.into();
        entries.push(entry);
    }
    assert_eq!(entries.len(), 3);
    let whole = index(&entries, json!({ "artifactType": PACKAGE }));
    repo.put_manifest("x", INDEX, &whole).expect(201);
    comes_back(&server, "a", &sha256(&whole), folder.path());
}

#[test]
fn names_that_differ_in_case_only_are_two_files() {
    let (server, folder) = (Server::start(), tree(&[("a/x", "one"), ("A/x", "two"), ("a/X", "three")]));
    package(&server, &["push", text(folder.path()), "--to", "a:x"]).expect(0);
    let back = directory();
    package(&server, &["pull", "a:x", "-o", text(back.path())]).expect(0);
    assert!(contents(back.path()) == contents(folder.path()));
}
