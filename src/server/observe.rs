//! Gauges of a server: how much of each limit is in use.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::CertificateEnds;
use super::worker::Shared;
use crate::files::{self, Files};
use crate::gateway::Keys;
use crate::telemetry::{Telemetry, names};

/// Lets metrics read what all workers share.
pub(super) fn observe(telemetry: &Telemetry, shared: &Shared) {
    let (admission, limit) = (shared.gateway.admission.clone(), shared.gateway.admission.cap());
    telemetry.observe(names::CALLS_IN_FLIGHT, None, move || admission.in_flight() as u64);
    telemetry.observe(names::CALLS_LIMIT, None, move || limit as u64);
    let (memory, limit) = (shared.gateway.memory.clone(), shared.gateway.memory.cap());
    telemetry.observe(names::MEMORY_HELD, None, move || memory.reserved() as u64);
    telemetry.observe(names::MEMORY_LIMIT, None, move || limit as u64);
    let load = shared.gateway.load.clone();
    telemetry.observe_ratio(names::UTILIZATION, move || load.recent().utilization());
    let (budget, open, health) = (shared.budget.clone(), shared.open.clone(), shared.health.clone());
    telemetry.observe(names::RETRY_BUDGET, None, move || budget.left());
    telemetry.observe(names::CONNECTIONS_OPEN, None, move || open.count() as u64);
    let config = shared.gateway.config.clone();
    telemetry.observe_all(names::KEY_RESTING, move |report| {
        let config = config.load();
        let resting = config.keys.iter().flat_map(Keys::resting);
        resting.for_each(|(key, seconds)| report(key.clone(), seconds));
    });
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
