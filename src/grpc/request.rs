//! Reads the one message of a request, as the bytes that came.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue};
use hyper::body::Incoming;
use tonic::codec::{CompressionEncoding, DecodeBuf, Decoder, Streaming};
use tonic::{Code, Status};

use crate::gateway::Error;

/// Hands over the bytes of a message without decoding them.
#[derive(Debug)]
struct Raw;

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// The message of a request; unpacked it may have `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let mut messages = Streaming::new_request(Raw, body, encoding(headers)?, Some(limit));
    match messages.message().await {
        Ok(message) => message.ok_or(Error::NoMessage),
        // tonic's words for a message over the limit, as it came and unpacked.
        Err(status) if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) => {
            Err(Error::TooLarge { limit })
        }
        Err(status) => Err(Error::Framing(status.message().to_owned())),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Option<CompressionEncoding>, Error> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(CompressionEncoding::Gzip)),
        Some(_) => Err(Error::Encoding),
    }
}
