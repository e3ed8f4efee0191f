//! Makes instruments from the table of names.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::names::{Kind, METRICS, Metric};

pub(super) fn counter(meter: &Meter, metric: Metric) -> Counter<u64> {
    meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.meaning).build()
}

/// A counter of amounts that are not whole.
pub(super) fn amounts(meter: &Meter, metric: Metric) -> Counter<f64> {
    meter.f64_counter(metric.name).with_unit(metric.unit).with_description(metric.meaning).build()
}

/// A histogram of durations in seconds.
pub(super) fn seconds(meter: &Meter, metric: Metric, bounds: &[f64]) -> Histogram<f64> {
    let builder = meter.f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.meaning);
    builder.with_boundaries(bounds.to_vec()).build()
}

/// A histogram of whole numbers.
pub(super) fn numbers(meter: &Meter, metric: Metric, bounds: &[f64]) -> Histogram<u64> {
    let builder = meter.u64_histogram(metric.name).with_unit(metric.unit).with_description(metric.meaning);
    builder.with_boundaries(bounds.to_vec()).build()
}

/// A counter or gauge that is read whenever it is exported. With a value for its label it is one of several series.
pub(super) fn observe(
    meter: &Meter,
    metric: Metric,
    label: Option<String>,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) {
    let labels: Vec<_> = metric.labels.iter().zip(label).map(|(name, value)| KeyValue::new(*name, value)).collect();
    let (name, unit, meaning) = (metric.name, metric.unit, metric.meaning);
    // The SDK keeps the callback; the instrument itself may be dropped.
    if metric.kind == Kind::Counter {
        let builder = meter.u64_observable_counter(name).with_unit(unit).with_description(meaning);
        builder.with_callback(move |observer| observer.observe(read(), &labels)).build();
    } else {
        let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(meaning);
        builder.with_callback(move |observer| observer.observe(read(), &labels)).build();
    }
}

/// A gauge that is a ratio.
pub(super) fn observe_ratio(meter: &Meter, metric: Metric, read: impl Fn() -> f64 + Send + Sync + 'static) {
    let builder = meter.f64_observable_gauge(metric.name).with_unit(metric.unit).with_description(metric.meaning);
    builder.with_callback(move |observer| observer.observe(read(), &[])).build();
}

/// A gauge with several values of its label, each of which may have no value when it is exported.
pub(super) fn observe_each<const N: usize>(
    meter: &Meter,
    metric: Metric,
    labels: [&'static str; N],
    read: impl Fn() -> [Option<i64>; N] + Send + Sync + 'static,
) {
    let name = metric.labels.first().copied().unwrap_or_default();
    let labels = labels.map(|label| KeyValue::new(name, label));
    let builder = meter.i64_observable_gauge(metric.name).with_unit(metric.unit);
    let builder = builder.with_description(metric.meaning).with_callback(move |observer| {
        for (label, value) in labels.iter().zip(read()) {
            if let Some(value) = value {
                observer.observe(value, std::slice::from_ref(label));
            }
        }
    });
    builder.build();
}

/// A gauge whose values of its label change while the process runs. `read` reports each with its value.
pub(super) fn observe_all(
    meter: &Meter,
    metric: Metric,
    read: impl Fn(&mut dyn FnMut(Arc<str>, u64)) + Send + Sync + 'static,
) {
    let name = metric.labels.first().copied().unwrap_or_default();
    let builder = meter.u64_observable_gauge(metric.name).with_unit(metric.unit).with_description(metric.meaning);
    builder
        .with_callback(move |observer| {
            read(&mut |label, value| observer.observe(value, &[KeyValue::new(name, label)]));
        })
        .build();
}

/// The counters of the table of names, each made when it first counts. A row of that table is all that a counter needs.
pub(super) struct Counters {
    meter: Meter,
    counters: Vec<(Metric, OnceLock<Counter<u64>>)>,
}

impl Counters {
    pub(super) fn new(meter: Meter) -> Self {
        let counters = METRICS.iter().filter(|metric| metric.kind == Kind::Counter);
        Self { meter, counters: counters.map(|metric| (*metric, OnceLock::new())).collect() }
    }

    /// Adds to a counter, with values for its labels if it has some.
    pub(super) fn add(&self, metric: Metric, labels: &[&str], count: u64) {
        let Some((_, counter)) = self.counters.iter().find(|(known, _)| known.name == metric.name) else {
            debug_assert!(false, "{} is not a counter", metric.name);
            return;
        };
        let counter = counter.get_or_init(|| self::counter(&self.meter, metric));
        let labels = metric.labels.iter().zip(labels);
        let labels: Vec<_> = labels.map(|(name, value)| KeyValue::new(*name, (*value).to_owned())).collect();
        counter.add(count, &labels);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn every_counter_of_the_table_counts() {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let counters = Counters::new(provider.meter("test"));
        let counted: Vec<_> = METRICS.iter().filter(|metric| metric.kind == Kind::Counter).collect();
        for metric in &counted {
            counters.add(**metric, &vec!["a label"; metric.labels.len()], 7);
        }
        let exported = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for metric in counted {
            let name = metric.name.replace('.', "_");
            let line = exported.lines().find(|line| line.starts_with(&name) && line.ends_with(" 7"));
            assert!(line.is_some(), "{name} is not in\n{exported}");
        }
    }
}
