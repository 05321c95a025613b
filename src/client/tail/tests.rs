//! The reference consumer against servers that break off, lie and are in trouble.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::*;
use crate::client::{Client, Credentials};

/// Gives one answer after the other, each on a connection of its own that it closes. What was asked for, in order.
fn server(answers: Vec<String>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let targets = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let target = target(&mut connection);
            targets.lock().unwrap_or_else(PoisonError::into_inner).push(target);
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, asked)
}

/// The target of a request without a body, and what it accepts.
fn target(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let accept = text.lines().find_map(|line| line.strip_prefix("accept: application/")).unwrap();
    format!("{accept} {}", text.split(' ').nth(1).unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn refusal(status: &str, code: &str) -> String {
    answer(status, "", &format!(r#"{{"errors":[{{"code":"{code}","message":"says {code}"}}]}}"#))
}

fn event(sequence: i64) -> String {
    format!(
        r#"{{"sequence":{sequence},"type":"v1.tag.moved","recorded_at":"2026-01-01T00:00:00Z","actor":"a","repository":"r","subject":"s","leaf_hash":"sha256:{sequence}","payload":{{"tag":"\n"}}}}"#
    )
}

/// A page with these events of a log with `head`.
fn page(sequences: &[i64], scanned_to: i64, head: i64) -> String {
    page_of("one", sequences, scanned_to, head)
}

fn page_of(log: &str, sequences: &[i64], scanned_to: i64, head: i64) -> String {
    let events = sequences.iter().map(|it| event(*it)).collect::<Vec<_>>().join(",");
    let next = sequences.last().copied().unwrap_or_default();
    let body = format!(
        r#"{{"log_id":"{log}","epoch":1,"events":[{events}],"next_since":{next},"scanned_to":{scanned_to},"head":{head}}}"#
    );
    answer("200 OK", "Content-Type: application/json\r\n", &body)
}

/// A stream that breaks off behind this text.
fn stream(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n{text}")
}

fn lines(sequences: &[i64]) -> String {
    sequences.iter().map(|it| event(*it) + "\n").collect()
}

/// The same in pieces of which the last ends too early: the connection broke, and did not end.
fn broken(text: &str) -> String {
    let length = text.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{length:x}\r\n{text}\r\n5\r\n"
    )
}

async fn begin(address: SocketAddr, start: Start, options: Options) -> Result<Tail<Remote>, Error> {
    let server = format!("http://{address}").parse().unwrap();
    let client = Client::new(server, Credentials::none()).unwrap();
    let reader = Remote::new(client, &options.filter, Format::Json, options.is_followed);
    Tail::begin(reader, start, options).await
}

fn followed(limit: u64) -> Options {
    Options { is_followed: true, limit: Some(limit), ..Options::default() }
}

/// The numbers of all events until it ends, and what it ended with.
async fn all(tail: &mut Tail<Remote>) -> (Vec<i64>, Option<Error>) {
    let mut found = Vec::new();
    loop {
        match tail.next(&mut |_| {}).await {
            Ok(Some(events)) => found.extend(events.iter().map(|event| event.sequence)),
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
}

#[track_caller]
fn fault(error: Option<Error>) -> Fault {
    match error {
        Some(Error::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pages_are_read_to_where_the_log_ended_when_it_began() {
    let (address, asked) = server(vec![page(&[1], 1, 3), page(&[1, 2], 2, 3), page(&[3, 4], 4, 9)]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!((found, error.is_none()), (vec![1, 2, 3, 4], true));
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "json /v2/_artifactstore/events?since=0&limit=1",
            "json /v2/_artifactstore/events?since=0&limit=1000&log_id=one&epoch=1",
            "json /v2/_artifactstore/events?since=2&limit=1000&log_id=one&epoch=1",
        ]
    );
    let cursor = tail.cursor();
    assert_eq!((cursor.sequence, cursor.last.unwrap().leaf_hash.as_str()), (4, "sha256:4"));
}

#[tokio::test]
async fn an_event_is_what_the_server_sent_byte_for_byte() {
    let (address, _) = server(vec![page(&[1], 1, 1), page(&[1], 1, 1)]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let events = tail.next(&mut |_| {}).await.unwrap().unwrap();
    assert_eq!(events[0].json, event(1));
    let (address, _) = server(vec![page(&[], 0, 0), stream(&lines(&[1]))]);
    let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
    assert_eq!(tail.next(&mut |_| {}).await.unwrap().unwrap()[0].json, event(1));
}

#[tokio::test]
async fn a_stream_that_broke_in_the_middle_of_a_line_goes_on_where_it_was() {
    let half = &event(3)[..40];
    for broken in [stream(&(lines(&[1, 2]) + half)), broken(&(lines(&[1, 2]) + half))] {
        let (address, asked) =
            server(vec![page(&[1], 1, 2), broken, page(&[2], 2, 4), stream(&lines(&[3, 4]))]);
        let mut tail = begin(address, Start::After(0), followed(4)).await.unwrap();
        let (found, error) = all(&mut tail).await;
        assert_eq!((found, error.is_none()), (vec![1, 2, 3, 4], true));
        assert_eq!(
            asked.lock().unwrap()[1..],
            [
                "x-ndjson /v2/_artifactstore/events?since=0&log_id=one&epoch=1",
                "json /v2/_artifactstore/events?since=1&limit=1",
                "x-ndjson /v2/_artifactstore/events?since=2&log_id=one&epoch=1",
            ]
        );
    }
}

#[tokio::test]
async fn a_stream_that_ended_is_begun_again_behind_its_last_bookmark() {
    let first = lines(&[3])
        + "{\"bookmark\":{\"scanned_to\":7,\"head\":9}}\n{\"end\":{\"reason\":\"time\",\"scanned_to\":8}}\n";
    let (address, asked) =
        server(vec![page(&[3], 3, 9), stream(&first), page(&[3], 3, 9), stream(&lines(&[9]))]);
    let filter = Filter {
        repository: Some("team/a".parse().unwrap()),
        types: vec!["package.*".to_owned(), "tag".to_owned()],
        package: Some("pkg_01arz3ndektsv4rrffq69g5fav".parse().unwrap()),
    };
    let options = Options { filter, ..followed(2) };
    let mut tail = begin(address, Start::After(0), options).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!((found, error.is_none()), (vec![3, 9], true));
    let query = "&types=package.%2A%2Ctag&package=pkg_01arz3ndektsv4rrffq69g5fav";
    assert_eq!(
        asked.lock().unwrap()[2..],
        [
            format!("json /v2/team/a/_artifactstore/events?since=2{query}&limit=1"),
            format!("x-ndjson /v2/team/a/_artifactstore/events?since=8{query}&log_id=one&epoch=1"),
        ]
    );
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_when_it_said() {
    let busy = answer("503 Service Unavailable", "Retry-After: 1\r\n", "");
    let (address, asked) = server(vec![page(&[], 0, 0), busy, stream(&lines(&[1]))]);
    let mut tail = begin(address, Start::Now, followed(1)).await.unwrap();
    let before = Instant::now();
    let (found, _) = all(&mut tail).await;
    assert_eq!(found, [1]);
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn trouble_is_told_once_and_ends_nothing_while_it_follows() {
    let broken = || answer("500 Internal Server Error", "", "");
    let answers = vec![page(&[], 0, 0), broken(), broken(), page(&[1], 1, 1), stream(&lines(&[1]))];
    let (address, _) = server(answers);
    let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
    let mut told = 0;
    let events = tail.next(&mut |_| told += 1).await.unwrap().unwrap();
    assert_eq!((events.len(), told), (1, 1));
    // Who does not follow wants to know.
    let (address, _) = server(vec![page(&[], 0, 1), broken()]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let (_, error) = all(&mut tail).await;
    assert!(matches!(error, Some(Error::Passing { .. })), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_the_server_cannot_read_on_was_asked_for_again_without_a_pause_or_a_word() {
    let at = |scanned_to| format!("{{\"bookmark\":{{\"scanned_to\":{scanned_to},\"head\":9}}}}\n");
    let failed = |scanned_to| {
        format!("{{\"end\":{{\"reason\":\"error\",\"request_id\":\"R7\",\"scanned_to\":{scanned_to}}}}}\n")
    };
    let first = stream(&(at(0) + &lines(&[1]) + &failed(1)));
    // Who does not follow is told, behind what came before.
    let (address, _) = server(vec![page(&[1], 1, 9), first.clone()]);
    let client = Client::new(format!("http://{address}").parse().unwrap(), Credentials::none()).unwrap();
    let reader = Remote::new(client, &Filter::default(), Format::CloudEvents, false);
    let mut tail = Tail::begin(reader, Start::After(0), Options::default()).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!(found, [1]);
    let error = error.unwrap();
    assert!(matches!(&error, Error::Passing { .. }) && error.to_string().contains("under R7"), "{error}");
    // Who follows is told once, until it goes on.
    let again = || stream(&(at(1) + &failed(1)));
    let answers = vec![page(&[1], 1, 9), first, page(&[1], 1, 9), again(), page(&[1], 1, 9), again()];
    let healed = [page(&[1], 1, 9), stream(&lines(&[2]))];
    let (address, _) = server(answers.into_iter().chain(healed).collect());
    let mut tail = begin(address, Start::After(0), followed(2)).await.unwrap();
    let (mut told, mut found) = (Vec::new(), Vec::new());
    while let Some(events) = tail.next(&mut |error| told.push(error.to_string())).await.unwrap() {
        found.extend(events.iter().map(|event| event.sequence));
    }
    assert_eq!((found, told.len()), (vec![1, 2], 1), "{told:?}");
}

#[tokio::test]
async fn a_cursor_ahead_of_the_log_or_behind_its_horizon_is_never_reset() {
    let (address, _) = server(vec![refusal("409 Conflict", "CURSOR_AHEAD")]);
    let refused = begin(address, Start::After(7), followed(1)).await.unwrap_err();
    let fault_of = |refused: Error| fault(Some(refused));
    assert_eq!(fault_of(refused), Fault::Ahead { since: 7, said: "says CURSOR_AHEAD".to_owned() });
    let (address, _) = server(vec![refusal("410 Gone", "CURSOR_EXPIRED")]);
    let refused = begin(address, Start::After(7), followed(1)).await.unwrap_err();
    assert_eq!(fault_of(refused), Fault::Expired { since: 7, said: "says CURSOR_EXPIRED".to_owned() });
    // Also when the server does not notice.
    let (address, _) = server(vec![page(&[], 7, 6)]);
    let refused = begin(address, Start::After(7), followed(1)).await.unwrap_err();
    assert!(matches!(fault_of(refused), Fault::Ahead { since: 7, .. }));
}

#[tokio::test]
async fn an_event_that_is_missing_is_told_behind_those_that_came() {
    let (address, _) = server(vec![page(&[1], 1, 5), stream(&lines(&[1, 2, 4]))]);
    let mut tail = begin(address, Start::After(0), followed(9)).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!(found, [1, 2]);
    assert_eq!(fault(error), Fault::Gap { expected: 3, found: 4 });
    assert_eq!(tail.cursor().sequence, 2);
    let (address, _) = server(vec![page(&[1], 1, 5), page(&[1, 2, 2], 3, 5)]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!((found, fault(error)), (vec![1, 2], Fault::Again { found: 2, position: 2 }));
}

#[tokio::test]
async fn another_log_at_the_same_address_is_no_continuation() {
    let cut = || stream(&lines(&[1, 2]));
    let (address, _) = server(vec![page(&[1], 1, 2), cut(), page_of("two", &[2], 2, 9)]);
    let mut tail = begin(address, Start::After(0), followed(9)).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!(found, [1, 2]);
    assert!(matches!(fault(error), Fault::OtherLog { .. }));
    // The same log that was set back and has gone on.
    let forked = page(&[2], 2, 9).replace("sha256:2", "sha256:x");
    let (address, _) = server(vec![page(&[1], 1, 2), cut(), forked]);
    let mut tail = begin(address, Start::After(0), followed(9)).await.unwrap();
    let (_, error) = all(&mut tail).await;
    assert!(matches!(fault(error), Fault::OtherEvent { sequence: 2, .. }));
    // And a kept cursor.
    let (address, _) = server(vec![page_of("two", &[2], 2, 9)]);
    let refused = begin(address, Start::At(tail.cursor()), followed(9)).await.unwrap_err();
    assert!(matches!(fault(Some(refused)), Fault::OtherLog { .. }));
}

#[tokio::test]
async fn a_page_of_another_log_or_one_that_leads_nowhere_ends_it() {
    let (address, _) = server(vec![page(&[1], 1, 5), page_of("two", &[1], 1, 5)]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert!(found.is_empty() && matches!(fault(error), Fault::OtherLog { .. }));
    let (address, _) = server(vec![page(&[1], 1, 5), page(&[], 0, 5)]);
    let mut tail = begin(address, Start::After(0), Options::default()).await.unwrap();
    let (_, error) = all(&mut tail).await;
    assert!(error.unwrap().to_string().contains("leads nowhere"));
    let (address, _) = server(vec![page(&[6], 6, 5)]);
    let refused = begin(address, Start::After(0), Options::default()).await.unwrap_err();
    assert_eq!(fault(Some(refused)), Fault::BeyondHead { found: 6, head: 5 });
}

#[tokio::test]
async fn a_stream_of_another_log_is_not_begun() {
    let begin_of = |log: &str| {
        let bookmark =
            format!("{{\"bookmark\":{{\"scanned_to\":0,\"head\":1,\"log_id\":\"{log}\",\"epoch\":1}}}}\n");
        stream(&(bookmark + &lines(&[1])))
    };
    let (address, _) = server(vec![page(&[1], 1, 1), begin_of("one")]);
    let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
    assert_eq!(all(&mut tail).await.0, [1]);
    let (address, _) = server(vec![page(&[1], 1, 1), begin_of("two")]);
    let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert!(found.is_empty() && matches!(fault(error), Fault::OtherLog { .. }));
}

#[tokio::test]
async fn cloud_events_are_read_as_a_stream_that_ends_with_the_log() {
    let event = r#"{"specversion":"1.0","id":"one/1","sequence":"00000000000000000001","type":"dev.artifactstore.tag.moved.v1","time":"2026-01-01T00:00:00Z","leafhash":"sha256:1","data":{}}"#;
    let end = r#"{"end":{"reason":"head","scanned_to":1}}"#;
    let (address, asked) = server(vec![page(&[1], 1, 1), stream(&format!("{event}\n{end}\n"))]);
    let server = format!("http://{address}").parse().unwrap();
    let client = Client::new(server, Credentials::none()).unwrap();
    let reader = Remote::new(client, &Filter::default(), Format::CloudEvents, false);
    let mut tail = Tail::begin(reader, Start::After(0), Options::default()).await.unwrap();
    let events = tail.next(&mut |_| {}).await.unwrap().unwrap();
    assert_eq!((events.len(), &*events[0].json), (1, event.as_bytes()));
    assert_eq!(tail.next(&mut |_| {}).await.unwrap(), None);
    assert_eq!(tail.cursor().last, Some(Seen { sequence: 1, leaf_hash: "sha256:1".to_owned() }));
    assert!(asked.lock().unwrap()[1].ends_with("&wait=0&format=cloudevents"));
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_told_as_such() {
    let html = answer("200 OK", "Content-Type: text/html\r\n", "<html>");
    for (answer, words) in [
        (html, "not application/x-ndjson"),
        (stream("{\"sequence\":1}\n"), "neither an event nor a bookmark"),
        (stream("nonsense\n"), "not JSON"),
    ] {
        let (address, _) = server(vec![page(&[], 0, 0), answer]);
        let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
        let (_, error) = all(&mut tail).await;
        let error = error.unwrap();
        assert!(matches!(&error, Error::Failed(_)) && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_limit_is_where_the_cursor_stays() {
    let (address, _) = server(vec![page(&[1], 1, 9), page(&[1, 2, 3], 3, 9)]);
    let options = Options { limit: Some(2), ..Options::default() };
    let mut tail = begin(address, Start::After(0), options).await.unwrap();
    let (found, error) = all(&mut tail).await;
    assert_eq!((found, error.is_none(), tail.cursor().sequence), (vec![1, 2], true, 2));
}

#[tokio::test]
async fn from_now_on_is_behind_the_newest_event() {
    let (address, asked) = server(vec![page(&[1], 1, 41), stream(&lines(&[42]))]);
    let mut tail = begin(address, Start::Now, followed(1)).await.unwrap();
    assert_eq!(tail.cursor().sequence, 41);
    assert_eq!(all(&mut tail).await.0, [42]);
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("since=now") && asked[1].contains("since=41"), "{asked:?}");
}

#[tokio::test]
async fn a_large_event_arrives_whole_and_is_put_together_once() {
    let payload = "x".repeat(16 << 20);
    let large = event(1).replace("\\n", &payload) + "\n";
    let (address, _) = server(vec![page(&[], 0, 0), stream(&large)]);
    let mut tail = begin(address, Start::After(0), followed(1)).await.unwrap();
    let events = tail.next(&mut |_| {}).await.unwrap().unwrap();
    assert_eq!(events[0].json.len(), large.len() - 1);
}
