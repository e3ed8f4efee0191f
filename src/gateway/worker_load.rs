//! How many connections each worker has, and how many calls they have at once. New connections go where it is least.
//!
//! A call changes no number that two threads share: it compares the open calls of its connection with the most that the
//! connection had before, and only a new maximum is added to the load of the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// The load of one worker: sums over its open connections. They are read while they change, so each of them may lack the
/// last change.
#[derive(Debug, Default)]
pub struct WorkerLoad {
    number: usize,
    connections: AtomicIsize,
    /// What connections had, or what is expected of them if that is more.
    calls: AtomicIsize,
    calls_seen: AtomicIsize,
    connections_in_use: AtomicIsize,
}

/// What one connection adds to the load of its worker: the most calls that it had open at once, in the last period or in
/// this one. The number of calls that are open at this moment would often be 0 by chance. What it added is subtracted
/// when this is dropped.
#[derive(Debug)]
pub struct Weight {
    worker: Arc<WorkerLoad>,
    /// 0 after the period in which the connection was opened.
    expected: AtomicUsize,
    /// The most calls at once in this period.
    peak: AtomicUsize,
    /// The most calls at once, in the last period or in this one. It is added to `calls_seen`.
    seen: AtomicUsize,
    /// What is added to `calls`. Each of these two is only ever swapped for another value, and the difference added, so
    /// that nothing of it is left in the sums when two threads do so at the same time.
    counted: AtomicUsize,
}

impl WorkerLoad {
    /// The load of a worker without connections.
    pub fn new(number: usize) -> Arc<Self> {
        Arc::new(Self { number, ..Self::default() })
    }

    /// Counts a new connection that is expected to have this many calls at once. Without that, connections that come
    /// before the calls of those before them would all be counted for the same worker.
    pub fn connect(self: &Arc<Self>, expected_calls: usize) -> Weight {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let weight = Weight {
            worker: self.clone(),
            expected: AtomicUsize::new(expected_calls),
            peak: AtomicUsize::default(),
            seen: AtomicUsize::default(),
            counted: AtomicUsize::default(),
        };
        weight.count(0);
        weight
    }

    /// How many calls a new connection to one of these workers will have at once: as many as the others on average, as far
    /// as they had calls; at least 1.
    pub fn expected_calls<'a>(workers: impl Iterator<Item = &'a Self>) -> usize {
        let (calls, connections) = workers.fold((0, 0), |(calls, connections), worker| {
            (calls + read(&worker.calls_seen), connections + read(&worker.connections_in_use))
        });
        calls.div_ceil(connections.max(1)).max(1)
    }

    /// The open connections, with those that the worker has not begun to serve.
    pub fn connections(&self) -> usize {
        read(&self.connections)
    }

    /// The sum over all connections of the most calls that each had at once, or is expected to have.
    pub fn calls(&self) -> usize {
        read(&self.calls)
    }
}

impl Weight {
    /// The number of the worker.
    pub(super) fn worker(&self) -> usize {
        self.worker.number
    }

    /// Records that the connection has this many open calls. Called for each call.
    pub(super) fn record(&self, open_calls: usize) {
        if open_calls > self.peak.load(Ordering::Relaxed) {
            self.peak.store(open_calls, Ordering::Relaxed);
            if open_calls > self.seen.load(Ordering::Relaxed) {
                self.count(open_calls);
            }
        }
    }

    /// Begins the next period, with this many open calls.
    pub(super) fn begin_period(&self, open_calls: usize) {
        self.expected.store(0, Ordering::Relaxed);
        self.count(self.peak.swap(open_calls, Ordering::Relaxed));
    }

    fn count(&self, seen: usize) {
        let counted = seen.max(self.expected.load(Ordering::Relaxed));
        let worker = &self.worker;
        add(&worker.calls, counted, self.counted.swap(counted, Ordering::Relaxed));
        let before = self.seen.swap(seen, Ordering::Relaxed);
        add(&worker.calls_seen, seen, before);
        add(&worker.connections_in_use, usize::from(seen > 0), usize::from(before > 0));
    }
}

impl Default for Weight {
    /// The weight of a connection of no worker.
    fn default() -> Self {
        WorkerLoad::new(0).connect(1)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.expected.store(0, Ordering::Relaxed);
        self.count(0);
        self.worker.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Replaces a part of a sum.
fn add(sum: &AtomicIsize, now: usize, before: usize) {
    if now != before {
        sum.fetch_add(now.wrapping_sub(before).cast_signed(), Ordering::Relaxed);
    }
}

/// While two threads add to a sum, it may be below 0.
fn read(sum: &AtomicIsize) -> usize {
    usize::try_from(sum.load(Ordering::Relaxed)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(worker: &WorkerLoad) -> [usize; 4] {
        [&worker.connections, &worker.calls, &worker.calls_seen, &worker.connections_in_use].map(read)
    }

    #[test]
    fn a_connection_counts_as_the_most_calls_that_it_had_at_once_in_two_periods() {
        let worker = WorkerLoad::new(0);
        let weight = worker.connect(1);
        assert_eq!(sums(&worker), [1, 1, 0, 0]);
        [1, 2, 5, 3, 1].iter().for_each(|open| weight.record(*open));
        assert_eq!(sums(&worker), [1, 5, 5, 1]);
        weight.begin_period(1);
        weight.record(2);
        assert_eq!(sums(&worker), [1, 5, 5, 1]);
        weight.begin_period(0);
        assert_eq!(sums(&worker), [1, 2, 2, 1]);
        weight.begin_period(0);
        assert_eq!(sums(&worker), [1, 0, 0, 0]);
        weight.record(1);
        assert_eq!(sums(&worker), [1, 1, 1, 1]);
        drop(weight);
        assert_eq!(sums(&worker), [0; 4]);
    }

    #[test]
    fn a_new_connection_is_expected_to_be_like_those_that_have_calls() {
        let worker = WorkerLoad::new(0);
        let expected = || WorkerLoad::expected_calls([&*worker].into_iter());
        let (first, idle) = (worker.connect(expected()), worker.connect(expected()));
        assert_eq!((expected(), sums(&worker)), (1, [2, 2, 0, 0]));
        first.record(4);
        let second = worker.connect(expected());
        assert_eq!((expected(), sums(&worker)), (4, [3, 9, 4, 1]));
        second.record(1);
        assert_eq!((expected(), sums(&worker)), (3, [3, 9, 5, 2]));
        [&first, &idle, &second].iter().for_each(|weight| weight.begin_period(0));
        assert_eq!((expected(), sums(&worker)), (3, [3, 5, 5, 2]));
        drop((first, idle, second));
        assert_eq!(sums(&worker), [0; 4]);
    }
}
