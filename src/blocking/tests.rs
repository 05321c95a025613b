//! On real files, with a runtime only where there must be none.

use super::*;
use crate::hash;
use crate::oci::Algorithm;

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    (directory, store)
}

fn read(store: &Store, digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.get(digest).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_put_is_there_for_the_next_who_opens_it() {
    let (directory, store) = store();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(|i| (i % 251).to_le_bytes()).collect();
    let digest = store.put(large.as_slice()).unwrap();
    assert_eq!(digest, hash::digest(Algorithm::Blake3, &large));
    assert_eq!(store.put(large.as_slice()).unwrap(), digest);
    let empty = store.put(io::empty()).unwrap();
    drop(store);
    let store = Store::open(directory.path().join("data")).unwrap();
    let sha256 = hash::digest(Algorithm::Sha256, &large);
    assert_eq!(read(&store, &digest), large);
    assert_eq!(read(&store, &sha256), large);
    assert_eq!(read(&store, &empty), b"");
    let stat = store.stat(&sha256).unwrap();
    assert_eq!((stat.content_address, stat.sha256, stat.size), (digest, sha256, 12_000_000));
}

#[test]
fn a_store_has_one_process_or_handle() {
    let (directory, _store) = store();
    let error = Store::open(directory.path().join("data")).unwrap_err();
    assert!(matches!(&error, Error::Open(reason) if reason.contains("another artifactstore")), "{error}");
}

#[test]
fn what_is_not_there_is_an_error() {
    let (_directory, store) = store();
    let digest = hash::digest(Algorithm::Sha256, b"never");
    for error in [store.get(&digest).unwrap_err(), store.stat(&digest).unwrap_err()] {
        assert!(matches!(error, Error::Registry(registry::Error::BlobUnknown(_))), "{error}");
    }
}

#[test]
fn a_source_that_fails_leaves_nothing() {
    struct Half(u8);
    impl Read for Half {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 { Err(io::Error::other("the disk is gone")) } else { Ok(buffer.len()) }
        }
    }
    let (directory, store) = store();
    let before = store.registry().last_sequence();
    let error = store.put(Half(0)).unwrap_err();
    assert!(matches!(&error, Error::Source(cause) if cause.to_string() == "the disk is gone"), "{error}");
    assert_eq!(store.registry().last_sequence(), before);
    let staged = std::fs::read_dir(directory.path().join("data/storage/staging")).map_or(0, Iterator::count);
    assert_eq!(staged, 0);
}

#[test]
fn damage_is_found_before_the_end() {
    let (directory, store) = store();
    let digest = store.put(vec![7; 100_000].as_slice()).unwrap();
    let hex = digest.hex();
    let folder = directory.path().join(format!("data/storage/blake3/{}/{}", &hex[..2], &hex[2..4]));
    let object = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    // Stored objects are read-only; another one in its place is not.
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, vec![8; 100_000]).unwrap();
    let mut bytes = Vec::new();
    let error = store.get(&digest).unwrap().read_to_end(&mut bytes).unwrap_err().to_string();
    assert!(error.contains("stored bytes cannot be used"), "{error}");
}

#[test]
fn on_a_thread_of_a_runtime_every_call_says_so() {
    let (directory, store) = store();
    let digest = store.put(&b"x"[..]).unwrap();
    let mut reader = store.get(&digest).unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        let is_refused = |error: Error| assert!(matches!(error, Error::InRuntime), "{error}");
        is_refused(Store::open(directory.path().join("other")).unwrap_err());
        is_refused(store.put(&b"y"[..]).unwrap_err());
        is_refused(store.get(&digest).unwrap_err());
        is_refused(store.stat(&digest).unwrap_err());
        is_refused(store.wait(async {}).unwrap_err());
        assert!(reader.read(&mut [0]).unwrap_err().to_string().contains("async runtime"));
        // Dropping both here must not panic either.
        drop((store, reader));
    });
}

#[test]
fn any_registry_can_be_underneath() {
    let (_directory, below) = store();
    let registry = below.registry().clone();
    let opening = async move { Ok::<_, registry::Error>(registry) };
    let store = Store::over(opening, "team/a".parse().unwrap(), Actor::anonymous()).unwrap();
    let digest = store.put(&b"x"[..]).unwrap();
    assert_eq!(read(&store, &digest), b"x");
    assert!(below.stat(&digest).is_err(), "another repository has it");
}
