//! What an error of the gateway says, out of its details.

use std::fmt::Write as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

/// An error of a call, explained. docs/errors.md of the gateway lists the reasons.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    /// Stable, for programs, such as `REQUEST_INVALID`. Empty if the error does not come from the gateway.
    pub reason: String,
    /// Each field of the request that breaks a rule, and the rule.
    pub violations: Vec<FieldViolation>,
    /// How long to wait before a retry, if one may help.
    pub retry_delay: Option<Duration>,
    /// To quote to support. Empty if the error does not come from the gateway.
    pub request_id: String,
}

/// Reads the details of an error.
pub fn explain(status: &Status) -> Failure {
    let details = status.get_error_details();
    let in_metadata = || status.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
    Failure {
        code: status.code(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        retry_delay: details.retry_info().and_then(|info| info.retry_delay),
        request_id: details
            .request_info()
            .map(|info| info.request_id.as_str())
            .or_else(in_metadata)
            .unwrap_or_default()
            .to_owned(),
        violations: details.bad_request().map(|request| request.field_violations.clone()).unwrap_or_default(),
    }
}

/// The name of a code as the gRPC specification has it, such as `DEADLINE_EXCEEDED`.
pub fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        let _ = write!(name, "{}", letter.to_ascii_uppercase());
    }
    name
}
