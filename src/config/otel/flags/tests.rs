//! Variables in, settings out.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use clap::Parser;

use super::*;
use crate::telemetry::SpanBatches;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    telemetry: Telemetry,
}

/// What the settings come to: each signal with where it goes, or the sentence that refuses them.
///
/// The variables that have a flag are given as that flag: a test cannot set variables of its own process.
fn resolve(variables: &[(&str, &str)]) -> String {
    let (flags, others): (Vec<_>, Vec<_>) = variables.iter().partition(|(variable, _)| flag_of(variable).is_some());
    let flags = flags.iter().map(|(variable, value)| format!("--{}={value}", flag_of(variable).unwrap()));
    let telemetry = Flags::parse_from(std::iter::once("test".to_owned()).chain(flags)).telemetry;
    let lookup =
        |name: &str| others.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    match telemetry.resolve_in(&Environment::new(&lookup)) {
        Ok(Config { traces, metrics, logs, .. }) => {
            let list = |Exporters { otlp, console, prometheus }: Exporters| {
                let otlp = otlp.map(|otlp| format!("{otlp:?}").replace(" authorities=false identity=false", ""));
                let others = [(prometheus, "prometheus"), (console, "console")];
                let others = others.iter().filter(|(is_there, _)| *is_there).map(|(_, name)| (*name).to_owned());
                otlp.into_iter().chain(others).collect::<Vec<_>>().join("+")
            };
            [("traces", list(traces)), ("metrics", list(metrics)), ("logs", list(logs))]
                .into_iter()
                .filter(|(_, list)| !list.is_empty())
                .map(|(signal, list)| format!("{signal} {list}"))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Err(error) => error.to_string(),
    }
}

fn flag_of(variable: &str) -> Option<String> {
    let definition = Telemetry::augment_args(clap::Command::new("test"));
    let argument = definition.get_arguments().find(|argument| argument.get_env().is_some_and(|env| env == variable));
    argument.and_then(|argument| argument.get_long()).map(str::to_owned)
}

#[test]
fn signals_go_where_the_variables_say() {
    const ADMIN: (&str, &str) = ("GEMINI_GRPC_ADMIN_LISTEN", "127.0.0.1:9464");
    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
    let http = |signal: &str| format!("{signal} otlp (http/protobuf, http://c:4318/v1/{signal}) 10s");
    let default = format!("{}, {}", http("traces"), http("metrics"));
    for (variables, says) in [
        (&[][..], String::new()),
        (&[ENDPOINT], default.clone()),
        // An empty variable is one that is not set.
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", ""), ("OTEL_SDK_DISABLED", "")], default.clone()),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], String::new()),
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_SAMPLER", "bad")], String::new()),
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "yes")], default),
        // Never to both by default.
        (&[ENDPOINT, ADMIN], format!("{}, metrics prometheus", http("traces"))),
        (&[ADMIN], "metrics prometheus".to_owned()),
        (&[ADMIN, ("OTEL_METRICS_EXPORTER", "none")], String::new()),
        (
            &[ADMIN, ENDPOINT, ("OTEL_METRICS_EXPORTER", "otlp, prometheus,otlp"), ("OTEL_LOGS_EXPORTER", "otlp")],
            format!("{}, {}+prometheus, {}", http("traces"), http("metrics"), http("logs")),
        ),
        (
            &[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_LOGS_EXPORTER", "otlp")],
            "traces console, logs otlp (http/protobuf, http://localhost:4318/v1/logs) 10s".to_owned(),
        ),
        // A signal's own variable takes precedence over that of all, and is the whole URL.
        (
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/x"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "250")],
            "traces otlp (http/protobuf, https://t/x) 250ms".to_owned(),
        ),
        (
            &[
                ("OTEL_LOGS_EXPORTER", "otlp"),
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "l:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
                ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1000"),
            ],
            "logs otlp (grpc, https://l:4317) 1s".to_owned(),
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "t:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_INSECURE", "True"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "otlp"),
                ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "no"),
            ],
            "traces otlp (grpc, http://t:4317) 10s, logs otlp (grpc, https://t:4317) 10s".to_owned(),
        ),
    ] {
        assert_eq!(resolve(variables), says, "{variables:?}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_in_a_sentence_that_names_the_variable() {
    for (variable, value, says) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", "\"zipkin\" is none of otlp, console, none"),
        ("OTEL_TRACES_EXPORTER", "prometheus", "\"prometheus\" is none of otlp, console, none"),
        ("OTEL_METRICS_EXPORTER", "otlp,none", "none means no other; leave it out"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "requires GEMINI_GRPC_ADMIN_LISTEN"),
        ("OTEL_LOGS_EXPORTER", "otlp,", "\"\" is none of otlp, console, none"),
        ("OTEL_PROPAGATORS", "b3", "\"b3\" is none of tracecontext, baggage, none"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "\"jaeger_remote\" is none of always_on, always_off, traceidratio, "),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "\"http/json\" is none of grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp", "\"udp\" is none of grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "\"zstd\" is none of gzip, none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "a whole number from 1 up is expected"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number from 1 up is expected"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "soon", "a whole number from 1 up is expected"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a whole number from 0 up is expected"),
        (CAPTURE, "true", "\"true\" is none of NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an http or https URL is expected"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:///secret", "an http or https URL is expected"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file", "cannot read /no/such/file"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/no/such/file", "cannot read /no/such/file"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/no/such/file", "requires OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    ] {
        // Something that goes to a collector, unless the variable itself says what.
        let mut variables = vec![(variable, value)];
        if variable != "OTEL_TRACES_EXPORTER" {
            variables.push(("OTEL_TRACES_EXPORTER", "otlp"));
        }
        let got = resolve(&variables);
        assert!(got.starts_with(&format!("{variable}: {says}")), "{variable}={value}: {got}");
    }
    for ratio in ["1.1", "half", "NaN"] {
        let got = resolve(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert!(got.starts_with("OTEL_TRACES_SAMPLER_ARG: a share from 0 to 1 is expected"), "{got}");
    }
    // The argument of a sampler that takes none is not looked at.
    assert_eq!(resolve(&[("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_TRACES_SAMPLER_ARG", "x")]), "");
}

#[test]
fn what_is_told_and_understood_is_as_the_variables_say() {
    let settings = |flags: &[&str]| {
        let telemetry = Flags::parse_from(["test"].iter().chain(flags)).telemetry;
        telemetry.resolve_in(&Environment::new(&|_| None)).unwrap().settings
    };
    for (given, expected) in [
        ("", None),
        ("NO_CONTENT", None),
        ("SPAN_ONLY", Some((true, false))),
        ("EVENT_ONLY", Some((false, true))),
        ("SPAN_AND_EVENT", Some((true, true))),
    ] {
        let flag = format!("--otel-capture-message-content={given}");
        let capture = |flags: &[&str]| settings(flags).capture.map(|capture| (capture.spans, capture.events));
        assert_eq!(capture(&[&flag]), expected, "{given}");
        assert_eq!(capture(&[&flag, "--otel-sdk-disabled=true"]), None, "{given}");
    }
    for (given, tracecontext, baggage) in
        [("", true, true), ("baggage", false, true), ("tracecontext", true, false), ("none", false, false)]
    {
        let flag = format!("--otel-propagators={given}");
        let propagation = settings(&[&flag, "--forward-baggage=true"]).propagation;
        assert_eq!((propagation.trace_context, propagation.baggage), (tracecontext, baggage), "{given}");
        // It goes to upstream only if both variables say so.
        assert!(!settings(&[&flag]).propagation.baggage);
    }
    for (flags, forwarded) in [(&[][..], false), (&["--forward-trace-context=true"], true)] {
        assert_eq!(settings(flags).propagation.forward_trace, forwarded, "{flags:?}");
    }
}

#[test]
fn headers_compression_and_batches_of_spans_are_read() {
    let otlp = |variables: &[(&str, &str)]| {
        let lookup =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        TRACES.resolve(&Environment::new(&lookup), &Flags::parse_from(["test"]).telemetry.files()).unwrap()
    };
    for (list, headers) in [
        ("a=1", &[("a", "1")][..]),
        (" Api-Key = a%20key ,b=2=3,,", &[("api-key", "a key"), ("b", "2=3")]),
        // As they are, since they are not encoded correctly.
        ("a=100%,b=%2,c=%20%zz", &[("a", "100%"), ("b", "%2"), ("c", "%20%zz")]),
        // The last one counts.
        ("a=1,A=2", &[("a", "2")]),
        // None of these is a header.
        ("a,=1,b=, =2,c d=3,e=%0A,g=%FF%20", &[("g", "%FF%20")]),
    ] {
        let otlp = otlp(&[("OTEL_EXPORTER_OTLP_HEADERS", list)]);
        let got: Vec<_> = otlp.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(got, headers, "{list}");
        assert!(otlp.headers.values().all(|value| value.is_sensitive()), "{list}");
    }
    let all = [("OTEL_EXPORTER_OTLP_HEADERS", "a=1"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    assert!(otlp(&all).gzip && !otlp(&[]).gzip && otlp(&[]).headers.is_empty());
    let own = [("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"), ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none")];
    let own = otlp(&[own, all].concat());
    assert!(!own.gzip && own.headers.len() == 1 && own.headers["b"] == "2");
    let queue = [("OTEL_BSP_MAX_QUEUE_SIZE", "1000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")];
    let batches = otlp(&[&queue[..], &[("OTEL_BSP_SCHEDULE_DELAY", "50")]].concat()).batches;
    assert_eq!(batches, SpanBatches { queue: 1000, size: 100, delay: Duration::from_millis(50) });
    assert_eq!(otlp(&[]).batches, SpanBatches::default());
}
