//! Health and reflection, which strangers may call: small messages, a deadline, and few streams that cost much.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use super::bounded::{Bounded, Ending, Rules};
use super::{executor, metadata};
use crate::gateway::{Limit, TimeLimits, TimedOut};

/// The largest message to health, in bytes. It has the name of a service.
const MAX_HEALTH_BYTES: usize = 4 << 10;
/// The largest message to reflection, in bytes. It has the name of a host and of a symbol, and is repeated in the answer.
const MAX_REFLECTION_BYTES: usize = 64 << 10;
/// Streams of reflection that one worker serves at once: answers have whole files, and may be read slowly.
const MAX_REFLECTION_STREAMS: usize = 16;
/// How long the status of a call that met its deadline may take to leave.
const STATUS_FLUSH_TIME: Duration = Duration::from_secs(1);

/// A service that is called by anybody.
#[derive(Clone)]
pub(super) struct Auxiliary {
    service: BoxCloneSyncService<Request<Bounded<Incoming>>, Response<Body>, Infallible>,
    max_bytes: usize,
    /// Of all methods that have many messages; `None` if each request is one message.
    streams: Option<Arc<Semaphore>>,
}

impl Auxiliary {
    /// Health: every request is one message.
    pub(super) fn health<S>(service: S) -> Self
    where
        S: Service<Request<Bounded<Incoming>>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self { service: BoxCloneSyncService::new(service), max_bytes: MAX_HEALTH_BYTES, streams: None }
    }

    /// Reflection: messages come and go on streams, for which there are so many places.
    pub(super) fn reflection<S>(service: S, places: &Arc<Semaphore>) -> Self
    where
        S: Service<Request<Bounded<Incoming>>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let service = BoxCloneSyncService::new(service);
        Self { service, max_bytes: MAX_REFLECTION_BYTES, streams: Some(places.clone()) }
    }

    /// The places of all streams of reflection.
    pub(super) fn places() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_REFLECTION_STREAMS))
    }

    /// Answers one call.
    pub(super) async fn answer(&self, request: Request<Incoming>, limits: TimeLimits) -> Response<Body> {
        match self.rules(request.headers(), limits) {
            Ok((rules, place)) => self.serve(request, rules, place).await,
            Err(status) => status.into_http(),
        }
    }

    fn rules(&self, headers: &HeaderMap, limits: TimeLimits) -> Result<(Rules, Option<OwnedSemaphorePermit>), Status> {
        let asked = metadata::timeout(headers).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let place = self.streams.clone().map(Semaphore::try_acquire_owned).transpose();
        let place = place.map_err(|_| {
            Status::resource_exhausted(format!(
                "{MAX_REFLECTION_STREAMS} streams of reflection are open, and no more are served at once; try again"
            ))
        })?;
        let own = TimedOut { limit: Limit::Ceiling, after: limits.ceiling };
        let asked = asked.map(|after| TimedOut { limit: Limit::Caller, after });
        let rules = Rules {
            max_bytes: self.max_bytes,
            max_messages: if self.streams.is_some() { usize::MAX } else { 1 },
            upload: TimedOut { limit: Limit::Upload, after: limits.upload },
            // A client may watch health for as long as it is connected, unless it says otherwise.
            whole: match (asked, self.streams.is_some()) {
                (Some(asked), _) if asked.after <= limits.ceiling => Some(asked),
                (None, false) => None,
                _ => Some(own),
            },
        };
        Ok((rules, place))
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        rules: Rules,
        place: Option<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        let (begun, failure) = (Instant::now(), Arc::new(OnceLock::new()));
        if let Some(whole) = rules.whole {
            // For a client that does not read; otherwise the call ends by itself.
            executor::set_deadline(begun + whole.after + STATUS_FLUSH_TIME);
        }
        let request = request.map(|body| Bounded::new(body, rules, begun, failure.clone(), place));
        match self.service.clone().oneshot(request).await {
            // It is over already.
            Ok(response) if response.headers().contains_key(Status::GRPC_STATUS) => response,
            Ok(response) => response.map(|body| Body::new(Ending::new(body, rules.whole, begun, failure))),
            Err(never) => match never {},
        }
    }
}
