//! An object that arrives in steps.
//!
//! Bytes gather in a part. A full part is sent as soon as more follow, so an object that fits one part never
//! becomes a multipart upload: it is stored in one request under the key it is given. What is put aside before a
//! part is full waits in objects of its own, segments, which whoever goes on reads back.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::bucket::Bucket;
use super::keys::fresh;
use super::multipart::{Multipart, part_size};
use super::spool::Part;
use super::state::{Segment, State};
use super::{leftovers, read};
use crate::storage::{ByteStream, Error, Key, Receipt, Staged, StagingId};

/// Segments after which the next one takes over the bytes of all.
const MAX_SEGMENTS: usize = 16;

pub(super) struct Writing {
    bucket: Arc<Bucket>,
    id: StagingId,
    multipart: Option<Multipart>,
    part: Part,
    /// Objects that hold the first bytes of `part`.
    segments: Vec<Segment>,
    /// Objects that hold bytes which are elsewhere now.
    stale: Vec<String>,
    len: u64,
    kept: u64,
    /// Set when the object was completed so that it could be read.
    finished: Option<Receipt>,
    broken: bool,
}

/// A new write. Nothing is sent until there is something to send.
pub(super) fn begin(bucket: &Arc<Bucket>, id: &StagingId) -> Writing {
    Writing {
        bucket: Arc::clone(bucket),
        id: id.clone(),
        multipart: None,
        part: bucket.spool.part(),
        segments: Vec::new(),
        stale: Vec::new(),
        len: 0,
        kept: 0,
        finished: None,
        broken: false,
    }
}

/// Goes on with a write that was put aside at `length`.
pub(super) async fn resume(
    bucket: &Arc<Bucket>,
    id: &StagingId,
    length: u64,
    state: &[u8],
) -> Result<Writing, Error> {
    let state = State::from_bytes(state, id)?;
    if state.len() == 0 && length > 0 {
        return Err(Error::not_staged(id));
    }
    if state.len() != length {
        return Err(Error::Short { id: id.to_string(), expected: length, actual: state.len() });
    }
    let mut writing = begin(bucket, id);
    for segment in &state.segments {
        load(bucket, id, segment, &mut writing.part).await?;
    }
    writing.multipart = state.upload.map(|upload| Multipart::resume(bucket, upload));
    writing.segments = state.segments;
    (writing.len, writing.kept) = (length, length);
    leftovers::remove_in_background(bucket, state.stale);
    Ok(writing)
}

/// Reads a segment back.
async fn load(bucket: &Arc<Bucket>, id: &StagingId, segment: &Segment, part: &mut Part) -> Result<(), Error> {
    let mut object = read::open_name(bucket, &segment.name, None).await.map_err(|error| match error {
        Error::NotFound { .. } => Error::not_staged(id),
        error => error,
    })?;
    if object.size != segment.len {
        return Err(Error::Short { id: id.to_string(), expected: segment.len, actual: object.size });
    }
    while let Some(frame) = object.body.next().await {
        part.push(frame?).await?;
    }
    Ok(())
}

impl Writing {
    async fn push(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            let number = self.multipart.as_ref().map_or(0, Multipart::parts);
            let room = part_size(&self.bucket, number).saturating_sub(self.part.len());
            if room == 0 {
                self.send_part().await?;
                continue;
            }
            let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            self.part.push(bytes.split_to(fits)).await?;
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), Error> {
        if self.multipart.is_none() {
            self.multipart = Some(Multipart::begin(&self.bucket, &self.id).await?);
        }
        let multipart = self.multipart.as_mut().expect("it was begun a moment ago");
        let part = std::mem::replace(&mut self.part, self.bucket.spool.part());
        multipart.send(part.ready()).await?;
        self.stale.extend(self.segments.drain(..).map(|segment| segment.name));
        Ok(())
    }

    /// Puts the bytes that no segment has into one.
    async fn put_segment(&mut self) -> Result<(), Error> {
        if self.segments.len() >= MAX_SEGMENTS {
            self.stale.extend(self.segments.drain(..).map(|segment| segment.name));
        }
        let held = self.segments.iter().map(|segment| segment.len).sum::<u64>();
        let part = std::mem::replace(&mut self.part, self.bucket.spool.part()).ready();
        if part.len == held {
            return Ok(());
        }
        let bytes = part.bytes_from(held).await?;
        let name = format!("{}{}", self.bucket.names.segments(Some(&self.id)), fresh());
        let len = bytes.len() as u64;
        let put = self.bucket.put(&name, bytes).await;
        put.map_err(|failure| self.bucket.failed_at("put aside", &name, failure))?;
        self.segments.push(Segment { name, len });
        Ok(())
    }

    /// Ends receiving: everything becomes one object, under `key` when it is small.
    async fn complete(&mut self, key: &Key) -> Result<Receipt, Error> {
        self.check_usable()?;
        self.broken = true;
        let receipt = if self.multipart.is_some() {
            if self.part.len() > 0 {
                self.send_part().await?;
            }
            let multipart = self.multipart.take().expect("it was there a moment ago");
            multipart.complete(self.len).await?
        } else {
            let part = std::mem::replace(&mut self.part, self.bucket.spool.part()).ready();
            let (size, bytes) = (part.len, part.bytes_from(0).await?);
            let put = self.bucket.put(&self.bucket.names.of(key.as_str()), bytes).await;
            let version = put.map_err(|failure| self.bucket.failed("store", key.as_str(), failure))?;
            self.bucket.receipt(key, size, version)
        };
        self.stale.extend(self.segments.drain(..).map(|segment| segment.name));
        leftovers::remove_in_background(&self.bucket, std::mem::take(&mut self.stale));
        Ok(receipt)
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.broken || self.finished.is_some() {
            let reason = std::io::Error::other("an earlier step failed, or it was completed");
            return Err(Error::io(format!("go on with staged write {}", self.id), reason));
        }
        Ok(())
    }
}

#[async_trait]
impl Staged for Writing {
    fn len(&self) -> u64 {
        self.len
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn kept(&self) -> u64 {
        self.kept
    }

    async fn append(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        self.check_usable()?;
        self.broken = true;
        for bytes in chunk {
            let len = bytes.len() as u64;
            self.push(bytes).await?;
            self.len += len;
        }
        self.broken = false;
        Ok(())
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        let receipt = match self.finished.take() {
            Some(receipt) => receipt,
            None => {
                // Whatever its size under a key of its own: the one it will be given is not known yet.
                let key = super::keys::multipart_key(&self.id);
                self.complete(&key).await?
            }
        };
        let object = read::open(&self.bucket, &receipt.key, None).await;
        self.finished = Some(receipt);
        Ok(object?.body)
    }

    async fn suspend(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.check_usable()?;
        let upload = match &mut self.multipart {
            Some(multipart) => Some(multipart.arrived().await?.clone()),
            None => None,
        };
        self.put_segment().await?;
        let state = State { upload, segments: self.segments.clone(), stale: self.stale.clone() };
        state.to_bytes()
    }

    async fn publish(mut self: Box<Self>, key: &Key) -> Result<Receipt, Error> {
        match self.finished.take() {
            Some(receipt) => Ok(receipt),
            None => self.complete(key).await,
        }
    }

    async fn discard(mut self: Box<Self>) -> Result<(), Error> {
        if let Some(receipt) = self.finished.take() {
            let name = self.bucket.names.of(receipt.key.as_str());
            let removed = self.bucket.remove(&name, receipt.version.as_deref()).await;
            removed.map_err(|failure| self.bucket.failed("discard", receipt.key.as_str(), failure))?;
        }
        if let Some(multipart) = self.multipart.take() {
            multipart.abort().await?;
        }
        let segments = self.segments.drain(..).map(|segment| segment.name);
        let names: Vec<String> = segments.chain(std::mem::take(&mut self.stale)).collect();
        leftovers::remove_all(&self.bucket, names).await
    }
}

/// Copies an object of known size into the bucket, under exactly this key.
pub(super) async fn store(
    bucket: &Arc<Bucket>,
    key: &Key,
    size: u64,
    mut body: ByteStream,
) -> Result<Receipt, Error> {
    if size <= part_size(bucket, 0) {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.next().await {
            bytes.extend_from_slice(&frame?);
            if bytes.len() as u64 > size {
                break;
            }
        }
        if bytes.len() as u64 != size {
            return Err(Error::length(key, size, bytes.len() as u64));
        }
        let put = bucket.put(&bucket.names.of(key.as_str()), bytes.freeze()).await;
        let version = put.map_err(|failure| bucket.failed("store", key.as_str(), failure))?;
        return Ok(bucket.receipt(key, size, version));
    }
    let id: StagingId = format!("put-{}", fresh()).parse().expect("ULIDs make staging ids");
    let mut writing = begin(bucket, &id);
    leftovers::abort_all(bucket, &bucket.names.of(key.as_str())).await?;
    writing.multipart = Some(Multipart::begin_at(bucket, key).await?);
    let filled = async {
        while let Some(frame) = body.next().await {
            writing.append(vec![frame?]).await?;
        }
        if writing.len == size { Ok(()) } else { Err(Error::length(key, size, writing.len)) }
    };
    if let Err(error) = filled.await {
        Box::new(writing).discard().await?;
        return Err(error);
    }
    writing.complete(key).await
}
