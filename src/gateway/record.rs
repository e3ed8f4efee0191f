//! What there is to say and to charge for a call, however it ends.

use super::Error;
use super::callers::CallerPermit;
use super::translate::Translated;
use crate::telemetry::{Asked, Operation, Parent, Rpc};

/// Complete when it is dropped: a call that its caller gave up counts as well, with the tokens seen so far.
#[derive(Debug)]
pub(super) struct Record {
    /// What is told of the call.
    pub(super) rpc: Rpc,
    /// What the call used is charged to its caller, if that is known.
    pub(super) caller: Option<CallerPermit>,
    /// From the moment that upstream is asked.
    operation: Option<Operation>,
}

impl Record {
    pub(super) fn new(rpc: Rpc, caller: Option<CallerPermit>) -> Self {
        Self { rpc, caller, operation: None }
    }

    /// Upstream is about to be asked.
    pub(super) fn begin(&mut self, asked: &Asked<'_>) {
        self.operation = Some(Operation::begin(&self.rpc, asked));
    }

    /// What requests to upstream belong to.
    pub(super) fn parent(&self) -> Parent {
        self.operation.as_ref().map_or_else(|| Parent::of(&self.rpc), Operation::parent)
    }

    /// A piece of the answer. Each report of usage replaces the last.
    pub(super) fn saw(&mut self, answer: &Translated) {
        let Translated { message, view, unknown_members } = answer;
        if let Some(operation) = &mut self.operation {
            operation.chunk(message, view, unknown_members);
        }
        if let (Some(caller), Some(usage)) = (&mut self.caller, view.usage_metadata) {
            caller.spend_tokens(usage.total(), std::time::Instant::now());
        }
    }

    /// Upstream has answered, or it will not. What is not ended so was cancelled.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        if let Some(mut operation) = self.operation.take() {
            operation.end(error.map(Error::kind));
        }
    }
}
