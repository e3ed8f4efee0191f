//! Answers with the faults of known upstreams, as unary answers and in streams, for our clients and for Google's.

use gemini_grpc::pb::gemini::candidate::FinishReason;
use gemini_grpc::pb::gemini::part::Data;
use gemini_grpc::pb::gemini::{GenerateContentResponse, GenerationConfig, Part};
use http::uri::PathAndQuery;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::support::{Details, Gateway, Upstream, http, prompt, sse, text};

const OWN: &str = "mountsea.gemini.v1.GenerativeService";
pub const SERVICES: [&str; 3] =
    [OWN, "google.ai.generativelanguage.v1beta.GenerativeService", "google.ai.generativelanguage.v1.GenerativeService"];

/// The messages of a call, and how it ended.
pub type Answer = (Vec<GenerateContentResponse>, Result<(), Status>);

pub async fn call(gateway: &Gateway, service: &str, method: &str) -> Answer {
    let mut client = tonic::client::Grpc::new(gateway.channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/{service}/{method}")).unwrap();
    let codec = ProstCodec::default();
    // On the wire, a unary answer is a stream of one message.
    let mut stream = match client.server_streaming(tonic::Request::new(prompt("hi")), path, codec).await {
        Ok(response) => response.into_inner(),
        Err(status) => return (vec![], Err(status)),
    };
    let mut messages = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, Ok(())),
            Err(status) => return (messages, Err(status)),
        }
    }
}

async fn unary(service: &str, body: impl AsRef<[u8]>) -> Answer {
    let upstream = Upstream::answering(http("200 OK", "application/json", body)).await;
    call(&Gateway::over(&upstream).await, service, "GenerateContent").await
}

async fn streamed<B: AsRef<[u8]>>(service: &str, events: &[B]) -> Answer {
    let body: Vec<u8> = events.iter().flat_map(|event| [b"data: ", event.as_ref(), b"\n\n"].concat()).collect();
    let upstream = Upstream::answering(sse(body)).await;
    call(&Gateway::over(&upstream).await, service, "StreamGenerateContent").await
}

/// The same answer by both methods under every name of the service.
async fn everywhere(json: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for service in SERVICES {
        answers.push(unary(service, &json).await);
        answers.push(streamed(service, &[&json]).await);
    }
    answers
}

fn with_part(part: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{part}]}},"finishReason":"STOP"}}]}}"#)
}

fn parts(message: &GenerateContentResponse) -> &[Part] {
    &message.candidates[0].content.as_ref().unwrap().parts
}

#[tokio::test]
async fn invalid_unicode_in_a_text_is_replaced() {
    let raw =
        [b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\xf0\x9f", &br#""}]},"finishReason":"STOP"}]}"#[..]];
    for (json, expected) in [
        (with_part(r#"{"text":"a\ud83d"}"#).into_bytes(), "a\u{fffd}"),
        (with_part(r#"{"text":"\ude00b","thought":true}"#).into_bytes(), "\u{fffd}b"),
        (raw.concat(), "a\u{fffd}"),
    ] {
        for (messages, end) in everywhere(json).await {
            end.unwrap();
            assert_eq!(text(&messages[0]), expected);
        }
    }
    for (messages, end) in everywhere(with_part(r#"{"functionCall":{"name":"f","args":{"\ud83d":"x\ude00"}}}"#)).await {
        end.unwrap();
        let Some(Data::FunctionCall(call)) = &parts(&messages[0])[0].data else { panic!("no call") };
        assert_eq!(format!("{:?}", call.args).matches('\u{fffd}').count(), 2);
    }
}

#[tokio::test]
async fn a_character_split_between_two_events_is_joined() {
    for service in SERVICES {
        let (messages, end) = streamed(
            service,
            &[
                r#"{"candidates":[{"content":{"parts":[{"text":"hi \ud83d"}]}}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"\ude00"}]}}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"!\ud83d"}]},"finishReason":"STOP"}]}"#,
            ],
        )
        .await;
        end.unwrap();
        assert_eq!(messages.iter().map(text).collect::<Vec<_>>(), ["hi ", "😀", "!\u{fffd}"]);
    }
}

#[tokio::test]
async fn two_kinds_of_data_in_one_part_become_two_parts() {
    for (part, count) in [
        (r#"{"text":"","functionCall":{"name":"f"},"thoughtSignature":"AQID"}"#, 1),
        (r#"{"functionCall":{"name":"f"},"thoughtSignature":"AQID","text":""}"#, 1),
        (r#"{"text":"words","thoughtSignature":"AQID","functionCall":{"name":"f"}}"#, 2),
    ] {
        for (messages, end) in everywhere(with_part(part)).await {
            end.unwrap();
            let parts = parts(&messages[0]);
            assert_eq!(parts.len(), count, "{part}");
            let call = parts.last().unwrap();
            assert!(matches!(&call.data, Some(Data::FunctionCall(call)) if call.name == "f"), "{part}");
            assert_eq!(&call.thought_signature[..], [1, 2, 3]);
            assert!(count == 1 || parts[0].data == Some(Data::Text("words".into())));
        }
    }
}

#[tokio::test]
async fn empty_finish_reasons_do_not_finish_a_stream() {
    let piece = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":""}]}"#;
    let blocked = r#"{"promptFeedback":{"blockReason":""}}"#;
    for service in SERVICES {
        for events in [
            vec![piece],
            vec![piece, blocked],
            vec![blocked],
            vec![piece, r#"{"candidates":[{"finishReason":false}]}"#],
        ] {
            let (messages, end) = streamed(service, &events).await;
            let status = end.unwrap_err();
            assert_eq!((status.code(), messages.len()), (Code::Unavailable, events.len()));
            assert_eq!(Details::of(&status).reason(), "UPSTREAM_UNFINISHED");
        }
    }
}

#[tokio::test]
async fn an_answer_is_complete_when_every_candidate_has_a_finish_reason() {
    let both = r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"a"}]}},{"index":1,"content":{"parts":[{"text":"b"}]}}]}"#;
    let end_of = |index| format!(r#"{{"candidates":[{{"index":{index},"finishReason":"STOP"}}]}}"#);
    for service in SERVICES {
        let (_, end) = streamed(service, &[both.to_owned(), end_of(0)]).await;
        assert_eq!(Details::of(&end.unwrap_err()).reason(), "UPSTREAM_UNFINISHED");
        let (_, end) = streamed(service, &[both.to_owned(), end_of(1), end_of(0)]).await;
        end.unwrap();
        let one_cut = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"index":1,"content":{"parts":[{"text":"b"}]}}]}"#;
        let (_, end) = unary(service, one_cut).await;
        assert_eq!(Details::of(&end.unwrap_err()).reason(), "UPSTREAM_UNFINISHED");
    }
}

#[tokio::test]
async fn a_stream_cut_before_all_candidates_finished_never_succeeds() {
    let events = [
        r#"{"candidates":[{"content":{"parts":[{"text":"a\ud83d"}]},"finishReason":""},{"index":1,"content":{"parts":[{"text":"b"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"\ude00"}]},"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"c"}]},"finishReason":"MAX_TOKENS"}]}"#,
    ];
    let whole: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let answers = (0..=whole.len()).map(|cut| Upstream::answering(sse(&whole[..cut])));
    for (cut, upstream) in answers.enumerate() {
        let (messages, end) = call(&Gateway::over(&upstream.await).await, OWN, "StreamGenerateContent").await;
        // The last event is whole without its empty line.
        assert_eq!(end.is_ok(), cut + "\n\n".len() >= whole.len(), "cut at {cut} of {}", whole.len());
        let texts: String = messages.iter().map(text).collect();
        assert!("ab😀c".starts_with(&texts), "{texts}");
    }
}

#[tokio::test]
async fn unreadable_secondary_fields_do_not_fail_a_call() {
    let beside =
        |member: &str| with_part(r#"{"text":"x"}"#).replacen(r#""content""#, &format!(r#"{member},"content""#), 1);
    for json in [
        with_part(r#"{"text":"x","thoughtSignature":"AQIDB"}"#),
        with_part(r#"{"text":"x","thought":"true"}"#),
        beside(r#""safetyRatings":[null]"#),
        beside(r#""avgLogprobs":NaN"#),
        beside(r#""index":[]"#),
        beside(r#""citationMetadata":{"citationSources":"none"}"#),
        beside(r#""groundingMetadata":{"groundingChunks":[{"maps":{"route":{"duration":"an hour"}}}]}"#),
        beside(r#""groundingMetadata":{"groundingChunks":[{"maps":{"route":"north"}}]}"#),
        with_part(r#"{"text":"x"}"#).replacen('{', r#"{"usageMetadata":{"promptTokenCount":3000000000},"#, 1),
        with_part(r#"{"text":"x"}"#).replacen('{', r#"{"modelVersion":{},"createTime":"now","#, 1),
    ] {
        for (messages, end) in everywhere(&json).await {
            end.unwrap_or_else(|status| panic!("{json}: {status}"));
            assert_eq!(text(&messages[0]), "x", "{json}");
        }
    }
    let (messages, _) = unary(OWN, with_part(r#"{"text":"x","thoughtSignature":"AQIDB"}"#)).await;
    assert!(parts(&messages[0])[0].additional_fields.as_ref().unwrap().fields.contains_key("thoughtSignature"));
}

#[tokio::test]
async fn finish_reasons_unknown_to_googles_clients_become_other_for_them() {
    for reason in [r#""MODEL_ARMOR""#, r#""MALFORMED_RESPONSE""#, "10001", "999"] {
        let json = with_part(r#"{"text":"x"}"#).replace(r#""STOP""#, reason);
        for (service, messages) in [(SERVICES[1], 1), (SERVICES[2], 1), (OWN, 1)] {
            for (answers, end) in [unary(service, &json).await, streamed(service, &[&json]).await] {
                end.unwrap();
                assert_eq!(answers.len(), messages);
                let found = answers[0].candidates[0].finish_reason;
                assert_eq!(found == FinishReason::Other as i32, service != OWN, "{reason} is {found} for {service}");
            }
        }
    }
    let (messages, end) = unary(SERVICES[1], r#"{"promptFeedback":{"blockReason":"MODEL_ARMOR"}}"#).await;
    end.unwrap();
    assert_eq!(messages[0].prompt_feedback.as_ref().unwrap().block_reason, 2);
}

#[tokio::test]
async fn an_empty_answer_fails_with_both_methods() {
    for json in [
        "{}",
        r#"{"usageMetadata":{"promptTokenCount":1}}"#,
        r#"{"response":{"candidates":[{"finishReason":"STOP"}]}}"#,
        r#"{"candidates":[]}"#,
        r#"{"candidates":[{}]}"#,
        r#"{"promptFeedback":{}}"#,
    ] {
        for (_, end) in everywhere(json).await {
            let status = end.unwrap_err();
            assert_eq!(
                (status.code(), Details::of(&status).reason()),
                (Code::Unavailable, "UPSTREAM_UNFINISHED".into()),
                "{json}"
            );
        }
    }
}

#[tokio::test]
async fn response_json_schema_is_sent_under_the_name_that_sdks_use() {
    let upstream = Upstream::answering(http("200 OK", "application/json", with_part(r#"{"text":"x"}"#))).await;
    let gateway = Gateway::over(&upstream).await;
    let schema = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("s".into())) };
    let config = GenerationConfig { response_json_schema: Some(schema), ..Default::default() };
    gateway
        .generate(gemini_grpc::pb::gemini::GenerateContentRequest { generation_config: Some(config), ..prompt("hi") })
        .await
        .unwrap();
    assert_eq!(upstream.body()["generationConfig"], serde_json::json!({ "responseJsonSchema": "s" }));
}

#[tokio::test]
async fn a_part_without_data_is_refused_with_its_path() {
    let upstream = Upstream::answering("").await;
    let gateway = Gateway::over(&upstream).await;
    let mut request = prompt("hi");
    request.contents[0].parts.push(Part::default());
    request.system_instruction =
        Some(gemini_grpc::pb::gemini::Content { parts: vec![Part::default()], ..Default::default() });
    let status = gateway.generate(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let request: gemini_grpc::pb::rpc::BadRequest = Details::of(&status).find("BadRequest").unwrap();
    let fields: Vec<&str> = request.field_violations.iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, ["contents[0].parts[1]", "system_instruction.parts[0]"]);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_part_with_an_unreadable_field_can_be_sent_back_unchanged() {
    let upstream = Upstream::answering(http(
        "200 OK",
        "application/json",
        with_part(r#"{"text":"x","thoughtSignature":"AQIDB"}"#),
    ))
    .await;
    let gateway = Gateway::over(&upstream).await;
    let answer = gateway.generate(prompt("hi")).await.unwrap();
    let mut request = prompt("hi");
    request.contents.push(answer.candidates[0].content.clone().unwrap());
    gateway.generate(request).await.unwrap();
    let sent = upstream.requests().pop().unwrap();
    assert!(sent.contains(r#"{"text":"x","thoughtSignature":"AQIDB"}"#), "{sent}");
}
