//! Consumers of the log over every framing, whose connections are cut again and again, in the middle of a line too. Each
//! keeps nothing but its place, and checks that it sees every event once and in order. And those who write meanwhile.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use artifactstore::oci::{Algorithm, Digest};
use serde_json::Value;

use crate::support::{Client, Content, PATIENCE, Random, push};

const WRITERS: u64 = 8;

/// Two of each framing.
const FOLLOWERS: u64 = 10;

/// Writers and consumers at work while `disturb` does so many `kills`. Fails unless every consumer saw every event once,
/// in order, and the same. `whom` says which server to ask next.
pub(crate) fn followed<T>(
    seed: u64,
    kills: u64,
    whom: impl Fn(&mut Random) -> SocketAddr + Sync,
    disturb: impl FnOnce() -> T,
) -> T {
    let (ends, last, whom) = (&AtomicBool::new(false), &AtomicU64::new(0), &whom);
    let (disturbed, acknowledged, followers) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(move || write(number, seed ^ (number + 1), ends, whom)))
            .collect();
        let followers: Vec<_> = (0..FOLLOWERS)
            .zip(FRAMINGS.into_iter().cycle())
            .map(|(number, framing)| {
                scope.spawn(move || {
                    let mut follower = Follower::new(framing, seed ^ (100 + number));
                    follower.run(last, whom);
                    follower
                })
            })
            .collect();
        let disturbed = disturb();
        let mut client = Client::connect(whom(&mut Random::new(seed))).unwrap();
        ends.store(true, Ordering::SeqCst);
        let acknowledged: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        last.store(head(&mut client), Ordering::SeqCst);
        // One more after the last that counts wakes those who wait.
        push(&mut client, "last", Content { seed, length: 64 }).unwrap().expect(201);
        let followers = followers.into_iter().map(|follower| follower.join().unwrap());
        (disturbed, acknowledged, followers.collect::<Vec<_>>())
    });
    let last = usize::try_from(last.load(Ordering::SeqCst)).unwrap();
    let cuts: u64 = followers.iter().map(|follower| follower.cuts).sum();
    println!("{last} events over {kills} kills, {acknowledged} pushes acknowledged, {cuts} connections cut");
    assert!(last as u64 >= acknowledged && acknowledged > kills && cuts > FOLLOWERS);
    for follower in &followers {
        assert_eq!(follower.seen[..last], followers[0].seen[..last]);
    }
    disturbed
}

/// How a consumer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Pages, one after the other.
    List,
    /// Pages that wait for what is to come.
    LongPoll,
    Ndjson,
    Sse,
    Cbor,
}

const FRAMINGS: [Framing; 5] =
    [Framing::List, Framing::LongPoll, Framing::Ndjson, Framing::Sse, Framing::Cbor];

/// A consumer that is not served for this long has been forgotten.
const FORGOTTEN: Duration = Duration::from_mins(3);

/// What a consumer has seen.
struct Follower {
    framing: Framing,
    random: Random,
    /// The leaf hash of every event, in order.
    seen: Vec<String>,
    /// How often its connection was cut, by itself or by a server that died.
    cuts: u64,
}

impl Follower {
    fn new(framing: Framing, seed: u64) -> Self {
        Self { framing, random: Random::new(seed), seen: Vec::new(), cuts: 0 }
    }

    fn at(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Follows from the first event until it has seen the one that `last` names, which is 0 while that is not known.
    /// `whom` says which server to ask next.
    fn run(&mut self, last: &AtomicU64, whom: impl Fn(&mut Random) -> SocketAddr) {
        let is_done = |at| (1..=at).contains(&last.load(Ordering::SeqCst));
        let mut served = Instant::now();
        while !is_done(self.at()) {
            let before = self.at();
            let address = whom(&mut self.random);
            if let Err(error) = self.read(address, &is_done) {
                self.cuts += 1;
                assert!(served.elapsed() < FORGOTTEN, "{:?} stays at {before}: {error}", self.framing);
                thread::sleep(Duration::from_millis(self.random.below(30)));
            }
            if self.at() > before {
                served = Instant::now();
            }
        }
    }

    /// Reads until it is done or something breaks.
    fn read(&mut self, address: SocketAddr, is_done: &impl Fn(u64) -> bool) -> io::Result<()> {
        let (at, path) = (self.at(), "/v2/_artifactstore/events");
        // Most cuts come after some events, some within the first.
        let most = if self.random.below(4) == 0 { 600 } else { 60_000 };
        let budget = 1 + self.random.below(most);
        let open = |query: String, accept, last_id| {
            Body::open(address, &format!("{path}?{query}"), accept, last_id, budget)
        };
        match self.framing {
            Framing::List | Framing::LongPoll => {
                let wait = if self.framing == Framing::List { 0 } else { 20 };
                let limit = 1 + self.random.below(50);
                let query = format!("since={at}&limit={limit}&wait={wait}");
                let mut page = String::new();
                open(query, "application/json", None)?.read_to_string(&mut page)?;
                self.page(&serde_json::from_str(&page).expect("a whole page is JSON"));
                if self.framing == Framing::List {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            Framing::Ndjson => {
                let mut lines = open(format!("since={at}"), "application/x-ndjson", None)?;
                while !is_done(self.at()) {
                    let Some(line) = lines.line()? else { return Ok(()) };
                    self.object(&serde_json::from_str(&line).expect("a whole line is JSON"));
                }
            }
            Framing::Sse => {
                // Where a browser was, it says so itself, and asks for what its page was made with.
                let last_id = (at > 0).then_some(at);
                self.messages(open("since=0".to_owned(), "text/event-stream", last_id)?, is_done)?;
            }
            Framing::Cbor => {
                let mut items = open(format!("since={at}&wait=20"), "application/cbor-seq", None)?;
                while !is_done(self.at()) {
                    match ciborium::from_reader::<ciborium::Value, _>(&mut items) {
                        Ok(item) => self.item(&item),
                        Err(ciborium::de::Error::Io(error))
                            if error.kind() == io::ErrorKind::UnexpectedEof =>
                        {
                            return Ok(());
                        }
                        Err(ciborium::de::Error::Io(error)) => return Err(error),
                        Err(error) => panic!("after event {}: {error}", self.at()),
                    }
                }
            }
        }
        Ok(())
    }

    fn page(&mut self, page: &Value) {
        let before = self.at();
        page["events"].as_array().expect("a page has events").iter().for_each(|event| self.event(event));
        let scanned_to = page["scanned_to"].as_u64().expect("a page says how far it looked");
        assert_eq!((scanned_to, &page["next_since"]), (self.at(), &page["scanned_to"]), "after {before}");
        assert!(page["head"].as_u64() >= Some(scanned_to), "{}", page["head"]);
    }

    /// A line of NDJSON.
    fn object(&mut self, line: &Value) {
        if let Some(place) = line.get("bookmark").or_else(|| line.get("end")) {
            assert_eq!(place["scanned_to"], self.at(), "everything before a bookmark was sent");
        } else {
            self.event(line);
        }
    }

    fn messages(&mut self, mut lines: Body, is_done: &impl Fn(u64) -> bool) -> io::Result<()> {
        let (mut id, mut kind, mut data) = (None, String::new(), String::new());
        while !is_done(self.at()) {
            let Some(line) = lines.line()? else { return Ok(()) };
            match line.split_once(": ") {
                Some(("id", value)) => id = value.parse::<u64>().ok(),
                Some(("event", value)) => value.clone_into(&mut kind),
                Some(("data", value)) => value.clone_into(&mut data),
                _ => {}
            }
            if !line.is_empty() || data.is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&data).expect("whole data is JSON");
            match kind.as_str() {
                "bookmark" => assert_eq!(value["scanned_to"], self.at()),
                "end" => {}
                _ => self.event(&value),
            }
            assert!(kind == "end" || id == Some(self.at()), "{kind} has the id {id:?} at {}", self.at());
            (id, data) = (None, String::new());
            kind.clear();
        }
        Ok(())
    }

    /// An item of a CBOR sequence: the stored bytes of an event, or a word of the stream.
    fn item(&mut self, item: &ciborium::Value) {
        let field = |name: &str| {
            let entries = item.as_map().expect("every item is a map");
            entries.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
        };
        let Some(sequence) = field("sequence") else { return };
        let header = field("header").and_then(ciborium::Value::as_bytes).expect("an event has its header");
        let leaf =
            field("leaf_hash").and_then(ciborium::Value::as_bytes).expect("an event has its leaf hash");
        assert_eq!(*leaf, artifactstore::hash::sha256(&[&[0], header]), "RFC 6962 section 2.1");
        let leaf = Digest::from_bytes(Algorithm::Sha256, leaf).to_string();
        let sequence = sequence.as_integer().and_then(|number| u64::try_from(number).ok());
        self.take(sequence.expect("a sequence is a number"), leaf);
    }

    fn event(&mut self, event: &Value) {
        let sequence = event["sequence"].as_u64().unwrap_or_else(|| panic!("{event} is no event"));
        self.take(sequence, event["leaf_hash"].as_str().expect("an event has its leaf hash").to_owned());
    }

    fn take(&mut self, sequence: u64, leaf: String) {
        assert_eq!(sequence, self.at() + 1, "{:?}, cut {} times", self.framing, self.cuts);
        self.seen.push(leaf);
    }
}

/// The body of an answer, which breaks off after so many bytes.
pub(crate) struct Body {
    stream: BufReader<TcpStream>,
    is_chunked: bool,
    /// Of the chunk, or of the body.
    left: u64,
    is_over: bool,
    budget: u64,
}

impl Body {
    /// Asks and reads the head of the answer; an error also for one that is to be tried again.
    pub(crate) fn open(
        address: SocketAddr,
        path: &str,
        accept: &str,
        last_id: Option<u64>,
        budget: u64,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let last_id = last_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: registry\r\naccept: {accept}\r\n{last_id}\r\n")?;
        let mut body =
            Self { stream: BufReader::new(stream), is_chunked: false, left: 0, is_over: false, budget };
        let status = body.raw_line()?;
        loop {
            let line = body.raw_line()?.to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length:") {
                body.left = length.trim().parse().expect("a length is a number");
            }
            body.is_chunked |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                break;
            }
        }
        match status.split(' ').nth(1) {
            Some("200") => Ok(body),
            Some("503") => Err(io::Error::other("not now")),
            _ => {
                let mut text = String::new();
                let _ = body.read_to_string(&mut text);
                panic!("{path} is answered {status}: {text}");
            }
        }
    }

    /// The next line, without its end; nothing when the body is over. A line that breaks off is an error.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            if self.read(&mut byte)? == 0 {
                return if line.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            if byte == *b"\n" {
                return Ok(Some(String::from_utf8(line).expect("the server sends UTF-8")));
            }
            line.push(byte[0]);
        }
    }

    fn raw_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 || !line.ends_with("\r\n") {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_chunked && self.left == 0 && !self.is_over {
            let size = self.raw_line()?;
            self.left = u64::from_str_radix(&size, 16).expect("a chunk says its size");
            if self.left == 0 {
                self.is_over = true;
                self.raw_line()?;
            }
        }
        if self.left == 0 || self.is_over {
            return Ok(0);
        }
        if self.budget == 0 {
            return Err(io::Error::other("cut"));
        }
        let most = usize::try_from(self.left.min(self.budget)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        (self.left, self.budget) = (self.left - read as u64, self.budget - read as u64);
        // The end of a chunk.
        if self.is_chunked && self.left == 0 {
            self.raw_line()?;
        }
        Ok(read)
    }
}

/// Pushes small blobs until it is told to end, and breaks off some of the requests. How many were acknowledged.
fn write(number: u64, seed: u64, ends: &AtomicBool, server: impl Fn(&mut Random) -> SocketAddr) -> u64 {
    let mut random = Random::new(seed);
    let (mut done, mut acknowledged) = (0, 0);
    while !ends.load(Ordering::SeqCst) {
        let address = server(&mut random);
        let pushed = Client::connect(address).and_then(|mut client| {
            for _ in 0..=random.below(20) {
                done += 1;
                let content = Content { seed: number << 32 | done, length: 64 };
                if random.below(5) == 0 {
                    // Half of a body, or a whole request whose answer nobody waits for.
                    let path = format!("/v2/w{number}/blobs/uploads/?digest={}", content.digest());
                    client.begin("POST", &path, &[("content-type", "application/octet-stream")], 64)?;
                    let sent = if random.below(2) == 0 { 32 } else { 64 };
                    client.write(&content.bytes()[..sent])?;
                    return Ok(());
                }
                let answer = push(&mut client, &format!("w{number}"), content)?;
                assert!(matches!(answer.status, 201 | 503), "{}", answer.status);
                acknowledged += u64::from(answer.status == 201);
            }
            Ok(())
        });
        if pushed.is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }
    acknowledged
}

/// Where the log ends.
pub(crate) fn head(client: &mut Client) -> u64 {
    let page = client.get("/v2/_artifactstore/events?limit=1").unwrap().expect(200);
    let page: Value = serde_json::from_slice(&page.body).unwrap();
    page["head"].as_u64().unwrap()
}
