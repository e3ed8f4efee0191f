//! Collects the latencies of a measurement.

use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::client::Outcome;

/// From a microsecond to ten minutes, in nanoseconds, with three digits.
fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).ok()
}

struct Latencies {
    total: Option<Histogram<u64>>,
    first: Option<Histogram<u64>>,
    chunk: Option<Histogram<u64>>,
    /// How late the load itself was: from the planned start of a call until the call began, while a caller was free.
    late: Option<Histogram<u64>>,
    error: Option<String>,
}

pub struct Recorder(Mutex<Latencies>);

impl Recorder {
    pub fn new() -> Self {
        let (total, first, chunk, late) = (histogram(), histogram(), histogram(), histogram());
        Self(Mutex::new(Latencies { total, first, chunk, late, error: None }))
    }

    /// A call that took this time. `waited_ns` is the time from its planned start until it began; 0 in a closed loop.
    pub fn call(&self, total_ns: u64, waited_ns: u64, outcome: &Outcome) {
        let mut latencies = self.lock();
        record(&mut latencies.total, total_ns);
        record(&mut latencies.first, waited_ns + outcome.first_ns);
        outcome.chunks_ns.iter().for_each(|chunk| record(&mut latencies.chunk, *chunk));
    }

    pub fn late(&self, late_ns: u64) {
        record(&mut self.lock().late, late_ns);
    }

    /// Keeps the first error, to be shown.
    pub fn error(&self, error: String) {
        self.lock().error.get_or_insert(error);
    }

    /// Adds what was recorded to the object of a measurement.
    pub fn write(&self, out: &mut Value) {
        let latencies = self.lock();
        let all = [
            ("latency_us", &latencies.total),
            ("first_us", &latencies.first),
            ("chunk_us", &latencies.chunk),
            ("late_us", &latencies.late),
        ];
        for (name, histogram) in all {
            if let Some(histogram) = histogram.as_ref().filter(|histogram| !histogram.is_empty()) {
                out[name] = quantiles(histogram);
            }
        }
        if let Some(error) = &latencies.error {
            out["first_error"] = json!(error);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(histogram: &mut Option<Histogram<u64>>, ns: u64) {
    histogram.iter_mut().for_each(|histogram| histogram.saturating_record(ns));
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let us = |quantile| (histogram.value_at_quantile(quantile) as f64 / 100.0).round() / 10.0;
    let max = (histogram.max() as f64 / 100.0).round() / 10.0;
    json!({"count": histogram.len(), "p50": us(0.5), "p90": us(0.9), "p99": us(0.99), "p999": us(0.999), "max": max})
}
