use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;

type Documents = std::collections::BTreeMap<PackagePath, Vec<u8>>;

/// A run directory in memory.
#[derive(Clone, Debug, Default)]
struct Run {
    files: Documents,
}

impl Run {
    /// The guide-board run of the tests.
    fn fixture() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/guide-board/cmis-run-20260518T081500Z");
        let mut run = Self::default();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    run.files.insert(name.parse().unwrap(), fs::read(&path).unwrap());
                }
            }
        }
        run
    }

    fn with(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.parse().unwrap(), content.as_bytes().to_vec());
        self
    }

    fn without(mut self, path: &str) -> Self {
        assert!(self.files.remove(&path.parse().unwrap()).is_some(), "{path}");
        self
    }

    /// With one text in a file replaced by another.
    fn replaced(self, path: &str, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.files[&path.parse().unwrap()].clone()).unwrap();
        assert!(text.contains(from), "{path}: {from}");
        self.with(path, &text.replacen(from, to, 1))
    }

    fn apply(&self, layout: &Layout) -> Result<Applied, Vec<String>> {
        let paths: Vec<_> = self.files.keys().cloned().collect();
        let wanted = layout.documents();
        let documents = self.files.iter().filter(|(path, _)| wanted.contains(path));
        let documents = documents.map(|(path, bytes)| (path.clone(), bytes.clone())).collect();
        layout
            .apply(&paths, &documents)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn problems(&self) -> Vec<String> {
        self.apply(&Layout::guide_board()).unwrap_err()
    }
}

/// The metadata of the guide-board run; its counts are those of `make.py`.
#[test]
fn a_guide_board_run_gives_exactly_this() {
    let applied = Run::fixture().apply(&Layout::guide_board()).unwrap();
    let description = applied.description;
    assert_eq!(description.kind.as_deref(), Some("guide-board-run"));
    assert_eq!(description.retention_class.as_deref(), Some("raw-evidence"));
    let expected = json!({
        "run_id": "gbr-20260518T081500Z-cmis-browser",
        "title": "CMIS pilot: docstore over the browser binding",
        "status": "completed-with-findings",
        "started_at": "2026-05-18T08:15:00Z",
        "finished_at": "2026-05-18T08:15:17Z",
        "target_profile": {
            "id": "docstore-browser",
            "name": "Docstore 5.2, browser binding",
            "version": "5.2.0",
            "endpoint": "http://cmis.pilot.example:8080/docstore/browser",
            "binding": "browser",
        },
        "assessment_profile": { "id": "cmis-baseline", "name": "CMIS 1.1 baseline", "version": "3" },
        "evidence_results": { "total": 58, "pass": 44, "fail": 3, "warning": 5, "skipped": 5, "error": 1 },
        "findings": { "total": 9, "critical": 1, "major": 2, "minor": 4, "info": 2 },
        "source_commits": {
            "guide-board": "4c1f0f3f9a55ea8f6d0ce3c2a1b7d5e4f6a98b10",
            "docstore": "b27d9c3e8f104a6c5d7e9f0a1b2c3d4e5f60718a",
            "cmis-profiles": "0e5a7c9d1b3f5e7a9c0d2e4f6a8b1c3d5e7f9a0b",
        },
        "log_review": { "lines": 177 },
        "report_paths": {
            "scorecard": ["reports/scorecard.json", "reports/scorecard.md"],
            "log-review": ["reports/log-review.json", "reports/log-review.md"],
            "tck-report": [
                "raw/tck/groups/basics.xml",
                "raw/tck/groups/control.xml",
                "raw/tck/groups/crud.xml",
                "raw/tck/groups/query.xml",
                "raw/tck/groups/types.xml",
                "raw/tck/groups/versioning.xml",
                "raw/tck/parameters.properties",
                "raw/tck/report.json",
                "raw/tck/report.txt",
                "raw/tck/report.xml",
            ],
        },
    });
    assert_eq!(serde_json::to_value(&description.metadata).unwrap(), expected);
    let provenance = serde_json::to_value(&applied.provenance).unwrap();
    assert_eq!(provenance["layout"], json!({ "name": "guide-board", "version": 1 }));
    assert_eq!(provenance["producer"], json!({ "name": "guide-board", "version": "0.9.1" }));
    assert_eq!(provenance["sources"].as_array().unwrap().len(), 3);
}

#[test]
fn every_file_of_a_run_is_in_the_package_with_its_role() {
    let applied = Run::fixture().apply(&Layout::guide_board()).unwrap();
    assert_eq!(applied.files.len(), Run::fixture().files.len());
    let is = |path: &str| {
        let file = applied.files.iter().find(|file| file.path.as_str() == path).unwrap();
        (file.role.as_deref().unwrap(), file.media_type.as_deref())
    };
    assert_eq!(is("run.json"), ("run", None));
    assert_eq!(is("retention-summary.json"), ("retention-summary", None));
    assert_eq!(is("assessment/evidence.json"), ("assessment-package", None));
    assert_eq!(is("reports/scorecard.md"), ("scorecard", None));
    assert_eq!(is("reports/log-review.json"), ("log-review", None));
    assert_eq!(is("raw/tck/report.xml"), ("tck-report", None));
    assert_eq!(is("raw/tck/parameters.properties"), ("tck-report", None));
    assert_eq!(is("raw/http/0001-repository-info.request.http"), ("raw-artifact", Some("message/http")));
    assert_eq!(is("raw/content/no-content.received.bin"), ("raw-artifact", None));
    assert_eq!(is("logs/tck.log"), ("log", None));
    assert!(applied.files.iter().all(|file| file.role.is_some()));
}

#[test]
fn a_directory_that_is_no_complete_run_is_not_taken_for_one() {
    let fixture = Run::fixture;
    assert_eq!(
        fixture().without("run.json").problems(),
        ["run.json: is not there: this is no complete guide-board run directory"]
    );
    assert_eq!(Run::default().with("README.md", "").problems().len(), 3);
    let running = fixture().replaced("run.json", "completed-with-findings", "running");
    assert_eq!(
        running.problems(),
        ["run.json /status: is \"running\", and has to be completed or completed-with-findings"]
    );
    let other = fixture().with("run.json", r#"{"format":2}"#).problems();
    assert_eq!(other[0], "run.json /format: is an integer, and has to be guide-board.run.v1");
    assert!(other[1].starts_with("run.json /status: is not there"), "{other:?}");
}

#[test]
fn a_document_that_is_no_json_is_named() {
    let cut = Run::fixture().with("assessment/evidence.json", "{\"results\": [").problems();
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert!(cut[0].starts_with("assessment/evidence.json: is not JSON: EOF"), "{cut:?}");
    let run = Run::fixture().with("run.json", "run_id: 7").problems();
    assert_eq!(run.len(), 1, "{run:?}");
    assert!(run[0].starts_with("run.json: is not JSON"), "{run:?}");
}

#[test]
fn what_is_missing_or_wrong_is_named_by_file_and_pointer_all_at_once() {
    let run = Run::fixture()
        .replaced("run.json", "\"run_id\"", "\"runid\"")
        .replaced(
            "assessment/package.json",
            "\"assessment_profile\": {",
            "\"assessment_profile\": 3, \"x\": {",
        )
        .replaced("reports/log-review.json", "\"lines_read\": 177", "\"lines_read\": 17.7")
        .without("assessment/findings.json")
        .without("reports/scorecard.json")
        .without("reports/scorecard.md");
    let problems = run.problems();
    assert!(
        problems[0].starts_with(
            "run.json /run_id: is not there, and run_id is taken from it; the document has finished_at, format"
        ),
        "{problems:?}"
    );
    assert_eq!(
        problems[1..],
        [
            "assessment/package.json /assessment_profile: is an integer, and has to be an object \
             (assessment_profile)",
            "reports/log-review.json /lines_read: is a number with a fraction, and has to be an integer \
             (log_review.lines)",
            "assessment/findings.json: is not in the run directory; findings is in it",
            "no file is like reports/scorecard.* (scorecard)",
        ]
    );
}

#[test]
fn a_value_that_is_not_counted_is_named_where_it_stands() {
    let run = Run::fixture().replaced("assessment/evidence.json", "\"fail\"", "\"failed\"");
    assert_eq!(
        run.problems(),
        ["assessment/evidence.json /results/21/outcome: is \"failed\", and has to be one of pass, fail, \
          warning, skipped, error (evidence_results)"]
    );
    let none = Run::fixture().with("assessment/evidence.json", r#"{"results":[{}, {"outcome": 1}]}"#);
    assert_eq!(none.problems().len(), 2);
    let no_list = Run::fixture().with("assessment/evidence.json", r#"{"results":{}}"#).problems();
    assert_eq!(
        no_list,
        ["assessment/evidence.json /results: is an empty object, and has to be a list (evidence_results)"]
    );
}

#[test]
fn a_list_that_was_cut_short_disagrees_with_the_run() {
    let run = Run::fixture().with("assessment/findings.json", r#"{"findings":[{"severity":"minor"}]}"#);
    assert_eq!(
        run.problems(),
        ["assessment/package.json /totals/findings: says 9, but findings.total comes to 1"]
    );
}

#[test]
fn metadata_that_no_package_can_hold_is_named_where_it_stands() {
    let run = Run::fixture().replaced("assessment/package.json", "\"version\": \"3\"", "\"version\": 3.1");
    let problems = run.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("assessment/package.json /assessment_profile: cannot be kept as"),
        "{problems:?}"
    );
}

#[test]
fn the_run_itself_may_ask_for_a_class() {
    let class =
        |run: Run| run.apply(&Layout::guide_board()).map(|applied| applied.description.retention_class);
    let asks = |value: &str| Run::fixture().replaced("retention-summary.json", "\"raw-evidence\"", value);
    assert_eq!(class(asks("\"release-evidence\"")).unwrap().as_deref(), Some("release-evidence"));
    assert_eq!(class(asks("null")).unwrap().as_deref(), Some("raw-evidence"));
    assert_eq!(
        class(asks("7")).unwrap_err(),
        [
            "retention-summary.json /retention_class: is an integer, and has to be a text (the retention class)"
        ]
    );
}

/// It passed, and only the registry refused it, at the end of the push.
#[test]
fn a_class_that_can_be_none_is_named_where_the_run_asks_for_it() {
    let run = Run::fixture().replaced("retention-summary.json", "\"raw-evidence\"", "\"Bad Class\"");
    assert_eq!(
        run.problems(),
        [
            "retention-summary.json /retention_class: is \"Bad Class\", and a retention class is 1 to 64 of a-z, 0-9, \
          '.', '_' and '-'"
        ]
    );
}

/// What need not be there was taken as not there.
#[test]
fn a_document_that_can_hold_nothing_is_not_taken_for_one_that_holds_nothing() {
    let run = Run::fixture().with("retention-summary.json", "null").problems();
    assert_eq!(run, ["retention-summary.json: is null, and /retention_class is looked for in it"]);
    let run = Run::fixture().with("retention-summary.json", "").problems();
    assert_eq!(run, ["retention-summary.json: is empty, and has to be JSON"]);
}

/// The last one won.
#[test]
fn a_key_that_stands_twice_is_no_answer() {
    let run = Run::fixture().replaced("run.json", "\"run_id\"", "\"run_id\": \"another\", \"run_id\"");
    let problems = run.problems();
    assert!(problems.len() == 1 && problems[0].starts_with("run.json: is not JSON: "), "{problems:?}");
    assert!(problems[0].contains("\"run_id\" is there twice"), "{problems:?}");
}

#[test]
fn what_people_read_a_result_from_has_to_be_all_there() {
    let layout = Layout::guide_board();
    for (path, is_whole) in [
        ("reports/scorecard.json", true),
        ("raw/tck/report.xml", true),
        ("raw/tck/groups/basics.xml", true),
        ("raw/tck/parameters.properties", false),
        ("raw/content/empty.bin", false),
        ("logs/tck.log", false),
    ] {
        assert_eq!(layout.is_whole(&path.parse().unwrap()), is_whole, "{path}");
    }
    for (path, content) in Run::fixture().files.iter().filter(|(path, _)| layout.is_whole(path)) {
        assert_eq!(check_whole(path, &content[..]), Ok(()), "{path}");
    }
}

/// A layout of another producer.
const JUNIT: &str = r#"
[layout]
name = "junit"
version = 3

[recognise]
files = ["summary.json"]

[package]
kind = "junit-run"

[[metadata]]
name = "tests.total"
document = "summary.json"
pointer = "/testsuites/tests"
type = "integer"

[[metadata]]
name = "suite~"
document = "summary.json"
pointer = "/a~1b"
type = "boolean"
required = false

[[count]]
name = "cases"
document = "cases.jsonl"
by = "/state"
values = ["ok", "ko"]

[[agree]]
name = "cases.total"
document = "summary.json"
pointer = "/testsuites/tests"

[[files]]
paths = ["**/TEST-*.xml"]
role = "junit-report"
media_type = "application/xml"

[reports]
name = "reports.paths"
roles = ["junit-report"]
"#;

#[test]
fn another_producer_needs_a_file_and_no_code() {
    let layout = Layout::parse("junit.toml", &JUNIT.replace("suite~", "suite")).unwrap();
    let run = Run::default()
        .with("summary.json", r#"{"testsuites":{"tests":3},"a/b":true}"#)
        .with("cases.jsonl", "{\"state\":\"ok\"}\n\n{\"state\":\"ko\"}\n{\"state\":\"ok\"}")
        .with("module/TEST-a.xml", "<testsuite/>")
        .with("stdout.txt", "");
    let applied = run.apply(&layout).unwrap();
    assert_eq!(
        applied.description.metadata.to_json(),
        r#"{"cases":{"ko":1,"ok":2,"total":3},"reports":{"paths":{"junit-report":["module/TEST-a.xml"]}},"suite":true,"tests":{"total":3}}"#
    );
    assert_eq!(applied.provenance.to_json(), r#"{"layout":{"name":"junit","version":3}}"#);
    let roles: Vec<_> = applied.files.iter().map(|file| file.role.as_deref()).collect();
    assert_eq!(roles, [None, Some("junit-report"), None, None]);
    let bad = run.with("cases.jsonl", "{\"state\":\"ok\"}\n\n{\"state\"\n").apply(&layout).unwrap_err();
    assert!(bad[0].starts_with("cases.jsonl: is not JSON on line 3"), "{bad:?}");
}

#[track_caller]
fn refused(text: &str, error: &str) {
    let found = Layout::parse("x.toml", text).unwrap_err().to_string();
    assert!(found.starts_with(error), "expected {error}\nfound    {found}");
}

#[test]
fn a_mistake_in_a_layout_is_told_with_its_line_and_what_was_meant() {
    let good = JUNIT.replace("suite~", "suite");
    Layout::parse("x.toml", &good).unwrap();
    let refuses = |from: &str, to: &str, error: &str| {
        assert!(good.contains(from), "{from}");
        refused(&good.replacen(from, to, 1), error);
    };
    refuses("[[count]]", "[[counts]]", "x.toml:25: unknown key counts; did you mean count?");
    refuses("pointer", "ponter", "x.toml:15: unknown key metadata.ponter; did you mean pointer?");
    refuses(
        "version = 3",
        "version = 3\nfoo = 1",
        "x.toml:5: unknown key layout.foo; the keys are name, version",
    );
    refuses(
        "\"integer\"",
        "\"integr\"",
        "x.toml:16: metadata.type: \"integr\" is no type; did you mean integer?",
    );
    refuses("\"integer\"", "7", "x.toml:16: metadata.type: give a text in quotes");
    refuses(
        "= \"/state\"",
        "= \"state\"",
        "x.toml:28: count.by: \"state\": a JSON pointer begins with a slash",
    );
    refuses("/a~1b", "/a~b", "x.toml:21: metadata.pointer: \"/a~b\": a JSON pointer");
    refuses("\"summary.json\"", "\"../x\"", "x.toml:7: recognise.files: path \"../x\" has the part \"..\"");
    refuses("\"**/TEST", "\"**TEST", "x.toml:37: files.paths: \"**TEST-*.xml\": ** stands alone");
    refuses(
        "roles = [\"junit-report\"]",
        "roles = [\"junit\"]",
        "x.toml:43: reports.roles: no [[files]] rule",
    );
    refuses("cases.total", "cases.totl", "x.toml:31: agree: cases.totl is no count");
    refuses("name = \"cases\"", "name = \"tests\"", "x.toml:25: count: the name tests takes the place of");
    refuses("kind = \"junit-run\"", "", "x.toml:9: package.kind: say what sort of package");
    refuses("version = 3", "version = 0", "x.toml:4: layout.version: give a whole number from 1");
    refuses("[recognise]\nfiles = [\"summary.json\"]", "", "x.toml:1: recognise: the section [recognise] is");
    refuses("application/xml", "xml", "x.toml:39: files.media_type: \"xml\" is no media type");
    refuses("[layout]", "[layout", "x.toml:2: ");
    refused(JUNIT, "x.toml:19: metadata.name: \"suite~\": a name is");
    refused(&good.replace("name = \"cases\"", ""), "x.toml:25: count.name is missing");
    refused("", "x.toml:1: layout: the section [layout] is missing");
}
