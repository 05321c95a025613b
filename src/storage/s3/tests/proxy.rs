//! A proxy between the client and a server that breaks what passes through.
//!
//! It knows just enough of HTTP: one request per connection (it makes the server close), with its head read so that
//! a test can choose whom a fault hits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It is not passed on: `503 SlowDown`.
    Busy,
    /// It is not passed on: `409` with a code of the server's own.
    Conflict,
    /// The answer is cut after this many bytes by a reset.
    Reset(usize),
    /// The answer is cut after this many bytes by an orderly end.
    End(usize),
    /// The answer stands still after this many bytes.
    Stall(usize),
    /// It is carried out, and the connection is cut instead of an answer.
    Lost,
}

/// A rule: the next `times` requests whose first line holds `pattern`.
struct Rule {
    pattern: String,
    times: usize,
    fault: Fault,
}

/// The proxy. Stops when dropped.
pub(super) struct Proxy {
    pub(super) endpoint: String,
    rules: Arc<Mutex<VecDeque<Rule>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(super) async fn before(endpoint: &str) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let rules = Arc::<Mutex<VecDeque<Rule>>>::default();
        let shared = Arc::clone(&rules);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (rules, server) = (Arc::clone(&shared), server.clone());
                tokio::spawn(async move {
                    let _ = pass(client, &server, &rules).await;
                });
            }
        });
        Self { endpoint, rules, task }
    }

    /// Breaks the next `times` requests whose first line holds `pattern`, e.g. `PUT /` or `uploadId=`.
    pub(super) fn break_next(&self, times: usize, pattern: &str, fault: Fault) {
        let rule = Rule { pattern: pattern.to_owned(), times, fault };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push_back(rule);
    }

    /// Forgets the faults that have not happened.
    pub(super) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Faults that have not happened.
    pub(super) fn left(&self) -> usize {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|rule| rule.times).sum()
    }
}

fn fault_for(rules: &Mutex<VecDeque<Rule>>, line: &str) -> Option<Fault> {
    let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
    let at = rules.iter().position(|rule| line.contains(&rule.pattern))?;
    let fault = rules[at].fault;
    rules[at].times -= 1;
    if rules[at].times == 0 {
        rules.remove(at);
    }
    Some(fault)
}

async fn pass(mut client: TcpStream, server: &str, rules: &Mutex<VecDeque<Rule>>) -> std::io::Result<()> {
    let (head, rest) = head(&mut client).await?;
    let fault = fault_for(rules, head.lines().next().unwrap_or_default());
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
    });
    let mut left = length.unwrap_or(0).saturating_sub(rest.len());
    let mut to = TcpStream::connect(server).await?;
    let refusal = match fault {
        Some(Fault::Busy) => Some(("503 Slow Down", "SlowDown")),
        Some(Fault::Conflict) => Some(("409 Conflict", "ExistingObjectIsDirectory")),
        _ => None,
    };
    if refusal.is_none() {
        let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        to.write_all(head.as_bytes()).await?;
        to.write_all(&rest).await?;
    }
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let read = client.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        left = left.saturating_sub(read);
        if refusal.is_none() {
            to.write_all(&buffer[..read]).await?;
        }
    }
    if let Some((status, code)) = refusal {
        let body = format!("<Error><Code>{code}</Code><Message>come back later</Message></Error>");
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        return client.write_all(answer.as_bytes()).await;
    }
    let most = match fault {
        Some(Fault::Reset(most) | Fault::End(most) | Fault::Stall(most)) => most,
        Some(Fault::Lost) => 0,
        _ => usize::MAX,
    };
    let mut sent = 0;
    loop {
        let read = to.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let take = read.min(most - sent);
        client.write_all(&buffer[..take]).await?;
        sent += take;
        if sent == most {
            break;
        }
    }
    match fault {
        Some(Fault::Stall(_)) => std::future::pending().await,
        Some(Fault::Lost) => {
            // The answer is complete: the server has done what it was asked.
            while to.read(&mut buffer).await? > 0 {}
        }
        _ => {}
    }
    if matches!(fault, Some(Fault::Reset(_) | Fault::Lost)) {
        client.set_zero_linger()?;
    }
    Ok(())
}

/// The head of a request, and what came behind it.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
