//! Streams, and the ways in which they end.

use tonic::Code;

use crate::support::{Details, Gateway, Upstream, assert_status, event, http, json, prompt, sse};

#[tokio::test]
async fn each_event_becomes_a_message() {
    let upstream = Upstream::answering(sse(event("Hel", false) + &event("lo", true))).await;
    let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
    assert_eq!(texts, ["Hel", "lo"]);
    end.unwrap();
    assert!(
        upstream.requests()[0]
            .starts_with("POST /gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse HTTP/1.1")
    );
}

#[tokio::test]
async fn an_array_or_a_single_object_is_read_as_a_stream() {
    let one = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}"#;
    let two = r#"{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}]}"#;
    for (body, expected) in [(format!("[{one},\r\n{two}\n]"), vec!["Hel", "lo"]), (two.to_owned(), vec!["lo"])] {
        let upstream = Upstream::answering(json("200 OK", &body)).await;
        let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
        assert_eq!(texts, expected);
        end.unwrap();
    }
}

#[tokio::test]
async fn an_error_before_the_first_event_fails_the_call_without_messages() {
    for (answer, code) in [
        (
            json("404 Not Found", r#"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}"#),
            Code::NotFound,
        ),
        (
            sse(r#"data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#.to_owned() + "\n\n"),
            Code::Unavailable,
        ),
        (sse(""), Code::Internal),
        (http("200 OK", "text/html", "<html></html>"), Code::Internal),
    ] {
        let upstream = Upstream::answering(answer).await;
        let status = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap_err();
        assert_eq!(status.code(), code, "{}", status.message());
        Details::of(&status).reason();
    }
}

#[tokio::test]
async fn an_error_in_the_middle_follows_the_messages_before_it() {
    let error = "{\n  \"error\": {\n    \"code\": 429,\n    \"message\": \"slow down\",\n    \"status\": \"RESOURCE_EXHAUSTED\"\n  }\n}\n";
    for error in [format!("data: {}\r\n\r\n", error.replace('\n', "")), error.to_owned()] {
        let upstream = Upstream::answering(sse(event("Hel", false) + &error)).await;
        let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
        assert_eq!(texts, ["Hel"]);
        let status = end.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "slow down"));
        Details::of(&status).reason();
    }
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_never_succeeds() {
    let whole = event("Hel", false) + &event("lo", true);
    let complete = Upstream::answering(sse(&whole)).await;
    Gateway::over(&complete).await.stream(prompt("hi")).await.unwrap().1.unwrap();
    for cut in 0..whole.len() {
        let upstream = Upstream::answering(sse(&whole[..cut])).await;
        // The last event is complete by its own brackets.
        if whole[cut..].trim().is_empty() {
            continue;
        }
        let succeeded = match Gateway::over(&upstream).await.stream(prompt("hi")).await {
            Ok((texts, end)) => {
                assert!(texts.concat().len() <= 5 && "Hello".starts_with(&texts.concat()), "cut at {cut}");
                end.is_ok()
            }
            Err(_) => false,
        };
        assert!(!succeeded, "cut at {cut} of {}", whole.len());
    }
}

#[tokio::test]
async fn a_stream_without_a_finish_reason_fails() {
    let upstream = Upstream::answering(sse(event("Hel", false))).await;
    let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
    assert_eq!(texts, ["Hel"]);
    let status = end.unwrap_err();
    assert_status(&status, Code::Unavailable, "UPSTREAM_UNFINISHED");
}

#[tokio::test]
async fn unusual_but_complete_streams_succeed() {
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n".to_owned();
    let usage = "data: {\"usageMetadata\":{\"totalTokenCount\":3}}\n\n";
    for (body, expected) in [
        (blocked, vec![""]),
        (event("Hel", true) + &event("lo", true), vec!["Hel", "lo"]),
        (event("Hel", true) + &event("lo", false), vec!["Hel", "lo"]),
        (event("Hi", true) + usage + "data: [DONE]\n\n", vec!["Hi", ""]),
        // Without the empty line behind the last event.
        (event("Hel", false) + event("lo", true).trim_end(), vec!["Hel", "lo"]),
        (": ping\n\n".to_owned() + &event("Hi", true), vec!["Hi"]),
    ] {
        let upstream = Upstream::answering(sse(body)).await;
        let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
        assert_eq!(texts, expected);
        end.unwrap();
    }
}

#[tokio::test]
async fn a_large_event_arrives_complete_between_small_ones() {
    let large = "x".repeat(3 << 20);
    let upstream = Upstream::answering(sse(event("a", false) + &event(&large, false) + &event("b", true))).await;
    let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
    assert_eq!(texts, ["a", large.as_str(), "b"]);
    end.unwrap();
}
