//! HTTP/2 connections of callers. Ours instead of tonic's transport, whose connection age and
//! deadlines end streams without a word (grpc/grpc-rust#2449).

use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::grpc::{Calls, Grpc};

/// A frame carries 1 MiB, so that a picture takes few of them.
const FRAME: u32 = 1 << 20;
/// What a caller may send before we read it, per stream and per connection: a few pictures.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// What is kept for a caller who reads slowly, per stream.
const SEND_BUFFER: usize = 1 << 20;
/// Calls at once on one connection. The limit also switches on hyper's guards against resets.
const STREAMS: u32 = 1000;
const HEADER_LIST: u32 = 16 << 10;
/// Pings find callers that vanished without a word.
const PING: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The open connections of one worker.
#[derive(Debug)]
pub(super) struct Connections {
    grpc: Grpc,
    stopped: watch::Receiver<bool>,
    tasks: TaskTracker,
}

impl Connections {
    pub(super) fn new(grpc: Grpc, stopped: watch::Receiver<bool>) -> Self {
        Self { grpc, stopped, tasks: TaskTracker::new() }
    }

    /// Serves a connection until the caller or the server ends it.
    pub(super) fn serve(&self, stream: TcpStream) {
        let service = TowerToHyperService::new(self.grpc.clone());
        let connection = builder().serve_connection(TokioIo::new(stream), service);
        let mut stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => None,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    // GOAWAY: no new calls, the open ones go on.
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended with an error");
            }
        });
    }

    /// Waits until all connections have ended.
    pub(super) async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn builder() -> http2::Builder<Calls> {
    let mut builder = http2::Builder::new(Calls);
    builder
        .timer(TokioTimer::new())
        .max_frame_size(FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        // No gRPC client reads it.
        .auto_date_header(false)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
