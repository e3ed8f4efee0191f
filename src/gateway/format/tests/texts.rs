//! Random JSON texts, with odd white space, numbers and escapes and with unknown members, arrive byte for byte.

use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;

/// The texts that each property is checked with.
const TEXTS: u32 = 10_000;

fn regex(regex: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(regex).unwrap()
}

fn white() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => regex("[ \n\r\t]{1,3}")]
}

fn text() -> impl Strategy<Value = String> {
    regex(r#""([a-z /é😀]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d){0,6}""#)
}

/// Any value.
fn value() -> impl Strategy<Value = String> {
    let number = regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?");
    let word = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned())];
    prop_oneof![number, text(), word]
        .prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                (list(inner.clone()), white()).prop_map(|(items, white)| format!("[{white}{items}]")),
                (list(unknown(inner)), white()).prop_map(|(members, white)| format!("{{{white}{members}}}")),
            ]
        })
        .boxed()
}

fn list(item: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let item = (item, white(), white()).prop_map(|(item, before, after)| before + &item + &after);
    prop::collection::vec(item, 0..4).prop_map(|items| items.join(","))
}

fn member(
    name: impl Strategy<Value = String> + 'static,
    value: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    let parts = (name, white(), white(), value);
    parts.prop_map(|(name, before, after, value)| format!("\"{name}\"{before}:{after}{value}")).boxed()
}

/// A member that the contract does not have, perhaps more than once in an object.
fn unknown(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    member(regex(r"x[a-c]?|x\\u00e9|x\\n"), value)
}

/// An object with this member, some of the `others` with any value, and some that the contract does not have.
fn object(
    name: &str,
    known: impl Strategy<Value = String> + 'static,
    others: &'static [&'static str],
) -> BoxedStrategy<String> {
    let other = |name: &&'static str| prop::option::of(member(Just((*name).to_owned()), value()));
    let others: Vec<_> = others.iter().map(other).collect();
    let known = member(Just(name.to_owned()), known);
    let members = (known, others, prop::collection::vec(unknown(value()), 0..3))
        .prop_map(|(known, others, unknown)| {
            [known].into_iter().chain(others.into_iter().flatten()).chain(unknown).collect::<Vec<_>>()
        })
        .prop_shuffle();
    (members, white(), white())
        .prop_map(|(members, before, after)| {
            format!("{before}{{{after}{}{after}}}{before}", members.join(&format!("{after},{before}")))
        })
        .boxed()
}

fn one(item: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    (item, white()).prop_map(|(item, white)| format!("[{item}{white}]"))
}

fn content() -> impl Strategy<Value = String> {
    let part = object("text", text(), &["thought", "videoMetadata", "partMetadata", "thought_signature"]);
    object("parts", one(part), &["role"])
}

fn request() -> impl Strategy<Value = String> {
    let others = &["tools", "toolConfig", "safety_settings", "cachedContent", "labels"];
    object("contents", one(content()), others)
}

fn response() -> impl Strategy<Value = String> {
    let candidate = object("content", content(), &["finishReason", "safety_ratings", "index", "citationMetadata"]);
    object("candidates", one(candidate), &["promptFeedback", "usage_metadata", "modelVersion", "responseId"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: TEXTS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_goes_upstream_byte_for_byte(request in request()) {
        let request = Bytes::from(request);
        let prepared = prepare(&json("models/gemini-2.5-flash"), STREAM, &request);
        prop_assert!(prepared.is_ok(), "{:?}", prepared.err());
        let sent = prepared.unwrap().json;
        prop_assert_eq!(&sent, &request);
        prop_assert_eq!(sent.as_ptr(), request.as_ptr());
    }

    #[test]
    fn a_response_is_passed_on_byte_for_byte(response in response()) {
        let response = Bytes::from(response);
        for method in [UNARY, STREAM] {
            let passed = passed(method, &response);
            prop_assert_eq!(&passed, &response);
            prop_assert_eq!(passed.as_ptr(), response.as_ptr());
        }
    }
}
