//! Real disks that are full or read-only, under the real binary.
//!
//! A small memory file system is mounted where the test may do that. Elsewhere the kernel is told that no
//! file of the server may grow further (`RLIMIT_FSIZE`), and folders lose their write permission. Both
//! ways say on standard output which one ran.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Answer, Client, Content, IMAGE, Server, alone, command, folder, image, push, sha256, staged,
};

const MIB: u64 = 1024 * 1024;

/// What a full disk is called in an error.
const FULL: [&str; 3] = ["No space left on device", "File too large", "database or disk is full"];

/// A folder whose space can run out.
struct Disk {
    path: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// `path` with 8 MiB of space, or with all there is.
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&path).output();
        let is_mounted = mount.is_ok_and(|output| output.status.success());
        println!("{}: {}", path.display(), if is_mounted { "tmpfs of 8 MiB" } else { "RLIMIT_FSIZE" });
        Self { path, is_mounted }
    }

    /// Takes all space there is for the server's files.
    fn fill(&self, server: &Server) {
        if self.is_mounted {
            let mut filler = File::create(self.path.join("filler")).unwrap();
            for size in [64 * 1024, 512, 1] {
                while filler.write_all(&vec![1; size]).is_ok() {}
            }
        } else {
            limit(server, "1");
        }
    }

    /// Gives it back.
    fn free(&self, server: &Server) {
        if self.is_mounted {
            fs::remove_file(self.path.join("filler")).unwrap();
        } else {
            limit(server, "unlimited");
        }
    }

    /// Lets nobody write, or everybody again.
    fn read_only(&self, is_read_only: bool) {
        if self.is_mounted {
            let how = if is_read_only { "remount,ro" } else { "remount,rw" };
            let status = Command::new("mount").args(["-o", how]).arg(&self.path).status().unwrap();
            assert!(status.success(), "mount -o {how}");
        } else {
            let mode = if is_read_only { 0o555 } else { 0o755 };
            fs::set_permissions(self.path.join("staging"), Permissions::from_mode(mode)).unwrap();
            if is_read_only {
                File::create(self.path.join("staging/probe"))
                    .expect_err("root ignores permissions, but root could have mounted a file system");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: a server that outlived a failed assertion may still use it.
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
    }
}

/// How long a file of the server may become. Only the soft limit, so that it can be lifted again.
fn limit(server: &Server, bytes: &str) {
    let pid = server.pid().to_string();
    let status =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status().unwrap();
    assert!(status.success(), "prlimit --fsize={bytes}: --pid {pid}");
}

/// A server that is told of a limit by an error and not by a signal.
fn start(data: &Path, storage: &Path) -> Server {
    let serve = command(&["serve", "--listen", "127.0.0.1:0"], data);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(serve.get_program()).args(serve.get_args());
    for (name, _) in serve.get_envs() {
        shell.env_remove(name);
    }
    shell.env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", storage);
    Server::spawn(shell, data.with_extension("log"))
}

#[track_caller]
fn failed(answer: &Answer) {
    assert!((500..600).contains(&answer.status), "{answer:?}");
}

/// The log names the cause in one sentence about the request.
#[track_caller]
fn logged(server: &Server, causes: &[&str]) {
    let log = server.log();
    let named =
        |line: &str| line.contains("A request failed") && causes.iter().any(|cause| line.contains(cause));
    assert!(log.lines().any(named), "none of {causes:?} in the log:\n{log}");
}

fn blob(content: Content) -> String {
    format!("/v2/some/app/blobs/{}", content.digest())
}

fn begin(client: &mut Client) -> String {
    client.send("POST", "/v2/some/app/blobs/uploads/", &[], b"").unwrap().expect(202).location()
}

#[test]
fn full_storage_refuses_what_does_not_fit_and_nothing_else() {
    let _alone = alone();
    let folder = folder();
    let (data, disk) = (folder.path().join("data"), Disk::new(folder.path().join("storage")));
    let server = start(&data, &disk.path);
    let first = Content { seed: 1, length: MIB };
    let chunk = Content { seed: 2, length: MIB };
    let large = Content { seed: 3, length: 16 * MIB };
    let mut client = server.client();
    push(&mut client, "some/app", first).unwrap().expect(201);
    // One upload has its first chunk, another one is about to start.
    let half = begin(&mut client);
    let half = client.send("PATCH", &half, &[], &chunk.bytes()).unwrap().expect(202).location();
    let fresh = begin(&mut client);

    disk.fill(&server);
    failed(&push(&mut server.client(), "some/app", large).unwrap());
    logged(&server, &FULL);
    failed(&push(&mut server.client(), "some/app", Content { seed: 9, length: 1000 }).unwrap());
    failed(&server.client().send("PATCH", &fresh, &[], &large.bytes()).unwrap());
    failed(&server.client().send("PATCH", &half, &[], &large.bytes()).unwrap());
    client.head(&blob(large)).unwrap().expect(404);
    assert_eq!(client.get(&blob(first)).unwrap().expect(200).body, first.bytes());
    let left = staged(&disk.path);
    assert_eq!(left.len(), 1, "the first chunk of one upload: {left:?}");

    disk.free(&server);
    client.get("/readyz").unwrap().expect(200);
    // Without the filler 6 MiB fit, as far as no failed upload holds any of them.
    if disk.is_mounted {
        failed(&server.client().send("PATCH", &half, &[], &large.bytes()).unwrap());
        failed(&server.client().send("PATCH", &fresh, &[], &large.bytes()).unwrap());
    }
    let next = Content { seed: 4, length: 5 * MIB };
    push(&mut server.client(), "some/app", next).unwrap().expect(201);
    assert_eq!(client.get(&blob(next)).unwrap().expect(200).body, next.bytes());
    // The upload that failed in the middle goes on where its last answer said.
    let range = client.get(&half).unwrap().expect(204).header("range").unwrap().to_owned();
    assert_eq!(range, format!("0-{}", MIB - 1));
    let put = format!("{half}?digest={}", chunk.digest());
    client.send("PUT", &put, &[], b"").unwrap().expect(201);
    assert_eq!(client.get(&blob(chunk)).unwrap().expect(200).body, chunk.bytes());
    server.stop();
    check(&data, &disk.path);
}

#[test]
fn a_full_database_refuses_pushes_until_there_is_space() {
    let _alone = alone();
    let folder = folder();
    let (disk, storage) = (Disk::new(folder.path().join("data")), folder.path().join("storage"));
    let server = start(&disk.path, &storage);
    let first = Content { seed: 1, length: MIB };
    let next = Content { seed: 2, length: MIB };
    let mut client = server.client();
    push(&mut client, "some/app", first).unwrap().expect(201);
    // Longer than whatever the files of the database hold in reserve.
    let manifest = image(&first.digest(), first.length, &"x".repeat(3_000_000));
    let put = "/v2/some/app/manifests/v1";
    let by_digest = format!("/v2/some/app/manifests/{}", sha256(&manifest));

    disk.fill(&server);
    failed(&server.client().send("PUT", put, &[("content-type", IMAGE)], &manifest).unwrap());
    logged(&server, &FULL);
    for path in [put, &by_digest] {
        client.head(path).unwrap().expect(404);
    }
    // A blob needs a little space only: it may still find some, but what is refused is not there.
    let pushed = push(&mut server.client(), "some/app", next).unwrap();
    let seen = client.head(&blob(next)).unwrap();
    assert!((pushed.status, seen.status) == (201, 200) || (pushed.status >= 500 && seen.status == 404));
    assert_eq!(client.get(&blob(first)).unwrap().expect(200).body, first.bytes());
    client.get("/livez").unwrap().expect(200);

    disk.free(&server);
    push(&mut client, "some/app", next).unwrap().expect(201);
    client.send("PUT", put, &[("content-type", IMAGE)], &manifest).unwrap().expect(201);
    assert_eq!(client.get(put).unwrap().expect(200).body, manifest);
    server.stop();
    check(&disk.path, &storage);
}

#[test]
fn storage_that_turns_read_only_between_two_chunks_loses_neither() {
    let _alone = alone();
    let folder = folder();
    let (data, disk) = (folder.path().join("data"), Disk::new(folder.path().join("storage")));
    let server = start(&data, &disk.path);
    let content = Content { seed: 1, length: 3 * MIB };
    let small = Content { seed: 2, length: 1000 };
    let bytes = content.bytes();
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let mut client = server.client();
    push(&mut client, "some/app", small).unwrap().expect(201);
    let location = begin(&mut client);
    let location = client.send("PATCH", &location, &[], head).unwrap().expect(202).location();

    disk.read_only(true);
    let put = format!("{location}?digest={}", content.digest());
    if disk.is_mounted {
        failed(&server.client().send("PATCH", &location, &[], tail).unwrap());
    }
    let fresh = begin(&mut client);
    failed(&server.client().send("PATCH", &fresh, &[], tail).unwrap());
    failed(&push(&mut server.client(), "some/app", content).unwrap());
    logged(&server, &["Read-only file system", "Permission denied"]);
    client.head(&blob(content)).unwrap().expect(404);
    assert_eq!(client.get(&blob(small)).unwrap().expect(200).body, small.bytes());
    client.get("/readyz").unwrap().expect(503);

    disk.read_only(false);
    client.get("/readyz").unwrap().expect(200);
    client.send("PUT", &put, &[], tail).unwrap().expect(201);
    assert_eq!(client.get(&blob(content)).unwrap().expect(200).body, bytes);
    server.stop();
    check(&data, &disk.path);
}

/// `verify` and `replay --check` with the storage elsewhere.
fn check(data: &Path, storage: &Path) {
    for arguments in [&["verify"][..], &["replay", "--check"]] {
        let output =
            command(arguments, data).env("ARTIFACTSTORE_STORAGE_LOCAL_ROOT", storage).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}
