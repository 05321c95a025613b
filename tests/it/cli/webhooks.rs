//! `webhooks …` against a real server.

use std::fs;

use serde_json::{Value, json};

use super::directory;
use crate::support::{Launch, Ran, Receiver, Repo, Server, command, run_command, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn run(server: &Server, arguments: &[&str]) -> Ran {
    let nowhere = directory();
    let mut command = command();
    command.arg("webhooks").args(arguments);
    command.env("ARTIFACTSTORE_SERVER", format!("http://{}", server.address()));
    command.env("DOCKER_CONFIG", nowhere.path()).env_remove("XDG_RUNTIME_DIR");
    run_command(&mut command)
}

#[test]
fn a_webhook_is_set_up_looked_at_changed_and_removed() {
    let server = Launch::new().env("ARTIFACTSTORE_WEBHOOKS_ALLOW", "127.0.0.1").start();
    let receiver = Receiver::start();
    let folder = directory();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let url = receiver.url("/token");
    let made = run(
        &server,
        &["create", &url, "--types", "tag,blob.linked", "--secret-file", file.to_str().unwrap()],
    );
    let made = made.expect(0).out;
    let (id, secret) = made.trim_end().split_once('\n').unwrap();
    assert!(id.starts_with("whk_") && secret == SECRET, "{made}");
    Repo::new(&server.client(), "a").push_artifact("v1");
    let first = until("it arrives", || receiver.received().first().cloned());
    assert_eq!(first.json()["type"], "v1.blob.linked");
    let listed = run(&server, &["list"]).expect(0).out;
    assert!(listed.starts_with(&format!("{id}  active  json  http://127.0.0.1:")), "{listed}");
    let suspended = run(&server, &["suspend", id]).expect(0).out;
    assert_eq!(suspended, format!("{id} is suspended\n"));
    run(&server, &["retry", id]).refused(&["resume it first"]);
    let changed = run(&server, &["change", id, "--everything", "--rotate-secret", "--json"]).expect(0).json();
    assert_eq!(
        (changed["filter"]["types"].as_array().unwrap().len(), &changed["state"]),
        (0, &Value::from("suspended"))
    );
    assert!(changed["secret"].as_str().unwrap().starts_with("whsec_"));
    run(&server, &["resume", id, "--since", "0"]).expect(0);
    until("all of it arrives", || {
        receiver.received().iter().any(|it| it.json()["sequence"] == 1).then_some(())
    });
    run(&server, &["retry", id]).expect(0);
    let shown = run(&server, &["show", id]).expect(0).out;
    assert!(shown.contains("state: active") && shown.contains("url: http://127.0.0.1:"), "{shown}");
    assert!(!shown.contains("token") && !shown.contains("whsec_"), "{shown}");
    run(&server, &["delete", id]).expect(0);
    run(&server, &["show", id]).refused(&["is not known"]);
    assert_eq!(run(&server, &["list"]).expect(0).out, "");
    assert!(!server.log().contains(&SECRET[6..]) && !server.log().contains("/token"));
}

#[test]
fn a_change_of_the_types_had_every_repository_sent() {
    let server = Launch::new().env("ARTIFACTSTORE_WEBHOOKS_ALLOW", "127.0.0.1").start();
    let url = Receiver::start().url("/");
    let made =
        run(&server, &["create", &url, "--types", "tag", "--repository", "team/results"]).expect(0).out;
    let id = made.lines().next().unwrap();
    let changed = |arguments: &[&str]| {
        let arguments = [&["change", id, "--json"], arguments].concat();
        run(&server, &arguments).expect(0).json()["filter"].clone()
    };
    for (arguments, types, repository) in [
        (&["--types", "tag.moved"][..], json!(["tag.moved"]), json!("team/results")),
        (&["--repository", "other"], json!(["tag.moved"]), json!("other")),
        (&["--format", "cloudevents"], json!(["tag.moved"]), json!("other")),
        (&["--everything", "--types", "blob,tag"], json!(["blob", "tag"]), json!(null)),
        (&["--everything"], json!([]), json!(null)),
    ] {
        let becomes = json!({ "types": types, "repository": repository, "package": null });
        assert_eq!(changed(arguments), becomes, "{arguments:?}");
    }
}

#[test]
fn what_is_no_webhook_is_refused_with_the_reason() {
    let server = Server::start();
    run(&server, &["create", "http://169.254.169.254/"]).refused(&["link-local", "webhooks.allow"]);
    run(&server, &["create", "https://h/", "--types", "packge"])
        .refused(&["is no event type; is it package?"]);
    run(&server, &["create", "https://h/", "--since", "x"]).expect(2);
    run(&server, &["create", "https://h/", "--secret-file", "/nonexistent"]).refused(&["cannot be read"]);
    run(&server, &["show", "whk_x"]).refused(&["whk_ and a ULID"]);
    run(&server, &["resume", "whk_01arz3ndektsv4rrffq69g5fav"]).refused(&["is not known"]);
}
