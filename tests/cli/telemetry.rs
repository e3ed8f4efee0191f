//! Telemetry: the page lists every metric, and the access log marks estimates.

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::telemetry::names::{Kind, METRICS};

use crate::certificates::Files;
use crate::support::Gateway;

#[test]
fn the_page_lists_every_metric_of_the_code() {
    let page = include_str!("../../docs/telemetry.md");
    let rows: Vec<_> = METRICS
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | `{}` | {} | {} |", metric.name, metric.unit, labels.join(" "), metric.meaning)
        })
        .collect();
    let listed: Vec<_> =
        page.lines().filter(|line| line.matches(" | ").count() == 4 && line.starts_with("| `")).collect();
    assert_eq!(listed, rows, "docs/telemetry.md (left) should have these rows:\n{}", rows.join("\n"));
}

#[test]
fn the_access_log_marks_estimated_tokens() {
    let mut gateway = Gateway::start();
    for (model, estimated) in [("gemini-2.5-flash", false), ("sandbox-empty-200", true), ("sandbox-429", false)] {
        gateway.run(["call", "--unary", "--model", model, "four words of text"]);
        let line = gateway.log.wait_for(|line| line.contains("gemini_grpc::access").then(|| line.to_owned()));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["model"], model, "{line}");
        assert_eq!(line.get("tokens_estimated").is_some_and(|estimated| estimated == true), estimated, "{line}");
        if estimated {
            // The prompt has 18 bytes, and there was no answer.
            assert!(line["input_tokens"] == 5 && line.get("output_tokens").is_none(), "{line}");
        }
    }
}

#[test]
fn the_access_log_names_the_model_of_a_call_that_is_refused_for_it() {
    let (files, token) = (Files::new(), "a-token-of-a-caller");
    let row = format!("[callers.a]\ntoken_sha256 = '{}'\nmodels = 'gemini-2.5-*'\n", TokenHash::of(token).to_hex());
    let callers = files.write("callers.toml", &row);
    let mut gateway = Gateway::with(["--auth", "tokens", "--api-key", "own", "--callers", &callers]);
    gateway.run(["call", "--unary", "--api-key", token, "--model", "gemini-3-pro", "hello"]);
    let line = gateway.log.wait_for(|line| line.contains("gemini_grpc::access").then(|| line.to_owned()));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["reason"], &line["model"]), (&"MODEL_NOT_ALLOWED".into(), &"gemini-3-pro".into()), "{line}");
}

#[test]
fn the_access_log_and_the_span_name_a_fallback_model_that_answered() {
    let files = Files::new();
    let row = "[[text_model]]\nids = ['sandbox-429']\nfallback = ['sandbox-503', 'gemini-2.5-flash']\n";
    let catalogue = files.write("catalogue.toml", row);
    let gateway = Gateway::with(["--catalog", &catalogue, "--retries", "0", "--otel-traces-exporter", "console"]);
    let ended = gateway.run(["call", "--unary", "--model", "sandbox-429", "hello"]);
    let Gateway { mut running, mut log, .. } = gateway;
    let line = log.wait_for(|line| line.contains("gemini_grpc::access").then(|| line.to_owned()));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["model"], &line["model_used"]), (&"sandbox-429".into(), &"gemini-2.5-flash".into()), "{line}");
    assert_eq!((&line["code"], &line["attempts"]), (&"OK".into(), &3.into()), "{line} {ended:?}");
    let mut out = running.out();
    running.signal("TERM");
    let spans = out.rest();
    let span = spans.lines().find(|line| line.contains("gemini_grpc.model_used"));
    assert!(span.is_some_and(|line| line.contains("gemini-2.5-flash")), "{spans}");
}

#[test]
fn the_access_log_has_the_cost_of_a_model_with_prices() {
    let files = Files::new();
    let catalog = "[[text_model]]\nids = ['gemini-2.5-flash']\nprices = { input = 0.3, output = 2.5 }\n";
    let mut gateway = Gateway::with(["--catalog", &files.write("catalog.toml", catalog)]);
    for (model, is_priced) in [("gemini-2.5-flash", true), ("gemini-2.5-pro", false)] {
        gateway.run(["call", "--unary", "--model", model, "four words of text"]);
        let line = gateway.log.wait_for(|line| line.contains("gemini_grpc::access").then(|| line.to_owned()));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let tokens = |name: &str| line.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let cost = (tokens("input_tokens") * 0.3 + tokens("output_tokens") * 2.5) / 1e6;
        assert_eq!(line.get("cost").is_some(), is_priced, "{line}");
        // Rounded up to a billionth.
        assert!(!is_priced || (cost > 0.0 && (line["cost"].as_f64().unwrap() - cost).abs() < 2e-9), "{line}");
    }
}
