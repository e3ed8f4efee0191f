//! Errors: Google's envelope, with the HTTP status that Google's clients expect.

use super::client::{ARRAY, EVENTS, HI, UNARY, call, exchange, post};
use crate::support::{Running, STOP, Upstream, config, http, json};

async fn gateway() -> (Upstream, Running) {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    (upstream, running)
}

/// Checks that a response is an envelope with this status, code and reason.
#[track_caller]
pub(super) fn is_envelope(response: &super::client::Response, status: u16, code: &str, reason: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert!(response.body.starts_with(r#"{"error":{"code":"#), "{response:?}");
    let error = &response.json()["error"];
    assert_eq!((error["code"].as_u64(), error["status"].as_str()), (Some(status.into()), Some(code)), "{response:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{response:?}");
    let details = error["details"].as_array().unwrap();
    let info = details.last().unwrap();
    assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{response:?}");
    assert_eq!(info["reason"], reason, "{response:?}");
    let id = &details[details.len() - 2];
    assert_eq!(id["@type"], "type.googleapis.com/google.rpc.RequestInfo");
    assert_eq!(id["requestId"].as_str(), response.header("x-request-id"), "{response:?}");
}

#[tokio::test]
async fn paths_that_are_not_served_say_what_to_use_instead() {
    let (upstream, running) = gateway().await;
    for (path, word) in [
        ("/upload/v1beta/files", "inlineData"),
        ("/v1beta/files/abc", "inlineData"),
        ("/v1/cachedContents", "each request"),
        ("/gemini/v1beta/batches", "one by one"),
        ("/v1/interactions", "client.models"),
        ("/v1beta/tunedModels/x:generateContent", "base model"),
        ("/v1alpha/models/x:generateContent", "v1beta"),
        ("/v1/chat/completions", "OpenAI"),
        ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "Live"),
        ("/", "POST /v1beta/models"),
        ("/metrics", "POST /v1beta/models"),
    ] {
        for method in ["POST", "GET", "DELETE", "PATCH"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{{}}");
            let response = exchange(running.address, request).await;
            is_envelope(&response, 404, "NOT_FOUND", "PATH_NOT_SERVED");
            assert!(response.body.contains(word), "{response:?}");
        }
    }
    for action in ["batchGenerateContent", "predict", "unknown"] {
        let response = call(running.address, &format!("/v1beta/models/x:{action}"), HI).await;
        is_envelope(&response, 501, "UNIMPLEMENTED", "METHOD_NOT_OFFERED");
        assert!(response.body.contains(action), "{response:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_wrong_http_method_or_content_type_is_refused_without_asking_upstream() {
    let (upstream, running) = gateway().await;
    for path in [UNARY, EVENTS, ARRAY] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let response = exchange(running.address, format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            is_envelope(&response, 405, "INVALID_ARGUMENT", "HTTP_METHOD_NOT_ALLOWED");
            assert_eq!(response.header("allow"), Some("post"));
        }
        for content_type in [
            "",
            "content-type: text/plain\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "content-type: multipart/form-data\r\n",
        ] {
            let request =
                format!("POST {path} HTTP/1.1\r\nhost: a\r\n{content_type}content-length: {}\r\n\r\n{HI}", HI.len());
            let response = exchange(running.address, request).await;
            is_envelope(&response, 415, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_JSON");
        }
        let response = exchange(running.address, post(path, &[("content-encoding", "br")], HI)).await;
        is_envelope(&response, 415, "UNIMPLEMENTED", "ENCODING_UNKNOWN");
        for (name, value) in [("x-server-timeout", "soon"), ("x-heartbeat-seconds", "0")] {
            let response = exchange(running.address, post(path, &[(name, value)], HI)).await;
            is_envelope(&response, 400, "INVALID_ARGUMENT", "METADATA_INVALID");
        }
    }
    let response = call(running.address, &format!("{ARRAY}?alt=proto"), HI).await;
    is_envelope(&response, 400, "INVALID_ARGUMENT", "METADATA_INVALID");
    let response = exchange(running.address, format!("HEAD {UNARY} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    let mut head = super::client::Http1::open(running.address).await;
    head.send(format!("HEAD {UNARY} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(head.head().await.status, 405);
    assert_eq!(head.read_to_end().await, "");
    drop(response);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_request_that_breaks_rules_names_the_fields() {
    let (upstream, running) = gateway().await;
    let response = call(running.address, UNARY, r#"{"contents":[]}"#).await;
    is_envelope(&response, 400, "INVALID_ARGUMENT", "REQUEST_INVALID");
    let violations = &response.json()["error"]["details"][0];
    assert_eq!(violations["@type"], "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(violations["fieldViolations"][0]["field"], "contents", "{violations}");
    let path = UNARY.replace("gemini-2.5-flash", "a%20b");
    is_envelope(&call(running.address, &path, HI).await, 400, "INVALID_ARGUMENT", "REQUEST_INVALID");
    for body in ["", "{", "[]", "no", "{\"contents\":[{]}"] {
        let response = call(running.address, UNARY, body).await;
        is_envelope(&response, 400, "INVALID_ARGUMENT", "REQUEST_MALFORMED");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn an_error_of_upstream_keeps_its_details_and_says_when_to_retry() {
    let body = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"s","description":"d"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"90.5s"}]}}"#;
    let upstream = Upstream::answering(json("429 Too Many Requests", body)).await;
    let running = Running::start(&config(&upstream, &[]));
    for path in [UNARY, EVENTS, ARRAY] {
        let response = call(running.address, path, HI).await;
        is_envelope(&response, 429, "RESOURCE_EXHAUSTED", "UPSTREAM_REFUSED");
        assert_eq!(response.header("retry-after"), Some("91"));
        let details = response.json()["error"]["details"].clone();
        assert_eq!(details[0]["violations"][0]["subject"], "s", "{details}");
        assert_eq!(details[1]["retryDelay"], "90.500s", "{details}");
    }
}

#[tokio::test]
async fn every_class_of_error_has_the_status_that_google_gives_it() {
    for (upstream_status, status, code) in [
        ("400 Bad Request", 400, "INVALID_ARGUMENT"),
        ("403 Forbidden", 403, "PERMISSION_DENIED"),
        ("404 Not Found", 404, "NOT_FOUND"),
        ("409 Conflict", 409, "ABORTED"),
        ("412 Precondition Failed", 400, "FAILED_PRECONDITION"),
        ("500 Internal Server Error", 500, "INTERNAL"),
        ("501 Not Implemented", 501, "UNIMPLEMENTED"),
        ("502 Bad Gateway", 503, "UNAVAILABLE"),
        ("504 Gateway Timeout", 504, "DEADLINE_EXCEEDED"),
        ("302 Found", 503, "UNAVAILABLE"),
    ] {
        let upstream = Upstream::answering(http(upstream_status, "text/html", "<html>")).await;
        let running = Running::start(&config(&upstream, &[]));
        for path in [UNARY, EVENTS] {
            let response = call(running.address, path, HI).await;
            is_envelope(&response, status, code, "UPSTREAM_REFUSED");
            assert_eq!(response.header("retry-after"), None, "{response:?}");
        }
    }
    // The key is the gateway's own.
    let upstream = Upstream::answering(http("401 Unauthorized", "text/html", "own-key")).await;
    let running = Running::start(&config(&upstream, &[]));
    let response = call(running.address, UNARY, HI).await;
    is_envelope(&response, 500, "INTERNAL", "UPSTREAM_KEY_REFUSED");
    assert!(!response.body.contains("own-key"));
}

#[tokio::test]
async fn a_call_beyond_a_limit_is_refused_with_the_time_to_come_back() {
    let upstream = Upstream::falling_silent_after("").await;
    let running = Running::start(&config(&upstream, &["--max-calls", "1", "--workers", "1"]));
    let mut first = super::client::Http1::open(running.address).await;
    first.send(post(EVENTS, &[], HI)).await;
    upstream.wait_for_requests(1).await;
    let response = call(running.address, UNARY, HI).await;
    is_envelope(&response, 429, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS");
    assert_eq!(response.header("retry-after"), Some("1"));
    let retry = response.json()["error"]["details"][0].clone();
    assert_eq!(
        (retry["@type"].as_str(), retry["retryDelay"].as_str()),
        (Some("type.googleapis.com/google.rpc.RetryInfo"), Some("1s"))
    );
}
