//! What a log tells: events, and how far it was looked through.

use bytes::Bytes;
use serde::Deserialize;

use super::Seen;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As the registry has them.
    #[default]
    Json,
    /// As `CloudEvents` in structured mode.
    CloudEvents,
}

/// One thing that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An event.
    Event(Event),
    /// Everything up to an event was told, or does not match.
    Bookmark {
        /// How far the log was looked through.
        scanned_to: i64,
        /// Its newest event, where that is told.
        head: Option<i64>,
    },
}

/// An event as it was told: its JSON on one line, and what of it is looked at here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The JSON, byte for byte.
    pub json: Bytes,
    /// Its position in the log.
    pub sequence: i64,
    /// When it was recorded, RFC 3339.
    pub recorded_at: String,
    /// Its type.
    pub type_name: String,
    /// The repository it is about, if it is about one.
    pub repository: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Who caused it.
    pub actor: Option<String>,
    /// What it is known by.
    pub leaf_hash: Option<String>,
}

/// A line, whatever it says. Payloads are passed over, however long they are.
#[derive(Deserialize)]
struct Line {
    sequence: Option<Number>,
    #[serde(alias = "time")]
    recorded_at: Option<String>,
    r#type: Option<String>,
    actor: Option<String>,
    repository: Option<String>,
    subject: Option<String>,
    #[serde(alias = "leafhash")]
    leaf_hash: Option<String>,
    bookmark: Option<Bookmark>,
    end: Option<End>,
}

/// `CloudEvents` have it as text, so that texts are in order.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Integer(i64),
    Text(String),
}

#[derive(Deserialize)]
struct Bookmark {
    scanned_to: i64,
    head: Option<i64>,
    /// The first one of a stream says which log it is.
    log_id: Option<String>,
    epoch: Option<i64>,
}

#[derive(Deserialize)]
struct End {
    scanned_to: Option<i64>,
    reason: Option<String>,
    request_id: Option<String>,
}

/// What a line of a stream says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Frame(Frame),
    /// A bookmark that says which log it is of.
    Begin(Frame, (String, i64)),
    /// The stream is over; everything up to there was told.
    End {
        scanned_to: Option<i64>,
        /// Why the server could not go on, in words.
        trouble: Option<String>,
    },
}

/// Reads a line of a stream; in words what is wrong with it.
pub(super) fn line(json: Bytes) -> Result<Told, String> {
    let line: Line = serde_json::from_slice(&json).map_err(|error| format!("a line is not JSON: {error}"))?;
    if let Some(Bookmark { scanned_to, head, log_id, epoch }) = line.bookmark {
        let bookmark = Frame::Bookmark { scanned_to, head };
        return Ok(match log_id.zip(epoch) {
            Some(log) => Told::Begin(bookmark, log),
            None => Told::Frame(bookmark),
        });
    }
    if let Some(end) = line.end {
        let trouble = (end.reason.as_deref() == Some("error")).then(|| match &end.request_id {
            Some(id) => format!("the registry cannot read on; its own log says why under {id}"),
            None => "the registry cannot read on; its own log says why".to_owned(),
        });
        return Ok(Told::End { scanned_to: end.scanned_to, trouble });
    }
    event(json, line).map(|event| Told::Frame(Frame::Event(event)))
}

impl Event {
    /// Reads an event's JSON, of one line; in words what is wrong with it.
    pub fn read(json: Bytes) -> Result<Self, String> {
        let line = serde_json::from_slice(&json).map_err(|error| format!("an event is not JSON: {error}"))?;
        event(json, line)
    }

    /// What it is known by, if that was told.
    pub(super) fn seen(&self) -> Option<Seen> {
        let leaf_hash = self.leaf_hash.clone()?;
        Some(Seen { sequence: self.sequence, leaf_hash })
    }
}

fn event(json: Bytes, line: Line) -> Result<Event, String> {
    let sequence = match line.sequence {
        Some(Number::Integer(sequence)) => Some(sequence),
        Some(Number::Text(digits)) => digits.parse().ok(),
        None => None,
    };
    let (Some(sequence), Some(type_name)) = (sequence, line.r#type) else {
        return Err("something that is neither an event nor a bookmark".to_owned());
    };
    // Inside a text it is escaped: the rest can be on one line, and is where events are written a line each.
    if json.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(format!("event {sequence} is not on one line"));
    }
    Ok(Event {
        sequence,
        type_name,
        recorded_at: line.recorded_at.unwrap_or_default(),
        repository: line.repository,
        subject: line.subject,
        actor: line.actor,
        leaf_hash: line.leaf_hash,
        json,
    })
}
