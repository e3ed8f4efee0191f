//! A worker: one thread with a single-threaded runtime, its connections of callers, and its own connections to upstream.

use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::sync::watch;

use super::capacity::Capacity;
use super::connection::Connections;
use super::dispatch::Incoming;
use super::drain::{DrainPhase, reached};
use super::faces::Faces;
use super::open::OpenConnections;
use super::tls::Acceptor;
use super::{Config, Error};
use crate::gateway::{self, Gateway, Stopping};
use crate::grpc::{Grpc, Health};
use crate::rest::Rest;
use crate::store::{Link, Store};
use crate::telemetry::{Telemetry, names};
use crate::upstream::{Budget, Upstream};

#[derive(Debug)]
pub(super) struct Worker {
    incoming: Incoming,
    connections: Connections,
    phases: watch::Receiver<DrainPhase>,
    /// Its connection to the store of limits, if there is one.
    link: Option<Link>,
    /// How many threads of its runtime may look up names and do heavy work.
    blocking_threads: usize,
}

/// The parts that all workers share.
pub(super) struct Shared {
    pub(super) gateway: gateway::Shared,
    pub(super) budget: Arc<Budget>,
    pub(super) open: OpenConnections,
    pub(super) health: Health,
    /// Each worker and each connection keeps a clone, so the sender sees when all of them have ended.
    pub(super) phases: watch::Receiver<DrainPhase>,
}

/// What the server changes while a worker runs.
pub(super) struct Handles {
    pub(super) upstream: Upstream,
    pub(super) acceptor: Option<Acceptor>,
    pub(super) stopping: Stopping,
}

impl Worker {
    pub(super) fn new(
        incoming: Incoming,
        config: &Config,
        capacity: &Capacity,
        shared: &Shared,
        telemetry: &Telemetry,
    ) -> Result<(Self, Handles), Error> {
        let handles = Handles {
            upstream: Upstream::new(&config.upstream, shared.budget.clone())?,
            acceptor: config.tls.as_ref().map(Acceptor::new),
            stopping: Stopping::default(),
        };
        let link = shared.gateway.store.as_ref().map(Store::link);
        let (upstream, stopping) = (handles.upstream.clone(), handles.stopping.clone());
        let gateway = Gateway::new(shared.gateway.clone(), upstream, stopping, link.clone());
        let gateway = Arc::new(gateway);
        let rest = Rest::new(gateway.clone(), telemetry.clone(), config.grpc.max_request_bytes);
        let grpc = Grpc::new(&config.grpc, gateway, &shared.health, telemetry.clone())?;
        let phases = shared.phases.clone();
        let faces = Faces::new(grpc, rest, &config.origins, config.playground);
        let connections = Connections::new(faces, config.limits.clone(), handles.acceptor.clone(), phases.clone());
        // Heavy work takes one thread for each worker at most, and all of it may be of one worker.
        let blocking_threads = capacity.lookups(config.workers) + config.workers;
        Ok((Self { incoming, connections, phases, link, blocking_threads }, handles))
    }

    /// Serves until the drain is over. Blocks the thread.
    pub(super) fn run(self, number: usize, telemetry: &Telemetry) -> Result<(), Error> {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(self.blocking_threads);
        let runtime = builder.build().map_err(Error::Worker)?;
        let tasks = runtime.metrics();
        telemetry.observe(names::WORKER_TASKS, Some(number.to_string()), move || tasks.num_alive_tasks() as u64);
        let load = self.incoming.load.clone();
        telemetry.observe(names::WORKER_CONNECTIONS, Some(number.to_string()), move || load.connections() as u64);
        let served = runtime.block_on(async {
            let Self { incoming, connections, phases, link, .. } = self;
            if let Some(link) = link {
                tokio::spawn(link.run());
            }
            incoming.serve(&connections).await.map_err(Error::Worker)?;
            tokio::select! {
                () = connections.closed() => {}
                () = reached(phases.clone(), DrainPhase::Over) => {}
            }
            Ok(())
        });
        // What is left is dropped. A name lookup that still runs is not waited for.
        runtime.shutdown_background();
        served
    }
}
