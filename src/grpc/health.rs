//! The health service, exactly as grpc.health.v1 defines it: an unknown service is NOT_FOUND for `Check` and a message
//! for `Watch`, and `List` has all services (gRFC A90). tonic-health does neither, so it is not used.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::route::{HEALTH, services};
use crate::pb::health::health_check_response::ServingStatus;
use crate::pb::health::health_server::{self, HealthServer};
use crate::pb::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};

/// The name that the protocol gives to the whole server.
const WHOLE: &str = "";

/// What health reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// NOT_SERVING, but calls are still served for a while. Watches are not ended yet, because clients would open them
    /// again at once.
    Leaving,
    /// NOT_SERVING, and watches are ended, because they would delay the shutdown.
    Closed,
}

/// The health of all services, which is the same for each.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<State>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Serving)))
    }
}

impl Health {
    /// Reports NOT_SERVING from now on, to checks and watches.
    pub fn stop(&self) {
        self.0.send_if_modified(|state| {
            let serving = *state == State::Serving;
            if serving {
                *state = State::Leaving;
            }
            serving
        });
    }

    /// Ends all watches, after they got NOT_SERVING, and all streams of load reports.
    pub fn close(&self) {
        self.0.send_replace(State::Closed);
    }

    /// Waits until [`Health::close`] was called. Streams that have no end of their own end with the watches.
    pub(super) async fn closed(&self) {
        // It cannot fail, because the sender is in `self`.
        let _ = self.0.subscribe().wait_for(|state| *state == State::Closed).await;
    }

    /// Whether it reports SERVING.
    pub fn is_serving(&self) -> bool {
        *self.0.borrow() == State::Serving
    }

    /// For a metric: 0 serving; 1 leaving, and still serving calls; 2 closing.
    pub fn phase(&self) -> u64 {
        *self.0.borrow() as u64
    }

    pub(super) fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    fn now(&self) -> HealthCheckResponse {
        HealthCheckResponse { status: status(*self.0.borrow()).into() }
    }
}

fn status(state: State) -> ServingStatus {
    match state {
        State::Serving => ServingStatus::Serving,
        State::Leaving | State::Closed => ServingStatus::NotServing,
    }
}

fn is_known(service: &str) -> bool {
    service == WHOLE || service == HEALTH || services().iter().any(|known| known == service)
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match is_known(&request.get_ref().service) {
            true => Ok(Response::new(self.now())),
            false => Err(Status::not_found("there is no service of that name here")),
        }
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let names = [WHOLE, HEALTH].into_iter().chain(services().iter().map(String::as_str));
        let statuses = names.map(|name| (name.to_owned(), self.now())).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (states, known) = (WatchStream::new(self.0.subscribe()), is_known(&request.get_ref().service));
        Ok(Response::new(Box::pin(StatusStream { states, known, last_sent: None, closed: false })))
    }
}

/// The stream of a watch: each status that differs from the one before.
struct StatusStream {
    states: WatchStream<State>,
    /// Whether the service exists. The protocol allows watching one that does not, because it may come later.
    known: bool,
    last_sent: Option<ServingStatus>,
    closed: bool,
}

impl Stream for StatusStream {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.closed {
            let Some(state) = ready!(Pin::new(&mut self.states).poll_next(cx)) else { break };
            self.closed = state == State::Closed;
            let status = if self.known { status(state) } else { ServingStatus::ServiceUnknown };
            if self.last_sent.replace(status) != Some(status) {
                return Poll::Ready(Some(Ok(HealthCheckResponse { status: status.into() })));
            }
        }
        Poll::Ready(None)
    }
}
