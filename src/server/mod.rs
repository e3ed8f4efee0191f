//! The server: one single-threaded runtime per worker, and one listener.
//!
//! Measured on prototypes: a runtime per core costs 30 % less CPU per call, and half per streamed
//! chunk, than one runtime that moves work between threads. Connections are passed to the worker that
//! has the least to do; on the path of a call, workers share nothing that changes under a lock.

mod admin;
mod capacity;
mod coalesce;
mod connection;
mod dispatch;
mod drain;
mod expiry;
mod faces;
mod goaway_filter;
mod http1;
mod http1_check;
mod limits;
mod listener;
mod observe;
mod open;
mod origins;
mod own_origin;
mod reload;
mod sniff;
mod tls;
mod trust;
mod turns;
mod unread;
mod worker;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use self::admin::Admin;
pub use self::admin::Scrape;
use self::capacity::Capacity;
use self::dispatch::Dispatcher;
pub use self::drain::Drain;
use self::drain::{DrainPhase, Driver};
pub use self::expiry::{CertificateEnds, seconds_until};
pub use self::limits::ConnectionLimits;
use self::open::OpenConnections;
pub use self::origins::{InvalidOrigin, Origins};
pub use self::reload::Reload;
pub use self::tls::ServerTls;
pub use self::trust::{ClientTrust, TlsError};
use self::worker::{Shared, Worker};
use crate::files::Files;
use crate::gateway::{self, Admission, Heavy, Load, UsageReports};
use crate::grpc::{self, Health};
use crate::memory::MemoryBudget;
use crate::store::{self, Flusher, Store};
use crate::telemetry::Telemetry;
use crate::upstream::{self, Budget};

/// The settings of the server and of the modules below it.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// At least one.
    pub workers: usize,
    /// Calls at once, in all workers together.
    pub max_calls: usize,
    /// How many files a call needs: its connection to upstream, and the other end of that if it is in this process.
    pub files_per_call: usize,
    /// The bytes of requests and responses that all calls together may reserve.
    pub max_bytes_held: usize,
    pub limits: ConnectionLimits,
    pub drain: Drain,
    /// `None` means plaintext.
    pub tls: Option<ServerTls>,
    /// When the certificates expire, including those towards upstream.
    pub certificate_ends: CertificateEnds,
    /// The address of the admin port, if there is one.
    pub admin: Option<SocketAddr>,
    /// The web pages that may call.
    pub origins: Origins,
    pub gateway: gateway::Config,
    /// Where gateways count limits together, if they do.
    pub store: Option<store::Config>,
    pub upstream: upstream::Config,
    pub grpc: grpc::Config,
    /// Whether the page to try the gateway is served.
    pub playground: bool,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("cannot start a worker: {0}")]
    Worker(std::io::Error),
    #[error(
        "the HTTP client cannot be built: {0}; authorities come from the system (ca-certificates) or from \
         GEMINI_GRPC_UPSTREAM_CA"
    )]
    Upstream(#[from] upstream::BuildError),
    #[error("reflection cannot be served: {0}")]
    Reflection(#[from] grpc::ReflectionError),
}

/// How long what was used may take to be settled in the store, after the last call has ended.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A server whose addresses are bound. It serves once `run` is called.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    workers: Vec<Worker>,
    dispatcher: Option<Dispatcher>,
    stop: Stop,
    reload: Reload,
    driver: Driver,
    admin: Option<Admin>,
    flusher: Option<Flusher>,
    load: Arc<Load>,
    telemetry: Telemetry,
}

/// Stops a running server after a drain.
#[derive(Clone, Debug)]
pub struct Stop {
    health: Health,
    /// When the drain began.
    stopped: watch::Sender<Option<Instant>>,
}

impl Server {
    /// Binds the addresses. Port 0 finds a free one. `scrape` reads the metrics for the admin port.
    pub fn bind(config: &Config, telemetry: &Telemetry, scrape: Option<Scrape>) -> Result<Self, Error> {
        let capacity = Capacity::new(config, Files::of_process());
        let (phase_sender, phases) = watch::channel(DrainPhase::Open);
        let shared = share(config, &capacity, phases, telemetry);
        let (address, listener) = listen(config)?;
        if let Some(tls) = &config.tls {
            tls.warn_if_expired();
        }
        let phases = shared.phases.clone();
        let (incoming, dispatcher) = dispatch::divide(listener, config.workers, shared.open.clone(), phases);
        let workers = incoming.into_iter().map(|incoming| Worker::new(incoming, config, &capacity, &shared, telemetry));
        let (workers, handles): (Vec<_>, Vec<_>) = workers.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let reload = Reload::new(config, &shared, &handles);
        observe::observe(telemetry, &shared);
        observe::observe_process(telemetry, &reload.certificate_ends);
        let admin = config.admin.map(|address| {
            let usage = UsageReports::new(shared.gateway.config.clone(), shared.gateway.store.clone());
            let bound = Admin::bind(address, shared.health.clone(), scrape, usage, capacity.waiting_operators());
            bound.map_err(|source| Error::Bind { address, source })
        });
        let admin = admin.transpose()?;
        capacity.log(config);
        let flusher = shared.gateway.store.as_ref().map(Store::flusher);
        let (stopped_sender, stopped) = watch::channel(None);
        let driver = Driver {
            drain: config.drain,
            stopped,
            phases: phase_sender,
            health: shared.health.clone(),
            stopping: handles.into_iter().map(|handles| handles.stopping).collect(),
            open: shared.open,
        };
        let stop = Stop { health: shared.health, stopped: stopped_sender };
        let load = shared.gateway.load;
        Ok(Self {
            address,
            workers,
            dispatcher,
            stop,
            reload,
            driver,
            admin,
            flusher,
            load,
            telemetry: telemetry.clone(),
        })
    }

    /// Where callers are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the admin port.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.address().ok())
    }

    /// The handle that stops it.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// The handle that gives it new keys, certificates and models.
    pub fn reload_handle(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until it is stopped and the open calls have ended. Blocks the thread.
    pub fn run(self) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Worker)?;
        let threads = (self.workers.into_iter().enumerate())
            .map(|(number, worker)| {
                let name = format!("worker-{number}");
                let telemetry = self.telemetry.clone();
                let run = move || worker.run(number, &telemetry);
                std::thread::Builder::new().name(name).spawn(run).map_err(Error::Worker)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let flusher = self.flusher.map(Arc::new);
        runtime.block_on(async {
            if let Some(dispatcher) = self.dispatcher {
                tokio::spawn(dispatcher.start().map_err(Error::Worker)?);
            }
            if let Some(admin) = self.admin {
                tokio::spawn(admin.run());
            }
            if let Some(flusher) = flusher.clone() {
                tokio::spawn(async move { flusher.run().await });
            }
            tokio::spawn(async move { self.load.measure().await });
            self.driver.run().await;
            Ok::<_, Error>(())
        })?;
        for thread in threads {
            // A worker that panicked has logged it; the others go on.
            thread.join().unwrap_or(Ok(()))?;
        }
        // The calls that a worker dropped at its end have used something too.
        if let Some(flusher) = flusher {
            runtime.block_on(flusher.finish(SETTLE_TIMEOUT));
        }
        Ok(())
    }
}

impl Stop {
    /// Starts the drain: health says NOT_SERVING, later connections get GOAWAY, and `run` returns once they have ended. A
    /// second call changes nothing.
    pub fn stop(&self) {
        self.health.stop();
        self.stopped.send_if_modified(|begun| {
            let first = begun.is_none();
            begun.get_or_insert_with(Instant::now);
            first
        });
    }
}

/// Makes what all workers share.
fn share(config: &Config, capacity: &Capacity, phases: watch::Receiver<DrainPhase>, telemetry: &Telemetry) -> Shared {
    let open = OpenConnections::new(capacity);
    let admission = Admission::new(capacity.calls, capacity.files_limit_calls);
    let memory = MemoryBudget::new(config.max_bytes_held);
    let store = config.store.clone().map(|config| Store::new(config, telemetry));
    let keys = config.gateway.keys.clone().map(|keys| keys.sharing(store.as_ref().map(Store::resting)));
    let gateway = gateway::Shared {
        config: Arc::new(ArcSwap::from_pointee(gateway::Config { keys, ..config.gateway.clone() })),
        load: Arc::new(Load::new(admission.clone(), memory.clone())),
        admission,
        memory,
        heavy: Heavy::new(config.workers),
        max_connections: open.most(),
        store,
    };
    Shared { gateway, budget: Budget::new(), open, health: Health::default(), phases }
}

/// Binds the listener, and returns the address that it has.
fn listen(config: &Config) -> Result<(SocketAddr, TcpListener), Error> {
    let bind = |source| Error::Bind { address: config.listen, source };
    let listener = listener::bind(config.listen).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    Ok((address, listener))
}
