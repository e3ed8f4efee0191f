//! The arguments and the reply of `call.lua`.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use redis::{RedisResult, Value};

use super::date::Day;
use super::ledger::{Batch, CallId, Field};
use super::script::{Invocation, elements, number, unexpected};

/// How long a call keeps its place without being renewed: after this the places of a pod that was killed are free.
pub const LEASE_TIME: Duration = Duration::from_secs(30);

/// How long the windows are kept: longer than they last, since an outage may end after midnight.
const DAY_KEPT: u64 = 3 * 86_400;
const MONTH_KEPT: u64 = 70 * 86_400;

/// The limits of a caller, as the store counts them. `None` is no limit.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub calls_in_flight: Option<NonZeroU64>,
    pub calls_per_minute: Option<NonZeroU64>,
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Limits of what is used in a window, in the order in which they are checked.
    pub budgets: Vec<Budget>,
}

/// A limit of one field of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub period: Period,
    pub field: &'static str,
    pub limit: NonZeroU64,
}

/// How long a window lasts, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Day,
    Month,
}

/// What the store says to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    /// The time by which the windows were chosen, in Unix seconds: the store's, as far as this machine knows it.
    pub at: u64,
    /// What was used of each budget, in the order of [`Limits::budgets`].
    pub used: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Admitted,
    /// Too many calls at the same time.
    CallsInFlight,
    /// Too many calls; one is left after this time.
    CallsPerMinute(Duration),
    /// Too many tokens; one is left after this time.
    TokensPerMinute(Duration),
    /// The budget with this index is used up.
    Budget(usize),
}

/// The names of a caller's keys: one slot of a cluster has them all.
#[derive(Debug)]
pub(super) struct Names {
    rates: Arc<str>,
    leases: Arc<str>,
    seen: Arc<str>,
    prefix: String,
    pod: Arc<str>,
}

/// What is asked for a new call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) call: CallId,
    /// When the pod gives up waiting, by the store's clock in microseconds. A later answer changes nothing.
    pub(super) due: u64,
    pub(super) limits: &'a Limits,
    /// The day of its windows.
    pub(super) day: Day,
}

/// The limits that charges need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) calls_per_minute: u64,
    pub(super) tokens_per_minute: u64,
}

/// The reply of the script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The store's clock, in microseconds.
    pub(super) now: u64,
    /// For a call that was asked for; `None` also if the answer came too late to count.
    pub(super) answer: Option<Answer>,
    /// When the call that was admitted will have refilled.
    pub(super) even: u64,
    /// Whether half of the calls that may be in flight are. Only for a call that was asked for.
    pub(super) is_half_full: bool,
}

impl Names {
    pub(super) fn new(prefix: &str, caller: &str, pod: &Arc<str>) -> Self {
        let prefix = format!("{prefix}:{{{caller}}}:");
        let name = |rest: &str| Arc::from(format!("{prefix}{rest}"));
        Self {
            rates: name("rates"),
            leases: name("leases"),
            seen: name(&format!("seen:{pod}")),
            pod: pod.clone(),
            prefix,
        }
    }

    pub(super) fn window(&self, period: Period, day: Day) -> Arc<str> {
        let prefix = &self.prefix;
        match period {
            Period::Day => format!("{prefix}day:{day}").into(),
            Period::Month => format!("{prefix}month:{}", day.month()).into(),
        }
    }

    fn lease(&self, call: CallId) -> String {
        format!("{}.{call}", self.pod)
    }

    /// Settles these batches, and asks for a call. `now` is 0 for the store's own clock.
    pub(super) fn invocation(
        &self,
        now: u64,
        rates: Rates,
        batches: &[Arc<Batch>],
        asked: Option<Asked<'_>>,
    ) -> Invocation {
        let mut with = Invocation::default();
        for key in [&self.rates, &self.leases, &self.seen] {
            with.key(key.clone());
        }
        let lease_time = u64::try_from(LEASE_TIME.as_micros()).unwrap_or(u64::MAX);
        for number in [now, rates.calls_per_minute, rates.tokens_per_minute, lease_time] {
            with.number(number);
        }
        let mut windows = Vec::new();
        with.number(batches.len() as u64);
        if let Some(newest) = batches.last() {
            with.number(newest.number);
        }
        batches.iter().for_each(|batch| self.settle(&mut with, batch, &mut windows));
        match asked {
            None => with.number(0),
            Some(asked) => {
                with.number(1);
                self.ask(&mut with, asked, &mut windows);
            }
        }
        with
    }

    fn settle(&self, with: &mut Invocation, batch: &Batch, windows: &mut Vec<Window>) {
        for number in [batch.number, batch.tokens, batch.calls] {
            with.number(number);
        }
        for calls in [&batch.adopted, &batch.kept, &batch.unclear, &batch.undone, &batch.ended] {
            with.list(calls, |with, call| with.owned(self.lease(*call)));
        }
        with.list(&batch.returned, |with, even| with.number(*even));
        with.number(batch.usage.0.len() as u64 * 2);
        for (day, fields) in &batch.usage.0 {
            for (period, kept) in [(Period::Day, DAY_KEPT), (Period::Month, MONTH_KEPT)] {
                let index = self.index(with, windows, period, *day);
                with.number(index);
                with.number(kept);
                with.list(fields, |with, (field, amount)| {
                    match field {
                        Field::Total(name) => with.text(name),
                        Field::Model(model, name) => with.owned(format!("model/{model}/{name}")),
                    }
                    with.number(*amount);
                });
            }
        }
    }

    fn ask(&self, with: &mut Invocation, asked: Asked<'_>, windows: &mut Vec<Window>) {
        let Asked { call, due, limits, day } = asked;
        with.owned(self.lease(call));
        with.number(due);
        with.number(limits.calls_in_flight.map_or(0, NonZeroU64::get));
        with.number(limits.budgets.len() as u64);
        for Budget { period, field, limit } in &limits.budgets {
            let index = self.index(with, windows, *period, day);
            with.number(index);
            with.text(field);
            with.number(limit.get());
        }
    }

    /// The index of a window among the keys, which it is added to once.
    fn index(&self, with: &mut Invocation, windows: &mut Vec<Window>, period: Period, day: Day) -> u64 {
        if let Some(known) = windows.iter().find(|known| (known.period, known.day) == (period, day)) {
            return known.index;
        }
        let index = with.key(self.window(period, day));
        windows.push(Window { period, day, index });
        index
    }
}

/// A window that is among the keys.
struct Window {
    period: Period,
    day: Day,
    index: u64,
}

impl Reply {
    /// Reads the reply of the script.
    pub(super) fn read(reply: Value) -> RedisResult<Self> {
        let elements = elements(reply)?;
        let (now, value) = (number(elements.first())?, number(elements.get(2))?);
        let used = match elements.get(3) {
            Some(Value::Array(used)) => used.iter().map(|used| number(Some(used))).collect::<RedisResult<Vec<_>>>()?,
            _ => return Err(unexpected()),
        };
        let verdict = match elements.get(1) {
            Some(Value::BulkString(outcome)) => match &outcome[..] {
                b"admitted" => Some(Verdict::Admitted),
                b"in_flight" => Some(Verdict::CallsInFlight),
                b"calls" => Some(Verdict::CallsPerMinute(Duration::from_micros(value))),
                b"tokens" => Some(Verdict::TokensPerMinute(Duration::from_micros(value))),
                b"budget" => Some(Verdict::Budget(usize::try_from(value).map_err(|_| unexpected())?.saturating_sub(1))),
                b"settled" | b"late" => None,
                _ => return Err(unexpected()),
            },
            _ => return Err(unexpected()),
        };
        let even = if verdict == Some(Verdict::Admitted) { value } else { 0 };
        let is_half_full = number(elements.get(4))? == 1;
        Ok(Self { now, answer: verdict.map(|verdict| Answer { verdict, at: 0, used }), even, is_half_full })
    }
}
