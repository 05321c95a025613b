//! Keyed objects, on both engines.

use super::engines::registry_on;
use super::*;
use crate::clock::Micros;
use crate::db::testing::{On, Place, on_both};
use crate::package::PackagePath;

on_both![
    what_was_put_is_there_with_everything_known_of_it,
    the_same_bytes_again_are_no_event_and_others_name_what_was_before,
    what_cannot_be_stored_leaves_the_key_as_it_was,
    a_deleted_key_is_gone_and_its_blob_is_free_to_go,
    a_key_can_be_an_object_and_a_folder_of_others,
    a_listing_has_every_key_once_whatever_its_pages,
    a_range_is_cut_at_the_end_and_refused_beyond_it,
    a_url_ends_at_its_time,
    a_url_opens_one_object_as_it_is,
    a_retired_key_verifies_until_its_last_url_has_ended,
    puts_at_once_to_one_key_are_all_in_the_log_and_one_wins,
];

const DAY: Micros = 24 * 60 * 60 * SECOND;

struct Keyed {
    clock: ManualClock,
    registry: Registry,
    store: KeyedStore,
    db: Db,
    _place: Place,
}

impl Keyed {
    async fn on(on: On) -> Self {
        let clock = ManualClock::at(1_000_000 * SECOND + 5);
        let (registry, db, place) = registry_on(on, &clock).await;
        let store = registry.keyed_store(&name("deals"), Actor::anonymous());
        Self { clock, registry, store, db, _place: place }
    }

    async fn put(&self, text: &str, bytes: &'static [u8]) -> KeyedObject {
        put(&self.store, text, bytes).await.unwrap()
    }

    async fn url(&self, text: &str, seconds: u64) -> Signature {
        let url = self.store.get_url(&key(text), Duration::from_secs(seconds)).await.unwrap();
        signature(&url.url)
    }

    async fn opens(&self, repository: &str, text: &str, signature: &Signature) -> Result<KeyedObject, Error> {
        let opened = self.registry.signed_object(&name(repository), &key(text), signature).await;
        opened.map(|(object, _)| object)
    }

    async fn signing_keys(&self) -> i64 {
        let sql = "SELECT COUNT(*) FROM signing_keys";
        self.db.operational().query(sql, vec![]).await.unwrap()[0].integer(0)
    }

    /// The types of all events, and the log without a gap and the views as it says.
    async fn events(&self) -> Vec<String> {
        let scratch = TempDir::new().unwrap();
        let checked = replay_check(&self.db, scratch.path()).await.unwrap();
        let Check::Compared { replayed, live } = checked else { panic!("{checked:?}") };
        assert_eq!(replayed.state, live);
        let rows =
            self.db.query("SELECT sequence, type FROM events ORDER BY sequence", vec![]).await.unwrap();
        let sequences: Vec<i64> = rows.iter().map(|row| row.integer(0)).collect();
        assert!(sequences.iter().copied().eq(1..=self.registry.last_sequence()), "{sequences:?}");
        rows.iter().map(|row| row.text(1).to_owned()).collect()
    }
}

fn key(text: &str) -> PackagePath {
    normalise_key(text).unwrap()
}

async fn put(store: &KeyedStore, text: &str, bytes: &'static [u8]) -> Result<KeyedObject, Error> {
    store.put(&key(text), NewObject::default(), whole(&Bytes::from_static(bytes))).await
}

/// What a URL of the registry says.
fn signature(url: &str) -> Signature {
    let (_, query) = url.split_once('?').unwrap();
    let parts: Vec<(&str, &str)> = query.split('&').map(|part| part.split_once('=').unwrap()).collect();
    let [("expires", expires), ("kid", key_id), ("signature", proof)] = parts[..] else { panic!("{url}") };
    Signature { expires: expires.parse().unwrap(), key_id: key_id.to_owned(), proof: proof.to_owned() }
}

async fn what_was_put_is_there_with_everything_known_of_it(on: On) {
    let keyed = Keyed::on(on).await;
    let name = build_key(["DEAL-001", "documents", "cim", "memo.pdf"]).unwrap();
    assert!(!keyed.store.exists(&name).await.unwrap());
    assert!(matches!(keyed.store.get(&name, 9).await, Err(Error::KeyUnknown(unknown)) if unknown == name));
    let put = keyed.put("/DEAL-001//documents/cim/memo.pdf", b"evidence").await;
    assert_eq!(put.storage_key, name);
    assert_eq!((put.storage_backend.as_str(), put.size), ("memory", 8));
    assert!(put.storage_uri.starts_with("memory:blake3/"), "{}", put.storage_uri);
    assert_eq!(put.sha256, sha256(b"evidence"));
    assert_eq!(put.content, hash::digest(Algorithm::Blake3, b"evidence"));
    assert_eq!(put.mime_type, "application/pdf");
    assert_eq!(put.created_at, 1_000_000 * SECOND + 5);
    assert!(keyed.store.exists(&name).await.unwrap());
    assert_eq!(keyed.store.get_metadata(&name).await.unwrap(), put);
    assert_eq!(keyed.store.get(&name, 8).await.unwrap(), "evidence");
    assert!(matches!(keyed.store.get(&name, 7).await, Err(Error::BlobTooLarge { limit: 7 })));
    let other = keyed.registry.keyed_store(&super::name("others"), Actor::anonymous());
    assert!(matches!(other.get_metadata(&name).await, Err(Error::KeyUnknown(_))));
    assert_eq!(keyed.events().await, ["v1.blob.stored", "v1.blob.linked", "v1.object.stored"]);
}

async fn the_same_bytes_again_are_no_event_and_others_name_what_was_before(on: On) {
    let keyed = Keyed::on(on).await;
    let first = keyed.put("a.txt", b"one").await;
    keyed.clock.advance(SECOND);
    assert_eq!(keyed.put("a.txt", b"one").await, first, "nothing changed, also not the time");
    let typed = |mime_type: &str| NewObject { mime_type: Some(mime_type.to_owned()), ..NewObject::default() };
    let one = || whole(&Bytes::from_static(b"one"));
    assert_eq!(keyed.store.put(&key("a.txt"), typed("text/plain"), one()).await.unwrap(), first);
    assert_eq!(keyed.registry.last_sequence(), 3);
    let csv = keyed.store.put(&key("a.txt"), typed("text/csv"), one()).await.unwrap();
    assert_eq!((csv.mime_type.as_str(), csv.created_at), ("text/csv", first.created_at + SECOND));
    assert_eq!(
        keyed.put("a.txt", b"one").await,
        csv,
        "what somebody said holds until somebody says otherwise"
    );
    let two = keyed.put("a.txt", b"two").await;
    assert_eq!(two.mime_type, "text/plain", "of other bytes nobody said anything");
    assert_eq!(keyed.store.get(&key("a.txt"), 3).await.unwrap(), "two");
    let events = keyed.events().await;
    assert_eq!(events[3..], ["v1.object.stored", "v1.blob.stored", "v1.blob.linked", "v1.object.stored"]);
    let payload = keyed.db.query("SELECT payload FROM events WHERE sequence = 7", vec![]).await.unwrap();
    let fact: crate::events::ObjectStored = crate::codec::cbor::from_slice(payload[0].blob(0)).unwrap();
    assert_eq!(fact.previous, Some(first.content));
    assert!(matches!(
        keyed.store.put(&key("a.txt"), typed("text/plain; charset=utf-8"), one()).await,
        Err(Error::MediaTypeInvalid(_))
    ));
}

async fn what_cannot_be_stored_leaves_the_key_as_it_was(on: On) {
    let keyed = Keyed::on(on).await;
    let first = keyed.put("a", b"one").await;
    let claimed = |digest| NewObject { claimed: Some(digest), ..NewObject::default() };
    let two = Bytes::from_static(b"two");
    let put = |new, body| keyed.store.put(&first.storage_key, new, body);
    for wrong in [sha256(b"x"), sha512(b"x"), first.content.clone()] {
        let error = put(claimed(wrong.clone()), whole(&two)).await.unwrap_err();
        assert!(matches!(&error, Error::DigestMismatch { claimed, .. } if *claimed == wrong), "{error:?}");
    }
    assert!(matches!(put(NewObject::default(), broken_after(&two)).await, Err(Error::BodyBroken { .. })));
    assert_eq!(keyed.store.get_metadata(&first.storage_key).await.unwrap(), first);
    assert_eq!(keyed.registry.last_sequence(), 3);
    put(claimed(sha512(&two)), whole(&two)).await.unwrap();
    let by_sha512 = keyed.registry.blob(&name("deals"), &sha512(&two)).await.unwrap();
    assert_eq!(by_sha512.size, 3);
    keyed.events().await;
}

async fn a_deleted_key_is_gone_and_its_blob_is_free_to_go(on: On) {
    let keyed = Keyed::on(on).await;
    let object = keyed.put("a", b"one").await;
    keyed.put("b", b"one").await;
    let (repository, actor) = (name("deals"), Actor::anonymous());
    let unlink = || keyed.registry.delete_blob(&repository, actor.clone(), &object.sha256);
    for left in ["a", "b"] {
        let error = unlink().await.unwrap_err();
        assert!(matches!(&error, Error::BlobInObject { key, .. } if key.as_str() == left), "{error:?}");
        assert!(keyed.store.delete(&key(left)).await.unwrap());
        assert!(!keyed.store.exists(&key(left)).await.unwrap());
    }
    assert!(!keyed.store.delete(&key("a")).await.unwrap(), "there is nothing to delete any more");
    let last = keyed.registry.last_sequence();
    unlink().await.unwrap();
    assert_eq!(keyed.registry.last_sequence(), last + 1);
    keyed.put("a", b"one").await;
    assert_eq!(keyed.store.get(&key("a"), 3).await.unwrap(), "one");
    keyed.events().await;
}

async fn a_key_can_be_an_object_and_a_folder_of_others(on: On) {
    let keyed = Keyed::on(on).await;
    for (text, bytes) in [("a/b", &b"inside"[..]), ("a", b"outside"), ("a/b/c", b"deep")] {
        keyed.put(text, bytes).await;
    }
    keyed.store.delete(&key("a/b")).await.unwrap();
    assert_eq!(keyed.store.get(&key("a"), 9).await.unwrap(), "outside");
    assert_eq!(keyed.store.get(&key("a/b/c"), 9).await.unwrap(), "deep");
    keyed.events().await;
}

async fn a_listing_has_every_key_once_whatever_its_pages(on: On) {
    let keyed = Keyed::on(on).await;
    let all =
        ["D-1", "D-1/a.txt", "D-1/b/1", "D-1/b/2", "D-1/b/c/3", "D-1/ä", "D-10/x", "D-2/y", "e", "e!", "f/g"];
    for text in all {
        keyed.put(text, b"x").await;
    }
    let other = keyed.registry.keyed_store(&name("others"), Actor::anonymous());
    put(&other, "D-1/zzz", b"x").await.unwrap();
    let below =
        |prefix: &str| -> Vec<&str> { all.into_iter().filter(|key| key.starts_with(prefix)).collect() };
    for prefix in ["", "D-1", "D-1/", "D-1/b/", "e", "nothing", "D-1/b/c/3", "f/g", "D-1/ä"] {
        for limit in [1, 2, 3, 100, usize::MAX] {
            let found = pages(&keyed.store, prefix, false, limit).await;
            assert_eq!(found, below(prefix), "{prefix} by {limit}");
        }
    }
    for (prefix, found) in [
        ("", &["D-1", "D-1/", "D-10/", "D-2/", "e", "e!", "f/"][..]),
        ("D-1", &["D-1", "D-1/", "D-10/"]),
        ("D-1/", &["D-1/a.txt", "D-1/b/", "D-1/ä"]),
        ("D-1/b", &["D-1/b/"]),
        ("D-1/b/", &["D-1/b/1", "D-1/b/2", "D-1/b/c/"]),
        ("nothing", &[]),
    ] {
        for limit in [1, 2, 3, 100] {
            assert_eq!(pages(&keyed.store, prefix, true, limit).await, found, "{prefix} by {limit}");
        }
    }
    let list = |after: &str, limit| List { after: after.to_owned(), limit, ..List::default() };
    let behind = keyed.store.list(&list("D-1/b\0", 1)).await.unwrap();
    assert_eq!(behind.objects[0].storage_key.as_str(), "D-1/b/1", "no text is too odd to come after");
    assert_eq!(keyed.store.list(&list("", 0)).await.unwrap(), Listing::default());
    assert_eq!(keyed.store.list(&list("zzz", 9)).await.unwrap(), Listing::default());
    let unknown = keyed.registry.keyed_store(&name("unknown"), Actor::anonymous());
    assert!(matches!(unknown.list(&list("", 9)).await, Err(Error::RepositoryUnknown(_))));
    keyed.events().await;
}

/// Every entry of a listing, page by page.
async fn pages(store: &KeyedStore, prefix: &str, one_level: bool, limit: usize) -> Vec<String> {
    let mut list = List { prefix: prefix.parse().unwrap(), one_level, after: String::new(), limit };
    let mut all = Vec::new();
    loop {
        let Listing { objects, prefixes, next } = store.list(&list).await.unwrap();
        assert!(objects.len() + prefixes.len() <= limit);
        let mut page: Vec<String> = objects.iter().map(|object| object.storage_key.to_string()).collect();
        page.extend(prefixes);
        page.sort();
        all.extend(page);
        let Some(next) = next else { return all };
        assert_eq!(all.last(), Some(&next));
        list.after = next;
    }
}

async fn a_range_is_cut_at_the_end_and_refused_beyond_it(on: On) {
    let keyed = Keyed::on(on).await;
    let bytes = pattern(LARGE);
    keyed.store.put(&key("a"), NewObject::default(), whole(&bytes)).await.unwrap();
    for (start, end) in [(0, 1), (5, 700_000), (1_200_000, u64::MAX), (0, u64::MAX)] {
        let (object, body) = keyed.store.get_stream(&key("a"), Some(ByteRange { start, end })).await.unwrap();
        assert_eq!(object.size, LARGE as u64);
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap().min(LARGE));
        assert_eq!(collect(body).await.unwrap(), bytes[start..end]);
    }
    let (_, body) = keyed.store.get_stream(&key("a"), None).await.unwrap();
    assert_eq!(collect(body).await.unwrap(), bytes);
    for (start, end) in [(LARGE as u64, u64::MAX), (u64::MAX, u64::MAX), (7, 7), (8, 7)] {
        let refused = keyed.store.get_stream(&key("a"), Some(ByteRange { start, end })).await.err().unwrap();
        assert!(matches!(refused, Error::RangeInvalid { size } if size == LARGE as u64), "{refused:?}");
    }
}

async fn a_url_ends_at_its_time(on: On) {
    let keyed = Keyed::on(on).await;
    keyed.put("a b/ü", b"one").await;
    let url = keyed.store.get_url(&key("a b/ü"), Duration::from_mins(1)).await.unwrap();
    assert!(
        url.url.starts_with("/v2/deals/_artifactstore/objects/a%20b/%C3%BC?expires=1000060&kid="),
        "{url:?}"
    );
    assert_eq!(url.expires_at, 1_000_060 * SECOND);
    let signature = signature(&url.url);
    keyed.clock.advance(60 * SECOND - 6);
    assert_eq!(keyed.opens("deals", "a b/ü", &signature).await.unwrap().size, 3);
    keyed.clock.advance(1);
    let error = keyed.opens("deals", "a b/ü", &signature).await.unwrap_err();
    assert!(matches!(error, Error::UrlExpired { at } if at == url.expires_at), "{error:?}");
    assert!(error.to_string().contains("1970-01-12T13:47:40"), "{error}");
    for seconds in [0, 7 * 24 * 60 * 60 + 1, u64::MAX] {
        let made = keyed.store.get_url(&key("a b/ü"), Duration::from_secs(seconds)).await;
        assert!(matches!(made, Err(Error::UrlTime { .. })), "{seconds}: {made:?}");
    }
    keyed.url("a b/ü", 7 * 24 * 60 * 60).await;
    let missing = keyed.store.get_url(&key("missing"), Duration::from_mins(1)).await;
    assert!(matches!(missing, Err(Error::KeyUnknown(_))));
}

async fn a_url_opens_one_object_as_it_is(on: On) {
    let keyed = Keyed::on(on).await;
    for text in ["a", "b"] {
        keyed.put(text, b"one").await;
    }
    let other = keyed.registry.keyed_store(&name("others"), Actor::anonymous());
    put(&other, "a", b"one").await.unwrap();
    let good = keyed.url("a", 60).await;
    keyed.opens("deals", "a", &good).await.unwrap();
    let changed = |change: &dyn Fn(&mut Signature)| {
        let mut signature = good.clone();
        change(&mut signature);
        signature
    };
    let refused = [
        ("deals", "b", good.clone()),
        ("others", "a", good.clone()),
        ("deals", "missing", good.clone()),
        ("deals", "a", changed(&|it| it.expires += 1)),
        ("deals", "a", changed(&|it| it.proof.replace_range(..1, "x"))),
        ("deals", "a", changed(&|it| it.proof.clear())),
        ("deals", "a", changed(&|it| it.key_id.clear())),
        ("deals", "a", changed(&|it| it.key_id.push('\0'))),
        ("deals", "a", changed(&|it| it.key_id = "0".repeat(26))),
    ];
    for (repository, text, signature) in refused {
        let error = keyed.opens(repository, text, &signature).await.unwrap_err();
        assert!(matches!(error, Error::UrlRefused), "{repository} {text} {signature:?}: {error:?}");
    }
    keyed.put("a", b"two").await;
    assert!(matches!(keyed.opens("deals", "a", &good).await, Err(Error::UrlRefused)), "overwritten");
    keyed.store.delete(&key("a")).await.unwrap();
    assert!(matches!(keyed.opens("deals", "a", &good).await, Err(Error::UrlRefused)), "deleted");
    keyed.put("a", b"one").await;
    keyed.opens("deals", "a", &good).await.expect("it names what it named");
}

async fn a_retired_key_verifies_until_its_last_url_has_ended(on: On) {
    let keyed = Keyed::on(on).await;
    keyed.put("a", b"one").await;
    let before = keyed.url("a", 7 * 24 * 60 * 60).await;
    assert_eq!(keyed.url("a", 60).await.key_id, before.key_id, "made once");
    let id = keyed.registry.rotate_signing_key().await.unwrap();
    let after = keyed.url("a", 7 * 24 * 60 * 60).await;
    assert_eq!(after.key_id, id);
    assert_ne!(before.key_id, id);
    for signature in [&before, &after] {
        keyed.opens("deals", "a", signature).await.unwrap();
    }
    keyed.clock.advance(7 * DAY - SECOND);
    keyed.opens("deals", "a", &before).await.unwrap();
    keyed.clock.advance(DAY);
    assert!(
        matches!(keyed.opens("deals", "a", &before).await, Err(Error::UrlRefused)),
        "no such key any more"
    );
    assert!(matches!(keyed.opens("deals", "a", &after).await, Err(Error::UrlExpired { .. })));
    assert_eq!(keyed.signing_keys().await, 2);
    keyed.registry.sweep().await.unwrap();
    assert_eq!(keyed.signing_keys().await, 1);
    assert_eq!(keyed.url("a", 60).await.key_id, id, "the one that signs stays");
}

async fn puts_at_once_to_one_key_are_all_in_the_log_and_one_wins(on: On) {
    let keyed = Keyed::on(on).await;
    let bodies: Vec<Bytes> = (0..12).map(|n| Bytes::from(format!("body {}", n % 6).repeat(5000))).collect();
    let puts = bodies.iter().map(|bytes| {
        let (store, bytes) = (keyed.store.clone(), bytes.clone());
        tokio::spawn(async move { store.put(&key("a"), NewObject::default(), whole(&bytes)).await.unwrap() })
    });
    let mut stored = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        stored.push(put.await.unwrap());
    }
    let current = keyed.store.get_metadata(&key("a")).await.unwrap();
    assert!(stored.iter().any(|object| object.content == current.content));
    let winner = keyed.store.get(&key("a"), 1_000_000).await.unwrap();
    assert_eq!(sha256(&winner), current.sha256);
    assert!(bodies.contains(&winner));
    let events = keyed.events().await;
    assert_eq!(events.iter().filter(|event| *event == "v1.blob.stored").count(), 6);
    let changes = events.iter().filter(|event| *event == "v1.object.stored").count();
    assert!((6..=12).contains(&changes), "{changes}");
    let newest = "SELECT subject FROM events WHERE type = 'v1.object.stored' ORDER BY sequence DESC LIMIT 1";
    let newest = keyed.db.query(newest, vec![]).await.unwrap();
    assert_eq!(newest[0].text(0), current.content.as_str());
}

#[tokio::test]
async fn the_storage_gives_out_the_url_where_its_own_works_as_long() {
    let clock = ManualClock::at(1_000_000 * SECOND);
    let backend = Arc::new(Unreadable::new(clock.clock()).presigning());
    let fixture = Fixture::over(TempDir::new().unwrap(), clock, backend, Options::default()).await;
    let store = fixture.registry.keyed_store(&name("a"), Actor::anonymous());
    put(&store, "k", b"one").await.unwrap();
    let url = store.get_url(&key("k"), Duration::from_mins(5)).await.unwrap();
    assert!(url.url.starts_with("https://bucket.example/") && url.url.contains("expires=300"), "{url:?}");
    assert_eq!(url.expires_at, 1_000_300 * SECOND);
    let url = store.get_url(&key("k"), Duration::from_secs(301)).await.unwrap();
    let signature = signature(&url.url);
    fixture.registry.signed_object(&name("a"), &key("k"), &signature).await.unwrap();
}

#[tokio::test]
async fn a_signed_url_leads_to_no_url_of_the_storage_that_outlives_it() {
    let clock = ManualClock::at(1_000_000 * SECOND);
    let backend = Arc::new(Unreadable::new(clock.clock()).presigning());
    let fixture = Fixture::over(TempDir::new().unwrap(), clock, backend, Options::default()).await;
    let store = fixture.registry.keyed_store(&name("a"), Actor::anonymous());
    put(&store, "k", b"one").await.unwrap();
    let signature = signature(&store.get_url(&key("k"), Duration::from_secs(400)).await.unwrap().url);
    let sent_to = async || {
        let left = fixture.registry.time_left(&signature);
        let (_, blob) = fixture.registry.signed_object(&name("a"), &key("k"), &signature).await.unwrap();
        let url = fixture.registry.blob_url(&blob, Some(left)).await.unwrap();
        url.map(|url| url.split_once("expires=").unwrap().1.split('&').next().unwrap().to_owned())
    };
    assert_eq!(sent_to().await.as_deref(), Some("300"));
    fixture.clock.advance(390 * SECOND);
    assert_eq!(sent_to().await.as_deref(), Some("10"));
    fixture.clock.advance(9 * SECOND + SECOND / 2);
    assert_eq!(sent_to().await, None);
}

#[tokio::test]
async fn a_put_that_fails_leaves_no_bytes() {
    let fixture = Fixture::new().await;
    let store = fixture.registry.keyed_store(&name("a"), Actor::anonymous());
    for op in [Op::Stage, Op::Append, Op::Publish] {
        fixture.faults.fail(op, Cause::NoSpace);
        let failed = store.put(&key("k"), NewObject::default(), whole(&pattern(LARGE))).await;
        assert!(matches!(failed, Err(Error::Data(_))), "{failed:?}");
        assert_eq!((fixture.objects().await, fixture.leftovers().await), (0, 0), "{op:?}");
    }
    assert!(!store.exists(&key("k")).await.unwrap());
    store.put(&key("k"), NewObject::default(), whole(&pattern(LARGE))).await.unwrap();
    store.put(&key("l"), NewObject::default(), whole(&pattern(LARGE))).await.unwrap();
    assert_eq!((fixture.objects().await, fixture.leftovers().await), (1, 0), "the same bytes are there once");
    fixture.check().await;
}
