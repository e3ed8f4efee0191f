//! Renders an error as a `tonic::Status` with `google.rpc` details (google.aip.dev/193). Nothing else makes the status
//! of a failed call.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::error::Error;
use crate::gateway;
use crate::pb::rpc;
use crate::reason::Retry;
use crate::telemetry::CallEnd;

/// How long a client may take to read the status of a call that is over.
pub(super) const STATUS_FLUSH_TIME: Duration = Duration::from_secs(1);

const DOMAIN: &str = "gemini-grpc";
const ERROR_INFO: &str = "google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "google.rpc.BadRequest";
const QUOTA_FAILURE: &str = "google.rpc.QuotaFailure";
const RETRY_INFO: &str = "google.rpc.RetryInfo";
const REQUEST_INFO: &str = "google.rpc.RequestInfo";
/// The most bytes of details. Many clients accept at most 8 KiB of headers: base64 makes 4 bytes of 3, and the message
/// needs space too.
const MAX_DETAILS: usize = 4 << 10;
/// The most metadata of upstream's `ErrorInfo` that is passed on, in bytes. Entries that do not fit are left out.
const MAX_METADATA: usize = 2 << 10;

/// The status of a failed call. `ErrorInfo` and `RequestInfo` are always there, upstream's details as they came,
/// `BadRequest`, `QuotaFailure` and `RetryInfo` where they apply.
pub(super) fn status(error: &Error, request_id: &str) -> Status {
    let code = Code::from_i32(error.code() as i32);
    let message = error.to_string();
    let mut own = own_details(error, request_id);
    let upstream =
        error.call().and_then(gateway::Error::refusal).map(|body| body.details.as_slice()).unwrap_or_default();
    let mut left = MAX_DETAILS.saturating_sub(own.iter().map(Any::encoded_len).sum());
    let mut details = Vec::with_capacity(own.len() + upstream.len());
    // These are in our own details already, and a status must have only one of each.
    let is_ours = |detail: &Any| [ERROR_INFO, REQUEST_INFO, RETRY_INFO].iter().any(|name| is(detail, name));
    for detail in upstream.iter().filter(|detail| !is_ours(detail)) {
        match left.checked_sub(detail.encoded_len()) {
            Some(rest) => {
                left = rest;
                details.push(detail.clone());
            }
            None => tracing::debug!(
                request_id,
                type_url = detail.type_url,
                "an upstream error detail is too large to pass on"
            ),
        }
    }
    details.append(&mut own);
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

/// The outcome as telemetry records it.
pub(super) fn end(error: &Error) -> CallEnd {
    CallEnd { code: error.code(), reason: Some(error.reason().to_owned().into()), blame: Some(error.blame()) }
}

/// The metadata for clients that retry by themselves: when to retry, or not to (gRFC A6, Pushback).
fn pushback(error: &Error) -> MetadataMap {
    let millis = match error.retry() {
        Retry::Never => -1,
        Retry::Unsaid => return MetadataMap::new(),
        retry => i64::try_from(whole_millis(retry.delay().unwrap_or_default()).as_millis()).unwrap_or(i64::MAX),
    };
    let mut metadata = MetadataMap::with_capacity(1);
    metadata.insert("grpc-retry-pushback-ms", millis.into());
    metadata
}

/// The delay in whole milliseconds, rounded up, as the trailer has it. `RetryInfo` has the same value.
fn whole_millis(delay: Duration) -> Duration {
    let millis = delay.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn own_details(error: &Error, request_id: &str) -> Vec<Any> {
    let mut details = Vec::new();
    if let Some(gateway::Error::Invalid(violations)) = error.call() {
        let field_violations = violations.iter().map(|violation| rpc::bad_request::FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
            reason: violation.reason.to_owned(),
            ..Default::default()
        });
        details.push(any(BAD_REQUEST, &rpc::BadRequest { field_violations: field_violations.collect() }));
    }
    if let Some(gateway::Error::Malformed(fault)) = error.call() {
        let violation = rpc::bad_request::FieldViolation {
            field: fault.path(),
            description: fault.problem().to_string(),
            reason: error.reason().to_owned(),
            ..Default::default()
        };
        details.push(any(BAD_REQUEST, &rpc::BadRequest { field_violations: vec![violation] }));
    }
    if let Some(exceeded) = error.call().and_then(gateway::Error::quota) {
        let violation = rpc::quota_failure::Violation {
            subject: format!("caller:{}", exceeded.caller),
            description: exceeded.to_string(),
            quota_id: exceeded.quota.name().to_owned(),
            quota_value: i64::try_from(exceeded.limit).unwrap_or(i64::MAX),
            ..Default::default()
        };
        details.push(any(QUOTA_FAILURE, &rpc::QuotaFailure { violations: vec![violation] }));
    }
    if let Some(delay) = error.retry().delay() {
        let retry_delay = prost_types::Duration::try_from(whole_millis(delay)).ok();
        details.push(any(RETRY_INFO, &rpc::RetryInfo { retry_delay }));
    }
    details
        .push(any(REQUEST_INFO, &rpc::RequestInfo { request_id: request_id.to_owned(), serving_data: String::new() }));
    // It is the last, because Google's Python client reports the last detail as the reason.
    details.push(any(ERROR_INFO, &error_info(error)));
    details
}

/// Upstream's reason and domain, which belong together, or ours if upstream gave none. It has the metadata of both;
/// where both have a name, upstream's value takes precedence.
fn error_info(error: &Error) -> rpc::ErrorInfo {
    let mut metadata = HashMap::from([("source".to_owned(), error.blame().as_str().to_owned())]);
    if let Some(limit) = error.call().and_then(gateway::Error::limit) {
        metadata.insert("limit".to_owned(), limit.as_str().to_owned());
    }
    let Some(body) = error.call().and_then(gateway::Error::refusal) else {
        return rpc::ErrorInfo { reason: error.reason().to_owned(), domain: DOMAIN.to_owned(), metadata };
    };
    metadata.insert("upstreamStatus".to_owned(), body.status.to_string());
    let Some(info) = &body.info else {
        return rpc::ErrorInfo { reason: error.reason().to_owned(), domain: DOMAIN.to_owned(), metadata };
    };
    let mut left = MAX_METADATA;
    for (name, value) in &info.metadata {
        if let Some(rest) = left.checked_sub(name.len() + value.len()) {
            left = rest;
            metadata.insert(name.clone(), value.clone());
        }
    }
    rpc::ErrorInfo { reason: info.reason.clone(), domain: info.domain.clone(), metadata }
}

fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

fn is(detail: &Any, name: &str) -> bool {
    detail.type_url.rsplit('/').next() == Some(name)
}
