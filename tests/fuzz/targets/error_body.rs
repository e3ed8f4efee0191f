//! What upstream says in place of an answer.
//!
//! The first four lines of an input are the HTTP status, the Content-Type, the Retry-After and the key that was sent,
//! each of which may be empty. The rest is the body.
#![no_main]

use std::time::{Duration, SystemTime};

use gemini_grpc::gemini::code::Code;
use gemini_grpc::gemini::error_body::{ErrorBody, ErrorReply, MAX_ERROR_MESSAGE_BYTES, is_error, redact};
use gemini_grpc::gemini::json::{self, Problem};
use gemini_grpc::upstream;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(5, |&byte| byte == b'\n');
    let [status, content_type, retry_after, key, body] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let [status, content_type, retry_after, key] =
        [status, content_type, retry_after, key].map(|line| String::from_utf8_lossy(line));
    let key = key_of(&key);
    let reply = ErrorReply {
        status: status.parse().unwrap_or(500),
        content_type: Some(&*content_type).filter(|line| !line.is_empty()),
        retry_after: Some(&*retry_after).filter(|line| !line.is_empty()),
        body,
        now: SystemTime::UNIX_EPOCH,
        keys: &[&key],
    };

    let _ = is_error(body);
    let upstream::Error::Refused(told) = upstream::Error::refused(&reply) else { panic!("a refusal was expected") };
    it_is_told_in_a_short_line(&told);
    assert_ne!(told.code, Code::Ok);
    assert!(told.retry_after.is_none_or(|delay| delay <= DAY));
    no_key_comes_back_out(&told, &key);
});

/// A key that our own sentences do not hold by chance, and that the mask does not make.
fn key_of(line: &str) -> String {
    let plain = line.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte));
    "sk-live-".chars().chain(plain.map(char::from)).collect()
}

fn it_is_told_in_a_short_line(told: &ErrorBody) {
    let message = &told.message;
    assert!(!message.is_empty() && message.len() <= MAX_ERROR_MESSAGE_BYTES, "{message:?}");
    assert!(!message.contains(|letter: char| letter.is_control() && letter != '\n'), "{message:?}");
}

fn no_key_comes_back_out(told: &ErrorBody, key: &str) {
    holds_no_key(&told.message, key);
    holds_no_key(&format!("{:?}", told.info), key);
    for detail in &told.details {
        let name = detail.type_url.strip_prefix("type.googleapis.com/").unwrap();
        assert_ne!(name, "google.rpc.DebugInfo");
        match json::to_json(name, &detail.value) {
            Ok(json) => holds_no_key_within(&serde_json::from_slice(&json).unwrap(), key),
            // serde_json's limit is 128 levels, which our own reader and writer do not take.
            Err(error) => assert_eq!(error.problem(), Problem::TooDeep, "{name}"),
        }
    }
}

fn holds_no_key_within(value: &Value, key: &str) {
    match value {
        Value::String(text) => holds_no_key(text, key),
        Value::Array(list) => list.iter().for_each(|value| holds_no_key_within(value, key)),
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            holds_no_key(name, key);
            holds_no_key_within(value, key);
        }),
        _ => {}
    }
}

/// Neither that key, nor anything that looks like one.
fn holds_no_key(text: &str, key: &str) {
    assert!(!text.contains(key), "{text:?}");
    // What is masked already may be masked again, or be cut in the mask.
    let without_masks = |text: &str| text.replace('*', "");
    assert_eq!(without_masks(&redact(text, &[])), without_masks(text));
}
