//! The metrics of a gateway.

use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{BoundHistogram, Histogram, Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::facts::{CallEnd, CallIdentity, CallPhase, CallProtocol, HttpRequest};
use super::instrument::{self, Counters};
use super::keys::KeyRequests;
use super::names::{self, Metric, attribute};
use super::series::Series;
use super::settings::Settings;
use super::usage::Usage;
use crate::gemini::code::Code;
use crate::gemini::json::{Anomaly, AnomalyKind};
use crate::gemini::method::Method;
use crate::reason::ErrorKind;

/// The most series of calls by method and code; there are fewer of both together.
const MAX_CALL_SERIES: usize = 1000;
/// The most models that have series of their own.
const MAX_MODELS: usize = 100;
/// The most unknown members of responses that are counted by name.
const MAX_UNKNOWN_MEMBERS: usize = 100;
/// The longest name of a member that is used as a label, in bytes.
const MAX_MEMBER_NAME: usize = 64;

/// The instruments of a gateway. Those that a call records in are bound to their labels once and kept.
pub(super) struct Metrics {
    meter: Meter,
    calls: Histogram<f64>,
    /// By method and code.
    calls_bound: Series<(&'static str, Code), BoundHistogram<f64>>,
    http_calls: Histogram<f64>,
    /// By request, status and error.
    http_calls_bound: Series<HttpCall, BoundHistogram<f64>>,
    operation: Histogram<f64>,
    first_chunk: Histogram<f64>,
    chunk: Histogram<f64>,
    tokens: Histogram<u64>,
    http: Histogram<f64>,
    http_ok: OnceLock<BoundHistogram<f64>>,
    /// What every metric of an operation has, in addition to its name and model.
    operation_labels: [KeyValue; 3],
    /// What every metric of a request to upstream has.
    http_labels: [KeyValue; 2],
    /// By operation and model.
    models: Series<(&'static str, Arc<str>), ModelSeries>,
    /// By operation, for all models beyond those.
    other: Series<&'static str, ModelSeries>,
    pub(super) usage: Usage,
    /// How long calls waited for the store, if there is one.
    store: OnceLock<BoundHistogram<f64>>,
    pub(super) keys: KeyRequests,
    counters: Counters,
    /// Unknown members of responses that were counted by name.
    unknown: Series<Arc<str>, ()>,
}

/// A call over HTTP as metrics see it: its request, its status, and the code of a response that broke off.
type HttpCall = (HttpRequest, Option<u16>, Option<Code>);

/// The metrics of the operations of one model.
pub(super) struct ModelSeries {
    /// The name of the model, or the one that stands for all others.
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
        let seconds = |metric: Metric, bounds: &[f64]| instrument::seconds(&meter, metric, bounds);
        let [address, port] = settings.upstream_labels();
        Self {
            calls: seconds(names::RPC_DURATION, names::RPC_BOUNDS),
            calls_bound: Series::up_to(MAX_CALL_SERIES),
            http_calls: seconds(names::HTTP_SERVER_DURATION, names::RPC_BOUNDS),
            http_calls_bound: Series::up_to(MAX_CALL_SERIES),
            operation: seconds(names::OPERATION_DURATION, names::GEN_AI_BOUNDS),
            first_chunk: seconds(names::TIME_TO_FIRST_CHUNK, names::GEN_AI_BOUNDS),
            chunk: seconds(names::TIME_PER_CHUNK, names::GEN_AI_BOUNDS),
            tokens: instrument::numbers(&meter, names::TOKEN_USAGE, names::TOKEN_BOUNDS),
            http: seconds(names::HTTP_DURATION, names::RPC_BOUNDS),
            http_ok: OnceLock::new(),
            operation_labels: [
                KeyValue::new(attribute::PROVIDER_NAME, settings.provider.clone()),
                address.clone(),
                port.clone(),
            ],
            http_labels: [address, port],
            models: Series::up_to(MAX_MODELS),
            other: Series::up_to(Method::ALL.len()),
            usage: Usage::new(&meter),
            store: OnceLock::new(),
            keys: KeyRequests::new(&meter),
            counters: Counters::new(meter.clone()),
            unknown: Series::up_to(MAX_UNKNOWN_MEMBERS),
            meter,
        }
    }

    /// Exports these counters at 0 from the start: Prometheus' `increase()` does not see the first count of a series
    /// that begins with it, so an alert would miss it.
    pub(super) fn begin_at_zero(&self) {
        for (metric, labels) in [
            (names::CALLS_REFUSED, &["TOO_MANY_CALLS", "TOO_MANY_BYTES", "OUT_OF_FILES"][..]),
            (names::REQUESTS_REFUSED, &["method", "content_type", "http1"]),
            (names::CALLS_CANCELLED, &CallPhase::ALL.map(CallPhase::as_str)),
            (names::RETRIES_DENIED, &[""]),
            (names::UPSTREAM_CONNECTIONS, &[""]),
            (names::RELOADS, &["applied", "refused"]),
        ] {
            self.count_from_zero(metric, labels);
        }
    }

    /// Exports a counter at 0 from now on, for each of these values of its label.
    pub(super) fn count_from_zero(&self, metric: Metric, labels: &[&str]) {
        labels.iter().for_each(|label| self.counters.add(metric, &[label], 0));
    }

    pub(super) fn observe(
        &self,
        metric: Metric,
        label: Option<String>,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        instrument::observe(&self.meter, metric, label, read);
    }

    pub(super) fn observe_ratio(&self, metric: Metric, read: impl Fn() -> f64 + Send + Sync + 'static) {
        instrument::observe_ratio(&self.meter, metric, read);
    }

    pub(super) fn observe_each<const N: usize>(
        &self,
        metric: Metric,
        labels: [&'static str; N],
        read: impl Fn() -> [Option<i64>; N] + Send + Sync + 'static,
    ) {
        instrument::observe_each(&self.meter, metric, labels, read);
    }

    pub(super) fn observe_all(
        &self,
        metric: Metric,
        read: impl Fn(&mut dyn FnMut(Arc<str>, u64)) + Send + Sync + 'static,
    ) {
        instrument::observe_all(&self.meter, metric, read);
    }

    pub(super) fn count(&self, metric: Metric, label: Option<&str>) {
        self.counters.add(metric, label.as_slice(), 1);
    }

    /// Counts with several labels, in the order of the metric's names for them.
    pub(super) fn count_labels(&self, metric: Metric, labels: &[&str]) {
        self.counters.add(metric, labels, 1);
    }

    /// Records how long a call waited for the store.
    pub(super) fn store_answered(&self, seconds: f64) {
        let bind = || instrument::seconds(&self.meter, names::STORE_DURATION, names::STORE_BOUNDS).bind(&[]);
        self.store.get_or_init(bind).record(seconds);
    }

    /// Counts a member that the contract does not have. Upstream chooses its name, so a long one is counted with
    /// others.
    pub(super) fn unknown_member(&self, name: &str) {
        let known = || self.unknown.get(name).or_else(|| self.unknown.get_or_add(&name.into(), || ()));
        let known = name.len() <= MAX_MEMBER_NAME && known().is_some();
        self.count(names::UNKNOWN_MEMBERS, Some(if known { name } else { names::OTHER }));
    }

    /// Counts a fault of a response that did not make it fail.
    pub(super) fn anomaly(&self, anomaly: &Anomaly) {
        let metric = match anomaly.kind {
            AnomalyKind::Unreadable => names::UNREADABLE_MEMBERS,
            AnomalyKind::Repaired => names::REPAIRED_TEXTS,
        };
        self.counters.add(metric, &[&anomaly.name()], anomaly.count);
    }

    /// Records the duration of a call that has ended.
    pub(super) fn call(&self, call: &CallIdentity, end: &CallEnd, http_status: Option<u16>, seconds: f64) {
        if let CallProtocol::Http(request) = call.protocol {
            return self.http_call(request, end, http_status, seconds);
        }
        let (method, code) = (call.method.label(), end.code);
        let labels = || {
            let mut labels = vec![
                KeyValue::new(attribute::RPC_SYSTEM_NAME, CallProtocol::RPC_SYSTEM),
                KeyValue::new(attribute::RPC_METHOD, method),
                KeyValue::new(attribute::RPC_STATUS_CODE, code.as_str()),
            ];
            labels.extend(end.is_server_error().then(|| KeyValue::new(attribute::ERROR_TYPE, code.as_str())));
            labels
        };
        match self.calls_bound.get_or_add(&(method, code), || self.calls.bind(&labels())) {
            Some(bound) => bound.record(seconds),
            None => self.calls.record(seconds, &labels()),
        }
    }

    fn http_call(&self, request: HttpRequest, end: &CallEnd, status: Option<u16>, seconds: f64) {
        let error = end.http_error(status);
        let labels = || {
            let mut labels: Vec<_> = request.labels().collect();
            labels.extend(status.map(|s| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(s))));
            labels.extend(error.clone().map(|error| KeyValue::new(attribute::ERROR_TYPE, error)));
            labels
        };
        let key = (request, status, error.is_some().then_some(end.code));
        match self.http_calls_bound.get_or_add(&key, || self.http_calls.bind(&labels())) {
            Some(bound) => bound.record(seconds),
            None => self.http_calls.record(seconds, &labels()),
        }
    }

    /// Records the duration of a request to upstream with this HTTP method.
    pub(super) fn http(&self, method: &'static str, status: Option<u16>, error: Option<ErrorKind>, seconds: f64) {
        let labels = || {
            let mut labels = vec![KeyValue::new(attribute::HTTP_REQUEST_METHOD, method)];
            labels.extend_from_slice(&self.http_labels);
            labels.extend(status.map(|s| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(s))));
            labels.extend(error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error.as_str())));
            labels
        };
        match (method, status, error) {
            (names::USUAL_HTTP_METHOD, Some(200), None) => {
                self.http_ok.get_or_init(|| self.http.bind(&labels())).record(seconds)
            }
            _ => self.http.record(seconds, &labels()),
        }
    }

    /// The series of a model. A name gets one only once upstream has `answered` for it, since callers choose the names.
    pub(super) fn model(&self, method: Method, name: &Arc<str>, answered: bool) -> Arc<ModelSeries> {
        let key = (method.operation(), name.clone());
        let series = match answered {
            true => self.models.get_or_add(&key, || self.model_series(key.0, name.clone())),
            false => self.models.get(&key),
        };
        let other = || self.model_series(key.0, names::OTHER.into());
        series.or_else(|| self.other.get_or_add(&key.0, other)).unwrap_or_else(|| Arc::new(other()))
    }

    fn model_series(&self, operation: &'static str, label: Arc<str>) -> ModelSeries {
        let mut labels = vec![KeyValue::new(attribute::OPERATION_NAME, operation)];
        labels.extend_from_slice(&self.operation_labels);
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

    /// Records the duration of an operation that failed.
    pub(super) fn failed(&self, model: &ModelSeries, error: ErrorKind, seconds: f64) {
        let mut labels = model.labels.clone();
        labels.push(KeyValue::new(attribute::ERROR_TYPE, error.as_str()));
        self.operation.record(seconds, &labels);
    }
}
