//! What callers have used and have left, for operators to look at.

use std::num::NonZeroU64;

use serde::Serialize;

use super::caller::{Caller, Callers};
use super::limits::Meter;
use super::quotas::{CallerQuotas, Quota};
use super::usage::ModelUsage;
use super::window::{Now, Rfc3339};
use crate::gemini::catalog::price::Cost;

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
