//! The flags of telemetry: those that OpenTelemetry specifies and its SDK does not read, and a few of our own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::environment::{Environment, check, fault, is_true, number, word};
use super::otlp::{Files, LOGS, METRICS, Signal, TRACES};
use crate::config::Error;
use crate::telemetry::{Capture, Config, Exporters, Propagation, Settings};

const DISABLED: &str = "OTEL_SDK_DISABLED";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
const LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CERT: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const ADMIN: &str = "GEMINI_GRPC_ADMIN_LISTEN";

/// The default length after which a captured text is cut, in bytes.
const DEFAULT_MAX_CAPTURED_BYTES: usize = 8192;

/// The flags of telemetry.
#[derive(Args, Clone, Debug)]
pub struct Telemetry {
    /// An address for operators: metrics for Prometheus at /metrics, what callers used at /usage, and /livez and /readyz; without one there is none.
    #[arg(long, help_heading = "Telemetry", env = ADMIN, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,

    /// Whether a caller's trace goes on here; otherwise each call begins a trace of its own, with a link to the caller's.
    #[arg(
        long,
        help_heading = "Telemetry",
        env = "GEMINI_GRPC_TRUST_TRACE_CONTEXT",
        action = ArgAction::Set,
        default_value_t = true,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub trust_trace_context: bool,

    /// Whether upstream gets the trace of the call, with the caller's tracestate; for an upstream of your own. Otherwise
    /// each request to upstream begins a trace of its own.
    #[arg(
        long,
        help_heading = "Telemetry",
        env = "GEMINI_GRPC_FORWARD_TRACE_CONTEXT",
        action = ArgAction::Set,
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub forward_trace_context: bool,

    /// Whether a caller's baggage goes on to upstream, which is a third party.
    #[arg(
        long,
        help_heading = "Telemetry",
        env = "GEMINI_GRPC_FORWARD_BAGGAGE",
        action = ArgAction::Set,
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub forward_baggage: bool,

    /// The `gen_ai.provider.name` of spans and metrics.
    #[arg(
        long,
        help_heading = "Telemetry",
        env = "GEMINI_GRPC_PROVIDER_NAME",
        default_value = "gcp.gemini",
        value_name = "NAME"
    )]
    pub provider_name: String,

    /// `true` switches telemetry off.
    #[arg(long, help_heading = "OpenTelemetry", env = DISABLED, default_value = "false", value_name = "BOOL")]
    pub otel_sdk_disabled: String,

    /// Where spans go: `otlp`, `console`, `none`, or a list; `otlp` if it has an endpoint.
    #[arg(long, help_heading = "OpenTelemetry", env = TRACES.exporter, value_name = "NAMES")]
    pub otel_traces_exporter: Option<String>,

    /// Where metrics go: `otlp`, `prometheus`, `console`, `none`, or a list; `prometheus` if there is an admin address.
    #[arg(long, help_heading = "OpenTelemetry", env = METRICS.exporter, value_name = "NAMES")]
    pub otel_metrics_exporter: Option<String>,

    /// Where log lines go in addition to standard error: `otlp`, `console`, `none`, or a list; `none`, if it is not given.
    #[arg(long, help_heading = "OpenTelemetry", env = LOGS.exporter, value_name = "NAMES")]
    pub otel_logs_exporter: Option<String>,

    /// What is read from callers: `tracecontext`, `baggage`, `none`, or a list.
    #[arg(
        long,
        help_heading = "OpenTelemetry",
        env = PROPAGATORS,
        default_value = "tracecontext,baggage",
        value_name = "NAMES"
    )]
    pub otel_propagators: String,

    /// A PEM file with the authorities to trust instead of the system's, towards the collector.
    #[arg(long, help_heading = "OpenTelemetry", env = CA, value_name = "FILE")]
    pub otel_exporter_otlp_certificate: Option<String>,

    /// A PEM file with the certificate to show to the collector.
    #[arg(long, help_heading = "OpenTelemetry", env = CERT, value_name = "FILE")]
    pub otel_exporter_otlp_client_certificate: Option<String>,

    /// A PEM file with the key of that certificate.
    #[arg(long, help_heading = "OpenTelemetry", env = KEY, value_name = "FILE")]
    pub otel_exporter_otlp_client_key: Option<String>,

    /// Whether prompts and answers are kept, and where: `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY`, `SPAN_AND_EVENT`.
    #[arg(long, help_heading = "OpenTelemetry", env = CAPTURE, default_value = "NO_CONTENT", value_name = "WHERE")]
    pub otel_capture_message_content: String,

    /// Where a text that is kept so is cut, in bytes.
    #[arg(long, help_heading = "OpenTelemetry", env = LENGTH, value_name = "BYTES")]
    pub otel_attribute_value_length_limit: Option<String>,
}

impl Telemetry {
    /// Where telemetry is exported, and what it contains.
    pub fn resolve(&self) -> Result<Config, Error> {
        self.resolve_in(&Environment::new(&|name| std::env::var(name).ok()))
    }

    fn resolve_in(&self, environment: &Environment<'_>) -> Result<Config, Error> {
        let settings = Settings {
            propagation: self.propagation()?,
            provider: self.provider_name.clone().into(),
            capture: self.capture()?,
            ..Settings::default()
        };
        if is_true(&self.otel_sdk_disabled) {
            return Ok(Config { settings: Settings { capture: None, ..settings }, ..Config::default() });
        }
        check(environment)?;
        let otlp_or_none = |signal: &Signal| if signal.has_endpoint(environment) { "otlp" } else { "none" };
        let for_metrics = if self.admin_listen.is_some() { "prometheus" } else { otlp_or_none(&METRICS) };
        let exporters = |signal: &Signal, list: &Option<String>, default: &str, known: &[&'static str]| {
            self.exporters(signal, given(list.as_ref(), default), known, environment)
        };
        let (known, known_for_metrics) = (["otlp", "console", "none"], ["otlp", "prometheus", "console", "none"]);
        let config = Config {
            traces: exporters(&TRACES, &self.otel_traces_exporter, otlp_or_none(&TRACES), &known)?,
            metrics: exporters(&METRICS, &self.otel_metrics_exporter, for_metrics, &known_for_metrics)?,
            logs: exporters(&LOGS, &self.otel_logs_exporter, "none", &known)?,
            settings,
        };
        match config.metrics.prometheus && self.admin_listen.is_none() {
            true => Err(Error::Alone { variable: METRICS.exporter, missing: ADMIN }),
            false => Ok(config),
        }
    }

    fn exporters(
        &self,
        signal: &Signal,
        list: &str,
        known: &[&'static str],
        environment: &Environment<'_>,
    ) -> Result<Exporters, Error> {
        let names = names(signal.exporter, list, known)?;
        let otlp = names.contains(&"otlp").then(|| signal.resolve(environment, &self.files())).transpose()?;
        Ok(Exporters { otlp, console: names.contains(&"console"), prometheus: names.contains(&"prometheus") })
    }

    fn files(&self) -> Files {
        let path = |given: &Option<String>| given.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
        Files {
            certificate: path(&self.otel_exporter_otlp_certificate),
            client_certificate: path(&self.otel_exporter_otlp_client_certificate),
            client_key: path(&self.otel_exporter_otlp_client_key),
        }
    }

    fn propagation(&self) -> Result<Propagation, Error> {
        let given = given(Some(&self.otel_propagators), "tracecontext,baggage");
        let names = names(PROPAGATORS, given, &["tracecontext", "baggage", "none"])?;
        Ok(Propagation {
            trace_context: names.contains(&"tracecontext"),
            forward_trace: self.forward_trace_context,
            trusted: self.trust_trace_context,
            baggage: self.forward_baggage && names.contains(&"baggage"),
        })
    }

    fn capture(&self) -> Result<Option<Capture>, Error> {
        let longest = match self.otel_attribute_value_length_limit.as_deref() {
            None | Some("") => DEFAULT_MAX_CAPTURED_BYTES,
            Some(text) => usize::try_from(number(LENGTH, text, 0)?).unwrap_or(usize::MAX),
        };
        let known = ["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"];
        let (spans, events) = match word(CAPTURE, given(Some(&self.otel_capture_message_content), known[0]), &known)? {
            "SPAN_ONLY" => (true, false),
            "EVENT_ONLY" => (false, true),
            "SPAN_AND_EVENT" => (true, true),
            _ => return Ok(None),
        };
        Ok(Some(Capture { spans, events, longest }))
    }
}

/// A value, or the default if it is empty.
fn given<'a>(value: Option<&'a String>, otherwise: &'a str) -> &'a str {
    value.map(String::as_str).filter(|value| !value.is_empty()).unwrap_or(otherwise)
}

/// The names of a list; `none` on its own is an empty list.
fn names(variable: &'static str, list: &str, known: &[&'static str]) -> Result<Vec<&'static str>, Error> {
    let names = list.split(',').map(|name| word(variable, name.trim(), known)).collect::<Result<Vec<_>, _>>()?;
    match names[..] {
        ["none"] => Ok(Vec::new()),
        _ if names.contains(&"none") => Err(fault(variable, "none means no other; leave it out")),
        _ => Ok(names),
    }
}

#[cfg(test)]
mod tests;
