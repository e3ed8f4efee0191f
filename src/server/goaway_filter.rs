//! Works around a fault of h2: drops WINDOW_UPDATE frames of streams that were opened after GOAWAY.
//!
//! After GOAWAY a server ignores streams above the last one that it names (RFC 9113, 6.8), because a client may have sent
//! their first frames before it knew. h2 0.4.20 ignores all of their frames except for WINDOW_UPDATE: it takes the stream
//! for idle, which is an error of the whole connection, and every call on it breaks. gRPC's own clients send such a frame
//! right behind the headers of a call. `h2_still_breaks_the_connection` in the tests fails when this file may go.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The header of a frame, in bytes.
const HEADER: usize = 9;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// Payload of the PING that h2 sends behind its first GOAWAY. When the client acknowledges it, h2 sends a second GOAWAY with
/// the highest stream that it has seen, and ignores later streams.
const SHUTDOWN_PING: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

/// Follows the frames of a connection as they are read, and finds those to drop.
#[derive(Debug, Default)]
struct FrameFilter {
    /// The header of the current frame, of which `header_len` bytes have come.
    header: [u8; HEADER],
    header_len: usize,
    /// How many bytes of the frame's payload are still to come.
    payload_left: usize,
    /// Whether the frame is dropped.
    is_dropped: bool,
    /// The payload of a PING acknowledgement, as far as it has come.
    ping_ack: Option<[u8; SHUTDOWN_PING.len()]>,
    /// The highest stream that was opened. It stays the last one once the shutdown PING is acknowledged.
    last_stream: u32,
    is_shutting_down: bool,
}

impl FrameFilter {
    /// Filters `bytes` in place and returns `(kept, pending)`. The first `kept` bytes go on. The next `pending` bytes are the
    /// beginning of a frame header that cannot be judged yet: they are to be prepended to the next read.
    fn filter(&mut self, bytes: &mut [u8]) -> (usize, usize) {
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            let wanted = if self.payload_left == 0 { HEADER - self.header_len } else { self.payload_left };
            let piece = read..bytes.len().min(read + wanted);
            read = piece.end;
            if self.payload_left > 0 {
                self.read_payload(&bytes[piece.clone()]);
            } else if self.read_header(&bytes[piece.clone()]) {
                self.begin_frame();
            } else if self.is_shutting_down {
                let pending = piece.len();
                bytes.copy_within(piece, kept);
                self.header_len = 0;
                return (kept, pending);
            }
            if !self.is_dropped {
                let more = piece.len();
                // Nothing moves until a frame was dropped.
                if kept < piece.start {
                    bytes.copy_within(piece, kept);
                }
                kept += more;
            }
        }
        (kept, 0)
    }

    /// Adds a piece of a header; returns whether it is complete.
    fn read_header(&mut self, bytes: &[u8]) -> bool {
        self.header[self.header_len..][..bytes.len()].copy_from_slice(bytes);
        self.header_len += bytes.len();
        self.header_len == HEADER
    }

    /// Reads a complete header.
    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        // The highest bit is reserved.
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        self.header_len = 0;
        self.payload_left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.is_dropped = self.is_shutting_down && kind == WINDOW_UPDATE && stream > self.last_stream;
        let is_ping_ack = kind == PING && flags & ACK != 0 && self.payload_left == SHUTDOWN_PING.len();
        self.ping_ack = is_ping_ack.then_some([0; SHUTDOWN_PING.len()]);
        if kind == HEADERS && !self.is_shutting_down {
            self.last_stream = self.last_stream.max(stream);
        }
    }

    /// Adds a piece of a payload.
    fn read_payload(&mut self, bytes: &[u8]) {
        if let Some(payload) = &mut self.ping_ack {
            payload[SHUTDOWN_PING.len() - self.payload_left..][..bytes.len()].copy_from_slice(bytes);
        }
        self.payload_left -= bytes.len();
        self.is_shutting_down |= self.payload_left == 0 && self.ping_ack == Some(SHUTDOWN_PING);
    }
}

/// The frames of a stream, without those that the filter drops.
#[derive(Debug)]
pub(super) struct FilteredStream<S> {
    stream: S,
    filter: FrameFilter,
    /// Bytes to return before `stream` is read: the preface, later a frame header that was not complete when it was read.
    prefix: Vec<u8>,
    /// Whether `prefix` may be returned. After GOAWAY a header waits until it is complete.
    is_prefix_ready: bool,
}

impl<S> FilteredStream<S> {
    /// `prefix` is read before `stream` and is no frame; the next byte of `stream` begins the first frame.
    pub(super) fn new(prefix: &[u8], stream: S) -> Self {
        Self { stream, filter: FrameFilter::default(), prefix: prefix.to_vec(), is_prefix_ready: !prefix.is_empty() }
    }
}

impl<S: AsyncRead + Unpin> FilteredStream<S> {
    /// Reads more of an incomplete header, and filters it once it is complete.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut bytes = [0; HEADER];
        let mut rest = ReadBuf::new(&mut bytes[self.prefix.len()..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest))?;
        self.prefix.extend_from_slice(rest.filled());
        if rest.filled().is_empty() {
            // The stream ended inside of a header: h2 reports that.
            self.is_prefix_ready = true;
        } else if self.prefix.len() == HEADER {
            let (kept, _) = self.filter.filter(&mut self.prefix);
            self.prefix.truncate(kept);
            self.is_prefix_ready = kept > 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FilteredStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        loop {
            if this.is_prefix_ready {
                let returned = this.prefix.len().min(buffer.remaining());
                buffer.put_slice(&this.prefix[..returned]);
                this.prefix.drain(..returned);
                this.is_prefix_ready = !this.prefix.is_empty();
                return Poll::Ready(Ok(()));
            }
            if !this.prefix.is_empty() {
                ready!(this.poll_header(cx))?;
                continue;
            }
            let start = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let new = &mut buffer.filled_mut()[start..];
            let is_end = new.is_empty();
            let (kept, pending) = this.filter.filter(new);
            this.prefix.extend_from_slice(&new[kept..][..pending]);
            buffer.set_filled(start + kept);
            // Zero bytes would mean the end of the stream, so after a dropped frame it is read again.
            if kept > 0 || is_end {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FilteredStream<S> {
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
mod tests;
