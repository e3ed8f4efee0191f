//! The HTTP client: how connections to upstream are made and kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tower::util::MapFutureLayer;

use super::Outgoing;
use super::config::{Config, HttpVersion};
use super::dial::dial;
use super::error::Error;
use super::pool::{ConnectError, Connector, Failure, Place, Pool, Step};
use crate::cause::cause;
use crate::telemetry::UpstreamContext;

const OUR_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("gemini-grpc/", env!("CARGO_PKG_VERSION")));

/// How long an HTTP/1 connection is kept for the next request. Node's servers close theirs after 5 s without one. A
/// request that is sent at that moment is lost, and must not be sent again because generation is billed. So we close
/// first.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a client cannot be built, for example because the TLS library found no usable roots.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{}", cause(.0))]
    Client(reqwest::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("the URL of upstream has a host that HTTP cannot carry")]
    Host,
    #[error(
        "HTTPS_PROXY and its kin name a SOCKS proxy, which cannot carry HTTP/2; set GEMINI_GRPC_UPSTREAM_HTTP to 1"
    )]
    Proxy,
}

/// Sends requests and keeps connections.
#[derive(Clone, Debug)]
pub struct Client {
    http1: reqwest::Client,
    http2: Option<Http2>,
}

/// Requests over HTTP/2.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    pool: Pool,
    /// Set once upstream has chosen HTTP/1.1. `None` if it has no choice.
    declined: Option<Arc<AtomicBool>>,
    connect_timeout: Duration,
}

impl Client {
    /// Sends a request over HTTP/1 once, and waits for the head of its response. The body may be empty.
    pub(super) fn send_http1(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
        // Its builder would insert the headers one by one into another map.
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = (!body.is_empty()).then(|| body.into());
        self.http1.execute(request)
    }

    /// The client for HTTP/2, if requests are sent over that.
    pub(super) fn http2(&self) -> Option<Http2> {
        let http2 = self.http2.as_ref()?;
        let declined = http2.declined.as_ref().is_some_and(|declined| declined.load(Ordering::Relaxed));
        (!declined).then(|| http2.clone())
    }
}

impl Http2 {
    /// Waits for room on a connection. `None` means that upstream chose HTTP/1.1.
    pub(super) async fn place(&self, context: &UpstreamContext) -> Result<Option<Place>, Error> {
        match (self.pool.place(|step| report(context, step)).await, &self.declined) {
            (Ok(place), _) => Ok(Some(place)),
            (Err(ConnectError::NotHttp2), Some(declined)) => {
                declined.store(true, Ordering::Relaxed);
                Ok(None)
            }
            (Err(error), _) => Err(self.error(Failure::NoConnection(error))),
        }
    }

    /// Sends a request once, and waits for the head of its response.
    pub(super) async fn send(
        &self,
        place: Place,
        url: &Url,
        headers: HeaderMap,
        outgoing: &Outgoing<'_>,
    ) -> Result<http::Response<reqwest::Body>, Error> {
        let context = &outgoing.context;
        let mut request = http::Request::new(Full::new(outgoing.json.clone()));
        *request.method_mut() = outgoing.target.http_method();
        *request.uri_mut() = Uri::try_from(url.as_str()).map_err(|_| Error::Header)?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, OUR_USER_AGENT);
        let sent = self.pool.send(place, request, |step| report(context, step)).await;
        sent.map_err(|failure| self.error(failure))
    }

    fn error(&self, failure: Failure) -> Error {
        Error::from_http2(failure, self.connect_timeout)
    }
}

fn report(context: &UpstreamContext, step: Step) {
    match step {
        Step::Waiting { dials } => {
            context.sending(false);
            (0..dials).for_each(|_| context.dialed());
        }
        Step::Sending => context.sending(true),
    }
}

impl Config {
    /// A client with these settings.
    pub fn client(&self) -> Result<Client, BuildError> {
        let tls = self.tls.client_config()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(OUR_USER_AGENT)
            .connect_timeout(self.connect_timeout)
            .connector_layer(MapFutureLayer::new(dial))
            .tcp_nodelay(true)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // reqwest resends a request by itself in some cases. Generation is billed. Even if it never retries, it copies
            // each request, unless none may be retried.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            // A redirect would send the prompt, and perhaps the key, to another server.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tls_backend_preconfigured(tls.clone())
            .http1_only();
        if !self.system_proxy {
            builder = builder.no_proxy();
        }
        let http1 = builder.build().map_err(BuildError::Client)?;
        // Without TLS the version cannot be negotiated, and every server speaks HTTP/1.1.
        let declined = match self.http {
            HttpVersion::Http2 => None,
            HttpVersion::Auto if self.base.is_tls() => Some(Arc::default()),
            HttpVersion::Auto | HttpVersion::Http1 => return Ok(Client { http1, http2: None }),
        };
        let pool = Pool::new(self.connector(tls, declined.is_some())?);
        let http2 = Some(Http2 { pool, declined, connect_timeout: self.connect_timeout });
        Ok(Client { http1, http2 })
    }

    fn connector(&self, tls: rustls::ClientConfig, choose: bool) -> Result<Connector, BuildError> {
        let target = Uri::try_from(self.base.to_string()).map_err(|_| BuildError::Host)?;
        let proxy = if self.system_proxy { Matcher::from_env().intercept(&target) } else { None };
        if proxy.as_ref().is_some_and(|proxy| !matches!(proxy.uri().scheme_str(), Some("http" | "https"))) {
            return Err(BuildError::Proxy);
        }
        Ok(Connector::new(target, self.connect_timeout, tls, choose, proxy.as_ref()))
    }
}
