//! An event as it is stored.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::clock::Micros;
use crate::db::Row;
use crate::events::event::{EVENTS, check, check_names};
use crate::events::{Error, Event, Fact, Sequence};
use crate::oci::RepositoryName;

/// An event as it is stored: its envelope, and its payload as bytes.
///
/// It was compared with its header and its payload when it was read. Of a type that this program does not know the
/// payload does not say which repository and which subject it is about.
#[derive(Debug)]
pub struct Record {
    /// Its position.
    pub sequence: Sequence,
    /// The event type, e.g. `v1.tag.moved`.
    pub type_name: Box<str>,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// Who caused it.
    pub actor: Box<str>,
    /// The command it belongs to.
    pub command: Box<str>,
    /// The repository it is about, if it is about one.
    pub repository: Option<Box<str>>,
    /// What it is about: a digest, an id, a name.
    pub subject: Box<str>,
    /// The bytes a proof is about, canonical CBOR.
    pub header: Bytes,
    /// The payload, canonical CBOR.
    pub payload: Bytes,
    /// What the header's commitment to the payload is salted with.
    pub salt: Bytes,
    /// SHA-256 of the header as a leaf (RFC 6962 section 2.1).
    pub leaf_hash: [u8; 32],
    /// What is shown of it, once somebody made it.
    shown: OnceLock<Bytes>,
}

/// The same event, whatever was made of it.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence && self.leaf_hash == other.leaf_hash && self.payload == other.payload
    }
}

impl Eq for Record {}

impl Record {
    /// A stored event.
    pub(in crate::events) fn from_row(row: &Row, log_id: &str) -> Result<Self, Error> {
        debug_assert_eq!(row.0.len(), EVENTS.columns.len());
        let damaged = |source| Error::Damaged { sequence: row.integer(0), source };
        let leaf_hash = check(row, log_id).map_err(damaged)?;
        if let Ok(fact) = Fact::decode(row.text(1), row.blob(8)) {
            check_names(row, &fact).map_err(damaged)?;
        }
        Ok(Self {
            sequence: row.integer(0),
            type_name: row.text(1).into(),
            recorded_at: row.integer(2),
            actor: row.text(3).into(),
            command: row.text(6).into(),
            repository: row.optional_text(4).map(Into::into),
            subject: row.optional_text(5).unwrap_or_default().into(),
            header: Bytes::copy_from_slice(row.blob(7)),
            payload: Bytes::copy_from_slice(row.blob(8)),
            salt: Bytes::copy_from_slice(row.blob(9)),
            leaf_hash,
            shown: OnceLock::new(),
        })
    }

    /// One that was never stored, for tests of what is made of it.
    #[cfg(test)]
    pub(crate) fn unstored(
        sequence: Sequence,
        repository: Option<&str>,
        subject: &str,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            sequence,
            type_name: "v1.tag.moved".into(),
            recorded_at: 1_000_000,
            actor: "anonymous".into(),
            command: "c".into(),
            repository: repository.map(Into::into),
            subject: subject.into(),
            header: Bytes::from_static(b"header"),
            payload: payload.into(),
            salt: Bytes::from_static(b"salt"),
            leaf_hash: [7; 32],
            shown: OnceLock::new(),
        }
    }

    /// What is shown of it. `show` is asked once, however many consumers the record goes to.
    pub fn shown<E>(&self, show: impl FnOnce(&Self) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(shown) = self.shown.get() {
            return Ok(shown.clone());
        }
        let made = show(self)?;
        Ok(self.shown.get_or_init(|| made).clone())
    }

    /// The memory it takes, about.
    pub(super) fn size(&self) -> usize {
        // What is shown of it is text, about as long as the payload twice over.
        512 + self.header.len() + 3 * self.payload.len()
    }
}

impl From<&Event> for Record {
    fn from(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            type_name: event.type_name().into(),
            recorded_at: event.recorded_at,
            actor: event.actor.as_str().into(),
            command: event.command.as_str().into(),
            repository: event.fact.repository().map(|name| RepositoryName::as_str(name).into()),
            subject: event.fact.subject().into(),
            header: Bytes::copy_from_slice(event.header()),
            payload: Bytes::copy_from_slice(event.payload()),
            salt: Bytes::copy_from_slice(event.salt()),
            leaf_hash: *event.leaf_hash(),
            shown: OnceLock::new(),
        }
    }
}
