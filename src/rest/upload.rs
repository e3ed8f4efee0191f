//! Reads the body of a request, unpacked and within its limit.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::error::Error;
use super::headers::is_json;
use crate::face::{RequestBody, Unpacking};
use crate::gateway::{self, UploadMemory};

/// A body that has not been read yet.
pub(super) struct Upload<B> {
    body: B,
    is_gzip: bool,
    /// Its length as it comes, in bytes, if that is known.
    announced: Option<usize>,
}

impl<B: RequestBody> Upload<B> {
    /// Checks the headers that describe the body.
    pub(super) fn new(headers: &HeaderMap, body: B) -> Result<Self, (Error, B)> {
        if !is_json(headers) {
            return Err((Error::ContentType, body));
        }
        let encoding = headers.get(CONTENT_ENCODING).map_or(&b"identity"[..], HeaderValue::as_bytes);
        let is_gzip = encoding.eq_ignore_ascii_case(b"gzip");
        if !is_gzip && !encoding.eq_ignore_ascii_case(b"identity") {
            return Err((Error::Encoding, body));
        }
        let announced = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        Ok(Self { body, is_gzip, announced })
    }

    /// The body, for a call that is refused.
    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// The body, of at most `limit` bytes unpacked. Memory for it is reserved in `memory` before it is used.
    pub(super) async fn read(self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        if self.announced.is_some_and(|length| length > limit) {
            return Err(gateway::Error::TooLarge { limit }.into());
        }
        match (self.is_gzip, self.announced) {
            (true, _) => self.unpack(limit, memory).await,
            (false, Some(length)) => self.announced(length, memory).await,
            (false, None) => self.unannounced(limit, memory).await,
        }
    }

    /// A body whose length is known. Most come in one piece, which is not copied.
    async fn announced(mut self, length: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        memory.reserve_message(length)?;
        let first = next(&mut self.body).await?.unwrap_or_default();
        if first.len() == length {
            return Ok(first);
        }
        let mut gathered = BytesMut::with_capacity(length);
        gathered.extend_from_slice(&first);
        drop(first);
        while let Some(piece) = next(&mut self.body).await? {
            gathered.extend_from_slice(&piece);
        }
        Ok(gathered.freeze())
    }

    /// A body whose length is only known at its end. Its buffer is doubled each time it is full.
    async fn unannounced(mut self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        let mut gathered = Vec::new();
        while let Some(piece) = next(&mut self.body).await? {
            let length = gathered.len() + piece.len();
            if length > limit {
                return Err(gateway::Error::TooLarge { limit }.into());
            }
            if length > gathered.capacity() {
                let capacity = (gathered.capacity() * 2).max(length).min(limit);
                // Both buffers exist while the bytes are copied.
                memory.reserve(gathered.capacity() + capacity)?;
                gathered.reserve_exact(capacity - gathered.len());
            }
            gathered.extend_from_slice(&piece);
        }
        memory.reserve_message(gathered.capacity())?;
        Ok(gathered.into())
    }

    /// Unpacks each piece as it comes, so that the packed body is never in memory as a whole.
    async fn unpack(mut self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        let mut packed = self.announced.unwrap_or_default();
        let mut read = 0;
        let mut unpacking = Unpacking::new(packed, limit, memory);
        while let Some(piece) = next(&mut self.body).await? {
            read += piece.len();
            if read > packed {
                if read > limit {
                    return Err(gateway::Error::TooLarge { limit }.into());
                }
                packed = read;
                unpacking.set_packed(packed);
            }
            unpacking.write(&piece).await?;
        }
        let body = unpacking.finish()?;
        memory.reserve_message(body.len())?;
        Ok(body)
    }
}

async fn next(body: &mut impl RequestBody) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Error::Body("breaks off"))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
