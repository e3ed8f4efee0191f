//! Limits that hold for several gateways together: the store decides about a call, or this gateway's share if the store
//! does not answer.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::limits::{CallerPermit, Meter};
use super::quotas::{AtLimit, CallerQuotas, Exceeded, Quota, Unit};
use super::window::{Now, Period};
use crate::store::{self, Account, Answer, Link, Verdict};

impl Caller {
    /// Admits a call, or returns the limit that the caller is at. A caller without limits is admitted at once; for others
    /// the store is asked.
    pub async fn admit_shared(&self, link: &Link, now: Now) -> Result<CallerPermit, Exceeded> {
        let (limits, meter) = self.metered();
        let account = meter.account(link, &self.name);
        let counted = limits.counted();
        if !counted.is_any() {
            return Ok(meter.enter(limits).counted_by(account.begin(&counted)));
        }
        let (call, answer) = link.admit(&account, &counted).await;
        let admitted = match answer {
            Some(answer) => meter.decided(limits, &answer).map(|()| meter.enter(limits)),
            None => {
                link.store().count_share();
                meter.admit(&limits.share(link.store().pods()), now)
            }
        };
        // A call that the share refuses is over when `call` is dropped.
        Ok(admitted.map_err(|limit| limit.of(self.name.clone()))?.counted_by(call))
    }
}

impl Meter {
    /// The caller's account in the store.
    fn account(&self, link: &Link, caller: &Arc<str>) -> Arc<Account> {
        self.account.get_or_init(|| link.store().account(caller)).clone()
    }

    /// What the store has decided. What it says of budgets is kept, so that they go on from there if it is away.
    fn decided(&self, limits: &CallerQuotas, answer: &Answer) -> Result<(), AtLimit> {
        // Not the clock of this machine: around midnight that may be in another window than the figures.
        let unix = answer.at;
        for ((budget, _), used) in limits.budgets().zip(&answer.used) {
            self.window(budget.period).at_least(budget.unit as usize, *used, unix);
        }
        let rate = |quota, limit: Option<NonZeroU64>, retry_after: Duration| {
            Err(AtLimit { quota, limit: limit.map_or(0, NonZeroU64::get), retry_after, until: None })
        };
        match answer.verdict {
            Verdict::Admitted => Ok(()),
            Verdict::CallsInFlight => {
                Err(AtLimit::soon(Quota::CallsInFlight, limits.calls_in_flight.map_or(0, NonZeroU64::get)))
            }
            Verdict::CallsPerMinute(wait) => rate(Quota::CallsPerMinute, limits.calls_per_minute, wait),
            Verdict::TokensPerMinute(wait) => rate(Quota::TokensPerMinute, limits.tokens_per_minute, wait),
            Verdict::Budget(index) => match limits.budgets().nth(index) {
                Some((budget, limit)) => Err(AtLimit::until(budget.period.end(unix), unix, budget.quota, limit.get())),
                None => Ok(()),
            },
        }
    }
}

impl CallerQuotas {
    /// The share of one of this many gateways, at least 1 of each limit. Budgets are not divided: they go on from what the
    /// store has said last.
    fn share(&self, gateways: u64) -> Self {
        let share = |limit: NonZeroU64| NonZeroU64::new(limit.get() / gateways.max(1)).unwrap_or(NonZeroU64::MIN);
        Self {
            calls_in_flight: self.calls_in_flight.map(share),
            calls_per_minute: self.calls_per_minute.map(share),
            tokens_per_minute: self.tokens_per_minute.map(share),
            budgets: self.budgets,
        }
    }

    /// As the store counts them.
    fn counted(&self) -> store::Limits {
        let budgets = self.budgets().map(|(budget, limit)| store::Budget {
            period: match budget.period {
                Period::Day => store::Period::Day,
                Period::Month => store::Period::Month,
            },
            field: match budget.unit {
                Unit::Tokens => "tokens",
                Unit::Images => "images",
                Unit::Cost => "cost",
            },
            limit,
        });
        store::Limits {
            calls_in_flight: self.calls_in_flight,
            calls_per_minute: self.calls_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            budgets: budgets.collect(),
        }
    }
}
