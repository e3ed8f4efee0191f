//! What a caller used of each model today and this month.

use std::sync::Arc;

use serde::Serialize;

use super::window::{Period, Windowed};
use crate::gemini::catalog::price::{Billable, Cost};
use crate::telemetry::Series;
use crate::telemetry::names::OTHER;

/// The most models that are counted apart for one caller, since callers choose the names. The others are counted
/// together, as metrics do it.
const MAX_MODELS: usize = 100;

/// What one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallUsage {
    /// Estimates included.
    pub billable: Billable,
    /// 0 for a model without prices.
    pub cost: Cost,
    /// Whether upstream has answered for the model. Otherwise its name may be anything, and is not kept.
    pub answered: bool,
}

/// What a caller used of each model.
#[derive(Debug)]
pub(super) struct UsageTable {
    models: Series<Arc<str>, ModelWindows>,
    /// All models beyond those, and those that upstream has not answered for.
    other: ModelWindows,
}

impl Default for UsageTable {
    fn default() -> Self {
        Self { models: Series::up_to(MAX_MODELS), other: ModelWindows::default() }
    }
}

/// What was used of one model: calls, input, cached input, output, images, and cost in billionths of a dollar.
#[derive(Debug)]
struct ModelWindows {
    day: Windowed<6>,
    month: Windowed<6>,
}

impl Default for ModelWindows {
    fn default() -> Self {
        Self { day: Windowed::new(Period::Day), month: Windowed::new(Period::Month) }
    }
}

impl CallUsage {
    /// The fields of the call in the store of limits, as [`Amounts`] has them.
    pub(super) fn figures(&self) -> [(&'static str, u64); 6] {
        let Billable { input, cached_input, output, images } = self.billable;
        [
            ("calls", 1),
            ("input_tokens", input.saturating_add(cached_input)),
            ("cached_input_tokens", cached_input),
            ("output_tokens", output),
            ("images", images),
            ("cost", self.cost.nanos()),
        ]
    }
}

impl UsageTable {
    /// Adds a call that has ended. Returns the name under which its model is counted.
    pub(super) fn add(&self, model: &Arc<str>, usage: &CallUsage, unix: u64) -> Arc<str> {
        let Billable { input, cached_input, output, images } = usage.billable;
        let amounts = [1, input, cached_input, output, images, usage.cost.nanos()];
        let known = match usage.answered {
            true => self.models.get_or_add(model, ModelWindows::default),
            false => self.models.get(model),
        };
        let windows = known.as_deref().unwrap_or(&self.other);
        windows.day.add(amounts, unix);
        windows.month.add(amounts, unix);
        known.map_or_else(|| OTHER.into(), |_| model.clone())
    }

    /// What was used of each model this month, in the order of their names.
    pub(super) fn by_model(&self, unix: u64) -> Vec<ModelUsage> {
        let models = self.models.all();
        let models = models.iter().map(|(model, windows)| (&**model, &**windows));
        let models = models.chain([(OTHER, &self.other)]);
        let used = models.map(|(model, ModelWindows { day, month })| ModelUsage {
            model: model.to_owned(),
            day: Amounts::of(day.used(unix)),
            month: Amounts::of(month.used(unix)),
        });
        let mut used: Vec<_> = used.filter(|used| used.month != Amounts::default()).collect();
        used.sort_by(|a, b| a.model.cmp(&b.model));
        used
    }
}

/// What was used of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelUsage {
    pub model: String,
    pub day: Amounts,
    pub month: Amounts,
}

/// What was used in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Calls for which a request was sent to upstream.
    pub calls: u64,
    /// Tokens in, those that were cached included.
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    /// Tokens out, thoughts included.
    pub output_tokens: u64,
    pub images: u64,
    /// In dollars. Models without prices cost nothing.
    pub cost: Cost,
}

impl Amounts {
    fn of([calls, input, cached_input_tokens, output_tokens, images, cost]: [u64; 6]) -> Self {
        let input_tokens = input.saturating_add(cached_input_tokens);
        Self { calls, input_tokens, cached_input_tokens, output_tokens, images, cost: Cost::from_nanos(cost) }
    }
}
