//! Renders a failed call as Google's envelope: `{"error":{"code":…,"message":…,"status":…,"details":[…]}}`.

use http::StatusCode;
use prost_types::Any;

use super::unserved;
use crate::face::{Failure, InvalidHeader, UnpackError, details};
use crate::gateway;
use crate::gemini::json::to_json;
use crate::reason::{Row, reasons};

/// The most bytes of upstream's details, on the wire.
const MAX_DETAILS: usize = 64 << 10;

/// A failed call, as this face renders it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Call(#[from] gateway::Error),
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    #[error("this path is not served here: {advice}")]
    NotServed { advice: &'static str },
    #[error("{action} is not served here: {}", unserved::advice_for_method(action))]
    NotOffered { action: String },
    #[error("this path takes {allowed} only")]
    Method { allowed: &'static str },
    #[error("the content-type of the request has to be application/json")]
    ContentType,
    #[error("the content-encoding of the request is not supported; send gzip, or none")]
    Encoding,
    #[error("the body of the request {0}")]
    Body(&'static str),
    #[error(
        "web pages of this origin may not call this gateway; its operator can allow it with GEMINI_GRPC_CORS_ORIGINS"
    )]
    Origin,
}

// One row for each variant, and one in docs/errors.md for each new reason.
reasons! {
    Error {
        Self::Header(_) => InvalidArgument, "METADATA_INVALID", Caller, Unsaid, Other;
        Self::NotServed { .. } => NotFound, "PATH_NOT_SERVED", Caller, Unsaid, Other;
        Self::NotOffered { .. } => Unimplemented, "METHOD_NOT_OFFERED", Caller, Unsaid, Other;
        Self::Method { .. } => InvalidArgument, "HTTP_METHOD_NOT_ALLOWED", Caller, Unsaid, Other;
        Self::ContentType => InvalidArgument, "CONTENT_TYPE_NOT_JSON", Caller, Unsaid, Other;
        Self::Encoding => Unimplemented, "ENCODING_UNKNOWN", Caller, Unsaid, Other;
        Self::Body(_) => InvalidArgument, "REQUEST_MALFORMED", Caller, Unsaid, Other;
        Self::Origin => PermissionDenied, "ORIGIN_NOT_ALLOWED", Caller, Unsaid, Other;
    } else {
        Self::Call(error) => error.row();
    }
}

impl Failure for Error {
    fn call(&self) -> Option<&gateway::Error> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    fn row(&self) -> Row {
        Self::row(self)
    }
}

impl From<UnpackError> for Error {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::NotGzip => Self::Body("is not the gzip that content-encoding says it is"),
            UnpackError::Refused(error) => error.into(),
        }
    }
}

impl Error {
    /// The HTTP status: HTTP's own where it has one, otherwise the one that Google gives the code.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Call(gateway::Error::TooLarge { .. } | gateway::Error::TooPacked { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            _ => StatusCode::from_u16(self.code().to_http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The envelope, on one line. `error` is its only member: SDKs look for it first.
    pub(super) fn envelope(&self, request_id: &str) -> String {
        let message = serde_json::Value::from(self.to_string());
        let details: Vec<_> = details(self, request_id, MAX_DETAILS).iter().filter_map(detail).collect();
        let (code, status, details) = (self.status().as_u16(), self.code().as_str(), details.join(","));
        format!(r#"{{"error":{{"code":{code},"message":{message},"status":"{status}","details":[{details}]}}}}"#)
    }
}

/// A detail as JSON, with its type; `None` if it has no JSON form.
fn detail(any: &Any) -> Option<String> {
    let name = any.type_url.rsplit('/').next()?;
    let json = String::from_utf8(to_json(name, &any.value).ok()?).ok()?;
    if name == "google.protobuf.Struct" {
        // A detail of an unknown type, with its type among its members.
        return Some(json);
    }
    let members = json.strip_prefix('{')?;
    let comma = if members.starts_with('}') { "" } else { "," };
    Some(format!(r#"{{"@type":"{}"{comma}{members}"#, any.type_url))
}

/// The rows of the errors that only this face has.
#[cfg(test)]
pub(crate) fn rows() -> &'static [Row] {
    Error::ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statuses_that_only_http_has_are_used() {
        for (error, status) in [
            (Error::Method { allowed: "POST" }, 405),
            (Error::ContentType, 415),
            (Error::Encoding, 415),
            (gateway::Error::TooLarge { limit: 1 }.into(), 413),
            (gateway::Error::TooPacked { ratio: 1 }.into(), 413),
            (gateway::Error::TooManyCalls { cap: 1 }.into(), 429),
            (Error::Origin, 403),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error}");
            let envelope: serde_json::Value = serde_json::from_str(&error.envelope("an-id")).unwrap_or_default();
            assert_eq!(envelope["error"]["code"], status, "{error}");
        }
    }

    #[test]
    fn a_message_is_escaped_and_a_detail_without_members_is_valid() {
        let error = Error::NotOffered { action: "a\"b\n\u{1}".to_owned() };
        let envelope = error.envelope("an-id");
        assert!(!envelope.contains('\n'));
        let envelope: serde_json::Value = serde_json::from_str(&envelope).unwrap_or_default();
        assert!(envelope["error"]["message"].as_str().is_some_and(|message| message.starts_with("a\"b\n\u{1} is not")));
        let empty = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: Vec::new() };
        assert_eq!(detail(&empty).as_deref(), Some(r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo"}"#));
    }
}
