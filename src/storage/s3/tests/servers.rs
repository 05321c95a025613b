//! Behaviour of real servers beyond the contract.

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::part::Part;
use super::super::{Checksums, Redirect};
use super::{Options, S3, Server, fresh, key};
use crate::storage::testing::{collect, pattern};
use crate::storage::{Backend, Deletion, Error, Owner};

const MIB: usize = 1 << 20;

async fn problem(options: &Options) -> String {
    match S3::open(options).await {
        Err(Error::Unusable(problem)) => problem,
        other => panic!("no start-up error: {other:?}"),
    }
}

/// The status of a plain request for a URL.
async fn status(method: &str, url: &str) -> u16 {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_says_what_to_do() {
    for server in [Server::rgw(), Server::versity()] {
        let missing = server.options("no-such-bucket-here");
        assert!(problem(&missing).await.contains("there is no bucket no-such-bucket-here"));
        let bucket = server.bucket().await;
        let mut unknown = bucket.clone();
        unknown.credentials.as_mut().unwrap().access_key_id = "NOBODY".into();
        let mut wrong = bucket.clone();
        wrong.credentials.as_mut().unwrap().secret_access_key = "not-the-secret".into();
        for (refused, setting) in [(unknown, "access_key_id"), (wrong, "secret_access_key")] {
            let text = problem(&refused).await;
            assert!(text.contains(&format!("check storage.s3.{setting}")), "{text}");
            assert!(
                !text.contains("not-the-secret") && !format!("{refused:?}").contains("not-the-secret"),
                "{text}"
            );
        }
    }
    let mut unreachable = Server::rgw().options("bucket");
    unreachable.endpoint = Some("http://127.0.0.1:1".into());
    unreachable.attempts = 1;
    let text = problem(&unreachable).await;
    assert!(text.contains("http://127.0.0.1:1 cannot be reached"), "{text}");
    unreachable.endpoint = Some("127.0.0.1:1".into());
    assert!(problem(&unreachable).await.contains("is no URL"));
}

#[tokio::test]
async fn an_upload_goes_on_in_another_process_from_its_state_alone() {
    for server in [Server::rgw(), Server::versity()] {
        let options = server.bucket().await;
        let body = pattern(23 * MIB + 5);
        let id = "moved".parse().unwrap();
        let mut staged = S3::open(&options).await.unwrap().stage(&id).await.unwrap();
        staged.append(vec![body.slice(..11 * MIB)]).await.unwrap();
        let state = staged.suspend().await.unwrap();
        let other = S3::open(&Options { part_size: 9 << 20, ..options.clone() }).await.unwrap();
        let mut staged = other.resume(&id, 11 * MIB as u64, &state).await.unwrap();
        staged.append(vec![body.slice(11 * MIB..)]).await.unwrap();
        let receipt = staged.publish(&key("k")).await.unwrap();
        assert!(receipt.key.as_str().starts_with("multipart/6d6f766564."), "{}", receipt.key);
        assert!(collect(other.get(&receipt.key, None).await.unwrap().body).await.unwrap() == body);
        assert_eq!(other.leftovers(10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_state_of_another_upload_is_refused() {
    let s3 = Server::rgw().open().await;
    let mut staged = s3.stage(&"one".parse().unwrap()).await.unwrap();
    staged.append(vec![Bytes::from_static(b"x")]).await.unwrap();
    let state = staged.suspend().await.unwrap();
    for (id, state) in [("two", &state[..]), ("one", b"{}"), ("one", &state[..state.len() - 1])] {
        let refused = s3.resume(&id.parse().unwrap(), 1, state).await.err();
        assert!(matches!(&refused, Some(Error::NotFound { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn deletes_from_a_versioned_bucket_leave_nothing() {
    let options = Server::rgw().bucket().await;
    let s3 = S3::open(&options).await.unwrap();
    let client = &s3.bucket.client;
    let on = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    client.put_bucket_versioning().bucket(&options.bucket).versioning_configuration(on).send().await.unwrap();
    let first = s3.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    let second = s3.put(&key("a"), Bytes::from_static(b"2")).await.unwrap();
    assert!(first.version.is_some() && first.version != second.version);
    assert_eq!(s3.delete(&key("a"), first.version.as_deref()).await.unwrap(), Deletion::Deleted);
    assert_eq!(s3.delete(&key("a"), first.version.as_deref()).await.unwrap(), Deletion::Missing);
    assert_eq!(collect(s3.get(&key("a"), None).await.unwrap().body).await.unwrap(), b"2");
    s3.put(&key("a"), Bytes::from_static(b"3")).await.unwrap();
    assert_eq!(s3.delete(&key("a"), None).await.unwrap(), Deletion::Deleted);
    assert_eq!(s3.delete(&key("a"), None).await.unwrap(), Deletion::Missing);
    let mut staged = s3.stage(&"s".parse().unwrap()).await.unwrap();
    staged.append(vec![pattern(6 * MIB)]).await.unwrap();
    let receipt = staged.publish(&key("b")).await.unwrap();
    assert!(receipt.version.is_some());
    assert_eq!(s3.delete(&receipt.key, receipt.version.as_deref()).await.unwrap(), Deletion::Deleted);
    assert!(s3.health().await.writable);
    let left = client.list_object_versions().bucket(&options.bucket).send().await.unwrap();
    assert!(left.versions().is_empty() && left.delete_markers().is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_signed_url_serves_get_and_nothing_else() {
    for server in [Server::rgw(), Server::versity()] {
        let mut options = server.bucket().await;
        let s3 = S3::open(&options).await.unwrap();
        let minute = std::time::Duration::from_mins(1);
        s3.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
        assert_eq!(s3.presign(&key("a"), minute).await.unwrap(), None, "nobody asked for it");
        options.redirect = Some(Redirect { ttl: minute * 60, endpoint: None });
        let s3 = S3::open(&options).await.unwrap();
        let url = s3.presign(&key("a"), minute * 60).await.unwrap().unwrap();
        assert!(url.contains("X-Amz-Expires=300"), "{url}");
        assert!(!url.contains(server.credentials.secret_access_key.expose()));
        assert_eq!(status("GET", &url).await, 200);
        for method in ["PUT", "DELETE"] {
            assert_eq!(status(method, &url).await, 403, "{method}");
        }
        assert_eq!(status("GET", &url.replace("X-Amz-Expires=300", "X-Amz-Expires=301")).await, 403);
        options.redirect = Some(Redirect { ttl: minute, endpoint: Some("http://blobs.example:99".into()) });
        let url = S3::open(&options).await.unwrap().presign(&key("a"), minute).await.unwrap().unwrap();
        assert!(url.starts_with("http://blobs.example:99/"), "{url}");
    }
}

#[tokio::test]
async fn a_place_with_foreign_objects_is_refused() {
    let s3 = Server::versity().open().await;
    s3.put(&key("holiday.jpg"), Bytes::from_static(b"1")).await.unwrap();
    let refused = s3.claim("log").await;
    assert!(matches!(&refused, Err(Error::Foreign(text)) if text.contains("\"holiday.jpg\"")), "{refused:?}");
}

#[tokio::test]
async fn of_many_registries_that_claim_one_new_place_one_has_it() {
    for server in [Server::rgw(), Server::versity()] {
        let options = server.bucket().await;
        for _ in 0..5 {
            let options = Options { prefix: format!("{}/", fresh("claimed")), ..options.clone() };
            let s3 = S3::open(&options).await.unwrap();
            let ids: Vec<String> = (0..8).map(|n| format!("log{n}")).collect();
            let claims = futures_util::future::join_all(ids.iter().map(|id| s3.claim(id))).await;
            let owner = s3.owner().await.unwrap();
            for (id, claim) in ids.iter().zip(&claims) {
                match claim {
                    Ok(place) => {
                        let claimed = Owner { log_id: id.clone(), place: Some(place.clone()) };
                        assert_eq!(owner.as_ref(), Some(&claimed), "{claims:?}");
                    }
                    Err(error) => assert!(matches!(error, Error::Foreign(_)), "{claims:?}"),
                }
            }
            assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1, "{claims:?}");
        }
    }
}

#[tokio::test]
async fn a_marker_of_the_first_release_is_completed_once() {
    for server in [Server::rgw(), Server::versity()] {
        let options = server.bucket().await;
        for _ in 0..5 {
            let options = Options { prefix: format!("{}/", fresh("old")), ..options.clone() };
            let s3 = S3::open(&options).await.unwrap();
            s3.bucket.put(".registry", &Part::of(Bytes::from_static(b"log\n"))).await.unwrap();
            s3.put(&key("blake3/a"), Bytes::from_static(b"1")).await.unwrap();
            assert_eq!(s3.owner().await.unwrap(), Some(Owner { log_id: "log".into(), place: None }));
            assert!(matches!(s3.claim("other").await, Err(Error::Foreign(_))));
            let claims = futures_util::future::join_all((0..8).map(|_| s3.claim("log"))).await;
            let place = s3.claim("log").await.unwrap();
            let is_same = claims.iter().all(|claim| claim.as_ref().is_ok_and(|claimed| *claimed == place));
            assert!(is_same, "{}: {claims:?}", server.endpoint);
            assert_eq!(s3.owner().await.unwrap(), Some(Owner { log_id: "log".into(), place: Some(place) }));
        }
    }
}

#[tokio::test]
async fn the_version_of_another_bucket_is_no_version_here() {
    let (rgw, versity) = (Server::rgw(), Server::versity());
    for (here, version) in
        [(&rgw, "01JD0000000000000000000000"), (&versity, "2ssBcTf0gKfP0w.aPaNNT2bIOZFyMfg")]
    {
        let options = here.bucket().await;
        let s3 = S3::open(&options).await.unwrap();
        s3.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
        let deleted = s3.delete(&key("a"), Some(version)).await;
        assert!(matches!(deleted, Ok(Deletion::Missing)), "{}: {deleted:?}", here.endpoint);
        assert_eq!(s3.delete(&key("a"), None).await.unwrap(), Deletion::Deleted);
    }
}

#[tokio::test]
async fn full_checksums_and_verified_writes_work() {
    for server in [Server::rgw(), Server::versity()] {
        let options = server.bucket().await;
        let prefix = format!("{}/", fresh("full"));
        let options = Options { checksums: Checksums::Full, verify_writes: true, prefix, ..options };
        let s3 = S3::open(&options).await.unwrap();
        for size in [0, 5, 12 * MIB] {
            let id = "s".parse().unwrap();
            let mut staged = s3.stage(&id).await.unwrap();
            staged.append(vec![pattern(size)]).await.unwrap();
            if size > 0 {
                let state = staged.suspend().await.unwrap();
                staged = s3.resume(&id, size as u64, &state).await.unwrap();
            }
            let receipt = staged.publish(&key(&format!("a/{size}"))).await.unwrap();
            assert!(collect(s3.get(&receipt.key, None).await.unwrap().body).await.unwrap() == pattern(size));
        }
    }
}

#[tokio::test]
async fn parts_beyond_the_memory_wait_in_files() {
    let options = Server::rgw().bucket().await;
    let s3 = S3::open(&Options { part_memory: 300 * 1024, ..options }).await.unwrap();
    let body = pattern(21 * MIB);
    let mut staged = s3.stage(&"s".parse().unwrap()).await.unwrap();
    for at in (0..body.len()).step_by(MIB / 2) {
        staged.append(vec![body.slice(at..at + MIB / 2)]).await.unwrap();
    }
    let receipt = staged.publish(&key("a")).await.unwrap();
    assert!(collect(s3.get(&receipt.key, None).await.unwrap().body).await.unwrap() == body);
}

#[tokio::test]
async fn what_servers_can_do_is_known() {
    for server in [Server::rgw(), Server::versity()] {
        let capabilities = server.open().await.health().await.capabilities;
        let line = |c: &crate::storage::Capability| {
            format!("{}={} ({})", c.name, c.supported, c.detail.as_deref().unwrap_or_default())
        };
        println!("{}: {:#?}", server.endpoint, capabilities.iter().map(line).collect::<Vec<_>>());
        assert_eq!(capabilities.len(), 12);
        assert!(capabilities.iter().any(|c| c.name == "versioning" && !c.supported));
    }
}

#[tokio::test]
async fn of_two_that_go_on_from_one_state_the_first_counts() {
    for server in [Server::rgw(), Server::versity()] {
        let s3 = server.open().await;
        let (id, body) = ("s".parse().unwrap(), pattern(13 * MIB));
        let mut staged = s3.stage(&id).await.unwrap();
        staged.append(vec![body.slice(..6 * MIB)]).await.unwrap();
        let state = staged.suspend().await.unwrap();
        let go_on = async |rest: Bytes| {
            let mut staged = s3.resume(&id, 6 * MIB as u64, &state).await.unwrap();
            staged.append(vec![rest]).await.unwrap();
            staged
        };
        let same = || body.slice(6 * MIB..);
        let (given_up, other) = (go_on(same()).await, go_on(Bytes::from(vec![7; 7 * MIB])).await);
        // The last to send a part is the one whose part is there.
        let first = go_on(same()).await;
        let receipt = first.publish(&key("a")).await.unwrap();
        let refused = other.publish(&key("b")).await;
        // A server that answers before it has read the whole part may seem to be away.
        let is_refused = matches!(refused, Err(Error::NotFound { .. } | Error::Unavailable { .. }));
        assert!(is_refused, "not made of its bytes: {refused:?}");
        given_up.discard().await.unwrap();
        assert_eq!(s3.unstage(&id).await.unwrap(), Deletion::Missing);
        assert!(collect(s3.get(&receipt.key, None).await.unwrap().body).await.unwrap() == body);
        assert_eq!(s3.list("", None, 10).await.unwrap().objects.len(), 1);
    }
}

#[tokio::test]
async fn a_copy_that_was_interrupted_is_repeated_under_its_key() {
    for server in [Server::rgw(), Server::versity()] {
        let s3 = server.open().await;
        let (at, body) = (key("blake3/co/py"), pattern(11 * MIB));
        for name in [at.as_str(), "blake3/co/pyx"] {
            s3.bucket.create_upload(name).await.unwrap();
        }
        let frames: Vec<_> = body.chunks(200_000).map(|frame| Ok(body.slice_ref(frame))).collect();
        let stream = Box::pin(futures_util::stream::iter(frames));
        let receipt = s3.put_stream(&at, body.len() as u64, stream).await.unwrap();
        assert_eq!(receipt.key, at);
        assert!(collect(s3.get(&at, None).await.unwrap().body).await.unwrap() == body);
        let left = s3.bucket.uploads("blake3/", 10).await.unwrap();
        let left: Vec<_> = left.iter().filter_map(|upload| upload.key()).collect();
        assert_eq!(left, ["blake3/co/pyx"], "that of another key is not touched");
    }
}

#[tokio::test]
async fn reading_needs_no_probe_and_writes_nothing() {
    let options = Server::versity().bucket().await;
    let s3 = S3::open_untried(&options).await.unwrap();
    assert_eq!(s3.owner().await.unwrap(), None);
    assert_eq!(s3.list("", None, 10).await.unwrap().objects, []);
    let names = s3.bucket.names("", None, 10).await.unwrap();
    assert!(names.objects.is_empty() && !names.more);
    let wrong = S3::open_untried(&Options { part_size: 1, ..options }).await;
    assert!(matches!(wrong, Err(Error::Unusable(_))), "{wrong:?}");
}
