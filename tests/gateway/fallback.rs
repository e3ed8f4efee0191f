//! Models that are asked in the place of one that refuses a call.

use std::io::Write as _;

use gemini_grpc::pb::gemini::{CountTokensRequest, GenerateContentRequest};
use gemini_grpc::pb::rpc;
use gemini_grpc::telemetry::Telemetry;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::{Code, Response, Status};

use crate::models::{callers, with_token};
use crate::rest::client::{EVENTS, HI, Response as RestResponse, UNARY, call};
use crate::spending::scraped;
use crate::support::{
    Answer, Details, Gateway, STOP, Upstream, assert_status, event, json, prompt, read_request, sse, text,
};

/// The response header that names the model.
const USED: &str = "x-gemini-model-used";
/// A text model with two others in its place, which have others in theirs, and an image model with two others.
const CATALOGUE: &str = r#"
[[text_model]]
ids = ["gemini-2.5-flash"]
fallback = ["gemini-2.5-pro", "models/other"]
prices = { input = 1 }
[[text_model]]
ids = ["gemini-2.5-pro"]
fallback = ["never"]
prices = { input = 200_000 }
[[image_model]]
ids = ["gemini-3.1-flash-image-preview"]
fallback = ["gemini-2.5-flash-image", "nano-banana-pro"]
"#;
const ASKED: &str = "gemini-2.5-flash";

/// A refusal with a delay that no test would wait for.
fn refusal(status: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nretry-after: 20\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    Answer::closing(head)
}

fn busy() -> Answer {
    refusal("503 Service Unavailable")
}

fn stop() -> Answer {
    Answer::closing(json("200 OK", STOP))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A gateway with the catalogue.
async fn gateway(upstream: &Upstream, flags: &[&str]) -> Gateway {
    recorded(upstream, flags, &Telemetry::default()).await
}

async fn recorded(upstream: &Upstream, flags: &[&str], telemetry: &Telemetry) -> Gateway {
    let catalogue = file(CATALOGUE);
    let catalogue = ["--catalog", catalogue.path().to_str().unwrap()];
    Gateway::with_telemetry(upstream, &[&catalogue[..], flags].concat(), telemetry).await
}

/// The models that upstream was asked for, in this order.
fn models(upstream: &Upstream) -> Vec<String> {
    let model = |request: String| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        path.split_once("/models/").unwrap().1.split(':').next().unwrap().to_owned()
    };
    upstream.requests().into_iter().map(model).collect()
}

async fn generate(gateway: &Gateway) -> Result<Response<String>, Status> {
    let answer = gateway.client.clone().generate_content(prompt("hi")).await?;
    Ok(answer.map(|answer| text(&answer)))
}

fn used<T>(response: &Response<T>) -> &str {
    response.metadata().get(USED).unwrap().to_str().unwrap()
}

fn used_by(status: &Status) -> Option<&str> {
    Some(status.metadata().get(USED)?.to_str().unwrap())
}

#[tokio::test]
async fn a_refusal_that_is_about_the_model_goes_on_to_the_next_one_at_once() {
    let daily = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"used up","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDay"}]}]}}"#;
    for refusal in [
        refusal("404 Not Found"),
        refusal("429 Too Many Requests"),
        Answer::closing(json("429 Too Many Requests", daily)),
        busy(),
    ] {
        let upstream = Upstream::with([refusal.clone(), stop()]).await;
        let answer = generate(&gateway(&upstream, &[]).await).await.unwrap();
        assert_eq!((&**answer.get_ref(), used(&answer)), ("ok", "gemini-2.5-pro"));
        assert_eq!(models(&upstream), [ASKED, "gemini-2.5-pro"]);

        let upstream = Upstream::with([refusal, Answer::closing(sse(event("ok", true)))]).await;
        let gateway = gateway(&upstream, &[]).await;
        let mut stream = gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap();
        assert_eq!(used(&stream), "gemini-2.5-pro");
        assert_eq!(text(&stream.get_mut().message().await.unwrap().unwrap()), "ok");
        assert_eq!(stream.get_mut().message().await.unwrap(), None);
        // The headers have it already.
        assert!(!stream.get_mut().trailers().await.unwrap().unwrap().contains_key(USED));
    }
}

#[tokio::test]
async fn rest_names_the_model_that_answered_in_the_same_header() {
    for (path, answer) in [(UNARY, stop()), (EVENTS, Answer::closing(sse(event("ok", true))))] {
        let upstream = Upstream::with([busy(), busy(), answer]).await;
        let gateway = gateway(&upstream, &[]).await;
        let response = call(gateway.running.address, path, HI).await;
        assert_eq!((response.status, response.header(USED)), (200, Some("other")), "{response:?}");
        assert!(response.body.contains("ok"));
        assert_eq!(models(&upstream), [ASKED, "gemini-2.5-pro", "other"]);
    }
}

#[tokio::test]
async fn a_body_that_names_its_model_is_sent_to_others_without_that_name() {
    let upstream = Upstream::with([busy(), stop()]).await;
    let gateway = gateway(&upstream, &[]).await;
    let body = HI.replacen('{', r#"{ "model" : "models/gemini-2.5-flash", "#, 1);
    assert_eq!(call(gateway.running.address, UNARY, &body).await.status, 200);
    for request in upstream.requests() {
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1, HI.replacen('{', "{ ", 1));
    }
}

#[tokio::test]
async fn a_short_backoff_of_the_model_comes_before_another_model() {
    let short = Answer::closing(json("503 Service Unavailable", "{}"));
    let upstream = Upstream::with([short.clone(), short.clone(), short, stop()]).await;
    let answer = generate(&gateway(&upstream, &[]).await).await.unwrap();
    assert_eq!(used(&answer), "gemini-2.5-pro");
    assert_eq!(models(&upstream), [ASKED, ASKED, ASKED, "gemini-2.5-pro"]);
    // A model that answers after a retry is named, too: it was not certain which one would.
    let upstream = Upstream::with([Answer::closing(json("503 Service Unavailable", "{}")), stop()]).await;
    let answer = generate(&gateway(&upstream, &[]).await).await.unwrap();
    assert_eq!((used(&answer), models(&upstream)), (ASKED, vec![ASKED.to_owned(); 2]));
}

#[tokio::test]
async fn the_delay_of_the_last_model_is_waited_for() {
    let soon = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let upstream = Upstream::with([busy(), busy(), Answer::closing(soon), stop()]).await;
    let answer = generate(&gateway(&upstream, &[]).await).await.unwrap();
    assert_eq!(used(&answer), "other");
    assert_eq!(models(&upstream), [ASKED, "gemini-2.5-pro", "other", "other"]);
}

#[tokio::test]
async fn errors_that_another_model_would_not_mend_or_that_may_be_billed_are_final() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "500 Internal Server Error", "502 Bad Gateway"]
    {
        let upstream = Upstream::with([Answer::closing(json(status, "{}")), stop()]).await;
        let error = generate(&gateway(&upstream, &[]).await).await.unwrap_err();
        assert_eq!((used_by(&error), models(&upstream)), (Some(ASKED), vec![ASKED.to_owned()]), "{status}");
    }
    // No answer at all, and an error in the place of an answer.
    for answer in [Vec::new(), json("200 OK", r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}"#)] {
        let upstream = Upstream::with([Answer::closing(answer), stop()]).await;
        generate(&gateway(&upstream, &[]).await).await.unwrap_err();
        assert_eq!(models(&upstream), [ASKED]);
    }
    // A part of a stream came.
    let upstream = Upstream::with([Answer::closing(sse(event("one", false))), stop()]).await;
    let (texts, end) = gateway(&upstream, &[]).await.stream(prompt("hi")).await.unwrap();
    assert_eq!((texts, end.unwrap_err().code()), (vec!["one".to_owned()], Code::Unavailable));
    assert_eq!(models(&upstream), [ASKED]);
}

#[tokio::test]
async fn a_call_that_every_model_refuses_ends_with_the_error_of_the_one_that_was_asked_for() {
    let first = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"the first"}}"#;
    let first = |delay: &str| {
        let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nconnection: close\r\n";
        Answer::closing(format!("{head}retry-after: {delay}\r\ncontent-length: {}\r\n\r\n{first}", first.len()))
    };
    // The last one is not waited for: it asks for more than half a minute, or does not understand the request.
    let later = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 31\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for last in [Answer::closing(later), Answer::closing(json("400 Bad Request", "{}"))] {
        let upstream = Upstream::with([first("20"), busy(), last]).await;
        let gateway = gateway(&upstream, &[]).await;
        let status = generate(&gateway).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message(), used_by(&status)),
            (Code::ResourceExhausted, "the first", Some(ASKED))
        );
        let retry: rpc::RetryInfo = Details::of(&status).find("RetryInfo").unwrap();
        assert_eq!(retry.retry_delay.unwrap().seconds, 20);
        assert_eq!(models(&upstream), [ASKED, "gemini-2.5-pro", "other"]);
    }
    for path in [UNARY, EVENTS] {
        let upstream = Upstream::with([first("20"), busy(), Answer::closing(later)]).await;
        let gateway = gateway(&upstream, &[]).await;
        let response = call(gateway.running.address, path, HI).await;
        assert_eq!(
            (response.status, response.header(USED), response.header("retry-after")),
            (429, Some(ASKED), Some("20"))
        );
    }
}

#[tokio::test]
async fn an_error_of_a_fallback_that_may_be_billed_is_the_callers() {
    for answer in [Vec::new(), json("500 Internal Server Error", "{}")] {
        let upstream = Upstream::with([busy(), Answer::closing(answer), stop()]).await;
        let status = generate(&gateway(&upstream, &[]).await).await.unwrap_err();
        assert_eq!(used_by(&status), Some("gemini-2.5-pro"), "{status:?}");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
        assert_eq!(models(&upstream), [ASKED, "gemini-2.5-pro"]);
    }
}

#[tokio::test]
async fn the_deadline_covers_all_models() {
    let upstream = Upstream::with([busy(), Answer::silence_after("")]).await;
    let gateway = gateway(&upstream, &["--max-duration", "1"]).await;
    let status = generate(&gateway).await.unwrap_err();
    assert_status(&status, Code::DeadlineExceeded, "TIMED_OUT");
    assert_eq!((used_by(&status), models(&upstream)), (None, vec![ASKED.to_owned(), "gemini-2.5-pro".to_owned()]));
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_caller_gets_no_answer_of_a_model_that_it_may_not_use() {
    for (allowed, expected) in [("['gemini-2.5-flash', 'other']", "other"), ("['gemini-2.5-flash']", ASKED)] {
        let upstream = Upstream::with([Answer::closing(json("404 Not Found", "{}")), stop()]).await;
        let callers = callers(&format!("models = {allowed}"));
        let flags = ["--auth", "tokens", "--callers", callers.path().to_str().unwrap()];
        let gateway = gateway(&upstream, &flags).await;
        let answer = gateway.client.clone().generate_content(with_token(prompt("hi"))).await;
        match answer {
            Ok(answer) => {
                assert_eq!((used(&answer), models(&upstream)), (expected, vec![ASKED.into(), expected.into()]))
            }
            Err(status) => {
                assert_eq!((used_by(&status), models(&upstream)), (Some(expected), vec![expected.to_owned()]))
            }
        }
    }
}

#[tokio::test]
async fn a_caller_whose_cost_is_limited_gets_no_answer_of_a_model_without_a_price() {
    let upstream = Upstream::with([busy(), Answer::closing(json("404 Not Found", "{}")), stop()]).await;
    let callers = callers("cost_per_day = 1");
    let flags = ["--auth", "tokens", "--callers", callers.path().to_str().unwrap()];
    let gateway = gateway(&upstream, &flags).await;
    let status = gateway.client.clone().generate_content(with_token(prompt("hi"))).await.unwrap_err();
    assert_eq!((status.code(), models(&upstream)), (Code::Unavailable, vec![ASKED.into(), "gemini-2.5-pro".into()]));
}

#[tokio::test]
async fn an_image_model_that_would_not_accept_the_options_is_not_asked() {
    let path = "/v1beta/models/nano-banana-2:generateContent";
    let size = r#""generationConfig":{"imageConfig":{"imageSize":"2K"}}"#;
    let wide = r#""generationConfig":{"imageConfig":{"aspectRatio":"1:8"}}"#;
    for (config, expected) in [
        (r#""generationConfig":{}"#, "gemini-2.5-flash-image"),
        // The first fallback takes no size.
        (size, "nano-banana-pro"),
        // No other model makes such wide pictures.
        (wide, "nano-banana-2"),
    ] {
        let upstream = Upstream::with([busy(), stop()]).await;
        let gateway = gateway(&upstream, &["--retries", "0"]).await;
        let body = HI.replacen('{', &format!("{{{config},"), 1);
        let response: RestResponse = call(gateway.running.address, path, &body).await;
        assert_eq!(response.header(USED), Some(expected), "{response:?}");
        assert_eq!(response.status, if expected == "nano-banana-2" { 503 } else { 200 });
        assert_eq!(models(&upstream).last().unwrap(), expected);
        for request in upstream.requests() {
            assert!(request.contains(r#""responseModalities":["TEXT","IMAGE"]"#), "{request}");
        }
    }
}

#[tokio::test]
async fn methods_that_generate_nothing_and_models_without_a_list_are_as_before() {
    let upstream = Upstream::with([busy(), stop()]).await;
    let gateway = gateway(&upstream, &["--upstream-methods", "countTokens", "--retries", "0"]).await;
    let request = CountTokensRequest { model: ASKED.into(), ..Default::default() };
    let status = gateway.client.clone().count_tokens(request).await.unwrap_err();
    assert_eq!((used_by(&status), models(&upstream)), (None, vec![ASKED.to_owned()]));
    let other = GenerateContentRequest { model: "other".into(), ..prompt("hi") };
    let answer = gateway.client.clone().generate_content(other).await.unwrap();
    assert_eq!(answer.metadata().get(USED), None);
}

#[tokio::test]
async fn a_stream_that_began_with_a_heartbeat_names_the_model_in_its_trailers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::at(&listener);
    let (answer, asked) = oneshot::channel::<()>();
    tokio::spawn(async move {
        for wait in [None, Some(asked)] {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            let bytes = match wait {
                None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
                Some(asked) => {
                    asked.await.unwrap();
                    sse(event("ok", true))
                }
            };
            stream.write_all(&bytes).await.unwrap();
        }
    });
    let gateway = gateway(&upstream, &["--heartbeat", "1"]).await;
    let mut stream = gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap();
    assert_eq!(stream.metadata().get(USED), None);
    answer.send(()).unwrap();
    while stream.get_mut().message().await.unwrap().is_some() {}
    assert_eq!(stream.get_mut().trailers().await.unwrap().unwrap().get(USED).unwrap(), "gemini-2.5-pro");
}

#[tokio::test]
async fn usage_is_that_of_the_model_that_answered() {
    let (telemetry, scrape) = scraped();
    let report = STOP.replacen('{', r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2},"#, 1);
    let later = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 31\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let later = Answer::closing(later);
    let upstream = Upstream::with([busy(), Answer::closing(json("200 OK", &report)), later]).await;
    let gateway = recorded(&upstream, &["--max-duration", "60"], &telemetry).await;
    generate(&gateway).await.unwrap();
    generate(&gateway).await.unwrap_err();
    let metrics = scrape();
    for line in [
        r#"gemini_grpc_fallbacks_total{model="gemini-2.5-flash",model_used="gemini-2.5-pro",otel_scope"#,
        r#"gemini_grpc_fallbacks_total{model="gemini-2.5-flash",model_used="_none",otel_scope"#,
        r#"gemini_grpc_usage_tokens_total{caller="_unknown",kind="input",model="gemini-2.5-pro",otel_scope"#,
        r#"gemini_grpc_usage_calls_total{caller="_unknown",code="OK",model="gemini-2.5-pro",otel_scope"#,
        r#"gen_ai_request_model="gemini-2.5-flash""#,
    ] {
        assert!(metrics.lines().any(|metric| metric.contains(line)), "{line} is not in\n{metrics}");
    }
    let of_asked = |line: &&str| line.contains("usage_tokens") && line.contains(r#"model="gemini-2.5-flash""#);
    assert_eq!(metrics.lines().filter(of_asked).find(|line| !line.ends_with(" 0")), None);
    // Five tokens at 200,000 dollars a million.
    let cost = r#"gemini_grpc_usage_cost_total{caller="_unknown",model="gemini-2.5-pro""#;
    assert!(metrics.lines().any(|line| line.starts_with(cost) && line.ends_with(" 1")), "{metrics}");
}
