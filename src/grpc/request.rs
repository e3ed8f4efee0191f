//! Reads the one message of a request, as the bytes that came.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::unpack::Unpacking;
use crate::gateway::{Error, Room};

/// The most that is read of a request that was refused, in bytes, and for how long.
const MAX_DISCARDED: usize = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// What stands before a message: whether it is compressed, and its length (gRPC over HTTP/2).
const PREFIX: usize = 5;

/// A request whose length is known, and of which little more was read.
pub(super) struct Upload {
    begun: Bytes,
    body: Incoming,
    gzip: bool,
    announced: usize,
}

/// Reads as far as the length of the message.
pub(super) async fn begin(headers: &HeaderMap, mut body: Incoming, limit: usize) -> Result<Upload, Error> {
    let gzip = is_gzip(headers)?;
    let mut begun = Bytes::new();
    let (compressed, announced) = loop {
        if let [flag @ (0 | 1), length @ ..] = &begun[..]
            && let Some(length) = length.first_chunk()
        {
            break (*flag == 1, u32::from_be_bytes(*length) as usize);
        }
        if begun.first().is_some_and(|flag| *flag > 1) {
            return Err(Error::Framing("the compression flag of the message is neither 0 nor 1".to_owned()));
        }
        let Some(piece) = next(&mut body).await? else {
            return Err(if begun.is_empty() { Error::NoMessage } else { broken_off() });
        };
        begun = if begun.is_empty() { piece } else { [&begun[..], &piece[..]].concat().into() };
    };
    if compressed && !gzip {
        return Err(Error::Framing("the message is compressed, but no grpc-encoding says how".to_owned()));
    }
    if announced > limit {
        return Err(Error::TooLarge { limit });
    }
    Ok(Upload { begun, body, gzip: compressed, announced })
}

impl Upload {
    /// The length of the message, as it comes.
    pub(super) fn announced(&self) -> usize {
        self.announced
    }

    /// The message. Unpacked it may have `limit` bytes, for which room is reserved before they are there.
    pub(super) async fn message(self, limit: usize, room: &mut Room) -> Result<Bytes, Error> {
        if self.gzip { self.unpack(limit, room).await } else { self.plain().await }
    }

    /// As it came. In one piece, as most come, it is not copied.
    async fn plain(mut self) -> Result<Bytes, Error> {
        let whole = PREFIX + self.announced;
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
        Ok(self.begun.split_off(PREFIX))
    }

    /// Unpacks each piece as it comes, so that the packed message is never in memory as a whole.
    async fn unpack(mut self, limit: usize, room: &mut Room) -> Result<Bytes, Error> {
        let mut unpacking = Unpacking::new(self.announced, limit, room);
        let mut piece = self.begun.split_off(PREFIX);
        let mut left = self.announced;
        loop {
            left = left.checked_sub(piece.len()).ok_or_else(too_many)?;
            unpacking.write(&piece).await?;
            if left == 0 {
                return unpacking.finish();
            }
            piece = next(&mut self.body).await?.ok_or_else(broken_off)?;
        }
    }
}

fn too_many() -> Error {
    Error::Framing("there is more than one message".to_owned())
}

fn broken_off() -> Error {
    Error::Framing("the message breaks off".to_owned())
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| broken_off())?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads what a caller still sends to a call that was refused, and drops it.
///
/// Without this HTTP/2 resets the stream. It remembers few such streams, and takes each frame that comes for one it has
/// forgotten as an error of the caller; after a thousand of them it closes the connection, with all its calls.
pub(super) fn discard(mut body: Incoming) {
    tokio::spawn(async move {
        let reading = async {
            let mut left = MAX_DISCARDED;
            while let Ok(Some(piece)) = next(&mut body).await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    break;
                }
            }
        };
        // What is sent later, or is more, is reset.
        let _ = timeout(DISCARD_TIMEOUT, reading).await;
    });
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Error::Encoding),
    }
}
