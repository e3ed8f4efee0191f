//! Starts and stops the providers and exporters of spans, metrics and logs.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::batches::BatchProcessor;
use super::export::{ExportHealth, Monitored};
use super::otlp::Otlp;
use super::recorder::Telemetry;
use super::settings::Settings;

/// The most series of usage in an export. It is counted by caller and model, and must not overflow into one series for
/// all others.
const MAX_USAGE_SERIES: usize = 10_000;

/// What is exported, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub traces: Exporters,
    pub metrics: Exporters,
    pub logs: Exporters,
    pub settings: Settings,
}

impl Config {
    /// When the first certificate ends of those shown to collectors, and of their authorities, in seconds since 1970.
    pub fn certificate_ends(&self) -> [Option<i64>; 2] {
        let signals = [&self.traces, &self.metrics, &self.logs];
        [0, 1].map(|place| signals.iter().filter_map(|signal| signal.otlp.as_ref()?.tls.ends[place]).min())
    }
}

/// Where one signal goes.
#[derive(Clone, Debug, Default)]
pub struct Exporters {
    pub otlp: Option<Otlp>,
    /// Standard output.
    pub console: bool,
    /// Metrics only: scraped at the admin port.
    pub prometheus: bool,
}

/// Their names, as the variable has them.
impl fmt::Display for Exporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = [(self.prometheus, "prometheus"), (self.console, "console")];
        let others = others.iter().filter(|(is_there, _)| *is_there).map(|(_, name)| (*name).to_owned());
        let names: Vec<_> = self.otlp.iter().map(Otlp::to_string).chain(others).collect();
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

/// The providers of all signals that are exported; by default none.
#[derive(Default)]
pub struct Pipelines {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
    registry: Option<Registry>,
    health: Arc<ExportHealth>,
    /// Its connections live as long as this.
    runtime: Option<Runtime>,
}

/// The thread of the OTLP connections. It exports spans. The exporter threads of the SDK, for metrics and logs, block while
/// they wait for it.
struct Runtime {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Pipelines {
    /// Starts the configured exporters. Samplers, batches, intervals, endpoints and headers come from the environment
    /// (the SDK's `OTEL_*` variables).
    pub fn start(config: &Config) -> Result<Self, Error> {
        let signals = [&config.traces, &config.metrics, &config.logs];
        if !signals.iter().any(|exporters| exporters.any()) {
            return Ok(Self::default());
        }
        let runtime = Runtime::start()?;
        let (handle, resource) = (&runtime.handle, resource());
        let exporter = |signal| move |problem: String| Error::Exporter { signal, problem };
        let mut started = Self::default();
        let health = started.health.clone();

        if config.traces.any() {
            let mut builder = SdkTracerProvider::builder().with_resource(resource.clone());
            if let Some(otlp) = &config.traces.otlp {
                let spans = otlp.spans(handle).map_err(exporter("spans"))?;
                let exporter = Monitored::new(spans, "spans", otlp.shown(), &health);
                builder = builder.with_span_processor(BatchProcessor::start(exporter, otlp.batches, handle));
            }
            if config.traces.console {
                builder = builder.with_batch_exporter(opentelemetry_stdout::SpanExporter::default());
            }
            started.traces = Some(builder.build());
        }
        if config.metrics.any() {
            let mut builder = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(usage_has_room);
            if let Some(otlp) = &config.metrics.otlp {
                let metrics = otlp.metrics(handle).map_err(exporter("metrics"))?;
                builder = builder.with_reader(
                    PeriodicReader::builder(Monitored::new(metrics, "metrics", otlp.shown(), &health)).build(),
                );
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
                let logs = otlp.logs(handle).map_err(exporter("logs"))?;
                builder = builder.with_batch_exporter(Monitored::new(logs, "logs", otlp.shown(), &health));
            }
            if config.logs.console {
                builder = builder.with_batch_exporter(opentelemetry_stdout::LogExporter::default());
            }
            started.logs = Some(builder.build());
        }
        started.runtime = Some(runtime);
        Ok(started)
    }

    /// The handle that records into these.
    pub fn telemetry(&self, settings: Settings) -> Telemetry {
        Telemetry::new(settings, self.traces.as_ref(), self.metrics.as_ref(), self.logs.as_ref())
    }

    /// Where spans that are made with `tracing` go.
    pub fn traces(&self) -> Option<&SdkTracerProvider> {
        self.traces.as_ref()
    }

    /// The exporter of log lines, in addition to standard error.
    pub fn logs(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    /// Reads all metrics in the text format of Prometheus, if they are exported so.
    pub fn scrape(&self) -> Option<impl Fn() -> String + Send + Sync + 'static> {
        let registry = self.registry.clone()?;
        // Fails only for metrics that have no name.
        Some(move || TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default())
    }

    /// Exports what is left, within a time, and logs a warning if something could not be exported. Blocks the thread.
    pub fn shutdown(self, within: Duration) {
        let Self { traces, metrics, logs, health, runtime, .. } = self;
        let closings: [(&str, Option<Closing>); 3] = [
            ("spans", traces.map(|traces| Box::new(move || traces.shutdown_with_timeout(within)) as Closing)),
            // The SDK ignores this time and has a limit of its own.
            ("metrics", metrics.map(|metrics| Box::new(move || metrics.shutdown_with_timeout(within)) as Closing)),
            ("logs", logs.map(|logs| Box::new(move || logs.shutdown_with_timeout(within)) as Closing)),
        ];
        let (done, closed) = mpsc::channel();
        let mut left = Vec::new();
        for (signal, closing) in closings.into_iter().filter_map(|(signal, closing)| Some((signal, closing?))) {
            left.push(signal);
            let done = done.clone();
            // All at the same time. Otherwise a collector that does not answer would use up the whole time for the
            // first.
            let close = move || {
                let _ = closing();
                done.send(signal)
            };
            // A signal that gets no thread stays among those that are left.
            let _ = std::thread::Builder::new().name("last-export".to_owned()).spawn(close);
        }
        drop(done);
        let end = Instant::now() + within;
        while let Ok(signal) = closed.recv_timeout(end.saturating_duration_since(Instant::now())) {
            left.retain(|other| *other != signal);
        }
        // The SDK does not return how the last batch went.
        left.extend(health.failing());
        left.sort_unstable();
        left.dedup();
        if !left.is_empty() {
            tracing::warn!(signals = left.join(", "), "the last of telemetry could not be exported");
        }
        drop(runtime);
    }
}

/// The end of one provider.
type Closing = Box<dyn FnOnce() -> OTelSdkResult + Send>;

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

/// The resource, from the environment (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`), with our name if it has none.
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
    is_usage.then(|| Stream::builder().with_cardinality_limit(MAX_USAGE_SERIES).build().ok()).flatten()
}

#[cfg(test)]
mod tests;
