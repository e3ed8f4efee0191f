//! A worker's connection to the store. Calls use it while it is good; it is made and tried again in the background.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::account::{Account, Call};
use super::breaker::{Backoff, Breaker};
use super::connection::{CONNECT_TIMEOUT, Connection};
use super::date::Day;
use super::ledger::Part;
use super::request::{Answer, Asked, Limits, Reply, Verdict};
use super::state::Operation;
use super::{CALL_TIMEOUT, Store, lock};

/// How often a connection without failures is tried.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// After this many late replies to pings in a row another connection has to show whether the store is slow, or the
/// connection leads nowhere.
const MAX_LATE: u32 = 2;
/// A connection that was good for this long has earned a short pause when it fails again.
const STEADY_TIME: Duration = Duration::from_secs(5);

/// A worker's connection. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Link {
    store: Store,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The connection, while it is good.
    connection: Mutex<Option<Connection>>,
    breaker: Breaker,
    /// Woken when the connection is not good any more.
    failed: Notify,
}

impl Link {
    pub(super) fn new(store: Store) -> Self {
        Self { store, shared: Arc::default() }
    }

    /// The store that it leads to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Asks the store for a call. Without an answer the store is away, and the pod's share has to decide.
    pub async fn admit(&self, account: &Arc<Account>, limits: &Limits) -> (Call, Option<Answer>) {
        let Some(mut connection) = self.connection(account) else { return (account.begin(limits), None) };
        let begun = Instant::now();
        let (mut call, id) = account.ask(limits);
        let part = Part::Limits { has_budgets: !limits.budgets.is_empty() };
        let batches = account.ledger().send(part);
        let last = batches.last().map(|batch| batch.number);
        let now = self.store.inner.state.now();
        let due = now + u64::try_from(CALL_TIMEOUT.as_micros()).unwrap_or(u64::MAX);
        let asked = Asked { call: id, due, limits, day: Day::of(now) };
        let with = account.names.invocation(0, account.rates(), &batches, Some(asked));
        let asking = self.store.inner.script.run(&mut connection, &with);
        let reply = match timeout(CALL_TIMEOUT, asking).await {
            Ok(reply) => reply.and_then(Reply::read),
            Err(_) => Err(late()),
        };
        self.store.inner.state.took(begun.elapsed());
        match reply {
            Ok(reply) => {
                self.shared.breaker.succeed();
                account.breaker.succeed();
                account.half_full(reply.is_half_full);
                if let Some(last) = last {
                    account.ledger().confirm(last);
                }
                match reply.answer {
                    Some(Answer { verdict: Verdict::Admitted, .. }) => call.admitted(reply.even),
                    Some(_) => call.refused(),
                    None => {}
                }
                (call, reply.answer.map(|answer| Answer { at: now / 1_000_000, ..answer }))
            }
            Err(error) => {
                self.failed(account, &error);
                (call, None)
            }
        }
    }

    /// The connection, if it is worth to ask.
    fn connection(&self, account: &Account) -> Option<Connection> {
        let is_worth =
            !self.shared.breaker.is_open() && !account.breaker.is_open() && self.store.inner.state.knows_time();
        if is_worth { lock(&self.shared.connection).clone() } else { None }
    }

    fn failed(&self, account: &Arc<Account>, error: &RedisError) {
        self.store.inner.state.count_failure(Operation::Admit);
        account.breaker.fail();
        let is_open = self.shared.breaker.fail();
        if is_lost(error) {
            lock(&self.shared.connection).take();
            self.shared.failed.notify_one();
        } else if is_open {
            self.shared.failed.notify_one();
        }
        account.settle_soon();
    }

    /// Keeps the connection good, for as long as the worker runs.
    pub async fn run(self) {
        let mut backoff = Backoff::default();
        let mut config = self.store.inner.config.subscribe();
        loop {
            let current = config.borrow_and_update().clone();
            if let Ok(Ok(connection)) = timeout(CONNECT_TIMEOUT * 2, Connection::open(&current)).await {
                tokio::select! {
                    () = self.watch(connection, &mut backoff) => {}
                    // Another store, or another password.
                    changed = config.changed() => if changed.is_err() { return },
                }
                lock(&self.shared.connection).take();
            }
            tokio::time::sleep(backoff.next(fastrand::f64())).await;
        }
    }

    /// Lets calls use a connection while it is good. Returns when another one is needed.
    async fn watch(&self, mut connection: Connection, backoff: &mut Backoff) {
        let (mut late, mut good_since) = (0, Instant::now());
        loop {
            match timeout(CALL_TIMEOUT, connection.ping()).await {
                Ok(Ok(_)) => late = 0,
                Ok(Err(_)) => return,
                Err(_) => late += 1,
            }
            if late == 0 {
                self.shared.breaker.close();
                *lock(&self.shared.connection) = Some(connection.clone());
                tokio::select! {
                    () = self.shared.failed.notified() => {}
                    // A connection that a firewall has forgotten is found before a call waits for it.
                    () = tokio::time::sleep(PING_INTERVAL) => continue,
                }
            }
            // The connection is not there if it is lost.
            if lock(&self.shared.connection).take().is_none() && late == 0 || late == MAX_LATE {
                return;
            }
            if good_since.elapsed() > STEADY_TIME {
                backoff.reset();
            }
            tokio::time::sleep(backoff.next(fastrand::f64())).await;
            good_since = Instant::now();
        }
    }
}

/// Whether a connection cannot be used any more.
fn is_lost(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        || (error.is_unrecoverable_error() && !error.is_timeout())
}

/// The store did not reply in time.
fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
