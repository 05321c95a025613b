//! Objects of known size from a stream, under exactly the key that is asked for: copies of other backends' objects.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::bucket::{Bucket, Found};
use super::fault::Fault;
use super::part::Filling;
use super::upload::{Sent, Upload, size_of};
use crate::storage::{ByteStream, Error, Key, Receipt};

impl Bucket {
    /// See [`Backend::put_stream`](crate::storage::Backend::put_stream).
    pub(super) async fn store_stream(
        self: &Arc<Self>,
        key: &Key,
        size: u64,
        body: ByteStream,
    ) -> Result<Receipt, Error> {
        let part_size = self.options.part_size;
        let mut source =
            Source { key, size, body: Box::pin(body.fuse()), taken: 0, rest: bytes::Bytes::new() };
        if size <= part_size {
            let mut filling = self.memory.filling();
            source.fill(&mut filling, u64::MAX).await?;
            source.check_end()?;
            return self.store(key, &filling.take()).await;
        }
        let failed = |fault: Fault| fault.during(format!("store {key}"));
        let (name, full) = (key.as_str(), self.full(key.as_str()));
        // A copy that was interrupted left one that nobody goes on with.
        for left in self.uploads(name, usize::MAX).await.map_err(failed)? {
            if let (Some(at), Some(id)) = (left.key(), left.upload_id())
                && at == full
            {
                self.abort(at, id).await.map_err(failed)?;
            }
        }
        let id = self.create_upload(name).await.map_err(failed)?;
        let mut upload = Upload::new(name.to_owned(), id.clone(), Vec::new());
        let stored = self.store_parts(source, &mut upload).await;
        // Stops the parts on their way: one that came after the end would stay.
        drop(upload);
        match stored {
            Ok((done, parts)) => {
                let verified = self.verify_parts(name, &parts).await;
                self.kept_if(key, verified).await?;
                Ok(self.receipt(key, size, done.version))
            }
            Err(error) => {
                if let Err(fault) = self.abort(&full, &id).await {
                    tracing::warn!(%key, error = fault.text(), "Left an upload behind; storing it again removes it");
                }
                Err(error)
            }
        }
    }

    async fn store_parts(
        self: &Arc<Self>,
        mut source: Source<'_>,
        upload: &mut Upload,
    ) -> Result<(Found, Vec<Sent>), Error> {
        let key = source.key;
        let failed = |fault: Fault| fault.during(format!("store {key}"));
        loop {
            let mut filling = self.memory.filling();
            source.fill(&mut filling, size_of(upload.count(), self.options.part_size)).await?;
            if filling.len() == 0 {
                break;
            }
            upload.send(self, filling.take()).await.map_err(failed)?;
        }
        source.check_end()?;
        let parts = upload.settle().await.map_err(failed)?;
        let done = self.complete(&upload.name, &upload.id, &parts).await.map_err(failed)?;
        Ok((done, parts))
    }
}

/// A stream that promises its length.
struct Source<'a> {
    key: &'a Key,
    size: u64,
    body: ByteStream,
    taken: u64,
    /// What of a frame went beyond a part.
    rest: bytes::Bytes,
}

impl Source<'_> {
    /// Takes bytes until `filling` has `most` or nothing follows. Fails as soon as there are too many.
    async fn fill(&mut self, filling: &mut Filling, most: u64) -> Result<(), Error> {
        while filling.len() < most {
            if self.rest.is_empty() {
                match self.body.next().await {
                    None => return Ok(()),
                    Some(frame) => self.rest = frame?,
                }
                self.taken += self.rest.len() as u64;
                if self.taken > self.size {
                    return self.check_end();
                }
            }
            let room = usize::try_from(most - filling.len()).unwrap_or(usize::MAX).min(self.rest.len());
            let put = filling.append(self.rest.split_to(room)).await;
            put.map_err(|e: io::Error| Error::io(format!("store {}", self.key), e))?;
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), Error> {
        if self.taken == self.size { Ok(()) } else { Err(Error::length(self.key, self.size, self.taken)) }
    }
}
