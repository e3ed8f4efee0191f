//! Renders an error as a `tonic::Status` with `google.rpc` details (google.aip.dev/193). Nothing else makes the status
//! of a failed call.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::error::Error;
use crate::face::{Failure as _, details, retry_delay};
use crate::pb::rpc;
use crate::reason::Retry;

/// How long a client may take to read the status of a call that is over.
pub(super) const STATUS_FLUSH_TIME: Duration = Duration::from_secs(1);

/// The most bytes of details. Many clients accept at most 8 KiB of headers: base64 makes 4 bytes of 3, and the message
/// needs space too.
const MAX_DETAILS: usize = 4 << 10;

/// The status of a failed call.
pub(super) fn status(error: &Error, request_id: &str) -> Status {
    let code = Code::from_i32(error.code() as i32);
    let message = error.to_string();
    let details = details(error, request_id, MAX_DETAILS);
    let encoded = rpc::Status { code: code as i32, message: message.clone(), details }.encode_to_vec();
    Status::with_details_and_metadata(code, message, encoded.into(), pushback(error))
}

/// Writes a status as the trailers, or the only headers, of a call.
///
/// A message of printable ASCII is sent as it is, as gRPC's HTTP/2 protocol allows ("Percent-Encoded"); tonic would
/// encode its spaces. gRPC C-core does not decode them when its own deadline ends the call as the trailers arrive.
/// Google's Python client then finds that the message differs from the one in the details, and raises a `ValueError`
/// instead of `DeadlineExceeded`.
pub(super) fn put(status: &Status, headers: &mut HeaderMap) {
    // Fails only for a message that HTTP cannot carry; `status` makes none.
    let _ = status.add_header(headers);
    let message = status.message();
    if !message.is_empty()
        && message.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%')
        && let Ok(plain) = HeaderValue::from_str(message)
    {
        headers.insert(Status::GRPC_MESSAGE, plain);
    }
}

/// The metadata for clients that retry by themselves: when to retry, or not to (gRFC A6, Pushback).
fn pushback(error: &Error) -> MetadataMap {
    let millis = match error.retry() {
        Retry::Never | Retry::Later(_) => -1,
        Retry::Unsaid => return MetadataMap::new(),
        Retry::Soon | Retry::After(_) => {
            i64::try_from(retry_delay(error).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
        }
    };
    let mut metadata = MetadataMap::with_capacity(1);
    metadata.insert("grpc-retry-pushback-ms", millis.into());
    metadata
}
