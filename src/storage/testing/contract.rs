//! The contract of [`Backend`], as checks. A message names the promise that was broken.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{collect, key, pattern, staged, suspended};
use crate::storage::{Backend, ByteRange, Deletion, Error, MAX_FRAME, Owner, Receipt};

/// Objects in the listing check; several pages of [`LISTING_PAGE`].
const LISTED: usize = 300;
const LISTING_PAGE: usize = 64;

/// What an implementation promises beyond what all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// A second write under a key is [`Error::Exists`] and changes nothing.
    pub writes_once: bool,
    /// A staged write is there from [`Backend::stage`] on, under an id that only one can have, and keeps every
    /// appended byte when it is dropped. Otherwise only what was suspended is sure to be there.
    pub keeps_staged: bool,
}

impl Traits {
    /// All of them.
    pub const ALL: Self = Self { writes_once: true, keeps_staged: true };
}

/// Checks every promise of the storage interface on backends made by `make`, which are empty and apart, all
/// [`Traits`] included.
///
/// Panics with the broken promise. Needs a Tokio runtime.
pub async fn contract(make: impl AsyncFn() -> Arc<dyn Backend>) {
    contract_of(Traits::ALL, make).await;
}

/// The same for a backend with only some of the [`Traits`].
pub async fn contract_of(traits: Traits, make: impl AsyncFn() -> Arc<dyn Backend>) {
    put_and_get(&*make().await).await;
    if traits.writes_once {
        an_object_is_written_once(&*make().await).await;
    }
    nothing_is_not_an_object(&*make().await).await;
    an_empty_object(&*make().await).await;
    ranges(&*make().await).await;
    a_large_object_comes_in_frames(&*make().await).await;
    delete_is_idempotent(&*make().await).await;
    listing_pages(&*make().await).await;
    listing_order_and_prefixes(&*make().await).await;
    writes_and_deletes_in_one_folder(&make().await).await;
    health_and_names(&*make().await).await;
    owners(&*make().await, &*make().await).await;
    suspended::checks(&make).await;
    staged::checks(traits, &make).await;
}

async fn owners(backend: &dyn Backend, other: &dyn Backend) {
    assert_eq!(backend.owner().await.expect("owner"), None, "a new backend is nobody's");
    let claims = join_all((0..4).map(|_| backend.claim("log-1"))).await;
    let place = backend.claim("log-1").await.expect("a claim can be repeated");
    for claim in claims {
        assert_eq!(claim.expect("claim"), place, "a place has one id, whoever asks and when");
    }
    let owner = Some(Owner { log_id: "log-1".to_owned(), place: Some(place) });
    assert_eq!(backend.owner().await.expect("owner"), owner, "a claim is kept");
    let refused = backend.claim("log-2").await;
    assert!(matches!(refused, Err(Error::Foreign(_))), "a backend has one owner: {refused:?}");
    let elsewhere = other.claim("log-1").await.expect("claim");
    assert_ne!(
        Some(elsewhere),
        owner.as_ref().and_then(|owner| owner.place.clone()),
        "each place has its own id"
    );
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "the mark of the owner is no object: {page:?}");
    let capabilities = backend.probe().await.expect("probe");
    let lacking: Vec<_> = capabilities.iter().filter(|can| can.needed && !can.supported).collect();
    assert!(
        !capabilities.is_empty() && lacking.is_empty(),
        "a working backend can what is needed: {lacking:?}"
    );
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "a probe leaves no object behind: {page:?}");
    backend.put(&key("a"), Bytes::from_static(b"x")).await.expect("put stores");
    assert_eq!(backend.owner().await.expect("owner"), owner, "objects change nothing");
}

async fn put_and_get(backend: &dyn Backend) {
    let key = key("blake3/ab/cd/abcd.01");
    let receipt = backend.put(&key, Bytes::from_static(b"hello")).await.expect("put stores");
    assert_eq!(receipt.backend, *backend.id(), "a receipt names its backend");
    assert_eq!(receipt.key, key, "a receipt names the key");
    assert_eq!(receipt.size, 5, "a receipt tells the size");
    assert_eq!(receipt.uri, backend.uri(&key), "a receipt has the URI of its key");
    let metadata = backend.head(&key).await.expect("head finds what put stored");
    assert_eq!((metadata.key, metadata.size), (key.clone(), 5), "head tells key and size");
    let object = backend.get(&key, None).await.expect("get finds what put stored");
    assert_eq!(object.size, 5, "get tells the size");
    assert_eq!(collect(object.body).await.expect("get reads"), b"hello", "get gives back what was put");
}

async fn an_object_is_written_once(backend: &dyn Backend) {
    let key = key("a/b");
    backend.put(&key, Bytes::from_static(b"first")).await.expect("put stores");
    for body in ["second", "first", ""] {
        let again = backend.put(&key, Bytes::from(body)).await;
        assert!(matches!(again, Err(Error::Exists { .. })), "put on an existing key is Exists: {again:?}");
    }
    assert_eq!(read(backend, "a/b").await, b"first", "a refused put changes nothing");
    assert_eq!(
        backend.leftovers(10).await.expect("leftovers"),
        [],
        "a refused put leaves no staged write behind"
    );
}

async fn nothing_is_not_an_object(backend: &dyn Backend) {
    backend.put(&key("a/b/c"), Bytes::from_static(b"x")).await.expect("put stores");
    for missing in ["a/b/d", "a/b", "a", "q/w/e", "a/b/c.1"] {
        let got = backend.get(&key(missing), None).await.err();
        assert!(
            matches!(got, Some(Error::NotFound { .. })),
            "get of nothing ({missing}) is NotFound: {got:?}"
        );
        let range = Some(ByteRange { start: 0, end: 1 });
        let got = backend.get(&key(missing), range).await.err();
        assert!(matches!(got, Some(Error::NotFound { .. })), "a range of nothing is NotFound: {got:?}");
        let head = backend.head(&key(missing)).await;
        assert!(
            matches!(head, Err(Error::NotFound { .. })),
            "head of nothing ({missing}) is NotFound: {head:?}"
        );
    }
}

async fn an_empty_object(backend: &dyn Backend) {
    backend.put(&key("e"), Bytes::new()).await.expect("an empty object is an object");
    assert_eq!(backend.head(&key("e")).await.expect("head").size, 0, "an empty object has size 0");
    assert_eq!(read(backend, "e").await, b"", "an empty object reads as nothing");
    let range = backend.get(&key("e"), Some(ByteRange { start: 0, end: 1 })).await.err();
    assert!(
        matches!(range, Some(Error::Range { size: 0, .. })),
        "no range lies in an empty object: {range:?}"
    );
}

async fn ranges(backend: &dyn Backend) {
    let size = 3 * MAX_FRAME + 17;
    let body = pattern(size);
    backend.put(&key("r"), body.clone()).await.expect("put stores");
    let frame = MAX_FRAME;
    for (start, end) in [
        (0, 1),
        (0, size),
        (size - 1, size),
        (1, size - 1),
        (frame - 1, frame + 1),
        (frame, 2 * frame),
        (frame, 2 * frame + 1),
        (17, frame + 17),
        (2 * frame, size),
    ] {
        let range = ByteRange { start: start as u64, end: end as u64 };
        let object = backend.get(&key("r"), Some(range)).await.expect("a range within the object is served");
        assert_eq!(object.size, size as u64, "a range tells the size of the whole object");
        let bytes = collect(object.body).await.expect("a range reads");
        assert!(bytes == body[start..end], "bytes {start}..{end} are those bytes of the object");
    }
    let size = size as u64;
    for (start, end) in [(0, size + 1), (size, size + 1), (size + 5, size + 9), (u64::MAX - 1, u64::MAX)] {
        let got = backend.get(&key("r"), Some(ByteRange { start, end })).await.err();
        let Some(Error::Range { start: s, end: e, size: told }) = got else {
            panic!("a range beyond the object is Range: {got:?}")
        };
        assert_eq!((s, e, told), (start, end, size), "Range says what was asked for and what there is");
    }
}

async fn a_large_object_comes_in_frames(backend: &dyn Backend) {
    let body = pattern(5 * 1024 * 1024 + 1);
    backend.put(&key("large"), body.clone()).await.expect("put stores 5 MiB");
    // Twice and at the same time, so that recycled buffers are caught mixing up bytes.
    for read in join_all([read(backend, "large"), read(backend, "large")]).await {
        assert!(read == body, "a large object comes back whole and in order");
    }
    let object = backend.get(&key("large"), None).await.expect("get opens");
    drop(object);
}

async fn delete_is_idempotent(backend: &dyn Backend) {
    let key = key("blake3/ab/cd/abcd.01");
    let nothing = backend.delete(&key, None).await.expect("deleting nothing is not an error");
    assert_eq!(nothing, Deletion::Missing, "deleting nothing says Missing");
    backend.put(&key, Bytes::from_static(b"x")).await.expect("put stores");
    backend.put(&super::key("blake3/ab/cd/abcd.02"), Bytes::from_static(b"y")).await.expect("put stores");
    assert_eq!(backend.delete(&key, None).await.expect("delete"), Deletion::Deleted, "delete says Deleted");
    assert_eq!(
        backend.delete(&key, None).await.expect("delete"),
        Deletion::Missing,
        "a second delete says Missing"
    );
    let got = backend.get(&key, None).await.err();
    assert!(matches!(got, Some(Error::NotFound { .. })), "a deleted object is NotFound: {got:?}");
    assert_eq!(read(backend, "blake3/ab/cd/abcd.02").await, b"y", "delete removes exactly one key");
    backend.put(&key, Bytes::from_static(b"z")).await.expect("a deleted key is free again");
    assert_eq!(
        backend.delete(&super::key("blake3/ab"), None).await.expect("delete"),
        Deletion::Missing,
        "a part of a key is not an object"
    );
    assert_eq!(read(backend, "blake3/ab/cd/abcd.01").await, b"z", "deleting a part of a key deletes nothing");
}

async fn listing_pages(backend: &dyn Backend) {
    let empty = backend.list("", None, 10).await.expect("list");
    assert!(empty.objects.is_empty() && empty.next.is_none(), "an empty backend lists nothing: {empty:?}");
    let mut expected = (0..LISTED)
        // A multiplication that scatters the numbers over the folders.
        .map(|n| (n * 40_503) % 65_536)
        .map(|n| format!("blake3/{:02x}/{:02x}/{n:04x}.x", n / 256, n % 8))
        .collect::<Vec<_>>();
    for text in &expected {
        backend.put(&key(text), Bytes::from(text.clone())).await.expect("put stores");
    }
    expected.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = backend.list("", after.as_ref(), LISTING_PAGE).await.expect("list");
        assert!(page.objects.len() <= LISTING_PAGE, "a page has at most as many objects as asked for");
        for object in &page.objects {
            assert_eq!(object.size, object.key.as_str().len() as u64, "a listing tells sizes");
        }
        found.extend(page.objects.iter().map(|object| object.key.to_string()));
        match page.next {
            Some(next) => {
                assert_eq!(Some(&next), page.objects.last().map(|o| &o.key), "next is the last key listed");
                after = Some(next);
            }
            None => break,
        }
    }
    assert!(found == expected, "pages together are every key once, in order");
    let exactly = backend.list("", None, LISTED).await.expect("list");
    assert_eq!(exactly.objects.len(), LISTED, "a page can hold everything");
    assert_eq!(exactly.next, None, "a listing that ends with its page says so");
}

async fn listing_order_and_prefixes(backend: &dyn Backend) {
    // A path sorts by its bytes, and '-' and '.' are before '/', digits and letters after it.
    let keys = ["a-b", "a.b/c", "a/b", "a/b-", "a/c/d", "a0", "b/a/a", "staging-2/x"];
    for text in keys.iter().rev() {
        backend.put(&key(text), Bytes::from_static(b"1")).await.expect("put stores");
    }
    let mut open = backend.stage(&"open".parse().expect("an id")).await.expect("stage");
    open.append(vec![Bytes::from_static(b"1")]).await.expect("append");
    for (prefix, after, expected) in [
        ("", None, &keys[..]),
        ("", Some("a/b"), &keys[3..]),
        // `after` need not exist.
        ("", Some("a/bb"), &keys[4..]),
        ("", Some("a"), &keys[..]),
        ("", Some("z"), &[]),
        ("a", None, &keys[..6]),
        ("a/", None, &keys[2..5]),
        ("a/b", None, &keys[2..4]),
        ("a/b", Some("a/b"), &keys[3..4]),
        ("a/c", None, &keys[4..5]),
        ("a/c/d", None, &keys[4..5]),
        ("a/c/d/e", None, &[]),
        ("s", None, &keys[7..]),
        ("x", None, &[]),
        ("../", None, &[]),
        ("/", None, &[]),
    ] {
        let page = backend.list(prefix, after.map(key).as_ref(), 100).await.expect("list");
        let found = page.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>();
        assert_eq!(found, expected, "objects under {prefix:?} after {after:?}, staged writes left out");
        assert_eq!(page.next, None, "a last page says so");
    }
    open.discard().await.expect("discard");
}

/// Writers and deleters meet in one folder that empties again and again.
async fn writes_and_deletes_in_one_folder(backend: &Arc<dyn Backend>) {
    let tasks = (0..8).map(|writer| {
        let backend = Arc::clone(backend);
        tokio::spawn(async move {
            let mut last: Option<(Receipt, Bytes)> = None;
            for round in 0..12 {
                if let Some((receipt, _)) = last.take() {
                    let deleted = backend.delete(&receipt.key, receipt.version.as_deref()).await;
                    let deletion = deleted.expect("delete beside writes");
                    assert_eq!(deletion, Deletion::Deleted, "what was acknowledged is there");
                }
                let key = key(&format!("blake3/ab/cd/{writer}.{round}"));
                let body = Bytes::from(key.to_string());
                let receipt = if round % 2 == 0 {
                    backend.put(&key, body.clone()).await.expect("put beside deletes")
                } else {
                    let id = format!("{writer}-{round}").parse().expect("an id");
                    let mut staged = backend.stage(&id).await.expect("stage");
                    staged.append(vec![body.clone()]).await.expect("append");
                    staged.publish(&key).await.expect("publish beside deletes")
                };
                last = Some((receipt, body));
            }
            last.expect("there were rounds")
        })
    });
    let mut written = Vec::new();
    for task in join_all(tasks).await {
        written.push(task.expect("writers and deleters in one folder do not disturb each other"));
    }
    let page = backend.list("", None, 100).await.expect("list");
    assert_eq!(page.objects.len(), 8, "the last write of each writer is there");
    for (receipt, body) in written {
        let bytes = read(&**backend, receipt.key.as_str()).await;
        assert_eq!(bytes, body, "each object has its own bytes");
    }
}

async fn health_and_names(backend: &dyn Backend) {
    let health = backend.health().await;
    assert!(health.writable, "a working backend takes writes: {health:?}");
    assert_eq!(health.problem, None, "a working backend has no problem");
    if let Some(capacity) = health.capacity {
        assert!(capacity.available <= capacity.total, "no more is available than there is: {capacity:?}");
    }
    let page = backend.list("", None, 10).await.expect("list");
    assert!(page.objects.is_empty(), "a health check leaves no object behind: {page:?}");
    assert_eq!(backend.leftovers(10).await.expect("leftovers"), [], "a health check leaves nothing staged");
    let uri = backend.uri(&key("a/b.c"));
    assert!(uri.ends_with("a/b.c") && uri.contains(':'), "a URI has a scheme and ends with the key: {uri}");
    assert_ne!(uri, backend.uri(&key("a/b.d")), "keys have different URIs");
}

pub(super) async fn read(backend: &dyn Backend, text: &str) -> Vec<u8> {
    let object = backend.get(&key(text), None).await.expect("get opens what was stored");
    let bytes = collect(object.body).await.expect("get reads what was stored");
    assert_eq!(bytes.len() as u64, object.size, "a body has as many bytes as promised");
    bytes
}
