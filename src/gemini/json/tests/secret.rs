//! The gateway's own key is redacted in every text of a response.

use memchr::memmem::Finder;

use super::RESPONSE;
use crate::gemini::json::*;

const KEY: &str = "AIzaSy-secret";

/// A response as JSON and the reported names, after the key was redacted.
fn redacted(json: &str) -> (String, Vec<String>) {
    let answer = response(json.as_bytes(), Some(&Finder::new(KEY)), &mut Steps::unlimited()).unwrap();
    (String::from_utf8(to_json(RESPONSE, &answer.message).unwrap()).unwrap(), answer.unknown_members)
}

#[test]
fn a_key_is_replaced_wherever_a_text_or_a_name_contains_it() {
    let escaped = r"AIza\u0053y-s\u0065cret";
    for key in [KEY, escaped] {
        for place in [
            r#"{"candidates":[{"content":{"parts":[{"text":"@"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"your key @, and again @"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":["@"]}}}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"x@x":{"@":1}}}}]}}]}"#,
            r#"{"candidates":[{"finishReason":"@"}]}"#,
            r#"{"modelVersion":"models/@"}"#,
            r#"{"new":{"a":"@"}}"#,
            r#"{"@":1}"#,
        ] {
            let (json, names) = redacted(&place.replace('@', key));
            assert_eq!(json, place.replace('@', "***"));
            assert!(names.iter().all(|name| !name.contains(KEY)), "{names:?}");
        }
    }
}

#[test]
fn a_name_that_contains_the_key_is_reported_without_it() {
    assert_eq!(redacted(&format!(r#"{{"x-{KEY}":1}}"#)).1, ["x-***"]);
}

#[test]
fn a_text_that_only_resembles_the_key_is_not_changed() {
    let json = format!(r#"{{"modelVersion":"{}","responseId":"a{{\"b\"}}"}}"#, &KEY[1..]);
    assert_eq!(redacted(&json).0, json);
    let same = response(json.as_bytes(), Some(&Finder::new("")), &mut Steps::unlimited()).unwrap();
    assert_eq!(to_json(RESPONSE, &same.message).unwrap(), json.as_bytes());
}

#[test]
fn a_long_text_loses_the_key_and_nothing_else() {
    let text = |key: &str| format!("{}{key}{}{key}", "é".repeat(5_000), "\\n".repeat(5_000));
    let json = |key: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{}"}}]}}}}]}}"#, text(key));
    assert_eq!(redacted(&json(KEY)).0, json("***"));
}
