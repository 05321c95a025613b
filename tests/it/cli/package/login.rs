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
    push_files(gate, &FILES, config, path)
}

fn push_files(gate: &Gate, files: &[(&str, &str)], config: &Value, path: Option<&Path>) -> Ran {
    let (folder, docker) = (tree(files), directory());
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

/// A registry behind a token service that gives out tokens for what `is_right` likes.
fn wants_tokens(server: &Server, is_right: impl Fn(&Head) -> bool + Send + Sync + 'static) -> Gate {
    Gate::before(server, move |head, seen| {
        if head.line.split(['?', ' ']).nth(1) == Some("/token") {
            let token = json!({ "access_token": format!("t{}", seen.len()) }).to_string();
            let is_right = is_right(head);
            return Act::Answer(if is_right { "200 OK" } else { "401 Unauthorized" }.to_owned(), token);
        }
        match head.header("authorization") {
            Some(value) if value.starts_with("Bearer t") => Act::Pass,
            _ => bearer(head),
        }
    })
}

fn bearer(head: &Head) -> Act {
    let host = head.header("host").unwrap_or_default();
    refuse(&format!("Bearer realm=\"http://{host}/token\",service=\"here\""))
}

#[test]
fn an_identity_token_is_exchanged_and_not_sent_anywhere_else() {
    let server = Server::start();
    let gate = wants_tokens(&server, |head| {
        let wanted = ["grant_type=refresh_token", "refresh_token=id%2Ftoken", "service=here", "client_id="];
        head.line.starts_with("POST /token ") && wanted.iter().all(|part| head.form.contains(part))
    });
    // As docker writes it, and as its helpers do.
    let entry = json!({ "auth": "PHRva2VuPjo=", "identitytoken": "id/token" });
    push(&gate, &json!({ "auths": { "GATE": entry } }), None).expect(0);
    let posts = gate.seen("POST /token");
    assert!(posts.iter().any(|head| head.form.contains("scope=repository%3Ateam%2Fruns%3Apull%2Cpush")));
    for head in gate.seen("") {
        let told = format!("{head:?}");
        assert!(head.line.starts_with("POST /token") || !told.contains("id/token"), "{told}");
    }
    let wrong = json!({ "auths": { "GATE": { "identitytoken": "wrong" } } });
    let ran = push(&gate, &wrong, None).refused(&["refused the credentials", "docker login"]);
    assert!(!ran.err.contains("wrong"), "{ran}");
}

#[test]
fn a_token_that_ended_on_the_way_was_fetched_by_every_request_under_way() {
    let server = Server::start();
    let gate = Gate::before(&server, |head, seen| {
        if head.line.starts_with("GET /token?") {
            return Act::Answer(
                "200 OK".to_owned(),
                json!({ "token": format!("t{}", seen.len()) }).to_string(),
            );
        }
        let token = head.header("authorization").and_then(|value| value.strip_prefix("Bearer t"));
        // The first ends when uploads are well under way, all of which are refused then.
        let is_first = token.is_some() && token == first_token(seen).as_deref();
        let posts = seen.iter().filter(|head| head.line.starts_with("POST ")).count();
        if token.is_none() || is_first && posts > 6 { bearer(head) } else { Act::Pass }
    });
    let files: Vec<(String, String)> = (0..40).map(|n| (format!("{n}"), format!("content {n}"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let entry = json!({ "auth": BASIC.replace("Basic ", "") });
    push_files(&gate, &files, &json!({ "auths": { "GATE": entry } }), None).expect(0);
    let tokens = gate.seen("GET /token?");
    let of_repository = tokens.iter().filter(|head| head.line.contains("team%2Fruns")).count();
    assert_eq!(of_repository, 2, "{tokens:?}");
}

/// The token the first request for one was given.
fn first_token(seen: &[Head]) -> Option<String> {
    let at = seen.iter().position(|head| head.line.starts_with("GET /token?"))?;
    Some(at.to_string())
}

/// A storage at another address that a registry sends downloads to.
fn redirects(server: &Server, storage: &Gate, login: &'static str) -> Gate {
    let to = storage.url();
    Gate::before(server, move |head, _| match head.header("authorization") {
        _ if head.line.starts_with("GET /token?") => {
            Act::Answer("200 OK".to_owned(), json!({ "token": "good" }).to_string())
        }
        Some(value) if value == login => match head.line.split(' ').nth(1) {
            Some(target) if head.line.starts_with("GET ") && target.contains("/blobs/") => {
                Act::Answer(format!("307 Temporary Redirect\r\nLocation: {to}{target}"), String::new())
            }
            _ => Act::Pass,
        },
        _ if login == BASIC => refuse("Basic realm=\"here\""),
        _ => bearer(head),
    })
}

fn pull(gate: &Gate) -> Ran {
    let (back, docker) = (directory(), directory());
    let config = json!({ "auths": { gate.address.to_string(): { "auth": BASIC.replace("Basic ", "") } } });
    fs::write(docker.path().join("config.json"), config.to_string()).unwrap();
    let what = format!("{}/team/runs:v1", gate.address);
    let mut command = command();
    command.args(["package", "pull", &what, "-o", text(back.path())]);
    command.env("DOCKER_CONFIG", docker.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

#[test]
fn a_download_that_is_redirected_takes_no_credentials_along() {
    let server = Server::start();
    push(&Gate::before(&server, |_, _| Act::Pass), &json!({}), None).expect(0);
    for login in [BASIC, "Bearer good"] {
        let storage = Gate::before(&server, |_, _| Act::Pass);
        pull(&redirects(&server, &storage, login)).expect(0);
        let seen = storage.seen("GET ");
        assert!(seen.len() > FILES.len() / 2, "{seen:?}");
        assert!(seen.iter().all(|head| head.header("authorization").is_none()), "{seen:?}");
    }
}

#[test]
fn a_storage_that_asks_for_a_login_was_told_the_password_of_the_registry() {
    let server = Server::start();
    push(&Gate::before(&server, |_, _| Act::Pass), &json!({}), None).expect(0);
    for login in [BASIC, "Bearer good"] {
        let storage = Gate::before(&server, |head, _| {
            if head.line.starts_with("GET /token?") {
                return Act::Answer("200 OK".to_owned(), json!({ "token": "mine" }).to_string());
            }
            bearer(head)
        });
        pull(&redirects(&server, &storage, login)).refused(&["401"]);
        let seen = storage.seen("");
        assert!(!seen.is_empty() && storage.seen("GET /token?").is_empty(), "{seen:?}");
        assert!(seen.iter().all(|head| head.header("authorization").is_none()), "{seen:?}");
    }
}

#[test]
fn a_token_service_that_redirects_handed_the_password_on() {
    let server = Server::start();
    let elsewhere = Gate::before(&server, |_, _| {
        Act::Answer("200 OK".to_owned(), json!({ "token": "from elsewhere" }).to_string())
    });
    let to = elsewhere.url();
    let gate = Gate::before(&server, move |head, _| {
        if head.line.starts_with("GET /token?") {
            return Act::Answer(format!("307 Temporary Redirect\r\nLocation: {to}/token"), String::new());
        }
        bearer(head)
    });
    let entry = json!({ "auth": BASIC.replace("Basic ", "") });
    push(&gate, &json!({ "auths": { "GATE": entry } }), None).expect(2);
    assert!(gate.seen("GET /token?").iter().all(|head| head.header("authorization") == Some(BASIC)));
    let seen = elsewhere.seen("");
    assert!(!seen.is_empty() && seen.iter().all(|head| head.header("authorization").is_none()), "{seen:?}");
}
