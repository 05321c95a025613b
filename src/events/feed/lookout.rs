//! Waiting for something rare. Who waits is not woken by everything else that is recorded.
//!
//! Consumers with the same filter share what is known of it. One task looks at every event once for each filter, and
//! wakes those for whom something is there; the appender does nothing for them, and a consumer that waits does nothing
//! at all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Filter, Record, Ring};
use crate::events::{Head, Sequence};

/// Events that fit which are remembered of a filter: a consumer that is no further behind skips what does not fit.
const FITS: usize = 64;

/// What is known of one filter: of the events behind `from` up to `to`, only `fits` fit.
#[derive(Clone, Debug)]
struct Known {
    from: Sequence,
    fits: VecDeque<Sequence>,
    to: Sequence,
}

impl Known {
    /// Nothing, but that the log ends there.
    fn nothing(at: Sequence) -> Self {
        Self { from: at, fits: VecDeque::new(), to: at }
    }

    fn fits(&mut self, sequence: Sequence) {
        self.fits.push_back(sequence);
        if self.fits.len() > FITS {
            self.from = self.fits.pop_front().expect("there are some");
        }
    }

    /// How far nothing fits behind a place. `None` where that is not known.
    fn passes(&self, after: Sequence) -> Option<Sequence> {
        if after < self.from {
            return None;
        }
        let next = self.fits.partition_point(|fit| *fit <= after);
        Some(self.fits.get(next).map_or(self.to, |fit| fit - 1).max(after))
    }

    /// Whether behind a place there is something, or may be.
    fn may_fit(&self, after: Sequence) -> bool {
        self.from > after || self.fits.back().is_some_and(|last| *last > after)
    }
}

/// Keeps watch for one consumer.
#[derive(Clone, Debug)]
pub struct Scout(watch::Receiver<Known>);

impl Scout {
    /// Up to where nothing fits behind a place, if that is known: the consumer may go on there.
    pub fn passes(&self, after: Sequence) -> Option<Sequence> {
        self.0.borrow().passes(after)
    }

    /// Waits until something behind a place fits, or may. `false` when the log is closed. Can be given up at any time.
    pub async fn wait(&mut self, after: Sequence) -> bool {
        self.0.wait_for(|known| known.may_fit(after)).await.is_ok()
    }
}

/// The filters somebody waits with.
#[derive(Debug, Default)]
pub(in crate::events) struct Lookout(Mutex<HashMap<Filter, watch::Sender<Known>>>);

impl Lookout {
    /// Keeps watch for what a filter lets through. `last` tells the newest event known.
    pub(in crate::events) fn scout(&self, filter: &Filter, last: impl FnOnce() -> Sequence) -> Scout {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = filters.get(filter) {
            return Scout(known.subscribe());
        }
        // Under the lock: what was looked at before is not newer, and what is looked at next not older.
        let (known, scout) = watch::channel(Known::nothing(last()));
        filters.insert(filter.clone(), known);
        Scout(scout)
    }

    /// The log goes up to `to`, and these are the events since the last time; `None` when they are not known.
    fn tell(&self, records: Option<&[Arc<Record>]>, to: Sequence) {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|filter, known| {
            known.send_if_modified(|known| {
                let Some(records) = records else {
                    *known = Known::nothing(to.max(known.to));
                    return true;
                };
                let (fits, from) = (known.fits.back().copied(), known.to);
                let is_new = |record: &&Arc<Record>| record.sequence > from && record.sequence <= to;
                for record in records.iter().filter(is_new).filter(|record| filter.matches(record)) {
                    known.fits(record.sequence);
                }
                known.to = known.to.max(to);
                known.fits.back().copied() != fits
            });
            known.receiver_count() > 0
        });
    }
}

/// Looks at what is recorded, until the log is closed.
pub(in crate::events) async fn look_out(
    lookout: Arc<Lookout>,
    ring: Arc<Ring>,
    mut head: watch::Receiver<Head>,
) {
    let mut looked_to = head.borrow().last();
    while head.changed().await.is_ok() {
        let to = head.borrow_and_update().last();
        let records = ring.after(looked_to, usize::MAX);
        let is_whole = |records: &Vec<Arc<Record>>| records.last().is_some_and(|last| last.sequence >= to);
        lookout.tell(records.filter(is_whole).as_deref(), to);
        looked_to = to;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn record(sequence: Sequence, repository: &str) -> Arc<Record> {
        Arc::new(Record::unstored(sequence, Some(repository), "s", vec![0xa0]))
    }

    fn of(repository: &str) -> Filter {
        Filter { repository: Some(repository.parse().unwrap()), ..Filter::default() }
    }

    fn is_woken(scout: &mut Scout, after: Sequence) -> bool {
        scout.wait(after).now_or_never().is_some()
    }

    #[test]
    fn who_waits_for_something_rare_is_woken_by_it_alone_and_skips_the_rest() {
        let lookout = Lookout::default();
        let (mut rare, mut all) = (lookout.scout(&of("rare"), || 3), lookout.scout(&Filter::default(), || 3));
        assert!(!is_woken(&mut rare, 3) && !is_woken(&mut all, 3));
        lookout.tell(Some(&[record(4, "a"), record(5, "a")]), 5);
        assert!(!is_woken(&mut rare, 3) && is_woken(&mut all, 3));
        assert_eq!((rare.passes(3), all.passes(3), all.passes(5)), (Some(5), Some(3), Some(5)));
        lookout.tell(Some(&[record(6, "a"), record(7, "rare"), record(8, "a")]), 8);
        assert!(is_woken(&mut rare, 3) && !is_woken(&mut rare, 7));
        assert_eq!((rare.passes(3), rare.passes(6), rare.passes(7)), (Some(6), Some(6), Some(8)));
    }

    #[test]
    fn who_is_before_what_is_known_looks_for_itself() {
        let lookout = Lookout::default();
        let mut scout = lookout.scout(&of("a"), || 10);
        assert!(is_woken(&mut scout, 9));
        assert_eq!((scout.passes(9), scout.passes(10)), (None, Some(10)));
        // More fit than are remembered.
        let last = 10 + i64::try_from(FITS).unwrap() + 2;
        let records: Vec<_> = (11..=last).map(|sequence| record(sequence, "a")).collect();
        lookout.tell(Some(&records), last);
        assert_eq!((scout.passes(11), scout.passes(12), scout.passes(last)), (None, Some(12), Some(last)));
    }

    #[test]
    fn a_gap_in_what_is_remembered_wakes_everybody() {
        let lookout = Lookout::default();
        let mut scout = lookout.scout(&of("a"), || 1);
        lookout.tell(None, 50);
        assert!(is_woken(&mut scout, 49) && !is_woken(&mut scout, 50));
        assert_eq!((scout.passes(49), scout.passes(50)), (None, Some(50)));
    }

    #[test]
    fn what_is_told_of_before_somebody_came_is_not_told_again() {
        let lookout = Lookout::default();
        let mut scout = lookout.scout(&of("a"), || 5);
        // The head was known before it was looked at.
        lookout.tell(Some(&[record(4, "a"), record(5, "a")]), 5);
        assert!(!is_woken(&mut scout, 5));
        assert_eq!(scout.passes(5), Some(5));
        // Nor is what the ring has beyond the head that was told.
        lookout.tell(Some(&[record(6, "b"), record(7, "a")]), 6);
        assert_eq!(scout.passes(5), Some(6));
        lookout.tell(Some(&[record(7, "a")]), 7);
        assert!(is_woken(&mut scout, 6));
    }

    #[test]
    fn a_filter_that_nobody_waits_with_is_forgotten() {
        let lookout = Lookout::default();
        let (first, second) = (lookout.scout(&of("a"), || 1), lookout.scout(&of("a"), || 1));
        lookout.tell(Some(&[record(2, "b")]), 2);
        assert_eq!(lookout.0.lock().unwrap().len(), 1);
        drop((first, second));
        lookout.tell(Some(&[record(3, "b")]), 3);
        assert_eq!(lookout.0.lock().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_closed_log_wakes_everybody() {
        let lookout = Lookout::default();
        let mut scout = lookout.scout(&of("a"), || 1);
        drop(lookout);
        assert!(!scout.wait(1).await);
    }
}
