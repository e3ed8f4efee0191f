//! Flags and environment, read once, and turned into what the rooms need.
//!
//! The `clap` definition is the one source of flags, variables, defaults and help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::gateway::{ApiKey, InvalidKey};
use crate::gemini::catalog::{Catalog, CatalogError};
use crate::{gateway, grpc, server, upstream};

/// The flags of `serve`. A flag goes before its variable.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The address on which callers are served, in plaintext HTTP/2.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Threads that serve callers, each with its own connections; 0 means one per core.
    #[arg(long, help_heading = "Serving", env = "GEMINI_GRPC_WORKERS", default_value_t = 0, value_name = "NUMBER")]
    pub workers: usize,

    /// The Gemini REST API to forward to; `/v1beta/models/…` is added.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_URL",
        default_value = "https://api.mountsea.ai/gemini",
        value_name = "URL"
    )]
    pub upstream_url: String,

    /// How the key is sent upstream.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_AUTH",
        value_enum,
        default_value_t = KeyHeader::Bearer,
        value_name = "HEADER"
    )]
    pub upstream_auth: KeyHeader,

    /// The HTTP version towards upstream: many connections, or one shared (h2c if the URL is http).
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_HTTP",
        value_enum,
        default_value_t = Http::Http1,
        value_name = "VERSION"
    )]
    pub upstream_http: Http,

    /// How long connecting to upstream may take, in seconds.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_CONNECT_TIMEOUT",
        default_value = "5",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub connect_timeout: Duration,

    /// Reach upstream through the proxy that HTTPS_PROXY and its kin name.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_PROXY",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub upstream_proxy: bool,

    #[command(flatten)]
    pub key: Key,

    /// The largest request taken, in bytes, unpacked.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_REQUEST_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_request_bytes: usize,

    /// The largest answer, or event of a streamed answer, taken from upstream, in bytes.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_RESPONSE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_response_bytes: usize,

    /// A TOML file with models to add to the catalogue, or to change in it (docs/models.md).
    #[arg(long, help_heading = "Models", env = "GEMINI_GRPC_CATALOG", value_name = "FILE")]
    pub catalog: Option<PathBuf>,

    /// Ask for TEXT and IMAGE when a request to an image model names no response_modalities.
    #[arg(
        long,
        help_heading = "Models",
        env = "GEMINI_GRPC_IMAGE_DEFAULT_MODALITIES",
        action = ArgAction::Set,
        default_value_t = true,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub image_default_modalities: bool,

    /// Answer reflection, which tools such as grpcurl use to learn the contract.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_REFLECTION",
        action = ArgAction::Set,
        default_value_t = true,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub reflection: bool,

    #[command(flatten)]
    pub log: Log,
}

/// The key that goes upstream when the caller brings none.
#[derive(Args, Clone, Debug)]
pub struct Key {
    /// The key for callers that bring none. Better given by the variable or as a file: arguments are visible to others.
    #[arg(
        long,
        help_heading = "Key",
        env = "MOUNTSEA_API_KEY",
        hide_env_values = true,
        value_name = "KEY",
        conflicts_with = "api_key_file",
        value_parser = key
    )]
    pub api_key: Option<Result<ApiKey, InvalidKey>>,

    /// A file that holds that key.
    #[arg(long, help_heading = "Key", env = "MOUNTSEA_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
}

/// What is logged, to standard error.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// Levels by module, such as `info` or `warn,gemini_grpc=debug`.
    #[arg(
        long = "log",
        help_heading = "Logging",
        env = "GEMINI_GRPC_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub filter: String,

    /// The form of a log line.
    #[arg(
        long = "log-format",
        help_heading = "Logging",
        env = "GEMINI_GRPC_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Auto,
        value_name = "FORMAT"
    )]
    pub format: LogFormat,
}

/// The header that carries the key upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`, as Mountsea takes it.
    Bearer,
    /// `x-goog-api-key: KEY`, as Google takes it.
    XGoogApiKey,
}

/// The HTTP version towards upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Http {
    #[value(name = "1")]
    Http1,
    #[value(name = "2")]
    Http2,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, else JSON.
    Auto,
    Human,
    Json,
}

/// A mistake in the configuration: one sentence that names the variable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{variable}: cannot read {path}: {source}")]
    File { variable: &'static str, path: PathBuf, source: std::io::Error },
    #[error("MOUNTSEA_API_KEY: {0}")]
    ApiKey(InvalidKey),
    #[error("MOUNTSEA_API_KEY_FILE: {path} holds no usable key; it should hold visible ASCII characters on one line")]
    Key { path: PathBuf },
    /// Without the URL: somebody may have put a key into its query.
    #[error(
        "GEMINI_GRPC_UPSTREAM_URL: an http or https URL without user or query is expected, such as https://api.mountsea.ai/gemini"
    )]
    UpstreamUrl,
    #[error("GEMINI_GRPC_CATALOG: {path}: {problem}")]
    Catalog { path: PathBuf, problem: String },
    #[error("{variable}: must be at least {least}")]
    TooSmall { variable: &'static str, least: usize },
    #[error("GEMINI_GRPC_LOG: {0}")]
    Log(String),
    #[error("the HTTP client cannot be built: {0}")]
    Client(upstream::BuildError),
}

impl Serve {
    /// Reads the files that the flags name and turns everything into what the server needs.
    pub fn resolve(&self) -> Result<server::Config, Error> {
        for (variable, bytes) in [
            ("GEMINI_GRPC_MAX_REQUEST_BYTES", self.max_request_bytes),
            ("GEMINI_GRPC_MAX_RESPONSE_BYTES", self.max_response_bytes),
        ] {
            if bytes < 1024 {
                return Err(Error::TooSmall { variable, least: 1024 });
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(server::Config {
            listen: self.listen,
            workers: if self.workers == 0 { cores } else { self.workers },
            gateway: gateway::Config {
                key: self.key.resolve()?,
                catalog: self.catalog()?,
                image_default_modalities: self.image_default_modalities,
            },
            upstream: upstream::Config {
                base: upstream::BaseUrl::parse(&self.upstream_url).ok_or(Error::UpstreamUrl)?,
                key_header: match self.upstream_auth {
                    KeyHeader::Bearer => upstream::KeyHeader::Bearer,
                    KeyHeader::XGoogApiKey => upstream::KeyHeader::XGoogApiKey,
                },
                http2: self.upstream_http == Http::Http2,
                connect_timeout: self.connect_timeout,
                system_proxy: self.upstream_proxy,
                max_response_bytes: self.max_response_bytes,
            },
            grpc: grpc::Config { max_request_bytes: self.max_request_bytes, reflection: self.reflection },
        })
    }

    fn catalog(&self) -> Result<Catalog, Error> {
        let Some(path) = &self.catalog else { return Ok(Catalog::default()) };
        let text = read("GEMINI_GRPC_CATALOG", path)?;
        Catalog::from_toml(&text)
            .map_err(|error| Error::Catalog { path: path.clone(), problem: in_short(&error, &text) })
    }
}

impl Key {
    /// The key itself, from wherever it was given.
    pub fn resolve(&self) -> Result<Option<ApiKey>, Error> {
        let Some(path) = &self.api_key_file else { return self.api_key.clone().transpose().map_err(Error::ApiKey) };
        let text = read("MOUNTSEA_API_KEY_FILE", path)?;
        text.trim().parse().map(Some).map_err(|_| Error::Key { path: path.clone() })
    }
}

/// The problem in one sentence. TOML's own text shows the line as well, which is a secret if the file is the wrong one.
fn in_short(error: &CatalogError, text: &str) -> String {
    match error {
        CatalogError::Toml(toml) => {
            let before = toml.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, toml.message().trim().replace('\n', ", "))
        }
        CatalogError::Row { .. } => error.to_string(),
    }
}

/// Never fails: clap shows what it cannot use, and a key must not be shown. `Key::resolve` refuses it in silence.
fn key(text: &str) -> Result<Result<ApiKey, InvalidKey>, std::convert::Infallible> {
    Ok(text.trim().parse())
}

fn read(variable: &'static str, path: &PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { variable, path: path.clone(), source })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    if seconds <= 0.0 {
        return Err("more than 0 seconds are expected".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
