//! Errors in Google's shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error as Google's servers send it.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    body: Value,
}

impl Error {
    pub(super) fn new(http: u16, message: impl Into<String>, details: Value) -> Self {
        let name = match http {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ABORTED",
            429 => "RESOURCE_EXHAUSTED",
            499 => "CANCELLED",
            501 => "UNIMPLEMENTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500 => "INTERNAL",
            _ => "UNKNOWN",
        };
        let message = format!("[sandbox] {}", message.into());
        let mut error = json!({"code": http, "message": message, "status": name});
        if !details.is_null() {
            error["details"] = details;
        }
        Self { status: StatusCode::from_u16(http).unwrap_or(StatusCode::BAD_REQUEST), body: json!({"error": error}) }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message, Value::Null)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message, Value::Null)
    }

    pub(super) fn body(&self) -> &Value {
        &self.body
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
