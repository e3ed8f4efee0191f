//! What is known of a key: its requests in flight, and until when it rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::refusal::{Rest, Why};

/// The most models for which a key rests. With more, those that it would rest for the shortest time are forgotten.
const MAX_MODELS: usize = 64;

/// The state of a key. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct KeyState {
    in_flight: AtomicU32,
    /// Until when it rests for all models.
    until: AtomicU64,
    /// How often in a row it was at a limit, or refused, since upstream took it last.
    limited: AtomicU32,
    refused: AtomicU32,
    /// Whether one request tries a key that was refused.
    is_tried: AtomicBool,
    /// The models for which it rests alone. Nearly always empty.
    models: ArcSwap<Vec<ModelRest>>,
}

#[derive(Clone, Debug)]
struct ModelRest {
    model: Arc<str>,
    until: u64,
    /// How often in a row.
    limited: u32,
}

impl KeyState {
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Until when it rests for all models.
    pub(super) fn until(&self) -> u64 {
        self.until.load(Ordering::Acquire)
    }

    /// Until when it rests for a model.
    pub(super) fn until_for(&self, model: &str) -> u64 {
        let models = self.models.load();
        let of_model = models.iter().find(|rest| &*rest.model == model).map_or(0, |rest| rest.until);
        self.until().max(of_model)
    }

    /// Whether upstream refused it the last time, as opposed to a quota.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire) > 0
    }

    /// Whether it was refused the last time, and one request finds out whether it still is.
    pub(super) fn is_tried(&self) -> bool {
        self.is_refused() && self.is_tried.load(Ordering::Relaxed)
    }

    /// Counts a request in flight. True for the one request that tries a key that was refused.
    pub(super) fn enter(&self) -> bool {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.is_refused() && !self.is_tried.swap(true, Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The request that tried the key has an answer, or was given up.
    pub(super) fn tried(&self) {
        self.is_tried.store(false, Ordering::Relaxed);
    }

    /// Upstream has taken a request with the key, for this model. True if the key had been refused before.
    pub(super) fn answered(&self, model: &str, now: u64) -> bool {
        if self.models.load().iter().any(|rest| &*rest.model == model && rest.until <= now) {
            self.models.rcu(|models| {
                models.iter().filter(|rest| &*rest.model != model || rest.until > now).cloned().collect::<Vec<_>>()
            });
        }
        // A request that upstream took before it refused another one changes nothing.
        if self.until() > now {
            return false;
        }
        if self.limited.load(Ordering::Relaxed) > 0 {
            self.limited.store(0, Ordering::Relaxed);
        }
        self.is_refused() && self.refused.swap(0, Ordering::AcqRel) > 0
    }

    /// Begins a rest, or makes one longer. Returns its end, and how often in a row the key was refused; `None` for a
    /// refusal that is counted already: of all requests that were in flight together, one is.
    pub(super) fn rest(&self, rest: Rest, model: Option<&Arc<str>>, now: u64) -> (u64, Option<u32>) {
        let Some(model) = model.filter(|_| rest.of_model) else { return self.rest_for_all(rest, now) };
        let (mut until, mut counted) = (0, None);
        self.models.rcu(|models| {
            let known = models.iter().find(|known| known.model == *model);
            let (limited, known_until) = known.map_or((0, 0), |known| (known.limited, known.until));
            let count = if limited > 0 && known_until > now { limited } else { limited.saturating_add(1) };
            until = rest.until(count, now).max(known_until);
            counted = (count > limited).then_some(count);
            let mut models: Vec<_> = models.iter().filter(|known| known.model != *model).cloned().collect();
            if models.len() >= MAX_MODELS {
                models.sort_unstable_by_key(|known| std::cmp::Reverse(known.until));
                models.truncate(MAX_MODELS - 1);
            }
            models.push(ModelRest { model: model.clone(), until, limited: count });
            models
        });
        (until, counted)
    }

    fn rest_for_all(&self, rest: Rest, now: u64) -> (u64, Option<u32>) {
        let row = if rest.why == Why::Refused { &self.refused } else { &self.limited };
        // In this order: when the count of another thread is seen, so is the rest that it began.
        let before = row.load(Ordering::Acquire);
        let is_counted = before > 0 && self.until() > now;
        let count = if is_counted { before } else { before.saturating_add(1) };
        let until = rest.until(count, now);
        let until = self.until.fetch_max(until, Ordering::AcqRel).max(until);
        let is_first = row.fetch_max(count, Ordering::AcqRel) < count;
        (until, is_first.then_some(count))
    }
}
