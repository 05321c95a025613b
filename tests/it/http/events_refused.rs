//! What the log is not asked in this way.

use crate::support::{Repo, Request, Server};

const G: &str = "/v2/_artifactstore/events";

#[test]
fn a_place_that_the_log_does_not_have_is_a_conflict() {
    let server = Server::start();
    let repo = Repo::new(&server.client(), "a");
    repo.push_artifact("v1");
    let page = repo.client.get(G).expect(200).json();
    let (head, log) = (page["head"].as_i64().unwrap(), page["log_id"].as_str().unwrap());
    for accept in ["application/json", "application/x-ndjson", "text/event-stream", "application/cbor-seq"] {
        for query in [
            format!("since={}", head + 1),
            "log_id=01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            format!("log_id={log}&epoch=7"),
        ] {
            let request = Request::get(format!("{G}?{query}")).header("Accept", accept);
            repo.client.send(&request).refused(409, "CURSOR_AHEAD");
        }
    }
    repo.client.get(format!("{G}?since={head}&log_id={log}&epoch={}", page["epoch"])).expect(200);
    let ahead = Request::get(G).header("Accept", "text/event-stream").header("Last-Event-ID", "1000");
    let refused = repo.client.send(&ahead).refused(409, "CURSOR_AHEAD").json();
    assert_eq!(refused["errors"][0]["detail"]["head"], head);
}

#[test]
fn what_is_malformed_is_named() {
    let server = Server::start();
    let client = server.client();
    for (query, named) in [
        ("since=-1", "query parameter since: \"-1\" is not now, or a whole number"),
        ("since=", "query parameter since: "),
        ("since=1&since=1", "query parameter since: it is there more than once"),
        ("limit=0", "query parameter limit: "),
        ("wait=61", "query parameter wait: \"61\" is not a whole number of 0 to 60"),
        ("types=packge.*", "query parameter types: \"packge.*\" is no event type; is it package?"),
        ("types=", "query parameter types: "),
        ("package=x", "query parameter package: "),
        ("repository=A", "query parameter repository: "),
        ("log_id=", "query parameter log_id: "),
        ("epoch=x", "query parameter epoch: "),
        ("format=xml", "query parameter format: \"xml\" is not json or cloudevents"),
        ("sinc=3", "there is no query parameter \"sinc\"; is it since?"),
        ("type=tag", "there is no query parameter \"type\"; is it types?"),
        ("n=3", "there is no query parameter \"n\""),
    ] {
        let refused = client.get(format!("{G}?{query}")).refused(400, "UNSUPPORTED").json();
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(named), "{query}: {message}");
    }
    Repo::new(&client, "a").push_artifact("v1");
    client.get("/v2/a/_artifactstore/events?repository=a").refused(400, "UNSUPPORTED");
    client.post(G).refused(405, "UNSUPPORTED").with("allow", "GET, HEAD");
    for id in ["", "x", "-1", "99999999999999999999"] {
        let request = Request::get(G).header("Accept", "text/event-stream").header("Last-Event-ID", id);
        let refused = client.send(&request).refused(400, "UNSUPPORTED").json();
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("Last-Event-ID"), "{refused}");
    }
}

#[test]
fn a_form_there_is_none_in_is_not_acceptable() {
    let server = Server::start();
    let client = server.client();
    let ask = |accept: &str, query: &str| {
        client.send(&Request::get(format!("{G}{query}")).header("Accept", accept))
    };
    for accept in ["text/html", "application/xml, image/*", "*/*;q=0"] {
        ask(accept, "").refused(406, "UNSUPPORTED");
    }
    ask("application/cbor-seq", "?format=cloudevents").refused(400, "UNSUPPORTED");
    ask("application/json;q=0.5, text/html", "").expect(200).with("content-type", "application/json");
    ask("text/html, */*;q=0.1", "").expect(200).with("content-type", "application/json");
}
