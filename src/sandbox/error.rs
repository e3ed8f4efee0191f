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
            400 => Some("INVALID_ARGUMENT"),
            401 => Some("UNAUTHENTICATED"),
            403 => Some("PERMISSION_DENIED"),
            404 => Some("NOT_FOUND"),
            409 => Some("ABORTED"),
            429 => Some("RESOURCE_EXHAUSTED"),
            499 => Some("CANCELLED"),
            500 => Some("INTERNAL"),
            501 => Some("UNIMPLEMENTED"),
            503 => Some("UNAVAILABLE"),
            504 => Some("DEADLINE_EXCEEDED"),
            // No code of Google's becomes one of these: they come from what stands before its servers.
            _ => None,
        };
        let message = format!("[sandbox] {}", message.into());
        let mut error = json!({"code": http, "message": message});
        if let Some(name) = name {
            error["status"] = json!(name);
        }
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
