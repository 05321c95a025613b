//! One recorded event: envelope, header, payload and what binds them.
//!
//! The header is what the Merkle tree will hold. It commits to the payload through a salted hash, so a
//! payload can be withheld or erased later without breaking a proof, and a short payload can not be
//! guessed once its salt is gone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;
use super::fact::{Fact, FactError};
use crate::clock::Micros;
use crate::codec::cbor;
use crate::db::{Column, Row, Table, Value};
use crate::hash;
use crate::oci::RepositoryName;

/// Position in the log: 1, 2, 3, … without gaps.
pub type Sequence = i64;

/// Prefix of the payload commitment, so that it can not be mistaken for a hash made elsewhere.
const PAYLOAD_DOMAIN: &[u8] = b"artifactstore/payload/v1";

/// RFC 6962 section 2.1: a leaf is hashed behind a zero byte.
const LEAF_PREFIX: &[u8] = &[0];

/// Headers stay below this many bytes; they travel in proofs and tiles.
const MAX_HEADER: usize = 2048;

/// Who did it: a pseudonymous id, never a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor(Box<str>);

impl Actor {
    /// The actor of requests without credentials.
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// Somebody on this machine: whoever uses the library, or a command on a data directory.
    pub fn user(name: &str) -> Self {
        Self(format!("os:{name}").into())
    }

    /// The registry itself: sweeps, repairs.
    pub fn system() -> Self {
        Self("system".into())
    }

    /// As the log stores it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names one command, so that an unknown commit outcome can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandId(Box<str>);

impl CommandId {
    /// A new id.
    pub fn random() -> Self {
        Self(ulid::Ulid::generate().to_string().into())
    }

    /// As the log stores it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that is always the same.
    #[cfg(test)]
    pub(super) fn of_number(number: Sequence) -> Self {
        Self(ulid::Ulid::from_parts(0, u128::from(number.unsigned_abs())).to_string().into())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The leaf entry (RFC 6962) of an event, canonical CBOR of at most 2 KiB.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u8,
    log: String,
    seq: Sequence,
    r#type: String,
    at: Micros,
    actor: String,
    cmd: String,
    payload_len: u64,
    payload_commit: String,
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its position.
    pub sequence: Sequence,
    /// When it was recorded; never earlier than the event before it.
    pub recorded_at: Micros,
    /// Who caused it.
    pub actor: Actor,
    /// The command it belongs to; one command may record several events.
    pub command: CommandId,
    /// What happened.
    pub fact: Fact,
    /// The type it was recorded as; that of the fact unless the fact was of an older one.
    type_name: &'static str,
    header: Vec<u8>,
    payload: Vec<u8>,
    salt: Vec<u8>,
    leaf_hash: [u8; 32],
}

/// What the envelope of a new event needs besides its fact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) log_id: &'a str,
    pub(super) sequence: Sequence,
    pub(super) recorded_at: Micros,
    pub(super) actor: &'a Actor,
    pub(super) command: &'a CommandId,
}

/// The `events` table (truth).
pub(super) static EVENTS: Table = Table {
    name: "events",
    columns: &[
        Column::integer("sequence"),
        Column::text("type"),
        Column::integer("recorded_at"),
        Column::text("actor"),
        Column::text("repository"),
        Column::text("subject"),
        Column::text("command_id"),
        Column::blob("header"),
        Column::blob("payload"),
        Column::blob("salt"),
        Column::blob("leaf_hash"),
    ],
    key: 1,
    indexes: &[],
};

/// Why a stored event is not what was recorded.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The payload cannot be read.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The header is not canonical CBOR of its type.
    #[error("malformed header")]
    Header(#[source] cbor::Error),
    /// Header, payload and columns do not belong together.
    #[error("its {0} does not match its header")]
    Mismatch(&'static str),
}

impl Event {
    /// Seals a fact into an event with a fresh random salt.
    pub(super) fn seal(fact: Fact, envelope: Envelope<'_>) -> Result<Self, Error> {
        let mut salt = vec![0; 32];
        getrandom::fill(&mut salt).expect("the operating system gives random bytes");
        let (type_name, payload) = (fact.type_name(), fact.encode().map_err(Error::Encode)?);
        Self::seal_as(type_name, fact, payload, salt, envelope)
    }

    /// The same of a payload of that type which says the fact.
    pub(super) fn seal_as(
        type_name: &'static str,
        fact: Fact,
        payload: Vec<u8>,
        salt: Vec<u8>,
        envelope: Envelope<'_>,
    ) -> Result<Self, Error> {
        let header = cbor::to_vec(&Header {
            v: 1,
            log: envelope.log_id.to_owned(),
            seq: envelope.sequence,
            r#type: type_name.to_owned(),
            at: envelope.recorded_at,
            actor: envelope.actor.as_str().to_owned(),
            cmd: envelope.command.as_str().to_owned(),
            payload_len: payload.len() as u64,
            payload_commit: commitment(&salt, &payload),
        })
        .map_err(Error::Encode)?;
        if header.len() > MAX_HEADER {
            return Err(Error::HeaderTooLong { len: header.len(), limit: MAX_HEADER });
        }
        let leaf_hash = leaf(&header);
        Ok(Self {
            sequence: envelope.sequence,
            recorded_at: envelope.recorded_at,
            actor: envelope.actor.clone(),
            command: envelope.command.clone(),
            type_name,
            fact,
            header,
            payload,
            salt,
            leaf_hash,
        })
    }

    /// The type it was recorded as, which its header names and its payload is of: maybe one of
    /// [`Fact::OLDER`].
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The header: the bytes a Merkle proof is about.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The payload as stored, canonical CBOR.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// SHA-256 of the header as a leaf (RFC 6962 section 2.1).
    pub fn leaf_hash(&self) -> &[u8; 32] {
        &self.leaf_hash
    }

    pub(super) fn row(&self) -> Row {
        Row(vec![
            self.sequence.into(),
            self.type_name.into(),
            self.recorded_at.into(),
            self.actor.as_str().into(),
            self.fact.repository().map(RepositoryName::as_str).into(),
            Value::from(self.fact.subject()),
            self.command.as_str().into(),
            self.header.clone().into(),
            self.payload.clone().into(),
            self.salt.clone().into(),
            self.leaf_hash.to_vec().into(),
        ])
    }

    /// What the commitment of the header to the payload is salted with.
    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Reads a stored event and checks that its columns, header, payload and hashes belong together.
    pub(super) fn from_row(row: &Row, log_id: &str) -> Result<Self, EventError> {
        let fact = Fact::decode(row.text(1), row.blob(8))?;
        let leaf_hash = check(row, log_id)?;
        check_names(row, &fact)?;
        let older = Fact::OLDER.iter().map(|(older, _)| *older).find(|older| *older == row.text(1));
        Ok(Self {
            sequence: row.integer(0),
            recorded_at: row.integer(2),
            actor: Actor(row.text(3).into()),
            command: CommandId(row.text(6).into()),
            type_name: older.unwrap_or(fact.type_name()),
            header: row.blob(7).to_vec(),
            payload: row.blob(8).to_vec(),
            salt: row.blob(9).to_vec(),
            leaf_hash,
            fact,
        })
    }
}

/// Checks that the columns of a stored event are what its header says, and that its payload and its leaf hash belong to
/// that header; whatever the payload means. Returns the leaf hash.
pub(super) fn check(row: &Row, log_id: &str) -> Result<[u8; 32], EventError> {
    let (bytes, payload, salt) = (row.blob(7), row.blob(8), row.blob(9));
    let header: Header = cbor::from_slice(bytes).map_err(EventError::Header)?;
    let leaf_hash = leaf(bytes);
    all_hold(&[
        ("leaf hash", leaf_hash == row.blob(10)),
        ("log id", header.log == log_id),
        ("sequence", header.seq == row.integer(0)),
        ("type", header.r#type == row.text(1)),
        ("time", header.at == row.integer(2)),
        ("actor", header.actor == row.text(3)),
        ("command", header.cmd == row.text(6)),
        ("payload length", header.payload_len == payload.len() as u64),
        ("payload", header.payload_commit == commitment(salt, payload)),
    ])?;
    Ok(leaf_hash)
}

/// Checks the columns that are not in the header: what they say, the payload says.
pub(super) fn check_names(row: &Row, fact: &Fact) -> Result<(), EventError> {
    all_hold(&[
        ("repository", row.optional_text(4) == fact.repository().map(RepositoryName::as_str)),
        ("subject", row.optional_text(5) == Some(fact.subject())),
    ])
}

fn all_hold(checks: &[(&'static str, bool)]) -> Result<(), EventError> {
    match checks.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(EventError::Mismatch(what)),
        None => Ok(()),
    }
}

fn commitment(salt: &[u8], payload: &[u8]) -> String {
    let hash = hash::sha256(&[PAYLOAD_DOMAIN, salt, payload]);
    crate::oci::Digest::from_bytes(crate::oci::Algorithm::Sha256, &hash).to_string()
}

fn leaf(header: &[u8]) -> [u8; 32] {
    hash::sha256(&[LEAF_PREFIX, header])
}

#[cfg(test)]
mod tests {
    use super::super::{TagDeleted, fact};
    use super::*;

    fn sealed(fact: Fact, actor: &Actor) -> Result<Event, Error> {
        let command = CommandId::random();
        let (sequence, recorded_at) = ((1 << 53) - 1, (1 << 53) - 1);
        Event::seal(
            fact,
            Envelope { log_id: command.as_str(), sequence, recorded_at, actor, command: &command },
        )
    }

    #[test]
    fn a_header_stays_small_however_long_the_names_are() {
        let actor = Actor("a".repeat(255).into());
        for fact in fact::tests::examples(&"r".repeat(255), &"t".repeat(128)) {
            let header = sealed(fact, &actor).unwrap().header;
            assert!(header.len() < MAX_HEADER / 2, "{} bytes", header.len());
        }
    }

    #[test]
    fn a_header_that_would_be_too_long_ended_the_appender() {
        let fact = fact::tests::examples("r", "t").remove(0);
        let error = sealed(fact, &Actor("a".repeat(2000).into())).unwrap_err();
        assert!(matches!(error, Error::HeaderTooLong { .. }), "{error:?}");
    }

    #[test]
    fn the_same_payload_is_committed_to_differently_each_time() {
        let fact: Fact = TagDeleted {
            repository: "r".parse().unwrap(),
            tag: "t".parse().unwrap(),
            digest: hash::digest(crate::oci::Algorithm::Sha256, b""),
        }
        .into();
        let [a, b] = [(); 2].map(|()| sealed(fact.clone(), &Actor::anonymous()).unwrap());
        assert_eq!(a.payload, b.payload);
        assert_ne!(a.salt, b.salt);
        assert_ne!(a.leaf_hash, b.leaf_hash);
    }

    #[test]
    fn an_event_read_back_is_the_one_recorded() {
        for fact in fact::tests::examples("a/b", "v1") {
            let event = sealed(fact, &Actor::system()).unwrap();
            let header: Header = cbor::from_slice(&event.header).unwrap();
            assert_eq!(Event::from_row(&event.row(), &header.log).unwrap(), event);
            let other = Event::from_row(&event.row(), "another log").unwrap_err();
            assert!(matches!(other, EventError::Mismatch("log id")), "{other:?}");
        }
    }
}
