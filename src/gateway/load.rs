//! How much of the gateway is in use, and how many calls it answers, for clients that balance their load.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Admission;
use crate::memory::MemoryBudget;

/// How often the calls in flight and the bytes are looked at. A figure of one moment would not do: with few calls at a
/// time it is twice the mean at one look and nothing at the next.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// How often while there are none, so that an idle gateway is not woken all the time.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// The time that [`Load::recent`] covers, in seconds: that of a report in `weighted_round_robin` by default (gRFC A58).
const RECENT_SECONDS: f64 = 10.0;
/// How many seconds are between two sums that are kept for it.
const HISTORY_STEP_SECONDS: f64 = 1.0;

/// The load of the process: of all workers and all protocols.
#[derive(Debug)]
pub struct Load {
    admission: Arc<Admission>,
    memory: Arc<MemoryBudget>,
    /// Not an `ArcSwap`: to replace its value, it visits every thread that the process ever had.
    latest: RwLock<Latest>,
}

/// What was measured last.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    sums: LoadSums,
    recent: LoadReport,
}

/// Sums since the start, by which the load of any time is found.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadSums {
    seconds: f64,
    /// Calls in flight, times how long they were.
    call_seconds: f64,
    /// Bytes reserved, times how long they were.
    byte_seconds: f64,
    ended: u64,
    failed: u64,
}

/// The load over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// The calls in flight by their limit: 0 to 1.
    pub calls_in_flight: f64,
    /// The bytes reserved by their limit. Over 1 while a response goes over the limit, which one at a time may do.
    pub bytes_held: f64,
    /// The calls that ended in a second.
    pub calls_per_second: f64,
    /// The calls that failed in a second for another reason than a mistake of their callers.
    pub errors_per_second: f64,
}

impl LoadReport {
    /// The largest part of a limit that is in use.
    pub fn utilization(&self) -> f64 {
        self.calls_in_flight.max(self.bytes_held)
    }
}

impl LoadSums {
    /// The sums after some more time with the same load.
    fn after(self, seconds: f64, admission: &Admission, memory: &MemoryBudget) -> Self {
        Self {
            seconds: self.seconds + seconds,
            call_seconds: self.call_seconds + admission.in_flight() as f64 * seconds,
            byte_seconds: self.byte_seconds + memory.reserved() as f64 * seconds,
            ended: admission.ended(),
            failed: admission.failed(),
        }
    }
}

impl Load {
    pub fn new(admission: Arc<Admission>, memory: Arc<MemoryBudget>) -> Self {
        Self { admission, memory, latest: RwLock::default() }
    }

    /// Measures for as long as it is polled. Without it there are no figures.
    pub async fn measure(&self) {
        let (mut last, mut history) = (Instant::now(), VecDeque::from([LoadSums::default()]));
        loop {
            tokio::time::sleep(if self.is_idle() { IDLE_INTERVAL } else { SAMPLE_INTERVAL }).await;
            let now = Instant::now();
            self.sample((now - last).as_secs_f64(), &mut history);
            last = now;
        }
    }

    /// Whether there are no calls now, and none has ended since the last sample.
    fn is_idle(&self) -> bool {
        self.admission.in_flight() == 0
            && self.memory.reserved() == 0
            && self.admission.ended() == self.latest().sums.ended
    }

    /// Adds the load of the last `seconds`. The first element of `history` is where [`Load::recent`] begins.
    fn sample(&self, seconds: f64, history: &mut VecDeque<LoadSums>) {
        let sums = self.sums().after(seconds, &self.admission, &self.memory);
        if history.back().is_none_or(|newest| sums.seconds - newest.seconds >= HISTORY_STEP_SECONDS) {
            history.push_back(sums);
        }
        while history.get(1).is_some_and(|second| sums.seconds - second.seconds >= RECENT_SECONDS) {
            history.pop_front();
        }
        let recent = self.between(&history.front().copied().unwrap_or_default(), &sums);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Latest { sums, recent };
    }

    fn latest(&self) -> Latest {
        *self.latest.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums until now, for [`Load::since`].
    pub fn sums(&self) -> LoadSums {
        self.latest().sums
    }

    /// The load since these sums were taken.
    pub fn since(&self, before: &LoadSums) -> LoadReport {
        self.between(before, &self.sums())
    }

    /// The load of the last ten seconds, renewed ten times a second while there are calls.
    pub fn recent(&self) -> LoadReport {
        self.latest().recent
    }

    fn between(&self, before: &LoadSums, after: &LoadSums) -> LoadReport {
        let seconds = after.seconds - before.seconds;
        if seconds <= 0.0 {
            return LoadReport::default();
        }
        let ended = after.ended.saturating_sub(before.ended) as f64;
        // Calls that were too short to be seen in flight were in flight all the same. Clients ignore a report of 0.
        let least = if ended > 0.0 { SAMPLE_INTERVAL.as_secs_f64() } else { 0.0 };
        let call_seconds = (after.call_seconds - before.call_seconds).max(least);
        LoadReport {
            calls_in_flight: call_seconds / seconds / self.admission.cap() as f64,
            bytes_held: (after.byte_seconds - before.byte_seconds) / seconds / self.memory.cap() as f64,
            calls_per_second: ended / seconds,
            errors_per_second: after.failed.saturating_sub(before.failed) as f64 / seconds,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gateway::Error;

    const CALLS: usize = 10;
    const BYTES: usize = 64 << 20;

    fn load() -> (Load, VecDeque<LoadSums>) {
        (Load::new(Admission::new(CALLS, false), MemoryBudget::new(BYTES)), VecDeque::from([LoadSums::default()]))
    }

    fn assert_close(report: LoadReport, expected: [f64; 4]) {
        let LoadReport { calls_in_flight, bytes_held, calls_per_second, errors_per_second } = report;
        let found = [calls_in_flight, bytes_held, calls_per_second, errors_per_second];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9), "{report:?}");
    }

    #[test]
    fn a_report_is_the_mean_of_its_time_and_its_utilization_the_larger_part() {
        let (load, mut history) = load();
        let mut calls: Vec<_> = (0..4).map(|_| load.admission.admit().unwrap()).collect();
        load.sample(1.0, &mut history);
        calls.truncate(2);
        let mut reserved = load.memory.reserve();
        reserved.resize(BYTES / 2);
        load.sample(1.0, &mut history);
        assert_close(load.recent(), [0.3, 0.25, 1.0, 0.0]);
        assert!((load.recent().utilization() - 0.3).abs() < 1e-9);

        let before = load.sums();
        calls[0].record_failure(&Error::Stopped);
        calls[1].record_failure(&Error::TooLarge { limit: 1 });
        drop(calls);
        load.sample(0.5, &mut history);
        assert_close(load.since(&before), [0.1 / 0.5 / 10.0, 0.5, 4.0, 2.0]);
        assert!((load.since(&before).utilization() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn calls_between_two_samples_count_and_a_call_that_is_refused_does_not() {
        let (load, mut history) = load();
        load.sample(1.0, &mut history);
        assert_close(load.recent(), [0.0; 4]);
        drop(load.admission.admit().unwrap());
        let calls: Vec<_> = (0..CALLS).map(|_| load.admission.admit().unwrap()).collect();
        assert!(load.admission.admit().is_err() && load.admission.in_flight() == CALLS);
        std::mem::forget(calls);
        load.sample(1.0, &mut history);
        assert_close(load.since(&LoadSums::default()), [0.5, 0.0, 0.5, 0.0]);
        let (other, mut history) = self::load();
        drop(other.admission.admit().unwrap());
        other.sample(1.0, &mut history);
        assert_close(other.recent(), [0.01, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_gateway_is_idle_once_all_its_calls_are_over_and_counted() {
        let (load, mut history) = load();
        assert!(load.is_idle());
        let call = load.admission.admit().unwrap();
        load.sample(1.0, &mut history);
        assert!(!load.is_idle());
        drop(call);
        assert!(!load.is_idle());
        load.sample(1.0, &mut history);
        assert!(load.is_idle());
        let mut reserved = load.memory.reserve();
        reserved.resize(BYTES / 2);
        assert!(!load.is_idle());
    }

    #[test]
    fn recent_forgets_what_was_more_than_ten_seconds_ago() {
        let (load, mut history) = load();
        let call = load.admission.admit().unwrap();
        for _ in 0..100 {
            load.sample(0.5, &mut history);
        }
        assert_close(load.recent(), [0.1, 0.0, 0.0, 0.0]);
        drop(call);
        for _ in 0..22 {
            load.sample(0.5, &mut history);
        }
        assert_close(load.recent(), [0.0; 4]);
        assert!(history.len() <= 12, "{}", history.len());
    }
}
