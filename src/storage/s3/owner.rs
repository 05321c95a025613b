//! Whose objects a bucket holds below its prefix: an object names the log.

use std::sync::Arc;

use bytes::Bytes;

use super::bucket::Bucket;
use crate::storage::Error;

/// Names of a bucket looked at to tell whether it is new.
const LOOKED_AT: i32 = 100;

/// The log the objects belong to; `None` when there are none.
pub(super) async fn read(bucket: &Arc<Bucket>) -> Result<Option<String>, Error> {
    let name = bucket.names.owner();
    let failed = |failure| bucket.failed_at("read", &name, failure);
    if bucket.head(&name, None).await.map_err(failed)?.is_some() {
        let object = super::read::open_name(bucket, &name, None).await?;
        let bytes = crate::storage::collect(object.body, 256).await?;
        return Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()));
    }
    let (page, _) = bucket.names_after(&bucket.names.of(""), None, LOOKED_AT).await.map_err(failed)?;
    match page.iter().find(|listed| !bucket.names.is_probe(&listed.name)) {
        None => Ok(None),
        Some(foreign) => Err(Error::Foreign(format!(
            "{} holds \"{}\" and no registry; choose an empty bucket, or set storage.s3.prefix",
            bucket.uri(""),
            foreign.name
        ))),
    }
}

/// Makes a new bucket the given log's.
pub(super) async fn claim(bucket: &Arc<Bucket>, log_id: &str) -> Result<(), Error> {
    let name = bucket.names.owner();
    if read(bucket).await?.is_none() {
        let put = bucket.put(&name, Bytes::from(format!("{log_id}\n"))).await;
        put.map_err(|failure| bucket.failed_at("write", &name, failure))?;
    }
    // Read once more: another registry may have been as quick.
    match read(bucket).await? {
        Some(owner) if owner == log_id => Ok(()),
        Some(owner) => Err(Error::Foreign(format!(
            "{} holds the objects of registry {owner}, and the database is that of registry {log_id}; they do not \
             belong together",
            bucket.uri("")
        ))),
        None => Err(Error::Foreign(format!("{} was emptied meanwhile", bucket.uri("")))),
    }
}
