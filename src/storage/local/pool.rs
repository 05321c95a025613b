//! Read buffers that are used again, so that streaming a gigabyte does not map and zero a gigabyte.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::storage::MAX_FRAME;

/// Frames up to this size get memory of their own: a cached manifest must not pin a whole buffer.
const SMALL: usize = 64 * 1024;

/// A bounded stock of buffers of [`MAX_FRAME`] bytes each.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Vec<Box<[u8]>>>,
    keep: usize,
}

/// A buffer out of the pool; goes back when the last `Bytes` over it is dropped.
struct Pooled {
    buffer: Box<[u8]>,
    len: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// A pool that keeps at most `keep` unused buffers.
    pub(super) fn new(keep: usize) -> Self {
        Self { free: Mutex::default(), keep }
    }

    /// A frame of `len` bytes, at most [`MAX_FRAME`], filled by `fill`.
    pub(super) fn frame<E>(
        self: &Arc<Self>,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        if len <= SMALL {
            let mut own = vec![0; len];
            fill(&mut own)?;
            return Ok(own.into());
        }
        let recycled = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = recycled.unwrap_or_else(|| vec![0; MAX_FRAME].into());
        let mut pooled = Pooled { buffer, len, pool: Arc::clone(self) };
        fill(&mut pooled.buffer[..len])?;
        Ok(Bytes::from_owner(pooled))
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.pool.keep {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn fill(with: u8) -> impl FnOnce(&mut [u8]) -> Result<(), Infallible> {
        move |buffer| {
            buffer.fill(with);
            Ok(())
        }
    }

    #[test]
    fn a_large_frame_gives_its_buffer_back_with_its_last_part() {
        let pool = Arc::new(Pool::new(1));
        let frame = pool.frame(SMALL + 1, fill(7)).unwrap();
        let part = frame.slice(10..20);
        drop(frame);
        assert!(pool.free.lock().unwrap().is_empty());
        assert_eq!(part, [7; 10].as_slice());
        let address = part.as_ptr() as usize - 10;
        drop(part);
        let again = pool.frame(MAX_FRAME, fill(8)).unwrap();
        assert_eq!(again.as_ptr() as usize, address);
        assert_eq!(again, vec![8; MAX_FRAME]);
    }

    #[test]
    fn the_pool_keeps_no_more_than_it_may() {
        let pool = Arc::new(Pool::new(1));
        let two = [pool.frame(MAX_FRAME, fill(1)).unwrap(), pool.frame(MAX_FRAME, fill(2)).unwrap()];
        drop(two);
        assert_eq!(pool.free.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_failed_read_gives_the_buffer_back() {
        let pool = Arc::new(Pool::new(1));
        assert_eq!(pool.frame(MAX_FRAME, |_| Err("io")).unwrap_err(), "io");
        assert_eq!(pool.free.lock().unwrap().len(), 1);
    }
}
