//! What the store knows of one caller, and what this pod has to settle for it.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::ledger::{CallId, Field, Held, Ledger};
use super::request::{Limits, Names, Rates};
use super::{Inner, lock};

/// How often a call that runs charges what it has used. What is left is charged when it ends.
const CHARGE_INTERVAL: Duration = Duration::from_secs(1);

/// A caller's account in the store. There is one for each name.
#[derive(Debug)]
pub struct Account {
    pub(super) names: Names,
    ledger: Mutex<Ledger>,
    /// Opens if this caller's part of the store fails: one shard of a cluster may be away and the others not.
    pub(super) breaker: Breaker,
    /// Whether the flusher knows that there is something to settle.
    is_dirty: AtomicBool,
    /// Whether the store said last that half of the calls that may be in flight are.
    is_half_full: AtomicBool,
    calls_per_minute: AtomicU64,
    tokens_per_minute: AtomicU64,
    store: Arc<Inner>,
}

/// What a call has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub tokens: u64,
    pub images: u64,
    /// In billionths of a dollar.
    pub cost: u64,
}

/// A call of a caller, until it ends. What it uses is charged at most once a second, and when this is dropped: until
/// then the store is not asked, and no lock is taken.
#[derive(Debug)]
pub struct Call {
    account: Arc<Account>,
    /// Its lease, if its caller has limits.
    id: Option<CallId>,
    is_sent: bool,
    used: Used,
    charged: Option<Instant>,
}

impl Account {
    pub(super) fn new(store: Arc<Inner>, caller: &str) -> Self {
        Self {
            names: Names::new(&store.prefix, caller, &store.pod),
            ledger: Mutex::default(),
            breaker: Breaker::default(),
            is_dirty: AtomicBool::new(false),
            is_half_full: AtomicBool::new(false),
            calls_per_minute: AtomicU64::new(0),
            tokens_per_minute: AtomicU64::new(0),
            store,
        }
    }

    /// A call that the store is not asked about, since its caller has no limits or since the store is away.
    pub fn begin(self: &Arc<Self>, limits: &Limits) -> Call {
        let id = limits.is_any().then(|| self.open(limits, Held::Unknown));
        Call { account: self.clone(), id, is_sent: false, used: Used::default(), charged: None }
    }

    /// A call that the store is being asked about.
    pub(super) fn ask(self: &Arc<Self>, limits: &Limits) -> (Call, CallId) {
        let id = self.open(limits, Held::Unclear);
        (Call { account: self.clone(), id: Some(id), is_sent: false, used: Used::default(), charged: None }, id)
    }

    fn open(&self, limits: &Limits, held: Held) -> CallId {
        let per_minute = |limit: Option<NonZeroU64>| limit.map_or(0, NonZeroU64::get);
        self.calls_per_minute.store(per_minute(limits.calls_per_minute), Ordering::Relaxed);
        self.tokens_per_minute.store(per_minute(limits.tokens_per_minute), Ordering::Relaxed);
        let id = self.store.next_call.fetch_add(1, Ordering::Relaxed);
        self.ledger().begin(id, held);
        id
    }

    pub(super) fn rates(&self) -> Rates {
        Rates {
            calls_per_minute: self.calls_per_minute.load(Ordering::Relaxed),
            tokens_per_minute: self.tokens_per_minute.load(Ordering::Relaxed),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Lets the flusher settle it soon.
    pub(super) fn settle_soon(self: &Arc<Self>) {
        self.settle_later();
        self.store.wake.notify_one();
    }

    /// Lets the flusher settle it at once, where another call may be refused until then.
    fn settle_ended(self: &Arc<Self>) {
        self.settle_soon();
        if self.is_half_full.load(Ordering::Relaxed) {
            self.store.hurry.notify_one();
        }
    }

    /// The store has said whether half of the calls that may be in flight are.
    pub(super) fn half_full(&self, is_half_full: bool) {
        self.is_half_full.store(is_half_full, Ordering::Relaxed);
    }

    /// Lets the flusher settle it when it next looks.
    pub(super) fn settle_later(self: &Arc<Self>) {
        if !self.is_dirty.swap(true, Ordering::AcqRel) {
            lock(&self.store.dirty).push(self.clone());
        }
    }

    /// The flusher settles it now.
    pub(super) fn taken(&self) {
        self.is_dirty.store(false, Ordering::Release);
    }
}

impl Limits {
    /// Whether the store has to be asked for each call.
    pub fn is_any(&self) -> bool {
        let Self { calls_in_flight, calls_per_minute, tokens_per_minute, budgets } = self;
        [calls_in_flight, calls_per_minute, tokens_per_minute].iter().any(|limit| limit.is_some())
            || !budgets.is_empty()
    }
}

impl Call {
    /// Upstream is about to be asked, so the call counts.
    pub fn sent(&mut self) {
        self.is_sent = true;
    }

    /// Charges what the call has used in addition.
    pub fn charge(&mut self, more: Used, now: Instant) {
        self.used.tokens += more.tokens;
        self.used.images += more.images;
        self.used.cost += more.cost;
        match self.charged {
            Some(charged) if now.saturating_duration_since(charged) < CHARGE_INTERVAL => {}
            Some(_) => {
                self.charged = Some(now);
                self.charge_used();
                self.account.settle_soon();
            }
            // The first report of a short call is its last one too.
            None => self.charged = Some(now),
        }
    }

    /// Records a call that has ended: one call more, and what it has used of a model.
    pub fn record(&self, model: &Arc<str>, figures: &[(&'static str, u64)]) {
        let day = self.account.store.state.today();
        let mut ledger = self.account.ledger();
        ledger.add(day, Field::Total("calls"), 1);
        for (name, amount) in figures {
            ledger.add(day, Field::Model(model.clone(), name), *amount);
        }
        drop(ledger);
        // The end of the call follows.
        self.account.settle_later();
    }

    /// The store has counted the call.
    pub(super) fn admitted(&self, even: u64) {
        if let Some(id) = self.id {
            self.account.ledger().begin(id, Held::Leased { even });
        }
    }

    /// The store has refused the call.
    pub(super) fn refused(&mut self) {
        if let Some(id) = self.id.take() {
            self.account.ledger().refused(id);
        }
    }

    fn charge_used(&mut self) {
        let Used { tokens, images, cost } = std::mem::take(&mut self.used);
        if tokens == 0 && images == 0 && cost == 0 {
            return;
        }
        let day = self.account.store.state.today();
        let is_rated = self.account.tokens_per_minute.load(Ordering::Relaxed) > 0;
        let mut ledger = self.account.ledger();
        if is_rated {
            ledger.charge(tokens);
        }
        for (name, amount) in [("tokens", tokens), ("images", images), ("cost", cost)] {
            ledger.add(day, Field::Total(name), amount);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.charge_used();
        let mut ledger = self.account.ledger();
        if let Some(id) = self.id {
            ledger.end(id, self.is_sent);
        }
        let is_settled = ledger.is_settled();
        drop(ledger);
        if !is_settled {
            self.account.settle_ended();
        }
    }
}
