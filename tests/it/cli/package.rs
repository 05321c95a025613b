//! Producers' commands against a real server: push, pull, verify.

mod answers;
mod drafts;
mod gate;
mod hostile;
mod interrupted;
mod kinds;
mod line;
mod login;
mod target;
mod tls;
mod transfer;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::directory;
use crate::support::{Ran, Server, command, run_command};

/// Runs `package` with these arguments against a server, logged in nowhere.
fn package(server: &Server, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command
        .arg("package")
        .args(arguments)
        .env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    command.env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

/// A tree with what is easily got wrong: nothing in a file, the same twice, folders, names beyond ASCII.
const FILES: [(&str, &str); 7] = [
    ("report.json", r#"{"passed":3}"#),
    ("raw/a/b/c.log", "one\ntwo\n"),
    ("raw/copy.log", "one\ntwo\n"),
    ("raw/empty", ""),
    ("raw-/x", "sorts before raw/"),
    ("Übersicht/größe 1.txt", "grüße"),
    (".hidden", "h"),
];

fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = directory();
    add(folder.path(), files);
    folder
}

fn add(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Every file below a folder, without what a pull adds.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            match () {
                () if name == ".artifactstore" => {}
                () if path.is_dir() => folders.push(path),
                () => drop(found.insert(name, fs::read(path).unwrap())),
            }
        }
    }
    found
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
