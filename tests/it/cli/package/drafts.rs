//! Packages that are made file by file, and looked at.

use std::fs;

use super::{contents, directory, package, text, tree};
use crate::support::{Server, blake3, noise, run, sha256};

#[test]
fn a_draft_is_filled_finalized_and_read_back() {
    let server = Server::start();
    let folder = tree(&[("score.json", "{}"), ("b.log", "log"), ("c", "c")]);
    let file = |name: &str| text(&folder.path().join(name)).to_owned();
    let created = package(&server, &["create", "--to", "a/b", "--kind", "run", "--meta", "n=1"]).expect(0);
    let id = created.out.trim();
    let ingest = |arguments: &[&str]| package(&server, &[&["ingest", id], arguments].concat());
    let score =
        ingest(&[&file("score.json"), "--path", "reports/score.json", "--role", "scorecard", "--json"]);
    let score = score.expect(0).json();
    assert_eq!((&score["sha256"], &score["role"]), (&sha256(b"{}").into(), &"scorecard".into()), "{score}");
    assert_eq!(
        (&score["content_address"], &score["media_type"]),
        (&blake3(b"{}").into(), &"application/json".into())
    );
    ingest(&[&file("b.log")]).expect(0);
    ingest(&[&file("b.log")]).refused(&["409"]);
    fs::write(file("b.log"), "another log").unwrap();
    ingest(&[&file("b.log"), "--replace"]).expect(0);
    let finalized = package(&server, &["finalize", id, "--tag", "v1", "--json"]).expect(0).json();
    assert_eq!((&finalized["status"], &finalized["id"]), (&"finalized".into(), &id.into()), "{finalized}");
    ingest(&[&file("c")]).refused(&["409"]);

    let shown = package(&server, &["show", id, "--json"]).expect(0).json();
    assert_eq!((&shown["kind"], &shown["repository"]), (&"run".into(), &"a/b".into()));
    let shown = package(&server, &["show", id]).expect(0);
    assert!(shown.out.contains("status: finalized"), "{shown}");
    let files = package(&server, &["files", id, "--json"]).expect(0).json();
    let paths: Vec<_> = files["files"].as_array().unwrap().iter().map(|file| file["path"].clone()).collect();
    assert_eq!(paths, ["b.log", "reports/score.json"]);
    let manifest = package(&server, &["manifest", id]).expect(0).json();
    assert_eq!((&manifest["package"]["id"], &manifest["manifest_version"]), (&id.into(), &1.into()));
    let cbor = folder.path().join("manifest.cbor");
    package(&server, &["manifest", id, "--cbor", "-o", text(&cbor)]).expect(0);
    assert_eq!(shown_digest(&server, id), blake3(&fs::read(cbor).unwrap()));

    let back = directory();
    package(&server, &["pull", id, "-o", text(back.path())]).expect(0);
    assert_eq!(contents(back.path())["b.log"], b"another log");
    run(&["package", "verify", text(back.path())]).expect(0);
}

fn shown_digest(server: &Server, id: &str) -> String {
    let shown = package(server, &["show", id, "--json"]).expect(0).json();
    shown["manifest_digest"].as_str().unwrap().to_owned()
}

#[test]
fn lists_are_filtered_and_drafts_can_be_given_up() {
    let server = Server::start();
    let folder = tree(&[("a", "a")]);
    let create = |kind: &str| {
        let ran = package(&server, &["create", "--to", "a", "--kind", kind, "--json"]).expect(0);
        ran.json()["id"].as_str().unwrap().to_owned()
    };
    let (one, other) = (create("one"), create("other"));
    package(&server, &["push", text(folder.path()), "--to", "a:x", "--kind", "one"]).expect(0);
    let count = |filter: &[&str]| {
        let listed = package(&server, &[&["list", "a", "--json"], filter].concat()).expect(0).json();
        listed["packages"].as_array().unwrap().len()
    };
    assert_eq!((count(&[]), count(&["--kind", "one"]), count(&["--status", "finalized"])), (3, 2, 1));
    assert_eq!((count(&["--limit", "2"]), count(&["--kind", "one", "--status", "created"])), (2, 1));
    // It said another status than the package has.
    let aborted = package(&server, &["abort", &one, "--json"]).expect(0).json();
    assert_eq!(aborted["status"], package(&server, &["show", &one, "--json"]).expect(0).json()["status"]);
    package(&server, &["finalize", &one]).refused(&["409"]);
    package(&server, &["finalize", &other]).refused(&["at least one file"]);
    assert_eq!(count(&["--status", "created"]), 1);
    let listed = package(&server, &["list", "a"]).expect(0);
    assert!(listed.out.lines().count() == 3 && listed.out.contains(&other), "{listed}");
    package(&server, &["list", "a", "--status", "nonsense"]).refused(&["400"]);
    package(&server, &["create", "--to", "a:tag"]).refused(&["finalize"]);
}

/// A draft with these files of the tree: its id.
fn draft(server: &Server, folder: &std::path::Path, names: &[&str]) -> String {
    let id = package(server, &["create", "--to", "a"]).expect(0).out.trim().to_owned();
    for name in names {
        package(server, &["ingest", &id, text(&folder.join(name)), "--path", name]).expect(0);
    }
    id
}

#[test]
fn a_file_is_dropped_from_a_draft_and_only_from_a_draft() {
    let (server, folder) = (Server::start(), tree(&[("a", "a"), ("b", "b")]));
    let id = draft(&server, folder.path(), &["a", "b"]);
    let dropped = package(&server, &["drop", &id, "a", "--json"]).expect(0).json();
    assert_eq!(
        (&dropped["id"], &dropped["path"], &dropped["status"]),
        (&id.as_str().into(), &"a".into(), &"dropped".into())
    );
    package(&server, &["drop", &id, "a"]).refused(&["404"]);
    package(&server, &["drop", &id, "../a"]).refused(&["\"..\""]);
    assert_eq!(package(&server, &["files", &id]).expect(0).out.lines().count(), 1);
    package(&server, &["finalize", &id]).expect(0);
    package(&server, &["drop", &id, "b"]).refused(&["405", "is retained"]);
}

#[test]
fn one_file_is_downloaded_whole_or_in_part() {
    let bytes = noise(5, 300_000);
    let (server, folder) = (Server::start(), tree(&[("ä/b c", "")]));
    fs::write(folder.path().join("ä/b c"), &bytes).unwrap();
    let id = draft(&server, folder.path(), &["ä/b c"]);
    let out = directory();
    let file = out.path().join("file");
    // Of a draft as of a package.
    for finalizes in [false, true] {
        if finalizes {
            package(&server, &["finalize", &id]).expect(0);
        }
        let download = ["download", &id, "ä/b c", "-o", text(&file), "--json"];
        let done = package(&server, &download).expect(0).json();
        assert_eq!((&done["sha256"], &done["bytes"]), (&sha256(&bytes).into(), &300_000.into()), "{done}");
        assert_eq!((&done["whole"], &done["content_address"]), (&true.into(), &blake3(&bytes).into()));
        assert!(fs::read(&file).unwrap() == bytes);
        for (range, part) in [
            ("0-9", &bytes[..10]),
            ("299999-", &bytes[299_999..]),
            ("-7", &bytes[299_993..]),
            ("100-1000000", &bytes[100..]),
        ] {
            let done = package(&server, &[&download[..], &["--range", range]].concat()).expect(0).json();
            assert_eq!((&done["whole"], &done["bytes"]), (&false.into(), &part.len().into()), "{done}");
            assert!(fs::read(&file).unwrap() == part, "{range}");
        }
        package(&server, &[&download[..], &["--range", "300000-"]].concat()).refused(&["416"]);
        assert!(fs::read(&file).unwrap() == bytes[100..], "a refused download leaves the file");
    }
    let score = tree(&[("score", "{}\n")]);
    let other = draft(&server, score.path(), &["score"]);
    assert_eq!(package(&server, &["download", &other, "score", "-o", "-"]).expect(0).out, "{}\n");
    package(&server, &["download", &id, "b c", "-o", text(&file)]).refused(&["no file b c"]);
    package(&server, &["download", &id, "ä/b c", "-o", text(&file), "--range", "9-1"])
        .refused(&["FIRST-LAST"]);
    package(&server, &["download", &id, "ä/b c", "-o", "-", "--json"]).refused(&["name a file"]);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn events_are_listed_from_where_one_was() {
    let (server, folder) = (Server::start(), tree(&[("a", "a")]));
    let id = draft(&server, folder.path(), &["a"]);
    package(&server, &["finalize", &id]).expect(0);
    let events = |arguments: &[&str]| {
        let listed = package(&server, &[&["events", &id, "--json"], arguments].concat()).expect(0).json();
        listed["events"].as_array().unwrap().clone()
    };
    let all = events(&[]);
    let types: Vec<_> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let ends = ["v1.package.finalized", "v1.retention.resolved"];
    assert!(types.len() >= 4 && types.ends_with(&ends), "{types:?}");
    let first = all[0]["sequence"].to_string();
    assert_eq!(events(&["--since", &first]), all[1..]);
    assert_eq!(events(&["--limit", "2"]), all[..2]);
    let text = package(&server, &["events", &id]).expect(0);
    assert!(text.out.lines().count() == types.len() && text.out.contains("v1.package.created"), "{text}");
}

#[test]
fn lists_go_on_behind_what_was_seen() {
    let (server, folder) = (Server::start(), tree(&[("a", "a"), ("a b", "b"), ("b/ü", "c"), ("c", "d")]));
    let ids: Vec<_> = (0..4).map(|_| draft(&server, folder.path(), &[])).collect();
    let page = |arguments: &[&str]| -> Vec<String> {
        let listed = package(&server, &[&["list", "a", "--json"], arguments].concat()).expect(0).json();
        let packages = listed["packages"].as_array().unwrap().clone();
        packages.iter().map(|package| package["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(page(&["--limit", "3"]), ids[..3]);
    assert_eq!(page(&["--limit", "3", "--after", &ids[2]]), ids[3..]);
    let id = draft(&server, folder.path(), &["a", "a b", "b/ü", "c"]);
    let files = |arguments: &[&str]| -> Vec<String> {
        let listed = package(&server, &[&["files", &id, "--json"], arguments].concat()).expect(0).json();
        let files = listed["files"].as_array().unwrap().clone();
        files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(files(&[]), ["a", "a b", "b/ü", "c"]);
    assert_eq!(files(&["--limit", "2"]), ["a", "a b"]);
    assert_eq!(files(&["--after", "a b", "--limit", "1"]), ["b/ü"]);
}
