//! Misbehaviour on request: what upstreams have been seen to do, by name.
//!
//! A name is asked for as the model `sandbox-NAME`, or in the header `x-sandbox-fault` with any model.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::Error;
use super::reported;

/// Every name with what it does. A number from 400 to 599 is a name as well: an error of that status.
pub const FAULTS: [(&str, &str); 59] = [
    ("429-daily", "a quota per day that is used up"),
    ("429-retry-after", "429 with the delay in a header only"),
    ("nest-400", "an error in NestJS's shape with a list of messages"),
    ("nest-401", "an error in NestJS's shape with one message"),
    ("html-502", "a CDN's web page"),
    ("array-error", "an error inside a list"),
    ("echo-key", "an error that repeats the key"),
    ("empty-500", "an error without a body"),
    ("html-200", "a web page with status 200"),
    ("empty-200", "status 200 without a body"),
    ("204", "status 204"),
    ("201", "an answer with status 201"),
    ("redirect", "a redirect to another host"),
    ("error-200", "an error object with status 200"),
    ("trailing-garbage", "an answer with something behind it"),
    ("utf16", "an answer in UTF-16"),
    ("big-error", "an error of 8 MiB"),
    ("hang", "no answer at all"),
    ("hang-stream", "a stream that falls silent after some events"),
    ("error-event", "an error as an event in the middle of a stream"),
    ("error-bare", "an error in the middle of a stream, on lines without data:"),
    ("cut", "a stream whose connection breaks"),
    ("cut-clean", "a stream that ends before its last event"),
    ("cut-event", "a stream that ends in the middle of an event"),
    ("done", "a stream with [DONE] at its end"),
    ("cr", "lines that end in CR"),
    ("lf", "lines that end in LF"),
    ("comments", "comments between events"),
    ("bom", "a byte-order mark at the start"),
    ("one-byte", "a stream written byte by byte"),
    ("object", "one JSON object in place of a stream"),
    ("array", "a JSON array in place of events"),
    ("usage-only", "usage in an event of its own at the end"),
    ("stop-every-chunk", "a finish reason on every event"),
    ("no-parts", "a last candidate without content"),
    ("blocked", "a prompt that is blocked"),
    ("nulls", "null for whatever is empty"),
    ("unknown-fields", "members that the contract does not have"),
    ("unknown-enum", "a finish reason that the contract does not have"),
    ("big-picture", "a picture of more than 5 MB, whatever was asked for"),
    ("thought-picture", "a picture that is a thought, and then the result"),
    ("surrogate", "a text that ends with half of a character"),
    ("two-in-one-part", "a text and a function call in one part"),
    ("empty-enum", "a finish reason that is an empty name"),
    ("one-cut", "two candidates, of which only the first ends"),
    ("odd-sidecar", "unreadable members outside of the content"),
    ("nothing", "usage, and no answer"),
    ("nested-error", "an error whose message is another error"),
    ("untyped-detail", "an error with a detail that has no type"),
    ("wait-in-words", "429 with the delay in its message only"),
    ("key-suspended", "403, since the project of the key is suspended"),
    ("halves", "a stream that cuts a character between two events"),
    ("model-armor", "a finish reason that Google's schema lacks"),
    ("other-reason", "an error with a reason and a domain of its own"),
    ("wait-in-metadata", "429 with the delay in the metadata of its reason only"),
    ("daily-and-wait", "a quota per day that is used up, and a short delay"),
    ("error-lines", "an error whose message has several lines"),
    ("long-error", "an error whose message has 200 KB"),
    ("NAME-event", "the error NAME of these, as an event in the middle of a stream"),
];

/// The answer to a fault that concerns the whole response; `None` if it only changes an ordinary one.
pub(super) fn response(fault: &str, key: &str, answer: &Value) -> Option<Response> {
    if let Ok(status @ 400..=599) = fault.parse::<u16>() {
        return Some(of_status(status, json!("RATE_LIMIT_EXCEEDED"), "PerMinute").into_response());
    }
    let plain = |status: u16, kind: &'static str, body: Body| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
    };
    let nest = |status: u16, message: Value, error: &str| {
        let body = json!({"statusCode": status, "message": message, "error": error});
        plain(status, "application/json; charset=utf-8", body.to_string().into())
    };
    if let Some((status, [body])) = reported::find(fault) {
        return Some(plain(status, "application/json", Body::from(*body)));
    }
    let page = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>cloud</body></html>";
    Some(match fault {
        "429-daily" => of_status(429, json!("RATE_LIMIT_EXCEEDED"), "PerDay").into_response(),
        "429-retry-after" => {
            let mut response =
                plain(429, "application/json", r#"{"error":{"code":429,"message":"[sandbox] later"}}"#.into());
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7"));
            response
        }
        "nest-400" => {
            nest(400, json!(["[sandbox] contents must be an array", "model should not be empty"]), "Bad Request")
        }
        "nest-401" => nest(401, json!("[sandbox] Invalid token"), "Unauthorized"),
        "html-502" => plain(502, "text/html", page.into()),
        "html-200" => plain(200, "text/html", page.into()),
        "array-error" => {
            plain(400, "application/json", json!([of_status(400, Value::Null, "").body()]).to_string().into())
        }
        "echo-key" => Error::new(403, format!("the key {key} may not do that"), Value::Null).into_response(),
        "empty-500" => plain(500, "application/json", Body::empty()),
        "empty-200" => plain(200, "application/json", Body::empty()),
        "204" => StatusCode::NO_CONTENT.into_response(),
        "201" => plain(201, "application/json", answer.to_string().into()),
        "redirect" => {
            let mut response = plain(307, "text/plain", Body::empty());
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://127.0.0.1:9/elsewhere"));
            response
        }
        "error-200" => plain(200, "application/json", of_status(429, Value::Null, "").body().to_string().into()),
        "trailing-garbage" => plain(200, "application/json", format!("{answer} and more").into()),
        "utf16" => {
            let text: Vec<u8> = answer.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
            plain(200, "application/json; charset=utf-16", text.into())
        }
        "long-error" => Error::new(
            429,
            "x".repeat(200_000),
            of_status(429, json!("RATE_LIMIT_EXCEEDED"), "PerMinute").body()["error"]["details"].clone(),
        )
        .into_response(),
        "big-error" => Error::new(500, "x".repeat(8 << 20), Value::Null).into_response(),
        _ => return None,
    })
}

/// Google's error of that status; of 429, with a delay and the quota.
fn of_status(status: u16, reason: Value, period: &str) -> Error {
    let details = match status {
        429 if !reason.is_null() => json!([
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"},
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaMetric": "sandbox/requests", "quotaId": format!("GenerateRequests{period}PerProject"), "subject": "sandbox"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"},
        ]),
        _ => Value::Null,
    };
    Error::new(status, format!("you asked for an error of status {status}"), details)
}

/// Changes the events of a stream, or the one answer, as a fault of content asks.
pub(super) fn distort(fault: &str, mut events: Vec<Value>) -> Vec<Value> {
    let last = events.len().saturating_sub(1);
    match fault {
        "usage-only" => {
            let usage =
                events.last_mut().and_then(Value::as_object_mut).and_then(|event| event.remove("usageMetadata"));
            events.push(json!({"usageMetadata": usage}));
        }
        "stop-every-chunk" => {
            for event in &mut events {
                event["candidates"][0]["finishReason"] = json!("STOP");
            }
        }
        "no-parts" => events.push(json!({"candidates": [{"finishReason": "STOP", "index": 0}]})),
        "blocked" => {
            events = vec![
                json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}),
            ]
        }
        "nulls" => {
            for event in &mut events {
                event["promptFeedback"] = Value::Null;
                let candidate = &mut event["candidates"][0];
                for name in ["safetyRatings", "citationMetadata", "finishMessage", "tokenCount"] {
                    candidate[name] = Value::Null;
                }
                if candidate["finishReason"].is_null() {
                    candidate["finishReason"] = Value::Null;
                }
            }
        }
        "unknown-fields" => {
            for event in &mut events {
                event["sandboxNews"] = json!({"zeta": [1, null, "x"], "alpha": 2.5});
                event["candidates"][0]["content"]["parts"][0]["sandboxPart"] = json!(true);
            }
        }
        "unknown-enum" => {
            if let Some(event) = events.get_mut(last) {
                event["candidates"][0]["finishReason"] = json!("SANDBOX_TIRED");
            }
        }
        _ => {}
    }
    events
}
