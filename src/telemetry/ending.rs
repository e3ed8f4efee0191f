//! How something ended that was asked of upstream.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};
use opentelemetry_sdk::trace::Span;

use super::names::attribute;

/// Well, with an `error.type`, or not at all: then it was given up.
#[derive(Debug, Default)]
pub(super) struct Ending(Option<Option<Cow<'static, str>>>);

impl Ending {
    /// The first word counts.
    pub(super) fn set(&mut self, error: Option<Cow<'static, str>>) {
        self.0.get_or_insert(error);
    }

    /// The `error.type`, if it did not end well.
    pub(super) fn take(&mut self) -> Option<Cow<'static, str>> {
        self.0.take().unwrap_or(Some("cancelled".into()))
    }
}

/// Ends a span so.
pub(super) fn end(span: &mut Span, error: Option<Cow<'static, str>>) {
    if let Some(error) = error {
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
        span.set_status(Status::error(""));
    }
    span.end();
}
