//! Between a replica and `PostgreSQL`: knows where a message of the client ends, and which one commits.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::{End, Relay};
use crate::support::Random;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseFault {
    /// Cut before any message, which the server never sees.
    AtAny,
    /// Cut before a COMMIT, which the server never sees.
    BeforeCommit,
    /// Cut right behind a COMMIT: whether the server sees it is a matter of luck.
    AtCommit,
    /// Cut when the server has committed; nobody is told.
    AfterCommit,
}

/// The faults of a proxy.
#[derive(Debug)]
pub(crate) struct DatabaseFaults {
    state: Mutex<State>,
    delay: AtomicU64,
}

#[derive(Debug)]
struct State {
    random: Random,
    rules: Vec<Rule>,
    struck: u64,
}

#[derive(Debug)]
struct Rule {
    fault: DatabaseFault,
    /// Of a thousand messages it could strike.
    share: u64,
    left: u64,
}

impl DatabaseFaults {
    /// Passes everything on until a fault is armed.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { random: Random::new(seed), rules: Vec::new(), struck: 0 };
        Self { state: Mutex::new(state), delay: AtomicU64::new(0) }
    }

    /// Strikes `share` of a thousand messages, chosen by the seed, `times` at most.
    pub(crate) fn arm(&self, fault: DatabaseFault, share: u64, times: u64) {
        self.state().rules.push(Rule { fault, share, left: times });
    }

    /// Passes everything on again. Returns how many faults struck since the last time.
    pub(crate) fn disarm(&self) -> u64 {
        let mut state = self.state();
        state.rules.clear();
        std::mem::take(&mut state.struck)
    }

    /// Makes the way longer: each burst of messages waits this long before it is passed on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_micros()).unwrap(), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, commits: bool) -> Option<DatabaseFault> {
        let mut state = self.state();
        let State { random, rules, struck } = &mut *state;
        let mut strikes = |rule: &mut Rule| {
            let meant = commits || rule.fault == DatabaseFault::AtAny;
            meant && rule.left > 0 && random.below(1000) < rule.share
        };
        let rule = rules.iter_mut().find_map(|rule| strikes(rule).then_some(rule))?;
        rule.left -= 1;
        *struck += 1;
        Some(rule.fault)
    }
}

impl Relay for DatabaseFaults {
    async fn relay(&self, client: &mut TcpStream, server: &mut TcpStream) -> End {
        let swallow = AtomicBool::new(false);
        let (client_reads, mut client_writes) = client.split();
        let (server_reads, mut server_writes) = server.split();
        let mut from_client = BufReader::with_capacity(BUFFER, client_reads);
        let up = async {
            if greet(&mut from_client, &mut client_writes, &mut server_writes).await? {
                let down = down(server_reads, &mut client_writes, &swallow);
                tokio::select! {
                    end = self.up(&mut from_client, &mut server_writes, &swallow) => end,
                    end = down => end,
                }
            } else {
                Ok(End::Closed)
            }
        };
        up.await.unwrap_or(End::Reset)
    }
}

const BUFFER: usize = 64 * 1024;

/// A message of the largest batch, and a few times that.
const LONGEST: u32 = 256 * 1024 * 1024;

impl DatabaseFaults {
    async fn up(
        &self,
        from: &mut BufReader<ReadHalf<'_>>,
        to: &mut WriteHalf<'_>,
        swallow: &AtomicBool,
    ) -> io::Result<End> {
        let (mut commits, mut burst) = (Commits::default(), Vec::new());
        loop {
            let Some(message) = Message::read(from).await? else { return Ok(End::Closed) };
            let fault = self.strike(commits.is_one(&message));
            if matches!(fault, Some(DatabaseFault::AtAny | DatabaseFault::BeforeCommit)) {
                // What came before it in the same burst arrives.
                to.write_all(&burst).await?;
                return Ok(End::Reset);
            }
            burst.extend_from_slice(&message.bytes);
            if fault == Some(DatabaseFault::AfterCommit) {
                swallow.store(true, Ordering::SeqCst);
            }
            let more = !from.buffer().is_empty();
            if more && fault.is_none() && burst.len() < BUFFER {
                continue;
            }
            let delay = self.delay.load(Ordering::Relaxed);
            if delay > 0 {
                tokio::time::sleep(Duration::from_micros(delay)).await;
            }
            to.write_all(&burst).await?;
            burst.clear();
            if fault == Some(DatabaseFault::AtCommit) {
                return Ok(End::Closed);
            }
        }
    }
}

/// Passes answers on, until one is to be swallowed.
async fn down(mut from: ReadHalf<'_>, to: &mut WriteHalf<'_>, swallow: &AtomicBool) -> io::Result<End> {
    let (mut buffer, mut swallowed) = (vec![0; BUFFER], Vec::new());
    loop {
        let got = from.read(&mut buffer).await?;
        if got == 0 {
            return Ok(End::Closed);
        }
        if swallow.load(Ordering::SeqCst) {
            swallowed.extend_from_slice(&buffer[..got]);
            // Until the server says so it may not have happened.
            if swallowed.windows(COMMITTED.len()).any(|window| window == COMMITTED) {
                return Ok(End::Reset);
            }
        } else {
            to.write_all(&buffer[..got]).await?;
        }
    }
}

/// The tag of a command that has committed.
const COMMITTED: &[u8] = b"COMMIT\0";

/// Carries the start of a connection. `false` when that was all of it.
async fn greet(
    from: &mut BufReader<ReadHalf<'_>>,
    to_client: &mut WriteHalf<'_>,
    to_server: &mut WriteHalf<'_>,
) -> io::Result<bool> {
    const TLS: u32 = 80_877_103;
    const GSS: u32 = 80_877_104;
    const CANCEL: u32 = 80_877_102;
    loop {
        let length = from.read_u32().await?;
        let code = from.read_u32().await?;
        let mut rest = vec![0; usize::try_from(length.saturating_sub(8).min(LONGEST)).unwrap()];
        from.read_exact(&mut rest).await?;
        if matches!(code, TLS | GSS) {
            // Or nothing could be read here.
            to_client.write_all(b"N").await?;
            continue;
        }
        let start = [&length.to_be_bytes()[..], &code.to_be_bytes(), &rest].concat();
        to_server.write_all(&start).await?;
        return Ok(code != CANCEL);
    }
}

/// A message of the client: its kind, its length, its content.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    async fn read(from: &mut BufReader<ReadHalf<'_>>) -> io::Result<Option<Self>> {
        let kind = match from.read_u8().await {
            Ok(kind) => kind,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = from.read_u32().await?;
        if !(4..LONGEST).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap() + 1];
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&length.to_be_bytes());
        from.read_exact(&mut bytes[5..]).await?;
        Ok(Some(Self { bytes }))
    }

    /// The texts it begins with, each ended by a zero.
    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[5..].split(|&byte| byte == 0)
    }
}

/// Which messages of a connection commit.
#[derive(Default)]
struct Commits {
    statements: HashSet<Vec<u8>>,
    portals: HashSet<Vec<u8>>,
}

impl Commits {
    fn is_one(&mut self, message: &Message) -> bool {
        let says = |text: &[u8]| text.to_ascii_uppercase().windows(6).any(|window| window == b"COMMIT");
        let mut texts = message.texts();
        let mut text = || texts.next().unwrap_or_default().to_vec();
        match message.bytes[0] {
            b'Q' => says(&text()),
            b'P' => {
                let (name, sql) = (text(), text());
                if says(&sql) {
                    self.statements.insert(name);
                } else {
                    self.statements.remove(&name);
                }
                false
            }
            b'B' => {
                let (portal, statement) = (text(), text());
                if self.statements.contains(&statement) {
                    self.portals.insert(portal);
                } else {
                    self.portals.remove(&portal);
                }
                false
            }
            b'E' => self.portals.contains(&text()),
            _ => false,
        }
    }
}
