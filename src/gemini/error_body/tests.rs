//! Tests of what the table does not cover: limits, keys, the wire form of details, and the probe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind;

use super::table::encode;
use super::{ErrorBody, ErrorReply, MAX_ERROR_BODY_BYTES, MAX_ERROR_MESSAGE_BYTES, is_error, redact};
use crate::gemini::code::Code;

const EMPTY_REPLY: ErrorReply<'_> = ErrorReply {
    status: 500,
    content_type: None,
    retry_after: None,
    body: b"",
    now: SystemTime::UNIX_EPOCH,
    keys: &[],
};

fn read(body: &[u8]) -> ErrorBody {
    ErrorBody::read(&ErrorReply { body, ..EMPTY_REPLY }, &encode)
}

#[test]
fn a_long_message_is_cut_at_one_kibibyte_between_characters() {
    let exact = "x".repeat(MAX_ERROR_MESSAGE_BYTES);
    assert_eq!(read(exact.as_bytes()).message, exact);
    for letter in ["x", "é", "世", "𝒳"] {
        for start in ["", "a", "ab", "abc"] {
            let text = format!("{start}{}", letter.repeat(MAX_ERROR_MESSAGE_BYTES + 1));
            for body in [text.clone(), format!("{{\"message\":\"{text}\"}}")] {
                let message = read(body.as_bytes()).message;
                assert!(
                    (MAX_ERROR_MESSAGE_BYTES - 4..=MAX_ERROR_MESSAGE_BYTES).contains(&message.len()),
                    "{}",
                    message.len()
                );
                assert!(text.starts_with(message.strip_suffix('…').unwrap()));
            }
        }
    }
}

#[test]
fn a_key_is_redacted_before_the_message_is_cut() {
    let key = "sk-0123456789abcdef";
    let text = format!("{} {key}", "x".repeat(MAX_ERROR_MESSAGE_BYTES - 10));
    let error = ErrorBody::read(&ErrorReply { body: text.as_bytes(), keys: &[key], ..EMPTY_REPLY }, &encode);
    assert!(!error.message.contains("sk-"), "{}", error.message);
}

#[test]
fn a_key_is_redacted_in_details() {
    let body = br#"{"error": {"message": "m", "details": [{"AIzaSyA": ["Bearer abc"], "x": {"y": "-mine-"}}]}}"#;
    let error = ErrorBody::read(&ErrorReply { body, keys: &["mine"], ..EMPTY_REPLY }, &encode);
    let wire = String::from_utf8_lossy(&error.details[0].value).into_owned();
    assert!(wire.contains("***") && wire.contains("-***-"), "{wire}");
    for key in ["AIza", "abc", "mine"] {
        assert!(!wire.contains(key), "{wire}");
    }
}

#[test]
fn keys_and_texts_that_look_like_keys_are_redacted() {
    for (text, masked) in [
        ("nothing to hide", "nothing to hide"),
        ("a mine b mine", "a *** b ***"),
        ("mine-and-more, mine", "***, ***"),
        ("AIzaSyA_b-c0: AIza", "***: AIza"),
        ("x AIZAabc y", "x *** y"),
        ("Authorization: Bearer abc.def, BEARER  x", "Authorization: Bearer ***, BEARER  ***"),
        ("?key=abc%2F&a=1&api_key=\"x\"", "?key=***&a=1&api_key=\"x\""),
        ("{\\\"key=abc\\\"}", "{\\\"key=***\\\"}"),
        ("é key=abc é", "é key=*** é"),
        ("Bearer ", "Bearer "),
        ("Bearer\tabc, bearer\r\n\u{85}\u{a0}abc", "Bearer\t***, bearer\r\n\u{85}\u{a0}***"),
    ] {
        assert_eq!(redact(text, &["mine", "", "mine-and-more"]), masked);
    }
}

#[test]
fn a_detail_of_an_unknown_type_is_kept_whole_as_a_struct() {
    let body = br#"{"error": {"details": [{"@type": "type.example/x.Y", "n": 1.5, "l": [true, null, {"s": "t"}]}]}}"#;
    let error = read(body);
    assert_eq!(error.details.len(), 1);
    assert_eq!(error.details[0].type_url, "type.googleapis.com/google.protobuf.Struct");
    let kept = Struct::decode(&error.details[0].value[..]).unwrap();
    let kind = |name: &str| kept.fields[name].kind.clone().unwrap();
    assert_eq!(kind("@type"), Kind::StringValue("type.example/x.Y".to_owned()));
    assert_eq!(kind("n"), Kind::NumberValue(1.5));
    let Kind::ListValue(list) = kind("l") else { panic!("{kept:?}") };
    assert_eq!(list.values[0].kind, Some(Kind::BoolValue(true)));
    assert_eq!(list.values[1].kind, Some(Kind::NullValue(0)));
    assert!(matches!(&list.values[2].kind, Some(Kind::StructValue(inner)) if inner.fields.contains_key("s")));
}

#[test]
fn a_detail_of_a_known_type_is_encoded_under_its_name() {
    let body = br#"{"error": {"details": [{"@type": "type.googleapis.com/google.rpc.Help", "links": []}]}}"#;
    let error = read(body);
    assert_eq!(error.details[0].type_url, "type.googleapis.com/google.rpc.Help");
    assert_eq!(error.details[0].value, br#"{"@type":"type.googleapis.com/google.rpc.Help","links":[]}"#);
}

#[test]
fn a_body_beyond_the_limit_is_cut_there() {
    let long =
        format!("{{\"error\": {{\"status\": \"ABORTED\", \"message\": \"{}\"}}}}", "x".repeat(MAX_ERROR_BODY_BYTES));
    let error = read(long.as_bytes());
    assert_eq!(error.code, Code::Internal);
    assert_eq!(error.message, "upstream answered HTTP 500 (Internal Server Error) with JSON that cannot be read");
}

#[test]
fn deeply_nested_json_does_no_harm() {
    for open in ["[", "{\"error\":", "{\"message\":", "{\"error\":{\"details\":["] {
        let error = read(open.repeat(10_000).as_bytes());
        assert_eq!(error.code, Code::Internal);
    }
    let deep = format!("{}\"words\"{}", "{\"error\":".repeat(100), "}".repeat(100));
    assert_eq!(read(deep.as_bytes()).message, "words");
}

#[test]
fn the_largest_possible_delay_does_not_overflow() {
    let body = br#"{"error": {"details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": {"seconds": 18446744073709551615, "nanos": 18446744073709551615}}]}}"#;
    assert_eq!(read(body).retry_after, Some(Duration::from_secs(24 * 60 * 60)));
}

#[test]
fn a_rejected_key_is_recognized_by_status_code_or_reason() {
    let refused =
        |status, body: &[u8]| ErrorBody::read(&ErrorReply { status, body, ..EMPTY_REPLY }, &encode).is_key_refused();
    assert!(refused(401, b""));
    assert!(refused(401, br#"{"error": {"status": "PERMISSION_DENIED"}}"#));
    assert!(refused(403, br#"{"error": {"status": "UNAUTHENTICATED"}}"#));
    assert!(refused(400, br#"{"error": {"status": "INVALID_ARGUMENT", "details": [{"@type": "x/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}"#));
    assert!(!refused(403, b"API_KEY_INVALID 401"));
}

#[test]
fn a_retry_info_that_cannot_be_encoded_is_dropped_and_its_delay_is_used() {
    let body = br#"{"error": {"details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": 38}, {"@type": "x/google.rpc.ErrorInfo", "reason": "R", "metadata": {"n": 1, "b": true, "l": []}}]}}"#;
    let error = ErrorBody::read(&ErrorReply { body, ..EMPTY_REPLY }, &|_, _| None);
    assert_eq!((error.retry_after, error.details), (Some(Duration::from_secs(38)), Vec::new()));
    let metadata = [("n", "1"), ("b", "true")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(error.info.unwrap().metadata, metadata);
}

#[test]
fn only_the_first_details_are_read() {
    let body = |count| format!(r#"{{"error": {{"details": [{}{{"retryDelay": "3s"}}]}}}}"#, "{},".repeat(count));
    let (all, some) = (read(body(63).as_bytes()), read(body(64).as_bytes()));
    assert_eq!((all.details.len(), all.retry_after), (64, Some(Duration::from_secs(3))));
    assert_eq!((some.details.len(), some.retry_after), (64, None));
}

#[test]
fn an_error_info_with_an_invalid_domain_is_not_passed_on() {
    let info = |length| {
        let detail = format!(r#"{{"reason": "R", "domain": "{}"}}"#, "d".repeat(length));
        read(format!(r#"{{"error": {{"details": [{detail}]}}}}"#).as_bytes()).info
    };
    assert_eq!(info(253).unwrap().domain.len(), 253);
    assert_eq!(info(254), None);
}

#[test]
fn a_quoted_request_does_not_make_an_error_one_about_the_key() {
    let about_key = |status, message: &str| {
        let body = format!(r#"{{"error": {{"code": {status}, "message": {}}}}}"#, serde_json::Value::from(message));
        ErrorBody::read(&ErrorReply { status, body: body.as_bytes(), ..EMPTY_REPLY }, &encode).is_about_key()
    };
    assert!(about_key(400, "API key not valid. Please pass a valid API key."));
    assert!(about_key(403, "Permission denied: Consumer 'projects/1' has been suspended."));
    assert!(about_key(403, "Your project has been denied access. Please contact support."));
    for quoted in ["\"api key expired\"", "'api key expired'", "`api key expired`", "\napi key expired"] {
        assert!(!about_key(400, &format!("Invalid value at contents[0].role: {quoted}")), "{quoted}");
    }
}

#[test]
fn debug_output_contains_neither_body_nor_keys() {
    let reply = ErrorReply {
        body: br#"{"error": {"message": "secret", "details": [{"a": "secret"}]}}"#,
        keys: &["secret"],
        ..EMPTY_REPLY
    };
    let error = ErrorBody::read(&ErrorReply { keys: &[], ..reply }, &encode);
    assert!(error.message.contains("secret"));
    assert!(!format!("{error:?} {reply:?}").contains("secret"));
}

#[test]
fn an_error_in_place_of_a_response_is_recognized() {
    for json in [
        r#"{"error":{"code":503}}"#,
        r#" { "error" : "text" } "#,
        "[{\n \"error\": {}\n}\n]",
        r#"{"responseId":"x","error":{}}"#,
        r#"{"a":[{"error":1},"]}"],"b":-1.5e3,"c":null,"d":"\\\"","error":{}}"#,
        r#"{"error":{},"usageMetadata":{"candidates":[1]}}"#,
        r#"{"candidates":null,"error":{}}"#,
        r#"{"candidates":[ ],"error":{}}"#,
        r#"{"statusCode":500,"message":"Internal server error"}"#,
        r#"{"message":"x","statusCode":429}"#,
    ] {
        assert!(is_error(json.as_bytes()), "{json}");
    }
    for json in [
        r#"{"candidates":[{"error":{}}]}"#,
        r#"{"candidates":[{}],"error":{}}"#,
        r#"{"error":{},"candidates":[{}]}"#,
        r#"{"usageMetadata":{"error":{}}}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"modelVersion":"error"}"#,
        r#"{"error":null}"#,
        r#"{"error":false}"#,
        r#"{"error":{"#,
        r#"{"error":{}"#,
        r#"{"error":{},"#,
        r#"{"error" {}}"#,
        r#"{"statusCode":200}"#,
        r#"{"errors":{},"xerror":{},"":{}}"#,
        r#""error""#,
        r#"["error",{}]"#,
        "{}",
        "[]",
        "{",
        "",
        "error",
        r#"{"a\"#,
        r#"{"a":"\"#,
        r#"{"a":"b"#,
        r#"{"a":]"#,
    ] {
        assert!(!is_error(json.as_bytes()), "{json}");
    }
}

proptest! {
    #[test]
    fn any_reply_gives_a_code_and_a_message(
        status in 0..700u16,
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            r#"(\{|\}|\[|\]|"|:|,|\\|error|message|"error":|"message":|"details":|code|statusCode|<|title|>|/| |\n|1|é){0,60}"#.prop_map(String::into_bytes),
        ],
        header in ".{0,30}",
    ) {
        let _ = is_error(&body);
        let reply = ErrorReply { status, content_type: Some(&header), retry_after: Some(&header), body: &body, ..EMPTY_REPLY };
        let error = ErrorBody::read(&reply, &encode);
        prop_assert_ne!(error.code, Code::Ok);
        prop_assert!(error.message.contains(char::is_alphanumeric));
        prop_assert!(error.message.len() <= MAX_ERROR_MESSAGE_BYTES);
        prop_assert!(!error.message.contains(|letter: char| letter.is_control() && letter != '\n'));
    }

    #[test]
    fn the_probe_agrees_with_serde_json(value in any_members()) {
        let object = value.as_object().unwrap();
        let has_candidates = object.get("candidates").and_then(|list| list.as_array()).is_some_and(|list| !list.is_empty());
        let error = object.get("error").is_some_and(|error| error.is_object() || error.is_string());
        let status = object.get("statusCode").and_then(serde_json::Value::as_u64).is_some_and(|status| (400..600).contains(&status));
        prop_assert_eq!(is_error(value.to_string().as_bytes()), (error || status) && !has_candidates);
        prop_assert_eq!(is_error(format!("[{value:#}]").as_bytes()), (error || status) && !has_candidates);
    }
}

fn any_members() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([])),
        Just(json!([{ "error": {} }])),
        Just(json!({ "error": {}, "candidates": [1] })),
        (200..600u16).prop_map(Value::from),
        r#"["\\{}\[\],:a]{0,8}"#.prop_map(Value::from),
    ];
    let name =
        prop_oneof![Just("error"), Just("candidates"), Just("statusCode"), Just("usageMetadata"), Just("a\"b\\")];
    prop::collection::vec((name, value), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}
