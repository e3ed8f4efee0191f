//! What is recorded of a call and charged for it, however it ends.

use std::time::{Duration, Instant};

use super::callers::CallerPermit;
use super::spending::Spending;
use super::translate::Translated;
use super::{Error, Limit, TimedOut};
use crate::gemini::view::{Ends, Estimate};
use crate::telemetry::{Asked, Operation, Outcome, Parent, Rpc};
use crate::upstream;

/// How long a call that was given up still counts among its caller's calls in flight: upstream does not notice at once,
/// and works on for at least about this time. So a caller that resets its calls starts no more than others do.
const KEPT_IN_FLIGHT: Duration = Duration::from_secs(1);

/// Complete when it is dropped: a call that its caller gave up is recorded and charged as well.
#[derive(Debug)]
pub(super) struct Record {
    /// Telemetry of the call.
    pub(super) rpc: Rpc,
    /// What the call used is charged to its caller, if that is known.
    pub(super) caller: Option<CallerPermit>,
    /// From the moment that upstream is asked.
    operation: Option<Operation>,
    spending: Spending,
    /// Whether the answer is read while upstream makes it.
    stream: bool,
    ends: Ends,
}

/// How a call ended that upstream was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Complete,
    /// Upstream did not take it.
    NotTaken,
    /// Upstream has ended it without an answer that is complete.
    Broken,
    /// The gateway or the caller did not wait for the end.
    GivenUp,
}

impl Record {
    pub(super) fn new(rpc: Rpc, caller: Option<CallerPermit>) -> Self {
        Self { rpc, caller, operation: None, spending: Spending::default(), stream: false, ends: Ends::default() }
    }

    /// Upstream is about to be asked, by a request that contains so much.
    pub(super) fn begin(&mut self, asked: &Asked<'_>, request: Estimate) {
        (self.spending, self.stream) = (Spending::of(request), asked.method.is_streaming());
        if let Some(caller) = &mut self.caller {
            caller.spend_call(Instant::now());
        }
        self.operation = Some(Operation::begin(&self.rpc, asked));
    }

    /// What requests to upstream belong to.
    pub(super) fn parent(&self) -> Parent {
        self.operation.as_ref().map_or_else(|| Parent::of(&self.rpc), Operation::parent)
    }

    /// Records a message of the answer, and charges what it reports. Each report replaces the last.
    pub(super) fn saw(&mut self, answer: &Translated) {
        let Translated { response, view, .. } = answer;
        if let Some(operation) = &mut self.operation {
            operation.chunk(response, view);
        }
        self.ends.add(&view.ends);
        let reported = self.spending.add(view.estimate, view.usage_metadata);
        if let (Some(caller), Some(total)) = (&mut self.caller, reported) {
            caller.spend_tokens(total, Instant::now());
        }
    }

    /// Whether upstream has finished its answer.
    pub(super) fn is_finished(&self) -> bool {
        self.ends.is_finished()
    }

    /// Upstream has answered, or it will not. A call that is dropped before was given up.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        let ending = error.map_or(Ending::Complete, |error| Ending::of(error, self.stream));
        self.settle(ending, |operation| operation.end(Outcome::of(error.map(Error::kind))));
    }

    /// Charges what upstream has not reported, and gives the place in flight back once upstream is done with the call.
    fn settle(&mut self, ending: Ending, end: impl FnOnce(&mut Operation)) {
        // Without one upstream was not asked.
        let Some(mut operation) = self.operation.take() else { return };
        // A refusal in the middle of an answer does not take back what came before it.
        let taken = self.rpc.may_be_taken() && (ending != Ending::NotTaken || self.spending.has_output());
        if taken {
            let estimated = self.spending.unreported(ending == Ending::Complete);
            operation.estimated(estimated);
            if let Some(caller) = &mut self.caller {
                caller.spend_tokens(self.spending.total(estimated), Instant::now());
            }
        }
        end(&mut operation);
        if taken && ending == Ending::GivenUp && !self.is_finished() {
            self.caller.take().into_iter().for_each(keep_in_flight);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.settle(Ending::GivenUp, |_| ());
    }
}

impl Ending {
    fn of(error: &Error, stream: bool) -> Self {
        use upstream::Error as Up;
        match error {
            Error::OutOfFiles => Self::NotTaken,
            Error::OwnKeyRefused(_) | Error::TimedOut(TimedOut { limit: Limit::Connect, .. }) => Self::NotTaken,
            Error::Upstream(error) => match error {
                Up::Refused(_) | Up::Connect(_) | Up::ConnectTimeout { .. } => Self::NotTaken,
                Up::OutOfFiles | Up::Tls | Up::NotTaken | Up::Header => Self::NotTaken,
                Up::NoAnswer | Up::Cut | Up::Unfinished | Up::Empty { .. } => Self::Broken,
                // A single answer is read to its end before it is looked at.
                Up::NotJson { .. } | Up::Unreadable(_) if !stream => Self::Broken,
                Up::TooLarge { .. } | Up::NotJson { .. } | Up::Unreadable(_) => Self::GivenUp,
            },
            _ => Self::GivenUp,
        }
    }
}

/// Keeps the place of a call for a while, if places are limited.
fn keep_in_flight(permit: CallerPermit) {
    if permit.limits_calls_in_flight()
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn(async move {
            tokio::time::sleep(KEPT_IN_FLIGHT).await;
            drop(permit);
        });
    }
}
