//! How a server stops: one state machine for all workers, driven by the thread that runs the server.
//!
//! ```text
//!  stop ──▸ leaving ──────────▸ closing ─────────▸ refusing ────────────▸ ending ──────────▸ over
//!           health NOT_SERVING  listeners closed,  calls of who ignores   open calls are     connections
//!           but calls welcome   GOAWAY             GOAWAY are refused     told UNAVAILABLE   are dropped
//!           for `delay`         for 2 s            until `timeout`        for 1 s
//! ```
//!
//! It is over as soon as the last connection has ended.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::open::OpenConnections;
use crate::gateway::Stopping;
use crate::grpc::Health;

/// A call that left its caller before GOAWAY arrived there is served. Two seconds are more than any way there and back.
const UNDERWAY: Duration = Duration::from_secs(2);
/// What is told to the calls that are ended has so long to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long stopping may take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long callers are still welcome after health says NOT_SERVING: load balancers take their time to notice.
    pub delay: Duration,
    /// When the calls that are still open are ended, counted from the first word.
    pub timeout: Duration,
}

/// What connections and listeners have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Accept and serve, whatever health says.
    Open,
    /// Accept nothing, and ask every connection to go.
    Closing,
    /// Be gone.
    Over,
}

/// Waits for a phase, or for one after it.
pub(super) async fn reached(mut phases: watch::Receiver<Phase>, phase: Phase) {
    // An error means that the driver is gone, which is after every phase.
    let _ = phases.wait_for(|now| *now >= phase).await;
}

/// Leads all workers from the first word to the end.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) drain: Drain,
    /// When stopping began.
    pub(super) stopped: watch::Receiver<Option<Instant>>,
    /// Each worker and each connection holds a receiver; when the last is gone, so are they.
    pub(super) phases: watch::Sender<Phase>,
    pub(super) health: Health,
    /// One per worker.
    pub(super) stopping: Vec<Stopping>,
    pub(super) open: OpenConnections,
}

impl Driver {
    /// Ready when all workers have ended, or have to.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.phases.closed() => {}
            () = self.stages() => {}
        }
    }

    async fn stages(&self) {
        let begun = match self.stopped.clone().wait_for(Option::is_some).await.map(|begun| *begun) {
            Ok(Some(begun)) => begun,
            // Nobody is left who could stop it.
            _ => return std::future::pending().await,
        };
        let Drain { delay, timeout } = self.drain;
        let end = begun + timeout;
        if !delay.is_zero() {
            tracing::info!(seconds = delay.as_secs_f32(), "leaving: health says NOT_SERVING, calls are still taken");
        }
        sleep_until((begun + delay).min(end)).await;

        tracing::info!(connections = self.open.count(), "closing: no new connections, open calls may finish");
        self.phases.send_replace(Phase::Closing);
        self.health.close();
        sleep_until((Instant::now() + UNDERWAY).min(end)).await;

        self.stopping.iter().for_each(Stopping::refuse);
        sleep_until(end).await;

        let connections = self.open.count();
        tracing::warn!(connections, seconds = timeout.as_secs_f32(), "the drain time is over: ending the open calls");
        self.stopping.iter().for_each(Stopping::end);
        sleep_until(Instant::now() + FAREWELL).await;

        tracing::warn!(connections = self.open.count(), "cutting connections that have not ended");
        self.phases.send_replace(Phase::Over);
    }
}

#[cfg(test)]
mod tests;
