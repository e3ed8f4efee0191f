//! The telemetry of a call and the charge for it, however it ends.

use std::time::{Duration, Instant};

use super::callers::{CallUsage, CallerPermit};
use super::error::Error;
use super::format::Piece;
use super::limits::{Limit, TimedOut};
use super::spending::Spending;
use crate::gemini::catalog::Catalog;
use crate::gemini::catalog::price::Prices;
use crate::gemini::view::{Ends, Estimate};
use crate::telemetry::{CallSpan, EstimatedTokens, ModelRequest, Operation, Outcome, UpstreamContext};
use crate::upstream;

/// How long a call that was given up still counts among its caller's calls in flight: upstream does not notice at once,
/// and works on for at least about this time. So a caller that resets its calls starts no more than others do.
const KEPT_IN_FLIGHT_TIME: Duration = Duration::from_secs(1);

/// Records and charges a call, at the latest when it is dropped: a call that its caller cancelled costs tokens as well.
#[derive(Debug)]
pub(super) struct Accounting {
    /// Telemetry of the call.
    pub(super) span: CallSpan,
    /// The limits of the caller, which the call is charged to; `None` where callers are not known.
    pub(super) caller: Option<CallerPermit>,
    /// Begins when upstream is about to be asked.
    operation: Option<Operation>,
    spending: Spending,
    /// Whether the response is read while upstream makes it.
    stream: bool,
    ends: Ends,
}

/// How a call ended, as far as it matters for its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Complete,
    /// Upstream did not take it.
    NotTaken,
    /// Upstream ended it without a complete response.
    Broken,
    /// The gateway or the caller did not wait for the end of the response.
    GivenUp,
}

impl Accounting {
    pub(super) fn new(span: CallSpan, caller: Option<CallerPermit>) -> Self {
        Self { span, caller, operation: None, spending: Spending::default(), stream: false, ends: Ends::default() }
    }

    /// Begins when upstream is about to be asked. `request` estimates what the request contains, and `prices` are those
    /// of the model.
    pub(super) fn begin(&mut self, asked: &ModelRequest<'_>, request: Estimate, prices: Option<Prices>) {
        (self.spending, self.stream) = (Spending::of(request, prices), asked.method.is_streaming());
        self.spend_call();
        self.operation = Some(Operation::begin(&self.span, asked));
    }

    /// Charges the call by the prices of the model that answers, if it is not the one that was asked for. To be called
    /// once upstream has begun to answer, or will not.
    pub(super) fn answered(&mut self, catalog: &Catalog) {
        if let Some(model) = self.span.model_used() {
            self.spending.set_prices(catalog.prices(model));
        }
    }

    /// Charges a call to its caller. For a call that asks no model for anything, this is all.
    pub(super) fn spend_call(&mut self) {
        if let Some(caller) = &mut self.caller {
            caller.spend_call(Instant::now());
        }
    }

    /// What the requests to upstream share.
    pub(super) fn upstream_context(&self) -> UpstreamContext {
        self.operation.as_ref().map_or_else(|| UpstreamContext::of(&self.span), Operation::upstream_context)
    }

    /// Records a message of the response, and charges the usage that it reports. Each report replaces the one before.
    pub(super) fn record_chunk(&mut self, piece: &Piece) {
        let Piece { response, view, .. } = piece;
        if let Some(operation) = &mut self.operation {
            operation.chunk(response, view);
        }
        self.ends.add(&view.ends);
        let spent = self.spending.add(view.estimate, view.usage_metadata);
        if let (Some(caller), Some(so_far)) = (&mut self.caller, spent) {
            caller.spend(so_far, Instant::now());
        }
    }

    /// Whether upstream has finished its answer.
    pub(super) fn is_finished(&self) -> bool {
        self.ends.is_finished()
    }

    /// Ends it: upstream has answered, or it will not. A call that is dropped before was given up.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        let ending = error.map_or(Ending::Complete, |error| Ending::of(error, self.stream));
        self.settle(ending, |operation| operation.end(Outcome::of(error.map(Error::kind))));
    }

    /// Charges the tokens that upstream has not reported, records what was used, and releases the caller's place in
    /// flight once upstream no longer works on the call.
    fn settle(&mut self, ending: Ending, end: impl FnOnce(&mut Operation)) {
        // Without an operation, upstream was not asked.
        let Some(mut operation) = self.operation.take() else { return };
        // A refusal in the middle of an answer does not take back what came before it.
        let taken = self.span.may_be_taken() && (ending != Ending::NotTaken || self.spending.has_output());
        let complete = ending == Ending::Complete;
        let estimated = if taken { self.spending.unreported(complete) } else { EstimatedTokens::default() };
        operation.estimated(estimated);
        let answered = complete || self.spending.has_output();
        let (billable, spent) = self.spending.total(estimated);
        if taken && self.spending.is_priced() {
            operation.cost(spent.cost);
        }
        if let Some(caller) = &mut self.caller {
            let now = Instant::now();
            caller.spend(spent, now);
            caller.record(operation.model(), &CallUsage { billable, cost: spent.cost, answered }, now);
        }
        end(&mut operation);
        if taken && ending == Ending::GivenUp && !self.is_finished() {
            self.caller.take().into_iter().for_each(keep_in_flight);
        }
    }
}

impl Drop for Accounting {
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
                Up::KeysResting { .. } | Up::KeysRefused => Self::NotTaken,
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
            tokio::time::sleep(KEPT_IN_FLIGHT_TIME).await;
            drop(permit);
        });
    }
}
