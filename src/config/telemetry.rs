//! OpenTelemetry: the variables of its specification that the SDK leaves out, and a few of our own.
//!
//! Endpoints, headers, samplers, batches and intervals are read by the SDK itself from their `OTEL_*` variables; here
//! it is only looked at whether they can be used, since the SDK says nothing about a value that it does not know.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::Error;
use super::pem::{Pem, together};
use crate::telemetry::{Capture, Config, Exporters, Otlp, Propagation, Settings, Tls};

const DISABLED: &str = "OTEL_SDK_DISABLED";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
const LENGTH: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CERT: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const ADMIN: &str = "GEMINI_GRPC_ADMIN_LISTEN";

/// A text that is captured is cut here, in bytes, if the environment says nothing else.
const LONGEST: usize = 8192;

/// The flags of telemetry.
#[derive(Args, Clone, Debug)]
pub struct Telemetry {
    /// An address for operators: metrics for Prometheus at /metrics, and /livez and /readyz; without one there is none.
    #[arg(long, help_heading = "Telemetry", env = ADMIN, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,

    /// Whether a caller's trace goes on here; else each call begins a trace of its own, with a link to the caller's.
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

    /// Whether a caller's baggage goes on to upstream, which is somebody else's.
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

    /// Where log lines go beside standard error: `otlp`, `console`, `none`, or a list; `none`, if it is not given.
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

    /// A PEM file with the authorities of the collector.
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

/// The variables of a signal.
struct Signal {
    exporter: &'static str,
    endpoint: &'static str,
    protocol: &'static str,
}

const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
};
const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
};
const LOGS: Signal = Signal {
    exporter: "OTEL_LOGS_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
};

/// What the environment says of a name; a value that is empty means nothing, as the specification has it.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Telemetry {
    /// What is told, and to whom.
    pub fn resolve(&self) -> Result<Config, Error> {
        self.resolve_in(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn resolve_in(&self, environment: Environment<'_>) -> Result<Config, Error> {
        let settings = Settings {
            propagation: self.propagation()?,
            provider: self.provider_name.as_str().into(),
            capture: self.capture()?,
            ..Settings::default()
        };
        if self.otel_sdk_disabled.eq_ignore_ascii_case("true") {
            return Ok(Config { settings: Settings { capture: None, ..settings }, ..Config::default() });
        }
        check_sampler(environment)?;
        let has_endpoint = |signal: &Signal| environment(ENDPOINT).or_else(|| environment(signal.endpoint)).is_some();
        let otlp_or_none = |signal| if has_endpoint(signal) { "otlp" } else { "none" };
        let for_metrics = if self.admin_listen.is_some() { "prometheus" } else { otlp_or_none(&METRICS) };
        let config = Config {
            traces: exporters(&TRACES, given(self.otel_traces_exporter.as_ref(), otlp_or_none(&TRACES)), environment)?,
            metrics: exporters(&METRICS, given(self.otel_metrics_exporter.as_ref(), for_metrics), environment)?,
            logs: exporters(&LOGS, given(self.otel_logs_exporter.as_ref(), "none"), environment)?,
            tls: self.tls()?,
            settings,
        };
        if config.traces.prometheus || config.logs.prometheus {
            return Err(fault(TRACES.exporter, "prometheus takes metrics only (OTEL_METRICS_EXPORTER)"));
        }
        if config.metrics.prometheus && self.admin_listen.is_none() {
            return Err(Error::Alone { variable: METRICS.exporter, missing: ADMIN });
        }
        Ok(config)
    }

    fn propagation(&self) -> Result<Propagation, Error> {
        let mut propagation = Propagation { trace_context: false, trusted: self.trust_trace_context, baggage: false };
        for name in names(given(Some(&self.otel_propagators), "tracecontext,baggage")) {
            match name {
                "tracecontext" => propagation.trace_context = true,
                "baggage" => propagation.baggage = self.forward_baggage,
                "none" => {}
                _ => return Err(fault(PROPAGATORS, "it may be tracecontext, baggage or none, or a list of them")),
            }
        }
        Ok(propagation)
    }

    fn capture(&self) -> Result<Option<Capture>, Error> {
        let longest = match self.otel_attribute_value_length_limit.as_deref() {
            None | Some("") => LONGEST,
            Some(text) => text.parse().map_err(|_| fault(LENGTH, "a number of bytes is expected"))?,
        };
        let (spans, events) = match given(Some(&self.otel_capture_message_content), "NO_CONTENT") {
            "NO_CONTENT" => return Ok(None),
            "SPAN_ONLY" => (true, false),
            "EVENT_ONLY" => (false, true),
            "SPAN_AND_EVENT" => (true, true),
            _ => return Err(fault(CAPTURE, "it may be NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT")),
        };
        Ok(Some(Capture { spans, events, longest }))
    }

    fn tls(&self) -> Result<Tls, Error> {
        let set = |path: &Option<String>| path.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
        let [ca, certificate, key] = [
            &self.otel_exporter_otlp_certificate,
            &self.otel_exporter_otlp_client_certificate,
            &self.otel_exporter_otlp_client_key,
        ]
        .map(set);
        let authorities = ca.map(|path| Pem::read(CA, &path).map(|pem| pem.bytes)).transpose()?;
        let identity = together((CERT, &certificate), (KEY, &key))?;
        let identity = identity.map(|(certificate, key)| (certificate.bytes, key.bytes));
        Ok(Tls { authorities, identity })
    }
}

/// A value, or what stands for one that is empty.
fn given<'a>(value: Option<&'a String>, otherwise: &'a str) -> &'a str {
    value.map(String::as_str).filter(|value| !value.is_empty()).unwrap_or(otherwise)
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn exporters(signal: &Signal, list: &str, environment: Environment<'_>) -> Result<Exporters, Error> {
    let mut exporters = Exporters::default();
    for name in names(list) {
        match name {
            "otlp" => exporters.otlp = Some(protocol(signal, environment)?),
            "console" => exporters.console = true,
            "prometheus" => exporters.prometheus = true,
            "none" => {}
            _ => return Err(fault(signal.exporter, "it may be otlp, console, prometheus or none, or a list of them")),
        }
    }
    Ok(exporters)
}

/// http/protobuf is what the specification has where nothing is said.
fn protocol(signal: &Signal, environment: Environment<'_>) -> Result<Otlp, Error> {
    const GENERAL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let variable = if environment(signal.protocol).is_some() { signal.protocol } else { GENERAL };
    match environment(variable).as_deref() {
        None | Some("http/protobuf") => Ok(Otlp::Http),
        Some("grpc") => Ok(Otlp::Grpc),
        Some(_) => Err(fault(variable, "it may be grpc or http/protobuf")),
    }
}

fn check_sampler(environment: Environment<'_>) -> Result<(), Error> {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let ratio = match environment(SAMPLER).as_deref() {
        None | Some("always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off") => return Ok(()),
        Some("traceidratio" | "parentbased_traceidratio") => environment(ARGUMENT),
        Some(_) => {
            let known = "it may be always_on, always_off or traceidratio, or one of these behind parentbased_";
            return Err(fault(SAMPLER, known));
        }
    };
    match ratio.is_none_or(|ratio| ratio.parse().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio))) {
        true => Ok(()),
        false => Err(fault(ARGUMENT, "a number from 0 to 1 is expected")),
    }
}

fn fault(variable: &'static str, expected: &'static str) -> Error {
    Error::Telemetry { variable, expected }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        telemetry: Telemetry,
    }

    fn resolve(flags: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
        let telemetry = Flags::parse_from(["test"].iter().chain(flags)).telemetry;
        let environment = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        telemetry.resolve_in(&environment).map_err(|error| error.to_string())
    }

    /// Where spans, metrics and logs go.
    fn where_to(flags: &[&str], environment: &[(&str, &str)]) -> [String; 3] {
        let config = resolve(flags, environment).unwrap();
        [config.traces, config.metrics, config.logs].map(|exporters| {
            let otlp = exporters.otlp.map(|otlp| format!("{otlp:?}")).unwrap_or_default();
            let [console, prometheus] = [exporters.console, exporters.prometheus].map(u8::from);
            format!("{otlp} {console} {prometheus}").trim_start().replace(" 0", "").replace("0", "")
        })
    }

    #[test]
    fn nothing_is_exported_before_an_endpoint_or_an_admin_address_is_given() {
        assert_eq!(where_to(&[], &[]), ["", "", ""]);
        assert_eq!(where_to(&["--admin-listen", "127.0.0.1:0"], &[]), ["", " 1", ""]);
        assert_eq!(where_to(&[], &[(ENDPOINT, "http://c:4318")]), ["Http", "Http", ""]);
        let traces_alone = [(TRACES.endpoint, "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!(where_to(&[], &traces_alone), ["Grpc", "", ""]);
    }

    #[test]
    fn exporters_are_named_in_lists_and_never_two_for_metrics_by_themselves() {
        let endpoint = [(ENDPOINT, "http://c:4318")];
        let admin = ["--admin-listen", "127.0.0.1:0"];
        assert_eq!(where_to(&admin, &endpoint), ["Http", " 1", ""]);
        let both = [&admin[..], &["--otel-metrics-exporter", "otlp, prometheus"]].concat();
        assert_eq!(where_to(&both, &endpoint)[1], "Http 1");
        assert_eq!(
            where_to(&["--otel-traces-exporter", "none", "--otel-logs-exporter", "otlp"], &endpoint)[..],
            ["", "Http", "Http"]
        );
        assert_eq!(where_to(&["--otel-traces-exporter", ""], &endpoint)[0], "Http");
        for off in ["true", "TRUE"] {
            assert_eq!(where_to(&["--otel-sdk-disabled", off], &endpoint), ["", "", ""]);
        }
        assert_eq!(where_to(&["--otel-sdk-disabled", "yes"], &endpoint)[0], "Http");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_can() {
        let endpoint = (ENDPOINT, "http://c:4318");
        for (flags, environment, said) in [
            (&["--otel-traces-exporter", "jaeger"][..], &[][..], "OTEL_TRACES_EXPORTER: it may be otlp"),
            (&["--otel-traces-exporter", "prometheus"], &[], "OTEL_TRACES_EXPORTER: prometheus takes metrics only"),
            (
                &["--otel-metrics-exporter", "prometheus"],
                &[],
                "OTEL_METRICS_EXPORTER: means nothing without GEMINI_GRPC_ADMIN",
            ),
            (&["--otel-propagators", "b3"], &[], "OTEL_PROPAGATORS: it may be tracecontext"),
            (&["--otel-capture-message-content", "yes"], &[], "CAPTURE_MESSAGE_CONTENT: it may be NO_CONTENT"),
            (&["--otel-attribute-value-length-limit", "x"], &[], "LENGTH_LIMIT: a number"),
            (
                &[],
                &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                "OTEL_EXPORTER_OTLP_PROTOCOL: it may be grpc",
            ),
            (&[], &[("OTEL_TRACES_SAMPLER", "sometimes")], "OTEL_TRACES_SAMPLER: it may be always_on"),
            (
                &[],
                &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "10")],
                "OTEL_TRACES_SAMPLER_ARG: a number from 0 to 1",
            ),
        ] {
            let error = resolve(flags, environment).unwrap_err();
            assert!(error.contains(said), "{flags:?} {environment:?}: {error}");
        }
    }

    #[test]
    fn baggage_goes_to_upstream_only_if_both_variables_say_so() {
        let baggage = |flags: &[&str]| resolve(flags, &[]).unwrap().settings.propagation.baggage;
        assert!(!baggage(&[]));
        assert!(baggage(&["--forward-baggage", "true"]));
        assert!(!baggage(&["--forward-baggage", "true", "--otel-propagators", "tracecontext"]));
    }
}
