//! A broken network: right bytes or a clean error, and nothing left behind.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::proxy::{Fault, Proxy};
use super::{Options, S3, Server, key};
use crate::storage::testing::{collect, pattern};
use crate::storage::{Backend, Error, Key, StagingId};

const MIB: usize = 1 << 20;

/// A bucket behind a proxy, and the same bucket without one.
async fn broken() -> (Proxy, S3, S3) {
    broken_before(&Server::rgw()).await
}

async fn broken_before(server: &Server) -> (Proxy, S3, S3) {
    let options = server.bucket().await;
    let proxy = Proxy::before(options.endpoint.as_deref().unwrap()).await;
    let idle_timeout = Duration::from_millis(400);
    let behind =
        Options { endpoint: Some(proxy.endpoint.clone()), idle_timeout, attempts: 3, ..options.clone() };
    (proxy, S3::open(&behind).await.unwrap(), S3::open(&options).await.unwrap())
}

async fn read(s3: &S3, key: &Key) -> Result<Vec<u8>, Error> {
    collect(s3.get(key, None).await?.body).await
}

fn id(text: &str) -> StagingId {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_few_refusals_are_survived_and_a_storm_is_unavailable() {
    let (proxy, s3, _) = broken().await;
    proxy.break_next(2, "PUT /", Fault::Busy);
    s3.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    proxy.break_next(2, "GET /", Fault::Busy);
    assert_eq!(read(&s3, &key("a")).await.unwrap(), b"1");
    for pattern in ["PUT /", "GET /", "HEAD /"] {
        proxy.break_next(3, pattern, Fault::Busy);
    }
    let put = s3.put(&key("b"), Bytes::from_static(b"1")).await;
    assert!(matches!(put, Err(Error::Unavailable { .. })), "{put:?}");
    let get = s3.get(&key("a"), None).await.err();
    assert!(matches!(get, Some(Error::Unavailable { .. })), "{get:?}");
    let head = s3.head(&key("nothing")).await;
    assert!(matches!(head, Err(Error::Unavailable { .. })), "an error is not absence: {head:?}");
    assert_eq!(proxy.left(), 0);
}

/// A gateway over a file system said so of a new key while the last object of its folder went.
#[tokio::test]
async fn a_write_that_was_in_the_way_of_another_failed_for_good() {
    let (proxy, s3, _) = broken().await;
    proxy.break_next(4, "PUT /", Fault::Conflict);
    s3.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(read(&s3, &key("a")).await.unwrap(), b"1");
    proxy.break_next(5, "PUT /", Fault::Conflict);
    let put = s3.put(&key("b"), Bytes::from_static(b"1")).await;
    assert!(matches!(put, Err(Error::Io { .. })), "{put:?}");
    assert_eq!(proxy.left(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    let (proxy, s3, _) = broken().await;
    let body = pattern(3 * MIB);
    s3.put(&key("a"), body.clone()).await.unwrap();
    proxy.break_next(1, "GET /", Fault::Reset(MIB));
    proxy.break_next(1, "GET /", Fault::End(MIB / 2));
    proxy.break_next(1, "GET /", Fault::Stall(MIB));
    assert!(read(&s3, &key("a")).await.unwrap() == body);
    assert_eq!(proxy.left(), 0);
}

#[tokio::test]
async fn a_body_that_never_gets_on_ends_with_an_error() {
    let (proxy, s3, direct) = broken().await;
    s3.put(&key("a"), pattern(3 * MIB)).await.unwrap();
    for fault in [Fault::End(MIB), Fault::Reset(MIB), Fault::Stall(MIB)] {
        proxy.break_next(1, "GET /", fault);
        let mut body = s3.get(&key("a"), None).await.unwrap().body;
        body.next().await.unwrap().unwrap();
        proxy.break_next(100, "GET /", Fault::Busy);
        let ended = collect(body).await;
        assert!(matches!(ended, Err(Error::Unavailable { .. })), "{fault:?}: {:?}", ended.map(|b| b.len()));
        proxy.clear();
    }
    // Another object under the same name is not the rest of the first.
    proxy.break_next(1, "GET /", Fault::End(MIB));
    let mut body = s3.get(&key("a"), None).await.unwrap().body;
    body.next().await.unwrap().unwrap();
    direct.put(&key("a"), Bytes::from(vec![7; 3 * MIB])).await.unwrap();
    assert!(collect(body).await.is_err());
}

#[tokio::test]
async fn a_lost_answer_to_a_completion_is_looked_up() {
    for (server, times) in
        [(Server::rgw(), 1), (Server::rgw(), 3), (Server::versity(), 1), (Server::versity(), 3)]
    {
        let (proxy, s3, direct) = broken_before(&server).await;
        let body = pattern(11 * MIB);
        let mut staged = s3.stage(&id("s")).await.unwrap();
        staged.append(vec![body.clone()]).await.unwrap();
        proxy.break_next(times, "POST /", Fault::Lost);
        // The POST that creates the upload is behind us: the parts are on their way.
        let receipt = staged.publish(&key("a")).await.unwrap();
        assert_eq!(proxy.left(), 0, "every answer was lost");
        assert!(read(&direct, &receipt.key).await.unwrap() == body);
        assert_eq!(direct.leftovers(10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_completion_that_never_arrives_is_an_error_and_leaves_what_unstage_removes() {
    let (proxy, s3, direct) = broken().await;
    let mut staged = s3.stage(&id("s")).await.unwrap();
    staged.append(vec![pattern(11 * MIB)]).await.unwrap();
    proxy.break_next(100, "POST /", Fault::Busy);
    let published = staged.publish(&key("a")).await;
    assert!(matches!(published, Err(Error::Unavailable { .. })), "{published:?}");
    assert_eq!(direct.leftovers(10).await.unwrap().len(), 1);
    s3.unstage(&id("s")).await.unwrap();
    assert_eq!(direct.leftovers(10).await.unwrap(), []);
    assert_eq!(direct.list("", None, 10).await.unwrap().objects, []);
}

#[tokio::test]
async fn parts_are_sent_again() {
    for fault in [Fault::Busy, Fault::Lost, Fault::Stall(0), Fault::Reset(20)] {
        let (proxy, s3, direct) = broken().await;
        let body = pattern(16 * MIB);
        // Both may hit one part, which has three attempts.
        proxy.break_next(2, "partNumber=", fault);
        let mut staged = s3.stage(&id("s")).await.unwrap();
        for at in (0..body.len()).step_by(MIB) {
            staged.append(vec![body.slice(at..at + MIB)]).await.unwrap();
        }
        let receipt = staged.publish(&key("a")).await.unwrap();
        assert_eq!(proxy.left(), 0);
        assert!(read(&direct, &receipt.key).await.unwrap() == body, "{fault:?}");
    }
}

#[tokio::test]
async fn a_suspend_or_resume_that_fails_can_be_repeated_from_the_last_state() {
    let (proxy, s3, direct) = broken().await;
    let body = pattern(7 * MIB);
    let mut staged = s3.stage(&id("s")).await.unwrap();
    staged.append(vec![body.slice(..6 * MIB)]).await.unwrap();
    let state = staged.suspend().await.unwrap();
    let mut staged = s3.resume(&id("s"), 6 * MIB as u64, &state).await.unwrap();
    staged.append(vec![Bytes::from_static(b"never acknowledged")]).await.unwrap();
    proxy.break_next(3, "staging/", Fault::Lost);
    let lost = staged.suspend().await;
    assert!(matches!(lost, Err(Error::Unavailable { .. })), "{lost:?}");
    let mut staged = s3.resume(&id("s"), 6 * MIB as u64, &state).await.unwrap();
    staged.append(vec![body.slice(6 * MIB..)]).await.unwrap();
    let receipt = staged.publish(&key("a")).await.unwrap();
    assert!(
        read(&direct, &receipt.key).await.unwrap() == body,
        "bytes that were never acknowledged are not part of it"
    );
    assert_eq!(direct.leftovers(10).await.unwrap(), []);
}
