//! The connections that are open, of all workers: how many there may be, and which one makes room for another.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::gateway::Connection;

/// How often a connection that waits for a place looks for one that has become idle.
const EVICTION_INTERVAL: Duration = Duration::from_millis(100);
/// How many connections are looked at each time, so that a full server does not spend its time on looking.
const MAX_LOOKED_AT: usize = 256;

/// All open connections. Locked when one opens or closes, and to make room at the limit.
#[derive(Clone, Debug)]
pub(super) struct OpenConnections {
    places: Arc<Semaphore>,
    most: usize,
    queue: Arc<Mutex<Queue>>,
}

/// The place of one connection, from before its first byte; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) connection: Arc<Connection>,
    id: u64,
    queue: Arc<Mutex<Queue>>,
    _permit: OwnedSemaphorePermit,
}

/// Connections in the order in which they may be closed.
///
/// A call takes no lock, so a connection is not moved when it is used. It stands where it was idle when it was looked at
/// last, and is moved when it comes to the front and was used since: that can only be further back.
#[derive(Debug, Default)]
struct Queue {
    next_id: u64,
    order: BTreeMap<Key, Arc<Connection>>,
    keys: HashMap<u64, Key>,
}

/// Since when a connection is idle, and its id.
type Key = (Instant, u64);

impl OpenConnections {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most, queue: Arc::default() }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// How many may be open.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether a new one would have to wait, or another to be closed.
    pub(super) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// A place for a new connection. At the limit the one that is idle longest is closed for it; if none is idle, this
    /// waits until one is, or ends. `None` if there will never be a place again.
    pub(super) async fn place(&self) -> Option<Place> {
        let mut permit = pin!(self.places.clone().acquire_owned());
        loop {
            if self.is_full() {
                lock(&self.queue).evict_longest_idle();
            }
            if let Ok(permit) = timeout(EVICTION_INTERVAL, permit.as_mut()).await {
                return permit.ok().map(|permit| self.register(permit));
            }
        }
    }

    fn register(&self, permit: OwnedSemaphorePermit) -> Place {
        let connection = Connection::new();
        let id = lock(&self.queue).insert(connection.clone());
        Place { connection, id, queue: self.queue.clone(), _permit: permit }
    }

    /// Asks every connection to go; open calls run on.
    pub(super) fn leave(&self) {
        lock(&self.queue).order.values().for_each(|connection| connection.leave());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.queue).remove(self.id);
    }
}

impl Queue {
    fn insert(&mut self, connection: Arc<Connection>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.put((Instant::now(), id), connection);
        id
    }

    fn put(&mut self, key: Key, connection: Arc<Connection>) {
        self.keys.insert(key.1, key);
        self.order.insert(key, connection);
    }

    fn remove(&mut self, id: u64) {
        if let Some(key) = self.keys.remove(&id) {
            self.order.remove(&key);
        }
    }

    /// Closes the connection that has had no admitted call for the longest time, if one of those looked at is idle.
    fn evict_longest_idle(&mut self) {
        let now = Instant::now();
        for _ in 0..MAX_LOOKED_AT {
            let Some((key, connection)) = self.order.pop_first() else { return };
            let (stood, id) = key;
            match connection.idle_since() {
                Some(since) if since <= stood => {
                    // It leaves the queue now, so that the next one to make room is another.
                    self.keys.remove(&id);
                    return connection.evict();
                }
                Some(since) => self.put((since, id), connection),
                None => {
                    self.put((now.max(stood), id), connection);
                    // All in front of it were looked at before and are in use.
                    if stood >= now {
                        return;
                    }
                }
            }
        }
    }
}

/// Nothing that runs under the lock can panic halfway.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn has_to_close(place: &Place) -> bool {
        timeout(Duration::ZERO, place.connection.evicted()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_idle_longest_makes_room() {
        let open = OpenConnections::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(open.place().await.unwrap());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The first has an open call, and the second had one just now.
        let busy = places[0].connection.begin_call();
        drop(places[1].connection.begin_call());
        let waiting = tokio::spawn({
            let open = open.clone();
            async move { open.place().await.unwrap() }
        });
        assert!(timeout(Duration::from_secs(1), places[2].connection.evicted()).await.is_ok());
        assert!(!has_to_close(&places[0]).await && !has_to_close(&places[1]).await);
        drop(places.remove(2));
        drop((waiting.await.unwrap(), busy));
        assert_eq!(open.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_in_use_a_new_one_waits_until_one_is_idle() {
        let open = OpenConnections::new(2);
        let places = [open.place().await.unwrap(), open.place().await.unwrap()];
        let calls = places.each_ref().map(|place| place.connection.begin_call());
        assert!(timeout(Duration::from_secs(10), open.place()).await.is_err());
        let [_, second] = calls;
        drop(second);
        tokio::select! {
            () = places[1].connection.evicted() => {}
            _ = open.place() => {}
        }
        assert!(!has_to_close(&places[0]).await);
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_forgotten() {
        let open = OpenConnections::new(2);
        drop(open.place().await.unwrap());
        let queue = lock(&open.queue);
        assert!(queue.order.is_empty() && queue.keys.is_empty() && open.count() == 0);
    }
}
