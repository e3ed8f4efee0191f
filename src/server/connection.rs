//! The connections of callers. We do not use tonic's transport: its connection age and deadlines end streams without
//! GOAWAY or status (grpc/grpc-rust#2449).

use std::convert::Infallible;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::coalesce::CoalescingStream;
use super::drain::{DrainPhase, reached};
use super::faces::Faces;
use super::goaway_filter::FilteredStream;
use super::http1::{self, Http1Stream};
use super::limits::ConnectionLimits;
use super::open::Place;
use super::sniff::{Sniffed, sniff};
use super::tls::{Acceptor, H2};
use super::turns::TurnStream;
use super::unread::watch;
use crate::face::{CallBody, CallExecutor, Peer, call_timed_out, one_call_at_a_time};
use crate::gateway::Connection;
use crate::gateway::callers::San;

/// Large enough for a picture to take few frames. h2 reads a whole frame before it handles it, so this is also the memory
/// that a client can occupy with half a frame, for each connection.
const MAX_FRAME_SIZE: u32 = 128 << 10;
/// Bytes that a caller may send before we read them, per stream and per connection: a few pictures.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Bytes that h2 buffers for a caller that reads slowly, per stream: 256 MiB for 1000 of them. A larger message waits in
/// the response body.
const MAX_SEND_BUFFER: usize = 256 << 10;
/// Bytes of the headers of a request.
const MAX_HEADER_LIST: u32 = 16 << 10;
/// Streams that a caller opens and resets before they are served; more is an attack (CVE-2023-44487). This is h2's own
/// default, set here so that it holds whatever the default becomes.
const MAX_PENDING_RESETS: usize = 20;
/// Streams that we reset because of what a caller sent (RUSTSEC-2024-0003). This is hyper's own default, set for the same
/// reason.
const MAX_OWN_RESETS: usize = 1024;

/// How long a client of HTTP/1 may take to send its next request after a response that did not say it was the last.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// The open connections of one worker.
#[derive(Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

/// The parts that all connections of a worker share.
#[derive(Debug)]
struct Shared {
    faces: Faces,
    limits: ConnectionLimits,
    /// `None` for plaintext.
    tls: Option<Acceptor>,
    phases: watch::Receiver<DrainPhase>,
}

/// A connection whose protocol is known by its first bytes.
enum Opened {
    Plain(Spoken<TcpStream>),
    Tls(Box<Spoken<TlsStream<TcpStream>>>, Option<Arc<[San]>>),
}

/// How an open connection has to end.
enum End {
    /// With GOAWAY.
    Asked,
    /// At once.
    Evicted,
}

/// What a connection speaks. Its stream begins with the first bytes again.
enum Spoken<S> {
    Http2(FilteredStream<S>),
    Http1(Http1Stream<S>),
}

fn evicted() -> Error {
    Error::other("idle, and closed so that another connection can be served")
}

impl Connections {
    pub(super) fn new(
        faces: Faces,
        limits: ConnectionLimits,
        tls: Option<Acceptor>,
        phases: watch::Receiver<DrainPhase>,
    ) -> Self {
        Self { shared: Arc::new(Shared { faces, limits, tls, phases }), tasks: TaskTracker::new() }
    }

    /// Serves a connection until the caller or the server ends it. Its place is free again then.
    pub(super) fn serve(&self, stream: TcpStream, caller: SocketAddr, place: Place) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            if let Err(error) = shared.serve(stream, caller, &place.connection).await {
                tracing::debug!(%caller, %error, "a connection ended with an error");
            }
            drop(place);
        });
    }

    /// Waits until all connections have ended.
    pub(super) async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream, address: SocketAddr, connection: &Arc<Connection>) -> Result<()> {
        let accepted = Instant::now();
        let opened = tokio::select! {
            biased;
            opened = timeout(self.limits.first_bytes, self.open(stream)) => opened,
            // If it was just accepted, its first call may be on its way, or has come and was not read yet.
            () = async {
                self.reached(DrainPhase::Closing).await;
                sleep_until(accepted + self.limits.goaway_flight).await;
            } => return Ok(()),
            () = connection.evicted() => return Err(evicted()),
        };
        let is_tls = self.tls.is_some();
        let peer = |names| Arc::new(Peer { address: address.into(), names, is_tls, connection: connection.clone() });
        match opened.map_err(|_| Error::new(ErrorKind::TimedOut, "no request within the time limit"))?? {
            Opened::Plain(spoken) => self.spoken(spoken, peer(None)).await,
            Opened::Tls(spoken, names) => self.spoken(*spoken, peer(names)).await,
        }
    }

    async fn open(&self, stream: TcpStream) -> Result<Opened> {
        let late = |_| Error::new(ErrorKind::TimedOut, "no first bytes within the time limit");
        let Some(tls) = &self.tls else {
            let spoken = timeout(self.limits.hello, self.first_bytes(stream)).await.map_err(late)??;
            return Ok(Opened::Plain(spoken));
        };
        let hello = timeout(self.limits.hello, Acceptor::hello(stream)).await.map_err(late)??;
        let (stream, names) = tls.accept(hello).await?;
        let asked_for_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
        match self.first_bytes(stream).await? {
            Spoken::Http2(_) if !asked_for_h2 => {
                Err(Error::new(ErrorKind::InvalidData, "the caller does not ask for h2 (ALPN)"))
            }
            Spoken::Http1(_) if asked_for_h2 => {
                Err(Error::new(ErrorKind::InvalidData, "the caller asked for h2 (ALPN) but speaks HTTP/1"))
            }
            spoken => Ok(Opened::Tls(Box::new(spoken), names)),
        }
    }

    /// Finds out what a connection speaks.
    async fn first_bytes<S: AsyncRead + Unpin>(&self, stream: S) -> Result<Spoken<S>> {
        Ok(match sniff(stream).await? {
            Sniffed::Http2(stream) => Spoken::Http2(stream),
            Sniffed::Http1 { mut read, mut stream } => {
                http1::read_first_line(&mut stream, &mut read).await?;
                Spoken::Http1(Http1Stream::new(read, stream, self.limits.hello))
            }
        })
    }

    async fn spoken<S: AsyncRead + AsyncWrite + Unpin>(&self, spoken: Spoken<S>, peer: Arc<Peer>) -> Result<()> {
        match spoken {
            Spoken::Http2(stream) => self.http2(stream, peer).await,
            // In a box, so that connections which speak HTTP/2 need no memory for it.
            Spoken::Http1(stream) => Box::pin(one_call_at_a_time(self.http1(stream, peer))).await,
        }
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, peer: Arc<Peer>) -> Result<()> {
        let faces = self.faces.service(peer.clone());
        let service = service_fn(|request| faces.respond(request));
        let stream = TokioIo::new(CoalescingStream::new(TurnStream::new(stream)));
        let mut connection = pin!(self.builder().serve_connection(stream, service));
        let has_to_go = self.has_to_go(peer.connection.clone(), self.limits.jittered_age(), None);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(Error::other),
            end = has_to_go => match end {
                Ok(End::Evicted) => return Err(evicted()),
                // The task does not panic.
                Ok(End::Asked) | Err(_) => {}
            }
        }
        // Sends GOAWAY twice (RFC 9113, 6.8): calls on their way are served, open calls go on, new ones are refused.
        connection.as_mut().graceful_shutdown();
        let refusing = async {
            sleep(self.limits.goaway_flight).await;
            peer.connection.refuse_calls();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = refusing => Ok(()),
            () = peer.connection.evicted() => Err(evicted()),
            ended = timeout(self.limits.grace, connection) => match ended {
                Ok(ended) => ended.map_err(Error::other),
                Err(_) => Err(Error::new(ErrorKind::TimedOut, "open calls outlived the grace period")),
            },
            // A client that does not answer, or keeps watching health, would keep its place for the whole grace period.
            () = peer.connection.idle(Instant::now(), self.limits.idle_grace) => {
                Err(Error::new(ErrorKind::TimedOut, "the client did not close the connection, and has no open call"))
            }
        }
    }

    async fn http1<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: Http1Stream<S>, peer: Arc<Peer>) -> Result<()> {
        let (faces, opened) = (self.faces.service(peer.clone()), Instant::now());
        let end_of_age = self.limits.jittered_age().map(|age| opened + age);
        let has_to_end = AtomicBool::new(false);
        // HTTP/1 can ask a client to leave only in a response. So an idle connection stays until its next call.
        let is_last = || {
            has_to_end.load(Ordering::Relaxed)
                || end_of_age.is_some_and(|end| Instant::now() >= end)
                || *self.phases.borrow() >= DrainPhase::Leaving
        };
        let service = service_fn(|request| {
            let (request, watch) = watch(request);
            let (responding, is_last) = (faces.respond_http1(request), &is_last);
            async move {
                let mut response = responding.await?.map(CallBody::new);
                if is_last() || watch.ends_connection() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        peer.connection.allow_last_call();
        let mut connection = pin!(http1::builder().serve_connection(TokioIo::new(stream), service));
        let has_to_go = self.has_to_go(peer.connection.clone(), None, self.limits.http1_idle);
        let timed_out = || Error::new(ErrorKind::TimedOut, "the client did not read a response by its deadline");
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(Error::other),
            () = call_timed_out() => return Err(timed_out()),
            end = has_to_go => match end {
                Ok(End::Evicted) => return Err(evicted()),
                // The task does not panic.
                Ok(End::Asked) | Err(_) => {}
            }
        }
        // An open call goes on. If its response has begun, it could not say that it is the last one, and the client may send
        // its next request right behind it: that one is answered too.
        has_to_end.store(true, Ordering::Relaxed);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(Error::other),
            () = call_timed_out() => return Err(timed_out()),
            () = peer.connection.evicted() => return Err(evicted()),
            () = sleep(self.limits.grace) => {}
            () = peer.connection.idle(opened, LAST_REQUEST) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection => ended.map_err(Error::other),
            () = call_timed_out() => Err(timed_out()),
            () = peer.connection.evicted() => Err(evicted()),
            () = sleep(self.limits.grace) => Err(Error::new(ErrorKind::TimedOut, "an open call outlived the grace period")),
            () = peer.connection.idle(Instant::now(), self.limits.idle_grace) => {
                Err(Error::new(ErrorKind::TimedOut, "the client did not read its last response"))
            }
        }
    }

    /// Ready once the connection has to go: at its age, or when it was idle for too long, which may be longer once it was
    /// used. It is a task, because a future in the same task as the connection would be polled again for each of its
    /// frames.
    fn has_to_go(
        &self,
        connection: Arc<Connection>,
        age: Option<Duration>,
        used_idle: Option<Duration>,
    ) -> AbortOnDropHandle<End> {
        let (idle, begun) = (self.limits.idle, Instant::now());
        let phases = self.phases.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let is_idle = async {
                connection.idle(begun, idle.unwrap_or_default()).await;
                if let Some(longer) = used_idle.filter(|_| connection.is_used()) {
                    connection.idle(begun, longer).await;
                }
            };
            tokio::select! {
                () = async { sleep(age.unwrap_or_default()).await }, if age.is_some() => {}
                () = is_idle, if idle.is_some() => {}
                () = connection.has_to_leave() => {}
                () = reached(phases, DrainPhase::Closing) => {}
                () = connection.evicted() => return End::Evicted,
            }
            End::Asked
        }))
    }

    async fn reached(&self, phase: DrainPhase) {
        reached(self.phases.clone(), phase).await;
    }

    fn builder(&self) -> http2::Builder<CallExecutor> {
        let mut builder = http2::Builder::new(CallExecutor);
        builder
            .timer(TokioTimer::new())
            .max_frame_size(MAX_FRAME_SIZE)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .max_concurrent_streams(self.limits.streams)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_OWN_RESETS)
            .max_header_list_size(MAX_HEADER_LIST)
            // gRPC clients do not read it.
            .auto_date_header(false)
            .keep_alive_interval(self.limits.ping)
            .keep_alive_timeout(self.limits.ping_timeout);
        builder
    }
}
