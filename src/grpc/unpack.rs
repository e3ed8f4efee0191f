//! Unpacks a gzip message, without letting a few bytes become gigabytes.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use super::error::Error;
use crate::gateway::{self, Room};

/// The most that a message may grow by unpacking. JSON and text shrink to a tenth; DEFLATE reaches 1032 (zlib's
/// technical details), which nothing but an attack or an empty picture needs.
const MAX_RATIO: usize = 100;
/// A message that unpacks to no more than this may have any ratio, in bytes.
const ANY_RATIO: usize = 1 << 20;
/// Packed bytes that are given to the decoder at once. They become at most 1 MiB.
const STEP: usize = 1 << 10;
/// After this many unpacked bytes other calls of the worker get a turn: about a millisecond.
const TURN: usize = 512 << 10;

/// A message that is being unpacked.
pub(super) struct Unpacking<'r> {
    decoder: MultiGzDecoder<Unpacked<'r>>,
    /// How much was unpacked at the last turn of other calls.
    turn: usize,
}

/// What was unpacked so far.
struct Unpacked<'r> {
    bytes: Vec<u8>,
    /// The largest message taken, in bytes.
    limit: usize,
    /// The most that the packed length allows, in bytes.
    limit_by_ratio: usize,
    room: &'r mut Room,
    /// Why nothing more is taken: an `io::Error` carries no more than a kind past the decoder.
    refused: Option<gateway::Error>,
}

impl<'r> Unpacking<'r> {
    /// `packed` is the length of the packed message, and `limit` the most that it may have unpacked, in bytes.
    pub(super) fn new(packed: usize, limit: usize, room: &'r mut Room) -> Self {
        let limit_by_ratio = packed.saturating_mul(MAX_RATIO).max(ANY_RATIO);
        let unpacked = Unpacked { bytes: Vec::new(), limit, limit_by_ratio, room, refused: None };
        Self { decoder: MultiGzDecoder::new(unpacked), turn: 0 }
    }

    /// Unpacks the next piece.
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        for step in piece.chunks(STEP) {
            let written = self.decoder.write_all(step);
            self.checked(written)?;
            let unpacked = self.decoder.get_ref().bytes.len();
            if unpacked - self.turn >= TURN {
                self.turn = unpacked;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// The whole message, if its end and its checksum were there.
    pub(super) fn finish(mut self) -> Result<Bytes, Error> {
        let finished = self.decoder.try_finish();
        self.checked(finished)?;
        Ok(std::mem::take(&mut self.decoder.get_mut().bytes).into())
    }

    fn checked(&mut self, result: io::Result<()>) -> Result<(), Error> {
        let broken = |_| Error::Framing("the message is not the gzip that grpc-encoding says it is");
        result.map_err(|error| self.decoder.get_mut().refused.take().map_or_else(|| broken(error), Error::from))
    }
}

impl Unpacked<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), gateway::Error> {
        let length = self.bytes.len() + bytes.len();
        if length > self.limit {
            return Err(gateway::Error::TooLarge { limit: self.limit });
        }
        if length > self.limit_by_ratio {
            return Err(gateway::Error::TooPacked { ratio: MAX_RATIO });
        }
        if length > self.bytes.capacity() {
            self.grow(length)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Doubles the buffer. The old one is there while it is copied, and the allocator keeps it for a while.
    fn grow(&mut self, length: usize) -> Result<(), gateway::Error> {
        let before = self.bytes.capacity();
        let after = (before * 2).max(length).min(self.limit.min(self.limit_by_ratio));
        self.room.reserve(before + after)?;
        self.bytes.reserve_exact(after - self.bytes.len());
        Ok(())
    }
}

impl Write for Unpacked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
