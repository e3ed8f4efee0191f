//! Refuses requests that are not gRPC, after reading no more than their head. So nothing is executed whose response its
//! caller could not read. And no web page can spend the gateway's key: a browser asks the server before it sends this
//! content type, and cannot read trailers.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

/// The text for clients that call a gRPC service by something else.
const WORDS: &str = "This path speaks gRPC over HTTP/2: POST with content-type application/grpc; \
or gRPC-Web: POST with content-type application/grpc-web+proto. \
REST is at /v1beta/models/{model}:generateContent, with content-type application/json.\n";

/// What a request over HTTP/1 needs to know in addition.
const CURL_HINT: &str = "curl needs --http2-prior-knowledge, or --http2 over TLS.\n";

/// Why a request is not gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGrpc {
    /// Its method is not POST.
    Method,
    /// Its content type is not gRPC's.
    ContentType,
    /// It came over HTTP/1.
    Http1,
}

impl NotGrpc {
    /// Checks the head of a request (gRPC over HTTP/2, "Requests").
    #[inline]
    pub(super) fn find<B>(request: &Request<B>) -> Option<Self> {
        if request.method() != Method::POST {
            Some(Self::Method)
        } else if !is_grpc(request.headers()) {
            Some(Self::ContentType)
        } else {
            None
        }
    }

    /// Its name in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::ContentType => "content_type",
            Self::Http1 => "http1",
        }
    }

    /// The response: the text is in the body for people, and in `grpc-message` for gRPC clients. The status is
    /// INVALID_ARGUMENT, which no client retries. Without a status, clients would report UNKNOWN.
    pub(super) fn response(self, method: &Method) -> Response<Body> {
        // A response to HEAD has no body (RFC 9110, 9.3.2).
        let words = match self {
            _ if method == Method::HEAD => [""; 2],
            Self::Http1 => [WORDS, CURL_HINT],
            Self::Method | Self::ContentType => [WORDS, ""],
        };
        let mut response = Response::new(Body::new(words.concat()));
        let headers = response.headers_mut();
        // Fails only for a message that HTTP cannot carry.
        let _ = Status::new(Code::InvalidArgument, WORDS.trim_end()).add_header(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *response.status_mut() = match self {
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
                StatusCode::METHOD_NOT_ALLOWED
            }
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Http1 => {
                headers.insert(CONNECTION, HeaderValue::from_static("close, upgrade"));
                // Not `h2c`: the Upgrade header of HTTP/1 is not understood.
                headers.insert(UPGRADE, HeaderValue::from_static("HTTP/2.0"));
                StatusCode::UPGRADE_REQUIRED
            }
        };
        response
    }
}

/// Whether a path is one of a gRPC service: `/package.Service/Method`.
pub fn is_service_path(path: &str) -> bool {
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    parts.is_some_and(|(service, method)| service.contains('.') && !method.contains('/'))
}

/// Whether the one content type is `application/grpc` or `application/grpc+proto`, with or without parameters.
#[inline]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let name = value.as_bytes();
    if name == b"application/grpc" {
        return true;
    }
    if name.contains(&b',') {
        // A proxy has joined several values.
        return false;
    }
    let name = name.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"application/grpc") || name.eq_ignore_ascii_case(b"application/grpc+proto")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_is_grpc() {
        let with = |values: &[&'static str]| {
            let all = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            is_grpc(&all.collect())
        };
        for value in ["application/grpc", "application/grpc+proto", "Application/GRPC", "application/grpc; a=b"] {
            assert!(with(&[value]), "{value}");
        }
        for value in [
            "",
            "application/grpcx",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc+json",
            "application/grpc+",
            "application/json",
            "text/plain",
            "application/proto; application/grpc",
            "application/grpc, text/plain",
            "application/grpc; a=b, text/plain",
        ] {
            assert!(!with(&[value]), "{value}");
        }
        assert!(!with(&[]));
        assert!(!with(&["application/grpc", "text/plain"]));
    }
}
