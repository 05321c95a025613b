//! Where the bytes of something are, and when somebody last looked whether they are whole.

use std::collections::BTreeSet;

use super::Explanation;
use crate::clock::Micros;
use crate::events::{Damage, Target, look};
use crate::oci::Digest;
use crate::registry::blobs::location;
use crate::registry::{Error, FileLocation, Registry};
use crate::views::blobs::{self, Standing, State};
use crate::views::{contents, manifests, package_files, packages};

/// Blobs that are told of at most.
const MOST: usize = 100;

/// One blob of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its content address.
    pub content: Digest,
    /// Its SHA-256.
    pub sha256: Option<Digest>,
    /// Bytes.
    pub size: u64,
    /// Where they are; `None` when they are not there any more.
    pub location: Option<FileLocation>,
    /// What is wrong with them, if anything is known to be.
    pub damage: Option<Damage>,
    /// When they were last read and compared with their digest, or soon after: the beginning of the scrub's cycle.
    pub verified_at: Option<Micros>,
}

impl Registry {
    /// The blobs of what was explained, a hundred at most, and whether there are more.
    pub async fn stored_blobs(&self, explained: &Explanation) -> Result<(Vec<StoredBlob>, bool), Error> {
        let mut contents: Vec<Digest> = self.blobs_of(explained).await?.into_iter().collect();
        let has_more = contents.len() > MOST;
        contents.truncate(MOST);
        let standing = blobs::standing(&self.inner.db, &contents).await?;
        let sha256 = contents::sha256_of_all(&self.inner.db, &contents).await?;
        let mut stored = Vec::with_capacity(contents.len());
        for content in contents {
            let Some(found) = standing.get(&content) else { continue };
            stored.push(StoredBlob {
                sha256: sha256.get(&content).cloned(),
                size: found.blob.size,
                location: self.place_of(found)?,
                damage: found.damage,
                verified_at: self.verified(&content).await?.map(|cycle| cycle.started_at),
                content,
            });
        }
        Ok((stored, has_more))
    }

    /// Of a package its files and its table, of any other manifest its config and layers.
    async fn blobs_of(&self, explained: &Explanation) -> Result<BTreeSet<Digest>, Error> {
        let db = &self.inner.db;
        match &explained.target {
            None => Ok(BTreeSet::new()),
            Some(Target::Package(id)) => {
                let limit = i64::try_from(MOST + 1).expect("it is small");
                let files = package_files::page(db, id, "", limit).await?;
                let table = packages::find(db, id).await?.and_then(|package| package.content_manifest);
                let files = files.into_iter().map(|(file, _)| file.content_address);
                Ok(files.chain(table).collect())
            }
            Some(Target::Manifest(content)) => {
                let repository = &explained.repository;
                let named = look(db, |rows| manifests::blobs_of(rows, repository, content)).await?;
                Ok(named.into_iter().collect())
            }
        }
    }

    fn place_of(&self, standing: &Standing) -> Result<Option<FileLocation>, Error> {
        if standing.blob.state == State::Purged {
            return Ok(None);
        }
        let location = location(standing.blob.clone());
        let storage_uri = self.inner.data.uri(&location)?;
        Ok(Some(FileLocation { backend_id: location.backend, storage_uri }))
    }
}
