//! Counts the outcomes of the calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Stream,
    /// A fault of the sandbox, with the name of its model.
    Fault(&'static str),
}

/// An error instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The name of its status, or of what else happened to the call.
    pub(super) code: String,
    pub(super) message: String,
}

/// How a call ended, as an application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// Success, but no finish reason, so the answer was cut.
    Unfinished,
    /// No answer, long after the deadline.
    NoAnswer,
    Refused(Refusal),
}

/// The most different messages of failures that are kept.
const MAX_EXAMPLES: usize = 20;

#[derive(Debug, Default)]
struct Counts {
    sent: u64,
    outcomes: BTreeMap<String, u64>,
    /// The durations of successful calls, in milliseconds.
    took: Vec<f32>,
}

#[derive(Debug, Default)]
struct Figures {
    calls: Counts,
    streams: Counts,
    faults: BTreeMap<&'static str, Counts>,
    /// The messages of failures, except for faults.
    examples: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Figures>);

impl Figures {
    fn of(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::Call => &mut self.calls,
            Kind::Stream => &mut self.streams,
            Kind::Fault(model) => self.faults.entry(model).or_default(),
        }
    }
}

impl Tally {
    pub(super) fn sent(&self, kind: Kind) {
        self.with(|figures| figures.of(kind).sent += 1);
    }

    pub(super) fn ended(&self, kind: Kind, outcome: &Outcome, took: Duration) {
        let name = match outcome {
            Outcome::Ok => "OK".to_owned(),
            Outcome::Unfinished => "OK_UNFINISHED".to_owned(),
            Outcome::NoAnswer => "NO_ANSWER".to_owned(),
            Outcome::Refused(refusal) => refusal.code.clone(),
        };
        self.with(|figures| {
            let counts = figures.of(kind);
            *counts.outcomes.entry(name.clone()).or_default() += 1;
            if *outcome == Outcome::Ok {
                counts.took.push(took.as_secs_f32() * 1000.0);
            }
            if let (Outcome::Refused(Refusal { message, .. }), Kind::Call | Kind::Stream) = (outcome, kind) {
                let example: String = format!("{name}: {message}").chars().take(200).collect();
                if figures.examples.len() < MAX_EXAMPLES || figures.examples.contains_key(&example) {
                    *figures.examples.entry(example).or_default() += 1;
                }
            }
        });
    }

    /// The report of this client, after this many seconds.
    pub(super) fn report(&self, client: &str, seconds: f64) -> Value {
        self.with(|figures| {
            let faults: BTreeMap<_, _> = figures.faults.iter_mut().map(|(model, counts)| (model, counts.report())).collect();
            let (calls, streams) = (figures.calls.report(), figures.streams.report());
            json!({"client": client, "seconds": rounded(seconds as f32), "calls": calls, "streams": streams, "faults": faults, "examples": figures.examples})
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Figures) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counts {
    fn report(&mut self) -> Value {
        self.took.sort_by(f32::total_cmp);
        let at = |quantile: f64| {
            let index = ((self.took.len() as f64) * quantile) as usize;
            self.took.get(index).or(self.took.last()).map(|took| rounded(*took))
        };
        json!({"sent": self.sent, "outcomes": self.outcomes, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)})
    }
}

fn rounded(number: f32) -> f64 {
    (f64::from(number) * 10.0).round() / 10.0
}
