//! The log of a registry over HTTP: pages, or a stream.

use std::fmt::{Display, Write as _};

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::http::Call;
use super::super::packages::plain;
use super::super::{Client, Error as ClientError, retry};
use super::frame::{Told, line};
use super::lines::Lines;
use super::{Batch, Error, Event, Fault, Filter, Format, Frame, Identity, MAX_EVENT, Reader};

/// Events of one page.
const PAGE: usize = 1000;

/// One event or bookmark a line.
const NDJSON: &str = "application/x-ndjson";

/// Reads the log of a registry.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    /// The path of the events, and the filter as a query.
    target: String,
    query: String,
    /// Whom tokens are for.
    scope: String,
    format: Format,
    is_followed: bool,
    stream: Option<Stream>,
    /// Why the server ended it, which is told behind what came before.
    trouble: Option<String>,
}

/// A stream that is open.
#[derive(Debug)]
struct Stream {
    body: Incoming,
    lines: Lines,
}

/// A page of events, each as it was sent.
#[derive(Deserialize)]
struct Page<'a> {
    log_id: String,
    epoch: i64,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    scanned_to: i64,
    head: i64,
}

impl Remote {
    /// Reads what the filter lets through, in pages, or in a stream that goes on when it follows. Nothing is sent yet.
    pub fn new(client: Client, filter: &Filter, format: Format, is_followed: bool) -> Self {
        let scope = filter.repository.as_ref().map_or_else(String::new, |name| name.as_str().to_owned());
        let target = match &filter.repository {
            Some(name) => format!("/v2/{name}/_artifactstore/events"),
            None => "/v2/_artifactstore/events".to_owned(),
        };
        let mut query = String::new();
        if !filter.types.is_empty() {
            let _ = write!(query, "&types={}", plain(&filter.types.join(",")));
        }
        if let Some(package) = &filter.package {
            let _ = write!(query, "&package={package}");
        }
        Self { client, target, query, scope, format, is_followed, stream: None, trouble: None }
    }

    /// A request for what is behind `since`, a number or `now`.
    fn call(&self, since: impl Display, rest: &str) -> Call<'_> {
        let Self { target, query, .. } = self;
        Call::new(Method::GET, format!("{target}?since={since}{query}{rest}"), &self.scope)
    }

    /// A stream that ends with the log when it is not followed: a page of `CloudEvents` has no place for where it is.
    fn is_streamed(&self) -> bool {
        self.is_followed || self.format == Format::CloudEvents
    }

    async fn ask(&self, since: i64, call: &Call<'_>) -> Result<Response<Incoming>, Error> {
        let answer = self.client.send(call).await.map_err(passing)?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let after = retry::asked(answer.headers());
        let refused = self.client.refusal(call, answer).await;
        let said = match &refused {
            ClientError::Refused { message, .. } => message.clone(),
            _ => String::new(),
        };
        Err(match status {
            StatusCode::CONFLICT => Fault::Ahead { since, said }.into(),
            StatusCode::GONE => Fault::Expired { since, said }.into(),
            _ if status.is_server_error() || retry::is_passing(status) => {
                Error::Passing { source: Box::new(refused), after }
            }
            _ => Error::Failed(Box::new(refused)),
        })
    }

    /// A page in one piece.
    async fn page(&self, since: Option<i64>, rest: &str) -> Result<(Identity, Vec<Frame>), Error> {
        let behind = since.map_or_else(|| "now".to_owned(), |since| since.to_string());
        let call = self.call(behind, rest).header(ACCEPT, "application/json");
        let answer = self.ask(since.unwrap_or_default(), &call).await?;
        let body = self.client.body(&call.what(), answer, MAX_EVENT).await.map_err(passing)?;
        let wrong = |reason: String| failed(self.client.protocol(&call.what(), reason));
        let page: Page<'_> = serde_json::from_slice(&body)
            .map_err(|error| wrong(format!("its answer is no page of events: {error}")))?;
        let events = page.events.iter().map(|raw| Event::read(body.slice_ref(raw.get().as_bytes())));
        let events: Vec<Event> = events.collect::<Result<_, _>>().map_err(wrong)?;
        if let Some(event) = events.iter().find(|event| event.sequence > page.head) {
            return Err(Fault::BeyondHead { found: event.sequence, head: page.head }.into());
        }
        let next = events.first().and_then(Event::seen);
        let (scanned_to, head) = (page.scanned_to, page.head);
        let mut frames: Vec<Frame> = events.into_iter().map(Frame::Event).collect();
        frames.push(Frame::Bookmark { scanned_to, head: Some(head) });
        Ok((Identity { log_id: page.log_id, epoch: page.epoch, head, next }, frames))
    }

    async fn next_page(&self, since: i64, log: &Identity) -> Result<Batch, Error> {
        let (page, frames) = self.page(Some(since), &format!("&limit={PAGE}{}", of(log))).await?;
        if let [Frame::Bookmark { scanned_to, head: Some(head) }] = frames[..]
            && scanned_to == since
            && since < head
        {
            let reason = format!("its page behind event {since} leads nowhere, and it has {head} events");
            return Err(failed(self.client.protocol(&format!("GET {}", self.target), reason)));
        }
        Ok(Batch { log: Some((page.log_id, page.epoch)), frames, is_over: false })
    }

    async fn open(&self, since: i64, log: &Identity) -> Result<Stream, Error> {
        let wait = if self.is_followed { "" } else { "&wait=0" };
        let format = match self.format {
            Format::Json => "",
            Format::CloudEvents => "&format=cloudevents",
        };
        let call = self.call(since, &format!("{}{wait}{format}", of(log))).header(ACCEPT, NDJSON);
        let answer = self.ask(since, &call).await?;
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() != NDJSON {
            let reason = format!("its answer is not {NDJSON}");
            return Err(failed(self.client.protocol(&call.what(), reason)));
        }
        Ok(Stream { body: answer.into_body(), lines: Lines::new(MAX_EVENT) })
    }

    /// All lines that are whole; waits for one.
    async fn told(&mut self) -> Result<Batch, Error> {
        let what = format!("GET {}", self.target);
        let Some(Stream { body, lines }) = &mut self.stream else {
            return Ok(Batch { is_over: true, ..Batch::default() });
        };
        let mut batch = Batch::default();
        loop {
            let mut next = || lines.next().map_err(|_| format!("a line of more than {MAX_EVENT} bytes"));
            let wrong = |reason: String| failed(self.client.protocol(&what, reason));
            while let Some(text) = next().map_err(wrong)? {
                match line(text).map_err(wrong)? {
                    Told::Frame(frame) => batch.frames.push(frame),
                    Told::Begin(frame, log) => {
                        batch.frames.push(frame);
                        batch.log = Some(log);
                    }
                    Told::End { scanned_to, trouble } => {
                        let bookmark =
                            scanned_to.map(|scanned_to| Frame::Bookmark { scanned_to, head: None });
                        batch.frames.extend(bookmark);
                        batch.is_over = true;
                        self.trouble = trouble;
                        break;
                    }
                }
            }
            if batch.is_over || !batch.frames.is_empty() {
                return Ok(batch);
            }
            match self.client.chunk(body).await.map_err(passing)? {
                Some(piece) => lines.push(&piece),
                // Without saying so; what there is of a line goes with it.
                None => return Ok(Batch { is_over: true, ..batch }),
            }
        }
    }
}

impl Reader for Remote {
    async fn identify(&mut self, since: Option<i64>) -> Result<Identity, Error> {
        self.stream = None;
        Ok(self.page(since, "&limit=1").await?.0)
    }

    async fn read(&mut self, since: i64, log: &Identity) -> Result<Batch, Error> {
        if !self.is_streamed() {
            return self.next_page(since, log).await;
        }
        if let Some(trouble) = self.trouble.take() {
            return Err(Error::Passing { source: trouble.into(), after: None });
        }
        if self.stream.is_none() {
            self.stream = Some(self.open(since, log).await?);
        }
        let told = self.told().await;
        if !matches!(&told, Ok(Batch { is_over: false, .. })) {
            self.stream = None;
        }
        // What ended in trouble is not over: the trouble is next.
        let is_troubled = self.trouble.is_some();
        told.map(|batch| Batch { is_over: batch.is_over && !is_troubled, ..batch })
    }
}

/// The parameters by which a server knows the log that is meant.
fn of(log: &Identity) -> String {
    format!("&log_id={}&epoch={}", plain(&log.log_id), log.epoch)
}

/// What breaks on the way may be there again later.
fn passing(error: ClientError) -> Error {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::ElsewhereUnreachable { .. }
        | ClientError::Idle { .. } => Error::Passing { source: Box::new(error), after: None },
        error => failed(error),
    }
}

fn failed(error: ClientError) -> Error {
    Error::Failed(Box::new(error))
}
