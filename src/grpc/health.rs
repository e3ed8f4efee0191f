//! grpc.health.v1, exactly: an unknown service is NOT_FOUND for `Check` and a message for `Watch`,
//! and `List` knows them all (gRFC A90). tonic-health departs from that in both, so it is not used.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::{HEALTH, SERVICES};
use crate::pb::health::health_check_response::ServingStatus;
use crate::pb::health::health_server::{self, HealthServer};
use crate::pb::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};

/// The whole server, in the words of the protocol.
const WHOLE: &str = "";

/// Whether calls are welcome: one answer for every service, since they stand and fall together.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<ServingStatus>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(ServingStatus::Serving)))
    }
}

impl Health {
    /// Says to all that ask, and to all that watch, that no more calls are welcome.
    pub fn stop(&self) {
        self.0.send_replace(ServingStatus::NotServing);
    }

    pub(super) fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    fn now(&self) -> HealthCheckResponse {
        HealthCheckResponse { status: (*self.0.borrow()).into() }
    }
}

fn is_known(service: &str) -> bool {
    service == WHOLE || service == HEALTH || SERVICES.contains(&service)
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
        let names = [WHOLE, HEALTH].into_iter().chain(SERVICES);
        let statuses = names.map(|name| (name.to_owned(), self.now())).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let known = is_known(&request.get_ref().service);
        // An unknown service is watched as well: it may become known, says the protocol.
        let changes = WatchStream::new(self.0.subscribe()).filter(move |_| known).map(|status| status.into());
        let unknown = (!known).then_some(i32::from(ServingStatus::ServiceUnknown));
        let statuses = tokio_stream::iter(unknown).chain(changes);
        Ok(Response::new(Box::pin(statuses.map(|status| Ok(HealthCheckResponse { status })))))
    }
}
