//! Health, load reports and reflection, which anybody may call without a key: small messages, a deadline, and few
//! expensive streams.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use super::bounded::{Bounded, Ending, Rules};
use super::metadata;
use super::oldest::{Place, Places};
use super::status::STATUS_FLUSH_TIME;
use crate::face::{RequestBody, set_deadline};
use crate::gateway::{Limit, TimeLimits, TimedOut};

/// The largest message to health or for load reports, in bytes. It contains the name of a service, or an interval.
const MAX_SMALL_BYTES: usize = 4 << 10;
/// The largest message to reflection, in bytes. It contains the names of a host and of a symbol, and is repeated in the
/// response.
const MAX_REFLECTION_BYTES: usize = 64 << 10;
/// The most incomplete requests to one of these two on one worker. One more ends the oldest, which hurts no honest
/// client: a request that is sent completely arrives a moment later.
const MAX_UNFINISHED: usize = 256;
/// The most watches of health, and the most streams of load reports, on one worker. One more ends the oldest.
const MAX_WATCHES: usize = 4096;
/// The methods whose responses may last forever.
const ENDLESS: [&str; 2] = ["/grpc.health.v1.Health/Watch", "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"];
/// The most streams of reflection on one worker: responses contain whole files, and may be read slowly.
const MAX_REFLECTION_STREAMS: usize = 16;

/// A service that anybody may call.
#[derive(Clone)]
pub(super) struct Auxiliary {
    service: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
    kind: Kind,
}

/// How calls of the service are limited.
#[derive(Clone)]
enum Kind {
    /// Every request is one message.
    Small {
        unfinished: Arc<Places>,
        watches: Arc<Places>,
    },
    Reflection {
        streams: Arc<Semaphore>,
    },
}

/// The limits of one call, and the places that it takes.
struct Taken {
    rules: Rules,
    stream: Option<OwnedSemaphorePermit>,
    unfinished: Option<Place>,
    watch: Option<Place>,
}

impl Auxiliary {
    /// Health or load reports: every request is one small message.
    pub(super) fn small<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let [unfinished, watches] = [MAX_UNFINISHED, MAX_WATCHES].map(|most| Arc::new(Places::new(most)));
        Self { service: BoxCloneSyncService::new(service), kind: Kind::Small { unfinished, watches } }
    }

    /// Reflection: each call is a stream, and takes one of these places.
    pub(super) fn reflection<S>(service: S, places: &Arc<Semaphore>) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self { service: BoxCloneSyncService::new(service), kind: Kind::Reflection { streams: places.clone() } }
    }

    /// The places for the streams of both versions of reflection.
    pub(super) fn places() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_REFLECTION_STREAMS))
    }

    /// Answers one call.
    pub(super) async fn answer(&self, request: Request<impl RequestBody>, limits: TimeLimits) -> Response<Body> {
        match self.take(&request, limits) {
            Ok(taken) => self.serve(request, taken).await,
            Err(status) => status.into_http(),
        }
    }

    fn take<B>(&self, request: &Request<B>, limits: TimeLimits) -> Result<Taken, Status> {
        let asked =
            metadata::timeout(request.headers()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let upload = TimedOut { limit: Limit::Upload, after: limits.upload };
        let ceiling = TimedOut { limit: Limit::Ceiling, after: limits.ceiling };
        let asked = asked.filter(|asked| asked.after <= ceiling.after);
        match &self.kind {
            Kind::Small { unfinished, watches } => Ok(Taken {
                // A client may watch for as long as it is connected, unless it sets a deadline.
                rules: Rules { max_bytes: MAX_SMALL_BYTES, max_messages: 1, upload, whole: asked },
                stream: None,
                unfinished: Some(unfinished.take()),
                watch: ENDLESS.contains(&request.uri().path()).then(|| watches.take()),
            }),
            Kind::Reflection { streams } => {
                let stream = streams.clone().try_acquire_owned().map_err(|_| {
                    Status::resource_exhausted("too many streams of reflection are open at once; try again later")
                })?;
                let whole = Some(asked.unwrap_or(ceiling));
                let rules = Rules { max_bytes: MAX_REFLECTION_BYTES, max_messages: usize::MAX, upload, whole };
                Ok(Taken { rules, stream: Some(stream), unfinished: None, watch: None })
            }
        }
    }

    async fn serve(&self, request: Request<impl RequestBody>, taken: Taken) -> Response<Body> {
        let Taken { rules, stream, unfinished, watch } = taken;
        let (begun, failure) = (Instant::now(), Arc::new(OnceLock::new()));
        if let Some(whole) = rules.whole {
            // Ends the call of a client that does not read. Any other call ends by itself before.
            set_deadline(begun + whole.after + STATUS_FLUSH_TIME);
        }
        let request =
            request.map(|body| Body::new(Bounded::new(body, rules, begun, failure.clone(), stream, unfinished)));
        match self.service.clone().oneshot(request).await {
            // It has failed already.
            Ok(response) if response.headers().contains_key(Status::GRPC_STATUS) => response,
            Ok(response) => response.map(|body| Body::new(Ending::new(body, rules.whole, begun, failure, watch))),
            Err(never) => match never {},
        }
    }
}
