//! Who used how much of what, so that a bill can be added up.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter, Meter};

use super::metrics::counter;
use super::names;
use super::rpc::AskedAndAnswered;
use super::series::Series;
use crate::gemini::code::Code;
use crate::gemini::view::UsageView;

/// So many pairs of caller and model are counted apart; further ones as the caller's other models.
const PAIRS: usize = 1000;

/// The counters of usage, and what was bound of them.
pub(super) struct Usage {
    calls: Counter<u64>,
    tokens: Counter<u64>,
    images: Counter<u64>,
    /// The caller, where callers are not known.
    unknown: Arc<str>,
    /// By caller and model.
    series: Series<(Arc<str>, Arc<str>), UsageSeries>,
}

/// What one caller used of one model.
pub(super) struct UsageSeries {
    labels: [KeyValue; 2],
    ok: BoundCounter<u64>,
    /// In the order of [`Tokens`].
    tokens: [BoundCounter<u64>; 5],
    images: BoundCounter<u64>,
}

/// Tokens that upstream did not report, as the gateway estimates them: never mixed with those that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EstimatedTokens {
    pub input: u64,
    pub output: u64,
}

/// The tokens of a call by kind; each is counted under one kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) cached_input: u64,
    pub(super) tool_use_input: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl Tokens {
    const KINDS: [&str; 5] = ["input", "cached_input", "tool_use_input", "output", "reasoning"];

    pub(super) fn of(usage: &UsageView) -> Self {
        let cached = usage.cached_content_token_count;
        Self {
            // Gemini counts what was cached with the prompt, and neither tools nor thoughts with anything.
            input: usage.prompt_token_count.saturating_sub(cached),
            cached_input: cached,
            tool_use_input: usage.tool_use_prompt_token_count,
            output: usage.candidates_token_count,
            reasoning: usage.thoughts_token_count,
        }
    }

    /// All that went in.
    pub(super) fn all_input(&self) -> u64 {
        self.input + self.cached_input + self.tool_use_input
    }

    /// All that came out.
    pub(super) fn all_output(&self) -> u64 {
        self.output + self.reasoning
    }

    fn kinds(&self) -> [u64; 5] {
        [self.input, self.cached_input, self.tool_use_input, self.output, self.reasoning]
    }
}

impl Usage {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            calls: counter(meter, names::USAGE_CALLS),
            tokens: counter(meter, names::USAGE_TOKENS),
            images: counter(meter, names::USAGE_IMAGES),
            unknown: names::UNKNOWN.into(),
            series: Series::up_to(PAIRS),
        }
    }

    /// A call is over.
    pub(super) fn add(&self, caller: Option<&Arc<str>>, code: Code, asked: &AskedAndAnswered) {
        let AskedAndAnswered { label: model, tokens, estimated, images, .. } = asked;
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
        // Not bound: most series would have them in vain.
        for (kind, tokens) in [("estimated_input", estimated.input), ("estimated_output", estimated.output)] {
            if tokens > 0 {
                let [caller, model] = series.labels.clone();
                self.tokens.add(tokens, &[caller, model, KeyValue::new("kind", kind)]);
            }
        }
        if *images > 0 {
            series.images.add(*images);
        }
    }

    fn bind(&self, (caller, model): &(Arc<str>, Arc<str>)) -> UsageSeries {
        let labels = [KeyValue::new("caller", caller.clone()), KeyValue::new("model", model.clone())];
        let with = |more: KeyValue| [&labels[..], &[more]].concat();
        UsageSeries {
            ok: self.calls.bind(&with(KeyValue::new("code", Code::Ok.as_str()))),
            tokens: Tokens::KINDS.map(|kind| self.tokens.bind(&with(KeyValue::new("kind", kind)))),
            images: self.images.bind(&labels),
            labels,
        }
    }
}
