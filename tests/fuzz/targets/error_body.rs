//! Fuzzes error responses of upstream.
//!
//! The first four lines of an input are the HTTP status, the Content-Type, the Retry-After and the key that was sent;
//! each of them may be empty. The rest is the body.
#![no_main]

use std::time::{Duration, SystemTime};

use gemini_grpc::gemini::code::Code;
use gemini_grpc::gemini::error_body::{ErrorBody, ErrorReply, MAX_ERROR_MESSAGE_BYTES, is_error, redact};
use gemini_grpc::gemini::json::{self, Problem};
use gemini_grpc::upstream;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    let upstream::Error::Refused(refusal) = upstream::Error::refused(&reply) else { panic!("a refusal was expected") };
    the_message_is_short_and_printable(&refusal);
    assert_ne!(refusal.code, Code::Ok);
    assert!(refusal.retry_after.is_none_or(|delay| delay <= MAX_RETRY_DELAY));
    the_refusal_contains_no_key(&refusal, &key);
});

/// A key that our own messages do not contain by chance, and that redaction cannot produce.
fn key_of(line: &str) -> String {
    let plain = line.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte));
    "sk-live-".chars().chain(plain.map(char::from)).collect()
}

fn the_message_is_short_and_printable(refusal: &ErrorBody) {
    let message = &refusal.message;
    assert!(!message.is_empty() && message.len() <= MAX_ERROR_MESSAGE_BYTES, "{message:?}");
    assert!(!message.contains(|letter: char| letter.is_control() && letter != '\n'), "{message:?}");
}

fn the_refusal_contains_no_key(refusal: &ErrorBody, key: &str) {
    assert_no_key(&refusal.message, key);
    assert_no_key(&format!("{:?}", refusal.info), key);
    for detail in &refusal.details {
        let name = detail.type_url.strip_prefix("type.googleapis.com/").unwrap();
        assert_ne!(name, "google.rpc.DebugInfo");
        match json::to_json(name, &detail.value) {
            Ok(json) => assert_no_key_within(&serde_json::from_slice(&json).unwrap(), key),
            // serde_json reads 128 levels, more than our own reader and writer accept.
            Err(error) => assert_eq!(error.problem(), Problem::TooDeep, "{name}"),
        }
    }
}

fn assert_no_key_within(value: &Value, key: &str) {
    match value {
        Value::String(text) => assert_no_key(text, key),
        Value::Array(list) => list.iter().for_each(|value| assert_no_key_within(value, key)),
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            assert_no_key(name, key);
            assert_no_key_within(value, key);
        }),
        _ => {}
    }
}

/// The text contains neither that key nor anything that looks like a key.
fn assert_no_key(text: &str, key: &str) {
    assert!(!text.contains(key), "{text:?}");
    // A mask may be masked again, or be cut, so masks are not compared.
    let without_masks = |text: &str| text.replace('*', "");
    assert_eq!(without_masks(&redact(text, &[])), without_masks(text));
}
