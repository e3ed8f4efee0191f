//! The gRPC face: requests in, answers out, under our own name and under Google's two.

mod auxiliary;
mod body;
mod bounded;
mod executor;
mod health;
mod metadata;
mod oldest;
mod peer;
mod protocol;
mod request;
mod route;
mod status;
mod unpack;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as _, Incoming};
use tonic::body::Body;

use self::auxiliary::Auxiliary;
use self::body::Reply;
pub use self::executor::CallExecutor;
pub use self::health::Health;
use self::metadata::X_REQUEST_ID;
pub use self::peer::Peer;
use self::protocol::NotGrpc;
pub use self::protocol::WORDS;
use self::route::Route;
use crate::gateway::{self, Gateway};
use crate::gemini::method::Method;
use crate::pb;
use crate::telemetry::{self, Arrived, CallMethod, Rpc, Telemetry};

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
const REFLECTION_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

/// The content type of every answer.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// How long a client may take to read the end of a call that is over.
const STATUS_FLUSH_TIME: Duration = Duration::from_secs(1);
/// A name that is repeated in an error is cut here, in characters.
const MAX_NAME: usize = 64;
/// And a path, where it is told of.
const MAX_PATH: usize = 128;

/// The settings of this room.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest request taken, in bytes, unpacked.
    pub max_request_bytes: usize,
    /// Whether reflection is answered.
    pub reflection: bool,
}

/// Everything that is served on the gRPC port. Each call gets a handle of its own, so it is a cheap one.
#[derive(Clone)]
pub struct Grpc(Arc<Inner>);

struct Inner {
    gateway: Gateway,
    telemetry: Telemetry,
    max_request_bytes: usize,
    health: Auxiliary,
    /// v1 and v1alpha.
    reflection: Option<(Auxiliary, Auxiliary)>,
}

impl std::fmt::Debug for Grpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grpc").field("gateway", &self.0.gateway).finish_non_exhaustive()
    }
}

/// The descriptors do not fit together, which no test would let pass.
pub type ReflectionError = tonic_reflection::server::Error;

impl Grpc {
    pub fn new(
        config: &Config,
        gateway: Gateway,
        health: &Health,
        telemetry: Telemetry,
    ) -> Result<Self, ReflectionError> {
        let builder = || {
            tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        };
        let reflection = match config.reflection {
            true => {
                let places = Auxiliary::places();
                let v1 = Auxiliary::reflection(builder().build_v1()?, &places);
                Some((v1, Auxiliary::reflection(builder().build_v1alpha()?, &places)))
            }
            false => None,
        };
        let (max_request_bytes, health) = (config.max_request_bytes, Auxiliary::health(health.service()));
        Ok(Self(Arc::new(Inner { gateway, telemetry, max_request_bytes, health, reflection })))
    }

    /// Answers one call.
    pub async fn answer(self, request: Request<Incoming>, peer: Arc<Peer>) -> Response<Body> {
        self.0.answer(request, &peer).await
    }

    /// Counts a connection that spoke HTTP/1.
    pub fn refused_http1(&self) {
        self.0.telemetry.count(telemetry::names::REQUESTS_REFUSED, Some("http1"));
    }
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
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
            (REFLECTION, Some((v1, _))) => v1,
            (REFLECTION_ALPHA, Some((_, v1alpha))) => v1alpha,
            _ if route::services().iter().any(|known| known == service) => {
                let method = method.chars().take(MAX_NAME).collect();
                return refuse(&gateway::Error::NotOffered { method }, &self.unknown(&request, peer));
            }
            _ => return refuse(&gateway::Error::NoService, &self.unknown(&request, peer)),
        };
        auxiliary.answer(request, self.gateway.time_limits()).await
    }

    /// Refuses a request that is not gRPC.
    fn refuse_unread(&self, request: Request<Incoming>, reason: NotGrpc) -> Response<Body> {
        self.telemetry.count(telemetry::names::REQUESTS_REFUSED, Some(reason.as_str()));
        // For a client that does not read the few words.
        executor::set_deadline(tokio::time::Instant::now() + STATUS_FLUSH_TIME);
        let response = reason.response(request.method());
        // A proxy has the calls of others on the same connection.
        if !request.body().is_end_stream() {
            request::discard(request.into_body());
        }
        response
    }

    /// A call of a method that there is not.
    fn unknown(&self, request: &Request<Incoming>, peer: &Peer) -> Rpc {
        let original: String = request.uri().path().chars().take(MAX_PATH).collect();
        self.telemetry.rpc(&Arrived {
            method: CallMethod::Unknown,
            headers: request.headers(),
            authority: request.uri().authority(),
            peer: peer.address,
            original: Some(&original),
            request_id: &metadata::request_id(request.headers()),
        })
    }

    /// What both methods share: the caller's metadata, the message, and how failures go back.
    async fn call(&self, request: Request<Incoming>, route: &'static Route, peer: &Peer) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut unread = Some(body);
        let rpc = self.telemetry.rpc(&Arrived {
            method: CallMethod::Known { name: &route.name, method: route.method },
            headers: &head.headers,
            authority: head.uri.authority(),
            peer: peer.address,
            original: None,
            request_id: &metadata::request_id(&head.headers),
        });
        // Not a panic of the task: the connection would not know what to answer.
        let reply = unless_it_panics(pin!(self.reply(&head.headers, &mut unread, route, peer, &rpc))).await;
        match reply.unwrap_or(Err(gateway::Error::Panicked)) {
            Ok(reply) => {
                let mut response = Response::new(Body::new(reply));
                response.headers_mut().insert(CONTENT_TYPE, GRPC);
                put_request_id(response.headers_mut(), rpc.request_id());
                response
            }
            Err(error) => {
                // A caller that is turned away for now may come again and again on a connection that it needs.
                if let Some(body) = unread.filter(|_| matches!(error.retry(), gateway::Retry::After(_))) {
                    request::discard(body);
                }
                refuse(&error, &rpc)
            }
        }
    }

    /// Takes the body when the call is let in.
    async fn reply(
        &self,
        headers: &HeaderMap,
        body: &mut Option<Incoming>,
        route: &Route,
        peer: &Peer,
        rpc: &Rpc,
    ) -> Result<Reply, gateway::Error> {
        let mut call = self.gateway.admit(gateway::Arrival {
            key: metadata::key(headers),
            names: peer.names.clone(),
            connection: peer.connection.clone(),
            rpc: rpc.clone(),
            timeout: metadata::timeout(headers)?,
            heartbeat: metadata::heartbeat(headers)?,
            previous_attempts: metadata::previous_attempts(headers),
            schema: route.schema,
        })?;
        executor::set_deadline(call.deadline());
        executor::set_open(peer.connection.begin_call());
        rpc.deadline(call.deadline().into_std());
        let limit = self.max_request_bytes;
        let body = body.take().ok_or(gateway::Error::NoMessage)?;
        let upload = call.upload(pin!(request::begin(headers, body, limit))).await?;
        let mut room = call.room();
        room.reserve_message(upload.announced())?;
        let message = call.upload(pin!(upload.message(limit, &mut room))).await?;
        room.reserve_message(message.len())?;
        call.keep(room);
        match route.method {
            Method::GenerateContent => {
                self.gateway.generate(route.method, call, message).await.map(|answer| Reply::one(answer, rpc.clone()))
            }
            Method::StreamGenerateContent => {
                self.gateway.stream(route.method, call, message).await.map(|answers| Reply::many(answers, rpc.clone()))
            }
        }
    }
}

/// Lets a future run; `None` if it panics.
async fn unless_it_panics<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        // It is not polled again.
        Err(_) => Poll::Ready(None),
    })
    .await
}

fn refuse(error: &gateway::Error, rpc: &Rpc) -> Response<Body> {
    let request_id = rpc.request_id();
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    status::put(&status::status(error, request_id), headers);
    put_request_id(headers, request_id);
    if matches!(error, gateway::Error::Encoding) {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    }
    rpc.end(status::end(error));
    response
}

fn put_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(mut value) = HeaderValue::from_str(request_id) {
        // Never the same twice, so HPACK is told to keep it out of its table (RFC 7541, 6.2.3).
        value.set_sensitive(true);
        headers.insert(X_REQUEST_ID, value);
    }
}
