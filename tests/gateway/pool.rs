//! Connections to an upstream that speaks HTTP/2.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::certificates::{Authority, Files, Issued};
use crate::support::{Client, Gateway, STOP, Upstream, assert_status, event, prompt, text};
use crate::tls::{server_identity, upstream_on_tls};

const HTTP2: [&str; 4] = ["--workers", "1", "--upstream-http", "2"];

/// Counts of connections and calls at an upstream.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// All connections so far, and those that are open.
    connections: usize,
    open: usize,
    /// All calls so far, and those that have not ended.
    calls: usize,
    running: usize,
}

/// An upstream that speaks HTTP/2. It answers unary calls once the gate is open. The answer to a streaming call never
/// ends, and is sent as fast as it is read.
struct Double {
    upstream: Upstream,
    seen: Arc<watch::Sender<Seen>>,
    gate: watch::Sender<bool>,
    /// Each new number makes all connections send GOAWAY and end after their calls.
    shutdowns: watch::Sender<usize>,
}

impl Double {
    /// An upstream that allows this many concurrent calls on a connection.
    async fn allowing(calls: u32) -> Self {
        Self::serving(Some(calls), None).await
    }

    async fn serving(calls: Option<u32>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut upstream = Upstream::answering("").await;
        let scheme = if tls.is_some() { "https" } else { "http" };
        upstream.url = format!("{scheme}://{}/gemini", listener.local_addr().unwrap());
        let seen = Arc::new(watch::Sender::default());
        let (gate, shutdowns) = (watch::Sender::new(false), watch::Sender::new(0));
        let (counts, open, shutdown) = (seen.clone(), gate.subscribe(), shutdowns.subscribe());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, counts, open, shutdown) = (tls.clone(), counts.clone(), open.clone(), shutdown.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, calls, counts, open, shutdown).await,
                        Some(tls) => serve(tls.accept(stream).await.unwrap(), calls, counts, open, shutdown).await,
                    }
                });
            }
        });
        Self { upstream, seen, gate, shutdowns }
    }

    async fn gateway(&self) -> Gateway {
        Gateway::with(&self.upstream, &HTTP2).await
    }

    fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    async fn wait_until(&self, condition: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(30), seen.wait_for(condition)).await;
        assert!(waited.is_ok(), "after 30 s the counts are {:?}", self.seen());
    }

    fn open(&self) {
        self.gate.send_replace(true);
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    calls: Option<u32>,
    seen: Arc<watch::Sender<Seen>>,
    open: watch::Receiver<bool>,
    mut shutdown: watch::Receiver<usize>,
) {
    seen.send_modify(|seen| (seen.connections, seen.open) = (seen.connections + 1, seen.open + 1));
    let counts = seen.clone();
    let service = service_fn(move |request| answer(request, counts.clone(), open.clone()));
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(calls);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    shutdown.mark_unchanged();
    tokio::select! {
        _ = &mut connection => {}
        Ok(()) = shutdown.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    seen.send_modify(|seen| seen.open -= 1);
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

struct Call(Arc<watch::Sender<Seen>>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.running -= 1);
    }
}

async fn answer(
    request: http::Request<Incoming>,
    seen: Arc<watch::Sender<Seen>>,
    mut open: watch::Receiver<bool>,
) -> Result<http::Response<Body>, Infallible> {
    seen.send_modify(|seen| (seen.calls, seen.running) = (seen.calls + 1, seen.running + 1));
    let call = Call(seen);
    let streamed = request.uri().path().ends_with(":streamGenerateContent");
    let accepts_gzip = request.headers()["accept-encoding"] == "gzip";
    assert!(accepts_gzip && request.headers()["user-agent"].to_str().unwrap().starts_with("gemini-grpc/"));
    let _ = request.into_body().collect().await;
    if streamed {
        let piece = Bytes::from(event(&"x".repeat(16 << 10), false));
        let pieces = tokio_stream::iter(std::iter::repeat(piece)).map(move |piece| {
            let _ = &call;
            Ok(Frame::data(piece))
        });
        let response = http::Response::builder().header("content-type", "text/event-stream");
        return Ok(response.body(StreamBody::new(pieces).boxed()).unwrap());
    }
    let _ = open.wait_for(|open| *open).await;
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(STOP.as_bytes()).unwrap();
    let response =
        http::Response::builder().header("content-type", "application/json").header("content-encoding", "gzip");
    drop(call);
    Ok(response.body(http_body_util::Full::new(Bytes::from(compressed.finish().unwrap())).boxed()).unwrap())
}

/// Starts concurrent calls, at most fifty on each connection to the gateway.
async fn calls(gateway: &Gateway, number: usize) -> JoinSet<()> {
    let mut calls = JoinSet::new();
    let mut client = gateway.client.clone();
    for n in 1..=number {
        if n % 50 == 0 {
            client = Client::new(gateway.new_channel().await);
        }
        let mut client = client.clone();
        calls.spawn(async move {
            // So that a call that hangs fails the test.
            let mut request = tonic::Request::new(prompt("hi"));
            request.set_timeout(Duration::from_secs(60));
            assert_eq!(text(client.generate_content(request).await.unwrap().get_ref()), "ok");
        });
    }
    calls
}

#[tokio::test]
async fn the_pool_opens_only_as_many_connections_as_concurrent_calls_need() {
    // If upstream sets no limit, the gateway's own limit applies.
    for (allowed, number, connections) in [(Some(1), 5, 5), (Some(5), 17, 4), (Some(100), 100, 1), (None, 129, 2)] {
        let double = Double::serving(allowed, None).await;
        let gateway = double.gateway().await;
        let calls = calls(&gateway, number).await;
        double.wait_until(|seen| seen.running == number).await;
        double.open();
        calls.join_all().await;
        assert_eq!(double.seen().connections, connections, "{number} calls, {allowed:?} allowed on a connection");
    }
}

#[tokio::test]
async fn a_connection_is_reused_after_a_call() {
    let double = Double::allowing(1).await;
    double.open();
    let gateway = double.gateway().await;
    for _ in 0..5 {
        calls(&gateway, 1).await.join_all().await;
    }
    assert_eq!(double.seen().connections, 1);
}

#[tokio::test]
async fn a_cancelled_call_frees_its_stream() {
    let double = Double::allowing(2).await;
    let gateway = double.gateway().await;
    for round in 1..4 {
        let mut cancelled = calls(&gateway, 2).await;
        double.wait_until(|seen| seen.calls == round * 2).await;
        cancelled.abort_all();
        while cancelled.join_next().await.is_some() {}
        double.wait_until(|seen| seen.running == 0).await;
    }
    assert_eq!(double.seen().connections, 1);
}

#[tokio::test]
async fn a_call_that_waits_for_a_stream_can_be_cancelled() {
    // This upstream never sends anything, so the connection never becomes ready.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut upstream = Upstream::answering("").await;
    upstream.url = format!("http://{}", listener.local_addr().unwrap());
    let flags = [&HTTP2[..], &["--connect-timeout", "0.3", "--retries", "0"]].concat();
    let gateway = Gateway::with(&upstream, &flags).await;
    let mut cancelled = calls(&gateway, 3).await;
    let _connection = listener.accept().await.unwrap();
    cancelled.abort_all();
    while cancelled.join_next().await.is_some() {}
    let status = gateway.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::DeadlineExceeded, "TIMED_OUT");
}

#[tokio::test]
async fn a_connection_after_goaway_finishes_its_calls_and_gets_no_new_ones() {
    let double = Double::allowing(100).await;
    let gateway = double.gateway().await;
    let first = calls(&gateway, 3).await;
    double.wait_until(|seen| seen.running == 3).await;
    double.shutdowns.send_modify(|n| *n += 1);
    // Calls may be sent while GOAWAY arrives, and still none fails.
    let second = calls(&gateway, 3).await;
    double.wait_until(|seen| seen.running == 6).await;
    double.open();
    first.join_all().await;
    second.join_all().await;
    // The second calls may have been sent on the first connection, before its GOAWAY arrived.
    double.wait_until(|seen| seen.open == seen.connections - 1).await;
    calls(&gateway, 1).await.join_all().await;
    let Seen { connections, open, calls, .. } = double.seen();
    assert_eq!((connections, open, calls), (2, 1, 7));
}

#[tokio::test]
async fn callers_that_do_not_read_do_not_block_others_on_the_same_connection() {
    let double = Double::allowing(100).await;
    let gateway = double.gateway().await;
    let mut streams = Vec::new();
    for _ in 0..60 {
        // A connection of its own for each.
        let mut client = Client::new(gateway.new_channel().await);
        streams.push(client.stream_generate_content(prompt("hi")).await.unwrap().into_inner());
    }
    double.open();
    calls(&gateway, 10).await.join_all().await;
    assert_eq!(double.seen().connections, 1);
    assert!(streams[0].message().await.unwrap().is_some());
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_http2_is_reported_with_the_setting_to_change() {
    let upstream = Upstream::answering(crate::support::json("200 OK", STOP)).await;
    let status = Gateway::with(&upstream, &HTTP2).await.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::Unavailable, "UPSTREAM_UNREACHABLE");
    assert!(status.message().contains("set GEMINI_GRPC_UPSTREAM_HTTP to auto or 1"), "{status}");
}

#[tokio::test]
async fn upstream_selects_the_http_version_by_alpn() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue();
    let (ca, cert, key) =
        (files.write("ca.pem", &authority.pem), files.write("c.pem", &cert), files.write("k.pem", &key));
    let flags = |version| {
        let tls = ["--upstream-ca", &ca, "--upstream-cert", &cert, "--upstream-cert-key", &key];
        [&["--workers", "1", "--upstream-http", version], &tls[..]].concat()
    };

    let (chain, key) = server_identity(&authority);
    let mut tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let double = Double::serving(Some(100), Some(Arc::new(tls).into())).await;
    double.open();
    for (connections, version) in [(1, "2"), (2, "auto")] {
        let gateway = Gateway::with(&double.upstream, &flags(version)).await;
        calls(&gateway, 20).await.join_all().await;
        assert_eq!(double.seen().connections, connections, "{version}");
    }

    let mut upstream = Upstream::answering("").await;
    upstream.url = upstream_on_tls(&authority).await;
    for (version, served) in [("1", true), ("auto", true), ("2", false)] {
        let gateway = Gateway::with(&upstream, &flags(version)).await;
        for _ in 0..3 {
            assert_eq!(gateway.generate(prompt("hi")).await.is_ok(), served, "{version}");
        }
    }
}
