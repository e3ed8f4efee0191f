//! Reads the one message of a request, as the bytes that came.

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use hyper::body::Incoming;
use tonic::codec::{CompressionEncoding, DecodeBuf, Decoder, Streaming};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::gateway;

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Error {
    Refused(gateway::Error),
    /// What tonic says of a transport that broke or of bytes that are not gRPC.
    Transport(Status),
}

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

/// The message of a request with one message; unpacked it may have `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let encoding = encoding(headers).map_err(Error::Transport)?;
    let mut messages = Streaming::new_request(Raw, body, encoding, Some(limit));
    match messages.message().await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(Error::Refused(gateway::Error::NoMessage)),
        // tonic's word for a message over the limit; gRPC's own libraries say RESOURCE_EXHAUSTED.
        Err(status) if status.code() == Code::OutOfRange => Err(Error::Refused(gateway::Error::TooLarge { limit })),
        Err(status) => Err(Error::Transport(status)),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Option<CompressionEncoding>, Status> {
    match headers.get("grpc-encoding").map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(CompressionEncoding::Gzip)),
        Some(_) => {
            let mut status =
                Status::unimplemented("the grpc-encoding of the request is not known; gzip and identity are");
            status.metadata_mut().insert("grpc-accept-encoding", MetadataValue::from_static("identity,gzip"));
            Err(status)
        }
    }
}
