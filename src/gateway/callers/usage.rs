//! What each caller used of each model today and this month, to look at.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::Serialize;

use super::caller::{Caller, Callers};
use super::limits::Meter;
use super::quotas::{CallerQuotas, Quota};
use super::window::{Now, Period, Rfc3339, Windowed};
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
    fn by_model(&self, unix: u64) -> Vec<ModelUsage> {
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

/// What a caller has used, and what is left of its limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallerUsage {
    /// Its name in the file of callers.
    pub caller: String,
    /// The calls that it has in flight.
    pub calls_in_flight: u64,
    /// The limits that it has.
    pub limits: Vec<LimitUsage>,
    /// The models that it used this month.
    pub models: Vec<ModelUsage>,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitUsage {
    /// Its name in the file of callers.
    pub limit: String,
    /// How much the caller may use.
    pub allowed: Amount,
    pub used: Amount,
    /// It is 0 if more is used than is allowed.
    pub left: Amount,
    /// When the window ends, as RFC 3339 writes it; `None` for a limit that refills all the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
}

/// A number of calls, tokens or images, or an amount of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    Count(u64),
    Dollars(Cost),
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

impl LimitUsage {
    fn of(quota: Quota, limit: NonZeroU64, used: u64, resets_at: Option<u64>) -> Self {
        let amount = |number| match quota.is_cost() {
            true => Amount::Dollars(Cost::from_nanos(number)),
            false => Amount::Count(number),
        };
        Self {
            limit: quota.name().to_owned(),
            allowed: amount(limit.get()),
            used: amount(used),
            left: amount(limit.get().saturating_sub(used)),
            resets_at: resets_at.map(|at| Rfc3339(at).to_string()),
        }
    }

    fn of_each(limits: &CallerQuotas, meter: &Meter, now: &Now) -> Vec<Self> {
        let unix = now.unix();
        let rates = [
            (Quota::CallsInFlight, limits.calls_in_flight),
            (Quota::CallsPerMinute, limits.calls_per_minute),
            (Quota::TokensPerMinute, limits.tokens_per_minute),
        ];
        let rates = rates.into_iter().filter_map(|(quota, limit)| {
            let limit = limit?;
            Some(Self::of(quota, limit, meter.in_use(quota, limit, now.instant), None))
        });
        let budgets = limits.budgets().map(|(budget, limit)| {
            Self::of(budget.quota, limit, meter.spent(budget, unix), Some(meter.ends_at(budget, unix)))
        });
        rates.chain(budgets).collect()
    }
}

impl Callers {
    /// What every caller has used, in the order of their names.
    pub fn usage(&self, now: impl Into<Now>) -> Vec<CallerUsage> {
        let now = now.into();
        self.iter().map(|caller| caller.usage(&now)).collect()
    }
}

impl Caller {
    fn usage(&self, now: &Now) -> CallerUsage {
        let (limits, meter) = self.metered();
        CallerUsage {
            caller: self.name.to_string(),
            calls_in_flight: meter.in_use(Quota::CallsInFlight, NonZeroU64::MAX, now.instant),
            limits: LimitUsage::of_each(limits, meter, now),
            models: meter.usage.by_model(now.unix()),
        }
    }
}
