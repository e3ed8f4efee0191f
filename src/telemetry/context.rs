//! What the requests to upstream of one call share.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;

use super::call::CallSpan;
use super::keys::{KeyOutcome, KeyRest};
use super::names;
use crate::reason::ErrorKind;

/// What the requests to upstream of one call share: the call, and the span that is their parent.
#[derive(Clone, Debug)]
pub struct UpstreamContext {
    pub(super) call: CallSpan,
    pub(super) span: SpanContext,
}

impl UpstreamContext {
    /// For the requests of a call without an operation.
    pub fn of(call: &CallSpan) -> Self {
        Self { call: call.clone(), span: call.context().clone() }
    }

    /// The id of the request, which upstream gets too.
    pub fn request_id(&self) -> &Arc<str> {
        self.call.request_id()
    }

    /// Records that a request is about to be sent. If it is not `connected` yet, upstream cannot have taken it.
    pub fn sending(&self, connected: bool) {
        self.call.set_may_be_taken(connected);
    }

    /// Counts a connection to upstream that was made, or tried.
    pub fn dialed(&self) {
        self.call.telemetry().count(names::UPSTREAM_CONNECTIONS, None);
    }

    /// Counts a retry after an error of this kind.
    pub fn retried(&self, kind: ErrorKind) {
        // Upstream has not taken the request that failed, and the next one is not sent yet.
        self.call.set_may_be_taken(false);
        self.call.telemetry().count(names::RETRIES, Some(&kind.as_str()));
    }

    /// Records that another model is about to be asked: the one before has refused the call.
    pub fn falls_back(&self) {
        self.call.set_may_be_taken(false);
        self.call.facts().has_fallen_back = true;
    }

    /// Records the model whose response or error the caller gets, for a call that more than one may answer.
    pub fn used_model(&self, model: &Arc<str>) {
        self.call.set_model_used(model);
    }

    /// Counts a retry that the retry budget did not allow.
    pub fn denied(&self) {
        self.call.telemetry().count(names::RETRIES_DENIED, None);
    }

    /// Counts a request with a key of the pool.
    pub fn key_used(&self, key: &Arc<str>, outcome: KeyOutcome) {
        if let Some(metrics) = &self.call.telemetry().0.metrics {
            metrics.keys.add(key, outcome);
        }
    }

    /// Logs that a key begins to rest: the first time in a row for one that an operator has to look at.
    pub fn key_rests(&self, rest: &KeyRest<'_>) {
        let KeyRest { key, model, outcome, count, rest } = rest;
        let (request_id, seconds, model) = (&**self.request_id(), rest.as_secs_f64(), model.map(|model| &**model));
        match outcome {
            KeyOutcome::Refused if *count == 1 => tracing::warn!(
                request_id,
                key,
                seconds,
                "upstream refuses the key {key} or its account; it rests, and is tried again after longer and longer \
                 times: look at it in MOUNTSEA_API_KEY_FILE"
            ),
            KeyOutcome::UsedUp if *count == 1 => tracing::warn!(
                request_id,
                key,
                model,
                seconds,
                "a daily quota of the key {key} is used up; it rests until midnight in California"
            ),
            _ => tracing::debug!(
                request_id,
                key,
                model,
                seconds,
                count,
                reason = outcome.as_str(),
                "the key {key} rests for {seconds} s"
            ),
        }
    }

    /// Logs that upstream has taken a request with a key that it had refused.
    pub fn key_is_back(&self, key: &str) {
        tracing::info!(request_id = &**self.request_id(), key, "upstream takes the key {key} again");
    }
}
