//! What the gateways of one service share, in Redis or Valkey, so that limits hold for all of them together.
//!
//! It knows names, numbers and times: no file of callers, no model, no protocol. Each worker has a [`Link`], which asks
//! for new calls; one [`Flusher`] settles what they have used. Nothing waits longer than [`CALL_TIMEOUT`] for the store,
//! and nothing fails because it is away. Numbers are whole and below 2^53, which Lua and JSON can represent.

mod account;
mod breaker;
mod connection;
mod date;
#[cfg(test)]
mod engine;
mod flusher;
mod ledger;
mod link;
mod request;
pub mod resting;
mod script;
mod state;
mod url;
mod usage;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub use self::account::{Account, Call, Used};
use self::connection::Connection;
pub use self::flusher::Flusher;
pub use self::ledger::Field;
pub use self::link::Link;
pub use self::request::{Answer, Budget, LEASE_TIME, Limits, Period, Verdict};
use self::resting::Resting;
use self::script::Script;
use self::state::State;
pub use self::url::{InvalidStoreUrl, StoreUrl};
pub use self::usage::{Away, Usage};
use crate::telemetry::Telemetry;

/// How long a call waits for the store. After that the pod's share decides.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(50);

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    pub url: StoreUrl,
    /// Authorities in PEM to trust in place of the system's.
    pub ca: Option<Arc<[u8]>>,
    /// The first part of all keys. Gateways with the same share their limits.
    pub prefix: Arc<str>,
}

/// The store, as all workers share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What belongs to the store of a process.
struct Inner {
    prefix: Arc<str>,
    /// The name of this process, which no other has.
    pod: Arc<str>,
    config: watch::Sender<Arc<Config>>,
    /// The flusher's connection, while the store answers.
    connection: Mutex<Option<Connection>>,
    next_call: AtomicU64,
    accounts: Mutex<HashMap<Arc<str>, Arc<Account>>>,
    /// Accounts that have something to settle.
    dirty: Mutex<Vec<Arc<Account>>>,
    /// Wakes the flusher.
    wake: Notify,
    /// Lets the flusher not wait for more to settle.
    hurry: Notify,
    state: State,
    resting: Arc<Resting>,
    script: Script,
    pods_script: Script,
}

impl Store {
    /// A store that is not connected yet: [`Flusher::run`] and [`Link::run`] do that.
    pub fn new(config: Config, telemetry: &Telemetry) -> Self {
        let (prefix, pod) = (config.prefix.clone(), format!("{:016x}", fastrand::u64(..)));
        let store = Self {
            inner: Arc::new(Inner {
                prefix,
                pod: pod.into(),
                config: watch::Sender::new(Arc::new(config)),
                connection: Mutex::default(),
                next_call: AtomicU64::new(0),
                accounts: Mutex::default(),
                dirty: Mutex::default(),
                wake: Notify::new(),
                hurry: Notify::new(),
                state: State::new(telemetry.clone()),
                resting: Arc::default(),
                script: Script::new(include_str!("call.lua")),
                pods_script: Script::new(include_str!("pods.lua")),
            }),
        };
        store.observe(telemetry);
        store
    }

    /// A connection for a worker.
    pub fn link(&self) -> Link {
        Link::new(self.clone())
    }

    /// The background work, of which one is needed.
    pub fn flusher(&self) -> Flusher {
        Flusher::new(self.clone())
    }

    /// The account of the caller with this name.
    pub fn account(&self, caller: &Arc<str>) -> Arc<Account> {
        let mut accounts = lock(&self.inner.accounts);
        let account = accounts.entry(caller.clone());
        account.or_insert_with(|| Arc::new(Account::new(self.inner.clone(), caller))).clone()
    }

    /// Which keys rest, in all gateways.
    pub fn resting(&self) -> &Arc<Resting> {
        &self.inner.resting
    }

    /// Connects as this says from now on. The prefix stays.
    pub fn replace(&self, config: Config) {
        let replace = |current: &mut Arc<Config>| {
            let is_other = **current != config;
            if is_other {
                *current = Arc::new(config);
            }
            is_other
        };
        self.inner.config.send_if_modified(replace);
    }

    fn accounts(&self) -> Vec<Arc<Account>> {
        lock(&self.inner.accounts).values().cloned().collect()
    }

    fn unsettled(&self) -> Vec<Arc<Account>> {
        self.accounts().into_iter().filter(|account| !account.ledger().is_settled()).collect()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config.borrow()).finish_non_exhaustive()
    }
}

/// The URL hides user and password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("url", &self.url).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Nothing that runs under these locks can panic halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
