//! The framings of a stream: how events, bookmarks and its end stand one behind the other.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::codec::cbor::Items;
use crate::registry::{Record, cloud_event};
use crate::server::route::Format;

/// How the parts of a stream stand one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A JSON object a line.
    Ndjson,
    /// Server-sent events, as browsers read them.
    Sse,
    /// A sequence of CBOR maps (RFC 8742) with the stored bytes.
    Cbor,
}

/// What is the same for a whole stream.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    pub(super) framing: Framing,
    pub(super) format: Format,
    pub(super) log_id: Box<str>,
    pub(super) epoch: i64,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) scanned_to: i64,
    pub(super) head: i64,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It lasted as long as one may.
    Time,
    /// The server stops.
    Shutdown,
    /// There were as many events as were asked for.
    Limit,
    /// The end of the log was reached, and nothing came for as long as was to be waited.
    Head,
    /// The log cannot be read.
    Error,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Shutdown => "shutdown",
            Self::Limit => "limit",
            Self::Head => "head",
            Self::Error => "error",
        }
    }
}

/// After a stream ended, a browser comes back after so many milliseconds.
const RETRY: u32 = 3000;

impl Framing {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Sse => "text/event-stream",
            Self::Cbor => "application/cbor-seq",
        }
    }

    /// Whether it lists the log to its end, and does not follow it unless it is told to.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Cbor)
    }
}

impl Frames {
    /// The beginning: which log this is, and where the stream begins.
    pub(super) fn begin(&self, place: Place) -> Bytes {
        let Place { scanned_to, head } = place;
        let text = match self.framing {
            Framing::Ndjson => line(&json!({ "bookmark": self.named(place) })),
            Framing::Sse => format!("retry: {RETRY}\n\n{}", sse("bookmark", scanned_to, &self.named(place))),
            Framing::Cbor => {
                let mut items = Items::default();
                items.map(1).text("bookmark").map(4).text("head").number(unsigned(head));
                items.text("epoch").number(unsigned(self.epoch)).text("log_id").text(&self.log_id);
                return items.text("scanned_to").number(unsigned(scanned_to)).take();
            }
        };
        text.into()
    }

    /// How far the log was looked at.
    pub(super) fn bookmark(&self, Place { scanned_to, head }: Place) -> Bytes {
        let place = json!({ "scanned_to": scanned_to, "head": head });
        let text = match self.framing {
            Framing::Ndjson => line(&json!({ "bookmark": place })),
            Framing::Sse => sse("bookmark", scanned_to, &place),
            Framing::Cbor => {
                let mut items = Items::default();
                items.map(1).text("bookmark").map(2).text("head").number(unsigned(head));
                return items.text("scanned_to").number(unsigned(scanned_to)).take();
            }
        };
        text.into()
    }

    /// An event; `shown` is its JSON, and empty where that is not needed.
    pub(super) fn event(&self, out: &mut Vec<u8>, record: &Record, shown: &[u8]) {
        if self.framing == Framing::Cbor {
            return stored(out, record);
        }
        if self.framing == Framing::Sse {
            let head = format!("id: {}\nevent: {}\ndata: ", record.sequence, record.type_name);
            out.extend_from_slice(head.as_bytes());
        }
        match self.format {
            Format::Json => out.extend_from_slice(shown),
            Format::CloudEvents => out.extend(cloud_event(record, shown, &self.log_id)),
        }
        out.extend_from_slice(if self.framing == Framing::Sse { b"\n\n" } else { b"\n" });
    }

    /// The end. `request` names the line of the server's log that has the reason of an error.
    pub(super) fn end(&self, reason: Reason, scanned_to: i64, request: Option<&str>) -> Bytes {
        let mut end = json!({ "reason": reason.as_str(), "scanned_to": scanned_to });
        if let Some(request) = request {
            end["request_id"] = request.into();
        }
        let text = match self.framing {
            Framing::Ndjson => line(&json!({ "end": end })),
            Framing::Sse => sse("end", scanned_to, &end),
            Framing::Cbor => {
                let mut items = Items::default();
                items.map(1).text("end").map(2 + u64::from(request.is_some()));
                items.text("reason").text(reason.as_str());
                if let Some(request) = request {
                    items.text("request_id").text(request);
                }
                return items.text("scanned_to").number(unsigned(scanned_to)).take();
            }
        };
        text.into()
    }

    fn named(&self, Place { scanned_to, head }: Place) -> Value {
        json!({ "log_id": self.log_id, "epoch": self.epoch, "scanned_to": scanned_to, "head": head })
    }
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// The id is what a client resumes after.
fn sse(event: &str, id: i64, data: &Value) -> String {
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
}

/// The stored bytes; shorter names first, as canonical CBOR has it.
fn stored(out: &mut Vec<u8>, record: &Record) {
    let mut items = Items::default();
    items.map(5).text("salt").bytes(&record.salt).text("header").bytes(&record.header);
    items.text("payload").bytes(&record.payload).text("sequence").number(unsigned(record.sequence));
    items.text("leaf_hash").bytes(&record.leaf_hash);
    out.extend(items.into_bytes());
}

fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

trait Take {
    fn take(&mut self) -> Bytes;
}

impl Take for Items {
    fn take(&mut self) -> Bytes {
        std::mem::take(self).into_bytes().into()
    }
}
