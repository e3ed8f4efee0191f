//! Telemetry of a pool of upstream keys. It names a key by its name, and has nothing of the key itself.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter, Meter};

use super::instrument::counter;
use super::names;
use super::series::Series;

/// The most pairs of key and outcome that are counted; names of keys change only with their file.
const MAX_PAIRS: usize = 1000;

/// What became of a request, as far as it is about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyOutcome {
    /// Upstream took it.
    Ok,
    /// The key is at a limit.
    Limited,
    /// A quota per day of the key is used up.
    UsedUp,
    /// Upstream refuses the key.
    Refused,
    /// It failed for another reason.
    Failed,
}

/// A rest that a key begins.
#[derive(Debug)]
pub struct KeyRest<'a> {
    /// The name of the key.
    pub key: &'a str,
    /// The model, if the key rests only for that.
    pub model: Option<&'a Arc<str>>,
    /// Why it rests.
    pub outcome: KeyOutcome,
    /// How often in a row.
    pub count: u32,
    pub rest: Duration,
}

/// The counter of requests by key and outcome.
pub(super) struct KeyRequests {
    requests: Counter<u64>,
    series: Series<(Arc<str>, KeyOutcome), BoundCounter<u64>>,
}

impl KeyOutcome {
    /// The value of the label `outcome`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::UsedUp => "used_up",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl KeyRequests {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { requests: counter(meter, names::KEY_REQUESTS), series: Series::up_to(MAX_PAIRS) }
    }

    /// Counts a request.
    pub(super) fn add(&self, key: &Arc<str>, outcome: KeyOutcome) {
        let labels = || [KeyValue::new("key", key.clone()), KeyValue::new("outcome", outcome.as_str())];
        match self.series.get_or_add(&(key.clone(), outcome), || self.requests.bind(&labels())) {
            Some(bound) => bound.add(1),
            None => self.requests.add(1, &labels()),
        }
    }
}
