//! Exporters for OTLP, and an eye on whether they succeed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{self, LogBatch};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{self, SpanData};
use tokio::runtime::Handle;

/// The way to a collector; where it is the SDK reads from the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otlp {
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// Whom to trust, and what to show, in PEM.
#[derive(Clone, Default)]
pub struct Tls {
    pub authorities: Option<Vec<u8>>,
    /// A certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    fn is_set(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some()
    }

    fn grpc(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new().with_enabled_roots();
        if let Some(authorities) = &self.authorities {
            config = config.ca_certificate(Certificate::from_pem(authorities));
        }
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        config
    }

    fn http(&self) -> Result<reqwest::blocking::Client, reqwest::Error> {
        let mut builder = reqwest::blocking::Client::builder().no_proxy();
        if let Some(authorities) = &self.authorities {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(authorities)?);
        }
        if let Some((certificate, key)) = &self.identity {
            builder = builder.identity(reqwest::Identity::from_pem(&[&certificate[..], b"\n", key].concat())?);
        }
        builder.build()
    }
}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("set", &self.is_set()).finish_non_exhaustive()
    }
}

macro_rules! exporter {
    ($method:ident, $exporter:ident) => {
        pub(super) fn $method(self, tls: &Tls, runtime: Option<&Handle>) -> Result<$exporter, String> {
            let built = match self {
                Self::Grpc => {
                    // The channel belongs to the runtime in which it is made.
                    let _entered = runtime.map(Handle::enter);
                    let builder = $exporter::builder().with_tonic();
                    if tls.is_set() { builder.with_tls_config(tls.grpc()).build() } else { builder.build() }
                }
                Self::Http => {
                    let builder = $exporter::builder().with_http();
                    match tls.is_set() {
                        true => builder.with_http_client(tls.http().map_err(|error| error.to_string())?).build(),
                        false => builder.build(),
                    }
                }
            };
            built.map_err(|error| error.to_string())
        }
    };
}

impl Otlp {
    exporter!(spans, SpanExporter);
    exporter!(metrics, MetricExporter);
    exporter!(logs, LogExporter);
}

/// Which signals cannot be exported now.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicU8);

impl Watch {
    /// Said once, when the first cannot, and once when all can again.
    fn saw(&self, signal: &'static str, bit: u8, result: &OTelSdkResult) {
        match result {
            Ok(()) if self.0.load(Ordering::Relaxed) == 0 => {}
            Ok(()) => {
                if self.0.fetch_and(!bit, Ordering::Relaxed) == bit {
                    tracing::info!("telemetry is exported again");
                }
            }
            Err(error) => {
                if self.0.fetch_or(bit, Ordering::Relaxed) == 0 {
                    tracing::warn!(signal, %error, "telemetry cannot be exported; calls go on, and it is tried again");
                }
            }
        }
    }
}

/// An exporter whose results are watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    signal: &'static str,
    bit: u8,
    watch: Arc<Watch>,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, signal: &'static str, watch: &Arc<Watch>) -> Self {
        let bit = match signal {
            "spans" => 1,
            "metrics" => 2,
            _ => 4,
        };
        Self { exporter, signal, bit, watch: watch.clone() }
    }

    fn saw(&self, result: OTelSdkResult) -> OTelSdkResult {
        self.watch.saw(self.signal, self.bit, &result);
        result
    }
}

impl<E: trace::SpanExporter> trace::SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.saw(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: logs::LogExporter> logs::LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
