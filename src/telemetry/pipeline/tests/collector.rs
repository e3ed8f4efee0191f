//! A collector that says yes to everything, in OTLP over gRPC or HTTP, and keeps it; at first it can be unavailable.

use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::EXPORT_TIMEOUT;
use crate::telemetry::Protocol;

/// The requests, and a notification of each.
type Received = Arc<(Mutex<Vec<Request>>, Condvar)>;
/// A certificate and its key.
type Pair = (Vec<u8>, Vec<u8>);

/// A request that it got.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) struct Collector {
    pub(super) url: String,
    received: Received,
    /// Ends it when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Collector {
    /// With TLS it asks for a certificate of the same authority.
    pub(super) fn start(protocol: Protocol, tls: Option<(&[u8], &Pair)>) -> Self {
        Self::unavailable(0, protocol, tls)
    }

    /// The same, but this many requests fail first.
    pub(super) fn unavailable(count: usize, protocol: Protocol, tls: Option<(&[u8], &Pair)>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http{}://{}", if tls.is_some() { "s" } else { "" }, listener.local_addr().unwrap());
        let acceptor = tls.map(|(ca, pair)| acceptor(ca, pair, protocol));
        let (received, (stop, stopped)) = (Received::default(), oneshot::channel());
        let kept = received.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.spawn(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let (kept, acceptor) = (kept.clone(), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            Some(acceptor) => {
                                serve(acceptor.accept(stream).await.unwrap(), protocol, count, kept).await
                            }
                            None => serve(stream, protocol, count, kept).await,
                        }
                    });
                }
            });
            let _ = runtime.block_on(stopped);
        });
        Self { url, received, _stop: stop }
    }

    pub(super) fn received(&self) -> Vec<Request> {
        self.received.0.lock().unwrap().clone()
    }

    /// Waits until this many requests came.
    pub(super) fn wait_for(&self, count: usize) {
        let (requests, came) = &*self.received;
        let is_short = |requests: &mut Vec<Request>| requests.len() < count;
        let (requests, _) = came.wait_timeout_while(requests.lock().unwrap(), EXPORT_TIMEOUT, is_short).unwrap();
        assert!(requests.len() >= count, "{requests:?}");
    }
}

async fn serve<S>(stream: S, protocol: Protocol, unavailable: usize, kept: Received)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
            let body = request.into_body().collect().await.unwrap().to_bytes().to_vec();
            let mut requests = kept.0.lock().unwrap();
            requests.push(Request { path, headers, body });
            kept.1.notify_all();
            Ok::<_, Infallible>(answer(protocol, requests.len() > unavailable))
        }
    });
    let stream = TokioIo::new(stream);
    let _ = match protocol {
        Protocol::Grpc => http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await,
        Protocol::Http => http1::Builder::new().serve_connection(stream, service).await,
    };
}

/// A message in which one span was refused, or an error after which a request may be sent again.
fn answer(
    protocol: Protocol,
    is_available: bool,
) -> http::Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
    let message = Bytes::from_static(b"\x0a\x0b\x08\x01\x12\x07too big");
    if protocol == Protocol::Http {
        let status = if is_available { 200 } else { 503 };
        return http::Response::builder().status(status).body(Full::new(message).boxed()).unwrap();
    }
    let trailers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static(if is_available { "0" } else { "14" }),
    )]);
    let framed = [&[0, 0, 0, 0, message.len() as u8], &*message].concat();
    let frames = [Frame::data(framed.into()), Frame::trailers(trailers)].map(Ok);
    let mut answer = http::Response::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)).boxed());
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    answer
}

fn acceptor(ca: &[u8], (certificate, key): &Pair, protocol: Protocol) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    if protocol == Protocol::Grpc {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}
