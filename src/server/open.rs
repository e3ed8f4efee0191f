//! The open connections of all workers: how many there may be, and which one is closed to make room for another.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::capacity::Capacity;
use crate::files::Files;
use crate::gateway::{Connection, Weight};

/// How often a connection that waits for a place looks for one that has become idle.
const EVICTION_INTERVAL: Duration = Duration::from_millis(100);
/// How long a connection above the limit may take for its handshake and a call before another one needs its place.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection that is idle for less than this may have its next call on the way.
const MIN_IDLE: Duration = Duration::from_secs(1);
/// How many connections are looked at each time, so that the search costs a full server little time.
const MAX_LOOKED_AT: usize = 256;

/// All open connections. Locked when one opens or closes, and to make room at the limit.
#[derive(Clone, Debug)]
pub(super) struct OpenConnections {
    places: Arc<Semaphore>,
    most: usize,
    queue: Arc<Mutex<Queue>>,
    files: Files,
    /// Whether connections above the limit are served, so that their calls get an error that says why. Where files allow
    /// more than the limit, they wait for a place.
    serves_more: bool,
    /// How many of them at a time. One more waits for the oldest, which is closed when it had time for a call.
    refused_places: Arc<Semaphore>,
    refused: Arc<Mutex<Queue>>,
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
    pub(super) fn new(capacity: &Capacity) -> Self {
        let most = capacity.connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            queue: Arc::default(),
            files: capacity.files(),
            serves_more: capacity.files_limit_connections,
            refused_places: Arc::new(Semaphore::new(capacity.spare_connections())),
            refused: Arc::default(),
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits()) + lock(&self.refused).order.len()
    }

    /// How many may be open.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether a new one would have to wait, or another to be closed.
    pub(super) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Whether only files are left that are kept back: calls have taken the others.
    pub(super) fn are_files_out(&self) -> bool {
        self.files.are_out()
    }

    /// Closes the connection that is idle longest, if it has been for at least `idle`. Returns whether one was closed.
    pub(super) fn make_room(&self, idle: Duration) -> bool {
        lock(&self.queue).evict_longest_idle(idle)
    }

    /// A place for a new connection. At the limit the one that is idle longest is closed for it. If none is idle, this
    /// waits until one is, or ends; where files are the limit, calls on the new connection are refused instead, as they
    /// are on one that is too many already. `weigh` chooses the worker once there is a place. `None` if there will never be a
    /// place again.
    pub(super) async fn place(&self, is_too_many: bool, weigh: impl FnOnce() -> Weight) -> Option<Place> {
        if is_too_many {
            // Its file does not help this connection, so none that was just in use is closed.
            self.make_room(MIN_IDLE);
            return self.refuse(weigh).await;
        }
        let mut permit = pin!(self.places.clone().acquire_owned());
        loop {
            if self.is_full() && !self.make_room(Duration::ZERO) && self.serves_more {
                return self.refuse(weigh).await;
            }
            if let Ok(permit) = timeout(EVICTION_INTERVAL, permit.as_mut()).await {
                return permit.ok().map(|permit| Place::new(&self.queue, Connection::new(weigh()), permit));
            }
        }
    }

    /// A place above the limit.
    async fn refuse(&self, weigh: impl FnOnce() -> Weight) -> Option<Place> {
        let mut permit = pin!(self.refused_places.clone().acquire_owned());
        let permit = loop {
            let oldest = lock(&self.refused).order.first_key_value().map(|((opened, _), _)| *opened);
            let had_time = oldest.unwrap_or_else(Instant::now) + REFUSAL_TIMEOUT;
            if let Ok(permit) = timeout_at(had_time, permit.as_mut()).await {
                break permit;
            }
            lock(&self.refused).evict_longest_idle(REFUSAL_TIMEOUT);
            // It takes a moment to close.
            if let Ok(permit) = timeout(EVICTION_INTERVAL, permit.as_mut()).await {
                break permit;
            }
        };
        permit.ok().map(|permit| Place::new(&self.refused, Connection::out_of_files(weigh()), permit))
    }

    /// Logs that a connection finds no room.
    pub(super) fn warn(&self, is_too_many: bool) {
        let connections = self.count();
        if is_too_many || self.serves_more {
            tracing::warn!(
                connections,
                "the files that this process may open leave no room for another connection: each new one closes the one \
                 that is idle longest, or its calls are refused with OUT_OF_FILES; raise the hard limit of open files \
                 (ulimit -Hn, LimitNOFILE), or run more gateways"
            );
        } else {
            tracing::warn!(
                connections,
                "connection limit reached: each new connection closes the one that is idle longest, or waits"
            );
        }
    }

    /// Begins the next period of the load of workers.
    pub(super) fn begin_load_period(&self) {
        lock(&self.queue).order.values().for_each(|connection| connection.begin_load_period());
    }

    /// Asks every connection to go; open calls run on.
    pub(super) fn leave(&self) {
        for queue in [&self.queue, &self.refused] {
            lock(queue).order.values().for_each(|connection| connection.leave());
        }
    }
}

impl Place {
    fn new(queue: &Arc<Mutex<Queue>>, connection: Arc<Connection>, permit: OwnedSemaphorePermit) -> Self {
        let id = lock(queue).insert(connection.clone());
        Self { connection, id, queue: queue.clone(), _permit: permit }
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

    /// Closes the connection that has had no admitted call for the longest time, if one of those looked at has been idle
    /// for at least `idle`. Returns whether one was closed.
    fn evict_longest_idle(&mut self, idle: Duration) -> bool {
        let now = Instant::now();
        for _ in 0..MAX_LOOKED_AT {
            let Some((key, connection)) = self.order.pop_first() else { return false };
            let (stood, id) = key;
            match connection.idle_since() {
                // Those behind it are idle for a shorter time.
                Some(since) if since <= stood && now.duration_since(stood) < idle => {
                    self.put(key, connection);
                    return false;
                }
                Some(since) if since <= stood => {
                    // It leaves the queue now, so that the next one to make room is another.
                    self.keys.remove(&id);
                    connection.evict();
                    return true;
                }
                Some(since) => self.put((since, id), connection),
                None => {
                    self.put((now.max(stood), id), connection);
                    // All in front of it were looked at before and are in use.
                    if stood >= now {
                        return false;
                    }
                }
            }
        }
        false
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
        let open = OpenConnections::new(&Capacity::of_connections(4, false));
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(open.place(false, Weight::default).await.unwrap());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The first has an open call, and the second had one just now.
        let busy = places[0].connection.begin_call();
        drop(places[1].connection.begin_call());
        let waiting = tokio::spawn({
            let open = open.clone();
            async move { open.place(false, Weight::default).await.unwrap() }
        });
        assert!(timeout(Duration::from_secs(1), places[2].connection.evicted()).await.is_ok());
        assert!(!has_to_close(&places[0]).await && !has_to_close(&places[1]).await);
        drop(places.remove(2));
        drop((waiting.await.unwrap(), busy));
        assert_eq!(open.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_in_use_a_new_one_waits_until_one_is_idle() {
        let open = OpenConnections::new(&Capacity::of_connections(2, false));
        let places =
            [open.place(false, Weight::default).await.unwrap(), open.place(false, Weight::default).await.unwrap()];
        let calls = places.each_ref().map(|place| place.connection.begin_call());
        assert!(timeout(Duration::from_secs(10), open.place(false, Weight::default)).await.is_err());
        let [_, second] = calls;
        drop(second);
        tokio::select! {
            () = places[1].connection.evicted() => {}
            _ = open.place(false, Weight::default) => {}
        }
        assert!(!has_to_close(&places[0]).await);
    }

    #[tokio::test(start_paused = true)]
    async fn where_files_are_the_limit_a_connection_too_many_is_served_until_another_one_needs_its_place() {
        let capacity = Capacity::of_connections(1, true);
        let open = OpenConnections::new(&capacity);
        let first = open.place(false, Weight::default).await.unwrap();
        let call = first.connection.begin_call();
        let mut places = Vec::new();
        for _ in 0..capacity.spare_connections() {
            places.push(open.place(false, Weight::default).await.unwrap());
        }
        // The oldest of them had time for a call.
        let opened = Instant::now();
        tokio::select! {
            () = places[0].connection.evicted() => {}
            _ = open.place(false, Weight::default) => {}
        }
        assert_eq!(opened.elapsed(), REFUSAL_TIMEOUT);
        drop(places.remove(0));
        places.push(open.place(false, Weight::default).await.unwrap());
        assert!(!has_to_close(&places[0]).await);
        // Idle again, the first one makes room for one that is served in full.
        drop(call);
        tokio::select! {
            () = first.connection.evicted() => {}
            _ = open.place(false, Weight::default) => {}
        }
        drop((first, places));
        assert_eq!((open.count(), lock(&open.refused).keys.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_a_file_that_is_kept_back_closes_an_idle_one_and_takes_no_place() {
        let open = OpenConnections::new(&Capacity::of_connections(2, false));
        let idle = open.place(false, Weight::default).await.unwrap();
        let first = open.place(true, Weight::default).await.unwrap();
        // Its next call may be on the way.
        assert!(!has_to_close(&idle).await);
        tokio::time::sleep(MIN_IDLE).await;
        let _second = open.place(true, Weight::default).await.unwrap();
        assert!(has_to_close(&idle).await && !has_to_close(&first).await);
        assert_eq!((open.places.available_permits(), open.count()), (1, 3));
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_forgotten() {
        let open = OpenConnections::new(&Capacity::of_connections(2, false));
        drop(open.place(false, Weight::default).await.unwrap());
        let queue = lock(&open.queue);
        assert!(queue.order.is_empty() && queue.keys.is_empty() && open.count() == 0);
    }
}
