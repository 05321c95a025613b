//! Blobs in a bucket: clients are sent there, and told to come back when it is away. In this process, over a
//! bucket in memory.

use std::net::SocketAddr;
use std::sync::Arc;

use artifactstore::clock::Clock;
use artifactstore::dataplane::DataPlane;
use artifactstore::db::{self, Access, Db};
use artifactstore::registry::{self, Registry};
use artifactstore::server;
use artifactstore::storage::testing::Unreadable;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Client, Repo, Request, Response, noise, sha256, until};

/// A server in this process; it ends with its runtime.
struct InProcess {
    _runtime: Runtime,
    _dir: TempDir,
    repo: Repo,
    bucket: Unreadable,
}

fn serve(bucket: Unreadable) -> InProcess {
    let runtime = Runtime::new().unwrap();
    let dir = TempDir::new().unwrap();
    let address = runtime.block_on(async {
        let place = db::Options::new(db::Url::Sqlite(dir.path().join("registry.db")));
        let db = Db::open(&place, Access::Create).await.unwrap();
        let data = DataPlane::new(Arc::new(bucket.clone()));
        let options = registry::Options::default();
        let registry = Registry::open(db, data, Clock::system(), options).await.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = server::Server::bind(any, registry, server::Options::default()).await.unwrap();
        let address = server.address().unwrap();
        tokio::spawn(server.run(std::future::pending()));
        address
    });
    let repo = Repo::new(&Client::new(address), "a");
    InProcess { _runtime: runtime, _dir: dir, repo, bucket }
}

fn sent_to_the_bucket(answer: Response) -> bool {
    let answer = answer.expect(307).with("cache-control", "no-store").with("content-length", "0");
    let url = answer.location();
    url.starts_with("https://bucket.example/blake3/") && url.contains("?expires=300&")
}

#[test]
fn a_get_of_a_file_is_sent_to_the_bucket() {
    let server = serve(Unreadable::new(Clock::system()).presigning());
    let client = &server.repo.client;
    let packages = server.repo.path("_artifactstore/packages");
    let draft = client.send(&Request::post(packages).body("{}")).expect(201);
    let bytes = noise(1, 100_000);
    let file = format!("{}/files/a.txt", draft.location());
    client.send(&Request::put(&file).body(&bytes[..])).expect(201).with("location", &file);
    let answer = client.get(&file).with("docker-content-digest", &sha256(&bytes));
    assert!(sent_to_the_bucket(answer));
    client.head(&file).expect(200).with("content-type", "text/plain").with("content-length", "100000");
}

#[test]
fn a_signed_url_leads_to_no_url_of_the_bucket_that_outlives_it() {
    let server = serve(Unreadable::new(Clock::system()).presigning());
    let client = &server.repo.client;
    let object = server.repo.path("_artifactstore/objects/k");
    client.send(&Request::put(&object).body("bytes")).expect(201);
    assert!(sent_to_the_bucket(client.get(&object)));
    // Longer than the bucket's, so the registry signs it; what is left of it is a little less by now.
    let made = client.post(format!("{object}/url?expires_in=301")).expect(200).json();
    let signed = made["url"].as_str().unwrap();
    let seconds = || {
        let url = client.get(signed).expect(307).location();
        url.split_once("?expires=").unwrap().1.split('&').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(seconds() <= 300);
    until("the storage's URLs get shorter with it", || (seconds() < 300).then_some(()));
}

#[test]
fn a_get_of_a_blob_is_sent_to_the_bucket() {
    let server = serve(Unreadable::new(Clock::system()).presigning());
    let repo = &server.repo;
    let bytes = noise(1, 100_000);
    let blob = repo.blob(&repo.push_blob(&bytes));
    let answer = repo.client.get(&blob).with("docker-content-digest", &sha256(&bytes));
    assert!(sent_to_the_bucket(answer));
    // One range is sent along by the client, and the bucket knows it.
    assert!(sent_to_the_bucket(repo.client.send(&Request::get(&blob).header("Range", "bytes=5-9"))));
}

#[test]
fn what_the_bucket_would_answer_otherwise_is_answered_here() {
    let server = serve(Unreadable::new(Clock::system()).presigning());
    let repo = &server.repo;
    let bytes = noise(1, 100_000);
    let digest = repo.push_blob(&bytes);
    let blob = repo.blob(&digest);
    let get = |name: &str, value: &str| repo.client.send(&Request::get(&blob).header(name, value));
    for value in ["never", "Never"] {
        assert!(get("X-Artifactstore-Redirect", value).expect(200).body == bytes);
    }
    repo.client.head(&blob).expect(200).with("content-length", "100000").without("location");
    get("If-None-Match", &format!("\"{digest}\"")).expect(304).without("location");
    get("Range", "bytes=0-1,5-6").expect(206).without("location");
    get("Range", "bytes=100000-").expect(416).without("location");
    assert!(get("Range", "lines=1-2").expect(200).body == bytes, "no range we know");
    let conditional =
        Request::get(&blob).header("Range", "bytes=5-9").header("If-Range", format!("\"{digest}\""));
    assert!(repo.client.send(&conditional).expect(206).body == bytes[5..=9]);
    repo.client.get(format!("/v2/b/blobs/{digest}")).expect(404).without("location");
}

#[test]
fn a_bucket_that_gives_out_no_urls_is_read_for_the_client() {
    let server = serve(Unreadable::new(Clock::system()));
    let bytes = noise(1, 2_000_000);
    let blob = server.repo.blob(&server.repo.push_blob(&bytes));
    assert!(server.repo.client.get(&blob).expect(200).without("location").body == bytes);
}

#[test]
fn a_bucket_that_is_away_is_503_and_the_time_to_come_back() {
    let server = serve(Unreadable::new(Clock::system()));
    let repo = &server.repo;
    let bytes = noise(1, 2_000_000);
    let digest = repo.push_blob(&bytes);
    let blob = repo.blob(&digest);
    server.bucket.set_away(true);
    let other = noise(2, 2_000_000);
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={}", sha256(&other))).body(other.clone());
    for request in [Request::get(&blob), push] {
        let answer = repo.client.send(&request).expect(503).with("retry-after", "5");
        let id = answer.json()["request_id"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 26, "an id that the log has too");
    }
    repo.client.head(&blob).expect(200);
    server.bucket.set_away(false);
    assert!(repo.client.get(&blob).expect(200).body == bytes);
    repo.push_blob(&other);
}
