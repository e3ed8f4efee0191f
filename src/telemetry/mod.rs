//! What is told of calls: spans, metrics and the access log. It knows no handler and no error of ours; it is given
//! codes, names and numbers.
//!
//! A call has three guards, one inside the other, each ended by being dropped: [`Rpc`] is the call as its caller sees
//! it, [`Operation`] what was asked of the model, [`Attempt`] one request to upstream. They are made with the API of
//! OpenTelemetry and not with `tracing`, which builds the attributes of a span before it is known whether anybody
//! wants them.

mod access;
mod attempt;
mod content;
mod export;
mod metrics;
pub mod names;
mod operation;
mod otlp;
mod outcome;
mod pipeline;
mod propagation;
mod rpc;
mod series;
mod usage;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

pub use self::attempt::Attempt;
pub use self::content::Capture;
use self::metrics::Metrics;
use self::names::attribute;
pub use self::operation::{Asked, Operation, Parent};
pub use self::otlp::{Otlp, Protocol, Tls};
pub use self::outcome::Outcome;
pub use self::pipeline::{Config, Error, Exporters, Pipelines};
pub use self::propagation::Propagation;
pub use self::rpc::{Arrived, CallMethod, End, Phase, Rpc};
pub use self::usage::EstimatedTokens;

/// Where what is told goes. All workers share one; without providers nothing is told but the access log.
#[derive(Clone, Default)]
pub struct Telemetry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    settings: Settings,
    tracer: Option<SdkTracer>,
    logger: Option<SdkLogger>,
    metrics: Option<Metrics>,
    /// Calls of a streaming method that have not ended.
    streams: Arc<AtomicU64>,
}

/// What the tellers have to know.
#[derive(Clone, Debug)]
pub struct Settings {
    pub propagation: Propagation,
    /// `gen_ai.provider.name`.
    pub provider: Arc<str>,
    /// The host of upstream.
    pub upstream_address: Arc<str>,
    pub upstream_port: u16,
    /// What is kept of contents: nothing, unless it is asked for.
    pub capture: Option<Capture>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            propagation: Propagation::default(),
            provider: "gcp.gemini".into(),
            upstream_address: "".into(),
            upstream_port: 0,
            capture: None,
        }
    }
}

impl Telemetry {
    /// Tells what the providers export.
    pub fn new(
        settings: Settings,
        tracers: Option<&SdkTracerProvider>,
        meters: Option<&SdkMeterProvider>,
        loggers: Option<&SdkLoggerProvider>,
    ) -> Self {
        let scope = opentelemetry::InstrumentationScope::builder(names::SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let streams = Arc::new(AtomicU64::new(0));
        let metrics = meters.map(|meters| Metrics::new(meters, scope.clone(), &settings));
        if let Some(metrics) = &metrics {
            metrics.begin_at_zero();
            let streams = streams.clone();
            metrics.observe(names::STREAMS_OPEN, None, move || streams.load(Ordering::Relaxed));
        }
        Self(Arc::new(Inner {
            logger: loggers.map(|loggers| loggers.logger_with_scope(scope.clone())),
            tracer: tracers.map(|tracers| tracers.tracer_with_scope(scope)),
            metrics,
            settings,
            streams,
        }))
    }

    /// Lets a metric be read whenever somebody wants to know it. With a value for the label that the metric has, it is
    /// one of several.
    pub fn observe(
        &self,
        metric: names::Metric,
        label: Option<String>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe(metric, label, read);
        }
    }

    /// The same for a metric that has a value, which may be negative, for some of its labels at a time.
    pub fn observe_each<const N: usize>(
        &self,
        metric: names::Metric,
        labels: [&'static str; N],
        read: impl Fn() -> [Option<i64>; N] + Send + Sync + 'static,
    ) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe_each(metric, labels, read);
        }
    }

    /// Adds to a counter whose label, if it has one, has few values.
    pub fn count(&self, metric: names::Metric, label: Option<&str>) {
        if let Some(metrics) = &self.0.metrics {
            metrics.count(metric, label);
        }
    }

    /// A span below one of ours, if that is recorded: samplers decide for whole traces.
    fn child<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        parent: &SpanContext,
        attributes: usize,
    ) -> Option<Box<Span>> {
        let tracer = self.0.tracer.as_ref().filter(|_| parent.is_sampled())?;
        // Room for all that is told, so that it does not move.
        let mut told = Vec::with_capacity(attributes);
        told.push(KeyValue::new(attribute::SERVER_ADDRESS, self.0.settings.upstream_address.clone()));
        told.push(KeyValue::new(attribute::SERVER_PORT, i64::from(self.0.settings.upstream_port)));
        let builder = SpanBuilder::from_name(name()).with_kind(SpanKind::Client).with_attributes(told);
        recorded(tracer.build_with_context(builder, &Context::new().with_remote_span_context(parent.clone())))
    }
}

/// A span that somebody will see. Apart, since most calls of most gateways have none.
fn recorded(span: Span) -> Option<Box<Span>> {
    span.is_recording().then(|| Box::new(span))
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("traces", &self.0.tracer.is_some())
            .field("metrics", &self.0.metrics.is_some())
            .finish_non_exhaustive()
    }
}
