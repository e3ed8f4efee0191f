//! What there is to say about a call once it is over, however it ends.

use std::sync::Arc;

use tokio::time::Instant;

use super::Error;
use super::callers::CallerPermit;
use crate::gemini::view::{ResponseView, UsageView};

/// Written when it is dropped: a call that its caller gave up counts as well, with the tokens seen so far.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) request_id: Arc<str>,
    /// How often the caller has tried before (`grpc-previous-rpc-attempts`, gRFC A6).
    previous_attempts: u32,
    begun: Instant,
    /// What the call used is charged to its caller, if that is known.
    pub(super) caller: Option<CallerPermit>,
    usage: UsageView,
    outcome: Option<&'static str>,
}

impl Record {
    pub(super) fn new(request_id: Arc<str>, previous_attempts: u32, begun: Instant) -> Self {
        Self { request_id, previous_attempts, begun, caller: None, usage: UsageView::default(), outcome: None }
    }

    /// A piece of the answer. Each report of usage replaces the last.
    pub(super) fn saw(&mut self, answer: &ResponseView) {
        if let Some(usage) = answer.usage_metadata {
            self.usage = usage;
            if let (Some(caller), Ok(total)) = (&mut self.caller, u64::try_from(usage.total_token_count)) {
                caller.spend_tokens(total, std::time::Instant::now());
            }
        }
    }

    /// The call is over. What is not ended so was cancelled.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        self.outcome = Some(error.map_or("OK", |error| error.code().as_str()));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::debug!(
            request_id = &*self.request_id,
            outcome = self.outcome.unwrap_or("CANCELLED"),
            elapsed = ?self.begun.elapsed(),
            previous_attempts = self.previous_attempts,
            prompt_tokens = self.usage.prompt_token_count,
            total_tokens = self.usage.total_token_count,
            "the call is over"
        );
    }
}
