//! A server process, an HTTP/1.1 client on plain sockets, and content that needs no memory to remember.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use artifactstore::hash::{self, Hasher};
use artifactstore::oci::Algorithm;
use tempfile::TempDir;

/// No answer takes this long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Held by every test: they run one after the other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from the environment, for those who want a shorter or a repeated run.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")),
        Err(_) => default,
    }
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("ARTIFACTSTORE_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_artifactstore").into(), PathBuf::from)
}

/// Runs a command of the binary on a data directory and expects it to find everything in order.
pub(crate) fn expect_fine(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "artifactstore {arguments:?} says {}:\n{out}{err}", output.status);
    out.into_owned()
}

/// Runs a command of the binary on a data directory.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    command(arguments, data).output().expect("the binary runs")
}

/// A command of the binary on a data directory, without the settings of whoever runs the tests.
pub(crate) fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ARTIFACTSTORE_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).arg("--data").arg(data);
    command
}

/// Looks again and again until `done` says something. Panics with `what` after [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Log,
}

/// What a server writes to its standard error. A pipe and not a file: the log must not share the fate of
/// files that cannot grow.
type Log = Arc<Mutex<Vec<u8>>>;

impl Server {
    /// Starts the binary on a data directory and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, |command| command)
    }

    /// The same with a word about its environment.
    pub(crate) fn start_with(data: &Path, set: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0"], data);
        command.stderr(Stdio::piped());
        set(&mut command);
        Self::spawn(command)
    }

    /// Starts a prepared `serve` command.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::try_spawn(command).unwrap_or_else(|said| panic!("the server did not start:\n{said}"))
    }

    /// The same for one that may refuse to start; then what it said.
    pub(crate) fn try_spawn(mut command: Command) -> Result<Self, String> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let log = Log::default();
        let logger = child.stderr.take().map(|errors| {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.extend_from_slice(&line);
                    log.push(b'\n');
                }
            })
        });
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = out.read_line(&mut line);
            let _ = tell.send(line);
            // Reads on, so that the server can never block on its output.
            let _ = io::copy(&mut out, &mut io::sink());
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let ended = child.wait();
            if let Some(logger) = logger {
                let _ = logger.join();
            }
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(format!("{line:?}, {ended:?}\n{}", String::from_utf8_lossy(&log)));
        };
        Ok(Self { child, address, log })
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).expect("a listening server accepts")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged so far. What belongs to an answer may come a moment after it.
    pub(crate) fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The line of the log that holds all of `words`.
    pub(crate) fn logged(&self, words: &[&str]) -> String {
        eventually(&format!("{words:?} in the log"), || {
            let log = self.log();
            let line = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned)
        })
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server still runs");
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must end by itself with exit code 0.
    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = eventually("the server to stop", || self.child.try_wait().unwrap());
        assert!(status.success(), "a stopped server says {status}:\n{}", self.log());
    }

    /// Peak resident memory so far, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
        let kib: u32 = line.trim().trim_end_matches(" kB").parse().unwrap();
        f64::from(kib) / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, its body collected.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Where an upload goes on.
    pub(crate) fn location(&self) -> String {
        self.header("location").expect("uploads have a location").to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends a request and all of its body before it looks at the answer: a server that says no early has
    /// to read on, or such clients see a broken connection.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.begin(method, path, headers, body.len() as u64)?;
        self.write(body)?;
        self.collect(method == "HEAD")
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn head(&mut self, path: &str) -> io::Result<Answer> {
        self.send("HEAD", path, &[], b"")
    }

    /// Streams a body into `sink`.
    pub(crate) fn pull(&mut self, path: &str, sink: impl FnMut(&[u8])) -> io::Result<u16> {
        self.begin("GET", path, &[], 0)?;
        self.answer(false, sink).map(|(status, _)| status)
    }

    /// Sends the head of a request and nothing of its body.
    pub(crate) fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: u64,
    ) -> io::Result<()> {
        let length = length.to_string();
        self.head_of(method, path, &[headers, &[("content-length", length.as_str())]].concat())
    }

    /// The same for a body whose length is not told; the caller writes its chunks.
    pub(crate) fn begin_chunked(&mut self, method: &str, path: &str) -> io::Result<()> {
        self.head_of(method, path, &[("transfer-encoding", "chunked")])
    }

    fn head_of(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: registry\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head += "\r\n";
        self.stream.get_mut().write_all(head.as_bytes())
    }

    /// Sends a part of the body of a request that was begun.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads the answer to a request whose body was written.
    pub(crate) fn end(&mut self) -> io::Result<Answer> {
        self.collect(false)
    }

    /// Waits longer than usual.
    pub(crate) fn patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(patience))?;
        self.stream.get_ref().set_write_timeout(Some(patience))
    }

    fn collect(&mut self, is_head: bool) -> io::Result<Answer> {
        let mut body = Vec::new();
        let (status, headers) = self.answer(is_head, |piece| body.extend_from_slice(piece))?;
        Ok(Answer { status, headers, body })
    }

    fn answer(
        &mut self,
        is_head: bool,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<(u16, Vec<(String, String)>)> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| invalid(&line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut left: u64 = match length {
            _ if is_head || status == 204 || status == 304 => 0,
            Some((_, length)) => length.parse().map_err(|_| invalid(length))?,
            None => return Err(invalid("the answer does not say how long it is")),
        };
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let got = self.stream.read(&mut buffer[..want])?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            sink(&buffer[..got]);
            left -= got as u64;
        }
        Ok((status, headers))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// `SplitMix64`: reproducible choices.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Bytes that follow from two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) seed: u64,
    pub(crate) length: u64,
}

/// Size of the pieces of a [`Content`].
pub(crate) const PIECE: usize = 1024 * 1024;

impl Content {
    /// Its pieces, in order, without ever holding more than one.
    pub(crate) fn pieces(self) -> Pieces {
        let mut random = Random::new(self.seed);
        let size = usize::try_from(self.length).map_or(PIECE, |length| length.min(PIECE));
        let words = (0..size.div_ceil(8)).flat_map(|_| random.next().to_le_bytes());
        Pieces { pattern: words.take(size).collect(), left: self.length, count: 0, unread: 0..0 }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let (mut pieces, mut all) = (self.pieces(), Vec::new());
        while let Some(piece) = pieces.next() {
            all.extend_from_slice(piece);
        }
        all
    }

    pub(crate) fn digest(self) -> String {
        let (mut pieces, mut hasher) = (self.pieces(), Hasher::new(Algorithm::Sha256));
        while let Some(piece) = pieces.next() {
            hasher.update(piece);
        }
        hasher.finish().to_string()
    }
}

/// A random piece that is numbered again for each round: different everywhere and made at memory speed.
pub(crate) struct Pieces {
    pattern: Vec<u8>,
    left: u64,
    count: u64,
    /// The part of the last piece that nothing was compared with.
    unread: Range<usize>,
}

impl Pieces {
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let size = usize::try_from(self.left).map_or(PIECE, |left| left.min(self.pattern.len()));
        if size == 0 {
            return None;
        }
        if self.count > 0 {
            let number = self.count.to_le_bytes();
            let stamped = number.len().min(self.pattern.len());
            self.pattern[..stamped].copy_from_slice(&number[..stamped]);
        }
        self.count += 1;
        self.left -= size as u64;
        Some(&self.pattern[..size])
    }

    /// Whether these are the bytes that come next.
    pub(crate) fn go_on_with(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.unread.is_empty() {
                self.unread = match self.next() {
                    Some(piece) => 0..piece.len(),
                    None => return false,
                };
            }
            let (head, tail) = bytes.split_at(bytes.len().min(self.unread.len()));
            if self.pattern[self.unread.start..][..head.len()] != *head {
                return false;
            }
            self.unread.start += head.len();
            bytes = tail;
        }
        true
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hash::digest(Algorithm::Sha256, bytes).to_string()
}

/// Pushes a blob in one request.
pub(crate) fn push(client: &mut Client, repository: &str, content: Content) -> io::Result<Answer> {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", content.digest());
    client.send("POST", &path, &[("content-type", "application/octet-stream")], &content.bytes())
}

/// The smallest image over one blob, whose digest is taken for its config as well.
pub(crate) fn image(blob: &str, size: u64, note: &str) -> Vec<u8> {
    let descriptor =
        |kind: &str| format!(r#"{{"mediaType":"application/{kind}","digest":"{blob}","size":{size}}}"#);
    let (config, layer) = (descriptor("vnd.test.config"), descriptor("vnd.test.layer"));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{layer}],"annotations":{{"note":"{note}"}}}}"#
    )
    .into_bytes()
}

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What lies in the staging folder of a data directory's storage.
pub(crate) fn staged(storage: &Path) -> Vec<String> {
    let entries = fs::read_dir(storage.join("staging")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Every object below a storage folder, by its key.
pub(crate) fn objects(storage: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![storage.join("blake3")]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.map(|entry| entry.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(storage).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// A folder for one test, on a real disk and not in a memory file system when there is a choice.
pub(crate) fn folder() -> TempDir {
    TempDir::with_prefix_in("artifactstore-load-", env!("CARGO_TARGET_TMPDIR")).unwrap()
}
