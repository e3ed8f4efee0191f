//! grpc.health.v1, exactly: an unknown service is NOT_FOUND for `Check` and a message for `Watch`,
//! and `List` knows them all (gRFC A90). tonic-health departs from that in both, so it is not used.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::HEALTH;
use super::route::services;
use crate::pb::health::health_check_response::ServingStatus;
use crate::pb::health::health_server::{self, HealthServer};
use crate::pb::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};

/// The whole server, in the words of the protocol.
const WHOLE: &str = "";

/// Whether calls are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// No more calls are welcome, but a while longer they are served. Who watches is not sent away yet: it would
    /// come again at once, and again.
    Leaving,
    /// Who watches is sent away, or it would hold up the end.
    Closed,
}

/// One answer for every service, since they stand and fall together.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<State>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Serving)))
    }
}

impl Health {
    /// Says to all that ask, and to all that watch, that no more calls are welcome.
    pub fn stop(&self) {
        self.0.send_if_modified(|state| {
            let serving = *state == State::Serving;
            if serving {
                *state = State::Leaving;
            }
            serving
        });
    }

    /// Ends the streams of all that watch, once they have been told.
    pub fn close(&self) {
        self.0.send_replace(State::Closed);
    }

    /// Whether calls are welcome.
    pub fn is_serving(&self) -> bool {
        *self.0.borrow() == State::Serving
    }

    /// 0 serving; 1 leaving, and serving; 2 closing.
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
        Ok(Response::new(Box::pin(Watching { states, known, told: None, closed: false })))
    }
}

/// What somebody who watches is told: each status that differs from the one before.
struct Watching {
    states: WatchStream<State>,
    /// An unknown service is watched as well: it may become known, says the protocol.
    known: bool,
    told: Option<ServingStatus>,
    closed: bool,
}

impl Stream for Watching {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.closed {
            let Some(state) = ready!(Pin::new(&mut self.states).poll_next(cx)) else { break };
            self.closed = state == State::Closed;
            let status = if self.known { status(state) } else { ServingStatus::ServiceUnknown };
            if self.told.replace(status) != Some(status) {
                return Poll::Ready(Some(Ok(HealthCheckResponse { status: status.into() })));
            }
        }
        Poll::Ready(None)
    }
}
