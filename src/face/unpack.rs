//! Unpacks a gzip message, in limited time and memory: a few packed bytes can become gigabytes.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::gateway::{self, UploadMemory};

/// The most that a message may grow by unpacking. Text packs to about a tenth. DEFLATE can reach 1032 (zlib's technical
/// details), but only for an attack or an empty image.
const MAX_RATIO: usize = 100;
/// Messages up to this unpacked length may have any ratio, in bytes.
const ANY_RATIO_BYTES: usize = 1 << 20;
/// How many packed bytes the decoder gets at once. They become at most 1 MiB.
const PACKED_CHUNK_BYTES: usize = 1 << 10;
/// After this many unpacked bytes, which take about a millisecond, other calls of the worker get a turn.
const YIELD_AFTER_BYTES: usize = 512 << 10;

/// Why a message cannot be unpacked.
#[derive(Debug)]
pub enum UnpackError {
    /// It is not gzip, or it breaks off, or its checksum is wrong.
    NotGzip,
    Refused(gateway::Error),
}

/// A message that is being unpacked.
#[derive(Debug)]
pub struct Unpacking<'r> {
    decoder: MultiGzDecoder<Unpacked<'r>>,
    /// The unpacked length when other calls last got a turn, in bytes.
    turn: usize,
}

/// What was unpacked so far, and the limits of the rest.
#[derive(Debug)]
struct Unpacked<'r> {
    bytes: Vec<u8>,
    /// The largest message that is accepted, in bytes.
    limit: usize,
    /// The most that the packed length allows, in bytes.
    limit_by_ratio: usize,
    memory: &'r mut UploadMemory,
    /// Why the message was refused. The decoder passes on only the kind of an `io::Error`, so it is kept here.
    refused: Option<gateway::Error>,
}

impl<'r> Unpacking<'r> {
    /// `packed` is the length of the packed message, `limit` the longest unpacked one, both in bytes.
    pub fn new(packed: usize, limit: usize, memory: &'r mut UploadMemory) -> Self {
        let unpacked = Unpacked { bytes: Vec::new(), limit, limit_by_ratio: by_ratio(packed), memory, refused: None };
        Self { decoder: MultiGzDecoder::new(unpacked), turn: 0 }
    }

    /// Sets the length of the packed message, where it is not known before the message.
    pub fn set_packed(&mut self, packed: usize) {
        self.decoder.get_mut().limit_by_ratio = by_ratio(packed);
    }

    /// Unpacks the next piece.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        for step in piece.chunks(PACKED_CHUNK_BYTES) {
            let written = self.decoder.write_all(step);
            self.checked(written)?;
            let unpacked = self.decoder.get_ref().bytes.len();
            if unpacked - self.turn >= YIELD_AFTER_BYTES {
                self.turn = unpacked;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// The message, if it was complete and its checksum is right.
    pub fn finish(mut self) -> Result<Bytes, UnpackError> {
        let finished = self.decoder.try_finish();
        self.checked(finished)?;
        Ok(std::mem::take(&mut self.decoder.get_mut().bytes).into())
    }

    fn checked(&mut self, result: io::Result<()>) -> Result<(), UnpackError> {
        result.map_err(|_| match self.decoder.get_mut().refused.take() {
            Some(error) => UnpackError::Refused(error),
            None => UnpackError::NotGzip,
        })
    }
}

/// The longest message that this many packed bytes may unpack to.
fn by_ratio(packed: usize) -> usize {
    packed.saturating_mul(MAX_RATIO).max(ANY_RATIO_BYTES)
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

    /// Doubles the buffer. The reservation includes the old one, which exists while it is copied, and which the
    /// allocator keeps for a while.
    fn grow(&mut self, length: usize) -> Result<(), gateway::Error> {
        let before = self.bytes.capacity();
        let after = (before * 2).max(length).min(self.limit.min(self.limit_by_ratio));
        self.memory.reserve(before + after)?;
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
