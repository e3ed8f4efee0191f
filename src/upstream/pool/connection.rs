//! One HTTP/2 connection to upstream.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioTimer;
use tokio::sync::Notify;

use super::failure::ConnectError;
use super::{MAX_STREAMS, Place};

/// Pings find out whether upstream is still there, also when no request waits.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of an answer may arrive before its caller has read the earlier ones: the memory cost of a caller that
/// does not read.
const STREAM_WINDOW: u32 = 1 << 20;
/// Room for all streams: callers that do not read must not stop the others on their connection.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// Input and output of a connection: TCP, TLS or a tunnel.
pub(super) type Io = Box<dyn ReadWrite>;

pub(super) trait ReadWrite: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> ReadWrite for T {}

/// `None` once it takes no more requests: those that it has not taken yet are then given back.
type Http2 = Option<http2::Connection<Io, Full<Bytes>, Executor>>;

/// A connection as requests use it.
pub(super) struct Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    http2: Arc<Mutex<Http2>>,
    /// How many requests it has. It changes under the lock of the pool only.
    requests: AtomicUsize,
    /// Whether it had one since the pool last looked.
    used: AtomicBool,
}

/// What keeps a connection going. It is ready when the connection takes no more requests.
pub(super) struct Driver(Arc<Mutex<Http2>>);

impl Connection {
    /// Does the HTTP/2 handshake, and waits for the number of streams that upstream allows.
    pub(super) async fn open(io: Io) -> Result<(Self, Driver), ConnectError> {
        let executor = Executor(Arc::new(Progress::default()));
        let handshake = http2::Builder::new(executor.clone())
            .timer(TokioTimer::new())
            // None until upstream has sent its limit.
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(1 << 20)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(io);
        let (sender, http2) = handshake.await.map_err(|_| ConnectError::Refused)?;
        let connection = Self {
            sender,
            http2: Arc::new(Mutex::new(Some(http2))),
            requests: AtomicUsize::new(0),
            used: AtomicBool::new(true),
        };
        let mut driver = Driver(connection.http2.clone());
        while connection.allowed() == 0 {
            tokio::select! {
                () = &mut driver => return Err(ConnectError::NotHttp2),
                () = executor.0.happened.notified() => {}
            }
        }
        executor.0.settled.store(true, Ordering::Relaxed);
        Ok((connection, driver))
    }

    pub(super) fn sender(&self) -> http2::SendRequest<Full<Bytes>> {
        self.sender.clone()
    }

    /// How many requests it takes at once. Upstream may change its mind at any time.
    pub(super) fn allowed(&self) -> usize {
        lock(&self.http2).as_ref().map_or(0, |http2| http2.current_max_send_streams().min(MAX_STREAMS))
    }

    pub(super) fn has_room(&self) -> bool {
        self.requests.load(Ordering::Relaxed) < self.allowed()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || lock(&self.http2).is_none()
    }

    pub(super) fn occupy(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.used.store(true, Ordering::Relaxed);
    }

    pub(super) fn vacate(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it has had no request since this was last asked.
    pub(super) fn is_unused(&self) -> bool {
        !self.used.swap(false, Ordering::Relaxed) && self.requests.load(Ordering::Relaxed) == 0
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut http2 = lock(&self.0);
        if let Some(running) = &mut *http2 {
            let _ = ready!(Pin::new(running).poll(cx));
        }
        *http2 = None;
        Poll::Ready(())
    }
}

fn lock(http2: &Mutex<Http2>) -> MutexGuard<'_, Http2> {
    http2.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what hyper spawns. hyper does not report when upstream's settings have arrived, so while they are awaited this
/// notifies after each step of the connection.
#[derive(Clone)]
pub(super) struct Executor(Arc<Progress>);

#[derive(Default)]
struct Progress {
    settled: AtomicBool,
    happened: Notify,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        if self.0.settled.load(Ordering::Relaxed) {
            tokio::spawn(future);
            return;
        }
        let progress = self.0.clone();
        tokio::spawn(async move {
            let mut future = std::pin::pin!(future);
            std::future::poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                if !progress.settled.load(Ordering::Relaxed) {
                    progress.happened.notify_one();
                }
                polled
            })
            .await
        });
    }
}

/// The body of an answer, which keeps its place on the connection to its end.
pub(super) struct Body {
    incoming: Incoming,
    _place: Place,
}

impl Body {
    pub(super) fn new(incoming: Incoming, place: Place) -> Self {
        Self { incoming, _place: place }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.incoming.size_hint()
    }
}
