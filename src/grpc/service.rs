//! The face as a tower service.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use super::Grpc;
use crate::face::{Peer, RequestBody};

/// Serves the calls of one connection. Any layer over HTTP requests can wrap it, such as that of tonic-web.
#[derive(Clone, Debug)]
pub struct GrpcService {
    grpc: Grpc,
    peer: Arc<Peer>,
}

impl GrpcService {
    pub(super) fn new(grpc: Grpc, peer: Arc<Peer>) -> Self {
        Self { grpc, peer }
    }
}

impl<B: RequestBody> Service<Request<B>> for GrpcService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { grpc, peer } = self.clone();
        // The memory is allocated before the future, which is then made in it. `Box::pin(…)` would make it on the stack
        // and copy it, with thousands of bytes that are not in use yet.
        let memory = Box::new_uninit();
        let future = Box::write(memory, async move { Ok(grpc.0.answer(request, peer).await) });
        Box::into_pin(future)
    }
}
