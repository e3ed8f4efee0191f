//! The body of a request.

use bytes::Bytes;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any body that a face can read: hyper's, or that of a layer in front of the face.
pub trait RequestBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static> RequestBody for B {}
