//! gRPC-Web, for browsers: the same service, with the trailers in the body (tonic-web).

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Request};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service as _};

use super::service::{GrpcService, ResponseFuture};
use crate::face::RequestBody;

/// The content types of gRPC-Web, binary and text, as tonic-web knows them.
const CONTENT_TYPES: [&[u8]; 4] = [
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// The headers of a response that failed before its first message. A page has to be able to read them.
pub const STATUS_HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("grpc-retry-pushback-ms"),
];

/// Whether a request is one of gRPC-Web.
pub fn is_grpc_web(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    method == Method::POST && content_type.is_some_and(|name| CONTENT_TYPES.contains(&name))
}

impl GrpcService {
    /// Serves a call over gRPC-Web. A call that fails before its first message has its status in the headers and no
    /// body: some clients take an empty frame of trailers for success.
    pub fn respond_web<B: RequestBody<Error: fmt::Display>>(&self, request: Request<B>) -> ResponseFuture {
        let mut service = GrpcWebLayer::new().layer(self.clone());
        Box::pin(async move { service.call(request).await })
    }
}
