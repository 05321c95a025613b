//! Deletion certificates: what became of every byte of what was disposed of.
//!
//! While bytes wait for their collection a certificate is *interim*, and drawn up anew whenever somebody asks. Once
//! each blob is gone, or is kept because something else names it, the *final* one is issued: the document itself is
//! the payload of `v1.certificate.issued`, and stays as it is, whatever becomes later of what was kept.

mod document;
mod outcome;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Disposition;
use crate::codec::jcs;
use crate::events::{
    CertificateIssued, Command, Decision, DispositionExecuted, Event, Fact, Read, Rows, Target,
};
use crate::hash;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::package::MAX_FILES;
use crate::registry::{Actor, Error, Registry};
use crate::retention::DispositionId;
use crate::views::dispositions::{self, Approval, Status};
use crate::views::packages;
use document::Drawn;
use outcome::Outcome;

/// Executed dispositions that are looked at together.
const PAGE: i64 = 100;

/// Blobs that are looked at together.
const CHUNK: usize = 256;

/// Bytes of a certificate that the log takes. One of a package with as many files as there may be has not so many.
const LONGEST: usize = 15 << 20;

/// What a blob takes while its line is written, as an outcome and as a tree, in bytes.
const MADE: usize = 3072;

/// What its line takes.
const WRITTEN: usize = 384;

/// A deletion certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Canonical JSON (RFC 8785).
    pub document: String,
    /// Whether every byte is accounted for: then it is what the log says, for ever.
    pub is_final: bool,
}

impl Certificate {
    /// BLAKE3 of the document, as `v1.certificate.issued` has it.
    pub fn digest(&self) -> Digest {
        hash::digest(Algorithm::Blake3, self.document.as_bytes())
    }
}

impl Registry {
    /// What a disposition deleted, blob by blob: the final certificate if it was issued, else how far it is.
    /// [`Error::NotExecuted`] for a disposition that was not executed.
    pub async fn certificate(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
    ) -> Result<Certificate, Error> {
        let (disposition, approvals) = self.find_disposition(repository, id).await?;
        if disposition.status != Status::Executed {
            return Err(Error::NotExecuted { disposition: disposition.id, status: disposition.status });
        }
        if let Some(document) = disposition.certificate {
            return Ok(Certificate { document, is_final: true });
        }
        let executed = self.execution(&disposition).await?;
        let blobs = &executed.1.blobs;
        let mut outcomes = Vec::with_capacity(blobs.len());
        for chunk in blobs.chunks(CHUNK) {
            outcomes.extend(self.outcomes(repository, executed.0.sequence, chunk).await?);
        }
        let document = self.draw(&disposition, &approvals, &executed, &outcomes, false).await?;
        Ok(Certificate { document, is_final: false })
    }

    /// Memory, in bytes, that [`certificate`](Self::certificate) takes at most while it is made, and then.
    pub async fn certificate_weight(
        &self,
        repository: &RepositoryName,
        id: &DispositionId,
    ) -> Result<(usize, usize), Error> {
        let (disposition, _) = self.find_disposition(repository, id).await?;
        if let Some(document) = disposition.certificate {
            return Ok((document.len(), document.len()));
        }
        let files = match &disposition.target {
            Target::Package(package) => self.package(package).await?.files,
            // More a manifest can hardly name.
            Target::Manifest(_) => 4096,
        };
        let blobs = usize::try_from(files).unwrap_or(MAX_FILES).min(MAX_FILES) + 8;
        Ok((blobs * MADE, blobs * WRITTEN))
    }

    /// Issues the certificates that can be final by now, and says how many. One that cannot be drawn up does not keep
    /// the others.
    pub(in crate::registry) async fn issue_certificates(&self) -> Result<u64, Error> {
        let (mut issued, mut after) = (0, String::new());
        loop {
            let page = dispositions::uncertified(&self.inner.db, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(issued) };
            last.id.as_str().clone_into(&mut after);
            for disposition in page {
                issued += u64::from(self.issue_certificate(&disposition).await?);
            }
        }
    }

    async fn issue_certificate(&self, disposition: &Disposition) -> Result<bool, Error> {
        let executed = self.execution(disposition).await?;
        let (repository, since) = (&disposition.repository, executed.0.sequence);
        let mut outcomes = Vec::new();
        for chunk in executed.1.blobs.chunks(CHUNK) {
            let found = self.outcomes(repository, since, chunk).await?;
            if !found.iter().all(Outcome::is_settled) {
                return Ok(false);
            }
            outcomes.extend(found);
        }
        let (_, approvals) = self.find_disposition(repository, &disposition.id).await?;
        let document = self.draw(disposition, &approvals, &executed, &outcomes, true).await?;
        if document.len() > LONGEST {
            tracing::error!(disposition.id = %disposition.id, "A certificate is too long for the log and stays interim");
            return Ok(false);
        }
        let command = Issue {
            repository: repository.clone(),
            disposition: disposition.id.clone(),
            digest: hash::digest(Algorithm::Blake3, document.as_bytes()),
            document,
        };
        Ok(!self.submit(Actor::system(), command).await?.events.is_empty())
    }

    /// The event that executed a disposition.
    async fn execution(&self, disposition: &Disposition) -> Result<(Event, DispositionExecuted), Error> {
        let sequence = disposition.end.as_ref().map_or(0, |end| end.sequence);
        let event = self.event(sequence).await?;
        match &event.fact {
            Fact::DispositionExecuted(fact) => {
                let fact = fact.clone();
                Ok((event, fact))
            }
            _ => Err(Error::DispositionUnknown(disposition.id.clone())),
        }
    }

    async fn event(&self, sequence: i64) -> Result<Event, Error> {
        let found = self.inner.log.after(sequence - 1, 1).await?.pop();
        found.ok_or(Error::CursorAhead { since: sequence, head: self.last_sequence() })
    }

    /// The document. The same events always make the same one.
    async fn draw(
        &self,
        disposition: &Disposition,
        approvals: &[Approval],
        (event, executed): &(Event, DispositionExecuted),
        outcomes: &[Outcome],
        is_final: bool,
    ) -> Result<String, Error> {
        let mut evidence = BTreeMap::new();
        let mut wanted = vec![disposition.sequence, disposition.revision];
        wanted.extend(approvals.iter().map(|approval| approval.sequence));
        wanted.extend(outcomes.iter().filter_map(Outcome::purged_by));
        for sequence in wanted {
            if let Entry::Vacant(entry) = evidence.entry(sequence) {
                entry.insert(document::evidence(&self.event(sequence).await?));
            }
        }
        evidence.insert(event.sequence, document::evidence(event));
        let package = match &executed.target {
            Target::Package(id) => packages::find(&self.inner.db, id).await?,
            Target::Manifest(_) => None,
        };
        let (log_id, evidence) = (self.log_id(), evidence.into_values().collect());
        let drawn = Drawn { log_id, disposition, approvals, executed, package, outcomes, evidence, is_final };
        Ok(jcs::to_string(&document::certificate(&drawn)).expect("a certificate is text and small numbers"))
    }
}

/// A certificate is final.
#[derive(Debug)]
struct Issue {
    repository: RepositoryName,
    disposition: DispositionId,
    document: String,
    digest: Digest,
}

impl Command for Issue {
    type Rejection = Error;

    fn reads(&self) -> Vec<Read> {
        vec![dispositions::read(&self.disposition)]
    }

    fn decide(&self, rows: &Rows) -> Result<Decision, Error> {
        let open = dispositions::get(rows, &self.disposition);
        let open = open.filter(|it| it.status == Status::Executed && it.certificate.is_none());
        // Another replica may have been faster: there is one certificate, and the first one counts.
        let issued = open.map(|disposition| CertificateIssued {
            repository: self.repository.clone(),
            disposition: disposition.id,
            certificate: self.document.clone(),
            digest: self.digest.clone(),
        });
        Ok(Decision { facts: issued.into_iter().map(Fact::from).collect(), contents: Vec::new() })
    }
}
