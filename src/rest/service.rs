//! Serves a request: finds out which call it is, and makes an HTTP response of its result.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method as HttpMethod, Request, Response};

use super::body::Body;
use super::error::Error;
use super::framing::JsonFraming;
use super::headers;
use super::query::{self, Alt};
use super::route::{self, Route, Target};
use super::upload::Upload;
use crate::face::{self, Failure as _, Peer, RequestBody, put_common, request_id, retry_delay};
use crate::gateway::{self, Call, CallRequest, Format, Gateway, Message, ModelsQuery};
use crate::gemini::method::Method;
use crate::telemetry::{CallHead, CallMethod, CallProtocol, CallSpan, HttpRequest, Telemetry};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// nginx would gather the response of a stream otherwise.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Longer paths are cut in telemetry, in characters.
const MAX_PATH: usize = 128;

/// Everything that one worker serves over REST.
#[derive(Clone, Debug)]
pub struct Rest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gateway: Arc<Gateway>,
    telemetry: Telemetry,
    /// The largest body that is accepted, in bytes, unpacked.
    max_request_bytes: usize,
}

/// The response to a request.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl Rest {
    /// `max_request_bytes` is the largest body that is accepted, unpacked.
    pub fn new(gateway: Arc<Gateway>, telemetry: Telemetry, max_request_bytes: usize) -> Self {
        Self(Arc::new(Inner { gateway, telemetry, max_request_bytes }))
    }

    /// Serves one call.
    pub fn respond<B: RequestBody>(&self, request: Request<B>, peer: Arc<Peer>) -> ResponseFuture {
        let rest = self.0.clone();
        // The future is created directly in its heap memory, not on the stack first.
        let future = Box::write(Box::new_uninit(), async move { rest.answer(request, peer).await });
        Box::into_pin(future)
    }

    /// Refuses a request of a web page whose origin is not allowed.
    pub fn refuse_origin<B: RequestBody>(&self, request: Request<B>, peer: &Peer) -> Response<Body> {
        let id = request_id(request.headers());
        let span = self.0.span(&request, None, peer, &id);
        self.0.refuse_unread(request, &Error::Origin, &span)
    }
}

impl Inner {
    async fn answer<B: RequestBody>(&self, request: Request<B>, peer: Arc<Peer>) -> Response<Body> {
        let id = request_id(request.headers());
        let (route, model) = match route::find(request.uri().path()) {
            Target::Method { route, model } => (route, model),
            other => {
                let span = self.span(&request, None, &peer, &id);
                let error = match other {
                    Target::OtherMethod { action } if request.method() == HttpMethod::POST => {
                        Error::NotOffered { action: action.chars().take(MAX_PATH / 2).collect() }
                    }
                    Target::Nothing { advice } => Error::NotServed { advice },
                    _ => Error::Method { allowed: "POST" },
                };
                return self.refuse_unread(request, &error, &span);
            }
        };
        let span = self.span(&request, Some(route), &peer, &id);
        if request.method() != route.verb() {
            return self.refuse_unread(request, &Error::Method { allowed: route.verb() }, &span);
        }
        let (head, body) = request.into_parts();
        let calling = pin!(self.call(&head, body, route, model, peer, &span));
        // A panic must not end the task: hyper would not know what to send.
        match AssertUnwindSafe(calling).catch_unwind().await {
            Ok(Ok(mut response)) => {
                span.http_status(response.status().as_u16());
                put_common(response.headers_mut(), &span);
                response
            }
            Ok(Err(error)) => refuse(&error, &span, &head.method),
            Err(_) => refuse(&Error::Call(gateway::Error::Panicked), &span, &head.method),
        }
    }

    async fn call<B: RequestBody>(
        &self,
        head: &Parts,
        body: B,
        route: &'static Route,
        model: Arc<str>,
        peer: Arc<Peer>,
        span: &CallSpan,
    ) -> Result<Response<Body>, Error> {
        if route.method.describes_models() {
            discard(&head.headers, body);
            return self.models(head, route.method, model, &peer, span).await;
        }
        let alt = match self.alt(head, route.method) {
            Ok(alt) => alt,
            Err(error) => {
                discard(&head.headers, body);
                return Err(error);
            }
        };
        let upload = Upload::new(&head.headers, body).map_err(|(error, body)| {
            discard(&head.headers, body);
            error
        })?;
        let (call, body) = self.receive(head, upload, model, &peer, span).await?;
        if !route.method.is_streaming() {
            return Ok(json(self.gateway.unary(route.method, call, body).await?, span));
        }
        let stream = self.gateway.stream(route.method, call, body).await?;
        let mut response = Response::new(Body::stream(stream, JsonFraming::new(alt), span.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, if alt == Alt::Sse { EVENT_STREAM } else { JSON });
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        Ok(response)
    }

    /// How the response is to be framed, if the method is offered.
    fn alt(&self, head: &Parts, method: Method) -> Result<Alt, Error> {
        self.gateway.offers(method)?;
        Ok(if method.is_streaming() { query::alt(head.uri.query())? } else { Alt::Json })
    }

    /// Answers a call about models, which has no body.
    async fn models(
        &self,
        head: &Parts,
        method: Method,
        model: Arc<str>,
        peer: &Peer,
        span: &CallSpan,
    ) -> Result<Response<Body>, Error> {
        let query = match method {
            Method::GetModel => ModelsQuery::Get { model: model.to_string() },
            _ => query::models(head.uri.query())?,
        };
        let mut call = self.admit(head, Arc::from(""), peer, span)?;
        self.enter(&mut call, peer).await?;
        // In a box, because such calls are rare, and others need no memory for it.
        Ok(json(Box::pin(self.gateway.models(call, query)).await?, span))
    }

    /// Lets the call in, and only then reads its body.
    async fn receive<B: RequestBody>(
        &self,
        head: &Parts,
        upload: Upload<B>,
        model: Arc<str>,
        peer: &Peer,
        span: &CallSpan,
    ) -> Result<(Call, Bytes), Error> {
        let mut call = match self.admit(head, model, peer, span) {
            Ok(call) => call,
            Err(error) => {
                discard(&head.headers, upload.into_body());
                return Err(error);
            }
        };
        if let Err(error) = self.enter(&mut call, peer).await {
            discard(&head.headers, upload.into_body());
            return Err(error);
        }
        let mut memory = call.take_memory();
        let body = call.upload(pin!(upload.read(self.max_request_bytes, &mut memory))).await?;
        call.return_memory(memory);
        Ok((call, body))
    }

    /// Lets the call in, or returns why not.
    fn admit(&self, head: &Parts, model: Arc<str>, peer: &Peer, span: &CallSpan) -> Result<Call, Error> {
        let headers = &head.headers;
        Ok(self.gateway.admit(CallRequest {
            credential: match face::credential(headers) {
                Ok(None) => query::key(head.uri.query()),
                credential => credential,
            },
            names: peer.names.clone(),
            connection: peer.connection.clone(),
            timeout: headers::timeout(headers)?,
            heartbeat: face::heartbeat(headers)?,
            previous_attempts: 0,
            sdk: headers::sdk(headers),
            format: Format::Json { model },
            span: span.clone(),
        })?)
    }

    /// Asks the limits that gateways count together, and begins the call.
    async fn enter(&self, call: &mut Call, peer: &Peer) -> Result<(), Error> {
        self.gateway.enter(call).await?;
        face::set_deadline(call.deadline());
        face::set_open(peer.connection.begin_call());
        Ok(())
    }

    /// Refuses a request of which only the head was read.
    fn refuse_unread<B: RequestBody>(&self, request: Request<B>, error: &Error, span: &CallSpan) -> Response<Body> {
        let response = refuse(error, span, request.method());
        let (head, body) = request.into_parts();
        discard(&head.headers, body);
        response
    }

    /// Begins the telemetry of a call.
    fn span<B>(&self, request: &Request<B>, route: Option<&'static Route>, peer: &Peer, id: &Arc<str>) -> CallSpan {
        let pattern = route.map(|route| route.pattern.as_str());
        let http = HttpRequest::new(request.method(), pattern, peer.is_tls, request.version());
        let path: String;
        let original = match request.uri().path() {
            short if short.len() <= MAX_PATH => short,
            long => {
                path = long.chars().take(MAX_PATH).collect();
                &path
            }
        };
        let head = CallHead {
            protocol: CallProtocol::Http(http),
            method: route
                .map_or(CallMethod::Unknown, |route| CallMethod::Known { name: &route.name, method: route.method }),
            headers: request.headers(),
            authority: request.uri().authority(),
            peer: &peer.address,
            original: Some(original),
            request_id: id,
        };
        CallSpan::begin(&self.telemetry, &head)
    }
}

/// Reads the rest of a refused request, unless its client waits for `100 Continue` before it sends the body.
fn discard(headers: &HeaderMap, body: impl RequestBody) {
    if !headers.contains_key(EXPECT) && !body.is_end_stream() {
        face::discard(body);
    }
}

/// The response of a call with one message.
fn json(message: Message, span: &CallSpan) -> Response<Body> {
    let mut response = Response::new(Body::message(message, span.clone()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The response of a call that failed before anything was sent.
fn refuse(error: &Error, span: &CallSpan, method: &HttpMethod) -> Response<Body> {
    let status = error.status();
    span.http_status(status.as_u16());
    span.end(error.end());
    // A response to HEAD has no body (RFC 9110, 9.3.2).
    let body = if method == HttpMethod::HEAD { String::new() } else { error.envelope(span.request_id()) };
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    put_common(headers, span);
    if let Some(delay) = retry_delay(error) {
        let seconds = u64::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Error::Method { allowed } = error {
        headers.insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}
