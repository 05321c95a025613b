//! Run directories become packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::directory;
use crate::support::{Ran, Repo, Request, Server, blake3, run, sha256};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The guide-board run of the tests.
fn fixture() -> PathBuf {
    root().join("tests/fixtures/guide-board/cmis-run-20260518T081500Z")
}

/// Every file below a directory: path and content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A copy of the run to break.
fn copy() -> (TempDir, PathBuf) {
    let directory = directory();
    let copy = directory.path().join("run");
    for (path, content) in files(&fixture()) {
        let path = copy.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    (directory, copy)
}

fn ingest(run_dir: &Path, more: &[&str]) -> Ran {
    let mut arguments = vec!["ingest", "guide-board", run_dir.to_str().unwrap()];
    arguments.extend(more);
    run(&arguments)
}

/// The layout that `docs/layouts.md` explains.
fn documented() -> String {
    let page = fs::read_to_string(root().join("docs/layouts.md")).unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn a_run_is_shown_before_it_is_registered() {
    let shown = ingest(&fixture(), &["--dry-run", "--json"]).expect(0).json();
    assert_eq!(shown["kind"], "guide-board-run");
    assert_eq!(shown["retention_class"], "raw-evidence");
    assert_eq!(
        shown["metadata"]["evidence_results"],
        json!({ "total": 58, "pass": 44, "fail": 3, "warning": 5, "skipped": 5, "error": 1 })
    );
    let listed = shown["files"].as_array().unwrap().iter();
    let listed: Vec<_> = listed.map(|file| (file["path"].as_str().unwrap(), file["size"].as_u64())).collect();
    let there = files(&fixture());
    let there: Vec<_> = there.iter().map(|(path, bytes)| (path.as_str(), Some(bytes.len() as u64))).collect();
    assert_eq!(listed, there);
    let text = ingest(&fixture(), &["--dry-run"]).expect(0).out;
    for words in ["39 files", "class raw-evidence", "\"pass\": 44", "scorecard", "reports/scorecard.md"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let class =
        ingest(&fixture(), &["--dry-run", "--json", "--class", "release-evidence", "--schema", "x.v1"]);
    let class = class.expect(0).json();
    assert_eq!((&class["retention_class"], &class["schema"]), (&json!("release-evidence"), &json!("x.v1")));
}

#[test]
fn the_built_in_layout_is_the_file_that_comes_with_it() {
    let file = root().join("deploy/layouts/guide-board.toml");
    let (file, run_dir) = (file.to_str().unwrap(), fixture());
    let by_file =
        run(&["ingest", run_dir.to_str().unwrap(), "--layout", file, "--dry-run", "--json"]).expect(0);
    assert_eq!(by_file.json(), ingest(&run_dir, &["--dry-run", "--json"]).expect(0).json());
}

#[test]
fn the_layout_in_the_documentation_does_what_the_documentation_says() {
    let directory = directory();
    let (layout, run_dir) = (directory.path().join("junit.toml"), directory.path().join("run"));
    fs::write(&layout, documented()).unwrap();
    fs::create_dir_all(run_dir.join("module-a")).unwrap();
    fs::write(run_dir.join("summary.json"), r#"{"build":"4711","commit":"9f1c","tests":3}"#).unwrap();
    let cases = ["passed", "failed", "passed"].map(|state| json!({ "state": state }).to_string());
    fs::write(run_dir.join("cases.jsonl"), cases.join("\n")).unwrap();
    fs::write(run_dir.join("module-a/TEST-a.xml"), "<testsuite/>").unwrap();
    fs::write(run_dir.join("stdout.txt"), "").unwrap();
    let arguments =
        ["ingest", run_dir.to_str().unwrap(), "--layout", layout.to_str().unwrap(), "--dry-run", "--json"];
    let shown = run(&arguments).expect(0).json();
    assert_eq!(
        shown["metadata"],
        json!({
            "build": "4711",
            "cases": { "failed": 1, "passed": 2, "skipped": 0, "total": 3 },
            "report_paths": { "junit-report": ["module-a/TEST-a.xml"] },
        })
    );
    assert_eq!(shown["provenance"], json!({ "commit": "9f1c", "layout": { "name": "junit", "version": 1 } }));
    assert_eq!((&shown["kind"], &shown["retention_class"]), (&json!("junit-run"), &json!("transient")));
    let report = &shown["files"].as_array().unwrap()[1];
    assert_eq!((&report["role"], &report["media_type"]), (&json!("junit-report"), &json!("application/xml")));
}

#[test]
fn what_is_wrong_with_a_run_is_named_and_nothing_else_happens() {
    let (_directory, copy) = copy();
    fs::remove_file(copy.join("assessment/findings.json")).unwrap();
    let run_json = fs::read_to_string(copy.join("run.json")).unwrap();
    fs::write(copy.join("run.json"), run_json.replace("\"run_id\"", "\"id\"")).unwrap();
    symlink("run.json", copy.join("latest.json")).unwrap();
    let ran = ingest(&copy, &["--dry-run"]).expect(1);
    for words in [
        "is not as the layout guide-board says",
        "assessment/findings.json: is not in the run directory",
        "run.json /run_id: is not there",
        "latest.json is no regular file",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran}");
    }
    let problems = ingest(&copy, &["--dry-run", "--json"]).expect(1).json()["problems"].clone();
    let of =
        |file: Value| problems.as_array().unwrap().iter().find(|problem| problem["file"] == file).cloned();
    assert_eq!(of(json!("run.json")).unwrap()["pointer"], "/run_id");
    assert_eq!(of(json!("assessment/findings.json")).unwrap()["pointer"], "");
    assert_eq!(of(Value::Null).unwrap()["pointer"], Value::Null);
    fs::write(copy.join("run.json"), "{").unwrap();
    let ran = ingest(&copy, &["--dry-run"]).expect(1);
    assert!(ran.out.contains("run.json: is not JSON"), "{ran}");
}

/// They were registered without a word.
#[test]
fn reports_that_were_cut_short_are_named_with_the_reason() {
    let (_directory, copy) = copy();
    fs::write(copy.join("reports/scorecard.json"), "").unwrap();
    fs::write(copy.join("raw/tck/report.xml"), "<testsuite><testcase></testsuite>").unwrap();
    let ran = ingest(&copy, &["--dry-run"]).expect(1);
    for words in [
        "reports/scorecard.json: is empty",
        "raw/tck/report.xml: is not XML: <testcase> is closed by </testsuite>",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran}");
    }
    fs::write(copy.join("retention-summary.json"), r#"{"retention_class":"Bad Class"}"#).unwrap();
    let problems = ingest(&copy, &["--dry-run", "--json"]).expect(1).json()["problems"].clone();
    let places = problems.as_array().unwrap().iter();
    let places: Vec<_> = places.map(|problem| (&problem["file"], &problem["pointer"])).collect();
    assert!(places.contains(&(&json!("retention-summary.json"), &json!("/retention_class"))), "{problems}");
    assert_eq!(places.len(), 3, "{problems}");
}

/// What was behind the first MiB was not read, and nobody said so.
#[test]
fn a_layout_that_is_too_long_is_refused_and_not_cut() {
    let directory = directory();
    let layout = directory.path().join("long.toml");
    let mut text = documented();
    text.push_str(&"#".repeat((1 << 20) - text.len() + 1));
    fs::write(&layout, text).unwrap();
    run(&["ingest", fixture().to_str().unwrap(), "--layout", layout.to_str().unwrap(), "--dry-run"])
        .refused(&["long.toml", "1048576 bytes"]);
}

#[test]
fn what_cannot_be_run_says_why() {
    let directory = directory();
    let (layout, run_dir) = (directory.path().join("mine.toml"), fixture());
    let run_dir = run_dir.to_str().unwrap();
    let with = |text: &str| {
        fs::write(&layout, text).unwrap();
        run(&["ingest", run_dir, "--layout", layout.to_str().unwrap(), "--dry-run"])
    };
    with(&documented().replace("pointer", "ponter")).refused(&["mine.toml:15: ", "did you mean pointer?"]);
    with("[layout").refused(&["mine.toml:1: "]);
    run(&["ingest", run_dir, "--layout", "/no/such.toml", "--dry-run"]).refused(&["/no/such.toml"]);
    run(&["ingest", run_dir, "--dry-run"]).refused(&["--layout"]);
    ingest(Path::new("/no/such/run"), &["--dry-run"]).refused(&["/no/such/run"]);
    let no_directory = fixture().join("run.json");
    ingest(&no_directory, &["--dry-run"]).refused(&["run.json"]);
    // A layout of another producer.
    let ran = with(&documented());
    let ran = ran.expect(1);
    assert!(ran.out.contains("summary.json: is not there: this is no complete junit run directory"), "{ran}");
}

/// Registers a run on a server.
fn register(server: &Server, run_dir: &Path, more: &[&str]) -> Ran {
    let address = format!("http://{}", server.address());
    let mut arguments = vec!["--to", "pilots/cmis:pilot", "--server", &address];
    arguments.extend(more);
    ingest(run_dir, &arguments)
}

fn register_schema(server: &Server, schema: &[u8]) {
    let request = Request::put("/v2/_artifactstore/schemas/guide-board-run.v1")
        .header("Content-Type", "application/schema+json")
        .body(schema);
    server.client().send(&request).expect(201);
}

/// The requirement in one: register a run, find it by its counts, read it back, verify both digests.
#[test]
fn a_registered_run_is_found_by_its_counts_and_every_file_comes_back_with_both_digests() {
    let server = Server::start();
    let (client, repo) = (server.client(), Repo::new(&server.client(), "pilots/cmis"));
    register_schema(&server, &fs::read(root().join("deploy/schemas/guide-board-run.v1.json")).unwrap());
    let more = ["--schema", "guide-board-run.v1", "--json"];
    let registered = register(&server, &fixture(), &more).expect(0).json();
    let id = registered["id"].as_str().unwrap();
    assert!(id.starts_with("pkg_"), "{registered}");
    assert_eq!((&registered["class"], &registered["tag"]), (&json!("raw-evidence"), &json!("pilot")));
    let by_digest = format!("pilots/cmis@{}", registered["digest"].as_str().unwrap());
    assert_eq!(registered["reference"], by_digest);

    let package = client.get(format!("/v2/_artifactstore/packages/{id}")).expect(200).json();
    assert_eq!((&package["status"], &package["kind"]), (&json!("finalized"), &json!("guide-board-run")));
    assert_eq!(
        (&package["reference"], &package["expires_at"]),
        (&registered["digest"], &registered["expires_at"])
    );
    assert!(package["expires_at"].as_str().unwrap().ends_with('Z'), "{package}");
    let shown = ingest(&fixture(), &["--dry-run", "--json"]).expect(0).json();
    assert_eq!((&package["metadata"], &package["provenance"]), (&shown["metadata"], &shown["provenance"]));
    let listed = client.get(repo.path("_artifactstore/packages?kind=guide-board-run&status=finalized"));
    let listed = listed.expect(200).json();
    let listed = listed["packages"].as_array().unwrap();
    let counts: Vec<_> = listed
        .iter()
        .map(|package| (package["id"].as_str(), package["metadata"]["evidence_results"]["fail"].as_u64()))
        .collect();
    assert_eq!(counts, [(Some(id), Some(3))]);

    let (there, table) = (files(&fixture()), package["files"].as_array().unwrap());
    assert_eq!(table.len(), there.len());
    for ((path, content), file) in there.iter().zip(table) {
        assert_eq!((&file["path"], &file["size"]), (&json!(path), &json!(content.len())));
        let bytes =
            client.get(repo.path(format!("_artifactstore/packages/{id}/files/{path}"))).expect(200).body;
        assert_eq!(&bytes, content, "{path}");
        assert_eq!(
            (&file["sha256"], &file["content_address"]),
            (&json!(sha256(&bytes)), &json!(blake3(&bytes)))
        );
        assert!(file["role"].is_string(), "{file}");
    }
    let manifest = Request::get(repo.path(format!("_artifactstore/packages/{id}/manifest")))
        .header("Accept", "application/vnd.artifactstore.manifest.v1+cbor");
    let manifest = client.send(&manifest).expect(200).body;
    assert_eq!(package["manifest_digest"], blake3(&manifest));
}

#[test]
fn the_id_is_the_first_line_and_a_run_has_only_one() {
    let server = Server::start();
    let first = register(&server, &fixture(), &[]).expect(0);
    let id = first.out.lines().next().unwrap();
    assert!(id.starts_with("pkg_") && !id.contains(char::is_whitespace), "{first}");
    let again = register(&server, &fixture(), &["--json"]).expect(0).json();
    assert_eq!((&again["id"], &again["uploaded"]), (&json!(id), &json!(0)));
    // The same on every machine, so also on the one the documentation was written on.
    let page = fs::read_to_string(root().join("docs/guide-board.md")).unwrap();
    for field in ["digest", "content_manifest"] {
        assert!(page.contains(again[field].as_str().unwrap()), "{again}");
    }
    // Another class is another package: it is part of what the producer says.
    let other = register(&server, &fixture(), &["--class", "release-evidence", "--json"]).expect(0).json();
    assert_ne!(other["id"], id);
    assert_eq!(other["class"], "release-evidence");
}

/// What any OCI client sees.
#[test]
fn a_registered_run_is_an_artifact_whose_layers_are_its_files() {
    let server = Server::start();
    let registered = register(&server, &fixture(), &["--json"]).expect(0).json();
    let repo = Repo::new(&server.client(), "pilots/cmis");
    let manifest = repo.client.get(repo.manifest("pilot")).expect(200).body;
    assert_eq!(registered["digest"], sha256(&manifest));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["artifactType"], "application/vnd.artifactstore.package.v1");
    let there = files(&fixture());
    let layers = manifest["layers"].as_array().unwrap();
    let of = |path: &str| {
        let titled = |layer: &&Value| layer["annotations"]["org.opencontainers.image.title"] == path;
        layers.iter().find(titled).unwrap_or_else(|| panic!("{path}"))
    };
    assert_eq!(layers.len(), there.len() + 1);
    for (path, content) in &there {
        let bytes = repo.client.get(repo.blob(of(path)["digest"].as_str().unwrap())).expect(200).body;
        assert_eq!(&bytes, content, "{path}");
    }
    let scorecard = of("reports/scorecard.md");
    assert_eq!(scorecard["mediaType"], "text/markdown");
    assert_eq!(scorecard["annotations"]["dev.artifactstore.file.role"], "scorecard");
}

#[test]
fn a_run_that_is_refused_leaves_nothing_under_its_tag() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "pilots/cmis");
    let (_directory, copy) = copy();
    fs::remove_file(copy.join("run.json")).unwrap();
    let broken = register(&server, &copy, &[]).expect(1);
    assert!(broken.out.contains("run.json: is not there"), "{broken}");
    register(&server, &fixture(), &["--class", "for-ever"]).refused(&["for-ever"]);
    register(&server, &fixture(), &["--schema", "guide-board-run.v1"]).refused(&["guide-board-run.v1"]);
    register_schema(&server, br#"{"properties":{"findings":{"properties":{"critical":{"maximum":0}}}}}"#);
    register(&server, &fixture(), &["--schema", "guide-board-run.v1"]).refused(&["findings/critical"]);
    repo.client.get(repo.manifest("pilot")).expect(404);
    ingest(&fixture(), &[]).refused(&["--to"]);
    ingest(&fixture(), &["--to", "Not/A Name"]).refused(&["Not/A Name"]);
    let gone = format!("http://{}", server.address());
    drop(server);
    ingest(&fixture(), &["--to", "pilots/cmis", "--server", &gone]).refused(&[&gone]);
}
