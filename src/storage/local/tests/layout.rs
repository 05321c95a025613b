//! Where things are, and what is left behind.

use std::fs;

use super::*;
use crate::storage::{Deletion, Leftover, Owner};

#[tokio::test]
async fn an_object_is_the_file_its_key_says() {
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("one")).await.unwrap();
    assert_eq!(fs::read(dir.path().join("blake3/ab/cd/abcdef.01jd")).unwrap(), b"one");
    let mut staged = local.stage(&id("Upload_1")).await.unwrap();
    staged.append(vec![bytes("two")]).await.unwrap();
    assert_eq!(fs::read(dir.path().join("staging/Upload_1")).unwrap(), b"two");
    staged.publish(&key("blake3/ab/ce/abce.01jd")).await.unwrap();
    assert_eq!(fs::read(dir.path().join("blake3/ab/ce/abce.01jd")).unwrap(), b"two");
    assert_eq!(names(&dir.path().join("staging")), [""; 0]);
    assert_eq!(names(dir.path()), ["blake3", "staging"]);
}

#[tokio::test]
async fn objects_survive_opening_the_folder_again() {
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("one")).await.unwrap();
    drop(local);
    let local = Local::open(dir.path()).unwrap();
    assert_eq!(read(&local, OBJECT).await.unwrap(), b"one");
}

#[tokio::test]
async fn a_uri_is_absolute_and_escaped() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("a b#c%d\u{e9}");
    let local = Local::open(&root).unwrap();
    let receipt = local.put(&key("a/b-c_d.e"), bytes("x")).await.unwrap();
    let expected = format!("file://{}/a%20b%23c%25d%C3%A9/a/b-c_d.e", dir.path().display());
    assert_eq!(receipt.uri, expected);
}

#[tokio::test]
async fn emptied_folders_go_and_others_stay() {
    let (dir, local) = folder();
    for text in ["blake3/ab/cd/1.x", "blake3/ab/cd/2.x", "blake3/ab/ce/3.x"] {
        local.put(&key(text), bytes("x")).await.unwrap();
    }
    local.delete(&key("blake3/ab/cd/1.x"), None).await.unwrap();
    assert_eq!(names(&dir.path().join("blake3/ab")), ["cd", "ce"]);
    local.delete(&key("blake3/ab/cd/2.x"), None).await.unwrap();
    assert_eq!(names(&dir.path().join("blake3/ab")), ["ce"]);
    local.delete(&key("blake3/ab/ce/3.x"), None).await.unwrap();
    assert_eq!(names(dir.path()), ["staging"]);
    assert_eq!(local.delete(&key("blake3/ab/ce/3.x"), None).await.unwrap(), Deletion::Missing);
}

#[tokio::test]
async fn a_delete_cleans_up_a_folder_that_was_empty_already() {
    let (dir, local) = folder();
    fs::create_dir_all(dir.path().join("blake3/ab/cd")).unwrap();
    assert_eq!(local.delete(&key("blake3/ab/cd/1.x"), None).await.unwrap(), Deletion::Missing);
    assert_eq!(names(dir.path()), ["staging"]);
}

#[tokio::test]
async fn what_a_killed_process_left_is_found_and_removed() {
    let (dir, local) = folder();
    fs::write(dir.path().join("staging/upload-7"), b"half of it").unwrap();
    let before = fs::metadata(dir.path().join("staging/upload-7")).unwrap().modified().unwrap();
    let micros = before.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    let found = local.leftovers(10).await.unwrap();
    let touched_at = i64::try_from(micros).unwrap();
    assert_eq!(found, [Leftover { id: id("upload-7"), size: 10, touched_at }]);
    let staged = local.resume(&id("upload-7"), 4, &[]).await.unwrap();
    staged.publish(&key(OBJECT)).await.unwrap();
    assert_eq!(read(&local, OBJECT).await.unwrap(), b"half");
}

#[tokio::test]
async fn opening_the_folder_clears_old_probes_and_keeps_staged_writes() {
    let (dir, local) = folder();
    fs::write(dir.path().join("staging/.probe-1-0"), b"x").unwrap();
    drop(local.stage(&id("upload")).await.unwrap());
    drop(local);
    Local::open(dir.path()).unwrap();
    assert_eq!(names(&dir.path().join("staging")), ["upload"]);
}

#[tokio::test]
async fn foreign_files_are_not_listed() {
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("x")).await.unwrap();
    for foreign in ["README", "lost+found", "blake3/.hidden", "blake3/ab/cd/UPPER", "blake3/ab/a b"] {
        fs::write(dir.path().join(foreign), b"x").unwrap();
    }
    fs::create_dir_all(dir.path().join("blake3/Upper")).unwrap();
    fs::write(dir.path().join("blake3/Upper/a"), b"x").unwrap();
    fs::write(dir.path().join("staging/.probe-1"), b"x").unwrap();
    fs::create_dir(dir.path().join("staging/folder")).unwrap();
    let page = local.list("", None, 10).await.unwrap();
    assert_eq!(page.objects.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), [OBJECT]);
    assert_eq!(local.leftovers(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_write_published_by_two_names_is_not_resumed() {
    // A process killed between link and unlink, on a file system without a rename that never replaces.
    let (dir, local) = folder();
    local.put(&key(OBJECT), bytes("published")).await.unwrap();
    fs::hard_link(dir.path().join(OBJECT), dir.path().join("staging/upload")).unwrap();
    let resumed = local.resume(&id("upload"), 0, &[]).await.err();
    assert!(matches!(resumed, Some(Error::NotFound { .. })), "{resumed:?}");
    assert_eq!(read(&local, OBJECT).await.unwrap(), b"published");
    assert_eq!(local.leftovers(10).await.unwrap(), []);
}

#[tokio::test]
async fn health_tells_the_space_on_the_volume() {
    let (_dir, local) = folder();
    let capacity = local.health().await.capacity.unwrap();
    assert!(capacity.total > 0 && capacity.available > 0, "{capacity:?}");
}

#[tokio::test]
async fn a_marker_of_the_first_release_is_completed_once() {
    let (dir, local) = folder();
    let marker = dir.path().join(".registry");
    fs::write(&marker, "log\n").unwrap();
    local.put(&key(OBJECT), bytes("one")).await.unwrap();
    assert_eq!(local.owner().await.unwrap(), Some(Owner { log_id: "log".into(), place: None }));
    assert!(matches!(local.claim("other").await, Err(Error::Foreign(_))));
    assert_eq!(fs::read(&marker).unwrap(), b"log\n");
    let again = Local::open(dir.path()).unwrap();
    let claims = (0..16).map(|n| if n % 2 == 0 { local.claim("log") } else { again.claim("log") });
    let claims = futures_util::future::join_all(claims).await;
    let place = local.claim("log").await.unwrap();
    assert!(claims.iter().all(|claim| claim.as_ref().is_ok_and(|claimed| *claimed == place)), "{claims:?}");
    assert_eq!(fs::read_to_string(&marker).unwrap(), format!("log\n{place}\n"));
    fs::write(&marker, "log\nsomething\n").unwrap();
    assert!(matches!(local.claim("log").await, Err(Error::Io { .. })), "what is no marker stays");
}
