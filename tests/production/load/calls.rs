//! Makes the calls: unary ones, long streams, and calls for the sandbox's faults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::grpc::Grpc;
use crate::rest::Rest;
use crate::tally::{Kind, Outcome, Tally};

const MODEL: &str = "gemini-2.5-flash";
/// A call counts as unanswered if it has not ended this long after its deadline.
const GRACE: Duration = Duration::from_secs(5);
/// Models for which the sandbox has a fault, and whether to call them with a stream. Those that hang end at the caller's
/// deadline.
const FAULTS: [(&str, bool); 12] = [
    ("sandbox-429", false),
    ("sandbox-cut", true),
    ("sandbox-html-502", false),
    ("sandbox-hang", false),
    ("sandbox-error-event", true),
    ("sandbox-503", false),
    ("sandbox-hang-stream", true),
    ("sandbox-empty-500", false),
    ("sandbox-cut-clean", true),
    ("sandbox-html-200", false),
    ("sandbox-429-retry-after", true),
    ("sandbox-big-error", false),
];
/// The deadline of calls to models that hang.
const HANG_DEADLINE: Duration = Duration::from_secs(2);

/// A call, whatever it is sent over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) model: &'static str,
    /// The number of words that the sandbox streams word by word, if that is to be a certain one.
    pub(super) words: Option<usize>,
    pub(super) streams: bool,
    pub(super) deadline: Duration,
}

/// The protocol of a client, and its connections.
#[derive(Debug)]
pub(super) enum Transport {
    Grpc(Grpc),
    Rest(Rest),
}

impl Transport {
    /// Makes a call, and returns how it ended.
    async fn make(&self, call: Call) -> Outcome {
        let ended = async {
            match self {
                Self::Grpc(grpc) => grpc.make(call).await,
                Self::Rest(rest) => rest.make(call).await,
            }
        };
        match tokio::time::timeout(call.deadline + GRACE, ended).await {
            Ok(Ok(true)) => Outcome::Ok,
            Ok(Ok(false)) => Outcome::Unfinished,
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(_) => Outcome::NoAnswer,
        }
    }

    /// Replaces the oldest connection by a new one. The old one is closed once its calls have ended.
    pub(super) fn renew_next(&self) {
        match self {
            Self::Grpc(grpc) => grpc.renew_next(),
            Self::Rest(rest) => rest.renew_next(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) transport: Arc<Transport>,
    pub(super) tally: Arc<Tally>,
    pub(super) timeout: Duration,
}

impl Caller {
    /// The longest time that a call can take.
    pub(super) fn longest(&self) -> Duration {
        self.timeout * 10 + GRACE
    }

    /// Makes a unary call.
    pub(super) async fn call(&self) {
        let call = Call { model: MODEL, words: None, streams: false, deadline: self.timeout };
        self.count(Kind::Call, call).await;
    }

    /// Reads a stream with this many words. Returns whether it succeeded.
    pub(super) async fn stream(&self, words: usize) -> bool {
        let call = Call { model: MODEL, words: Some(words), streams: true, deadline: self.timeout * 10 };
        self.count(Kind::Stream, call).await == Outcome::Ok
    }

    /// Makes a call that the sandbox answers with a fault.
    pub(super) async fn fault(&self, number: usize) {
        let (model, streams) = FAULTS[number % FAULTS.len()];
        let deadline = if model.contains("hang") { HANG_DEADLINE } else { self.timeout };
        self.count(Kind::Fault(model), Call { model, words: None, streams, deadline }).await;
    }

    /// Makes a call, and counts it.
    async fn count(&self, kind: Kind, call: Call) -> Outcome {
        let start = Instant::now();
        self.tally.sent(kind);
        let outcome = self.transport.make(call).await;
        self.tally.ended(kind, &outcome, start.elapsed());
        outcome
    }
}
