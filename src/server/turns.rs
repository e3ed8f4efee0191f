//! Reads a large request in turns with the call that it is for.
//!
//! h2 reads as long as there is something to read, and a picture may have come as a whole. Its frames would then be in
//! new memory, all 4 MiB of them, before the call copies the first one.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// After this many bytes the calls get a turn, before more is read. What they copy then is still in the processor's cache,
/// and the memory of its frames is used again.
const READ_TURN_BYTES: usize = 256 << 10;

/// A stream that is read in turns. What is written is passed on.
#[derive(Debug)]
pub(super) struct TurnStream<S> {
    stream: S,
    /// How many bytes were read since the calls last had a turn.
    read: usize,
}

impl<S> TurnStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TurnStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.read >= READ_TURN_BYTES {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read = if read.is_ready() { self.read + buffer.filled().len() - before } else { 0 };
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TurnStream<S> {
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
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn calls_get_a_turn_before_more_is_read() {
        const TURNS: usize = 3;
        let (mut client, server) = duplex(TURNS * READ_TURN_BYTES);
        client.write_all(&vec![7; TURNS * READ_TURN_BYTES]).await.unwrap();
        let mut stream = TurnStream::new(server);
        let (mut buffer, mut turns) = (vec![0; READ_TURN_BYTES / 4], vec![0]);
        // It ends only if the stream wakes the task at the end of each turn.
        std::future::poll_fn(|cx| {
            while turns.iter().sum::<usize>() < TURNS * READ_TURN_BYTES {
                let mut read = ReadBuf::new(&mut buffer);
                match Pin::new(&mut stream).poll_read(cx, &mut read) {
                    Poll::Ready(result) => result.unwrap(),
                    Poll::Pending => {
                        turns.push(0);
                        return Poll::Pending;
                    }
                }
                *turns.last_mut().unwrap() += read.filled().len();
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(turns, [READ_TURN_BYTES; TURNS]);
    }
}
