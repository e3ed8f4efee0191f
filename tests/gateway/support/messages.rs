//! Requests, answers and request bodies.

use bytes::Bytes;
use gemini_grpc::pb::gemini::{Content, GenerateContentRequest, GenerateContentResponse, Part, part};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio_stream::StreamExt as _;
use tonic::Status;

pub fn prompt(text: &str) -> GenerateContentRequest {
    let part = Part { data: Some(part::Data::Text(text.into())), ..Default::default() };
    let content = Content { parts: vec![part], role: "user".into(), ..Default::default() };
    GenerateContentRequest { model: "models/gemini-2.5-flash".into(), contents: vec![content], ..Default::default() }
}

pub fn text(message: &GenerateContentResponse) -> String {
    let parts = message.candidates.iter().filter_map(|c| c.content.as_ref()).flat_map(|c| &c.parts);
    parts
        .filter_map(|part| if let Some(part::Data::Text(text)) = &part.data { Some(text.as_str()) } else { None })
        .collect()
}

/// A body that is sent in these pieces.
pub fn body(pieces: impl IntoIterator<Item = Vec<u8>>) -> tonic::body::Body {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece)))).collect();
    tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// A body with one byte of a message of ten bytes, which never continues.
pub fn unfinished_body() -> tonic::body::Body {
    let start = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 10, 10]));
    tonic::body::Body::new(StreamBody::new(tokio_stream::iter([Ok::<_, Status>(start)]).chain(tokio_stream::pending())))
}
