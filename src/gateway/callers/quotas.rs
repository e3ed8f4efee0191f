//! The limits of a caller, and the error of a caller that is at one.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::window::{Period, Rfc3339};
use crate::gemini::catalog::price::Cost;

/// When to retry if the caller has too many calls in flight. It is not known when one ends; most take seconds.
pub(super) const IN_FLIGHT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a caller may use. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CallerQuotas {
    pub(super) calls_in_flight: Option<NonZeroU64>,
    pub(super) calls_per_minute: Option<NonZeroU64>,
    pub(super) tokens_per_minute: Option<NonZeroU64>,
    /// In the order of [`BUDGETS`], and in their units.
    pub(super) budgets: [Option<NonZeroU64>; BUDGETS.len()],
}

/// A limit of what is used in a day or in a month.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) quota: Quota,
    pub(super) period: Period,
    pub(super) unit: Unit,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Tokens,
    Images,
    /// In billionths of a dollar.
    Cost,
}

/// Every budget.
pub(super) const BUDGETS: [Budget; 5] = [
    Budget { quota: Quota::TokensPerDay, period: Period::Day, unit: Unit::Tokens },
    Budget { quota: Quota::TokensPerMonth, period: Period::Month, unit: Unit::Tokens },
    Budget { quota: Quota::ImagesPerDay, period: Period::Day, unit: Unit::Images },
    Budget { quota: Quota::CostPerDay, period: Period::Day, unit: Unit::Cost },
    Budget { quota: Quota::CostPerMonth, period: Period::Month, unit: Unit::Cost },
];

impl CallerQuotas {
    /// The budgets that the caller has, with their limits.
    pub(super) fn budgets(&self) -> impl Iterator<Item = (&'static Budget, NonZeroU64)> {
        BUDGETS.iter().zip(self.budgets).filter_map(|(budget, limit)| Some((budget, limit?)))
    }

    /// Whether it has a budget.
    pub(super) fn has_budgets(&self) -> bool {
        self.budgets.iter().any(Option::is_some)
    }

    /// Whether what it may spend is limited.
    pub(super) fn limits_cost(&self) -> bool {
        self.budgets().any(|(budget, _)| budget.unit == Unit::Cost)
    }
}

/// The limits of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Calls at the same time.
    CallsInFlight,
    /// Calls that begin.
    CallsPerMinute,
    /// Tokens in and out, as upstream counts them.
    TokensPerMinute,
    /// The same in a day.
    TokensPerDay,
    /// The same in a month.
    TokensPerMonth,
    /// Pictures that models made.
    ImagesPerDay,
    /// What calls cost by the prices of the catalogue.
    CostPerDay,
    /// The same in a month.
    CostPerMonth,
    /// Bytes that its calls have reserved together. The limit is a share of the process's, not in the file.
    BytesHeld,
    /// Connections at the same time. The limit is a share of the process's, not in the file.
    Connections,
}

impl Quota {
    /// Its name in errors, and in the file of callers if the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallsInFlight => "calls_in_flight",
            Self::CallsPerMinute => "calls_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::TokensPerMonth => "tokens_per_month",
            Self::ImagesPerDay => "images_per_day",
            Self::CostPerDay => "cost_per_day",
            Self::CostPerMonth => "cost_per_month",
            Self::BytesHeld => "bytes_held",
            Self::Connections => "connections",
        }
    }

    /// Whether it counts billionths of a dollar.
    pub(super) fn is_cost(self) -> bool {
        matches!(self, Self::CostPerDay | Self::CostPerMonth)
    }
}

/// As a text, with the unit that it counts.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().replace("cost", "dollars").replace('_', " "))
    }
}

/// A caller is at a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Exceeded {
    /// The name of the caller.
    pub caller: Arc<str>,
    /// Which limit it is at.
    pub quota: Quota,
    /// How much it may use; of a cost, in billionths of a dollar.
    pub limit: u64,
    /// When a second try may succeed.
    pub retry_after: Duration,
    /// When the window of a budget ends, in Unix seconds; `None` for any other limit.
    pub until: Option<u64>,
}

impl Exceeded {
    /// The caller's calls have reserved all the bytes of its share.
    pub fn bytes(caller: Arc<str>, share: usize) -> Self {
        AtLimit::soon(Quota::BytesHeld, share as u64).of(caller)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caller, quota, limit, retry_after, until } = self;
        write!(f, "the caller {caller} is at its limit of ")?;
        match quota.is_cost() {
            true => write!(f, "{} {quota}", Cost::from_nanos(*limit))?,
            false => write!(f, "{limit} {quota}")?,
        }
        if let Some(until) = until {
            write!(f, " until {}", Rfc3339(*until))?;
        }
        let seconds = retry_after.as_secs_f64().ceil();
        write!(f, "; try again in {seconds} s, or ask this gateway's operator for more")
    }
}

/// [`Exceeded`], without the name of the caller.
#[derive(Debug)]
pub(super) struct AtLimit {
    pub(super) quota: Quota,
    pub(super) limit: u64,
    pub(super) retry_after: Duration,
    pub(super) until: Option<u64>,
}

impl AtLimit {
    /// It is not known when the caller is below the limit again.
    pub(super) fn soon(quota: Quota, limit: u64) -> Self {
        Self { quota, limit, retry_after: IN_FLIGHT_RETRY_AFTER, until: None }
    }

    /// A budget is used up until the end of its window. Both times are Unix seconds.
    pub(super) fn until(until: u64, unix: u64, quota: Quota, limit: u64) -> Self {
        Self { quota, limit, retry_after: Duration::from_secs(until.saturating_sub(unix)), until: Some(until) }
    }

    pub(super) fn of(self, caller: Arc<str>) -> Exceeded {
        let Self { quota, limit, retry_after, until } = self;
        Exceeded { caller, quota, limit, retry_after, until }
    }
}
