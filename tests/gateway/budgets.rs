//! Budgets of callers: tokens, pictures and dollars of a day and of a month, and the prices that they need.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gemini_grpc::gateway::callers::{Auth, Callers};
use gemini_grpc::pb::gemini::{CountTokensRequest, GenerateContentRequest};
use gemini_grpc::pb::rpc;
use gemini_grpc::server::Config;
use gemini_grpc::telemetry::Telemetry;
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::certificates::Files;
use crate::rest::client::{EVENTS, HI, Response, UNARY, error_info, exchange, post};
use crate::shares::TOKENS;
use crate::spending::scraped;
use crate::support::{Answer, Details, Gateway, STOP, Upstream, assert_status, config, event, http, prompt, sse};

const DAY: u64 = 86_400;
/// One model has prices for tokens, one for pictures, and all others have none.
const CATALOG: &str = r#"
[[text_model]]
ids = ["gemini-2.5-flash"]
prices = { input = 1, cached_input = 0.1, output = 10 }
[[image_model]]
ids = ["gemini-2.5-flash-image"]
prices = { image = 0.25 }
"#;
/// 50 tokens in, 50 cached ones and 95 out: 50 + 5 + 950 millionths of a dollar.
const REPORT: &str = r#""promptTokenCount":100,"cachedContentTokenCount":50,"candidatesTokenCount":90,"thoughtsTokenCount":5,"totalTokenCount":195"#;

fn answer(status: &str, body: &str) -> Vec<u8> {
    http(status, "application/json", body)
}

/// A complete answer that reports this usage.
fn reporting(report: &str) -> Vec<u8> {
    answer("200 OK", &STOP.replacen('{', &format!("{{\"usageMetadata\":{{{report}}},"), 1))
}

fn event_reporting(report: &str, finish: bool) -> String {
    event("a", finish).replace("data: {", &format!("data: {{\"usageMetadata\":{{{report}}},"))
}

/// An event with a draft and a picture.
fn picture(finish: bool) -> String {
    let image = r#""inlineData":{"mimeType":"image/png","data":"AAAA"}"#;
    event("a", finish).replace(r#"{"text":"a"}"#, &format!("{{{image},\"thought\":true}},{{{image}}}"))
}

/// The settings of a gateway with two callers; the first has these limits. The files are read when this is called.
fn settings(upstream: &Upstream, limits: &str) -> Config {
    let files = Files::new();
    let [a, b] = TOKENS.map(|token| gemini_grpc::gateway::callers::TokenHash::of(token).to_hex());
    let callers = format!("[callers.team-a]\ntoken_sha256 = '{a}'\n{limits}\n[callers.team-b]\ntoken_sha256 = '{b}'\n");
    let (callers, catalog) = (files.write("callers.toml", &callers), files.write("catalog.toml", CATALOG));
    config(upstream, &["--auth", "tokens", "--callers", &callers, "--catalog", &catalog, "--retries", "0"])
}

fn callers(config: &Config) -> Arc<Callers> {
    let Auth::Tokens(callers) = &config.gateway.auth else { panic!("{:?}", config.gateway.auth) };
    callers.clone()
}

async fn gateway(upstream: &Upstream, limits: &str) -> (Gateway, Arc<Callers>) {
    let config = settings(upstream, limits);
    (Gateway::start(&config, &Telemetry::default()).await, callers(&config))
}

fn as_caller<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-goog-api-key", MetadataValue::from_static(TOKENS[0]));
    request
}

fn asking(model: &str) -> Request<GenerateContentRequest> {
    as_caller(GenerateContentRequest { model: model.into(), ..prompt("hi") })
}

async fn unary(gateway: &Gateway) -> Result<(), Status> {
    gateway.client.clone().generate_content(asking("gemini-2.5-flash")).await.map(drop)
}

/// Reads this many messages of a stream and cancels it, or reads it to its end.
async fn stream(gateway: &Gateway, model: &str, messages: Option<usize>) -> Result<(), Status> {
    let mut stream = gateway.client.clone().stream_generate_content(asking(model)).await?.into_inner();
    for _ in 0..messages.unwrap_or(usize::MAX) {
        if stream.message().await?.is_none() {
            break;
        }
    }
    Ok(())
}

async fn over_rest(gateway: &Gateway, path: &str) -> Response {
    exchange(gateway.running.address, post(path, &[("x-goog-api-key", TOKENS[0])], HI)).await
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Whether this many seconds from now it is midnight, give or take the time that a call takes.
#[track_caller]
fn is_until_midnight(seconds: u64) {
    let rest = (unix() + seconds) % DAY;
    assert!(seconds <= DAY && rest <= 30, "{seconds} s are until {rest} s after midnight");
}

/// Checks that a call is refused by a budget until the end of its window. Returns the name of the limit and its value.
#[track_caller]
fn refused(status: &Status) -> (String, i64) {
    assert_status(status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    // A client that retries by itself does not wait for hours.
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
    let details = Details::of(status);
    let retry: rpc::RetryInfo = details.find("RetryInfo").unwrap();
    let violation = details.find::<rpc::QuotaFailure>("QuotaFailure").unwrap().violations.remove(0);
    assert_eq!((violation.subject.as_str(), violation.description.as_str()), ("caller:team-a", status.message()));
    let wait = Duration::try_from(retry.retry_delay.unwrap()).unwrap();
    match violation.quota_id.ends_with("_day") {
        true => is_until_midnight(wait.as_secs()),
        false => assert!(wait <= Duration::from_secs(31 * DAY)),
    }
    assert!(status.message().contains("T00:00:00Z; try again in "), "{}", status.message());
    (violation.quota_id, violation.quota_value)
}

/// What the caller used of its models, without its limits.
fn used(callers: &Callers) -> Value {
    let usage = callers.usage(Instant::now()).into_iter().find(|usage| usage.caller == "team-a").unwrap();
    let models = usage.models.into_iter().map(|model| (model.model, serde_json::to_value(model.month).unwrap()));
    Value::Object(models.collect())
}

fn amounts(calls: u64, input: u64, cached: u64, output: u64, images: u64, cost: f64) -> Value {
    json!({ "calls": calls, "input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
        "images": images, "cost": cost })
}

#[tokio::test]
async fn a_budget_that_is_used_up_refuses_calls_until_its_window_ends() {
    for (limit, value, text) in [
        ("tokens_per_day = 195", 195, "195 tokens per day"),
        ("tokens_per_month = 1", 1, "1 tokens per month"),
        ("cost_per_day = 0.001", 1_000_000, "0.001 dollars per day"),
        ("cost_per_month = 0.001005", 1_005_000, "0.001005 dollars per month"),
    ] {
        for streaming in [false, true] {
            let upstream = match streaming {
                false => Upstream::answering(reporting(REPORT)).await,
                true => Upstream::answering(sse(event_reporting(REPORT, true))).await,
            };
            let (gateway, callers) = gateway(&upstream, limit).await;
            let call = async || {
                if streaming { stream(&gateway, "gemini-2.5-flash", None).await } else { unary(&gateway).await }
            };
            call().await.unwrap();
            let status = call().await.unwrap_err();
            assert_eq!(refused(&status), (limit.split(' ').next().unwrap().to_owned(), value), "{limit}");
            assert!(status.message().starts_with(&format!("the caller team-a is at its limit of {text} until 2")));
            assert_eq!(upstream.requests().len(), 1);
            assert_eq!(used(&callers), json!({ "gemini-2.5-flash": amounts(1, 100, 50, 95, 0, 0.001005) }));
        }
    }
}

#[tokio::test]
async fn a_budget_refuses_calls_over_rest_too() {
    for (path, bytes) in [(UNARY, reporting(REPORT)), (EVENTS, sse(event_reporting(REPORT, true)))] {
        let upstream = Upstream::answering(bytes).await;
        let (gateway, callers) = gateway(&upstream, "cost_per_day = 0.001").await;
        assert_eq!(over_rest(&gateway, path).await.status, 200);
        let refused = over_rest(&gateway, path).await;
        let body = refused.json();
        assert_eq!((refused.status, error_info(&body)["reason"].as_str()), (429, Some("CALLER_QUOTA_EXCEEDED")));
        let details = body["error"]["details"].as_array().unwrap();
        let quota = details.iter().find_map(|detail| detail["violations"][0]["quotaId"].as_str());
        assert_eq!(quota, Some("cost_per_day"), "{body}");
        is_until_midnight(refused.header("retry-after").unwrap().parse().unwrap());
        assert_eq!(used(&callers), json!({ "gemini-2.5-flash": amounts(1, 100, 50, 95, 0, 0.001005) }));
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_before_anything_is_sent_or_counted() {
    let upstream = Upstream::answering(reporting(REPORT)).await;
    let (gateway, callers) = gateway(&upstream, "cost_per_month = 100\ncalls_per_minute = 1").await;
    for model in ["gemini-2.5-pro", "unknown"] {
        let status = gateway.client.clone().generate_content(asking(model)).await.unwrap_err();
        assert_status(&status, Code::PermissionDenied, "MODEL_NOT_PRICED");
        assert!(status.message().starts_with(&format!("the model {model} has no price here, ")), "{status:?}");
        assert_status(&stream(&gateway, model, None).await.unwrap_err(), Code::PermissionDenied, "MODEL_NOT_PRICED");
        for path in [UNARY, EVENTS] {
            let refused = over_rest(&gateway, &path.replace("gemini-2.5-flash", model)).await;
            assert_eq!(
                (refused.status, error_info(&refused.json())["reason"].as_str()),
                (403, Some("MODEL_NOT_PRICED"))
            );
        }
    }
    assert_eq!((upstream.requests().len(), used(&callers)), (0, json!({})));
    // The call per minute is still there.
    unary(&gateway).await.unwrap();
    assert_eq!(
        unary(&gateway).await.map_err(|status| Details::of(&status).reason()),
        Err("CALLER_QUOTA_EXCEEDED".into())
    );
}

#[tokio::test]
async fn counting_tokens_needs_no_price() {
    let upstream = Upstream::answering(answer("200 OK", r#"{"totalTokens":7}"#)).await;
    let mut settings = settings(&upstream, "cost_per_month = 100\ntokens_per_day = 1");
    settings.gateway.upstream_methods.push(gemini_grpc::gemini::method::Method::CountTokens);
    let callers = callers(&settings);
    let gateway = Gateway::start(&settings, &Telemetry::default()).await;
    for _ in 0..2 {
        let request = CountTokensRequest {
            model: "gemini-2.5-pro".into(),
            contents: prompt("hi").contents,
            ..Default::default()
        };
        gateway.client.clone().count_tokens(as_caller(request)).await.unwrap();
    }
    assert_eq!(used(&callers), json!({ "gemini-2.5-pro": amounts(2, 0, 0, 0, 0, 0.0) }));
}

#[tokio::test]
async fn pictures_are_counted_when_they_come_and_drafts_are_not() {
    let upstream = Upstream::with([
        Answer::closing(sse(picture(false) + &picture(true))),
        Answer::silence_after(sse(picture(false))),
    ])
    .await;
    let (gateway, callers) = gateway(&upstream, "images_per_day = 3\ncost_per_day = 0.8").await;
    stream(&gateway, "gemini-2.5-flash-image", None).await.unwrap();
    // The second call is cancelled after its picture.
    stream(&gateway, "gemini-2.5-flash-image", Some(1)).await.unwrap();
    upstream.wait_until_closed().await;
    let status = stream(&gateway, "gemini-2.5-flash-image", None).await.unwrap_err();
    assert_eq!(refused(&status), ("images_per_day".to_owned(), 3));
    let used = &used(&callers)["gemini-2.5-flash-image"];
    assert_eq!((&used["calls"], &used["images"], &used["cost"]), (&json!(2), &json!(3), &json!(0.75)));
}

#[tokio::test]
async fn a_running_stream_is_charged_and_a_cancelled_one_too() {
    let text = event(&"x".repeat(400), false);
    let upstream = Upstream::falling_silent_after(sse(event_reporting(REPORT, false) + &text)).await;
    let (gateway, callers) = gateway(&upstream, "tokens_per_day = 195").await;
    let mut open =
        gateway.client.clone().stream_generate_content(asking("gemini-2.5-flash")).await.unwrap().into_inner();
    open.message().await.unwrap().unwrap();
    // While it runs.
    assert_eq!(refused(&unary(&gateway).await.unwrap_err()).0, "tokens_per_day");
    assert_eq!(used(&callers), json!({}));
    open.message().await.unwrap().unwrap();
    drop(open);
    upstream.wait_until_closed().await;
    // What came after the report is estimated, and recorded when the call has ended, which may be a moment later.
    while used(&callers) == json!({}) {
        tokio::task::yield_now().await;
    }
    assert_eq!(used(&callers), json!({ "gemini-2.5-flash": amounts(1, 100, 50, 195, 0, 0.002005) }));
}

#[tokio::test]
async fn calls_that_upstream_refused_cost_nothing() {
    let upstream = Upstream::answering(answer("429 Too Many Requests", r#"{"error":{"message":"no"}}"#)).await;
    let (gateway, callers) = gateway(&upstream, "tokens_per_day = 1\ncost_per_day = 0.000000001").await;
    for _ in 0..2 {
        let status = unary(&gateway).await.unwrap_err();
        assert_eq!(Details::of(&status).reason(), "UPSTREAM_REFUSED");
    }
    // Upstream has not answered for the model.
    assert_eq!(used(&callers), json!({ "_other": amounts(2, 0, 0, 0, 0, 0.0) }));
}

#[tokio::test]
async fn a_reload_keeps_what_was_used() {
    let upstream = Upstream::answering(reporting(REPORT)).await;
    let before = settings(&upstream, "");
    let gateway = Gateway::start(&before, &Telemetry::default()).await;
    unary(&gateway).await.unwrap();
    gateway.running.reload.apply(&settings(&upstream, "tokens_per_month = 390")).unwrap();
    unary(&gateway).await.unwrap();
    assert_eq!(refused(&unary(&gateway).await.unwrap_err()), ("tokens_per_month".to_owned(), 390));
    gateway.running.reload.apply(&settings(&upstream, "cost_per_day = 0.00202")).unwrap();
    unary(&gateway).await.unwrap();
    assert_eq!(refused(&unary(&gateway).await.unwrap_err()).0, "cost_per_day");
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn metrics_have_the_cost_of_models_with_prices() {
    let (telemetry, scrape) = scraped();
    let upstream = Upstream::answering(reporting(REPORT)).await;
    let gateway = Gateway::start(&settings(&upstream, ""), &telemetry).await;
    for _ in 0..3 {
        unary(&gateway).await.unwrap();
    }
    gateway.client.clone().generate_content(asking("gemini-2.5-pro")).await.unwrap();
    let scrape = scrape();
    let lines: Vec<_> = scrape.lines().filter(|line| line.starts_with("gemini_grpc_usage_cost_total{")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    assert!(line.contains(r#"caller="team-a""#) && line.contains(r#"model="gemini-2.5-flash""#), "{line}");
    let cost: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((cost - 0.003015).abs() < 1e-12, "{line}");
}
