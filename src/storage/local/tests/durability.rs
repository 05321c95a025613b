//! What is synced when, and what a failed sync does.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc;

use futures_util::FutureExt as _;

use super::super::staged::WRITE_BACK;
use super::super::sync::Scope;
use super::*;

/// Records every sync and fails those of the scope that is set.
#[derive(Clone, Default)]
struct Disk {
    log: Arc<Mutex<Vec<Scope>>>,
    failing: Arc<Mutex<Option<Scope>>>,
}

impl Disk {
    fn sync(&self) -> Fsync {
        let disk = self.clone();
        Fsync::with(move |scope, _| {
            disk.log.lock().unwrap().push(scope);
            if *disk.failing.lock().unwrap() == Some(scope) {
                return Err(io::Error::from_raw_os_error(5));
            }
            Ok(())
        })
    }

    fn fail(&self, scope: Scope) {
        *self.failing.lock().unwrap() = Some(scope);
    }

    fn heal(&self) {
        *self.failing.lock().unwrap() = None;
    }

    fn take_log(&self) -> Vec<Scope> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn on_disk() -> (TempDir, Local, Disk) {
    let disk = Disk::default();
    let (dir, local) = folder_with(disk.sync());
    disk.take_log();
    (dir, local, disk)
}

fn is_suspect<T>(result: Result<T, Error>) -> bool {
    matches!(result.err(), Some(Error::Suspect { .. }))
}

#[tokio::test]
async fn the_file_is_synced_before_its_name_and_new_folders_after() {
    use Scope::{File, Folder};
    let (_dir, local, disk) = on_disk();
    local.put(&key("blake3/ab/cd/1.x"), bytes("x")).await.unwrap();
    assert_eq!(disk.take_log(), [File, Folder, Folder, Folder, Folder], "cd, ab, blake3 and the root");
    local.put(&key("blake3/ab/cd/2.x"), bytes("x")).await.unwrap();
    assert_eq!(disk.take_log(), [File, Folder], "cd");
    local.put(&key("blake3/ab/ce/1.x"), bytes("x")).await.unwrap();
    assert_eq!(disk.take_log(), [File, Folder, Folder], "ce and ab");
    local.delete(&key("blake3/ab/ce/1.x"), None).await.unwrap();
    assert_eq!(disk.take_log(), [Folder], "ce, before it is removed");
    let staged = local.stage(&id("s")).await.unwrap();
    staged.publish(&key("blake3/ab/ce/2.x")).await.unwrap();
    assert_eq!(disk.take_log(), [File, Folder, Folder], "ce is new once more");
}

#[tokio::test]
async fn folders_made_before_a_restart_are_not_taken_for_durable() {
    let (dir, local, _) = on_disk();
    local.put(&key("blake3/ab/cd/1.x"), bytes("x")).await.unwrap();
    let disk = Disk::default();
    let local = Local::open_with(local.id().clone(), dir.path(), disk.sync()).unwrap();
    disk.take_log();
    local.put(&key("blake3/ab/cd/2.x"), bytes("x")).await.unwrap();
    assert_eq!(disk.take_log().len(), 5);
}

#[tokio::test]
async fn a_new_root_is_durable_with_its_parents() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::default();
    Local::open_with("local".parse().unwrap(), &dir.path().join("a/b"), disk.sync()).unwrap();
    assert_eq!(disk.take_log(), [Scope::Folder; 3], "a in its parent, b in a, staging in b");
}

#[tokio::test]
async fn a_failed_fsync_fails_the_write_and_makes_the_volume_suspect() {
    for scope in [Scope::File, Scope::Folder] {
        let (dir, local, disk) = on_disk();
        local.put(&key("kept"), bytes("x")).await.unwrap();
        let mut open = local.stage(&id("open")).await.unwrap();
        let staged = local.stage(&id("dropped")).await.unwrap();
        drop(staged);
        disk.fail(scope);
        let put = local.put(&key("blake3/ab/cd/1.x"), bytes("x")).await;
        assert!(matches!(put, Err(Error::Io { .. })), "{scope:?}: {put:?}");
        let head = local.head(&key("blake3/ab/cd/1.x")).await;
        assert!(matches!(head, Err(Error::NotFound { .. })), "{scope:?}: {head:?}");

        // A disk that claims to work again is not believed.
        disk.heal();
        assert!(is_suspect(local.put(&key("b"), bytes("x")).await));
        assert!(is_suspect(local.stage(&id("new")).await));
        assert!(is_suspect(local.resume(&id("dropped"), 0, &[]).await));
        assert!(is_suspect(open.append(vec![bytes("x")]).await));
        assert!(is_suspect(open.publish(&key("c")).await));
        assert!(is_suspect(local.delete(&key("kept"), None).await));
        let health = local.health().await;
        assert!(!health.writable);
        let problem = health.problem.unwrap();
        assert!(problem.contains("suspect") && problem.contains("fsync"), "{problem}");
        assert!(health.capacity.is_some());
        assert_eq!(read(&local, "kept").await.unwrap(), b"x", "reads go on");
        local.unstage(&id("dropped")).await.unwrap();

        // The process forgets it by being restarted.
        let local = Local::open(dir.path()).unwrap();
        assert!(local.health().await.writable);
        local.put(&key("b"), bytes("x")).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_fsync_of_a_publish_removes_the_staged_bytes() {
    for scope in [Scope::File, Scope::Folder] {
        let (dir, local, disk) = on_disk();
        let mut staged = local.stage(&id("s")).await.unwrap();
        staged.append(vec![bytes("x")]).await.unwrap();
        disk.fail(scope);
        assert!(matches!(staged.publish(&key("a/b")).await, Err(Error::Io { .. })));
        assert!(matches!(local.head(&key("a/b")).await, Err(Error::NotFound { .. })));
        assert_eq!(names(&dir.path().join("staging")), [""; 0], "nobody resumes it after a restart");
    }
}

#[tokio::test]
async fn a_failed_fsync_without_nameless_files_leaves_nothing() {
    let (dir, local, disk) = on_disk();
    let local = without_nameless_files(local);
    disk.fail(Scope::File);
    assert!(local.put(&key("a"), bytes("x")).await.is_err());
    assert_eq!(names(&dir.path().join("staging")), [""; 0]);
}

#[tokio::test]
async fn a_failed_probe_makes_the_volume_suspect() {
    let (_dir, local, disk) = on_disk();
    disk.fail(Scope::File);
    assert!(local.health().await.problem.unwrap().contains("fsync of a probe"));
    disk.heal();
    assert!(!local.health().await.writable);
    assert_eq!(local.leftovers(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_failed_write_back_fails_the_publish() {
    let (dir, local, disk) = on_disk();
    let mut staged = local.stage(&id("s")).await.unwrap();
    disk.fail(Scope::Progress);
    staged.append(vec![large()]).await.unwrap();
    let published = staged.publish(&key("a")).await;
    assert!(matches!(published, Err(Error::Io { .. })), "{published:?}");
    assert!(matches!(local.head(&key("a")).await, Err(Error::NotFound { .. })));
    assert!(!local.health().await.writable);
    drop(local);
    assert_eq!(names(&dir.path().join("staging")), [""; 0], "nobody resumes it after a restart");
}

/// Enough to start a write-back. The pages are zero and shared, so this costs little.
fn large() -> Bytes {
    vec![0; usize::try_from(WRITE_BACK).unwrap()].into()
}

#[tokio::test]
async fn resume_waits_for_what_a_dropped_write_left_running() {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (_dir, local) = folder_with(Fsync::with(move |scope, _| {
        if scope == Scope::Progress {
            started.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }));
    let mut staged = local.stage(&id("s")).await.unwrap();
    staged.append(vec![large()]).await.unwrap();
    tokio::task::spawn_blocking(move || has_started.recv()).await.unwrap().unwrap();

    let busy = local.resume(&id("s"), 0, &[]).await.err();
    let is_busy = |e: &io::Error| e.kind() == io::ErrorKind::ResourceBusy;
    assert!(matches!(&busy, Some(Error::Io { source, .. }) if is_busy(source)), "it is open: {busy:?}");
    let busy = local.unstage(&id("s")).await.err();
    assert!(matches!(&busy, Some(Error::Io { source, .. }) if is_busy(source)), "it is open: {busy:?}");

    drop(staged);
    let s = id("s");
    let mut resumed = local.resume(&s, 5, &[]);
    assert!(resumed.as_mut().now_or_never().is_none(), "resume waits");
    release.send(()).unwrap();
    assert_eq!(resumed.await.unwrap().len(), 5);
}

#[test]
fn an_append_that_nobody_waited_for_breaks_the_staged_write() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (_dir, local) = folder();
        let mut staged = local.stage(&id("s")).await.unwrap();
        staged.append(vec![bytes("kept")]).await.unwrap();
        let (release, released) = mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || released.recv());
        assert!(staged.append(vec![bytes("abandoned")]).now_or_never().is_none());
        release.send(()).unwrap();
        occupied.await.unwrap().unwrap();
        assert!(matches!(staged.append(vec![bytes("x")]).await, Err(Error::Io { .. })));
        assert!(matches!(staged.publish(&key("a")).await, Err(Error::Io { .. })));
        let mut staged = local.resume(&id("s"), 4, &[]).await.unwrap();
        staged.append(vec![bytes("!")]).await.unwrap();
        staged.publish(&key("a")).await.unwrap();
        assert_eq!(read(&local, "a").await.unwrap(), b"kept!");
    });
}
