//! The face as a tower service: which request goes to which handler, and what each becomes as HTTP.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower::Service;

use super::auxiliary::Auxiliary;
use super::error::Error;
use super::handlers::{Handlers, Upload};
use super::health::Health;
use super::orca::{self, LoadReports};
use super::protocol::NotGrpc;
use super::route::{self, HEALTH, LOAD_REPORTS, REFLECTION, REFLECTION_ALPHA, Route};
use super::status::{self, STATUS_FLUSH_TIME};
use crate::face::{Failure as _, Peer, RequestBody, discard, put_common, request_id, set_deadline};
use crate::gateway::{self, Gateway};
use crate::pb;
use crate::telemetry::{self, CallHead, CallMethod, CallProtocol, CallSpan, Telemetry};

/// The content type of every response.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Longer names are cut where an error repeats them, in characters.
const MAX_NAME: usize = 64;
/// Longer unknown paths are cut in telemetry, in characters.
const MAX_PATH: usize = 128;

/// The settings of the face.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest message that is accepted, in bytes, unpacked.
    pub max_request_bytes: usize,
    /// Whether reflection is served.
    pub reflection: bool,
    /// Whether the trailers of each call contain a load report.
    pub load_reports: bool,
}

/// Everything that one worker serves over gRPC.
#[derive(Clone)]
pub struct Grpc(Arc<Inner>);

struct Inner {
    handlers: Handlers,
    telemetry: Telemetry,
    health: Auxiliary,
    load_reports: Auxiliary,
    /// v1 and v1alpha.
    reflection: Option<(Auxiliary, Auxiliary)>,
}

impl std::fmt::Debug for Grpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grpc").field("gateway", &self.0.handlers.gateway).finish_non_exhaustive()
    }
}

/// The descriptors contradict each other, which the tests would show.
pub type ReflectionError = tonic_reflection::server::Error;

impl Grpc {
    pub fn new(
        config: &Config,
        gateway: Arc<Gateway>,
        health: &Health,
        telemetry: Telemetry,
    ) -> Result<Self, ReflectionError> {
        let builder =
            || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(pb::CONTRACT);
        let reflection = match config.reflection {
            true => {
                let places = Auxiliary::places();
                let v1 = Auxiliary::reflection(builder().build_v1()?, &places);
                Some((v1, Auxiliary::reflection(builder().build_v1alpha()?, &places)))
            }
            false => None,
        };
        let load_reports = Auxiliary::small(LoadReports::service(gateway.load(), health));
        let load = config.load_reports.then(|| gateway.load().clone());
        let handlers = Handlers { gateway, max_request_bytes: config.max_request_bytes, load };
        let health = Auxiliary::small(health.service());
        Ok(Self(Arc::new(Inner { handlers, telemetry, health, load_reports, reflection })))
    }

    /// The service for the calls of one connection.
    pub fn service(&self, peer: Arc<Peer>) -> GrpcService {
        GrpcService { grpc: self.clone(), peer }
    }
}

/// Serves the calls of one connection. Any layer over HTTP requests can wrap it, such as that of tonic-web.
#[derive(Clone, Debug)]
pub struct GrpcService {
    grpc: Grpc,
    peer: Arc<Peer>,
}

/// The response to a request.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<B: RequestBody> Service<Request<B>> for GrpcService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.respond(request)
    }
}

impl GrpcService {
    /// Refuses a request of gRPC over HTTP/1, which has no trailers.
    pub fn refuse_http1(&self, method: &http::Method) -> Response<Body> {
        self.grpc.0.telemetry.count(telemetry::names::REQUESTS_REFUSED, Some(NotGrpc::Http1.as_str()));
        NotGrpc::Http1.response(method)
    }

    /// Refuses a request of a web page whose origin is not allowed.
    pub fn refuse_origin<B: RequestBody>(&self, request: Request<B>) -> Response<Body> {
        let response = refuse(&Error::Origin, &self.grpc.0.unknown(&request, &self.peer));
        discard(request.into_body());
        response
    }

    /// Serves one call. Unlike [`Service::call`] it takes the service shared, which saves a clone for each call.
    pub fn respond<B: RequestBody>(&self, request: Request<B>) -> ResponseFuture {
        let Self { grpc, peer } = self.clone();
        // The memory is allocated before the future, which is then made in it. `Box::pin(…)` would make it on the stack
        // and copy it, with thousands of bytes that are not in use yet.
        let memory = Box::new_uninit();
        let future = Box::write(memory, async move { Ok(grpc.0.answer(request, peer).await) });
        Box::into_pin(future)
    }
}

impl Inner {
    async fn answer<B: RequestBody>(&self, request: Request<B>, peer: Arc<Peer>) -> Response<Body> {
        if let Some(reason) = NotGrpc::find(&request) {
            return self.refuse_unread(request, reason);
        }
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        if let Some(route) = route::find(path) {
            return self.call(request, route, peer).await;
        }
        let (service, method) = path.split_once('/').unwrap_or_default();
        let auxiliary = match (service, &self.reflection) {
            (HEALTH, _) => &self.health,
            (LOAD_REPORTS, _) => &self.load_reports,
            (REFLECTION, Some((v1, _))) => v1,
            (REFLECTION_ALPHA, Some((_, v1alpha))) => v1alpha,
            _ if route::services().iter().any(|known| known == service) => {
                let method = method.chars().take(MAX_NAME).collect();
                return refuse(&Error::NotOffered { method }, &self.unknown(&request, &peer));
            }
            _ => return refuse(&Error::NoService, &self.unknown(&request, &peer)),
        };
        auxiliary.answer(request, self.handlers.gateway.time_limits()).await
    }

    /// Refuses a request that is not gRPC.
    fn refuse_unread<B: RequestBody>(&self, request: Request<B>, reason: NotGrpc) -> Response<Body> {
        self.telemetry.count(telemetry::names::REQUESTS_REFUSED, Some(reason.as_str()));
        // For a client that does not read the response.
        set_deadline(Instant::now() + STATUS_FLUSH_TIME);
        let response = reason.response(request.method());
        // A proxy may have the calls of other clients on the same connection, which has to survive.
        if !request.body().is_end_stream() {
            discard(request.into_body());
        }
        response
    }

    /// Begins the telemetry of a call of an unknown method.
    fn unknown<B>(&self, request: &Request<B>, peer: &Peer) -> CallSpan {
        let original: String = request.uri().path().chars().take(MAX_PATH).collect();
        let head = CallHead {
            protocol: CallProtocol::Grpc,
            method: CallMethod::Unknown,
            headers: request.headers(),
            authority: request.uri().authority(),
            peer: &peer.address,
            original: Some(&original),
            request_id: &request_id(request.headers()),
        };
        CallSpan::begin(&self.telemetry, &head)
    }

    /// Calls a handler and renders what it returns.
    async fn call<B: RequestBody>(
        &self,
        request: Request<B>,
        route: &'static Route,
        peer: Arc<Peer>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        let call = CallHead {
            protocol: CallProtocol::Grpc,
            method: CallMethod::Known { name: &route.name, method: route.method },
            headers: &head.headers,
            authority: head.uri.authority(),
            peer: &peer.address,
            original: None,
            request_id: &request_id(&head.headers),
        };
        let span = CallSpan::begin(&self.telemetry, &call);
        let upload = Upload { body, route, peer, span: span.clone() };
        let metadata = MetadataMap::from_headers(head.headers);
        let handling = pin!(self.handlers.call(tonic::Request::from_parts(metadata, head.extensions, upload)));
        // A panic must not end the task: hyper would not know what to send, and would reset the stream.
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(Ok(mut response)) => {
                response.headers_mut().insert(CONTENT_TYPE, GRPC);
                put_common(response.headers_mut(), &span);
                response
            }
            Ok(Err(error)) => self.fail(&error, &span),
            Err(_) => self.fail(&Error::Call(gateway::Error::Panicked), &span),
        }
    }

    /// The response of a call of a known method that failed before anything was sent.
    fn fail(&self, error: &Error, span: &CallSpan) -> Response<Body> {
        let mut response = refuse(error, span);
        if let Some(load) = &self.handlers.load {
            orca::put(load, response.headers_mut());
        }
        response
    }
}

/// The response of a call that failed before anything was sent: its status is in the headers.
fn refuse(error: &Error, span: &CallSpan) -> Response<Body> {
    let request_id = span.request_id();
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    status::put(&status::status(error, request_id), headers);
    put_common(headers, span);
    if matches!(error, Error::Encoding) {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    }
    span.end(error.end());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_with_a_body_of_their_own_can_wrap_the_face() {
        // Holds if it compiles: tonic-web asks for this of what it wraps.
        fn is_wrapped<S: Service<Request<Body>, Response = Response<Body>, Future: Send> + Clone + Send + 'static>() {}
        is_wrapped::<GrpcService>();
    }
}
