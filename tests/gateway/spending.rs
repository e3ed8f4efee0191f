//! What callers are charged, and how long calls count against their limits, for each way in which a call can end.

use std::io::Write as _;
use std::time::Duration;

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::pb::gemini::{Blob, GenerateContentRequest, Part, part};
use gemini_grpc::pb::rpc;
use gemini_grpc::telemetry::{Settings, Telemetry};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::support::{Answer, Details, Gateway, STOP, Upstream, event, json, prompt, sse};

const TOKEN: &str = "gg_token-of-team-a";
/// A small limit, so that the tokens charged beyond it can be calculated from the retry delay.
const TOKENS_PER_MINUTE: u64 = 60;

/// A gateway with one caller, which has these limits.
async fn gateway(upstream: &Upstream, limits: &str, telemetry: &Telemetry) -> Gateway {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let hash = TokenHash::of(TOKEN).to_hex();
    write!(file, "[callers.team-a]\ntoken_sha256 = '{hash}'\n{limits}\n").unwrap();
    let path = file.path().to_str().unwrap();
    let flags = ["--auth", "tokens", "--callers", path, "--retries", "0"];
    Gateway::with_telemetry(upstream, &flags, telemetry).await
}

async fn charging(upstream: &Upstream) -> Gateway {
    gateway(upstream, &format!("tokens_per_minute = {TOKENS_PER_MINUTE}"), &Telemetry::default()).await
}

fn with_token(request: GenerateContentRequest) -> Request<GenerateContentRequest> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("x-goog-api-key", MetadataValue::from_static(TOKEN));
    request
}

async fn generate(gateway: &Gateway, request: GenerateContentRequest) -> Result<(), Status> {
    gateway.client.clone().generate_content(with_token(request)).await.map(drop)
}

/// Reads this many messages of a stream and cancels it, or reads it to its end.
async fn read(gateway: &Gateway, messages: Option<usize>) -> Result<(), Status> {
    let mut stream = gateway.client.clone().stream_generate_content(with_token(prompt("1234"))).await?.into_inner();
    for _ in 0..messages.unwrap_or(usize::MAX) {
        if stream.message().await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// The limit that refuses the next call, and the retry delay; `None` if no limit does.
async fn refusing_limit(gateway: &Gateway) -> Option<(String, Duration)> {
    let mut request = with_token(prompt("1234"));
    // If the call is not refused, its upstream may never answer.
    request.set_timeout(Duration::from_secs(20));
    let status = gateway.client.clone().generate_content(request).await.err()?;
    let details = Details::of(&status);
    if details.reason() != "CALLER_QUOTA_EXCEEDED" {
        return None;
    }
    let failure: rpc::QuotaFailure = details.find("QuotaFailure").unwrap();
    let retry: rpc::RetryInfo = details.find("RetryInfo").unwrap();
    Some((failure.violations[0].quota_id.clone(), retry.retry_delay.unwrap().try_into().unwrap()))
}

/// The tokens that the caller was charged so far. It must be over its limit. The tokens that were refilled meanwhile are
/// less than one percent.
async fn charged(gateway: &Gateway) -> u64 {
    let (quota, wait) = refusing_limit(gateway).await.expect("the caller is over its limit");
    assert_eq!(quota, "tokens_per_minute");
    TOKENS_PER_MINUTE - 1 + wait.as_secs_f64().ceil() as u64 * TOKENS_PER_MINUTE / 60
}

#[track_caller]
fn about(charged: u64, expected: u64) {
    assert!(charged.abs_diff(expected) <= expected / 100 + 1, "{charged} tokens instead of {expected}");
}

fn usage(report: &str) -> String {
    event("12345678", false).replace("data: {", &format!("data: {{\"usageMetadata\":{{{report}}},"))
}

#[tokio::test]
async fn the_words_of_cancelled_streams_are_charged() {
    // Without a usage report, and with reports of the prompt only, which some models send with each event.
    for report in ["", r#""promptTokenCount":1,"totalTokenCount":1"#] {
        let word = if report.is_empty() { event("12345678", false) } else { usage(report) };
        let upstream = Upstream::falling_silent_after(sse(word.repeat(20_000))).await;
        let gateway = charging(&upstream).await;
        // Concurrently, since after the first stream the limit would refuse the others.
        let streams = || read(&gateway, Some(20_000));
        let ended = tokio::join!(streams(), streams(), streams());
        assert!(matches!(ended, (Ok(()), Ok(()), Ok(()))), "{ended:?}");
        upstream.wait_until_closed().await;
        about(charged(&gateway).await, 3 * (20_000 * 2 + 1));
    }
}

#[tokio::test]
async fn text_after_the_last_usage_report_is_estimated() {
    let text = event(&"x".repeat(400), false);
    for (events, expected) in [
        (text.repeat(3), 1 + 300),
        (usage(r#""promptTokenCount":90,"candidatesTokenCount":10,"totalTokenCount":100"#), 100),
        (usage(r#""promptTokenCount":90,"candidatesTokenCount":10"#) + &text, 100 + 100),
        (text.repeat(2) + &usage(r#""promptTokenCount":90,"candidatesTokenCount":110,"totalTokenCount":-1"#), 200),
        (text.repeat(2) + &usage(r#""promptTokenCount":90"#), 90 + 202),
        (text.clone() + &usage(r#""totalTokenCount":1000"#) + &text, 1000 + 100),
    ] {
        let count = events.matches("data: ").count();
        let upstream = Upstream::falling_silent_after(sse(&events)).await;
        let gateway = charging(&upstream).await;
        read(&gateway, Some(count)).await.unwrap();
        upstream.wait_until_closed().await;
        about(charged(&gateway).await, expected);
    }
}

#[tokio::test]
async fn an_answer_is_charged_however_it_ends() {
    let text = event(&"x".repeat(4000), false);
    let whole = STOP.replace("ok", &"x".repeat(4000));
    let finished = whole.replacen('{', r#"{"usageMetadata":{"promptTokenCount":5000,"candidatesTokenCount":5000},"#, 1);
    for (answer, expected) in [
        // Complete, without a usage report.
        (json("200 OK", &whole), 1001),
        // Without a total.
        (json("200 OK", &finished), 10_000),
        (json("200 OK", &finished.replace("5000}", "5000,\"totalTokenCount\":-7}")), 10_000),
    ] {
        let upstream = Upstream::answering(answer).await;
        let gateway = charging(&upstream).await;
        generate(&gateway, prompt("1234")).await.unwrap();
        about(charged(&gateway).await, expected);
    }
    for answer in [
        sse(text.clone() + &event("", true)),
        // Cut between two events, and inside an event.
        sse(&text),
        sse(text.clone() + "data: {"),
        // An error in the middle.
        sse(text.clone() + "data: {\"error\":{\"code\":500}}\r\n\r\n"),
        sse(text.clone() + "data: [1]\r\n\r\n"),
    ] {
        let upstream = Upstream::answering(answer).await;
        let gateway = charging(&upstream).await;
        let _ = read(&gateway, None).await;
        about(charged(&gateway).await, 1001);
    }
}

#[tokio::test]
async fn a_call_that_times_out_before_its_answer_is_charged_for_its_request() {
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = charging(&upstream).await;
    let blob = Blob { mime_type: "image/png".into(), data: vec![0x89, b'P', b'N', b'G'].into(), ..Default::default() };
    let mut request = prompt(&"x".repeat(4000));
    request.contents[0].parts.push(Part { data: Some(part::Data::InlineData(blob)), ..Default::default() });
    let mut request = with_token(request);
    request.set_timeout(Duration::from_millis(300));
    let status = gateway.client.clone().generate_content(request).await.unwrap_err();
    // tonic's client may notice the timeout first, and has its own code for it.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    upstream.wait_until_closed().await;
    about(charged(&gateway).await, 1000 + 258);
}

#[tokio::test]
async fn calls_that_upstream_refused_or_never_received_are_free() {
    let long = || prompt(&"x".repeat(40_000));
    for status in ["400 Bad Request", "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"] {
        let upstream = Upstream::answering(json(status, r#"{"error":{"message":"no"}}"#)).await;
        let gateway = charging(&upstream).await;
        generate(&gateway, long()).await.unwrap_err();
        assert_eq!(refusing_limit(&gateway).await, None, "{status}");
        assert_eq!(upstream.requests().len(), 2);
    }
    // Nothing listens at this address.
    let mut upstream = Upstream::answering("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    upstream.url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = charging(&upstream).await;
    generate(&gateway, long()).await.unwrap_err();
    assert_eq!(refusing_limit(&gateway).await, None);
}

#[tokio::test]
async fn a_call_cancelled_while_it_connects_is_free() {
    // It accepts connections, but never answers the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut upstream = Upstream::answering("").await;
    upstream.url = format!("https://{}", listener.local_addr().unwrap());
    let limits = "tokens_per_minute = 60\ncalls_in_flight = 1";
    let gateway = gateway(&upstream, limits, &Telemetry::default()).await;
    for _ in 0..3 {
        let mut client = gateway.client.clone();
        let call = tokio::spawn(async move { client.generate_content(with_token(prompt(&"x".repeat(4000)))).await });
        let (mut connection, _) = listener.accept().await.unwrap();
        call.abort();
        // Wait until the gateway closes the connection.
        let _ = tokio::io::copy(&mut connection, &mut tokio::io::sink()).await;
    }
}

#[tokio::test]
async fn cancelled_calls_keep_counting_against_the_limit_of_their_caller() {
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = gateway(&upstream, "calls_in_flight = 2", &Telemetry::default()).await;
    let mut callers = tokio::task::JoinSet::new();
    for unary in [true, true, false, false] {
        let mut client = gateway.client.clone();
        callers.spawn(async move {
            loop {
                let request = with_token(prompt("hi"));
                let _ = match unary {
                    true => tokio::time::timeout(Duration::from_millis(10), client.generate_content(request))
                        .await
                        .map(drop),
                    false => tokio::time::timeout(Duration::from_millis(10), client.stream_generate_content(request))
                        .await
                        .map(drop),
                };
            }
        });
    }
    let mut starts = Vec::new();
    for count in 1..=6 {
        upstream.wait_for_requests(count).await;
        starts.push(Instant::now());
    }
    // At most 4 within a second.
    for window in starts.windows(5) {
        assert!(window[4] - window[0] >= Duration::from_secs(1), "{starts:?}");
    }
}

#[tokio::test]
async fn a_cancelled_call_keeps_its_place_for_a_second() {
    let upstream = Upstream::falling_silent_after(sse(event("a", false))).await;
    let gateway = gateway(&upstream, "calls_in_flight = 1", &Telemetry::default()).await;
    let started = Instant::now();
    read(&gateway, Some(1)).await.unwrap();
    upstream.wait_until_closed().await;
    assert_eq!(refusing_limit(&gateway).await.unwrap().0, "calls_in_flight");
    while let Err(status) = read(&gateway, Some(1)).await {
        assert_eq!(Details::of(&status).reason(), "CALLER_QUOTA_EXCEEDED");
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_call_that_upstream_has_ended_frees_its_place_immediately() {
    for answer in [json("200 OK", STOP), json("500 Internal Server Error", "{}"), sse(event("a", false))] {
        let upstream = Upstream::answering(answer).await;
        let gateway = gateway(&upstream, "calls_in_flight = 1", &Telemetry::default()).await;
        for _ in 0..3 {
            let ended = generate(&gateway, prompt("hi")).await;
            assert!(ended.is_ok() || Details::of(&ended.unwrap_err()).reason() != "CALLER_QUOTA_EXCEEDED");
        }
        assert_eq!(upstream.requests().len(), 3);
    }
}

/// Telemetry whose metrics can be scraped.
pub fn scraped() -> (Telemetry, impl Fn() -> String) {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let telemetry = Telemetry::new(Settings::default(), None, Some(&meters), None);
    let scrape = move || {
        let _alive = &meters;
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    };
    (telemetry, scrape)
}

/// The value of the usage metric for a kind of tokens.
fn tokens(scrape: &str, kind: &str) -> Option<u64> {
    let line = scrape.lines().find(|line| {
        line.starts_with("gemini_grpc_usage_tokens_total{") && line.contains(&format!("kind=\"{kind}\""))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn metrics_count_estimated_tokens_separately() {
    let (telemetry, scrape) = scraped();
    let counted = usage(r#""promptTokenCount":90,"candidatesTokenCount":10,"totalTokenCount":100"#);
    let events = counted + &event(&"x".repeat(400), false);
    let answers = [Answer::silence_after(sse(events)), Answer::silence_after(sse(event(&"x".repeat(40), false)))];
    let upstream = Upstream::with(answers).await;
    let gateway = gateway(&upstream, "", &telemetry).await;
    read(&gateway, Some(2)).await.unwrap();
    upstream.wait_until_closed().await;
    let values = |scrape: &str| {
        ["input", "output", "estimated_input", "estimated_output"].map(|kind| tokens(scrape, kind).unwrap_or(0))
    };
    assert_eq!(values(&scrape()), [90, 10, 0, 100]);
    read(&gateway, Some(1)).await.unwrap();
    upstream.wait_until_closed().await;
    assert_eq!(values(&scrape()), [90, 10, 1, 110]);
}

#[tokio::test]
async fn the_number_of_models_in_metrics_is_limited() {
    let (telemetry, scrape) = scraped();
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ".to_vec();
    answer.extend_from_slice(format!("{}\r\n\r\n{STOP}", STOP.len()).as_bytes());
    let upstream = Upstream::with([Answer::keeping_alive(answer)]).await;
    let gateway = gateway(&upstream, "", &telemetry).await;
    for number in 0..400 {
        let model = format!("models/model-{number}");
        generate(&gateway, GenerateContentRequest { model, ..prompt("hi") }).await.unwrap();
    }
    let scrape = scrape();
    for (metric, label) in [
        ("gen_ai_client_operation_duration_seconds_count", "gen_ai_request_model=\""),
        ("gen_ai_client_token_usage_count", "gen_ai_request_model=\""),
        ("gemini_grpc_usage_calls_total", "model=\""),
    ] {
        let models: std::collections::BTreeSet<_> = scrape
            .lines()
            .filter(|line| line.starts_with(metric))
            .filter_map(|line| line.split_once(label)?.1.split('"').next())
            .collect();
        let others = models.iter().filter(|model| !model.starts_with("model-")).collect::<Vec<_>>();
        assert!(models.len() <= 101 && others.iter().all(|other| **other == "_other"), "{metric} {others:?}");
    }
    let series = scrape.lines().filter(|line| line.contains("model-")).count();
    assert!(scrape.len() < 4 << 20, "{} bytes, {series} lines with a model", scrape.len());
}
