//! How a server stops: one state machine for all workers, driven by the thread that runs the server.
//!
//! ```text
//!  stop ──▸ leaving ──────────▸ closing ─────────▸ refusing ──────────────▸ ending ─────────▸ over
//!           health NOT_SERVING  listeners closed,  calls of clients that    open calls end    connections
//!           but calls served    GOAWAY             ignore GOAWAY are        as UNAVAILABLE    are dropped
//!           for `delay`         for 2 s            refused until `timeout`  for 1 s
//! ```
//!
//! The drain is over as soon as the last connection has ended.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::open::OpenConnections;
use crate::gateway::Stopping;
use crate::grpc::Health;

/// Calls already on their way when the client receives GOAWAY are served; two seconds exceed any round trip.
const GOAWAY_FLIGHT_TIME: Duration = Duration::from_secs(2);
/// Time to send the status of calls that were ended.
const STATUS_FLUSH_TIME: Duration = Duration::from_secs(1);

/// How long stopping may take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long calls are still served after health says NOT_SERVING: load balancers take time to notice.
    pub delay: Duration,
    /// When the calls that are still open are ended, counted from the start of the drain.
    pub timeout: Duration,
}

/// The phase of the drain, which connections and listeners follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DrainPhase {
    Open,
    /// Accept and serve, although health says NOT_SERVING. Responses over HTTP/1 end their connections, so that clients
    /// use other gateways by the time these are closed.
    Leaving,
    /// Accept nothing, and ask every connection to go.
    Closing,
    /// End at once.
    Over,
}

/// Waits for a phase, or for one after it.
pub(super) async fn reached(mut phases: watch::Receiver<DrainPhase>, phase: DrainPhase) {
    // An error means that the driver is gone, which is after every phase.
    let _ = phases.wait_for(|now| *now >= phase).await;
}

/// Drives the shutdown of all workers.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) drain: Drain,
    /// When stopping began.
    pub(super) stopped: watch::Receiver<Option<Instant>>,
    /// Each worker and each connection keeps a receiver. When the last is dropped, all of them have ended.
    pub(super) phases: watch::Sender<DrainPhase>,
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
            // Every handle that could stop it is gone.
            _ => return std::future::pending().await,
        };
        let Drain { delay, timeout } = self.drain;
        let end = begun + timeout;
        self.phases.send_replace(DrainPhase::Leaving);
        if !delay.is_zero() {
            tracing::info!(seconds = delay.as_secs_f32(), "leaving: health says NOT_SERVING, calls are still taken");
        }
        sleep_until((begun + delay).min(end)).await;

        tracing::info!(connections = self.open.count(), "closing: no new connections, open calls may finish");
        self.phases.send_replace(DrainPhase::Closing);
        self.health.close();
        sleep_until((Instant::now() + GOAWAY_FLIGHT_TIME).min(end)).await;

        self.stopping.iter().for_each(Stopping::refuse);
        sleep_until(end).await;

        let connections = self.open.count();
        tracing::warn!(connections, seconds = timeout.as_secs_f32(), "the drain time is over: ending the open calls");
        self.stopping.iter().for_each(Stopping::end);
        sleep_until(Instant::now() + STATUS_FLUSH_TIME).await;

        tracing::warn!(connections = self.open.count(), "cutting connections that have not ended");
        self.phases.send_replace(DrainPhase::Over);
    }
}

#[cfg(test)]
mod tests;
