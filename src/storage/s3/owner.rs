//! Whose objects lie under a prefix: the object `.registry` names the log. No key looks like it.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::bucket::Bucket;
use super::fault::Fault;
use super::part::Part;
use crate::storage::{Error, collect};

const OWNER: &str = ".registry";

/// What lies under a prefix before a registry has claimed it: the probes of a start that failed.
const PROBES: &str = ".probe";

impl Bucket {
    /// See [`Backend::owner`](crate::storage::Backend::owner).
    pub(super) async fn owner(self: &Arc<Self>) -> Result<Option<String>, Error> {
        let found = self.head(OWNER).await.map_err(|fault| fault.during("read the owner marker"))?;
        if found.is_some() {
            return self.read_owner().await.map(Some);
        }
        let page = self.names("", None, 100).await.map_err(|fault| fault.during("list objects"))?;
        let names = page.objects.iter().filter_map(|object| self.relative(object.key()?));
        match names.into_iter().find(|name| !name.starts_with(PROBES)) {
            None => Ok(None),
            Some(name) => Err(Error::Foreign(format!(
                "{} holds {name:?} and is no storage of a registry; choose an empty bucket, or set storage.s3.prefix",
                self.uri("")
            ))),
        }
    }

    async fn put_first(&self, name: &str, body: &Part) -> Result<(), Fault> {
        let request = self.client.put_object().bucket(self.name()).key(self.full(name)).if_none_match("*");
        let request = request.set_checksum_sha256(self.checksum(body).await?);
        request.body(ByteStream::new(body.body())).send().await?;
        Ok(())
    }

    async fn read_owner(self: &Arc<Self>) -> Result<String, Error> {
        let odd = || Fault::odd("it holds no log id").during("read the owner marker");
        let object = self.open_name(OWNER, None).await?.ok_or_else(odd)?;
        let text = String::from_utf8(collect(object.body, 1024).await?).map_err(|_| odd())?;
        if text.trim().is_empty() { Err(odd()) } else { Ok(text.trim().to_owned()) }
    }

    /// See [`Backend::claim`](crate::storage::Backend::claim). Of several registries that claim one new place at once
    /// the first has it, where the server knows `If-None-Match`; elsewhere the last, and each reads back who it is.
    pub(super) async fn claim(self: &Arc<Self>, log_id: &str) -> Result<(), Error> {
        if self.owner().await?.is_none() {
            let body = Part::of(Bytes::from(format!("{log_id}\n")));
            let written = match self.put_first(OWNER, &body).await {
                // Somebody was quicker.
                Err(fault) if fault.is_raced() => Ok(()),
                Err(fault) if fault.is_not_there() => self.put(OWNER, &body).await.map(drop),
                written => written,
            };
            written.map_err(|fault| fault.during("write the owner marker"))?;
        }
        match self.owner().await? {
            Some(owner) if owner == log_id => Ok(()),
            Some(owner) => Err(Error::Foreign(format!(
                "{} holds the objects of registry {owner}, and the database is that of registry {log_id}; they do \
                 not belong together",
                self.uri("")
            ))),
            None => Err(Fault::odd("it is not there after it was written").during("write the owner marker")),
        }
    }
}
