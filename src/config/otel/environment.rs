//! Reads OpenTelemetry's own variables, and refuses values that its SDK cannot use and would ignore.

use crate::config::Error;

/// The variables of the process, or those of a test. To OpenTelemetry an empty variable is not set.
pub(super) struct Environment<'e>(&'e dyn Fn(&str) -> Option<String>);

impl<'e> Environment<'e> {
    pub(super) fn new(lookup: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self(lookup)
    }

    pub(super) fn get(&self, variable: &str) -> Option<String> {
        self.0(variable).filter(|value| !value.is_empty())
    }

    /// A switch is on only if its value is the word true.
    pub(super) fn is_on(&self, variable: &str) -> bool {
        self.get(variable).is_some_and(|value| is_true(&value))
    }
}

/// Whether OpenTelemetry reads this value of a switch as on.
pub(super) fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// Variables that the SDK reads itself, with the words that it knows. It uses its default for any other word.
const WORDS: [(&str, &[&str]); 6] = [
    (
        "OTEL_TRACES_SAMPLER",
        &[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
    ),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", &["gzip", "none"]),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &["cumulative", "delta", "lowmemory"]),
];

/// The same for numbers, with the smallest that is accepted. With 0 in a queue or a batch the SDK would send nothing.
const NUMBERS: [(&str, u64); 12] = [
    ("OTEL_BSP_SCHEDULE_DELAY", 1),
    ("OTEL_BSP_MAX_QUEUE_SIZE", 1),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
    ("OTEL_BSP_EXPORT_TIMEOUT", 1),
    ("OTEL_BLRP_SCHEDULE_DELAY", 1),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", 1),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 1),
    ("OTEL_BLRP_EXPORT_TIMEOUT", 1),
    ("OTEL_METRIC_EXPORT_INTERVAL", 1),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", 0),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", 0),
];

/// Refuses values that the SDK would ignore without a word.
pub(super) fn check(environment: &Environment<'_>) -> Result<(), Error> {
    for (variable, known) in WORDS {
        if let Some(value) = environment.get(variable) {
            word(variable, &value, known)?;
        }
    }
    for (variable, min) in NUMBERS {
        if let Some(value) = environment.get(variable) {
            number(variable, &value, min)?;
        }
    }
    let sampler = environment.get("OTEL_TRACES_SAMPLER").unwrap_or_default();
    let ratio = environment.get("OTEL_TRACES_SAMPLER_ARG").filter(|_| sampler.ends_with("traceidratio"));
    match ratio {
        Some(ratio) if !ratio.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio)) => {
            Err(fault("OTEL_TRACES_SAMPLER_ARG", "a share from 0 to 1 is expected, such as 0.1"))
        }
        _ => Ok(()),
    }
}

/// The one of the known words that this is.
pub(super) fn word(variable: &'static str, value: &str, known: &[&'static str]) -> Result<&'static str, Error> {
    let found = known.iter().find(|word| **word == value);
    found.copied().ok_or_else(|| fault(variable, format!("{value:?} is none of {}", known.join(", "))))
}

pub(super) fn number(variable: &'static str, value: &str, min: u64) -> Result<u64, Error> {
    let number = value.trim().parse().ok().filter(|number| *number >= min);
    number.ok_or_else(|| fault(variable, format!("a whole number from {min} up is expected")))
}

pub(super) fn fault(variable: &'static str, problem: impl Into<String>) -> Error {
    Error::Telemetry { variable, problem: problem.into() }
}
