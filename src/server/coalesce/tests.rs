//! Which writes h2 makes through the stream, and that nothing waits for a later frame.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::watch;
use tokio_stream::StreamExt as _;

use super::*;

/// The lengths of the writes that a stream got, and whether they were vectored.
type Writes = Arc<Mutex<Vec<(usize, bool)>>>;

struct Recorded {
    stream: DuplexStream,
    writes: Writes,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.writes.lock().unwrap().push((written, false));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, b))?;
        self.writes.lock().unwrap().push((written, true));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection to hyper's server over a pipe for `pipe` bytes. The path of a request is the length of the only message of
/// its response, which is sent once `released` says so; paths behind `/open/` have a response that does not end.
async fn connect(pipe: usize, released: watch::Receiver<bool>) -> (SendRequest<Bytes>, Writes) {
    let (client, server) = duplex(pipe);
    let writes = Writes::default();
    let server = CoalescingStream::new(Recorded { stream: server, writes: writes.clone() });
    let service = service_fn(move |request: Request<_>| {
        let (path, mut released) = (request.uri().path().to_owned(), released.clone());
        async move {
            released.wait_for(|released| *released).await.unwrap();
            let len = path.trim_start_matches("/open").trim_start_matches('/').parse().unwrap();
            let message = tokio_stream::once(Ok::<_, Infallible>(Frame::data(Bytes::from(vec![7; len]))));
            let status = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), "0".parse().unwrap())]);
            let body = match path.starts_with("/open") {
                true => StreamBody::new(message.chain(tokio_stream::pending())).boxed(),
                false => StreamBody::new(message.chain(tokio_stream::once(Ok(Frame::trailers(status))))).boxed(),
            };
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), service));
    let (requests, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    // Settings are exchanged and acknowledged before the writes are counted.
    let mut requests = requests.ready().await.unwrap();
    for _ in 0..2 {
        let ping = call(&mut requests, "/open/0");
        assert_eq!(ping.await.unwrap().status(), 200);
    }
    (requests, writes)
}

fn call(requests: &mut SendRequest<Bytes>, path: &str) -> h2::client::ResponseFuture {
    let request = Request::builder().uri(format!("http://localhost{path}")).body(()).unwrap();
    requests.send_request(request, true).unwrap().0
}

/// Reads a response to its end, and returns its length.
async fn read(response: h2::client::ResponseFuture) -> usize {
    let mut body = response.await.unwrap().into_body();
    let len = read_bytes(&mut body, usize::MAX).await;
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    len
}

/// Reads a body until it has that many bytes, or ends.
async fn read_bytes(body: &mut h2::RecvStream, wanted: usize) -> usize {
    let mut len = 0;
    while len < wanted
        && let Some(data) = body.data().await
    {
        let data = data.unwrap();
        assert!(data.iter().all(|byte| *byte == 7));
        body.flow_control().release_capacity(data.len()).unwrap();
        len += data.len();
    }
    len
}

#[tokio::test]
async fn an_answer_and_its_trailers_leave_in_one_write() {
    let (mut requests, writes) = connect(1 << 20, watch::channel(true).1).await;
    for len in [1, 255, 256, 1000, 5000] {
        writes.lock().unwrap().clear();
        assert_eq!(read(call(&mut requests, &format!("/{len}"))).await, len);
        assert_eq!(writes.lock().unwrap().len(), 1, "{len}");
    }
}

#[tokio::test]
async fn answers_that_are_ready_together_leave_in_one_write() {
    let (release, released) = watch::channel(true);
    let (mut requests, writes) = connect(1 << 20, released).await;
    release.send_replace(false);
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(read(call(&mut requests, "/1000")))).collect();
    // All of them have arrived and wait.
    while release.receiver_count() < 8 + 1 {
        tokio::task::yield_now().await;
    }
    writes.lock().unwrap().clear();
    release.send_replace(true);
    for call in calls {
        assert_eq!(call.await.unwrap(), 1000);
    }
    assert_eq!(writes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_chunk_does_not_wait_for_another_frame() {
    let (mut requests, _) = connect(1 << 20, watch::channel(true).1).await;
    for len in [1, 255, 256, 1000, MAX_COPIED_BYTES - 9, MAX_COPIED_BYTES, 3 * MAX_COPIED_BYTES + 300] {
        let mut body = call(&mut requests, &format!("/open/{len}")).await.unwrap().into_body();
        assert_eq!(read_bytes(&mut body, len).await, len);
    }
}

#[tokio::test]
async fn long_frames_are_not_copied() {
    let (mut requests, writes) = connect(1 << 20, watch::channel(true).1).await;
    writes.lock().unwrap().clear();
    assert_eq!(read(call(&mut requests, "/49152")).await, 49152);
    let lens: Vec<_> = writes.lock().unwrap().iter().filter(|(_, vectored)| *vectored).map(|(len, _)| *len).collect();
    assert!(lens.len() == 3 && lens.iter().all(|len| *len >= 16384 + 9), "{lens:?}");
}

#[tokio::test]
async fn nothing_is_lost_or_reordered_when_the_client_reads_little_at_a_time() {
    for pipe in [50, 300, 5000] {
        let (mut requests, _) = connect(pipe, watch::channel(true).1).await;
        let lens = [300, 5000, 1, 20_000, 700, 255, 40_000, 9000];
        let calls = lens.map(|len| tokio::spawn(read(call(&mut requests, &format!("/{len}")))));
        for (call, len) in calls.into_iter().zip(lens) {
            assert_eq!(call.await.unwrap(), len, "{pipe}");
        }
    }
}
