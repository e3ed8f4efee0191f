//! A stream of HTTP/2 frames without those that `late` takes out.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::late::{Frames, HEAD};

/// The frames of a stream, but for those that come too late.
#[derive(Debug)]
pub(super) struct Sifted<S> {
    stream: S,
    frames: Frames,
    /// What stands before all that is still to be read. After GOAWAY also the beginning of a frame, which has to be
    /// whole before it is handed on.
    held: Vec<u8>,
    /// It is handed on now.
    is_released: bool,
}

impl<S> Sifted<S> {
    /// Puts bytes that are no frame in front of a stream, whose next byte begins the first one.
    pub(super) fn behind(bytes: &[u8], stream: S) -> Self {
        Self { stream, frames: Frames::default(), held: bytes.to_vec(), is_released: !bytes.is_empty() }
    }
}

impl<S: AsyncRead + Unpin> Sifted<S> {
    /// Reads more of a head that is held, and judges it once it is whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut bytes = [0; HEAD];
        let mut rest = ReadBuf::new(&mut bytes[self.held.len()..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest))?;
        self.held.extend_from_slice(rest.filled());
        if rest.filled().is_empty() {
            // Without more to come, it is the end as it is.
            self.is_released = true;
        } else if self.held.len() == HEAD {
            let (kept, _) = self.frames.sift(&mut self.held);
            self.held.truncate(kept);
            self.is_released = kept > 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sifted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        loop {
            if this.is_released {
                // There may be less room than it needs.
                let now = this.held.len().min(buffer.remaining());
                buffer.put_slice(&this.held[..now]);
                this.held.drain(..now);
                this.is_released = !this.held.is_empty();
                return Poll::Ready(Ok(()));
            }
            if !this.held.is_empty() {
                ready!(this.poll_head(cx))?;
                continue;
            }
            let start = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let came = &mut buffer.filled_mut()[start..];
            let is_end = came.is_empty();
            let (kept, back) = this.frames.sift(came);
            this.held.extend_from_slice(&came[kept..][..back]);
            buffer.set_filled(start + kept);
            if kept > 0 || is_end {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sifted<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::server::late::tests::late;

    #[tokio::test]
    async fn what_is_late_is_missing_however_little_is_read_at_a_time() {
        let (all, rest) = late();
        for room in 1..30 {
            let mut stream = Sifted::behind(b"before", tokio::io::join(&all[..], tokio::io::sink()));
            let (mut got, mut piece) = (Vec::new(), vec![0; room]);
            loop {
                match stream.read(&mut piece).await.unwrap() {
                    0 => break,
                    more => got.extend_from_slice(&piece[..more]),
                }
            }
            assert!(got == [&b"before"[..], &rest].concat(), "{room}");
        }
    }
}
