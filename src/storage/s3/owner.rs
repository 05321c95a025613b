//! Whose objects lie under a prefix: the object `.registry` names the log and the place. No key looks like it.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::bucket::Bucket;
use super::fault::Fault;
use super::part::Part;
use crate::storage::owner::{Owner, PlaceId};
use crate::storage::{Error, collect};

const OWNER: &str = ".registry";

/// What a marker of the first release is completed to.
const PROPOSED: &str = ".registry.place";

/// What lies under a prefix before a registry has claimed it: the probes of a start that failed.
const PROBES: &str = ".probe";

impl Bucket {
    /// See [`Backend::owner`](crate::storage::Backend::owner).
    pub(super) async fn owner(self: &Arc<Self>) -> Result<Option<Owner>, Error> {
        if let Some(owner) = self.read_owner(OWNER).await? {
            return Ok(Some(owner));
        }
        let page = self.names("", None, 100).await.map_err(|fault| fault.during("list objects"))?;
        let names = page.objects.iter().filter_map(|object| self.relative(object.key()?));
        match names.into_iter().find(|name| !name.starts_with(PROBES)) {
            None => Ok(None),
            // Claimed since: the marker is written before anything else.
            Some(OWNER) => self.read_owner(OWNER).await,
            Some(name) => Err(Error::Foreign(format!(
                "{} holds {name:?} and is no storage of a registry; choose an empty bucket, or set storage.s3.prefix",
                self.uri("")
            ))),
        }
    }

    async fn read_owner(self: &Arc<Self>, name: &str) -> Result<Option<Owner>, Error> {
        let failed = |fault: Fault| fault.during("read the owner marker");
        // A HEAD first: of a GET alone a missing bucket would look like a missing marker.
        if self.head(name).await.map_err(failed)?.is_none() {
            return Ok(None);
        }
        let Some(object) = self.open_name(name, None).await? else { return Ok(None) };
        let text = collect(object.body, 1024).await?;
        let owner = String::from_utf8_lossy(&text).parse();
        owner.map(Some).map_err(|error| failed(Fault::odd(format!("{error}"))))
    }

    /// See [`Backend::claim`](crate::storage::Backend::claim). Of several that claim one new place at once, or complete
    /// one marker, the first does, where the server knows `If-None-Match`; elsewhere the last. Each reads back what it
    /// is.
    pub(super) async fn claim(self: &Arc<Self>, log_id: &str) -> Result<PlaceId, Error> {
        let found = self.owner().await?;
        if let Some(owner) = Owner::to_write(found.as_ref(), log_id, &self.uri(""))? {
            let owner = if found.is_none() { owner } else { self.elect(owner).await? };
            Owner::to_write(Some(&owner), log_id, &self.uri(""))?;
            let body = Part::of(Bytes::from(owner.to_string()));
            let written = match found {
                None => self.put_first(OWNER, &body).await,
                Some(_) => self.put(OWNER, &body).await.map(drop),
            };
            written.map_err(|fault| fault.during("write the owner marker"))?;
        }
        let found = self.owner().await?;
        let is_claimed = Owner::to_write(found.as_ref(), log_id, &self.uri(""))?.is_none();
        found.and_then(|owner| owner.place).filter(|_| is_claimed).ok_or_else(|| {
            Fault::odd("it is not there after it was written").during("write the owner marker")
        })
    }

    /// What all that complete a marker write, whenever they come: what the first of them proposes. Not by `If-Match` on
    /// the marker itself, which not every server honours. The proposal stays: somebody who saw the marker as it was may
    /// still be on the way.
    async fn elect(self: &Arc<Self>, proposed: Owner) -> Result<Owner, Error> {
        let body = Part::of(Bytes::from(proposed.to_string()));
        self.put_first(PROPOSED, &body).await.map_err(|fault| fault.during("propose an owner marker"))?;
        let lost = || Fault::odd("it is not there after it was written").during("propose an owner marker");
        self.read_owner(PROPOSED).await?.ok_or_else(lost)
    }

    /// Writes what is there once and for all, unless somebody was quicker.
    async fn put_first(&self, name: &str, body: &Part) -> Result<(), Fault> {
        let request = self.client.put_object().bucket(self.name()).key(self.full(name)).if_none_match("*");
        let request = request.set_checksum_sha256(self.checksum(body).await?);
        match request.body(ByteStream::new(body.body())).send().await.map_err(Fault::from) {
            Err(fault) if fault.is_raced() => Ok(()),
            Err(fault) if fault.is_not_there() => self.put(name, body).await.map(drop),
            Err(fault) => Err(fault),
            Ok(_) => Ok(()),
        }
    }
}
