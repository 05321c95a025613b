//! Tests with servers that take long: whether what was asked for was done is asked, and not done again.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use super::http::{Call, Patience, quiet};
use super::payload::Payload;
use super::{Client, Credentials, Error};
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag, media};
use crate::package::PackageId;

const BODY: &[u8] = b"{}";

/// Answers each request, given its first line, with a head and a body, or not at all.
fn server(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut connection in listener.incoming().map_while(Result::ok) {
            let line = request(&mut connection);
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            match answer(&line) {
                Some(text) => connection.write_all(text.as_bytes()).unwrap(),
                None => held.push(connection),
            }
        }
    });
    (address, seen)
}

/// Reads a request with a body of at most [`BODY`]: its first line.
fn request(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap().to_ascii_lowercase();
    if text.contains(&format!("content-length: {}\r\n", BODY.len())) {
        connection.read_exact(&mut [0; BODY.len()]).unwrap();
    }
    text.lines().next().unwrap().to_owned()
}

fn client(address: SocketAddr) -> Client {
    let moment = Duration::from_millis(50);
    let patience = Patience { idle: moment, finish: moment };
    let server = format!("http://{address}").parse().unwrap();
    Client::with_patience(server, Credentials::none(), patience).unwrap()
}

/// For what is not about time.
fn patient(address: SocketAddr) -> Client {
    Client::new(format!("http://{address}").parse().unwrap(), Credentials::none()).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn repository() -> RepositoryName {
    "a".parse().unwrap()
}

async fn put(client: &Client) -> Result<(), Error> {
    let tag: Tag = "x".parse().unwrap();
    let tag = Reference::Tag(tag);
    client.put_manifest(&repository(), &tag, media::OCI_IMAGE_MANIFEST, BODY.to_vec()).await.map(drop)
}

#[tokio::test]
async fn a_manifest_whose_answer_took_too_long_was_sent_six_times() {
    let body = std::str::from_utf8(BODY).unwrap();
    let (address, seen) =
        server(move |line| if line.starts_with("put") { None } else { Some(answer("200 OK", "", body)) });
    put(&client(address)).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, ["put /v2/a/manifests/x http/1.1", "get /v2/a/manifests/x http/1.1"]);
}

#[tokio::test]
async fn a_manifest_that_was_not_stored_in_time_is_told_as_what_took_too_long() {
    let (address, seen) =
        server(|line| if line.starts_with("put") { None } else { Some(answer("404 Not Found", "", "")) });
    let error = put(&client(address)).await.unwrap_err();
    assert!(matches!(error, Error::Idle { .. }), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_upload_whose_end_took_too_long_is_asked_for_by_its_digest() {
    let digest: Digest = hash::digest(Algorithm::Sha256, BODY);
    let (address, seen) = server(|line| match line.split(' ').next().unwrap() {
        "post" => Some(answer("202 Accepted", "Location: 1\r\n", "")),
        "put" => None,
        // The size of what is there.
        _ => Some(answer("200 OK", "", "{}")),
    });
    let payload = Payload::Bytes(bytes::Bytes::from_static(BODY));
    client(address).push_blob(&repository(), &digest, payload).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1].starts_with(&format!("put /v2/a/blobs/uploads/1?digest={digest} ")), "{seen:?}");
}

#[tokio::test]
async fn an_empty_answer_was_taken_for_a_package() {
    let id: PackageId = "pkg_01jd00000000000000000000aa".parse().unwrap();
    for body in
        ["{}", "[]", "{\"id\":\"pkg_01jd00000000000000000000ab\"}", "{\"id\":null,\"status\":\"finalized\"}"]
    {
        let headers = "Content-Type: application/json\r\n";
        let (address, _) = server(move |_| Some(answer("200 OK", headers, body)));
        let error = patient(address).package(&id).await.unwrap_err();
        assert!(
            error.to_string().contains("not about package pkg_01jd00000000000000000000aa"),
            "{body}: {error}"
        );
    }
    let (address, _) = server(|_| Some(answer("200 OK", "", "{\"id\":\"pkg_01jd00000000000000000000aa\"}")));
    assert_eq!(patient(address).package(&id).await.unwrap()["id"], id.as_str());
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_gone_blamed_the_server_it_came_from() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let headers = format!("Location: http://{gone}/x?signature=secret\r\n");
    let (address, _) = server(move |_| Some(answer("307 Temporary Redirect", &headers, "")));
    let digest: Digest = hash::digest(Algorithm::Sha256, BODY);
    let client = patient(address);
    let call = Call::new(Method::GET, format!("/v2/a/blobs/{digest}"), "");
    let error = client.once_followed(&call).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("http://{gone}, to which http://{address} sends")), "{text}");
    assert!(!text.contains("--server") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn who_has_all_of_what_ends_something_gets_longer() {
    let patience = Patience { idle: Duration::from_millis(1), finish: Duration::from_hours(1) };
    let moved = std::sync::atomic::AtomicU64::new(7);
    assert_eq!(quiet(&moved, 7, patience, false).await, patience.idle);
    assert_eq!(quiet(&moved, 8, patience, true).await, patience.idle);
    let waits = tokio::time::timeout(Duration::from_millis(50), quiet(&moved, 7, patience, true));
    assert!(waits.await.is_err());
}
