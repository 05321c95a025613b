//! Many clients on one draft: whatever was acknowledged is in the package, and nothing else.
//!
//! On the production engines the clients are those of two registries.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use super::packages::{Pack, shaped};
use crate::support::{
    Client, Connection, Launch, Repo, Request, Response, Server, blake3, is_production, noise, sha256,
};

/// Uploads at once.
const CROWD: usize = 32;

/// The registries that are there.
fn registries() -> Vec<Server> {
    let launch = Launch::new();
    let more = is_production().then(|| launch.clone().start());
    std::iter::once(launch.start()).chain(more).collect()
}

/// The draft as the `n`th client sees it.
fn seen_by(pack: &Pack, clients: &[Client], n: usize) -> Pack {
    Pack { repo: Repo::new(&clients[n % clients.len()], &pack.repo.name), id: pack.id.clone() }
}

/// Sends one request of each client at the same moment, and `beside` with them.
fn at_once<T: Send>(
    count: usize,
    send: impl Fn(usize) -> Response + Sync,
    beside: impl FnOnce() -> T,
) -> (Vec<Response>, T) {
    let barrier = Barrier::new(count + 1);
    thread::scope(|scope| {
        let (barrier, send) = (&barrier, &send);
        let one = |n| {
            scope.spawn(move || {
                barrier.wait();
                send(n)
            })
        };
        let all: Vec<_> = (0..count).map(one).collect();
        barrier.wait();
        let beside = beside();
        (all.into_iter().map(|one| one.join().unwrap()).collect(), beside)
    })
}

#[track_caller]
fn assert_all_taken(answers: &[Response]) {
    for answer in answers {
        assert_eq!(answer.status, 201, "{answer}");
    }
}

/// Finalizes a draft that others are at, which may have to be asked for more than once.
#[track_caller]
fn finalize(pack: &Pack) -> Value {
    let request = Request::post(pack.path("/finalize")).body(json!({ "tag": "v1" }).to_string());
    for _ in 0..20 {
        let answer = pack.repo.client.send(&request);
        if answer.status == 200 {
            return shaped(&answer, "Package");
        }
        answer.refused(409, "DENIED");
    }
    panic!("{CROWD} uploads are over some time");
}

/// The paths and SHA-256 digests in the registry manifest.
#[track_caller]
fn table(pack: &Pack) -> Vec<(String, String)> {
    let manifest = pack.get("/manifest").expect(200).json();
    let files = manifest["files"].as_array().unwrap().iter();
    let text = |file: &Value, field: &str| file[field].as_str().unwrap().to_owned();
    files.map(|file| (text(file, "path"), text(file, "sha256"))).collect()
}

#[test]
fn thirty_two_files_at_once_are_all_in_the_package() {
    let servers = registries();
    let clients: Vec<Client> = servers.iter().map(Server::client).collect();
    let pack = Pack::create(&Repo::new(&clients[0], "a"), &json!({}));
    // Every fourth has the bytes of another one.
    let bytes = |n: usize| noise((n - n % 4) as u64 + u64::from(n % 4 == 1), 40_000);
    let send = |n: usize| {
        let seen = seen_by(&pack, &clients, n);
        seen.repo.client.send(&seen.put(&format!("d{}/f{n:02}", n % 3), &bytes(n)))
    };
    let (answers, ()) = at_once(CROWD, send, || ());
    assert_all_taken(&answers);
    finalize(&pack);
    let mut expected: Vec<_> =
        (0..CROWD).map(|n| (format!("d{}/f{n:02}", n % 3), sha256(&bytes(n)))).collect();
    expected.sort();
    assert_eq!(table(&pack), expected);
    for (path, digest) in expected {
        assert_eq!(sha256(&pack.get(&format!("/files/{path}")).expect(200).body), digest);
    }
}

#[test]
fn of_thirty_two_files_of_one_path_one_is_taken_and_the_others_are_told() {
    let servers = registries();
    let clients: Vec<Client> = servers.iter().map(Server::client).collect();
    let pack = Pack::create(&Repo::new(&clients[0], "a"), &json!({}));
    let bytes = |n: usize| noise(n as u64, 40_000);
    let send = |query: &'static str| {
        let (pack, clients) = (&pack, &clients);
        move |n: usize| {
            let seen = seen_by(pack, clients, n);
            seen.repo.client.send(&seen.put(&format!("same{query}"), &bytes(n)))
        }
    };
    let (answers, ()) = at_once(CROWD, send(""), || ());
    let taken: Vec<usize> = (0..CROWD).filter(|&n| answers[n].status == 201).collect();
    let [taken] = taken[..] else { panic!("{taken:?} were taken") };
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "DENIED");
    }
    assert_eq!(pack.get("/files/same").expect(200).body, bytes(taken));
    let (answers, ()) = at_once(CROWD, send("?replace=true"), || ());
    assert_all_taken(&answers);
    let draft = pack.read();
    assert_eq!((&draft["file_count"], &draft["size"]), (&json!(1), &json!(40_000)));
    finalize(&pack);
    let table = table(&pack);
    let is_one_of_them = (0..CROWD).any(|n| table == [("same".to_owned(), sha256(&bytes(n)))]);
    assert!(is_one_of_them, "{table:?}");
}

#[test]
fn a_file_that_was_acknowledged_while_a_draft_was_finalized_is_in_the_package() {
    let servers = registries();
    let clients: Vec<Client> = servers.iter().map(Server::client).collect();
    for round in 0..4 {
        let pack = Pack::create(&Repo::new(&clients[0], format!("r{round}")), &json!({}));
        pack.ingest("first", b"first");
        let bytes = |n: usize| noise(n as u64 + 1, 30_000);
        let send = |n: usize| {
            let seen = seen_by(&pack, &clients, n);
            seen.repo.client.send(&seen.put(&format!("f{n:02}"), &bytes(n)))
        };
        let last = seen_by(&pack, &clients, 1);
        let (answers, package) = at_once(CROWD, send, || finalize(&last));
        let mut expected = vec![("first".to_owned(), sha256(b"first"))];
        for (n, answer) in answers.into_iter().enumerate() {
            match answer.status {
                201 => expected.push((format!("f{n:02}"), sha256(&bytes(n)))),
                _ => drop(answer.refused(409, "DENIED")),
            }
        }
        expected.sort();
        assert_eq!(table(&pack), expected);
        assert_eq!(package["file_count"], json!(expected.len()));
        // The listing is that of the manifest.
        assert_eq!(pack.read()["file_count"], json!(expected.len()));
        for (path, digest) in &expected {
            assert_eq!(sha256(&pack.get(&format!("/files/{path}")).expect(200).body), *digest);
        }
    }
}

#[test]
fn a_file_that_ends_behind_finalize_is_refused_and_not_lost_in_silence() {
    let servers = registries();
    let clients: Vec<Client> = servers.iter().map(Server::client).collect();
    let pack = Pack::create(&Repo::new(&clients[0], "a"), &json!({}));
    pack.ingest("first", b"first");
    let bytes = noise(1, 100_000);
    let begin = |n: usize| {
        let seen = seen_by(&pack, &clients, n);
        let replacing =
            if n.is_multiple_of(2) { "first?replace=true".to_owned() } else { format!("late{n}") };
        let put = seen.put(&replacing, &bytes);
        // The server says that it wants the body, so it has begun.
        let put = put.header("Expect", "100-continue");
        let mut connection = seen.repo.client.connect();
        connection.write(put.head_bytes()).unwrap();
        assert_eq!(connection.receive_interim().unwrap(), 100);
        connection.write(&bytes[..50_000]).unwrap();
        connection
    };
    let open: Vec<Connection> = (0..8).map(begin).collect();
    let package = finalize(&pack);
    let before = (table(&pack), pack.read());
    for (n, mut connection) in open.into_iter().enumerate() {
        connection.write(&bytes[50_000..]).unwrap();
        // What would replace a file of it is told what protects that.
        let (status, word) = if n.is_multiple_of(2) { (403, "is retained") } else { (409, "finalized") };
        let answer = connection.receive("PUT").unwrap().refused(status, "DENIED");
        assert!(String::from_utf8_lossy(&answer.body).contains(word), "{answer}");
    }
    assert_eq!(package["file_count"], json!(1));
    assert_eq!((table(&pack), pack.read()), before);
    assert_eq!(before.0, [("first".to_owned(), sha256(b"first"))]);
    pack.repo.client.head(pack.repo.blob(&blake3(&bytes))).expect(404);
}
