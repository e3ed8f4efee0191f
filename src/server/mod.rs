//! The front door: one listener and one single-threaded runtime per worker.
//!
//! Measured on prototypes: a runtime per core costs 30 % less CPU per call, and half per streamed
//! chunk, than one runtime that moves work between threads. The kernel spreads connections over the
//! workers (SO_REUSEPORT); nothing is shared on the path of a call but what never changes.

mod admin;
mod capacity;
mod connection;
mod drain;
mod expiry;
mod http1;
mod late;
mod limits;
mod listener;
mod observe;
mod open;
mod reload;
mod sifted;
mod sniff;
mod tls;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use self::admin::Admin;
pub use self::admin::Scrape;
use self::capacity::Capacity;
use self::connection::Connections;
pub use self::drain::Drain;
use self::drain::{Driver, Phase, reached};
pub use self::expiry::{CertificateEnds, seconds_until};
pub use self::limits::Limits;
use self::open::OpenConnections;
pub use self::reload::Reload;
use self::tls::Acceptor;
pub use self::tls::{Tls, TlsError};
pub use self::trust::ClientTrust;
use crate::files::Files;
use crate::gateway::{self, Admission, Gateway, Heavy, Stopping};
use crate::grpc::{self, Grpc, Health};
use crate::memory::Memory;
use crate::telemetry::Telemetry;
use crate::upstream::{self, Budget, Upstream};

/// The settings of the server and of the rooms behind it.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// At least one.
    pub workers: usize,
    /// Calls at once, in all workers together.
    pub max_calls: usize,
    /// How many files a call needs: its connection to upstream, and the other end of that if it is in this process.
    pub files_per_call: usize,
    /// The bytes that they may hold.
    pub max_bytes_held: usize,
    pub limits: Limits,
    pub drain: Drain,
    /// None means plaintext.
    pub tls: Option<Tls>,
    /// When the certificates end, those towards upstream too.
    pub certificate_ends: CertificateEnds,
    /// Where operators are answered, if anywhere.
    pub admin: Option<SocketAddr>,
    pub gateway: gateway::Config,
    pub upstream: upstream::Config,
    pub grpc: grpc::Config,
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

/// A server whose addresses are bound; it answers once it runs.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    workers: Vec<Worker>,
    stop: Stop,
    reload: Reload,
    driver: Driver,
    admin: Option<Admin>,
    telemetry: Telemetry,
}

/// Stops a running server: no new calls, then an end.
#[derive(Clone, Debug)]
pub struct Stop {
    health: Health,
    /// When it began.
    stopped: watch::Sender<Option<Instant>>,
}

#[derive(Debug)]
struct Worker {
    listener: std::net::TcpListener,
    connections: Connections,
    phases: watch::Receiver<Phase>,
    open: OpenConnections,
    /// How many threads may work beside it: names are looked up there, and heavy work is done.
    threads_beside: usize,
}

impl Server {
    /// Binds the address, for every worker. Port 0 finds a free one.
    /// Operators find metrics at the admin address if there is something that reads them.
    pub fn bind(config: &Config, telemetry: &Telemetry, scrape: Option<Scrape>) -> Result<Self, Error> {
        let health = Health::default();
        let (stopped_sender, stopped) = watch::channel(None);
        let (phases, phases_receiver) = watch::channel(Phase::Open);
        let capacity = Capacity::new(config, Files::of_process());
        let open = OpenConnections::new(&capacity);
        let shared = gateway::Shared {
            config: Arc::new(ArcSwap::from_pointee(config.gateway.clone())),
            admission: Admission::new(capacity.calls, capacity.files_limit_calls),
            memory: Memory::new(config.max_bytes_held),
            heavy: Heavy::new(config.workers),
            max_connections: open.most(),
        };
        let budget = Budget::new();
        let mut reload = Reload {
            acceptors: Vec::new(),
            open: open.clone(),
            gateway: shared.config.clone(),
            upstreams: Vec::new(),
            certificate_ends: Arc::new(ArcSwap::from_pointee(config.certificate_ends)),
        };
        let mut stopping = Vec::with_capacity(config.workers);

        let bind = |source| Error::Bind { address: config.listen, source };
        let listeners = listener::bind(config.listen, config.workers).map_err(bind)?;
        let address = listeners.first().map_or(Ok(config.listen), std::net::TcpListener::local_addr).map_err(bind)?;
        if let Some(tls) = &config.tls {
            tls.warn_if_expired();
        }
        let mut workers = Vec::with_capacity(config.workers);
        // Heavy work takes one for each worker at most, and all of it may be of one worker.
        let threads_beside = capacity.lookups(config.workers) + config.workers;
        for listener in listeners {
            let (upstream, stop) = (Upstream::new(&config.upstream, budget.clone())?, Stopping::default());
            let tls = config.tls.as_ref().map(Acceptor::new);
            reload.upstreams.push(upstream.clone());
            reload.acceptors.extend(tls.clone());
            stopping.push(stop.clone());
            let gateway = Gateway::new(shared.clone(), upstream, stop);
            let grpc = Grpc::new(&config.grpc, gateway, &health, telemetry.clone())?;
            let connections = Connections::new(grpc, config.limits.clone(), tls, phases_receiver.clone());
            workers.push(Worker {
                listener,
                connections,
                phases: phases_receiver.clone(),
                open: open.clone(),
                threads_beside,
            });
        }
        observe::observe(telemetry, &shared, &budget, &open, &health);
        observe::observe_process(telemetry, &reload.certificate_ends);
        let admin = config.admin.map(|address| {
            let bound = Admin::bind(address, health.clone(), scrape, capacity.waiting_operators());
            bound.map_err(|source| Error::Bind { address, source })
        });
        let admin = admin.transpose()?;
        capacity.log(config);
        let driver = Driver { drain: config.drain, stopped, phases, health: health.clone(), stopping, open };
        Ok(Self {
            address,
            workers,
            stop: Stop { health, stopped: stopped_sender },
            reload,
            driver,
            admin,
            telemetry: telemetry.clone(),
        })
    }

    /// Where callers are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are answered.
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
        runtime.block_on(async {
            if let Some(admin) = self.admin {
                tokio::spawn(admin.run());
            }
            self.driver.run().await;
        });
        for thread in threads {
            // A worker that panicked has said so; the others go on.
            thread.join().unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

impl Stop {
    /// Health says NOT_SERVING, after a while connections are asked to go, and `run` returns once they have. A second
    /// time changes nothing.
    pub fn stop(&self) {
        self.health.stop();
        self.stopped.send_if_modified(|begun| {
            let first = begun.is_none();
            begun.get_or_insert_with(Instant::now);
            first
        });
    }
}

impl Worker {
    fn run(self, number: usize, telemetry: &Telemetry) -> Result<(), Error> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(self.threads_beside);
        let runtime = builder.build().map_err(Error::Worker)?;
        observe::observe_worker(telemetry, number, &runtime);
        let served = runtime.block_on(async {
            let Self { listener, connections, phases, open, .. } = self;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::Worker)?;
            tokio::select! {
                () = listener::accept(listener, &open, |stream, caller, place| connections.serve(stream, caller, place)) => {}
                () = reached(phases.clone(), Phase::Closing) => {}
            }
            tokio::select! {
                () = connections.closed() => {}
                () = reached(phases.clone(), Phase::Over) => {}
            }
            Ok(())
        });
        // What is left is dropped. A name that the system still looks up is not waited for.
        runtime.shutdown_background();
        served
    }
}
