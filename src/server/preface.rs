//! The first bytes of a connection. HTTP/2 begins with the same 24 of them (RFC 9113, 3.4); hyper waits for these for
//! ever, so they are read before it is asked.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::late::{Frames, HEAD};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface. The first byte that is not of it is an error that says what was spoken instead.
pub(super) async fn read<S: AsyncRead + Unpin>(mut stream: S) -> Result<Prefaced<S>> {
    let (mut bytes, mut read) = ([0; PREFACE.len()], 0);
    while read < PREFACE.len() {
        read += match stream.read(&mut bytes[read..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => more,
        };
        if !PREFACE.starts_with(&bytes[..read]) {
            return Err(Error::new(ErrorKind::InvalidData, spoken(bytes[0])));
        }
    }
    Ok(Prefaced { stream, unread: PREFACE, frames: Frames::default(), held: Vec::new(), is_released: false })
}

/// What begins so, in words for the log.
fn spoken(first: u8) -> &'static str {
    match first {
        // The content type of a handshake record (RFC 8446, 5.1).
        0x16 => "TLS, which is not spoken on this port",
        b'A'..=b'Z' => "text, HTTP/1 for example",
        _ => "no HTTP/2",
    }
}

/// A stream whose preface was read, and is read again; without the frames that come too late.
#[derive(Debug)]
pub(super) struct Prefaced<S> {
    stream: S,
    unread: &'static [u8],
    frames: Frames,
    /// The beginning of a frame, which has to be whole before it is handed on. Only after GOAWAY.
    held: Vec<u8>,
    /// It is handed on now.
    is_released: bool,
}

impl<S: AsyncRead + Unpin> Prefaced<S> {
    fn poll_frames(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let start = buffer.filled().len();
        while self.held.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            let came = &mut buffer.filled_mut()[start..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (kept, back) = self.frames.sift(came);
            self.held.extend_from_slice(&came[kept..][..back]);
            buffer.set_filled(start + kept);
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_head(cx, buffer)
    }

    /// Reads what is missing of a head, and hands it on from here: there may be less room than it needs.
    fn poll_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        while self.held.len() < HEAD && !self.is_released {
            let mut bytes = [0; HEAD];
            let mut rest = ReadBuf::new(&mut bytes[self.held.len()..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest))?;
            // Without more to come, it is the end as it is.
            self.is_released = rest.filled().is_empty();
            self.held.extend_from_slice(rest.filled());
        }
        if !self.is_released {
            let (kept, _) = self.frames.sift(&mut self.held);
            self.held.truncate(kept);
            self.is_released = kept > 0;
            if kept == 0 {
                return self.poll_frames(cx, buffer);
            }
        }
        let now = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..now]);
        self.held.drain(..now);
        self.is_released = !self.held.is_empty();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.unread.is_empty() {
            return self.poll_frames(cx, buffer);
        }
        let (now, later) = self.unread.split_at(self.unread.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.unread = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
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
    use super::*;

    #[tokio::test]
    async fn the_preface_is_read_again_however_it_was_cut() {
        for cut in 1..PREFACE.len() {
            let parts = (&PREFACE[..cut]).chain(&PREFACE[cut..]).chain(&b"and more"[..]);
            let mut stream = read(tokio::io::join(parts, tokio::io::sink())).await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, [PREFACE, b"and more"].concat());
        }
    }

    #[tokio::test]
    async fn what_is_late_is_missing_however_little_is_read_at_a_time() {
        let (all, rest) = super::super::late::tests::late();
        for room in 1..30 {
            let said = PREFACE.chain(&all[..]);
            let mut stream = read(tokio::io::join(said, tokio::io::sink())).await.unwrap();
            let (mut got, mut piece) = (Vec::new(), vec![0; room]);
            loop {
                match stream.read(&mut piece).await.unwrap() {
                    0 => break,
                    more => got.extend_from_slice(&piece[..more]),
                }
            }
            assert!(got == [PREFACE, &rest].concat(), "{room}");
        }
    }

    #[tokio::test]
    async fn what_is_no_preface_is_known_by_its_first_wrong_byte() {
        for (bytes, says) in [
            (&b"\x16\x03\x01"[..], "TLS"),
            (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1"),
            (b"PRI * HTTP/1.1", "HTTP/1"),
            (b"\0", "no HTTP/2"),
        ] {
            // More may come, so that only the bytes themselves can be the reason.
            let error = read(bytes.chain(tokio::io::empty())).await.unwrap_err();
            assert!(error.to_string().contains(says), "{bytes:?}: {error}");
        }
        assert_eq!(read(&PREFACE[..20]).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
