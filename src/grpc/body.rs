//! The framing of a response: gRPC's five bytes before each message, then the status.
//!
//! Ours instead of tonic's, because tonic's encoder copies each message into a buffer of its own. The reservation of
//! the message's bytes would be released then, while HTTP/2 still keeps the copy, and the limit of bytes would not hold
//! for images.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use http::HeaderMap;

use super::error::Error;
use super::{orca, status};
use crate::face::{Failure as _, Framing, Large, NO_COPY_FROM, put_model_used};
use crate::gateway::{self, Load, Message};
use crate::telemetry::{CallEnd, CallSpan};

#[derive(Debug)]
pub(super) struct GrpcFraming {
    /// Whether the trailers name the model that answered, because the headers were sent before it was known.
    names_model: bool,
    /// The load that the trailers report, if they do.
    load: Option<Arc<Load>>,
}

impl GrpcFraming {
    /// The framing of a response whose headers are sent now.
    pub(super) fn new(span: &CallSpan, load: Option<Arc<Load>>) -> Self {
        Self { names_model: span.model_used().is_none(), load }
    }
}

impl Framing for GrpcFraming {
    fn message(&mut self, message: Message, batch: &mut BytesMut) -> Option<Large> {
        let bytes = message.as_ref();
        let large = bytes.len() >= NO_COPY_FROM;
        batch.reserve(5 + if large { 0 } else { bytes.len() });
        batch.put_u8(0);
        // Limits keep a message far below 4 GiB.
        batch.put_u32(bytes.len() as u32);
        if large {
            return Some(Large { bytes: message.into_bytes(), suffix: b"" });
        }
        batch.put_slice(bytes);
        None
    }

    fn end(
        &mut self,
        error: Option<gateway::Error>,
        span: &CallSpan,
        _: &mut BytesMut,
    ) -> (Option<HeaderMap>, CallEnd) {
        let (status, end) = match error.map(Error::from) {
            Some(error) => (status::status(&error, span.request_id()), error.end()),
            None => (tonic::Status::ok(""), CallEnd::OK),
        };
        let mut trailers = HeaderMap::new();
        status::put(&status, &mut trailers);
        if self.names_model {
            put_model_used(&mut trailers, span);
        }
        if let Some(load) = &self.load {
            orca::put(load, &mut trailers);
        }
        (Some(trailers), end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::face::ResponseBody;

    #[tokio::test]
    async fn a_panic_in_the_middle_of_a_stream_is_its_end() {
        let reply = ResponseBody::panicking(GrpcFraming { names_model: false, load: None });
        let trailers = reply.collect().await.unwrap().trailers().cloned().unwrap();
        let status = tonic::Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!status.message().contains("prompt"));
    }
}
