//! Spans and metrics of calls over REST.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use gemini_grpc::telemetry::{Settings, Telemetry};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

use super::client::{EVENTS, HI, UNARY, call, exchange, post};
use crate::spending::scraped;
use crate::support::{Running, STOP, Upstream, config, event, json, sse};

/// Keeps the spans that are exported.
#[derive(Clone, Debug, Default)]
pub struct Spans(pub Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// The attributes of a span, as text.
pub fn attributes(span: &SpanData) -> HashMap<String, String> {
    span.attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
}

/// The SERVER spans of these requests.
async fn spans(upstream: &Upstream, requests: &[Vec<u8>]) -> Vec<SpanData> {
    let is_server = |span: &SpanData| span.span_kind == opentelemetry::trace::SpanKind::Server;
    all_spans(upstream, requests).await.into_iter().filter(is_server).collect()
}

/// All spans of these requests.
async fn all_spans(upstream: &Upstream, requests: &[Vec<u8>]) -> Vec<SpanData> {
    let exporter = Spans::default();
    let tracers = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let telemetry = Telemetry::new(Settings::default(), Some(&tracers), None, None);
    let running = Running::with_telemetry(&config(upstream, &[]), &telemetry);
    for request in requests {
        exchange(running.address, request).await;
    }
    running.stop.stop();
    running.wait().await;
    let spans = exporter.0.lock().unwrap();
    spans.clone()
}

#[tokio::test]
async fn neither_keys_nor_prompts_are_in_spans() {
    let (body, bearer) = (HI.replace("hi", "a-secret"), "Bearer a-secret");
    let broken = body.replace("]}", "");
    for answer in [json("200 OK", &STOP.replace("ok", "a-secret")), json("403 Forbidden", "a-secret")] {
        let upstream = Upstream::answering(answer).await;
        let mut requests = Vec::new();
        for body in [&*body, &*broken] {
            requests.push(post(&format!("{UNARY}?key=a-secret"), &[], body));
            requests.push(post(&format!("{EVENTS}&key=a-secret"), &[], body));
            requests.push(post("/v1/files?key=a-secret", &[], body));
            requests.push(post(UNARY, &[("x-goog-api-key", "a-secret")], body));
            requests.push(post(UNARY, &[("authorization", bearer)], body));
        }
        let spans = all_spans(&upstream, &requests).await;
        assert!(spans.len() > 12, "{spans:?}");
        assert!(!format!("{spans:?}").contains("a-secret"), "{spans:?}");
    }
}

#[tokio::test]
async fn a_call_has_a_span_by_the_conventions_for_http_servers() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let path = "/gemini/v1/models/gemini-2.5-flash:generateContent";
    let spans = spans(&upstream, &[post(&format!("{path}?key=a-secret"), &[], HI), post("/v1/files", &[], HI)]).await;
    let attributes: Vec<_> = spans.iter().map(attributes).collect();
    assert_eq!(spans[0].name, "POST /gemini/v1/models/{model}:generateContent");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/gemini/v1/models/{model}:generateContent"),
        ("url.path", path),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "200"),
        ("server.address", "gateway"),
    ] {
        assert_eq!(attributes[0].get(name).map(String::as_str), Some(value), "{name}: {:?}", attributes[0]);
    }
    assert!(!attributes[0].keys().any(|name| name.starts_with("rpc.") || name == "error.type"));
    assert_eq!(spans[1].name, "POST");
    assert_eq!(attributes[1]["http.response.status_code"], "404");
    assert_eq!(attributes[1]["gemini_grpc.reason"], "PATH_NOT_SERVED");
    assert!(!attributes[1].contains_key("http.route") && !attributes[1].contains_key("error.type"));
    assert!(!format!("{spans:?}").contains("a-secret"));
}

#[tokio::test]
async fn an_error_of_the_server_is_one_in_the_span() {
    let upstream = Upstream::answering(json("500 Internal Server Error", "{}")).await;
    let of_status = spans(&upstream, &[post(UNARY, &[], HI)]).await;
    assert_eq!(attributes(&of_status[0])["error.type"], "500");
    let upstream = Upstream::answering(sse(event("one", false))).await;
    let cut = spans(&upstream, &[post(EVENTS, &[], HI)]).await;
    let cut = attributes(&cut[0]);
    assert_eq!((&*cut["http.response.status_code"], &*cut["error.type"]), ("200", "UNAVAILABLE"));
}

#[tokio::test]
async fn calls_are_counted_by_route_and_status_and_not_as_rpcs() {
    let (telemetry, scrape) = scraped();
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::with_telemetry(&config(&upstream, &[]), &telemetry);
    for _ in 0..2 {
        assert_eq!(call(running.address, UNARY, HI).await.status, 200);
    }
    assert_eq!(call(running.address, "/a", HI).await.status, 404);
    assert_eq!(call(running.address, "/b", HI).await.status, 404);
    running.stop.stop();
    running.wait().await;
    let metrics = scrape();
    let count = |labels: &[&str]| {
        let line = metrics.lines().find(|line| {
            line.starts_with("http_server_request_duration_seconds_count{")
                && labels.iter().all(|label| line.contains(label))
        });
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    let route = "http_route=\"/v1beta/models/{model}:generateContent\"";
    assert_eq!(
        count(&[route, "http_response_status_code=\"200\"", "url_scheme=\"http\""]).as_deref(),
        Some("2"),
        "{metrics}"
    );
    assert_eq!(count(&["http_response_status_code=\"404\""]).as_deref(), Some("2"), "{metrics}");
    assert!(!metrics.contains("rpc_server_call_duration"), "{metrics}");
    assert!(metrics.contains("gemini_grpc_usage_calls_total"), "{metrics}");
    let refused = metrics
        .lines()
        .find(|line| line.starts_with("gemini_grpc_calls_refused_total") && line.contains("PATH_NOT_SERVED"));
    assert!(refused.is_some_and(|line| line.ends_with(" 2")), "{metrics}");
}
