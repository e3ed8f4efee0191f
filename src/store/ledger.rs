//! What a pod has to settle for one caller: batches that are sent until the store has confirmed them, and the calls that
//! are open. Pure.
//!
//! A batch never changes once it was sent, and its number tells the store whether it was applied before. So it can be
//! sent again whenever a reply is lost, by any connection, and still counts once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::date::Day;

/// The most batches that are not confirmed. At this number nothing new is sent, it is only collected.
const MAX_UNCONFIRMED: usize = 4;

/// The number of an open call, which with the pod's name is its lease in the store.
pub(super) type CallId = u64;

/// A field of a window of usage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Of all models together: `calls`, `tokens`, `images` or `cost`.
    Total(&'static str),
    /// Of one model.
    Model(Arc<str>, &'static str),
}

/// How the store knows an open call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It has a lease. With it comes when the call will have refilled, which gives it back if it is not sent.
    Leased { even: u64 },
    /// It may have one: the reply did not come in time.
    Unclear,
    /// It has none: the store was not asked.
    Unknown,
}

/// What one message settles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// Tokens for the rate.
    pub(super) tokens: u64,
    /// Calls that are over, of which the store was not asked.
    pub(super) calls: u64,
    /// Calls that go on, of which the store may not know.
    pub(super) adopted: Vec<CallId>,
    /// Calls that go on.
    pub(super) kept: Vec<CallId>,
    /// Calls that are over, of which the store may not know.
    pub(super) unclear: Vec<CallId>,
    /// Calls that were refused, of which the store may not know.
    pub(super) undone: Vec<CallId>,
    /// Calls that are over.
    pub(super) ended: Vec<CallId>,
    /// When calls that were not sent to upstream would have refilled.
    pub(super) returned: Vec<u64>,
    /// What was used, by the day on which it was.
    pub(super) usage: Vec<(Day, Vec<(Field, u64)>)>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number of the last batch that was sent.
    last: u64,
    unconfirmed: VecDeque<Arc<Batch>>,
    collected: Batch,
    open: HashMap<CallId, Held>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self { number: _, tokens, calls, adopted, kept, unclear, undone, ended, returned, usage } = self;
        let lists = [adopted, kept, unclear, undone, ended];
        *tokens == 0
            && *calls == 0
            && lists.iter().all(|list| list.is_empty())
            && returned.is_empty()
            && usage.is_empty()
    }
}

impl Ledger {
    /// A call has begun.
    pub(super) fn begin(&mut self, call: CallId, held: Held) {
        self.open.insert(call, held);
    }

    /// The store has refused a call, so that nothing is left of it.
    pub(super) fn refused(&mut self, call: CallId) {
        self.open.remove(&call);
    }

    /// A call is over. `is_sent`: upstream was asked, so it counts.
    pub(super) fn end(&mut self, call: CallId, is_sent: bool) {
        let batch = &mut self.collected;
        match (self.open.remove(&call), is_sent) {
            (Some(Held::Leased { .. }), true) => batch.ended.push(call),
            (Some(Held::Leased { even }), false) => {
                batch.ended.push(call);
                batch.returned.push(even);
            }
            (Some(Held::Unclear), true) => batch.unclear.push(call),
            (Some(Held::Unclear), false) => batch.undone.push(call),
            (Some(Held::Unknown), true) => batch.calls += 1,
            (Some(Held::Unknown), false) | (None, _) => {}
        }
    }

    /// Charges tokens to the rate.
    pub(super) fn charge(&mut self, tokens: u64) {
        self.collected.tokens += tokens;
    }

    /// Adds to a field of the windows of a day.
    pub(super) fn add(&mut self, day: Day, field: Field, amount: u64) {
        if amount == 0 {
            return;
        }
        let usage = &mut self.collected.usage;
        let index = usage.iter().position(|(known, _)| *known == day).unwrap_or_else(|| {
            usage.push((day, Vec::new()));
            usage.len() - 1
        });
        let Some((_, fields)) = usage.get_mut(index) else { return };
        match fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, sum)) => *sum += amount,
            None => fields.push((field, amount)),
        }
    }

    /// Renews the leases of all open calls, and takes leases for those that have none.
    pub(super) fn renew(&mut self) {
        for (call, held) in &mut self.open {
            match held {
                Held::Leased { .. } => self.collected.kept.push(*call),
                Held::Unclear | Held::Unknown => {
                    self.collected.adopted.push(*call);
                    // It gives nothing back: it is not known when it was counted.
                    *held = Held::Leased { even: 0 };
                }
            }
        }
    }

    /// Whether calls are open.
    pub(super) fn has_open_calls(&self) -> bool {
        !self.open.is_empty()
    }

    /// What is to be sent now, in this order.
    pub(super) fn send(&mut self) -> Vec<Arc<Batch>> {
        if !self.collected.is_empty() && self.unconfirmed.len() < MAX_UNCONFIRMED {
            self.last += 1;
            let mut batch = Batch { number: self.last, ..std::mem::take(&mut self.collected) };
            // Those with the most left come last, so that none takes the credit of another.
            batch.returned.sort_unstable();
            self.unconfirmed.push_back(Arc::new(batch));
        }
        self.unconfirmed.iter().cloned().collect()
    }

    /// The store has applied the batches up to this number.
    pub(super) fn confirm(&mut self, number: u64) {
        while self.unconfirmed.front().is_some_and(|batch| batch.number <= number) {
            self.unconfirmed.pop_front();
        }
    }

    /// Whether everything is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.unconfirmed.is_empty() && self.collected.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_stays_as_it_was_sent_until_it_is_confirmed() {
        let mut ledger = Ledger::default();
        assert!(ledger.send().is_empty() && ledger.is_settled());
        ledger.charge(5);
        let first = ledger.send();
        ledger.charge(7);
        let both = ledger.send();
        assert_eq!(both.iter().map(|batch| (batch.number, batch.tokens)).collect::<Vec<_>>(), [(1, 5), (2, 7)]);
        assert_eq!(both[0], first[0]);
        ledger.confirm(1);
        assert_eq!(ledger.send(), both[1..]);
        ledger.confirm(2);
        assert!(ledger.is_settled());
    }

    #[test]
    fn an_outage_does_not_make_batches_more_numerous() {
        let mut ledger = Ledger::default();
        for _ in 0..100 {
            ledger.charge(1);
            ledger.send();
        }
        assert_eq!(ledger.send().iter().map(|batch| batch.tokens).collect::<Vec<_>>(), [1; MAX_UNCONFIRMED]);
        ledger.confirm(MAX_UNCONFIRMED as u64);
        assert_eq!(ledger.send()[0].tokens, 100 - MAX_UNCONFIRMED as u64);
    }

    #[test]
    fn what_a_call_leaves_behind_depends_on_what_the_store_knows_of_it() {
        let mut ledger = Ledger::default();
        let held = [Held::Leased { even: 9 }, Held::Unclear, Held::Unknown];
        for (call, (held, is_sent)) in held.into_iter().flat_map(|held| [(held, true), (held, false)]).enumerate() {
            ledger.begin(call as u64, held);
            ledger.end(call as u64, is_sent);
            // A second end changes nothing.
            ledger.end(call as u64, is_sent);
        }
        ledger.begin(6, Held::Unclear);
        ledger.refused(6);
        let batch = ledger.send().pop().unwrap();
        assert_eq!((&batch.ended[..], &batch.returned[..]), (&[0, 1][..], &[9][..]));
        assert_eq!((&batch.unclear[..], &batch.undone[..], batch.calls), (&[2][..], &[3][..], 1));
        assert!(!ledger.has_open_calls());
    }

    #[test]
    fn calls_that_go_on_are_renewed_and_take_a_lease_if_they_have_none() {
        let mut ledger = Ledger::default();
        ledger.begin(1, Held::Leased { even: 9 });
        ledger.begin(2, Held::Unknown);
        ledger.renew();
        let batch = ledger.send().pop().unwrap();
        assert_eq!((&batch.kept[..], &batch.adopted[..]), (&[1][..], &[2][..]));
        ledger.end(2, false);
        let batch = ledger.send().pop().unwrap();
        assert_eq!((&batch.ended[..], &batch.returned[..]), (&[2][..], &[0][..]));
    }

    #[test]
    fn usage_is_added_up_by_day_and_field() {
        let (mut ledger, model) = (Ledger::default(), Arc::from("m"));
        let [today, tomorrow] = [0, 1].map(|day| Day::of(day * 86_400_000_000));
        ledger.add(today, Field::Total("tokens"), 0);
        assert!(ledger.is_settled());
        for day in [today, tomorrow, today] {
            ledger.add(day, Field::Total("tokens"), 2);
            ledger.add(day, Field::Model(Arc::clone(&model), "tokens"), 3);
        }
        let sums = |factor: u64| {
            vec![(Field::Total("tokens"), 2 * factor), (Field::Model(model.clone(), "tokens"), 3 * factor)]
        };
        assert_eq!(ledger.send()[0].usage, [(today, sums(2)), (tomorrow, sums(1))]);
    }
}
