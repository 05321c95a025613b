//! Planted links, vanished folders, files that change under a reader.

use std::fs;
use std::os::unix::fs::symlink;

use futures_util::StreamExt as _;

use super::*;
use crate::storage::testing::pattern;
use crate::storage::{ByteRange, MAX_FRAME};

fn is_io<T>(result: Result<T, Error>) -> bool {
    matches!(result.err(), Some(Error::Io { .. }))
}

#[tokio::test]
async fn a_link_in_place_of_an_object_is_not_followed() {
    let (dir, local) = folder();
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    fs::create_dir_all(dir.path().join("blake3/ab/cd")).unwrap();
    symlink(&secret, dir.path().join(OBJECT)).unwrap();

    assert!(is_io(local.get(&key(OBJECT), None).await));
    assert!(is_io(local.get(&key(OBJECT), Some(ByteRange { start: 0, end: 1 })).await));
    assert!(is_io(local.head(&key(OBJECT)).await));
    let put = local.put(&key(OBJECT), bytes("mine")).await;
    assert!(matches!(put, Err(Error::Exists { .. })), "{put:?}");
    assert!(local.list("", None, 10).await.unwrap().objects.is_empty());
    local.delete(&key(OBJECT), None).await.unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_is_not_followed() {
    let (dir, local) = folder();
    let outside = TempDir::new().unwrap();
    fs::create_dir(outside.path().join("cd")).unwrap();
    fs::write(outside.path().join("cd/abcdef.01jd"), b"secret").unwrap();
    fs::create_dir(dir.path().join("blake3")).unwrap();
    symlink(outside.path(), dir.path().join("blake3/ab")).unwrap();

    assert!(is_io(local.get(&key(OBJECT), None).await));
    assert!(is_io(local.head(&key(OBJECT)).await));
    assert!(is_io(local.delete(&key(OBJECT), None).await));
    assert!(is_io(local.put(&key("blake3/ab/cd/new.x"), bytes("mine")).await));
    assert!(is_io(local.put(&key("blake3/ab/ef/new.x"), bytes("mine")).await));
    let staged = local.stage(&id("s")).await.unwrap();
    assert!(is_io(staged.publish(&key("blake3/ab/cd/new.x")).await));
    assert!(local.list("", None, 10).await.unwrap().objects.is_empty());
    assert!(local.list("blake3/ab/", None, 10).await.unwrap().objects.is_empty());
    assert_eq!(names(outside.path()), ["cd"]);
    assert_eq!(names(&outside.path().join("cd")), ["abcdef.01jd"]);
}

#[tokio::test]
async fn a_link_among_the_staged_writes_is_not_followed() {
    let (dir, local) = folder();
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    symlink(&secret, dir.path().join("staging/upload")).unwrap();

    assert!(is_io(local.resume(&id("upload"), 0, &[]).await));
    let staged = local.stage(&id("upload")).await;
    assert!(matches!(staged.err(), Some(Error::Exists { .. })));
    assert_eq!(local.leftovers(10).await.unwrap(), []);
    local.unstage(&id("upload")).await.unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
}

#[tokio::test]
async fn a_fifo_in_place_of_an_object_does_not_block() {
    let (dir, local) = folder();
    fs::create_dir_all(dir.path().join("blake3/ab/cd")).unwrap();
    let (path, mode) = (dir.path().join(OBJECT), rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(is_io(local.get(&key(OBJECT), None).await));
}

#[tokio::test]
async fn the_root_may_be_reached_through_a_link() {
    let real = TempDir::new().unwrap();
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("link");
    symlink(real.path(), &link).unwrap();
    let local = Local::open(&link).unwrap();
    let receipt = local.put(&key("a"), bytes("x")).await.unwrap();
    assert_eq!(receipt.uri, format!("file://{}/a", real.path().display()));
}

#[tokio::test]
async fn a_lost_staging_folder_fails_writes_and_health_but_no_reads() {
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("x")).await.unwrap();
    fs::remove_dir(dir.path().join("staging")).unwrap();
    fs::write(dir.path().join("staging"), b"in the way").unwrap();

    assert!(is_io(local.put(&key("b"), bytes("x")).await));
    assert!(is_io(local.stage(&id("s")).await));
    assert!(is_io(local.resume(&id("s"), 0, &[]).await));
    assert!(is_io(local.unstage(&id("s")).await));
    assert!(is_io(local.leftovers(10).await));
    let health = local.health().await;
    assert!(!health.writable);
    assert!(health.problem.unwrap().contains("can not open the staging folder"));
    assert_eq!(read(&local, OBJECT).await.unwrap(), b"x");
}

#[tokio::test]
async fn a_vanished_root_is_an_error_and_not_absence() {
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("x")).await.unwrap();
    fs::remove_dir_all(dir.path()).unwrap();

    assert!(is_io(local.get(&key(OBJECT), None).await));
    assert!(is_io(local.head(&key(OBJECT)).await));
    assert!(is_io(local.delete(&key(OBJECT), None).await));
    assert!(is_io(local.list("", None, 10).await));
    assert!(is_io(local.put(&key("b"), bytes("x")).await));
    assert!(is_io(local.resume(&id("s"), 0, &[]).await));
    assert!(local.health().await.problem.unwrap().contains("can not be reached"));

    fs::create_dir(dir.path()).unwrap();
    assert!(local.health().await.problem.unwrap().contains("was replaced"));
}

#[tokio::test]
async fn a_file_that_became_shorter_ends_the_body_with_an_error() {
    let (dir, local) = folder();
    let body = pattern(4 * MAX_FRAME);
    local.put(&key(OBJECT), body.clone()).await.unwrap();
    let mut object = local.get(&key(OBJECT), None).await.unwrap();
    let file = fs::OpenOptions::new().write(true).open(dir.path().join(OBJECT)).unwrap();
    file.set_len(MAX_FRAME as u64 + 1).unwrap();
    assert_eq!(object.body.next().await.unwrap().unwrap(), body[..MAX_FRAME]);
    let err = object.body.next().await.unwrap().unwrap_err();
    assert!(matches!(&err, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof));
    assert!(object.body.next().await.is_none());
}

#[tokio::test]
async fn a_staged_write_that_lost_bytes_does_not_read_as_shorter() {
    let (dir, local) = folder();
    let mut staged = local.stage(&id("s")).await.unwrap();
    staged.append(vec![bytes("12345")]).await.unwrap();
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("staging/s")).unwrap();
    file.set_len(3).unwrap();
    assert!(is_io(collect(staged.read().await.unwrap()).await));
}
