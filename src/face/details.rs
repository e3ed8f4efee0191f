//! The `google.rpc` details of a failed call (google.aip.dev/193), which every face sends in its own encoding.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use prost_types::Any;

use super::Failure;
use crate::gateway;
use crate::pb::rpc;

const DOMAIN: &str = "gemini-grpc";
const ERROR_INFO: &str = "google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "google.rpc.BadRequest";
const QUOTA_FAILURE: &str = "google.rpc.QuotaFailure";
const RETRY_INFO: &str = "google.rpc.RetryInfo";
const REQUEST_INFO: &str = "google.rpc.RequestInfo";
/// The most metadata of upstream's `ErrorInfo` that is passed on, in bytes. Entries that do not fit are left out.
const MAX_METADATA: usize = 2 << 10;

/// The details of a failed call, of at most `max_bytes` where upstream's own do not fit. `ErrorInfo` and `RequestInfo`
/// are always there, upstream's details as they came, `BadRequest`, `QuotaFailure` and `RetryInfo` where they apply.
pub fn details(error: &impl Failure, request_id: &str, max_bytes: usize) -> Vec<Any> {
    let mut own = own_details(error, request_id);
    let upstream =
        error.call().and_then(gateway::Error::refusal).map(|body| body.details.as_slice()).unwrap_or_default();
    let mut left = max_bytes.saturating_sub(own.iter().map(Any::encoded_len).sum());
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
    details
}

/// When to retry, if that may help, in whole milliseconds, rounded up. `RetryInfo` and the headers for clients that
/// retry by themselves have the same value.
pub fn retry_delay(error: &impl Failure) -> Option<Duration> {
    let millis = error.retry().delay()?.as_nanos().div_ceil(1_000_000);
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

fn own_details(error: &impl Failure, request_id: &str) -> Vec<Any> {
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
    if let Some(delay) = retry_delay(error) {
        let retry_delay = prost_types::Duration::try_from(delay).ok();
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
fn error_info(error: &impl Failure) -> rpc::ErrorInfo {
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
