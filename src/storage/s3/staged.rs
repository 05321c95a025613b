//! Objects written in steps.
//!
//! Bytes fill a part; a full part travels in the background while the next one fills. The first full part begins a
//! multipart upload under a name of its own, `multipart/<hex of staging id>.<ulid>`, which is the object's key once
//! it is complete, so nothing is ever copied. What never fills a part is written in one request at the key that
//! publishing names.
//!
//! Unfinished parts cannot be read back, so [`Staged::suspend`] puts bytes that are too few for a part aside as an
//! object of their own, a *segment*. Each suspend adds one with the bytes since the last, under a name never used
//! before: a request that was thought dead cannot overwrite what another wrote from the same state. They are read
//! once, when there are enough for a part. A segment the new state does not name any more is removed by the resume
//! that brings this state back, for until then the old one may still be what counts.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::bucket::Bucket;
use super::fault::{Fault, Kind};
use super::part::{Filling, Part};
use super::state::{Open, Segment, State};
use super::upload::{Upload, size_of};
use crate::storage::{ByteStream, Error, Key, MAX_FRAME, Receipt, Staged, StagingId};

/// Segments a state names before they are made one.
const MOST_SEGMENTS: usize = 32;

/// The S3 [`Staged`].
pub(super) struct StagedObject {
    bucket: Arc<Bucket>,
    id: StagingId,
    len: u64,
    kept: u64,
    part_size: u64,
    upload: Option<Upload>,
    /// Bytes after the parts that were put aside.
    segments: Vec<Segment>,
    /// Segments of the state we come from that are part of a part now.
    gone: Vec<String>,
    /// Bytes after the segments.
    filling: Filling,
    /// Set once the multipart upload is complete.
    finished: Option<Finished>,
    /// The bytes were read: nothing can be added.
    sealed: Option<Part>,
    resumed: bool,
    /// Set while an append runs and for good when one fails or its caller stops waiting.
    broken: bool,
}

#[derive(Clone, Debug)]
struct Finished {
    receipt: Receipt,
    /// Nobody else can have made the object, so that discarding it takes nothing from anybody.
    is_ours: bool,
}

/// Begins a staged write. Nothing is sent before there is a part.
pub(super) fn create(bucket: &Arc<Bucket>, id: &StagingId) -> StagedObject {
    StagedObject {
        bucket: Arc::clone(bucket),
        id: id.clone(),
        len: 0,
        kept: 0,
        part_size: bucket.options.part_size,
        upload: None,
        segments: Vec::new(),
        gone: Vec::new(),
        filling: bucket.memory.filling(),
        finished: None,
        sealed: None,
        resumed: false,
        broken: false,
    }
}

/// Opens a staged write again.
pub(super) async fn resume(
    bucket: &Arc<Bucket>,
    id: &StagingId,
    length: u64,
    state: &[u8],
) -> Result<StagedObject, Error> {
    let action = || format!("resume staged write {id}");
    if state.is_empty() {
        return Err(Error::not_staged(id));
    }
    // Whoever has bytes that are no state of this write, by damage or by a newer program, has nothing to go on with.
    let state = match State::decode(state) {
        Ok(state) if state.id == id.as_str() => state,
        Ok(state) => {
            tracing::warn!(%id, other = state.id, "Refused to go on from the state of another staged write");
            return Err(Error::not_staged(id));
        }
        Err(text) => {
            tracing::warn!(%id, error = text, "Refused to go on from a state that cannot be read");
            return Err(Error::not_staged(id));
        }
    };
    let invalid = |text: String| Error::io(action(), io::Error::new(io::ErrorKind::InvalidData, text));
    let actual = state.len();
    if actual < length {
        return Err(Error::Short { id: id.as_str().into(), expected: length, actual });
    }
    if actual > length {
        return Err(invalid(format!("the state is that of {actual} bytes and not of {length}")));
    }
    if let Some(open) = &state.upload
        && !bucket.has_upload(&open.name, &open.upload_id).await.map_err(|fault| fault.during(action()))?
    {
        return Err(Error::not_staged(id));
    }
    if let Some(last) = state.segments.last()
        && bucket.head(&last.name).await.map_err(|fault| fault.during(action()))?.is_none()
    {
        return Err(Error::not_staged(id));
    }
    for name in &state.gone {
        if let Err(fault) = bucket.remove(name).await {
            tracing::warn!(%name, error = fault.text(), "Left a segment behind for the next sweep");
        }
    }
    Ok(StagedObject {
        len: actual,
        kept: actual,
        part_size: state.part_size,
        upload: state.upload.map(|open| Upload::new(open.name, open.upload_id, open.parts)),
        segments: state.segments,
        resumed: true,
        ..create(bucket, id)
    })
}

impl StagedObject {
    fn action(&self, verb: &str) -> String {
        format!("{verb} staged write {}", self.id)
    }

    fn check_usable(&self) -> Result<(), Error> {
        let why = match (&self.finished, &self.sealed) {
            _ if self.broken => "an earlier step failed or was cut off",
            (None, None) => return Ok(()),
            _ => "its bytes were read, which ends it",
        };
        Err(Error::io(self.action("go on with"), io::Error::other(why)))
    }

    /// Bytes since the last full part.
    fn pending(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum::<u64>() + self.filling.len()
    }

    /// What the next part may still take.
    fn room(&self) -> u64 {
        let count = self.upload.as_ref().map_or(0, Upload::count);
        size_of(count, self.part_size).saturating_sub(self.pending())
    }

    /// Everything since the last full part, out of the segments and the memory. They are empty then.
    async fn take_pending(&mut self) -> Result<Part, Error> {
        let tail = self.filling.take();
        if self.segments.is_empty() {
            return Ok(tail);
        }
        let mut head = self.bucket.memory.filling();
        for segment in &self.segments {
            let object = self.bucket.open_name(&segment.name, None).await?;
            let object = object.ok_or_else(|| Error::NotFound { key: segment.name.clone() })?;
            if object.size != segment.size {
                return Err(super::read::other_size(&segment.name, segment.size, object.size));
            }
            let mut body = object.body;
            while let Some(frame) = body.next().await {
                head.append(frame?).await.map_err(|e| Error::io(self.action("read back"), e))?;
            }
        }
        self.gone.extend(self.segments.drain(..).map(|segment| segment.name));
        let mut part = head.take();
        part.join(tail);
        Ok(part)
    }

    /// Sends everything since the last full part as one.
    async fn send_part(&mut self) -> Result<(), Error> {
        let part = self.take_pending().await?;
        let action = self.action("send a part of");
        let failed = |fault: Fault| not_staged(fault, &self.id, action);
        let upload = if let Some(upload) = &mut self.upload {
            upload
        } else {
            let name = name(&self.id);
            match self.bucket.create_upload(&name).await {
                Ok(id) => self.upload.insert(Upload::new(name, id, Vec::new())),
                Err(fault) => return Err(failed(fault)),
            }
        };
        upload.send(&self.bucket, part).await.map_err(failed)
    }

    async fn take(&mut self, chunk: Vec<Bytes>) -> Result<(), Error> {
        if let Some(upload) = &mut self.upload
            && let Err(fault) = upload.look()
        {
            return Err(not_staged(fault, &self.id, self.action("send a part of")));
        }
        for mut bytes in chunk {
            while !bytes.is_empty() {
                let take = usize::try_from(self.room()).map_or(bytes.len(), |room| room.min(bytes.len()));
                self.len += take as u64;
                let taken = self.filling.append(bytes.split_to(take)).await;
                taken.map_err(|e| Error::io(self.action("append to"), e))?;
                if self.room() == 0 {
                    self.send_part().await?;
                }
            }
        }
        Ok(())
    }

    /// Ends the multipart upload, if there is one.
    async fn finish(&mut self) -> Result<Option<Receipt>, Error> {
        if self.finished.is_some() || self.upload.is_none() {
            return Ok(self.finished.as_ref().map(|finished| finished.receipt.clone()));
        }
        if self.pending() > 0 {
            self.send_part().await?;
        }
        let action = self.action("complete");
        let Some(upload) = &mut self.upload else { return Ok(None) };
        let name = upload.name.clone();
        let completed = async {
            let parts = upload.settle().await?;
            let done = self.bucket.complete(&upload.name, &upload.id, &parts).await?;
            Ok((done, parts))
        };
        let (done, parts) = completed.await.map_err(|fault| not_staged(fault, &self.id, action))?;
        if done.size != self.len {
            return Err(super::read::other_size(&name, self.len, done.size));
        }
        self.bucket.verify_parts(&name, &parts).await?;
        let key = name.parse::<Key>().expect("hex and ULIDs make keys");
        let receipt = self.bucket.receipt(&key, self.len, done.version);
        // Two may go on from one state when a lease runs out, and the other may have named the object already.
        let is_ours = !self.resumed;
        self.finished = Some(Finished { receipt: receipt.clone(), is_ours });
        Ok(Some(receipt))
    }

    /// Removes what the object was made of. Best effort: a sweep finds what stays.
    async fn tidy(&self) {
        if self.resumed
            && let Err(fault) = self.bucket.unstage(&self.id).await
        {
            tracing::warn!(id = %self.id, error = fault.text(), "Left segments behind for the next sweep");
        }
    }
}

/// `multipart/<hex of the id>.<ulid>`.
fn name(id: &StagingId) -> String {
    let ulid = ulid::Ulid::generate().to_string().to_lowercase();
    format!("{}{}.{ulid}", super::MULTIPART, super::leftovers::hex(id))
}

/// An upload that is gone was aborted by somebody: there is no such staged write any more.
fn not_staged(fault: Fault, id: &StagingId, action: String) -> Error {
    if fault.kind == Kind::NoUpload { Error::not_staged(id) } else { fault.during(action) }
}

#[async_trait]
impl Staged for StagedObject {
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
        self.take(chunk).await?;
        self.broken = false;
        Ok(())
    }

    async fn read(&mut self) -> Result<ByteStream, Error> {
        if self.broken {
            self.check_usable()?;
        }
        self.broken = true;
        let body = if let Some(receipt) = self.finish().await? {
            self.bucket.open(&receipt.key, None).await?.body
        } else {
            let part = match self.sealed.take() {
                Some(part) => part,
                None => self.take_pending().await?,
            };
            self.sealed = Some(part.clone());
            frames(&part)
        };
        self.broken = false;
        Ok(body)
    }

    async fn suspend(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.check_usable()?;
        let action = self.action("suspend");
        let start = self.len - self.filling.len();
        let (at, rest) = if self.filling.len() > 0 && self.segments.len() >= MOST_SEGMENTS {
            let at = self.len - self.pending();
            (at, self.take_pending().await?)
        } else {
            (start, self.filling.take())
        };
        if rest.len() > 0 {
            let ulid = ulid::Ulid::generate().to_string().to_lowercase();
            let name = format!("{}{}/{at}.{ulid}", super::STAGING, self.id);
            self.bucket.put(&name, &rest).await.map_err(|fault| fault.during(action.as_str()))?;
            self.segments.push(Segment { name, size: rest.len() });
        }
        let upload = match &mut self.upload {
            None => None,
            Some(upload) => {
                let parts = upload.settle().await;
                let parts = parts.map_err(|fault| not_staged(fault, &self.id, action.clone()))?;
                Some(Open { name: upload.name.clone(), upload_id: upload.id.clone(), parts })
            }
        };
        let state = State {
            v: State::VERSION,
            id: self.id.as_str().to_owned(),
            upload,
            segments: std::mem::take(&mut self.segments),
            gone: std::mem::take(&mut self.gone),
            part_size: self.part_size,
        };
        state.encode().map_err(|text| Error::io(action, io::Error::other(text)))
    }

    async fn publish(mut self: Box<Self>, key: &Key) -> Result<Receipt, Error> {
        if self.broken {
            self.check_usable()?;
        }
        let receipt = if let Some(receipt) = self.finish().await? {
            receipt
        } else {
            let part = match self.sealed.take() {
                Some(part) => part,
                None => self.take_pending().await?,
            };
            self.bucket.store(key, &part).await?
        };
        self.tidy().await;
        Ok(receipt)
    }

    async fn discard(mut self: Box<Self>) -> Result<(), Error> {
        let action = self.action("discard");
        if let Some(Finished { receipt, is_ours: true }) = &self.finished {
            let removed = self.bucket.remove(receipt.key.as_str()).await;
            removed.map_err(|fault| fault.during(action.as_str()))?;
        }
        if let Some(upload) = self.upload.take() {
            let (name, id) = (self.bucket.full(&upload.name), upload.id.clone());
            // Stops the parts on their way: one that came after the end would stay.
            drop(upload);
            if self.finished.is_none() {
                self.bucket.abort(&name, &id).await.map_err(|fault| fault.during(action.as_str()))?;
            }
        }
        if self.resumed {
            self.bucket.unstage(&self.id).await.map_err(|fault| fault.during(action))?;
        }
        Ok(())
    }
}

fn frames(part: &Part) -> ByteStream {
    const { assert!(super::part::CHUNK <= MAX_FRAME, "a chunk is a frame") };
    Box::pin(stream::unfold(part.frames(), async |mut frames| {
        let frame = std::future::poll_fn(|cx| frames.poll_next(cx)).await?;
        Some((frame.map_err(|e| Error::io("read back a staged write", e)), frames))
    }))
}
