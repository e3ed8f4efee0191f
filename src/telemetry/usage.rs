//! What each caller used of each model, so that a bill can be made.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter, Meter};

use super::facts::{OperationFacts, Tokens};
use super::instrument::{amounts, counter};
use super::names;
use super::series::Series;
use crate::gemini::code::Code;

/// The most pairs of caller and model that are counted apart. All others are counted as other models of their caller.
const MAX_PAIRS: usize = 1000;

/// The counters of usage.
pub(super) struct Usage {
    calls: Counter<u64>,
    tokens: Counter<u64>,
    images: Counter<u64>,
    cost: Counter<f64>,
    /// The caller, where callers are not known.
    unknown: Arc<str>,
    /// By caller and model.
    series: Series<(Arc<str>, Arc<str>), UsageSeries>,
}

/// What one caller used of one model.
struct UsageSeries {
    labels: [KeyValue; 2],
    ok: BoundCounter<u64>,
    /// In the order of [`Tokens::KINDS`].
    tokens: [BoundCounter<u64>; 5],
    images: BoundCounter<u64>,
    /// Only of a model with prices, because a counter that was bound is exported.
    cost: OnceLock<BoundCounter<f64>>,
}

impl Usage {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            calls: counter(meter, names::USAGE_CALLS),
            tokens: counter(meter, names::USAGE_TOKENS),
            images: counter(meter, names::USAGE_IMAGES),
            cost: amounts(meter, names::USAGE_COST),
            unknown: names::UNKNOWN.into(),
            series: Series::up_to(MAX_PAIRS),
        }
    }

    /// Counts a call that has ended.
    pub(super) fn add(&self, caller: Option<&Arc<str>>, code: Code, operation: &OperationFacts) {
        let OperationFacts { label: model, tokens, estimated, images, cost, .. } = operation;
        let caller = caller.unwrap_or(&self.unknown);
        let key = (caller.clone(), model.clone());
        let series = self.series.get_or_add(&key, || self.bind(&key));
        let series = series.unwrap_or_else(|| Arc::new(self.bind(&(caller.clone(), names::OTHER.into()))));
        if code == Code::Ok {
            series.ok.add(1);
        } else {
            let [caller, model] = series.labels.clone();
            self.calls.add(1, &[caller, model, KeyValue::new("code", code.as_str())]);
        }
        for (counter, tokens) in series.tokens.iter().zip(tokens.kinds()).filter(|(_, tokens)| *tokens > 0) {
            counter.add(tokens);
        }
        // Not bound, because most series never have estimates.
        for (kind, tokens) in [("estimated_input", estimated.input), ("estimated_output", estimated.output)] {
            if tokens > 0 {
                let [caller, model] = series.labels.clone();
                self.tokens.add(tokens, &[caller, model, KeyValue::new("kind", kind)]);
            }
        }
        if *images > 0 {
            series.images.add(*images);
        }
        if let Some(cost) = cost {
            series.cost.get_or_init(|| self.cost.bind(&series.labels)).add(cost.dollars());
        }
    }

    fn bind(&self, (caller, model): &(Arc<str>, Arc<str>)) -> UsageSeries {
        let labels = [KeyValue::new("caller", caller.clone()), KeyValue::new("model", model.clone())];
        let with = |more: KeyValue| [&labels[..], &[more]].concat();
        UsageSeries {
            ok: self.calls.bind(&with(KeyValue::new("code", Code::Ok.as_str()))),
            tokens: Tokens::KINDS.map(|kind| self.tokens.bind(&with(KeyValue::new("kind", kind)))),
            images: self.images.bind(&labels),
            cost: OnceLock::new(),
            labels,
        }
    }
}
