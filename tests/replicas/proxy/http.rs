//! Between a replica and a bucket: one HTTP/1.1 exchange after the other, some of them gone wrong.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::message::{Framing, Head};
use super::{End, Relay};
use crate::support::Random;

/// What a request asks of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
    Head,
    Delete,
    List,
    Begin,
    Part,
    Complete,
    Abort,
    Other,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageFault {
    /// It is answered with 503 `SlowDown` and never reaches the service.
    SlowDown,
    /// It is answered with 500 `InternalError` and never reaches the service.
    Internal,
    /// Both connections are reset when this many bytes of its body were passed on.
    ResetRequest(u64),
    /// The connection is reset when this many bytes of the answer's body were passed on.
    ResetAnswer(u64),
    /// The same, closed in order: the answer is shorter than it says.
    TruncateAnswer(u64),
    /// Nothing moves for this long, then everything goes on.
    Stall(Duration),
    /// The same in the middle of the answer's body, behind this many bytes.
    StallAnswer(u64, Duration),
    /// It is carried out and its answer is lost.
    LoseAnswer,
}

/// The faults of a proxy.
#[derive(Debug)]
pub(crate) struct StorageFaults(Mutex<State>);

#[derive(Debug)]
struct State {
    random: Random,
    rules: Vec<Rule>,
    struck: u64,
    seen: Vec<Operation>,
}

#[derive(Debug)]
struct Rule {
    operations: Vec<Operation>,
    /// Of a thousand such requests.
    share: u64,
    left: u64,
    fault: StorageFault,
}

/// Operations remembered for a test that failed.
const SEEN: usize = 10_000;

impl StorageFaults {
    /// Passes everything on until a fault is armed.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { random: Random::new(seed), rules: Vec::new(), struck: 0, seen: Vec::new() };
        Self(Mutex::new(state))
    }

    /// The next `times` requests of these kinds (of any kind, when none is named).
    pub(crate) fn arm(&self, operations: &[Operation], times: u64, fault: StorageFault) {
        self.arm_share(operations, 1000, times, fault);
    }

    /// The same for `share` of a thousand requests, chosen by the seed.
    pub(crate) fn arm_share(&self, operations: &[Operation], share: u64, times: u64, fault: StorageFault) {
        let operations = operations.to_vec();
        self.state().rules.push(Rule { operations, share, left: times, fault });
    }

    /// Passes everything on again. Returns how many faults struck since the last time.
    pub(crate) fn disarm(&self) -> u64 {
        let mut state = self.state();
        state.rules.clear();
        std::mem::take(&mut state.struck)
    }

    /// What was asked since the last time.
    pub(crate) fn take_seen(&self) -> Vec<Operation> {
        std::mem::take(&mut self.state().seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, operation: Operation) -> Option<StorageFault> {
        let mut state = self.state();
        let State { random, rules, struck, seen } = &mut *state;
        if seen.len() < SEEN {
            seen.push(operation);
        }
        let mut strikes = |rule: &mut Rule| {
            let meant = rule.operations.is_empty() || rule.operations.contains(&operation);
            meant && rule.left > 0 && random.below(1000) < rule.share
        };
        let rule = rules.iter_mut().find_map(|rule| strikes(rule).then_some(rule))?;
        rule.left -= 1;
        *struck += 1;
        Some(rule.fault)
    }
}

impl Relay for StorageFaults {
    async fn relay(&self, client: &mut TcpStream, server: &mut TcpStream) -> End {
        let (client_reads, mut client_writes) = client.split();
        let (server_reads, mut server_writes) = server.split();
        let (mut client_reads, mut server_reads) =
            (BufReader::with_capacity(BUFFER, client_reads), BufReader::with_capacity(BUFFER, server_reads));
        loop {
            let exchange = Exchange {
                from_client: &mut client_reads,
                to_server: &mut server_writes,
                from_server: &mut server_reads,
                to_client: &mut client_writes,
            };
            match exchange.run(self).await {
                Ok(Some(end)) => return end,
                Ok(None) => {}
                Err(_) => return End::Reset,
            }
        }
    }
}

const BUFFER: usize = 64 * 1024;

/// One request and its answer.
struct Exchange<'a, CR, SW, SR, CW> {
    from_client: &'a mut CR,
    to_server: &'a mut SW,
    from_server: &'a mut SR,
    to_client: &'a mut CW,
}

impl<CR, SW, SR, CW> Exchange<'_, CR, SW, SR, CW>
where
    CR: AsyncBufRead + Unpin,
    SW: AsyncWrite + Unpin,
    SR: AsyncBufRead + Unpin,
    CW: AsyncWrite + Unpin,
{
    /// `None` when the connection can carry another one.
    async fn run(self, faults: &StorageFaults) -> io::Result<Option<End>> {
        let Some(request) = Head::read(self.from_client).await? else {
            return Ok(Some(End::Closed));
        };
        let fault = faults.strike(Operation::of(&request));
        match fault {
            Some(StorageFault::SlowDown) => return self.refuse(&request, "503 Slow Down", "SlowDown").await,
            Some(StorageFault::Internal) => {
                return self.refuse(&request, "500 Internal Server Error", "InternalError").await;
            }
            Some(StorageFault::Stall(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let up = async {
            self.to_server.write_all(&request.bytes).await?;
            let Some(StorageFault::ResetRequest(after)) = fault else {
                request.framing(false).pump(self.from_client, self.to_server).await?;
                return io::Result::Ok(true);
            };
            request.framing(false).pump_some(after, self.from_client, self.to_server).await?;
            Ok(false)
        };
        let down = answer(fault, request.is("HEAD"), self.from_server, self.to_client);
        tokio::pin!(up, down);
        let mut sent = false;
        let end = loop {
            tokio::select! {
                passed = &mut up, if !sent => {
                    sent = passed?;
                    if !sent {
                        return Ok(Some(End::Reset));
                    }
                }
                end = &mut down => break end?,
            }
        };
        // Answered early: the rest of the request is not a request.
        Ok(end.or((!sent).then_some(End::Closed)))
    }

    async fn refuse(self, request: &Head, status: &str, code: &str) -> io::Result<Option<End>> {
        let waits = request.header("expect").is_some();
        if !waits {
            request.framing(false).pump(self.from_client, &mut tokio::io::sink()).await?;
        }
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body = if request.is("HEAD") { "" } else { &body };
        self.to_client.write_all(format!("{head}{body}").as_bytes()).await?;
        Ok(waits.then_some(End::Closed))
    }
}

/// Passes an answer on. `None` when the connection can go on.
async fn answer<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin>(
    fault: Option<StorageFault>,
    to_head: bool,
    from: &mut R,
    to: &mut W,
) -> io::Result<Option<End>> {
    let head = loop {
        let Some(head) = Head::read(from).await? else { return Ok(Some(End::Closed)) };
        if !head.first().contains(" 1") || head.first().starts_with("HTTP/1.1 101") {
            break head;
        }
        to.write_all(&head.bytes).await?; // 100 Continue
    };
    let framing = if to_head { Framing::Length(0) } else { head.framing(true) };
    if fault == Some(StorageFault::LoseAnswer) {
        framing.pump(from, &mut tokio::io::sink()).await?;
        return Ok(Some(End::Closed));
    }
    to.write_all(&head.bytes).await?;
    match fault {
        Some(StorageFault::ResetAnswer(after)) => {
            framing.pump_some(after, from, to).await?;
            return Ok(Some(End::Reset));
        }
        Some(StorageFault::TruncateAnswer(after)) => {
            framing.pump_some(after, from, to).await?;
            to.shutdown().await?;
            return Ok(Some(End::Closed));
        }
        Some(StorageFault::StallAnswer(after, time)) => {
            let rest = framing.pump_some(after, from, to).await?;
            tokio::time::sleep(time).await;
            rest.pump(from, to).await?;
        }
        _ => framing.pump(from, to).await?,
    }
    let closes = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((closes || framing == Framing::Close).then_some(End::Closed))
}

impl Operation {
    fn of(request: &Head) -> Self {
        let mut words = request.first().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        let is_bucket = path.trim_matches('/').split('/').count() < 2;
        match method {
            "POST" if asks("uploads") => Self::Begin,
            "PUT" if asks("partNumber") => Self::Part,
            "POST" if asks("uploadId") => Self::Complete,
            "DELETE" if asks("uploadId") => Self::Abort,
            "GET" if is_bucket || asks("uploadId") => Self::List,
            "HEAD" => Self::Head,
            _ if is_bucket => Self::Other,
            "PUT" => Self::Put,
            "GET" => Self::Get,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}
