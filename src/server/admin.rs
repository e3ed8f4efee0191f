//! The port for operators: metrics, and whether the server lives and is ready. Plain HTTP/1.1, apart from callers.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::grpc::Health;

/// So many ask at once; others wait.
const CONNECTIONS: usize = 16;
/// A request has to be there by then, and a connection without one ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// So long for one request and its answer: who does not read would keep a place that a probe waits for.
const LIFE: Duration = Duration::from_secs(20);

/// What reads all metrics, if they are to be had here.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// The port, bound.
pub(super) struct Admin {
    listener: TcpListener,
    health: Health,
    scrape: Option<Scrape>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Admin {
    pub(super) fn bind(address: SocketAddr, health: Health, scrape: Option<Scrape>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, health, scrape })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers for as long as it is polled, on the runtime of whoever polls.
    pub(super) async fn run(self) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let (health, scrape, slots) = (self.health, self.scrape, Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            // Never closed.
            let Ok(slot) = slots.clone().acquire_owned().await else { return Ok(()) };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, most likely; others will be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (health, scrape) = (health.clone(), scrape.clone());
            tokio::spawn(async move {
                let answer = |request| std::future::ready(answer(&request, &health, scrape.as_deref()));
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                // How it ends is the asker's affair.
                let _ = tokio::time::timeout(LIFE, builder.serve_connection(TokioIo::new(stream), service_fn(answer)))
                    .await;
                drop(slot);
            });
        }
    }
}

fn answer(
    request: &Request<Incoming>,
    health: &Health,
    scrape: Option<&(dyn Fn() -> String + Send + Sync)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = |status, text: &str| (status, "text/plain; charset=utf-8", text.to_owned());
    let (status, kind, body) = match (request.method(), request.uri().path(), scrape) {
        (&Method::GET | &Method::HEAD, "/livez", _) => text(StatusCode::OK, "lives\n"),
        (&Method::GET | &Method::HEAD, "/readyz", _) if health.is_serving() => text(StatusCode::OK, "serving\n"),
        (&Method::GET | &Method::HEAD, "/readyz", _) => text(StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
        (&Method::GET, "/metrics", Some(scrape)) => (StatusCode::OK, "text/plain; version=0.0.4", scrape()),
        (&Method::GET, "/metrics", None) => text(
            StatusCode::NOT_FOUND,
            "metrics are not to be had here: OTEL_METRICS_EXPORTER does not name prometheus\n",
        ),
        (_, "/livez" | "/readyz" | "/metrics", _) => text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n"),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    Ok(response)
}
