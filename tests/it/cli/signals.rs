//! Stopping: requests under way may end, a second signal does not wait for them.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{Connection, Repo, Request, Server, noise, sha256, until};

/// A PATCH of 200 000 bytes of which half is sent and has arrived.
fn half_an_upload(server: &Server, bytes: &[u8]) -> (String, Connection) {
    let repo = Repo::new(&server.client(), "a");
    let location = repo.begin();
    let mut connection = repo.client.connect();
    let head = Request::patch(&location).header("Content-Length", "200000").header("Expect", "100-continue");
    connection.write(head.head_bytes()).unwrap();
    // The server asks for the body: the request is under way.
    assert_eq!(connection.receive_interim().unwrap(), 100);
    connection.write(&bytes[..100_000]).unwrap();
    (location, connection)
}

fn no_longer_accepts(server: &Server) {
    until("the server accepts no more", || TcpStream::connect(server.address()).err());
}

#[test]
fn sigterm_lets_an_upload_end_and_exits_with_0() {
    let mut server = Server::start();
    let bytes = noise(1, 200_000);
    let (location, mut upload) = half_an_upload(&server, &bytes);
    // Connections that ask for nothing do not hold up the end.
    let mut idle = server.client().connect();
    idle.exchange(&Request::get("/v2/")).unwrap().expect(200);
    let mut silent = server.client().connect();
    server.signal(Signal::TERM);
    no_longer_accepts(&server);
    assert_eq!(idle.rest().unwrap(), b"");
    assert_eq!(silent.rest().unwrap(), b"");
    upload.write(&bytes[100_000..]).unwrap();
    upload.receive("PATCH").unwrap().expect(202).with("range", "0-199999");
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    // And what was acknowledged is there.
    let server = server.restart();
    let repo = Repo::new(&server.client(), "a");
    repo.close(&location, &sha256(&bytes)).expect(201);
    assert_eq!(repo.client.get(repo.blob(&sha256(&bytes))).expect(200).body, bytes);
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = Server::start();
    let (_, _upload) = half_an_upload(&server, &noise(2, 200_000));
    server.signal(Signal::TERM);
    no_longer_accepts(&server);
    until("it says what a second signal does", || server.log().contains("second signal").then_some(()));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130), "{}", server.log());
}

#[test]
fn sigint_stops_it_too() {
    let mut server = Server::start();
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}
