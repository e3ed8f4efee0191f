//! The handle through which everything records telemetry.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::metrics::Metrics;
use super::names::{self, Metric};
use super::settings::Settings;

/// Records spans, metrics and the access log. All workers share one; without providers there is only the access log.
#[derive(Clone, Default)]
pub struct Telemetry(pub(super) Arc<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) tracer: Option<SdkTracer>,
    pub(super) logger: Option<SdkLogger>,
    pub(super) metrics: Option<Metrics>,
    /// Calls of a streaming method that have not ended.
    pub(super) streams: Arc<AtomicU64>,
}

impl Telemetry {
    /// Records what these providers export.
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

    /// Exports a metric whose value is read at each export. With a value for its label it is one of several series.
    pub fn observe(&self, metric: Metric, label: Option<String>, read: impl Fn() -> u64 + Send + Sync + 'static) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe(metric, label, read);
        }
    }

    /// The same for a gauge that is a ratio.
    pub fn observe_ratio(&self, metric: Metric, read: impl Fn() -> f64 + Send + Sync + 'static) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe_ratio(metric, read);
        }
    }

    /// The same for a metric with several values of its label, each of which may have no value, or a negative one.
    pub fn observe_each<const N: usize>(
        &self,
        metric: Metric,
        labels: [&'static str; N],
        read: impl Fn() -> [Option<i64>; N] + Send + Sync + 'static,
    ) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe_each(metric, labels, read);
        }
    }

    /// The same for a metric whose values of its label change while the process runs. `read` reports each with its
    /// value.
    pub fn observe_all(&self, metric: Metric, read: impl Fn(&mut dyn FnMut(Arc<str>, u64)) + Send + Sync + 'static) {
        if let Some(metrics) = &self.0.metrics {
            metrics.observe_all(metric, read);
        }
    }

    /// Adds 1 to a counter. Its label, if it has one, must have few values.
    pub fn count(&self, metric: Metric, label: Option<&str>) {
        if let Some(metrics) = &self.0.metrics {
            metrics.count(metric, label);
        }
    }

    /// Exports a counter at 0 from now on, for each of these values of its label; one empty value if it has no label.
    pub fn count_from_zero(&self, metric: Metric, labels: &[&str]) {
        if let Some(metrics) = &self.0.metrics {
            metrics.count_from_zero(metric, labels);
        }
    }

    /// Records how long a call waited for the store of limits.
    pub fn store_answered(&self, time: Duration) {
        if let Some(metrics) = &self.0.metrics {
            metrics.store_answered(time.as_secs_f64());
        }
    }

    /// A CLIENT span below one of ours, with memory for this many attributes; `None` if the parent is not sampled,
    /// since samplers decide for whole traces.
    pub(super) fn child<N: Into<Cow<'static, str>>>(
        &self,
        name: impl FnOnce() -> N,
        parent: &SpanContext,
        attributes: usize,
    ) -> Option<Box<Span>> {
        let tracer = self.0.tracer.as_ref().filter(|_| parent.is_sampled())?;
        let mut labels = Vec::with_capacity(attributes);
        labels.extend(self.0.settings.upstream_labels());
        let builder = SpanBuilder::from_name(name()).with_kind(SpanKind::Client).with_attributes(labels);
        recorded(tracer.build_with_context(builder, &Context::new().with_remote_span_context(parent.clone())))
    }
}

/// The span, if it will be exported. In a box, because most calls of most gateways have none.
pub(super) fn recorded(span: Span) -> Option<Box<Span>> {
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
