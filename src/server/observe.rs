//! What of a server can be read at any time: how much of each limit is in use.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::CertificateEnds;
use super::open::OpenConnections;
use crate::files::{self, Files};
use crate::gateway::Shared;
use crate::grpc::Health;
use crate::telemetry::{Telemetry, names};
use crate::upstream::Budget;

/// Lets metrics read what all workers share.
pub(super) fn observe(
    telemetry: &Telemetry,
    shared: &Shared,
    budget: &Arc<Budget>,
    open: &OpenConnections,
    health: &Health,
) {
    let (admission, limit) = (shared.admission.clone(), shared.admission.cap());
    telemetry.observe(names::CALLS_IN_FLIGHT, None, move || admission.in_flight() as u64);
    telemetry.observe(names::CALLS_LIMIT, None, move || limit as u64);
    let (memory, limit) = (shared.memory.clone(), shared.memory.cap());
    telemetry.observe(names::MEMORY_HELD, None, move || memory.used() as u64);
    telemetry.observe(names::MEMORY_LIMIT, None, move || limit as u64);
    let (budget, open, health) = (budget.clone(), open.clone(), health.clone());
    telemetry.observe(names::RETRY_BUDGET, None, move || budget.left());
    telemetry.observe(names::CONNECTIONS_OPEN, None, move || open.count() as u64);
    telemetry.observe(names::DRAIN_PHASE, None, move || health.phase());
}

/// Lets metrics read the open files of the process, and how long certificates are valid.
pub(super) fn observe_process(telemetry: &Telemetry, ends: &Arc<ArcSwap<CertificateEnds>>) {
    // Not every system says how many files are open.
    if files::open_count().is_some() {
        telemetry.observe(names::FILES_OPEN, None, || files::open_count().unwrap_or_default() as u64);
    }
    telemetry.observe(names::FILES_LIMIT, None, || Files::of_process().limit() as u64);
    let ends = ends.clone();
    telemetry.observe_each(names::CERTIFICATE_EXPIRY, CertificateEnds::NAMES, move || ends.load().seconds_left());
}

/// Lets a metric read the tasks of the worker that this thread is.
pub(super) fn observe_worker(telemetry: &Telemetry, worker: usize, runtime: &tokio::runtime::Runtime) {
    let tasks = runtime.metrics();
    telemetry.observe(names::WORKER_TASKS, Some(worker.to_string()), move || tasks.num_alive_tasks() as u64);
}
