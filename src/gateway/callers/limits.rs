//! How much of its limits a caller has in use.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::quotas::{AtLimit, Budget, CallerQuotas, IN_FLIGHT_RETRY_AFTER, Quota, Unit};
use super::rate::Rate;
use super::usage::{CallUsage, UsageTable};
use super::window::{Now, Period, Windowed};
use crate::gemini::catalog::price::Cost;
use crate::memory::Pool;
use crate::store::{self, Account, Used};

/// What a caller has used. It is kept when the file is read again, so that a reload gives no caller a fresh quota.
#[derive(Debug)]
pub(super) struct Meter {
    /// The time from which the rates count.
    origin: Instant,
    in_flight: AtomicU64,
    connections: AtomicUsize,
    calls: Rate,
    tokens: Rate,
    /// What was spent today and this month, in the order of [`Unit`].
    day: Windowed<3>,
    month: Windowed<3>,
    /// What was used of each model.
    pub(super) usage: UsageTable,
    /// The bytes that its calls have reserved.
    pub(super) bytes: Arc<Pool>,
    /// Its account in the store of limits, if there is one.
    pub(super) account: OnceLock<Arc<Account>>,
}

/// What a call has spent since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens in and out.
    pub tokens: u64,
    /// Pictures that came.
    pub images: u64,
    /// By the prices of the catalogue; 0 for a model that has none.
    pub cost: Cost,
}

/// An admitted call of a caller, in flight until this is dropped. It reserves one of the calls per minute, which is
/// released if this is dropped before [`CallerPermit::spend_call`].
#[derive(Debug)]
pub struct CallerPermit {
    meter: Arc<Meter>,
    limits: CallerQuotas,
    /// Whether one of the calls per minute is reserved.
    call_reserved: bool,
    /// What this call was charged so far.
    spent: Spent,
    /// The call in the store of limits, if there is one. In a box, so that without a store a call needs no memory for it.
    shared: Option<Box<store::Call>>,
}

impl Meter {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            in_flight: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            calls: Rate::default(),
            tokens: Rate::default(),
            day: Windowed::new(Period::Day),
            month: Windowed::new(Period::Month),
            usage: UsageTable::default(),
            bytes: Arc::default(),
            account: OnceLock::new(),
        }
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Admits a call, or returns the limit that the caller is at. A refused call uses nothing.
    pub(super) fn admit(self: &Arc<Self>, limits: &CallerQuotas, now: Now) -> Result<CallerPermit, AtLimit> {
        let nanos = self.nanos(now.instant);
        let at = |quota, limit: NonZeroU64| {
            move |retry_after| AtLimit { quota, limit: limit.get(), retry_after, until: None }
        };
        if let Some(limit) = limits.tokens_per_minute {
            self.tokens.has_one(limit, nanos).map_err(at(Quota::TokensPerMinute, limit))?;
        }
        if limits.has_budgets() {
            self.has_budget(limits, now.unix())?;
        }
        let limit = limits.calls_in_flight.unwrap_or(NonZeroU64::MAX);
        let one_more = |calls: u64| (calls < limit.get()).then_some(calls + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| at(Quota::CallsInFlight, limit)(IN_FLIGHT_RETRY_AFTER))?;
        let mut permit = CallerPermit::new(self, limits);
        if let Some(limit) = limits.calls_per_minute {
            self.calls.reserve(limit, nanos).map_err(at(Quota::CallsPerMinute, limit))?;
            permit.call_reserved = true;
        }
        Ok(permit)
    }

    /// Takes a place in flight for a call that the store of limits has admitted.
    pub(super) fn enter(self: &Arc<Self>, limits: &CallerQuotas) -> CallerPermit {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        CallerPermit::new(self, limits)
    }

    /// An error if a budget is used up.
    fn has_budget(&self, limits: &CallerQuotas, unix: u64) -> Result<(), AtLimit> {
        let spent = limits.budgets().find(|(budget, limit)| self.spent(budget, unix) >= limit.get());
        let Some((budget, limit)) = spent else { return Ok(()) };
        Err(AtLimit::until(self.window(budget.period).ends_at(unix), unix, budget.quota, limit.get()))
    }

    pub(super) fn window(&self, period: Period) -> &Windowed<3> {
        match period {
            Period::Day => &self.day,
            Period::Month => &self.month,
        }
    }

    /// What was spent of a budget in the window of this time.
    pub(super) fn spent(&self, budget: &Budget, unix: u64) -> u64 {
        let [tokens, images, cost] = self.window(budget.period).used(unix);
        match budget.unit {
            Unit::Tokens => tokens,
            Unit::Images => images,
            Unit::Cost => cost,
        }
    }

    /// When the window of a budget ends, in Unix seconds.
    pub(super) fn ends_at(&self, budget: &Budget, unix: u64) -> u64 {
        self.window(budget.period).ends_at(unix)
    }

    /// How much of a limit without a window is in use.
    pub(super) fn in_use(&self, quota: Quota, limit: NonZeroU64, now: Instant) -> u64 {
        match quota {
            Quota::CallsPerMinute => self.calls.used(limit, self.nanos(now)),
            Quota::TokensPerMinute => self.tokens.used(limit, self.nanos(now)),
            _ => self.in_flight.load(Ordering::Relaxed),
        }
    }

    /// Adds what was spent to the windows.
    fn charge(&self, more: Spent, now: &Now) {
        if more != Spent::default() {
            let (amounts, unix) = ([more.tokens, more.images, more.cost.nanos()], now.unix());
            self.day.add(amounts, unix);
            self.month.add(amounts, unix);
        }
    }

    /// Counts one more connection; at most `most` are allowed.
    pub(super) fn connect(self: &Arc<Self>, most: usize) -> Result<ConnectionPermit, AtLimit> {
        let permit = ConnectionPermit(self.clone());
        if self.connections.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(permit);
        }
        Err(AtLimit::soon(Quota::Connections, u64::try_from(most).unwrap_or(u64::MAX)))
    }
}

/// A connection that is counted for a caller until this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<Meter>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Spent {
    /// What was spent since this was charged.
    fn beyond(self, charged: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(charged.tokens),
            images: self.images.saturating_sub(charged.images),
            cost: Cost::from_nanos(self.cost.nanos().saturating_sub(charged.cost.nanos())),
        }
    }
}

impl CallerPermit {
    fn new(meter: &Arc<Meter>, limits: &CallerQuotas) -> Self {
        Self { meter: meter.clone(), limits: *limits, call_reserved: false, spent: Spent::default(), shared: None }
    }

    /// The store of limits counts the call too.
    pub(super) fn counted_by(mut self, call: store::Call) -> Self {
        self.shared = Some(Box::new(call));
        self
    }

    /// Spends the reserved call per minute, when upstream is about to be asked.
    pub fn spend_call(&mut self, now: Instant) {
        if let (true, Some(limit)) = (std::mem::take(&mut self.call_reserved), self.limits.calls_per_minute) {
            self.meter.calls.spend_reserved(limit, self.meter.nanos(now));
        }
        if let Some(shared) = &mut self.shared {
            shared.sent();
        }
    }

    /// Charges the call. `so_far` is the sum since its beginning, because each event of a stream reports the sum, and a
    /// cancelled call has no last event. A sum that is smaller than before gives nothing back.
    pub fn spend(&mut self, so_far: Spent, now: impl Into<Now>) {
        let (more, now) = (so_far.beyond(self.spent), now.into());
        self.spent.tokens += more.tokens;
        self.spent.images += more.images;
        self.spent.cost += more.cost;
        if let (Some(limit), 1..) = (self.limits.tokens_per_minute, more.tokens) {
            self.meter.tokens.charge(more.tokens, limit, self.meter.nanos(now.instant));
        }
        if self.limits.has_budgets() {
            self.meter.charge(more, &now);
        }
        if let Some(shared) = &mut self.shared {
            let used = Used { tokens: more.tokens, images: more.images, cost: more.cost.nanos() };
            shared.charge(used, now.instant);
        }
    }

    /// Records the usage of a call that has ended, after its last charge.
    pub fn record(&mut self, model: &Arc<str>, usage: &CallUsage, now: impl Into<Now>) {
        let now = now.into();
        // Without a budget nothing was counted yet. It is now, for a budget that a reload may bring.
        if !self.limits.has_budgets() {
            self.meter.charge(self.spent, &now);
        }
        let model = self.meter.usage.add(model, usage, now.unix());
        if let Some(shared) = &self.shared {
            shared.record(&model, &usage.figures());
        }
    }

    /// Whether its caller has a limit on calls in flight.
    pub fn limits_calls_in_flight(&self) -> bool {
        self.limits.calls_in_flight.is_some()
    }
}

impl Drop for CallerPermit {
    fn drop(&mut self) {
        if self.call_reserved {
            self.meter.calls.release();
        }
        self.meter.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
