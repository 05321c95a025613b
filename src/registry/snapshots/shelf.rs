//! The storage as a shelf of snapshots.

use async_trait::async_trait;

use super::location;
use crate::dataplane::DataPlane;
use crate::events::Copy;
use crate::events::snapshot::{Cause, Shelf};
use crate::storage::ByteStream;

/// The snapshots of a data plane.
#[derive(Debug)]
pub(in crate::registry) struct Shelved<'a>(pub(in crate::registry) &'a DataPlane);

#[async_trait]
impl Shelf for Shelved<'_> {
    async fn open(&self, object: &Copy) -> Result<ByteStream, Cause> {
        Ok(self.0.open(&location(object), None).await?.body)
    }
}
