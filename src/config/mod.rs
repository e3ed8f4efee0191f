//! Flags and environment, read once and turned into the settings of each module.
//!
//! The `clap` definition is the one source of flags, variables, defaults and help.

mod callers;
mod connections;
mod drain;
mod file;
mod key;
mod key_file;
mod limits;
mod log;
mod models;
mod otel;
mod pem;
mod reload;
mod serving;
mod store;
mod tls;
mod upstream;
mod upstream_tls;
mod value;

use std::path::{Path, PathBuf};

use clap::Args;

use self::callers::AuthError;
pub use self::callers::{AuthMode, Callers};
pub use self::connections::Connections;
pub use self::drain::Drain;
pub use self::file::{FileError, MAX_FILE_BYTES, read_file};
pub use self::key::Key;
pub use self::limits::Limits;
pub use self::log::{Log, LogFormat};
pub use self::models::Models;
pub use self::otel::Telemetry;
pub use self::reload::{Fingerprinter, Fingerprints, Reload};
pub use self::serving::Serving;
pub use self::store::Store;
pub use self::tls::Tls;
pub use self::upstream::{Http, KeyHeader, Upstream, UpstreamMethod};
pub use self::upstream_tls::UpstreamTls;
use crate::gateway::InvalidKey;
use crate::gateway::callers::CallersError;
use crate::store::InvalidStoreUrl;
use crate::{gateway, grpc, server};

/// The flags of `serve`. A flag takes precedence over its variable.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub serving: Serving,

    #[command(flatten)]
    pub tls: Tls,

    #[command(flatten)]
    pub connections: Connections,

    #[command(flatten)]
    pub drain: Drain,

    #[command(flatten)]
    pub upstream: Upstream,

    #[command(flatten)]
    pub upstream_tls: UpstreamTls,

    #[command(flatten)]
    pub key: Key,

    #[command(flatten)]
    pub callers: Callers,

    #[command(flatten)]
    pub store: Store,

    #[command(flatten)]
    pub limits: Limits,

    #[command(flatten)]
    pub models: Models,

    #[command(flatten)]
    pub reload: Reload,

    #[command(flatten)]
    pub log: Log,

    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// A mistake in the configuration: one sentence that names the variable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{variable}: cannot read {path}: {problem}")]
    File { variable: &'static str, path: PathBuf, problem: FileError },
    #[error("MOUNTSEA_API_KEY: {0}")]
    ApiKey(InvalidKey),
    #[error("MOUNTSEA_API_KEY_FILE: {path}{problem}")]
    Keys { path: PathBuf, problem: key_file::Problem },
    /// Without the URL: its query may contain a key.
    #[error(
        "GEMINI_GRPC_UPSTREAM_URL: an http or https URL without user or query is expected, such as https://api.mountsea.ai/gemini"
    )]
    UpstreamUrl,
    #[error("GEMINI_GRPC_CATALOG: {path}: {problem}")]
    Catalog { path: PathBuf, problem: String },
    #[error("GEMINI_GRPC_AUTH: {0}")]
    Auth(AuthError),
    #[error("GEMINI_GRPC_CALLERS: {path}: {problem}")]
    Callers { path: PathBuf, problem: CallersError },
    #[error("GEMINI_GRPC_CALLERS: callers are looked up only when GEMINI_GRPC_AUTH is tokens or mtls; set it to one")]
    CallersUnused,
    /// Without the URL, which may contain a password.
    #[error("{variable}: {problem}")]
    StoreUrl { variable: &'static str, problem: InvalidStoreUrl },
    /// A certificate, a key or an authority.
    #[error("{variable}: {path} {problem}")]
    Pem { variable: &'static str, path: PathBuf, problem: String },
    #[error("{variable}: requires {missing}, which is not set")]
    Alone { variable: &'static str, missing: &'static str },
    #[error("{variable}: must be at least {least}")]
    TooSmall { variable: &'static str, least: usize },
    #[error("GEMINI_GRPC_CORS_ORIGINS: {0}")]
    Origin(server::InvalidOrigin),
    #[error(
        "GEMINI_GRPC_CORS_ORIGINS: with * any web page that a user opens could spend this gateway's key; list the origins, or set GEMINI_GRPC_AUTH to tokens"
    )]
    AnyOrigin,
    #[error("{variable}: {problem}; try info, or warn,gemini_grpc=debug")]
    Log { variable: &'static str, problem: String },
    #[error("{variable}: {problem}")]
    Telemetry { variable: &'static str, problem: String },
}

impl Serve {
    /// Reads the files that the flags name and turns everything into what the server needs.
    pub fn resolve(&self) -> Result<server::Config, Error> {
        self.limits.check()?;
        let keys = self.key.resolve()?;
        let mut certificate_ends = server::CertificateEnds::default();
        let tls = self.tls.resolve(&mut certificate_ends)?;
        let upstream_tls = self.upstream_tls.resolve(&mut certificate_ends)?;
        let context = callers::ServingContext {
            listen: self.serving.listen,
            has_key: keys.is_some(),
            has_client_ca: self.tls.tls_client_ca.is_some(),
        };
        let auth = self.callers.resolve(context)?;
        Ok(server::Config {
            listen: self.serving.listen,
            workers: self.serving.workers(),
            limits: self.connections.resolve(self.limits.max_duration)?,
            drain: self.drain.resolve(),
            tls,
            certificate_ends,
            admin: self.telemetry.admin_listen,
            origins: self.serving.origins(&auth, keys.is_some())?,
            gateway: gateway::Config {
                keys,
                auth,
                caller_share: self.callers.caller_share,
                catalog: self.models.resolve()?,
                upstream_methods: self.upstream.methods(),
                image_default_modalities: self.models.image_default_modalities,
                max_elements: self.limits.max_elements,
                limits: self.limits.times(),
                heartbeat: self.limits.heartbeat(),
            },
            store: self.store.resolve()?,
            upstream: self.upstream.resolve(self.limits.max_response_bytes, upstream_tls)?,
            max_calls: self.limits.max_calls,
            files_per_call: 1,
            max_bytes_held: self.limits.max_bytes_held(),
            grpc: grpc::Config {
                max_request_bytes: self.limits.max_request_bytes,
                reflection: self.serving.reflection,
                load_reports: self.serving.load_reports,
            },
            playground: self.serving.playground,
        })
    }

    /// The files that `resolve` reads, by their variables.
    fn files(&self) -> Vec<(&'static str, Option<&Path>)> {
        let others = [self.key.file(), self.callers.file(), self.models.file(), self.log.file()];
        let all = self.tls.files().into_iter().chain(self.upstream_tls.files());
        let all = all.chain(self.store.files()).chain(others);
        all.map(|(variable, path)| (variable, path.map(PathBuf::as_path))).collect()
    }
}
