//! Registries that want to know who is there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::gate::{Act, Gate, Head};
use super::{FILES, directory, text, tree};
use crate::support::{Ran, Server, command, run_command};

/// `me:hunter2`
const BASIC: &str = "Basic bWU6aHVudGVyMg==";

fn refuse(challenge: &str) -> Act {
    Act::Answer(format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"), String::new())
}

fn wants_basic(server: &Server) -> Gate {
    Gate::before(server, |head, _| match head.header("authorization") {
        Some(BASIC) => Act::Pass,
        _ => refuse("Basic realm=\"here\""),
    })
}

fn push(gate: &Gate, config: &Value, path: Option<&Path>) -> Ran {
    let (folder, docker) = (tree(&FILES), directory());
    let config = config.to_string().replace("GATE", &gate.address.to_string());
    fs::write(docker.path().join("config.json"), config).unwrap();
    let mut command = command();
    let to = format!("{}/team/runs:v1", gate.address);
    command.args(["package", "push", text(folder.path()), "--to", &to]);
    command.env("DOCKER_CONFIG", docker.path()).env_remove("XDG_RUNTIME_DIR");
    if let Some(path) = path {
        command.env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()));
    }
    run_command(&mut command)
}

#[test]
fn a_password_of_dockers_file_opens_the_door() {
    let server = Server::start();
    let gate = wants_basic(&server);
    let entry = json!({ "auth": BASIC.replace("Basic ", "") });
    push(&gate, &json!({ "auths": { "http://GATE/v2/": entry } }), None).expect(0);
    let refused = gate.seen("").iter().filter(|head| head.header("authorization").is_none()).count();
    // The extension's answer is for no repository, and is asked for by itself.
    assert!(refused <= 2, "{refused} requests came without the password");
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let server = Server::start();
    let gate = wants_basic(&server);
    let ran = push(&gate, &json!({ "auths": { "GATE": { "auth": "bWU6c2VjcmV0" } } }), None);
    let ran = ran.refused(&["refused the credentials", "docker login"]);
    assert!(!ran.err.contains("secret") && !ran.err.contains("c2VjcmV0"), "{ran}");
    push(&gate, &json!({}), None).refused(&["there are none for it", "docker login"]);
}

#[test]
fn a_credential_helper_is_asked() {
    let server = Server::start();
    let gate = wants_basic(&server);
    let bin = directory();
    let helper = bin.path().join("docker-credential-vault");
    let answer = r#"{"ServerURL":"x","Username":"me","Secret":"hunter2"}"#;
    let script = format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = \"get {}\" ] || {{ echo credentials not found in native keychain; exit 1; }}\necho '{answer}'\n",
        gate.address
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    for config in [json!({ "credsStore": "vault" }), json!({ "credHelpers": { "GATE": "vault" } })] {
        push(&gate, &config, Some(bin.path())).expect(0);
    }
    let other = wants_basic(&server);
    push(&other, &json!({ "credsStore": "vault" }), Some(bin.path())).refused(&["there are none for it"]);
    push(&other, &json!({ "credsStore": "absent" }), Some(bin.path())).refused(&["docker-credential-absent"]);
}

/// The place of the last request that begins so, counted from 1.
fn position(seen: &[Head], prefix: &str) -> usize {
    seen.iter().rposition(|head| head.line.starts_with(prefix)).map_or(0, |at| at + 1)
}

#[test]
fn tokens_are_fetched_and_fetched_again_when_they_end() {
    let server = Server::start();
    let gate = Gate::before(&server, |head, seen| {
        if head.line.starts_with("GET /token?") {
            let wanted = ["service=here", "scope=repository%3Ateam%2Fruns%3Apull%2Cpush"];
            let is_fit = wanted.iter().all(|part| head.line.contains(part)) || !head.line.contains("scope=");
            return match head.header("authorization") {
                Some(BASIC) if is_fit => Act::Answer(
                    "200 OK".to_owned(),
                    json!({ "token": format!("t{}", seen.len()) }).to_string(),
                ),
                _ => Act::Answer("403 Forbidden".to_owned(), String::new()),
            };
        }
        // Tokens end while blobs are sent: the manifest needs one that was given out afterwards.
        let since = if head.line.starts_with("PUT ") { position(seen, "POST ") } else { 0 };
        match head
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer t")?.parse::<usize>().ok())
        {
            Some(token) if token >= since => Act::Pass,
            Some(_) | None => {
                let host = head.header("host").unwrap_or_default();
                refuse(&format!("Bearer realm=\"http://{host}/token\",service=\"here\""))
            }
        }
    });
    let entry = json!({ "auth": BASIC.replace("Basic ", "") });
    push(&gate, &json!({ "auths": { "GATE": entry } }), None).expect(0);
    let seen = gate.seen("");
    assert!(position(&seen, "GET /token?") > position(&seen, "POST "), "a token ended and was fetched again");
}
