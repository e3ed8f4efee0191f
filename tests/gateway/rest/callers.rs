//! Callers with tokens over REST: which key is sent upstream, and the limits of each caller.

use serde_json::Value;

use super::client::{EVENTS, HI, Http1, Response, UNARY, call, error_info, exchange, post};
use super::errors::is_envelope;
use super::limits::with_picture;
use crate::shares::{TOKENS, gateway};
use crate::support::{Answer, STOP, Upstream, event, json, sse};

/// A call with the token of a caller.
async fn call_as(gateway: &crate::support::Gateway, token: &str, path: &str, body: &str) -> Response {
    exchange(gateway.running.address, post(path, &[("x-goog-api-key", token)], body)).await
}

/// The head of a request whose body does not follow.
fn head(token: &str) -> String {
    format!(
        "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nx-goog-api-key: {token}\r\ncontent-length: 100\r\n\r\n"
    )
}

/// The limit that an error names, and its value.
#[track_caller]
fn quota(response: &Response) -> (String, String) {
    is_envelope(response, 429, "RESOURCE_EXHAUSTED", "CALLER_QUOTA_EXCEEDED");
    assert!(response.header("retry-after").is_some(), "{response:?}");
    let body = response.json();
    let details = body["error"]["details"].as_array().unwrap();
    let failure = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.QuotaFailure");
    let violation = &failure.unwrap()["violations"][0];
    assert_eq!(violation["subject"], "caller:team-a", "{violation}");
    let text = |name: &str| violation[name].as_str().unwrap().to_owned();
    (text("quotaId"), text("quotaValue"))
}

#[tokio::test]
async fn a_token_is_taken_from_each_place_and_is_not_sent_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "", &[]).await;
    let bearer = format!("Bearer {}", TOKENS[0]);
    for (path, headers) in [
        (UNARY.to_owned(), vec![("x-goog-api-key", TOKENS[0])]),
        (UNARY.to_owned(), vec![("authorization", &bearer)]),
        (format!("{UNARY}?key={}", TOKENS[0]), vec![]),
    ] {
        let response = exchange(gateway.running.address, post(&path, &headers, HI)).await;
        assert_eq!(response.status, 200, "{response:?}");
        let request = upstream.requests().pop().unwrap();
        assert!(request.contains("\r\nauthorization: Bearer own-key\r\n") && !request.contains("gg_"), "{request}");
    }
}

#[tokio::test]
async fn a_call_without_a_valid_token_is_refused_before_its_body_arrives() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "", &[]).await;
    for (request, reason) in [
        (head("gg_guessed"), "TOKEN_UNKNOWN"),
        // The gateway's own key is no token.
        (head("own-key"), "TOKEN_UNKNOWN"),
        (head("x").replace("x-goog-api-key: x\r\n", ""), "TOKEN_MISSING"),
        (head("x").replace("x-goog-api-key: x", "authorization: Basic dTpw"), "TOKEN_MISSING"),
        (head("x").replace("x-goog-api-key: x\r\n", "").replace(UNARY, "/v1beta/models"), "HTTP_METHOD_NOT_ALLOWED"),
    ] {
        let response = exchange(gateway.running.address, &request).await;
        assert_eq!(error_info(&response.json())["reason"], reason, "{response:?}");
        assert!(!response.body.contains("guessed"), "{response:?}");
    }
    let response = call(gateway.running.address, &format!("{UNARY}?key=gg_guessed"), HI).await;
    is_envelope(&response, 401, "UNAUTHENTICATED", "TOKEN_UNKNOWN");
    assert!(!response.body.contains("guessed") && !response.head.contains("guessed"), "{response:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_refused_before_anything_is_sent() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "models = ['gemini-3-*']", &[]).await;
    for path in [UNARY, EVENTS] {
        is_envelope(&call_as(&gateway, TOKENS[0], path, HI).await, 403, "PERMISSION_DENIED", "MODEL_NOT_ALLOWED");
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(call_as(&gateway, TOKENS[1], UNARY, HI).await.status, 200);
}

#[tokio::test]
async fn a_caller_at_a_limit_is_refused_before_its_body_arrives() {
    let upstream = Upstream::falling_silent_after("").await;
    for limit in ["calls_in_flight", "calls_per_minute"] {
        let gateway = gateway(&upstream, &format!("{limit} = 1"), &[]).await;
        let before = upstream.requests().len();
        let mut first = Http1::open(gateway.running.address).await;
        first.send(post(UNARY, &[("x-goog-api-key", TOKENS[0])], HI)).await;
        upstream.wait_for_requests(before + 1).await;
        let second = exchange(gateway.running.address, head(TOKENS[0])).await;
        assert_eq!(quota(&second), (limit.to_owned(), "1".to_owned()));
        // Another caller has its own.
        let mut other = Http1::open(gateway.running.address).await;
        other.send(post(UNARY, &[("x-goog-api-key", TOKENS[1])], HI)).await;
        upstream.wait_for_requests(before + 2).await;
    }
}

#[tokio::test]
async fn invalid_requests_use_no_call_of_the_quota() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_per_minute = 1\nmodels = 'gemini-*'", &[]).await;
    let other_model = UNARY.replace("gemini-2.5-flash", "other");
    for (path, body, status) in
        [(UNARY, "{}", 400), (UNARY, "{", 400), (&other_model, HI, 403), (UNARY, HI, 200), (UNARY, HI, 429)]
    {
        assert_eq!(call_as(&gateway, TOKENS[0], path, body).await.status, status, "{path} {body}");
    }
}

#[tokio::test]
async fn an_unfinished_upload_counts_as_a_call_of_its_caller_until_the_client_goes() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_in_flight = 1", &["--workers", "1"]).await;
    let mut uploading = Http1::open(gateway.running.address).await;
    // The gateway asks for the body once the call has its place.
    uploading.send(head(TOKENS[0]).replace("content-length", "expect: 100-continue\r\ncontent-length")).await;
    assert_eq!(uploading.head().await.status, 100);
    uploading.send("{").await;
    assert_eq!(quota(&call_as(&gateway, TOKENS[0], UNARY, HI).await).0, "calls_in_flight");
    assert_eq!(call_as(&gateway, TOKENS[1], UNARY, HI).await.status, 200);
    drop(uploading);
    while call_as(&gateway, TOKENS[0], UNARY, HI).await.status != 200 {}
}

#[tokio::test]
async fn the_tokens_of_a_stream_are_charged_although_its_client_goes_away() {
    let usage = event("a", false).replace("data: {", "data: {\"usageMetadata\":{\"totalTokenCount\":6000},");
    let upstream = Upstream::falling_silent_after(sse(usage)).await;
    let gateway = gateway(&upstream, "tokens_per_minute = 60", &[]).await;
    let mut connection = Http1::open(gateway.running.address).await;
    connection.send(post(EVENTS, &[("x-goog-api-key", TOKENS[0])], HI)).await;
    connection.head().await;
    connection.chunk().await.unwrap().unwrap();
    drop(connection);
    upstream.wait_until_closed().await;
    // The call is charged when it has ended, which may be a moment later.
    let refused = loop {
        let mut next = Http1::open(gateway.running.address).await;
        next.send(post(EVENTS, &[("x-goog-api-key", TOKENS[0])], HI)).await;
        let response = next.head().await;
        if response.status != 200 {
            let length = response.header("content-length").unwrap().parse().unwrap();
            break (response, serde_json::from_str::<Value>(&next.text(length).await).unwrap());
        }
    };
    assert_eq!((refused.0.status, error_info(&refused.1)["reason"].as_str()), (429, Some("CALLER_QUOTA_EXCEEDED")));
    let wait: u64 = refused.0.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 5000, "{wait}");
}

#[tokio::test]
async fn a_caller_can_reserve_only_its_share_of_the_bytes() {
    let upstream = Upstream::with([Answer::silence_after(""), Answer::closing(json("200 OK", STOP))]).await;
    let cap = (24 << 20).to_string();
    let gateway = gateway(&upstream, "", &["--max-bytes-held", &cap]).await;
    let large = with_picture(8 << 20);
    let mut first = Http1::open(gateway.running.address).await;
    first.send(post(UNARY, &[("x-goog-api-key", TOKENS[0])], &large)).await;
    upstream.wait_for_requests(1).await;
    // Each of the two callers may reserve half, of which the first call has 8 MiB.
    let second = post(UNARY, &[("x-goog-api-key", TOKENS[0])], &large);
    assert_eq!(quota(&exchange(gateway.running.address, &second[..1000]).await).0, "bytes_held");
    assert_eq!(call_as(&gateway, TOKENS[1], UNARY, &large).await.status, 200);
}
