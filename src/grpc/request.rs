//! Reads the one message of a request, as the bytes that came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tonic::codec::{CompressionEncoding, DecodeBuf, Decoder, Streaming};
use tonic::{Code, Status};

use crate::gateway::Error;

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

    /// The message; unpacked it may have `limit` bytes.
    pub(super) async fn message(self, limit: usize) -> Result<Bytes, Error> {
        if self.gzip { self.unpack(limit).await } else { self.plain().await }
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
            return Err(Error::Framing("there is more than one message".to_owned()));
        }
        Ok(self.begun.split_off(PREFIX))
    }

    async fn unpack(self, limit: usize) -> Result<Bytes, Error> {
        let body = Begun { begun: Some(self.begun), rest: self.body };
        let mut messages = Streaming::new_request(Raw, body, Some(CompressionEncoding::Gzip), Some(limit));
        match messages.message().await {
            Ok(message) => message.ok_or(Error::NoMessage),
            // tonic's words for a message over the limit, as it came and unpacked.
            Err(status) if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) => {
                Err(Error::TooLarge { limit })
            }
            Err(status) => Err(Error::Framing(status.message().to_owned())),
        }
    }
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

fn is_gzip(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Error::Encoding),
    }
}

/// A body whose beginning was read already.
struct Begun {
    begun: Option<Bytes>,
    rest: Incoming,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.begun.take() {
            Some(begun) => Poll::Ready(Some(Ok(Frame::data(begun)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }
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
