//! A pool of HTTP/2 connections to upstream.
//!
//! A connection takes as many requests at once as upstream allows it, and the next one is made when all are full: a
//! request that h2 queues would wait unseen. Requests that find no room wait here instead, the first one first, for a
//! connection that is being opened or for another request to end, whichever is earlier.

mod connect;
mod connection;
mod failure;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use tower_http::decompression::Decompression;

pub(super) use self::connect::Connector;
use self::connection::{Body, Connection, Driver};
pub(super) use self::failure::{ConnectError, Failure};

/// The most requests at once on a connection, however many upstream allows: all of them stand still together when a
/// packet is lost, and each has a window of its own in the connection's.
const MAX_STREAMS: usize = 128;
/// How often connections are checked. One that had no request since the last check is closed.
const POOL_IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// How many connections a request may find closed, one after the other, before it fails.
const MAX_TRIES: usize = 3;

/// The connections of one worker.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    state: Mutex<State>,
}

struct State {
    connections: Vec<Arc<Connection>>,
    /// How many connections are being made.
    dials: usize,
    /// How many requests the newest connection takes at once: as many may wait for one that is being made.
    allowed: usize,
    waiting: VecDeque<oneshot::Sender<Result<Place, ConnectError>>>,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        let state = State { connections: Vec::new(), dials: 0, allowed: MAX_STREAMS, waiting: VecDeque::new() };
        Self(Arc::new(Shared { connector, state: Mutex::new(state) }))
    }

    /// Sends a request once, and awaits the head of its answer. Calls `report` with each step on the way.
    pub(super) async fn send(
        &self,
        place: Place,
        request: http::Request<Full<Bytes>>,
        report: impl Fn(Step),
    ) -> Result<http::Response<reqwest::Body>, Failure> {
        let mut place = Some(place);
        let service = tower::service_fn(|request| self.send_packed(place.take(), request, &report));
        let response = Decompression::new(service).gzip(true).oneshot(request).await?;
        Ok(response.map(reqwest::Body::wrap))
    }

    async fn send_packed(
        &self,
        mut place: Option<Place>,
        mut request: http::Request<Full<Bytes>>,
        report: impl Fn(Step),
    ) -> Result<http::Response<Body>, Failure> {
        for _ in 0..MAX_TRIES {
            let place = match place.take() {
                Some(place) => place,
                None => self.place(&report).await.map_err(Failure::NoConnection)?,
            };
            report(Step::Sending);
            match place.connection().sender().try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| Body::new(body, place))),
                Err(mut error) => match error.take_message() {
                    // Upstream has sent GOAWAY on this connection, which takes no more requests.
                    Some(unsent) => {
                        self.0.remove(place.connection());
                        request = unsent;
                    }
                    None => return Err(Failure::Sent(error.into_error())),
                },
            }
        }
        Err(Failure::NotTaken)
    }

    /// Waits for room on a connection.
    pub(super) async fn place(&self, report: impl Fn(Step)) -> Result<Place, ConnectError> {
        let place = {
            let mut state = self.0.lock();
            if let Some(place) = self.0.take(&mut state) {
                return Ok(place);
            }
            let (sender, place) = oneshot::channel();
            state.waiting.push_back(sender);
            report(Step::Waiting { dials: self.0.dial_for_waiting(&mut state) });
            place
        };
        place.await.unwrap_or(Err(ConnectError::Refused))
    }
}

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It waits for a connection, and has begun to make this many.
    Waiting { dials: usize },
    /// It goes out.
    Sending,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock panics, except for the allocator.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on the oldest connection that has room, so that the newest become unused and close.
    fn take(self: &Arc<Self>, state: &mut State) -> Option<Place> {
        state.connections.retain(|connection| !connection.is_closed());
        let connection = state.connections.iter().find(|connection| connection.has_room())?;
        connection.occupy();
        Some(Place { connection: connection.clone(), pool: self.clone() })
    }

    /// Opens as many connections as the waiting requests will fill, and returns how many.
    fn dial_for_waiting(self: &Arc<Self>, state: &mut State) -> usize {
        let needed = state.waiting.len().div_ceil(state.allowed);
        let missing = needed.saturating_sub(state.dials);
        state.dials += missing;
        for _ in 0..missing {
            tokio::spawn(self.clone().dial());
        }
        missing
    }

    async fn dial(self: Arc<Self>) {
        let made = self.connector.connect().await;
        let mut assignments = Vec::new();
        {
            let mut state = self.lock();
            state.dials -= 1;
            match made {
                Ok((connection, driver)) => {
                    let connection = Arc::new(connection);
                    tokio::spawn(drive(driver, Arc::downgrade(&connection), Arc::downgrade(&self)));
                    state.allowed = connection.allowed().max(1);
                    state.connections.push(connection);
                    self.assign_room(&mut state, &mut assignments);
                }
                // The requests that would have filled it fail; for others, another is being opened.
                Err(error) => {
                    let share = if state.dials == 0 { state.waiting.len() } else { state.allowed };
                    for waiting in (0..share).map_while(|_| state.waiting.pop_front()) {
                        assignments.push((waiting, Err(error)));
                    }
                }
            }
            self.dial_for_waiting(&mut state);
        }
        deliver(assignments);
    }

    /// Assigns free places to the requests that wait.
    fn assign_room(self: &Arc<Self>, state: &mut State, assignments: &mut Vec<Assignment>) {
        while !state.waiting.is_empty()
            && let Some(place) = self.take(state)
        {
            if let Some(waiting) = state.waiting.pop_front() {
                assignments.push((waiting, Ok(place)));
            }
        }
    }

    fn remove(&self, connection: &Arc<Connection>) {
        self.lock().connections.retain(|other| !Arc::ptr_eq(other, connection));
    }
}

/// A request that waited, and its place.
type Assignment = (oneshot::Sender<Result<Place, ConnectError>>, Result<Place, ConnectError>);

/// Sends places to the requests that wait. Never under the lock: dropping the place of an abandoned request takes it.
fn deliver(assignments: Vec<Assignment>) {
    for (waiting, place) in assignments {
        let _ = waiting.send(place);
    }
}

/// Keeps a connection going, and closes it when it is not used.
async fn drive(mut driver: Driver, connection: Weak<Connection>, pool: Weak<Shared>) {
    let mut looks = tokio::time::interval(POOL_IDLE_CHECK_INTERVAL);
    loop {
        tokio::select! {
            () = &mut driver => break,
            _ = looks.tick() => {}
        }
        let (Some(connection), Some(pool)) = (connection.upgrade(), pool.upgrade()) else { continue };
        if connection.is_unused() {
            pool.remove(&connection);
        }
    }
    if let (Some(connection), Some(pool)) = (connection.upgrade(), pool.upgrade()) {
        pool.remove(&connection);
    }
}

/// Room for one request on a connection, released at its end.
pub(super) struct Place {
    connection: Arc<Connection>,
    pool: Arc<Shared>,
}

impl Place {
    fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut assignments = Vec::new();
        {
            let mut state = self.pool.lock();
            self.connection.vacate();
            self.pool.assign_room(&mut state, &mut assignments);
        }
        deliver(assignments);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connections", &self.lock().connections.len()).finish_non_exhaustive()
    }
}
