//! How a request to upstream, or all of an operation, ended.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};
use opentelemetry_sdk::trace::Span;

use super::names::attribute;
use crate::reason::ErrorKind;

/// How something ended that upstream was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed(ErrorKind),
    /// Nobody waited for its end.
    GivenUp,
}

impl Outcome {
    /// The outcome of a result.
    pub fn of(error: Option<ErrorKind>) -> Self {
        error.map_or(Self::Succeeded, Self::Failed)
    }

    /// The `error.type`, unless it succeeded.
    pub(super) fn error(self) -> Option<ErrorKind> {
        match self {
            Self::Succeeded => None,
            Self::Failed(kind) => Some(kind),
            Self::GivenUp => Some(ErrorKind::Cancelled),
        }
    }
}

/// Ends a span with an outcome.
pub(super) fn end(span: &mut Span, outcome: Outcome) {
    if let Some(error) = outcome.error() {
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error.as_str()));
        span.set_status(Status::error(""));
    }
    span.end();
}
