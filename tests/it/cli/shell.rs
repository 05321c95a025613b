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
