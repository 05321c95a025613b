//! What is generated for shells and for `man`.

use std::fs;

use super::directory;
use crate::support::run;

/// Every command, as the help lists them: of the program, or of a command with commands of its own.
fn commands(of: &[&str]) -> Vec<String> {
    let help = run(&[of, &["--help"]].concat()).expect(0).out;
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let listed = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    listed.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn completions_know_every_command() {
    let all = commands(&[]);
    assert!(all.len() > 10 && all.iter().any(|name| name == "push"), "{all:?}");
    let nested = commands(&["config"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect(0).out;
        for name in all.iter().chain(&nested) {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
        assert!(script.contains("repository") && script.contains("artifactstore"), "{shell}");
    }
    run(&["completions", "tcsh"]).refused(&["tcsh", "fish"]);
    run(&["completions"]).refused(&["SHELL"]);
}

#[test]
fn the_manual_has_every_command_and_a_page_for_each() {
    let page = run(&["man"]).expect(0).out;
    assert!(page.contains(".TH artifactstore 1"), "{page}");
    let directory = directory();
    let folder = directory.path().join("man1");
    let written = run(&["man", "--output", folder.to_str().unwrap()]).expect(0);
    assert!(written.out.is_empty(), "{written}");
    let mut pages = vec!["artifactstore.1".to_owned()];
    for name in commands(&[]).iter().filter(|name| *name != "help") {
        assert!(page.contains(&format!("artifactstore\\-{name}(1)")), "{name}: {page}");
        pages.push(format!("artifactstore-{name}.1"));
    }
    pages.extend(
        commands(&["config"])
            .iter()
            .filter(|name| *name != "help")
            .map(|name| format!("artifactstore-config-{name}.1")),
    );
    for name in pages {
        let page = fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    run(&["man", "--output", "/dev/null/man1"]).refused(&["/dev/null/man1"]);
}

/// Every command that does something, by its words.
fn leaves() -> Vec<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![Vec::new()]);
    while let Some(of) = folders.pop() {
        let words: Vec<&str> = of.iter().map(String::as_str).collect();
        for name in commands(&words).into_iter().filter(|name| name != "help") {
            let below = [&of[..], &[name]].concat();
            let words: Vec<&str> = below.iter().map(String::as_str).chain(["--help"]).collect();
            let help = run(&words).expect(0).out;
            // `ingest` does something itself and has a command.
            if !help.contains("\nCommands:\n") || help.contains("--layout") {
                found.push(below.clone());
            }
            if help.contains("\nCommands:\n") {
                folders.push(below);
            }
        }
    }
    found
}

#[test]
fn every_command_has_json_but_those_whose_output_is_for_another_program() {
    let all = leaves();
    assert!(all.len() > 30 && all.contains(&vec!["ingest".to_owned(), "guide-board".to_owned()]), "{all:?}");
    let without = ["serve", "completions", "man", "config example"];
    for words in all {
        let asked: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let has = run(&asked).expect(0).out.contains("--json");
        assert_eq!(has, !without.contains(&words.join(" ").as_str()), "{words:?}");
    }
}

#[test]
fn every_command_that_cannot_run_ends_with_2_says_why_and_prints_nothing_also_with_json() {
    for words in leaves() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[&words[..], &["--no-such-flag"]].concat()).refused(&["--no-such-flag"]);
    }
    let id = "pkg_00000000000000000000000000";
    let nobody = ["--server", "http://127.0.0.1:1", "--json"];
    for arguments in [
        &["push", "/dev/null/x", "--to", "a"][..],
        &["pull", "a", "-o", "/tmp"],
        &["verify", "/dev/null/x"],
        &["create", "--to", "a:tag"],
        &["ingest", "x", "/etc/hostname"],
        &["drop", "x", "a"],
        &["finalize", "x"],
        &["abort", "x"],
        &["show", "x"],
        &["list", "A"],
        &["files", "x"],
        &["download", id, "a", "-o", "-"],
        &["events", "x"],
        &["manifest", "x"],
    ] {
        let flags = if arguments[0] == "verify" { &nobody[2..] } else { &nobody[..] };
        let ran = run(&[&["package"], arguments, flags].concat()).refused(&["artifactstore: "]);
        assert_eq!(ran.err.lines().count(), 1, "{ran}");
    }
    let directory = directory();
    let none = directory.path().join("none");
    let none = none.to_str().unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));
    for arguments in [
        &["health", "--data", none][..],
        &["migrate", "--data", "/dev/null/x"],
        &["replay", "--data", "/dev/null/x"],
        &["replay", "--check", "--data", none],
        &["verify", "--data", none],
        &["copy", "--from", none, "--to", "/dev/null/x"],
        &["ingest", none, "--layout", none, "--to", "a"],
        &["ingest", "guide-board", none, "--to", "a"],
        &["push", none, "--data", "/dev/null/x"],
        &["pull", &digest, "-o", none, "--data", none],
        &["stat", &digest, "--data", none],
        &["storage", "probe", "--config", none],
        &["keys", "rotate", "--data", "/dev/null/x"],
        &["config", "check", "--config", none],
        &["config", "show", "--config", none],
    ] {
        let ran = run(&[arguments, &["--json"]].concat()).refused(&["artifactstore: "]);
        assert_eq!(ran.err.lines().count(), 1, "{ran}");
    }
}
