//! Chooses the face that serves a request, by its content type and its path.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

use super::origins::{Origins, Verdict};
use super::own_origin::is_own_origin;
use crate::face::{Peer, RequestBody};
use crate::grpc::{self, Grpc, GrpcService};
use crate::page;
use crate::rest::{self, Rest};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The faces of one worker.
#[derive(Clone, Debug)]
pub(super) struct Faces {
    grpc: Grpc,
    rest: Rest,
    pages: Arc<Pages>,
}

/// Which web pages may call, and the layer for them.
struct Pages {
    origins: Origins,
    layer: CorsLayer,
    /// Whether the page to try the gateway is served. It may call: it is the only page at this origin.
    playground: bool,
}

/// Serves the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionService {
    grpc: GrpcService,
    rest: Rest,
    pages: Arc<Pages>,
    peer: Arc<Peer>,
}

/// What a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Grpc,
    GrpcWeb,
    /// Anything else.
    Rest,
}

impl Spoken {
    fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        if grpc::is_grpc(headers) {
            Self::Grpc
        } else if grpc::is_grpc_web(method, headers) {
            Self::GrpcWeb
        } else if grpc::is_service_path(uri.path()) && !is_preflight(method, headers) {
            // It is refused there, with an explanation.
            Self::Grpc
        } else {
            Self::Rest
        }
    }
}

/// Whether this is the request by which a browser asks what a page may send, before the page's call (CORS).
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Faces {
    pub(super) fn new(grpc: Grpc, rest: Rest, origins: &Origins, playground: bool) -> Self {
        Self { grpc, rest, pages: Arc::new(Pages { origins: origins.clone(), layer: origins.layer(), playground }) }
    }

    /// The service for the requests of one connection.
    pub(super) fn service(&self, peer: Arc<Peer>) -> ConnectionService {
        let grpc = self.grpc.service(peer.clone());
        ConnectionService { grpc, rest: self.rest.clone(), pages: self.pages.clone(), peer }
    }
}

impl ConnectionService {
    /// Serves a request over HTTP/2.
    pub(super) fn respond<B: RequestBody<Error: fmt::Display>>(&self, request: Request<B>) -> Responding {
        match Spoken::of(request.method(), request.uri(), request.headers()) {
            Spoken::Grpc => Responding::Grpc(self.grpc.respond(request)),
            spoken => self.respond_to_page(request, spoken),
        }
    }

    /// Serves a request over HTTP/1.
    pub(super) fn respond_http1<B: RequestBody<Error: fmt::Display>>(&self, request: Request<B>) -> Responding {
        match Spoken::of(request.method(), request.uri(), request.headers()) {
            Spoken::Grpc => Responding::ready(self.grpc.refuse_http1(request.method()).map(Body::Grpc)),
            spoken => self.respond_to_page(request, spoken),
        }
    }

    /// Serves a request that a web page is able to send, unless it comes from a page that may not call.
    fn respond_to_page<B: RequestBody<Error: fmt::Display>>(&self, request: Request<B>, spoken: Spoken) -> Responding {
        if self.pages.playground && spoken == Spoken::Rest && request.uri().path() == "/" {
            // A link on another site may open it too: the page sends nothing by itself, and cannot be framed.
            let response = page::respond(request.method(), request.headers());
            return Responding::ready(response.map(|body| Body::Rest(rest::Body::full(body))));
        }
        match self.pages.origins.judge(request.headers()) {
            Verdict::Refused if self.pages.playground && is_own_origin(&request, self.peer.is_tls) => {
                self.call(request, spoken)
            }
            Verdict::NoPage => self.call(request, spoken),
            Verdict::Allowed => {
                let this = self.clone();
                let service = service_fn(move |request| this.call(request, spoken));
                Responding::Other(Box::pin(self.pages.layer.layer(service).oneshot(request)))
            }
            Verdict::Refused if spoken == Spoken::GrpcWeb => {
                Responding::ready(self.grpc.refuse_origin(request).map(Body::Grpc))
            }
            Verdict::Refused => Responding::ready(self.rest.refuse_origin(request, &self.peer).map(Body::Rest)),
        }
    }

    fn call<B: RequestBody<Error: fmt::Display>>(&self, request: Request<B>, spoken: Spoken) -> Responding {
        match spoken {
            Spoken::Grpc => Responding::Grpc(self.grpc.respond(request)),
            Spoken::GrpcWeb => Responding::Grpc(self.grpc.respond_web(request)),
            Spoken::Rest => Responding::Rest(self.rest.respond(request, self.peer.clone())),
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// The response to a request, of any face.
pub(super) enum Responding {
    Grpc(grpc::ResponseFuture),
    Rest(rest::ResponseFuture),
    Other(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>),
}

impl Responding {
    fn ready(response: Response<Body>) -> Self {
        Self::Other(Box::pin(std::future::ready(Ok(response))))
    }
}

impl Future for Responding {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut *self {
            Self::Grpc(response) => ready!(response.as_mut().poll(cx)).map(|response| response.map(Body::Grpc)),
            Self::Rest(response) => Ok(ready!(response.as_mut().poll(cx)).map(Body::Rest)),
            Self::Other(response) => ready!(response.as_mut().poll(cx)),
        })
    }
}

/// The body of a response, of any face.
pub(super) enum Body {
    Grpc(grpc::Body),
    Rest(rest::Body),
}

impl Default for Body {
    fn default() -> Self {
        Self::Rest(rest::Body::default())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Grpc(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Rest(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Grpc(body) => body.is_end_stream(),
            Self::Rest(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Grpc(body) => body.size_hint(),
            Self::Rest(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::gateway;

    #[test]
    fn a_request_gets_its_face_by_its_content_type_and_path() {
        let spoken = |method: Method, path: &'static str, content_type: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            Spoken::of(&method, &Uri::from_static(path), &headers)
        };
        let (rpc, rest) = ("/mountsea.gemini.v1.GenerativeService/GenerateContent", "/v1/models/x:generateContent");
        for (method, path, content_type, expected) in [
            (Method::POST, rpc, "application/grpc", Spoken::Grpc),
            (Method::POST, rest, "application/grpc+proto", Spoken::Grpc),
            (Method::POST, rpc, "application/grpc-web", Spoken::GrpcWeb),
            (Method::POST, rpc, "application/grpc-web-text+proto", Spoken::GrpcWeb),
            (Method::GET, rpc, "application/grpc-web", Spoken::Grpc),
            (Method::POST, rpc, "application/json", Spoken::Grpc),
            (Method::POST, rest, "application/json", Spoken::Rest),
            (Method::GET, "/", "", Spoken::Rest),
            (Method::GET, "/favicon.ico", "", Spoken::Rest),
            (Method::GET, "/ws/google.ai.X", "", Spoken::Rest),
        ] {
            assert_eq!(spoken(method, path, content_type), expected, "{path} {content_type}");
        }
    }

    #[test]
    fn every_reason_is_documented_with_its_codes_and_every_documented_reason_exists() {
        let ours: BTreeSet<_> = (gateway::Error::rows().chain(grpc::rows()).chain(rest::rows()))
            .map(|row| {
                let http = match row.reason {
                    "REQUEST_NOT_GRPC" | "SERVICE_UNKNOWN" => String::new(),
                    "UPSTREAM_REFUSED" => "by the code".to_owned(),
                    "HTTP_METHOD_NOT_ALLOWED" => "405".to_owned(),
                    "REQUEST_TOO_LARGE" | "REQUEST_TOO_PACKED" => "413".to_owned(),
                    "CONTENT_TYPE_NOT_JSON" | "ENCODING_UNKNOWN" => "415".to_owned(),
                    _ => row.code.to_http().to_string(),
                };
                let code = if row.reason == "UPSTREAM_REFUSED" { "as upstream says" } else { row.code.as_str() };
                format!("| `{}` | {code} | {http} |", row.reason)
            })
            .collect();
        let table = include_str!("../../docs/errors.md").split("| reason | code | HTTP |").nth(1).unwrap_or_default();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let documented: BTreeSet<_> =
            rows.map(|line| line.splitn(5, '|').take(4).collect::<Vec<_>>().join("|") + "|").collect();
        assert_eq!(ours, documented, "the errors on the left, the table of docs/errors.md on the right");
    }
}
