//! A model of `call.lua` in Rust.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::store::ledger::{Batch, CallId, Field};
use crate::store::request::{Answer, Asked, Budget, LEASE_TIME, Period, Rates, Verdict};

const MINUTE: u64 = 60_000_000;

/// An independent model of the script: whole numbers, and the words of docs/callers.md.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) calls: u64,
    pub(super) tokens: u64,
    pub(super) returned: u64,
    pub(super) leases: BTreeMap<(usize, CallId), u64>,
    seen: HashMap<usize, u64>,
    windows: BTreeMap<(bool, String), BTreeMap<String, u64>>,
    /// Whether half of the calls that may be in flight were, when a call was asked for last.
    pub(super) is_half_full: bool,
}

impl Model {
    fn cost(amount: u64, per_minute: u64) -> u64 {
        u64::try_from(u128::from(amount) * u128::from(MINUTE) / u128::from(per_minute)).unwrap()
    }

    fn count(&mut self, amount: u64, per_minute: u64, now: u64) {
        if per_minute > 0 && amount > 0 {
            self.calls = self.calls.max(now) + Self::cost(amount, per_minute);
        }
    }

    fn give_back(&mut self, even: u64, per_minute: u64, now: u64) {
        if per_minute > 0 {
            let credit = even.saturating_sub(self.returned + now).min(Self::cost(1, per_minute));
            (self.calls, self.returned) = (self.calls - credit, self.returned + credit);
        }
    }

    pub(super) fn settle(&mut self, pod: usize, batch: &Batch, rates: Rates, now: u64) {
        let seen = self.seen.entry(pod).or_default();
        if batch.number <= *seen {
            return;
        }
        *seen = batch.number;
        let expiry = now + u64::try_from(LEASE_TIME.as_micros()).unwrap();
        self.leases.retain(|_, expiry| *expiry > now);
        self.count(batch.calls, rates.calls_per_minute, now);
        if rates.tokens_per_minute > 0 && batch.tokens > 0 {
            self.tokens = self.tokens.max(now) + Self::cost(batch.tokens, rates.tokens_per_minute);
        }
        for call in &batch.adopted {
            if self.leases.insert((pod, *call), expiry).is_none() {
                self.count(1, rates.calls_per_minute, now);
            }
        }
        for call in &batch.kept {
            self.leases.insert((pod, *call), expiry);
        }
        for call in &batch.unclear {
            if self.leases.remove(&(pod, *call)).is_none() {
                self.count(1, rates.calls_per_minute, now);
            }
        }
        for call in &batch.undone {
            if self.leases.remove(&(pod, *call)).is_some() {
                self.give_back(self.calls + self.returned, rates.calls_per_minute, now);
            }
        }
        for call in &batch.ended {
            self.leases.remove(&(pod, *call));
        }
        for even in &batch.returned {
            self.give_back(*even, rates.calls_per_minute, now);
        }
        for (day, fields) in &batch.usage.0 {
            for (is_day, name) in [(true, day.to_string()), (false, day.month().to_string())] {
                let window = self.windows.entry((is_day, name)).or_default();
                for (field, amount) in fields {
                    let Field::Total(field) = field else { panic!("{field:?}") };
                    *window.entry((*field).to_owned()).or_default() += amount;
                }
            }
        }
    }

    pub(super) fn admit(&mut self, pod: usize, asked: Asked<'_>, now: u64) -> (Option<Answer>, u64) {
        let Asked { call, due, limits, day } = asked;
        self.is_half_full = false;
        if now > due {
            return (None, 0);
        }
        let used = |budget: &Budget| {
            let name = match budget.period {
                Period::Day => (true, day.to_string()),
                Period::Month => (false, day.month().to_string()),
            };
            self.windows.get(&name).and_then(|window| window.get(budget.field)).copied().unwrap_or_default()
        };
        let used: Vec<u64> = limits.budgets.iter().map(used).collect();
        let answer = |verdict| (Some(Answer { verdict, at: 0, used: used.clone() }), 0);
        self.leases.retain(|_, expiry| *expiry > now);
        self.is_half_full = limits.calls_in_flight.is_some_and(|limit| self.leases.len() as u64 * 2 >= limit.get());
        if self.leases.contains_key(&(pod, call)) {
            return (answer(Verdict::Admitted).0, self.calls + self.returned);
        }
        let wait = |even: u64| even.saturating_sub(now + MINUTE);
        if let Some(limit) = limits.tokens_per_minute {
            let missing = wait(self.tokens.max(now) + Self::cost(1, limit.get()));
            if missing > 0 {
                return answer(Verdict::TokensPerMinute(Duration::from_micros(missing)));
            }
        }
        let full = limits.budgets.iter().zip(&used).position(|(budget, used)| *used >= budget.limit.get());
        if let Some(index) = full {
            return answer(Verdict::Budget(index));
        }
        if limits.calls_in_flight.is_some_and(|limit| self.leases.len() as u64 >= limit.get()) {
            return answer(Verdict::CallsInFlight);
        }
        if let Some(limit) = limits.calls_per_minute {
            let missing = wait(self.calls.max(now) + Self::cost(1, limit.get()));
            if missing > 0 {
                return answer(Verdict::CallsPerMinute(Duration::from_micros(missing)));
            }
            self.count(1, limit.get(), now);
        }
        self.leases.insert((pod, call), now + u64::try_from(LEASE_TIME.as_micros()).unwrap());
        (answer(Verdict::Admitted).0, self.calls + self.returned)
    }
}
