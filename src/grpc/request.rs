//! Reads the message of a request, as wire bytes.
//!
//! Not by tonic's decoder, which reads a message before anything can refuse it: here its length is checked and its
//! memory reserved first.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::error::Error;
use crate::face::{RequestBody, UnpackError, Unpacking};
use crate::gateway::{self, UploadMemory};

/// The bytes before a message: whether it is compressed, and its length (gRPC over HTTP/2).
const PREFIX_BYTES: usize = 5;

/// A request of which the prefix was read, and little more.
pub(super) struct Prefixed<B> {
    /// What was read, with the prefix.
    begun: Bytes,
    body: B,
    gzip: bool,
    /// The length of the message as it comes, in bytes.
    announced: usize,
}

/// Reads the prefix. Fails if the message is longer than `limit`, in bytes, before any of it is read.
pub(super) async fn read_prefix<B: RequestBody>(
    headers: &HeaderMap,
    mut body: B,
    limit: usize,
) -> Result<Prefixed<B>, Error> {
    let gzip = is_gzip(headers)?;
    let mut begun = Bytes::new();
    let (compressed, announced) = loop {
        if let [flag @ (0 | 1), length @ ..] = &begun[..]
            && let Some(length) = length.first_chunk()
        {
            break (*flag == 1, u32::from_be_bytes(*length) as usize);
        }
        if begun.first().is_some_and(|flag| *flag > 1) {
            return Err(Error::Framing("the compression flag of the message is neither 0 nor 1"));
        }
        let Some(piece) = next(&mut body).await? else {
            return Err(if begun.is_empty() { Error::NoMessage } else { broken_off() });
        };
        begun = if begun.is_empty() { piece } else { [&begun[..], &piece[..]].concat().into() };
    };
    if compressed && !gzip {
        return Err(Error::Framing("the message is compressed, but no grpc-encoding says how"));
    }
    if announced > limit {
        return Err(gateway::Error::TooLarge { limit }.into());
    }
    Ok(Prefixed { begun, body, gzip: compressed, announced })
}

impl<B: RequestBody> Prefixed<B> {
    /// The length of the message, as it comes.
    pub(super) fn announced(&self) -> usize {
        self.announced
    }

    /// The message, of at most `limit` bytes unpacked. Memory for them is reserved in `memory` before it is used.
    pub(super) async fn message(self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        if self.gzip { self.unpack(limit, memory).await } else { self.plain().await }
    }

    /// The message as it came. Most come in one piece, which is not copied.
    async fn plain(mut self) -> Result<Bytes, Error> {
        let whole = PREFIX_BYTES + self.announced;
        if self.begun.len() < whole {
            let mut gathered = BytesMut::with_capacity(whole);
            gathered.extend_from_slice(&std::mem::take(&mut self.begun));
            while gathered.len() < whole {
                gathered.extend_from_slice(&next(&mut self.body).await?.ok_or_else(broken_off)?);
            }
            self.begun = gathered.freeze();
        }
        if self.begun.len() > whole {
            return Err(too_many());
        }
        Ok(self.begun.split_off(PREFIX_BYTES))
    }

    /// Unpacks each piece as it comes, so that the packed message is never in memory as a whole.
    async fn unpack(mut self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        let mut unpacking = Unpacking::new(self.announced, limit, memory);
        let mut piece = self.begun.split_off(PREFIX_BYTES);
        let mut left = self.announced;
        loop {
            left = left.checked_sub(piece.len()).ok_or_else(too_many)?;
            unpacking.write(&piece).await?;
            if left == 0 {
                return Ok(unpacking.finish()?);
            }
            piece = next(&mut self.body).await?.ok_or_else(broken_off)?;
        }
    }
}

impl From<UnpackError> for Error {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::NotGzip => Self::Framing("the message is not the gzip that grpc-encoding says it is"),
            UnpackError::Refused(error) => error.into(),
        }
    }
}

fn too_many() -> Error {
    Error::Framing("there is more than one message")
}

fn broken_off() -> Error {
    Error::Framing("the message breaks off")
}

async fn next(body: &mut impl RequestBody) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| broken_off())?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Error::Encoding),
    }
}
