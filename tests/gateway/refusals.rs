//! Errors of upstream in every position: as the body of a unary call and of a stream, as the first event and a later one,
//! with an HTTP error and with HTTP 200; for our clients and for Google's.

use gemini_grpc::pb::rpc;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::answers::{SERVICES, call};
use crate::support::{Details, Gateway, Upstream, event, http, sse};

/// The status of a call that upstream refuses with this body, for each position.
async fn everywhere(status: u16, body: impl AsRef<[u8]>) -> Vec<Status> {
    let (body, line) = (body.as_ref(), format!("{status} Refused"));
    let compact = [b"data: ", body, b"\n\n"].concat();
    let later = [event("before", false).as_bytes(), &compact].concat();
    let mut statuses = Vec::new();
    for service in SERVICES {
        for (answer, method) in [
            (http(&line, "application/json", body), "GenerateContent"),
            (http("200 OK", "application/json", body), "GenerateContent"),
            (http(&line, "application/json", body), "StreamGenerateContent"),
            (sse(&compact), "StreamGenerateContent"),
            (sse(&later), "StreamGenerateContent"),
        ] {
            let upstream = Upstream::answering(answer).await;
            let gateway = Gateway::with(&upstream, &["--retries", "0"]).await;
            statuses.push(call(&gateway, service, method).await.1.unwrap_err());
        }
    }
    statuses
}

fn error(code: u16, status: &str, message: &str, details: Value) -> String {
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } }).to_string()
}

fn retry_info(delay: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })
}

fn error_info(reason: &str, domain: &str, metadata: Value) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata })
}

fn pushback(status: &Status) -> Option<i64> {
    status.metadata().get("grpc-retry-pushback-ms").map(|value| value.to_str().unwrap().parse().unwrap())
}

fn delay(status: &Status) -> Option<f64> {
    let info: rpc::RetryInfo = Details::of(status).find("RetryInfo")?;
    info.retry_delay.map(|delay| delay.seconds as f64 + f64::from(delay.nanos) / 1e9)
}

#[tokio::test]
async fn a_nested_error_replaces_the_outer_one() {
    let inner = error(429, "RESOURCE_EXHAUSTED", "Slow.", json!([retry_info("38s")]));
    for outer in [
        json!({ "error": { "message": inner, "code": 429, "status": "Too Many Requests" } }),
        json!({ "statusCode": 429, "message": inner, "error": "Too Many Requests" }),
        json!({ "error": { "message": format!("got status: 429 . {inner}"), "code": 429 } }),
        json!({ "error": { "message": inner, "code": 500, "status": "INTERNAL" } }),
    ] {
        for status in everywhere(429, outer.to_string()).await {
            assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "Slow."));
            assert_eq!((delay(&status), pushback(&status)), (Some(38.0), Some(38_000)));
        }
    }
}

#[tokio::test]
async fn the_only_error_info_is_upstreams_if_it_has_one() {
    let info = error_info("R", "googleapis.com", json!({ "service": "x" }));
    for details in
        [json!([info]), json!([{ "reason": "R", "domain": "googleapis.com", "metadata": { "service": "x" } }])]
    {
        for status in everywhere(400, error(400, "INVALID_ARGUMENT", "m", details)).await {
            let all = Details::of(&status);
            let info = all.info();
            assert_eq!((&*info.reason, &*info.domain), ("R", "googleapis.com"));
            assert_eq!((&*info.metadata["service"], &*info.metadata["upstreamStatus"]), ("x", "400"));
            assert!(info.metadata.contains_key("source"));
            assert_eq!(all.0.iter().filter(|detail| detail.type_url.ends_with("ErrorInfo")).count(), 1);
        }
    }
    for status in everywhere(400, error(400, "INVALID_ARGUMENT", "m", json!([]))).await {
        let info = Details::of(&status).info();
        assert_eq!((&*info.reason, &*info.domain), ("UPSTREAM_REFUSED", "gemini-grpc"));
    }
}

#[tokio::test]
async fn a_retry_delay_is_found_in_every_place_and_returned_once() {
    let quota = error_info("RATE_LIMIT_EXCEEDED", "googleapis.com", json!({ "quotaResetDelay": "49.37s" }));
    for (body, seconds) in [
        (error(429, "RESOURCE_EXHAUSTED", "m", json!([quota])), 49.37),
        (error(429, "RESOURCE_EXHAUSTED", "Please retry in 47.43s.", json!([])), 47.43),
        (error(429, "RESOURCE_EXHAUSTED", "Please retry in 47.43s.", json!([retry_info("3.5s")])), 3.5),
        (
            error(
                429,
                "RESOURCE_EXHAUSTED",
                "m",
                json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": 38 }]),
            ),
            38.0,
        ),
        // RetryInfo and the pushback in milliseconds are both rounded up.
        (error(429, "RESOURCE_EXHAUSTED", "m", json!([retry_info("3.000400s")])), 3.001),
    ] {
        for status in everywhere(429, &body).await {
            assert_eq!((delay(&status), pushback(&status)), (Some(seconds), Some((seconds * 1000.0) as i64)), "{body}");
        }
    }
}

#[tokio::test]
async fn an_exhausted_daily_quota_has_no_retry_delay() {
    let quota = json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaId": "GenerateRequestsPerDay" }] });
    for body in [
        error(429, "RESOURCE_EXHAUSTED", "m", json!([quota, retry_info("36s")])),
        error(
            429,
            "RESOURCE_EXHAUSTED",
            "m",
            json!([{ "violations": [{ "quotaId": "GenerateRequestsPerDay" }] }, { "retryDelay": "36s" }]),
        ),
    ] {
        for status in everywhere(429, body).await {
            assert_eq!((delay(&status), pushback(&status)), (None, Some(-1)));
            assert!(Details::of(&status).find::<rpc::QuotaFailure>("QuotaFailure").is_some());
        }
    }
}

#[tokio::test]
async fn problems_with_the_gateways_own_key_are_internal_errors() {
    let info = |reason| json!([error_info(reason, "googleapis.com", json!({}))]);
    for (code, name, message, details) in [
        (403, "PERMISSION_DENIED", "Consumer suspended.", info("CONSUMER_SUSPENDED")),
        (403, "PERMISSION_DENIED", "m", info("CONSUMER_INVALID")),
        (403, "PERMISSION_DENIED", "m", info("API_KEY_HTTP_REFERRER_BLOCKED")),
        (403, "PERMISSION_DENIED", "m", info("API_KEY_SERVICE_BLOCKED")),
        (403, "PERMISSION_DENIED", "m", info("BILLING_DISABLED")),
        (403, "PERMISSION_DENIED", "m", info("SERVICE_DISABLED")),
        (400, "INVALID_ARGUMENT", "m", info("API_KEY_INVALID")),
        (400, "INVALID_ARGUMENT", "m", json!([{ "reason": "API_KEY_INVALID", "domain": "googleapis.com" }])),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", json!([])),
        (403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.", json!([])),
    ] {
        let body = error(code, name, message, details);
        for status in everywhere(code, &body).await {
            let info = Details::of(&status).info();
            assert_eq!(status.code(), Code::Internal, "{body}");
            assert_eq!((&*info.reason, &*info.domain), ("UPSTREAM_KEY_REFUSED", "gemini-grpc"));
            assert!(!status.message().contains(message) || message == "m", "{}", status.message());
        }
    }
    for message in ["The caller does not have permission to use this model.", "Blocked for safety."] {
        for status in everywhere(403, error(403, "PERMISSION_DENIED", message, json!([]))).await {
            assert_eq!((status.code(), status.message()), (Code::PermissionDenied, message));
        }
    }
}

#[tokio::test]
async fn messages_with_line_breaks_and_invalid_characters_are_passed_on() {
    let body = r#"{"error":{"code":429,"message":"line1\nline2 \ud83d\u0007","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"38s"}]}}"#;
    for status in everywhere(429, body).await {
        assert_eq!(status.message(), "line1\nline2 \u{fffd}");
        assert_eq!(delay(&status), Some(38.0));
    }
    for status in
        everywhere(429, b"{\"error\":{\"code\":429,\"message\":\"cut \xf0\x9f\",\"status\":\"ABORTED\"}}").await
    {
        assert_eq!((status.code(), status.message()), (Code::Aborted, "cut \u{fffd}"));
    }
}

#[tokio::test]
async fn a_long_error_message_is_shortened_and_keeps_its_status_and_details() {
    let body = error(400, "FAILED_PRECONDITION", &"long ".repeat(40_000), json!([error_info("R", "d", json!({}))]));
    for status in everywhere(400, body).await {
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().starts_with("long long") && status.message().len() <= 1024);
        assert_eq!(Details::of(&status).info().reason, "R");
    }
}
