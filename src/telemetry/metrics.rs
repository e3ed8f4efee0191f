//! The instruments, and how they are made from the table of names.

use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{BoundHistogram, Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::Settings;
use super::names::{self, Kind, Metric, attribute};
use super::rpc::{Method, Phase};
use super::series::Series;
use super::usage::Usage;
use crate::gemini::code::Code;
use crate::gemini::json::{Anomaly, AnomalyKind};

/// gRPC's codes.
const CODES: usize = 17;
/// So many models have series of their own.
const MODELS: usize = 100;
/// So many members of answers are counted by name.
const UNKNOWN_MEMBERS: usize = 100;
/// The longest name of a member that is a label, in bytes.
const MAX_MEMBER_NAME: usize = 64;

/// What is counted one by one, with one label at most.
const COUNTED: [Metric; 10] = [
    names::CALLS_REFUSED,
    names::REQUESTS_REFUSED,
    names::CALLS_CANCELLED,
    names::RETRIES,
    names::RETRIES_DENIED,
    names::UPSTREAM_CONNECTIONS,
    names::UNKNOWN_MEMBERS,
    names::UNREADABLE_MEMBERS,
    names::REPAIRED_TEXTS,
    names::RELOADS,
];

/// The instruments of a gateway.
pub(super) struct Metrics {
    meter: Meter,
    rpc: Histogram<f64>,
    /// By method and code.
    rpc_bound: [[OnceLock<BoundHistogram<f64>>; CODES]; Method::COUNT],
    operation: Histogram<f64>,
    first_chunk: Histogram<f64>,
    chunk: Histogram<f64>,
    tokens: Histogram<u64>,
    http: Histogram<f64>,
    http_ok: OnceLock<BoundHistogram<f64>>,
    /// What every metric of an operation has.
    operation_labels: [KeyValue; 4],
    /// What every metric of a request has.
    http_labels: [KeyValue; 3],
    models: Series<Arc<str>, ModelSeries>,
    other: OnceLock<Arc<ModelSeries>>,
    pub(super) usage: Usage,
    counters: [(&'static str, Counter<u64>); COUNTED.len()],
    /// Members that the contract does not have.
    unknown: Series<Arc<str>, ()>,
}

/// The metrics of the operations of one model.
pub(super) struct ModelSeries {
    /// The name of the model, or what stands for many.
    pub(super) label: Arc<str>,
    labels: Vec<KeyValue>,
    pub(super) ok: BoundHistogram<f64>,
    pub(super) first_chunk: BoundHistogram<f64>,
    pub(super) chunk: BoundHistogram<f64>,
    pub(super) input: BoundHistogram<u64>,
    pub(super) output: BoundHistogram<u64>,
}

impl Metrics {
    pub(super) fn new(provider: &SdkMeterProvider, scope: InstrumentationScope, settings: &Settings) -> Self {
        let meter = provider.meter_with_scope(scope);
        let seconds = |metric: Metric, bounds: &[f64]| {
            let builder = meter.f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.meaning);
            builder.with_boundaries(bounds.to_vec()).build()
        };
        let tokens = names::TOKEN_USAGE;
        let [address, port] = [
            KeyValue::new(attribute::SERVER_ADDRESS, settings.upstream_address.clone()),
            KeyValue::new(attribute::SERVER_PORT, i64::from(settings.upstream_port)),
        ];
        Self {
            rpc: seconds(names::RPC_DURATION, names::RPC_BOUNDS),
            rpc_bound: Default::default(),
            operation: seconds(names::OPERATION_DURATION, names::GEN_AI_BOUNDS),
            first_chunk: seconds(names::TIME_TO_FIRST_CHUNK, names::GEN_AI_BOUNDS),
            chunk: seconds(names::TIME_PER_CHUNK, names::GEN_AI_BOUNDS),
            tokens: meter
                .u64_histogram(tokens.name)
                .with_unit(tokens.unit)
                .with_description(tokens.meaning)
                .with_boundaries(names::TOKEN_BOUNDS.to_vec())
                .build(),
            http: seconds(names::HTTP_DURATION, names::RPC_BOUNDS),
            http_ok: OnceLock::new(),
            operation_labels: [
                KeyValue::new(attribute::OPERATION_NAME, names::GENERATE_CONTENT),
                KeyValue::new(attribute::PROVIDER_NAME, settings.provider.clone()),
                address.clone(),
                port.clone(),
            ],
            http_labels: [KeyValue::new(attribute::HTTP_REQUEST_METHOD, names::HTTP_REQUEST), address, port],
            models: Series::up_to(MODELS),
            other: OnceLock::new(),
            usage: Usage::new(&meter),
            counters: COUNTED.map(|metric| (metric.name, counter(&meter, metric))),
            unknown: Series::up_to(UNKNOWN_MEMBERS),
            meter,
        }
    }

    /// A series that begins with its first count has no increase then, and nobody would be told of it.
    pub(super) fn begin_at_zero(&self) {
        for (metric, labels) in [
            (names::CALLS_REFUSED, &["TOO_MANY_CALLS", "TOO_MANY_BYTES", names::REASON_OUT_OF_FILES][..]),
            (names::REQUESTS_REFUSED, &["method", "content_type", "http1"]),
            (names::CALLS_CANCELLED, &Phase::ALL.map(Phase::name)),
            (names::RETRIES_DENIED, &[""]),
            (names::UPSTREAM_CONNECTIONS, &[""]),
            (names::RELOADS, &["applied", "refused"]),
        ] {
            labels.iter().for_each(|label| self.add(metric, Some(label), 0));
        }
    }

    pub(super) fn observe(
        &self,
        metric: Metric,
        label: Option<String>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let labels: Vec<_> = metric.labels.iter().zip(label).map(|(name, value)| KeyValue::new(*name, value)).collect();
        let (name, unit, meaning) = (metric.name, metric.unit, metric.meaning);
        // The SDK keeps what reads it; there is nothing to hold.
        if metric.kind == Kind::Counter {
            let builder = self.meter.u64_observable_counter(name).with_unit(unit).with_description(meaning);
            builder.with_callback(move |told| told.observe(read(), &labels)).build();
        } else {
            let builder = self.meter.u64_observable_gauge(name).with_unit(unit).with_description(meaning);
            builder.with_callback(move |told| told.observe(read(), &labels)).build();
        }
    }

    /// A gauge with a value for each label that there is one for when it is read.
    pub(super) fn observe_each<const N: usize>(
        &self,
        metric: Metric,
        labels: [&'static str; N],
        read: impl Fn() -> [Option<i64>; N] + Send + Sync + 'static,
    ) {
        let name = metric.labels.first().copied().unwrap_or_default();
        let labels = labels.map(|label| KeyValue::new(name, label));
        let builder = self.meter.i64_observable_gauge(metric.name).with_unit(metric.unit);
        let builder = builder.with_description(metric.meaning).with_callback(move |told| {
            for (label, value) in labels.iter().zip(read()) {
                if let Some(value) = value {
                    told.observe(value, std::slice::from_ref(label));
                }
            }
        });
        builder.build();
    }

    pub(super) fn count(&self, metric: Metric, label: Option<&str>) {
        self.add(metric, label, 1);
    }

    fn add(&self, metric: Metric, label: Option<&str>, count: u64) {
        let Some((_, counter)) = self.counters.iter().find(|(name, _)| *name == metric.name) else { return };
        match (metric.labels.first(), label) {
            (Some(name), Some(value)) => counter.add(count, &[KeyValue::new(*name, value.to_owned())]),
            _ => counter.add(count, &[]),
        }
    }

    /// A member that the contract does not have. Upstream chooses its name, so a long one is counted with the others.
    pub(super) fn unknown_member(&self, name: &str) {
        let known = || self.unknown.get(name).or_else(|| self.unknown.get_or_add(&name.into(), || ()));
        let known = name.len() <= MAX_MEMBER_NAME && known().is_some();
        self.count(names::UNKNOWN_MEMBERS, Some(if known { name } else { names::OTHER }));
    }

    /// A fault of an answer that did not cost it.
    pub(super) fn anomaly(&self, anomaly: &Anomaly) {
        let metric = match anomaly.kind {
            AnomalyKind::Unreadable => names::UNREADABLE_MEMBERS,
            AnomalyKind::Repaired => names::REPAIRED_TEXTS,
        };
        self.add(metric, Some(&anomaly.name()), anomaly.count);
    }

    pub(super) fn rpc(&self, method: Method, code: Code, is_fault: bool, seconds: f64) {
        let bound = self.rpc_bound[method.index()][usize::from(code.number())].get_or_init(|| {
            let mut labels = vec![
                KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"),
                KeyValue::new(attribute::RPC_METHOD, method.label()),
                KeyValue::new(attribute::RPC_STATUS_CODE, code.as_str()),
            ];
            labels.extend(is_fault.then(|| KeyValue::new(attribute::ERROR_TYPE, code.as_str())));
            self.rpc.bind(&labels)
        });
        bound.record(seconds);
    }

    pub(super) fn http(&self, status: Option<u16>, error: Option<&str>, seconds: f64) {
        let labels = || {
            let mut labels = self.http_labels.to_vec();
            labels.extend(status.map(|s| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(s))));
            labels.extend(error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error.to_owned())));
            labels
        };
        match (status, error) {
            (Some(200), None) => self.http_ok.get_or_init(|| self.http.bind(&labels())).record(seconds),
            _ => self.http.record(seconds, &labels()),
        }
    }

    /// The series of a model. Callers may name what they like, so a name counts once upstream has answered for it.
    pub(super) fn model(&self, name: &Arc<str>, answered: bool) -> Arc<ModelSeries> {
        let series = match answered {
            true => self.models.get_or_add(name, || self.model_series(name.clone())),
            false => self.models.get(&**name),
        };
        series.unwrap_or_else(|| self.other.get_or_init(|| Arc::new(self.model_series(names::OTHER.into()))).clone())
    }

    fn model_series(&self, label: Arc<str>) -> ModelSeries {
        let mut labels = self.operation_labels.to_vec();
        labels.push(KeyValue::new(attribute::REQUEST_MODEL, label.clone()));
        let tokens = |kind: &'static str| {
            let mut labels = labels.clone();
            labels.push(KeyValue::new(attribute::TOKEN_TYPE, kind));
            self.tokens.bind(&labels)
        };
        ModelSeries {
            ok: self.operation.bind(&labels),
            first_chunk: self.first_chunk.bind(&labels),
            chunk: self.chunk.bind(&labels),
            input: tokens("input"),
            output: tokens("output"),
            label,
            labels,
        }
    }

    /// An operation that failed.
    pub(super) fn failed(&self, model: &ModelSeries, error: &str, seconds: f64) {
        let mut labels = model.labels.clone();
        labels.push(KeyValue::new(attribute::ERROR_TYPE, error.to_owned()));
        self.operation.record(seconds, &labels);
    }
}

pub(super) fn counter(meter: &Meter, metric: Metric) -> Counter<u64> {
    meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.meaning).build()
}
