//! The part of the contract about [`Staged`](crate::storage::Staged).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::contract::{Traits, read};
use super::{collect, key, pattern, staging};
use crate::storage::{Backend, Deletion, Error, MAX_FRAME};

pub(super) async fn checks(traits: Traits, make: &impl AsyncFn() -> Arc<dyn Backend>) {
    append_and_publish(&*make().await).await;
    many_buffers_at_once(&*make().await).await;
    an_empty_staged_write(&*make().await).await;
    if traits.keeps_staged {
        drop_keeps_and_resume_cuts(&*make().await).await;
        resume_knows_what_is_missing(&*make().await).await;
        discard_and_unstage(&*make().await).await;
        an_id_is_staged_once(&*make().await).await;
    }
    if traits.writes_once {
        publish_never_replaces(&*make().await).await;
    }
    publishes_side_by_side(traits, &make().await).await;
}

async fn append_and_publish(backend: &dyn Backend) {
    let body = pattern(2 * MAX_FRAME + 3);
    let mut staged = backend.stage(&staging("upload-1")).await.expect("stage");
    assert!(staged.is_empty(), "a new staged write is empty");
    assert_eq!(staged.len(), 0, "a new staged write has no bytes");
    let (first, rest) = (body.slice(..10), body.slice(10..));
    staged.append(vec![first.clone()]).await.expect("append");
    assert_eq!(staged.len(), 10, "append counts");
    if backend.rereads_staged() {
        let back = collect(staged.read().await.expect("read")).await.expect("read");
        assert_eq!(back, first, "what was appended can be read back");
    }
    staged.append(vec![]).await.expect("appending nothing is fine");
    staged.append(vec![Bytes::new(), Bytes::new()]).await.expect("appending nothing is fine");
    staged.append(vec![Bytes::new(), rest.slice(..5), Bytes::new(), rest.slice(5..)]).await.expect("append");
    assert_eq!(staged.len(), body.len() as u64, "append counts every buffer");
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "a staged write is no object before it is read or published");
    let back = collect(staged.read().await.expect("read")).await.expect("read");
    assert!(back == body, "buffers are read back in order");

    let receipt = staged.publish(&key("blake3/ab/cd/x.1")).await.expect("publish");
    assert_eq!(receipt.size, body.len() as u64, "the receipt of a publish tells the size");
    assert_eq!(receipt.uri, backend.uri(&receipt.key), "the receipt of a publish has the URI");
    assert!(read(backend, receipt.key.as_str()).await == body, "a published object is what was appended");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "a published write is staged no more");
    let resumed = backend.resume(&staging("upload-1"), 0, &[]).await.err();
    assert!(
        matches!(resumed, Some(Error::NotFound { .. })),
        "a published write can not be resumed: {resumed:?}"
    );
    backend.stage(&staging("upload-1")).await.expect("the id of a published write is free again");
}

async fn many_buffers_at_once(backend: &dyn Backend) {
    let body = pattern(2500);
    let mut staged = backend.stage(&staging("many")).await.expect("stage");
    let single = (0..body.len()).map(|at| body.slice(at..=at)).collect();
    staged.append(single).await.expect("append takes any number of buffers");
    let receipt = staged.publish(&key("many")).await.expect("publish");
    assert!(read(backend, receipt.key.as_str()).await == body, "no buffer of many is lost");
}

async fn an_empty_staged_write(backend: &dyn Backend) {
    let mut staged = backend.stage(&staging("empty")).await.expect("stage");
    assert_eq!(
        collect(staged.read().await.expect("read")).await.expect("read"),
        b"",
        "nothing reads as nothing"
    );
    let receipt = staged.publish(&key("empty")).await.expect("an empty staged write can be published");
    assert_eq!(receipt.size, 0, "an empty object has size 0");
    assert_eq!(read(backend, receipt.key.as_str()).await, b"", "an empty object reads as nothing");
}

async fn drop_keeps_and_resume_cuts(backend: &dyn Backend) {
    let id = staging("suspended");
    let mut staged = backend.stage(&id).await.expect("stage");
    staged.append(vec![Bytes::from_static(b"acknowledged, and lost")]).await.expect("append");
    drop(staged);
    let leftovers = backend.leftovers(10).await.expect("leftovers");
    assert_eq!(leftovers.len(), 1, "dropping keeps the staged write");
    assert_eq!((&leftovers[0].id, leftovers[0].size), (&id, 22), "a leftover tells its id and size");
    assert!(leftovers[0].touched_at > 0, "a leftover tells when it was written");

    let mut staged = backend.resume(&id, 12, &[]).await.expect("resume");
    assert_eq!(staged.len(), 12, "resume cuts to what was acknowledged");
    staged.append(vec![Bytes::from_static(b"!")]).await.expect("append after resume");
    let back = collect(staged.read().await.expect("read")).await.expect("read");
    assert_eq!(back, b"acknowledged!", "a resumed write goes on after the cut");
    drop(staged);
    let staged = backend.resume(&id, 13, &[]).await.expect("resume without a cut");
    staged.publish(&key("k")).await.expect("publish after resume");
    assert_eq!(read(backend, "k").await, b"acknowledged!", "nothing beyond the cut is published");
}

async fn resume_knows_what_is_missing(backend: &dyn Backend) {
    let id = staging("short");
    let unknown = backend.resume(&id, 0, &[]).await.err();
    assert!(matches!(unknown, Some(Error::NotFound { .. })), "resuming nothing is NotFound: {unknown:?}");
    let mut staged = backend.stage(&id).await.expect("stage");
    staged.append(vec![Bytes::from_static(b"four")]).await.expect("append");
    drop(staged);
    let short = backend.resume(&id, 5, &[]).await.err();
    assert!(
        matches!(short, Some(Error::Short { expected: 5, actual: 4, .. })),
        "resuming more than there is is Short: {short:?}"
    );
    let staged = backend.resume(&id, 0, &[]).await.expect("a Short resume leaves the staged write as it was");
    assert!(staged.is_empty(), "resume can cut to nothing");
}

async fn publish_never_replaces(backend: &dyn Backend) {
    let key = key("blake3/ab/cd/x.1");
    backend.put(&key, Bytes::from_static(b"first")).await.expect("put");
    let id = staging("second");
    let mut staged = backend.stage(&id).await.expect("stage");
    staged.append(vec![Bytes::from_static(b"second")]).await.expect("append");
    let refused = staged.publish(&key).await;
    assert!(
        matches!(refused, Err(Error::Exists { .. })),
        "publish on an existing key is Exists: {refused:?}"
    );
    assert_eq!(read(backend, key.as_str()).await, b"first", "a refused publish changes nothing");
    let staged = backend.resume(&id, 6, &[]).await.expect("a refused publish keeps the staged write");
    staged.publish(&super::key("blake3/ab/cd/x.2")).await.expect("publish under a free key");
    assert_eq!(read(backend, "blake3/ab/cd/x.2").await, b"second", "the bytes survive a refused publish");
}

async fn discard_and_unstage(backend: &dyn Backend) {
    let id = staging("discarded");
    let mut staged = backend.stage(&id).await.expect("stage");
    staged.append(vec![Bytes::from_static(b"x")]).await.expect("append");
    staged.discard().await.expect("discard");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "discard removes the bytes");
    drop(backend.stage(&id).await.expect("the id of a discarded write is free again"));
    drop(backend.stage(&staging("other")).await.expect("stage"));
    assert_eq!(backend.leftovers(1).await.expect("leftovers").len(), 1, "leftovers keeps to its limit");
    assert_eq!(backend.unstage(&id).await.expect("unstage"), Deletion::Deleted, "unstage says Deleted");
    assert_eq!(backend.unstage(&id).await.expect("unstage"), Deletion::Missing, "unstage is idempotent");
    let leftovers = backend.leftovers(10).await.expect("leftovers");
    assert_eq!(leftovers.len(), 1, "unstage removes one staged write: {leftovers:?}");
    assert_eq!(leftovers[0].id, staging("other"), "unstage removes no other staged write");
}

async fn an_id_is_staged_once(backend: &dyn Backend) {
    let id = staging("Once_1-a");
    let mut open = backend.stage(&id).await.expect("stage");
    open.append(vec![Bytes::from_static(b"kept")]).await.expect("append");
    let second = backend.stage(&id).await.err();
    assert!(matches!(second, Some(Error::Exists { .. })), "staging an open id is Exists: {second:?}");
    drop(open);
    let second = backend.stage(&id).await.err();
    assert!(matches!(second, Some(Error::Exists { .. })), "staging a leftover's id is Exists: {second:?}");
    let mut kept = backend.resume(&id, 4, &[]).await.expect("a refused stage changes nothing");
    assert_eq!(collect(kept.read().await.expect("read")).await.expect("read"), b"kept", "nor any byte");
    drop(kept);
    let fresh = staging("raced");
    let raced = join_all((0..8).map(|_| backend.stage(&fresh))).await;
    assert_eq!(raced.iter().filter(|result| result.is_ok()).count(), 1, "of many stages of one id one wins");
    let lost = raced.iter().all(|result| matches!(result, Ok(_) | Err(Error::Exists { .. })));
    assert!(lost, "the others get Exists");
}

async fn publishes_side_by_side(traits: Traits, backend: &Arc<dyn Backend>) {
    let publish = |n: usize, target: String| {
        let backend = Arc::clone(backend);
        tokio::spawn(async move {
            let mut staged = backend.stage(&staging(&format!("p{n}"))).await.expect("stage");
            staged.append(vec![Bytes::from(format!("writer {n}"))]).await.expect("append");
            staged.publish(&key(&target)).await
        })
    };
    let distinct = join_all((0..8).map(|n| publish(n, format!("blake3/00/00/{n}.x")))).await;
    for result in distinct {
        result.expect("no panic").expect("publishes of different keys do not disturb each other");
    }
    if !traits.writes_once {
        return;
    }
    let same = join_all((8..16).map(|n| publish(n, "blake3/00/00/same.x".into()))).await;
    let won = same.iter().filter(|result| matches!(result, Ok(Ok(_)))).count();
    assert_eq!(won, 1, "of many publishes under one key one wins");
    let lost = same.iter().all(|result| matches!(result, Ok(Ok(_) | Err(Error::Exists { .. }))));
    assert!(lost, "the others get Exists");
}
