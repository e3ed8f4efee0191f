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
    /// What was used.
    pub(super) usage: Usage,
}

/// What was used in the windows of each day, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage(pub(super) Vec<(Day, Vec<(Field, u64)>)>);

/// Which part of what was collected is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// What the limits of the next call depend on. The rest would only keep the store busy while the call waits.
    Limits {
        has_budgets: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number of the last batch that was sent.
    last: u64,
    unconfirmed: VecDeque<Arc<Batch>>,
    /// All but usage.
    collected: Batch,
    /// What all models together have used: budgets count it.
    totals: Usage,
    /// What each model has used.
    models: Usage,
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
            && usage.0.is_empty()
    }
}

impl Usage {
    fn add(&mut self, day: Day, field: Field, amount: u64) {
        let days = &mut self.0;
        let index = days.iter().position(|(known, _)| *known == day).unwrap_or_else(|| {
            days.push((day, Vec::new()));
            days.len() - 1
        });
        let Some((_, fields)) = days.get_mut(index) else { return };
        match fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, sum)) => *sum += amount,
            None => fields.push((field, amount)),
        }
    }

    fn add_all(&mut self, other: Self) {
        for (day, fields) in other.0 {
            for (field, amount) in fields {
                self.add(day, field, amount);
            }
        }
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
        if amount > 0 {
            let usage = if matches!(field, Field::Total(_)) { &mut self.totals } else { &mut self.models };
            usage.add(day, field, amount);
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
    pub(super) fn send(&mut self, part: Part) -> Vec<Arc<Batch>> {
        if self.unconfirmed.len() < MAX_UNCONFIRMED {
            self.collect(part);
        }
        self.unconfirmed.iter().cloned().collect()
    }

    /// Makes a batch of what was collected, if there is anything.
    fn collect(&mut self, part: Part) {
        let mut batch = std::mem::take(&mut self.collected);
        if part != (Part::Limits { has_budgets: false }) {
            batch.usage = std::mem::take(&mut self.totals);
        }
        if part == Part::All {
            batch.usage.add_all(std::mem::take(&mut self.models));
        }
        if !batch.is_empty() {
            self.last += 1;
            batch.number = self.last;
            // Those with the most left come last, so that none takes the credit of another.
            batch.returned.sort_unstable();
            self.unconfirmed.push_back(Arc::new(batch));
        }
    }

    /// The store has applied the batches up to this number.
    pub(super) fn confirm(&mut self, number: u64) {
        while self.unconfirmed.front().is_some_and(|batch| batch.number <= number) {
            self.unconfirmed.pop_front();
        }
    }

    /// Whether everything is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.unconfirmed.is_empty() && self.collected.is_empty() && self.totals.0.is_empty() && self.models.0.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_stays_as_it_was_sent_until_it_is_confirmed() {
        let mut ledger = Ledger::default();
        assert!(ledger.send(Part::All).is_empty() && ledger.is_settled());
        ledger.charge(5);
        let first = ledger.send(Part::All);
        ledger.charge(7);
        let both = ledger.send(Part::All);
        assert_eq!(both.iter().map(|batch| (batch.number, batch.tokens)).collect::<Vec<_>>(), [(1, 5), (2, 7)]);
        assert_eq!(both[0], first[0]);
        ledger.confirm(1);
        assert_eq!(ledger.send(Part::All), both[1..]);
        ledger.confirm(2);
        assert!(ledger.is_settled());
    }

    #[test]
    fn an_outage_does_not_make_batches_more_numerous() {
        let mut ledger = Ledger::default();
        for _ in 0..100 {
            ledger.charge(1);
            ledger.send(Part::All);
        }
        assert_eq!(ledger.send(Part::All).iter().map(|batch| batch.tokens).collect::<Vec<_>>(), [1; MAX_UNCONFIRMED]);
        ledger.confirm(MAX_UNCONFIRMED as u64);
        assert_eq!(ledger.send(Part::All)[0].tokens, 100 - MAX_UNCONFIRMED as u64);
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
        let batch = ledger.send(Part::All).pop().unwrap();
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
        let batch = ledger.send(Part::All).pop().unwrap();
        assert_eq!((&batch.kept[..], &batch.adopted[..]), (&[1][..], &[2][..]));
        ledger.end(2, false);
        let batch = ledger.send(Part::All).pop().unwrap();
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
        assert_eq!(ledger.send(Part::All)[0].usage.0, [(today, sums(2)), (tomorrow, sums(1))]);
    }

    #[test]
    fn a_call_does_not_wait_for_figures_that_its_limits_do_not_depend_on() {
        let (mut ledger, today) = (Ledger::default(), Day::of(0));
        let total = (Field::Total("tokens"), 2);
        let of_model = (Field::Model(Arc::from("m"), "tokens"), 2);
        for (field, amount) in [total.clone(), of_model.clone()] {
            ledger.add(today, field, amount);
        }
        assert!(ledger.send(Part::Limits { has_budgets: false }).is_empty() && !ledger.is_settled());
        assert_eq!(ledger.send(Part::Limits { has_budgets: true })[0].usage.0, [(today, vec![total])]);
        assert_eq!(ledger.send(Part::All)[1].usage.0, [(today, vec![of_model])]);
    }
}
