//! Sends the small frames of an HTTP/2 connection in one write.
//!
//! h2 does not copy a payload of 256 bytes or more. It writes such a DATA frame alone, and what comes after it with the
//! next write, so an answer and its trailers take two writes, and short answers on one connection take two each. Copying
//! a few KiB costs less than a system call.

use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Writes longer than this are passed on without a copy, in bytes. The frames of a picture have 16 KiB or more.
const MAX_COPIED_BYTES: usize = 8 << 10;
/// The most bytes that wait for a flush.
const MAX_WAITING_BYTES: usize = 16 << 10;

/// A stream that h2 writes its frames to.
///
/// h2 flushes after a DATA frame that it did not copy, to be able to take the next frame, and again when it has no frame
/// left. So the first of these flushes is ignored: one without another write in between follows it in the same poll of
/// the connection. Nothing waits longer than this poll, which the tests verify with h2 itself.
#[derive(Debug)]
pub(super) struct CoalescingStream<S> {
    stream: S,
    /// Bytes to write at the next flush. Freed then, so that an idle connection needs no memory for them.
    waiting: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Whether the last write was a DATA frame that waits now, so that more than one flush comes.
    is_data: bool,
}

impl<S> CoalescingStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, waiting: Vec::new(), written: 0, is_data: false }
    }
}

impl<S: AsyncWrite + Unpin> CoalescingStream<S> {
    /// Writes the waiting bytes.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.is_data = false;
        while self.written < self.waiting.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.written..]))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                more => self.written += more,
            }
        }
        (self.waiting, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CoalescingStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// h2 writes the head and the payload of a DATA frame that it did not copy as two slices, and anything else as one.
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let this = &mut *self;
        let len = b.iter().map(|slice| slice.len()).sum();
        if len > MAX_COPIED_BYTES || this.waiting.len() + len > MAX_WAITING_BYTES {
            ready!(this.poll_waiting(cx))?;
        }
        if len > MAX_COPIED_BYTES {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, b);
        }
        b.iter().for_each(|slice| this.waiting.extend_from_slice(slice));
        this.is_data = b.len() > 1;
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if std::mem::take(&mut self.is_data) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
