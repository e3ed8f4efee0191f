//! HTTP/2 connections of callers. Ours instead of tonic's transport, whose connection age and
//! deadlines end streams without a word (grpc/grpc-rust#2449).

use std::convert::Infallible;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::drain::{Phase, reached};
use super::limits::Limits;
use super::preface;
use super::sifted::Sifted;
use super::tls::Acceptor;
use crate::grpc::{CallExecutor, Grpc, Peer};

/// A frame carries 1 MiB, so that a picture takes few of them.
const FRAME: u32 = 1 << 20;
/// What a caller may send before we read it, per stream and per connection: a few pictures.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// What is kept for a caller who reads slowly, per stream: 1000 of them hold 256 MiB. A larger message waits where it
/// is.
const SEND_BUFFER: usize = 256 << 10;
const HEADER_LIST: u32 = 16 << 10;
/// Streams that a caller opens and resets before they are looked at; more is an attack (CVE-2023-44487). h2's own
/// default, said here since an attack needs only one place where it is not set.
const RESETS_UNSEEN: usize = 20;
/// Streams that we reset because of what a caller sent (RUSTSEC-2024-0003). hyper's own default, said for the same
/// reason.
const RESETS_OURS: usize = 1024;

/// The open connections of one worker.
#[derive(Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

/// What every connection of a worker needs.
#[derive(Debug)]
struct Shared {
    grpc: Grpc,
    limits: Limits,
    /// None where plaintext is spoken.
    tls: Option<Acceptor>,
    phases: watch::Receiver<Phase>,
}

/// A connection that speaks HTTP/2.
enum Opened {
    Plain(Sifted<TcpStream>),
    Tls(Box<Sifted<TlsStream<TcpStream>>>, Option<Arc<[String]>>),
}

impl Connections {
    pub(super) fn new(grpc: Grpc, limits: Limits, tls: Option<Acceptor>, phases: watch::Receiver<Phase>) -> Self {
        Self { shared: Arc::new(Shared { grpc, limits, tls, phases }), tasks: TaskTracker::new() }
    }

    /// Serves a connection until the caller or the server ends it. The slot is free again then.
    pub(super) fn serve(&self, stream: TcpStream, caller: SocketAddr, slot: OwnedSemaphorePermit) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            if let Err(error) = shared.serve(stream, caller).await {
                tracing::debug!(%caller, %error, "a connection ended with an error");
            }
            drop(slot);
        });
    }

    /// Waits until all connections have ended.
    pub(super) async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream, caller: SocketAddr) -> Result<()> {
        let opened = tokio::select! {
            opened = timeout(self.limits.first_bytes, self.open(stream)) => opened,
            // It has no call yet.
            () = self.reached(Phase::Closing) => return Ok(()),
        };
        match opened.map_err(|_| Error::new(ErrorKind::TimedOut, "it sent nothing of HTTP/2 in time"))?? {
            Opened::Plain(stream) => self.http2(stream, Peer { address: caller, names: None }).await,
            Opened::Tls(stream, names) => self.http2(stream, Peer { address: caller, names }).await,
        }
    }

    async fn open(&self, stream: TcpStream) -> Result<Opened> {
        let Some(tls) = &self.tls else { return Ok(Opened::Plain(preface::read(stream).await?)) };
        let (stream, names) = tls.accept(stream).await?;
        Ok(Opened::Tls(Box::new(preface::read(stream).await?), names))
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, peer: Peer) -> Result<()> {
        let service = service_fn(|request| {
            // In a box, since hyper moves it about.
            let answer = Box::pin(self.grpc.clone().answer(request, peer.clone()));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut connection = pin!(self.builder().serve_connection(TokioIo::new(stream), service));
        let age = self.limits.jittered_age();
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(Error::other),
            () = async { sleep(age.unwrap_or_default()).await }, if age.is_some() => {}
            () = self.reached(Phase::Closing) => {}
        }
        // GOAWAY twice (RFC 9113, 6.8): no new calls, but those that are underway; the open ones go on.
        connection.as_mut().graceful_shutdown();
        match timeout(self.limits.grace, connection).await {
            Ok(ended) => ended.map_err(Error::other),
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "its calls ran longer than any call may")),
        }
    }

    async fn reached(&self, phase: Phase) {
        reached(self.phases.clone(), phase).await;
    }

    fn builder(&self) -> http2::Builder<CallExecutor> {
        let mut builder = http2::Builder::new(CallExecutor);
        builder
            .timer(TokioTimer::new())
            .max_frame_size(FRAME)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_concurrent_streams(self.limits.streams)
            .max_pending_accept_reset_streams(RESETS_UNSEEN)
            .max_local_error_reset_streams(RESETS_OURS)
            .max_header_list_size(HEADER_LIST)
            // No gRPC client reads it.
            .auto_date_header(false)
            .keep_alive_interval(self.limits.ping)
            .keep_alive_timeout(self.limits.ping_timeout);
        builder
    }
}
