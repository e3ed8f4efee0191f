//! The admin port: metrics, usage, liveness and readiness, over plain HTTP/1.1.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::listener;
use crate::gateway::UsageReports;
use crate::grpc::Health;

/// How long the headers of a request may take; a probe on a good network takes a hundredth of it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests for metrics or usage that are served at the same time. Their responses are large, and clients may read them
/// slowly; probes have no such limit.
const MAX_SCRAPES: usize = 8;
/// Limit for one request and its response, so that a client that does not read cannot keep its connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait when the process has no descriptor left: each accept would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Reads all metrics as text.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// The admin port, bound.
pub(super) struct Admin {
    listener: TcpListener,
    health: Health,
    scrape: Option<Scrape>,
    usage: UsageReports,
    max_waiting: usize,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Admin {
    /// At most `max_waiting` connections may wait for their request. One more closes the oldest, so that silent connections
    /// cannot keep probes out.
    pub(super) fn bind(
        address: SocketAddr,
        health: Health,
        scrape: Option<Scrape>,
        usage: UsageReports,
        max_waiting: usize,
    ) -> std::io::Result<Self> {
        let listener = listener::bind(address)?;
        Ok(Self { listener, health, scrape, usage, max_waiting })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as it is polled.
    pub(super) async fn run(self) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let Self { health, scrape, usage, .. } = self;
        let service = Service { health, scrape, usage, scrapes: Arc::new(Semaphore::new(MAX_SCRAPES)) };
        let (service, mut waiting) =
            (Arc::new(service), Waiting { connections: VecDeque::new(), most: self.max_waiting });
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Most likely the process is out of files; closing connections frees some.
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            };
            let has_request = Arc::new(AtomicBool::new(false));
            let serving = serve(stream, service.clone(), has_request.clone());
            waiting.add(tokio::spawn(serving).abort_handle(), has_request);
        }
    }
}

/// Connections in the order in which they were accepted. Those at the front may have sent no request yet.
struct Waiting {
    connections: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
    most: usize,
}

impl Waiting {
    /// Adds one that has no request yet. If there are too many of those, the oldest one is closed.
    fn add(&mut self, task: AbortHandle, has_request: Arc<AtomicBool>) {
        if self.connections.len() >= self.most {
            self.connections.retain(|(task, has_request)| !task.is_finished() && !has_request.load(Ordering::Relaxed));
        }
        if self.connections.len() >= self.most
            && let Some((oldest, _)) = self.connections.pop_front()
        {
            oldest.abort();
        }
        self.connections.push_back((task, has_request));
    }
}

/// Serves one request.
async fn serve(stream: TcpStream, service: Arc<Service>, has_request: Arc<AtomicBool>) {
    let answer = service_fn(|request| {
        has_request.store(true, Ordering::Relaxed);
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(&request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).keep_alive(false);
    // An error means that the client went away or was too slow.
    let _ = tokio::time::timeout(REQUEST_TIMEOUT, builder.serve_connection(TokioIo::new(stream), answer)).await;
}

/// Answers requests on the admin port.
struct Service {
    health: Health,
    scrape: Option<Scrape>,
    usage: UsageReports,
    scrapes: Arc<Semaphore>,
}

impl Service {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, kind, body) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") if self.health.is_serving() => text(StatusCode::OK, "serving\n"),
            (&Method::GET | &Method::HEAD, "/readyz") => text(StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
            (&Method::GET, "/metrics") => self.metrics(),
            (&Method::GET, "/usage") => self.usage().await,
            (_, "/livez" | "/readyz" | "/metrics" | "/usage") => {
                text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n")
            }
            _ => text(StatusCode::NOT_FOUND, "not found: this port serves /metrics, /usage, /livez and /readyz\n"),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    }

    fn metrics(&self) -> Answer {
        let Some(scrape) = &self.scrape else {
            let problem = "metrics are not exported on this port: OTEL_METRICS_EXPORTER does not name prometheus\n";
            return text(StatusCode::NOT_FOUND, problem);
        };
        match self.place() {
            Ok(place) => large("text/plain; version=0.0.4", scrape(), place),
            Err(refused) => refused,
        }
    }

    /// What each caller has used.
    async fn usage(&self) -> Answer {
        let place = match self.place() {
            Ok(place) => place,
            Err(refused) => return refused,
        };
        match serde_json::to_string(&self.usage.report().await) {
            Ok(json) => large("application/json", json, place),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the usage has no JSON form\n"),
        }
    }

    /// A place for a large response.
    fn place(&self) -> Result<OwnedSemaphorePermit, Answer> {
        let refused = "too many requests for metrics and usage at once; try again\n";
        self.scrapes.clone().try_acquire_owned().map_err(|_| text(StatusCode::SERVICE_UNAVAILABLE, refused))
    }
}

/// Status, content type and body.
type Answer = (StatusCode, &'static str, Bytes);

fn text(status: StatusCode, text: &'static str) -> Answer {
    (status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn large(kind: &'static str, text: String, place: OwnedSemaphorePermit) -> Answer {
    (StatusCode::OK, kind, Bytes::from_owner(Large { text, _place: place }))
}

/// A large text, and the place of its request, which is free again when the text was sent.
struct Large {
    text: String,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}
