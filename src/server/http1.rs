//! HTTP/1 connections: the bytes of their requests are checked, and heads have to be complete in time.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::http1_check::{MAX_HEAD_BYTES, RequestCheck};

/// How many headers a request may have.
const MAX_HEADERS: usize = 100;
/// Bytes that hyper buffers of a request, and of the chunks of a response, for each connection.
const MAX_BUFFER: usize = 128 << 10;
/// The end of a head.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// After a response, the rest of its request is read up to this many bytes and for this long. Closing a connection with
/// unread bytes resets it, and the client could lose the response. Enough for a picture of 16 MiB in base64, whose client
/// has to learn that it may come back.
const MAX_LINGER_BYTES: usize = 32 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The settings of HTTP/1 connections.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Http1Stream` limits the time of a head, and the connection that of being idle; hyper has one limit for both.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        // A client that closes its side has gone away, so its call is cancelled.
        .half_close(false)
        .pipeline_flush(false);
    builder
}

/// Reads up to the end of the first line. `bytes` are the bytes that were already read. hyper must not get text that is
/// no HTTP request: it would answer that before its first line is complete.
///
/// # Errors
///
/// The line is no HTTP request, or the stream ends before it is complete.
pub(super) async fn read_first_line<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<()> {
    loop {
        let end = memchr::memchr(b'\n', bytes);
        if end.is_some_and(|end| memchr::memmem::find(&bytes[..end], b" HTTP/").is_none()) {
            return Err(Error::new(ErrorKind::InvalidData, "text that is neither HTTP/2 nor HTTP/1"));
        }
        // hyper refuses a line that is too long.
        if end.is_some() || bytes.len() > MAX_HEAD_BYTES {
            return Ok(());
        }
        if stream.read_buf(bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The bytes of an HTTP/1 connection.
#[derive(Debug)]
pub(super) struct Http1Stream<S> {
    stream: S,
    /// Bytes that were already read from `stream`. They come first.
    prefix: Vec<u8>,
    check: RequestCheck,
    /// Whether hyper has got the end of a head that was refused.
    has_ended_head: bool,
    /// How long a head may take from its first byte.
    head_timeout: Duration,
    /// Runs while a head is incomplete.
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs after the last response, while the rest of a request is read.
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    timer: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Http1Stream<S> {
    /// `prefix` are the bytes that were already read from `stream`.
    pub(super) fn new(prefix: Vec<u8>, stream: S, head_timeout: Duration) -> Self {
        Self {
            stream,
            prefix,
            check: RequestCheck::default(),
            has_ended_head: false,
            head_timeout,
            timer: None,
            linger: None,
        }
    }
}

impl<S: AsyncRead + Unpin> Http1Stream<S> {
    fn poll_unchecked(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let returned = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix[..returned]);
        self.prefix.drain(..returned);
        Poll::Ready(Ok(()))
    }

    /// Reads and drops the rest of a request, for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger =
            self.linger.get_or_insert_with(|| Linger { timer: Box::pin(sleep(LINGER_TIME)), left: MAX_LINGER_BYTES });
        let mut piece = [0; 16 << 10];
        while linger.left > 0 && linger.timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(buffer.filled().len())
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http1Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.check.is_refused() {
            // hyper reads a head once it has an end. What comes after it is never read.
            if !std::mem::replace(&mut this.has_ended_head, true) {
                buffer.put_slice(HEAD_END);
            }
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        if this.poll_unchecked(cx, buffer)?.is_pending() {
            if let Some(timer) = &mut this.timer {
                ready!(timer.as_mut().poll(cx));
                return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the head of a request took too long")));
            }
            return Poll::Pending;
        }
        let kept = this.check.check(&mut buffer.filled_mut()[start..])?;
        buffer.set_filled(start + kept);
        if !this.check.is_in_head() {
            this.timer = None;
        } else if this.timer.is_none() {
            this.timer = Some(Box::pin(sleep(this.head_timeout)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http1Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, b)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        // Otherwise everything that the client has sent was read.
        if self.check.is_in_request() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
