//! Recognizes errors about the key that was sent, or about its project or account.

use super::super::code::Code;

/// Reasons of `google.api.ErrorReason` that only the owner of the key can act on, in addition to those that begin with
/// one of [`PREFIXES`] (github.com/googleapis/googleapis, google/api/error_reason.proto).
const REASONS: [&str; 18] = [
    "SERVICE_DISABLED",
    "BILLING_DISABLED",
    "USER_PROJECT_DENIED",
    "ACCOUNT_STATE_INVALID",
    "CREDENTIALS_MISSING",
    "RESOURCE_PROJECT_INVALID",
    "SERVICE_NOT_VISIBLE",
    "GCP_SUSPENDED",
    "USER_BLOCKED_BY_ADMIN",
    "OVERLOADED_CREDENTIALS",
    "SESSION_COOKIE_INVALID",
    "MISSING_ORIGIN",
    "SECURITY_POLICY_VIOLATED",
    "LOCATION_POLICY_VIOLATED",
    "LOCATION_TAX_POLICY_VIOLATED",
    "ORG_RESTRICTION_VIOLATION",
    "ORG_RESTRICTION_HEADER_INVALID",
    "RESOURCE_USAGE_RESTRICTION_VIOLATED",
];
const PREFIXES: [&str; 3] = ["API_KEY_", "ACCESS_TOKEN_", "CONSUMER_"];

/// Phrases in the messages of such errors, for upstreams that give no reason. All phrases of one row must occur.
const PHRASES: [&[&str]; 14] = [
    &["reported as leaked"],
    &["api key not valid"],
    &["api key not found"],
    &["api key expired"],
    &["invalid api key"],
    &["has not been used in project"],
    &["consumer", "suspended"],
    &["project", "suspended"],
    &["your project has been denied access"],
    &["billing account", "disabled"],
    &["account", "suspended"],
    &["requests from this", "are blocked"],
    &["requires billing to be enabled"],
    &["enable billing"],
];

/// Whether an error is about the key. Only a rejection can be, not a quota or an internal error of upstream.
pub(super) fn is_about_key(code: Code, status: u16, reason: Option<&str>, message: &str) -> bool {
    let refuses = matches!(status, 400 | 401 | 403) || matches!(code, Code::Unauthenticated | Code::PermissionDenied);
    if !refuses {
        return false;
    }
    let is_reason =
        |reason: &str| REASONS.contains(&reason) || PREFIXES.iter().any(|prefix| reason.starts_with(prefix));
    let mut message = message.to_ascii_lowercase();
    if status == 400 {
        // The message may quote the request. Only the part before the first quote counts, so that a caller cannot make
        // its own mistake look like a problem with the gateway's key.
        message.truncate(message.find(['"', '\'', '`', '\n']).unwrap_or(message.len()));
    }
    reason.is_some_and(is_reason) || PHRASES.iter().any(|phrases| phrases.iter().all(|phrase| message.contains(phrase)))
}
