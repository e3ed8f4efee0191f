//! Where spans, metrics and logs go: providers, exporters, and their end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::export::{self, Otlp, Watch, Watched};
use super::{Settings, Telemetry};

/// Usage is counted by caller and model, and must not end in a series for all the others.
const USAGE_SERIES: usize = 10_000;

/// What is exported, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub traces: Exporters,
    pub metrics: Exporters,
    pub logs: Exporters,
    pub tls: export::Tls,
    pub settings: Settings,
}

/// Where one signal goes.
#[derive(Clone, Debug, Default)]
pub struct Exporters {
    pub otlp: Option<Otlp>,
    /// Standard output.
    pub console: bool,
    /// Metrics only: whoever asks for them at the admin port.
    pub prometheus: bool,
}

/// Their names, as the variable has them.
impl fmt::Display for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otlp = self.otlp.map(|otlp| if otlp == Otlp::Grpc { "otlp (grpc)" } else { "otlp (http/protobuf)" });
        let others = [(self.prometheus, "prometheus"), (self.console, "console")];
        let others = others.iter().filter_map(|(is_there, name)| is_there.then_some(*name));
        let names: Vec<_> = otlp.into_iter().chain(others).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(", ") }.as_str())
    }
}

impl Exporters {
    fn any(&self) -> bool {
        self.otlp.is_some() || self.console || self.prometheus
    }
}

/// Telemetry cannot be exported as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the exporter of {signal} cannot be made: {problem}")]
    Exporter { signal: &'static str, problem: String },
    #[error("cannot start the thread of telemetry: {0}")]
    Thread(std::io::Error),
}

/// All that exports. Nothing does by default.
#[derive(Default)]
pub struct Pipelines {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
    registry: Option<Registry>,
    /// Its connections live as long as this.
    runtime: Option<Runtime>,
}

/// A thread on which connections to a collector live: those who export wait for them on threads of their own.
struct Runtime {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Pipelines {
    /// Starts what is configured. Samplers, batches, intervals, endpoints and headers are what the environment says
    /// (the SDK's `OTEL_*` variables).
    pub fn start(config: &Config) -> Result<Self, Error> {
        let signals = [&config.traces, &config.metrics, &config.logs];
        if !signals.iter().any(|exporters| exporters.any()) {
            return Ok(Self::default());
        }
        let runtime = signals.iter().any(|exporters| exporters.otlp.is_some()).then(Runtime::start).transpose()?;
        let handle = runtime.as_ref().map(|runtime| &runtime.handle);
        let (watch, tls, resource) = (Arc::new(Watch::default()), &config.tls, resource());
        let exporter = |signal| move |problem: String| Error::Exporter { signal, problem };
        let mut started = Self::default();

        if config.traces.any() {
            let mut builder = SdkTracerProvider::builder().with_resource(resource.clone());
            if let Some(otlp) = &config.traces.otlp {
                let spans = otlp.spans(tls, handle).map_err(exporter("spans"))?;
                builder = builder.with_batch_exporter(Watched::new(spans, "spans", &watch));
            }
            if config.traces.console {
                builder = builder.with_batch_exporter(opentelemetry_stdout::SpanExporter::default());
            }
            started.traces = Some(builder.build());
        }
        if config.metrics.any() {
            let mut builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(usage_has_room);
            if let Some(otlp) = &config.metrics.otlp {
                let metrics = otlp.metrics(tls, handle).map_err(exporter("metrics"))?;
                builder =
                    builder.with_reader(PeriodicReader::builder(Watched::new(metrics, "metrics", &watch)).build());
            }
            if config.metrics.console {
                builder = builder.with_periodic_exporter(opentelemetry_stdout::MetricExporter::default());
            }
            if config.metrics.prometheus {
                let registry = Registry::new();
                let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone());
                let reader = reader.scope_info_enabled(false).build();
                builder = builder.with_reader(reader.map_err(|error| exporter("metrics")(error.to_string()))?);
                started.registry = Some(registry);
            }
            started.metrics = Some(builder.build());
        }
        if config.logs.any() {
            let mut builder = SdkLoggerProvider::builder().with_resource(resource);
            if let Some(otlp) = &config.logs.otlp {
                let logs = otlp.logs(tls, handle).map_err(exporter("logs"))?;
                builder = builder.with_batch_exporter(Watched::new(logs, "logs", &watch));
            }
            if config.logs.console {
                builder = builder.with_batch_exporter(opentelemetry_stdout::LogExporter::default());
            }
            started.logs = Some(builder.build());
        }
        started.runtime = runtime;
        Ok(started)
    }

    /// What tells these of calls.
    pub fn telemetry(&self, settings: Settings) -> Telemetry {
        Telemetry::new(settings, self.traces.as_ref(), self.metrics.as_ref(), self.logs.as_ref())
    }

    /// Where spans that are made with `tracing` go.
    pub fn traces(&self) -> Option<&SdkTracerProvider> {
        self.traces.as_ref()
    }

    /// Where log lines go beside standard error.
    pub fn logs(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// What reads all metrics in the text format of Prometheus, if they are exported so.
    pub fn scrape(&self) -> Option<impl Fn() -> String + Send + Sync + 'static> {
        let registry = self.registry.clone()?;
        // Fails only for metrics that have no name.
        Some(move || TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default())
    }

    /// Exports what is left, within a time. Blocks the thread.
    pub fn shutdown(self, within: Duration) {
        let end = Instant::now() + within;
        let left = || end.saturating_duration_since(Instant::now());
        // What cannot be exported has been said already.
        let _ = self.traces.as_ref().map(|traces| traces.shutdown_with_timeout(left()));
        let _ = self.logs.as_ref().map(|logs| logs.shutdown_with_timeout(left()));
        let _ = self.metrics.as_ref().map(|metrics| metrics.shutdown_with_timeout(left()));
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipelines")
            .field("traces", &self.traces.is_some())
            .field("metrics", &self.metrics.is_some())
            .field("logs", &self.logs.is_some())
            .finish_non_exhaustive()
    }
}

impl Runtime {
    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let run = move || drop(runtime.block_on(stopped));
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { handle, _stop: stop })
    }
}

/// Who tells: what the environment says (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`), else our name.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let named = |key: &'static str| given.get(&Key::from_static_str(key)).map(|value| value.to_string());
    let mut builder = Resource::builder();
    // The SDK calls what has no name unknown_service.
    if named("service.name").is_none_or(|name| name.starts_with("unknown_service")) {
        builder = builder.with_service_name("gemini-grpc");
    }
    for (key, value) in [
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", uuid::Uuid::new_v4().to_string()),
    ] {
        if named(key).is_none() {
            builder = builder.with_attribute(KeyValue::new(key, value));
        }
    }
    builder.build()
}

fn usage_has_room(instrument: &Instrument) -> Option<Stream> {
    let is_usage = instrument.name().starts_with("gemini_grpc.usage.");
    is_usage.then(|| Stream::builder().with_cardinality_limit(USAGE_SERIES).build().ok()).flatten()
}
