//! The commands of a scrub. Pure, and each asks again: since the bytes were read the copy may have been replaced or
//! deleted.

use crate::dataplane::Stored;
use crate::events::{
    BlobCorrupted, BlobRecovered, BlobRepaired, BlobUnreadable, Command, Damage, Decision, Fact, Read, Rows,
    ScrubCompleted,
};
use crate::oci::Digest;
use crate::registry::Error;
use crate::views::blobs::{self, Blob};
use crate::views::damages::{self, DATABASE, Trouble};
use crate::views::runs;

/// What reading a copy showed.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// It is whole.
    Whole,
    /// It is not.
    Damaged(Damage, String),
    /// Nothing.
    Unreadable(String),
}

/// What was found out about one copy.
#[derive(Debug)]
pub(super) struct RecordFinding {
    pub(super) run: String,
    pub(super) content: Digest,
    /// The backend of the copy; [`DATABASE`] for the bytes of a manifest.
    pub(super) backend: String,
    pub(super) key: String,
    pub(super) shown: Shown,
}

impl RecordFinding {
    fn is_manifest(&self) -> bool {
        self.backend == DATABASE
    }

    /// Whether the copy is one that is kept.
    fn is_kept(&self, rows: &Rows) -> bool {
        let is_of = |blob: blobs::Blob| blob.state.is_kept() && blob.key == self.key;
        self.is_manifest() || blobs::get(rows, &self.content).is_some_and(is_of)
    }
}

impl Command for RecordFinding {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![damages::read(&self.key)];
        if !self.is_manifest() {
            reads.push(Read::row(&blobs::BLOBS, blobs::key(&self.content)));
        }
        reads
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        if !self.is_kept(rows) {
            return Ok(Decision::default());
        }
        let (run, content) = (self.run.clone(), self.content.clone());
        let (backend, key) = (self.backend.clone(), self.key.clone());
        let fact: Option<Fact> = match (damages::open_trouble(rows, &self.key), self.shown.clone()) {
            (Some(_), Shown::Whole) => Some(BlobRecovered { content, key }.into()),
            // What is known already, or less than that.
            (None, Shown::Whole)
            | (Some(_), Shown::Unreadable(_))
            | (Some(Trouble::Corrupt), Shown::Damaged(Damage::Corrupt, _))
            | (Some(Trouble::Missing), Shown::Damaged(Damage::Missing, _)) => None,
            (_, Shown::Damaged(damage, finding)) => {
                Some(BlobCorrupted { run, content, backend, key, damage, finding }.into())
            }
            (None, Shown::Unreadable(reason)) => {
                Some(BlobUnreadable { run, content, backend, key, reason }.into())
            }
        };
        Ok(Decision { facts: fact.into_iter().collect(), contents: Vec::new() })
    }
}

/// Another copy takes the place of one that is damaged or cannot be read.
#[derive(Debug)]
pub(super) struct RepairBlob {
    pub(super) content: Digest,
    /// The key of that one.
    pub(super) lost: String,
    pub(super) stored: Stored,
}

impl Command for RepairBlob {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![Read::row(&blobs::BLOBS, blobs::key(&self.content)), damages::read(&self.lost)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let is_open = damages::open_trouble(rows, &self.lost).is_some();
        let is_waiting = |blob: &Blob| blob.state.is_kept() && blob.key == self.lost && is_open;
        let location = &self.stored.location;
        let fact = blobs::get(rows, &self.content).filter(is_waiting).map(|blob| BlobRepaired {
            content: self.content.clone(),
            size: location.size,
            backend: location.backend.clone(),
            key: location.key.clone(),
            lost: blob.key,
            version: location.version.clone(),
        });
        Ok(Decision { facts: fact.into_iter().map(Fact::from).collect(), contents: Vec::new() })
    }
}

/// A cycle ended.
#[derive(Debug)]
pub(super) struct CompleteScrub(pub(super) ScrubCompleted);

impl Command for CompleteScrub {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![runs::read_scrub(&self.0.run)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        // Once: a process that was killed right after it said so says so again.
        let is_news = !runs::has_scrub(rows, &self.0.run);
        Ok(Decision {
            facts: is_news.then(|| self.0.clone().into()).into_iter().collect(),
            contents: Vec::new(),
        })
    }
}
