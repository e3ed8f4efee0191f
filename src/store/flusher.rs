//! The work for the store that no call waits for: settling what was used, renewing leases, counting the pods, and telling
//! each other which keys rest. One task for the process, with a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::{RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::account::Account;
use super::breaker::Backoff;
use super::connection::{CONNECT_TIMEOUT, Connection};
use super::ledger::Part;
use super::request::Reply;
use super::script::{Invocation, elements, number};
use super::state::Operation;
use super::{CALL_TIMEOUT, Store, lock};
use crate::cause::cause;

/// How often the pods are counted, and rests exchanged.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a pod is counted after its last beat.
const POD_KEPT: Duration = Duration::from_secs(10);
/// How often the leases of open calls are renewed: three times before they end.
const RENEW_INTERVAL: Duration = Duration::from_secs(10);
/// How long an operation may take that no call waits for.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait after something could not be settled.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for more to settle. Each batch keeps the store busy for as long as it takes to admit two calls.
const SETTLE_DELAY: Duration = Duration::from_millis(5);
/// How many accounts are settled at once.
const ACCOUNTS_AT_ONCE: usize = 32;

/// The background work of a store.
#[derive(Debug)]
pub struct Flusher {
    store: Store,
    /// Woken when the store answers again.
    answers: Notify,
}

impl Flusher {
    pub(super) fn new(store: Store) -> Self {
        Self { store, answers: Notify::new() }
    }

    /// Works for as long as the process runs.
    pub async fn run(&self) {
        tokio::join!(self.stay_connected(), self.settle_all(), self.renew_all());
    }

    /// Settles what is left, and takes this pod out of the count, within `limit`.
    pub async fn finish(&self, limit: Duration) {
        let finishing = async {
            loop {
                let connection = lock(&self.store.inner.connection).clone();
                let left = self.store.unsettled();
                if let Some(mut connection) = connection {
                    if self.settle_each(&left, &connection).await {
                        let _ = self.count_pods(&mut connection, Duration::ZERO).await;
                        return;
                    }
                } else if left.is_empty() {
                    return;
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        };
        if timeout(limit, finishing).await.is_err() {
            let callers = self.store.unsettled().len();
            tracing::warn!(callers, "the store of limits does not answer: what the last calls used is missing there");
        }
    }

    /// Connects, and counts the pods for as long as the store answers.
    async fn stay_connected(&self) {
        let (mut backoff, mut config) = (Backoff::default(), self.store.inner.config.subscribe());
        loop {
            let current = config.borrow_and_update().clone();
            let error = match timeout(CONNECT_TIMEOUT * 2, Connection::open(&current)).await {
                Err(_) => "it does not accept the connection in time".to_owned(),
                Ok(Err(error)) => cause(&error),
                Ok(Ok(connection)) => tokio::select! {
                    error = self.beat(connection, &mut backoff) => error,
                    changed = config.changed() => {
                        lock(&self.store.inner.connection).take();
                        if changed.is_err() { return }
                        continue
                    }
                },
            };
            lock(&self.store.inner.connection).take();
            self.store.inner.state.away(&current, &error);
            tokio::time::sleep(backoff.next(fastrand::f64())).await;
        }
    }

    /// Returns why the store does not answer any more.
    async fn beat(&self, mut connection: Connection, backoff: &mut Backoff) -> String {
        loop {
            let begun = Instant::now();
            match timeout(OPERATION_TIMEOUT, self.count_pods(&mut connection, POD_KEPT)).await {
                Ok(Ok((time, pods))) if begun.elapsed() <= CALL_TIMEOUT => {
                    if self.store.inner.state.answers(time, begun.elapsed(), pods) {
                        self.renew();
                    }
                    backoff.reset();
                }
                // That is longer than calls wait. What was used can be settled.
                Ok(Ok((time, pods))) => self.store.inner.state.slow(time, begun.elapsed(), pods),
                Ok(Err(error)) => return self.failed(Operation::Pods, cause(&error)),
                Err(_) => return self.failed(Operation::Pods, "it does not reply in time".to_owned()),
            }
            if lock(&self.store.inner.connection).replace(connection.clone()).is_none() {
                self.answers.notify_one();
            }
            let exchanged = timeout(OPERATION_TIMEOUT, self.exchange_rests(&mut connection)).await;
            if !matches!(exchanged, Ok(Ok(()))) {
                self.store.inner.state.count_failure(Operation::Resting);
            }
            tokio::time::sleep(BEAT_INTERVAL).await;
        }
    }

    fn failed(&self, operation: Operation, error: String) -> String {
        self.store.inner.state.count_failure(operation);
        error
    }

    /// The time in microseconds, and how many pods there are.
    async fn count_pods(&self, connection: &mut Connection, kept: Duration) -> RedisResult<(u64, u64)> {
        let mut with = Invocation::default();
        with.key(format!("{}:pods", self.store.inner.prefix).into());
        with.owned(self.store.inner.pod.to_string());
        with.number(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
        let reply = elements(self.store.inner.pods_script.run(connection, &with).await?)?;
        Ok((number(reply.first())?, number(reply.get(1))?))
    }

    /// Sends which keys rest since the last time, and reads which rest everywhere.
    async fn exchange_rests(&self, connection: &mut Connection) -> RedisResult<()> {
        let (resting, name) = (&self.store.inner.resting, format!("{}:resting", self.store.inner.prefix));
        let unsent = resting.take_unsent();
        let now = self.store.inner.state.now() / 1000;
        let sent = async {
            for (key, until) in &unsent {
                connection.query(redis::cmd("ZADD").arg(&name).arg("GT").arg(*until).arg(&**key)).await?;
            }
            connection.query(redis::cmd("ZREMRANGEBYSCORE").arg(&name).arg("-inf").arg(now)).await?;
            let range = redis::cmd("ZRANGE").arg(&name).arg(now).arg("+inf").arg("BYSCORE").arg("WITHSCORES").take();
            connection.query(&range).await
        };
        match sent.await {
            Ok(all) => {
                let all: Vec<(String, f64)> = redis::from_redis_value(all)?;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds")]
                resting.replace(all.into_iter().map(|(key, until)| (key, until as u64)));
                Ok(())
            }
            Err(error) => {
                resting.put_back(unsent);
                Err(error)
            }
        }
    }

    /// Settles what calls have used, soon after there is something. While one batch is away the next one collects.
    async fn settle_all(&self) {
        loop {
            tokio::select! {
                () = self.store.inner.wake.notified() => {}
                () = self.answers.notified() => {}
                () = tokio::time::sleep(BEAT_INTERVAL) => {}
            }
            let _ = timeout(SETTLE_DELAY, self.store.inner.hurry.notified()).await;
            let connection = lock(&self.store.inner.connection).clone();
            if let Some(connection) = connection
                && !self.settle_dirty(&connection).await
            {
                // What could not be settled is tried again a little later.
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }

    /// Settles all accounts that have something to settle. Returns whether all could be settled.
    async fn settle_dirty(&self, connection: &Connection) -> bool {
        let dirty = std::mem::take(&mut *lock(&self.store.inner.dirty));
        self.settle_each(&dirty, connection).await
    }

    async fn settle_each(&self, accounts: &[Arc<Account>], connection: &Connection) -> bool {
        let mut is_settled = true;
        for accounts in accounts.chunks(ACCOUNTS_AT_ONCE) {
            let settling = accounts.iter().map(|account| self.settle(account, connection.clone()));
            is_settled &= join_all(settling).await.into_iter().all(|settled| settled);
        }
        is_settled
    }

    async fn settle(&self, account: &Arc<Account>, mut connection: Connection) -> bool {
        account.taken();
        loop {
            let batches = account.ledger().send(Part::All);
            let Some(last) = batches.last().map(|batch| batch.number) else { return true };
            let with = account.names.invocation(0, account.rates(), &batches, None);
            let begun = Instant::now();
            let settling = self.store.inner.script.run(&mut connection, &with);
            let reply: Option<Value> = timeout(OPERATION_TIMEOUT, settling).await.ok().and_then(Result::ok);
            if reply.and_then(|reply| Reply::read(reply).ok()).is_none() {
                self.store.inner.state.count_failure(Operation::Settle);
                account.settle_later();
                return false;
            }
            // A store that answers late would cost calls their time.
            if begun.elapsed() <= CALL_TIMEOUT {
                account.breaker.close();
            }
            account.ledger().confirm(last);
        }
    }

    /// Renews leases.
    async fn renew_all(&self) {
        loop {
            tokio::time::sleep(RENEW_INTERVAL).await;
            if self.store.inner.state.is_up() {
                self.renew();
            }
        }
    }

    fn renew(&self) {
        for account in self.store.accounts() {
            let mut ledger = account.ledger();
            if ledger.has_open_calls() {
                ledger.renew();
                drop(ledger);
                account.settle_soon();
            }
        }
    }
}
