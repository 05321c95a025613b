//! What is spent on packages at once: the memory of tables, and the threads that read archives.
//!
//! The two are apart. An archive is read for as long as it is large, minutes at worst, and has next to no table yet;
//! no other package waits for that.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::registry::Error;

/// Thousands of files in all packages that are composed or recognised at once. A thousand take some 3 MiB, so one
/// package of the largest there are has it for itself.
const AT_ONCE: u32 = 40;

/// Places that only packages below a thousand files have, while a large one has or waits for all others.
const SMALL: usize = 4;

/// Packages whose archives are read at once.
const READING: usize = 3;

/// How long a package may wait for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bounds what is spent on packages at once.
#[derive(Debug)]
pub(in crate::registry) struct Weights {
    thousands: Semaphore,
    small: Semaphore,
    reading: Semaphore,
    patience: Duration,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            thousands: Semaphore::new(AT_ONCE as usize),
            small: Semaphore::new(SMALL),
            reading: Semaphore::new(READING),
            patience: PATIENCE,
        }
    }
}

impl Weights {
    /// Waits until there is room for the table of a package of so many files; [`Error::Busy`] when there is none for
    /// long.
    pub(super) async fn take(&self, files: usize) -> Result<SemaphorePermit<'_>, Error> {
        let thousands = u32::try_from(files / 1000 + 1).unwrap_or(AT_ONCE).min(AT_ONCE);
        let place = async {
            if thousands > 1 {
                return self.thousands.acquire_many(thousands).await;
            }
            tokio::select! {
                biased;
                shared = self.thousands.acquire() => shared,
                own = self.small.acquire() => own,
            }
        };
        let taken = tokio::time::timeout(self.patience, place).await;
        let taken = taken.map_err(|_| Error::Busy("too many large packages are on their way"))?;
        taken.map_err(|_| Error::Stopping)
    }

    /// Waits until the archives of one more package may be read; [`Error::Busy`] when that takes long.
    pub(super) async fn read_archives(&self) -> Result<SemaphorePermit<'_>, Error> {
        let taken = tokio::time::timeout(self.patience, self.reading.acquire()).await;
        let taken = taken.map_err(|_| Error::Busy("too many archives are being read"))?;
        taken.map_err(|_| Error::Stopping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::MAX_FILES;

    fn impatient() -> Weights {
        Weights { patience: Duration::from_millis(20), ..Weights::default() }
    }

    #[tokio::test]
    async fn a_package_that_finds_no_room_is_told_to_come_back_and_small_ones_share_it() {
        let weights = impatient();
        let mut small = Vec::new();
        for _ in 0..AT_ONCE as usize + SMALL {
            small.push(weights.take(999).await.unwrap());
        }
        let refused = weights.take(1).await.unwrap_err();
        assert!(matches!(refused, Error::Busy(_)), "{refused}");
        small.clear();
        let _whole = weights.take(MAX_FILES + 1).await.unwrap();
        assert!(matches!(weights.take(1000).await, Err(Error::Busy(_))));
    }

    #[tokio::test]
    async fn packages_waited_while_archives_were_read() {
        let weights = impatient();
        let mut read = Vec::new();
        for _ in 0..READING {
            read.push(weights.read_archives().await.unwrap());
        }
        let refused = weights.read_archives().await.unwrap_err();
        assert!(matches!(refused, Error::Busy(_)), "{refused}");
        drop(weights.take(MAX_FILES).await.unwrap());
        drop(weights.take(1).await.unwrap());
    }

    #[tokio::test]
    async fn a_small_package_waited_behind_a_large_one_that_waited_itself() {
        let weights = Weights::default();
        let _half = weights.take(MAX_FILES / 2).await.unwrap();
        let mut large = Box::pin(weights.take(MAX_FILES));
        assert!(futures_util::poll!(&mut large).is_pending());
        let small = Box::pin(weights.take(10));
        assert!(futures_util::FutureExt::now_or_never(small).is_some());
    }
}
