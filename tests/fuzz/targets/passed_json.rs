//! Fuzzes JSON that is passed on: a request of a caller, or a response of upstream.
#![no_main]

use gemini_grpc::gemini::json::{self, Problem, RequestLimits, passed_event, request_outline, with_modalities};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::gemini::view::{Modalities, RequestView, ResponseView};
use libfuzzer_sys::fuzz_target;
use memchr::memmem::{Finder, find};
use serde::de::IgnoredAny;

const METHOD: Method = Method::GenerateContent;
/// The maximum number of steps for each byte of the text and in addition. More steps are a failure.
const MAX_STEPS_PER_BYTE: usize = 32;
const MAX_FIXED_STEPS: usize = 1_000;
/// A key of the gateway that a response may contain. Its hyphen occurs neither in base64 nor in names of the schema.
const KEY: &str = "s3-key";
/// What is added to a request.
const MODALITIES: &str = r#"["TEXT","IMAGE"]"#;

fuzz_target!(|json: &[u8]| {
    a_request_is_refused_only_for_a_reason(json);
    a_response_is_read_as_it_is_without_being_passed_on(json);
});

fn steps(json: &[u8]) -> Steps<'static> {
    Steps::at_most((json.len() * MAX_STEPS_PER_BYTE + MAX_FIXED_STEPS) as u64)
}

fn outline(json: &[u8]) -> Result<Vec<u8>, json::Error> {
    request_outline(METHOD, json, RequestLimits::default(), &mut |_| true, &mut steps(json))
}

/// Whether another reader takes the text for JSON.
fn is_json(json: &[u8]) -> bool {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    str::from_utf8(json).is_ok_and(|json| serde_json::from_str::<IgnoredAny>(json).is_ok())
}

fn a_request_is_refused_only_for_a_reason(json: &[u8]) {
    match outline(json) {
        Ok(wire) => {
            assert!(is_json(json), "{}", String::from_utf8_lossy(json));
            assert!(wire.len() <= 8 * json.len() + 64, "{} bytes became {}", json.len(), wire.len());
            let view = RequestView::read(&wire, &mut steps(&wire)).unwrap();
            let config = view.generation_config.unwrap_or_default();
            if config.response_modalities.is_empty() {
                modalities_can_be_added(json);
            }
        }
        Err(error) => match error.problem() {
            Problem::Interrupted | Problem::NoMemory => panic!("{error}"),
            Problem::Syntax | Problem::TruncatedJson | Problem::TrailingData | Problem::Utf8 => {
                assert!(!is_json(json), "{error}: {}", String::from_utf8_lossy(json));
            }
            _ => {}
        },
    }
}

fn modalities_can_be_added(json: &[u8]) {
    let added = with_modalities(METHOD, json, &mut steps(json)).unwrap();
    let shown = String::from_utf8_lossy(&added);
    assert!(is_json(&added), "{shown}");
    assert!(find(&added, MODALITIES.as_bytes()).is_some(), "{shown}");
    let wire = outline(&added).unwrap();
    let modalities = RequestView::read(&wire, &mut steps(&wire)).unwrap().generation_config.unwrap().response_modalities;
    assert_eq!(modalities, [Modalities::TEXT, Modalities::IMAGE].into_iter().collect(), "{shown}");
}

fn a_response_is_read_as_it_is_without_being_passed_on(json: &[u8]) {
    let whole = json::event(METHOD, json, None, json::CallerSchema::Own, &mut steps(json));
    let passed = passed_event(METHOD, json, Some(&Finder::new(KEY)), &mut steps(json));
    match (whole, passed) {
        (Ok(whole), Ok(passed)) => {
            if let Some(text) = &passed.redacted {
                assert!(find(text, KEY.as_bytes()).is_none(), "{}", String::from_utf8_lossy(text));
                return;
            }
            let view = |message: &[u8]| ResponseView::read(message, &mut steps(message)).unwrap();
            assert_eq!(view(&whole.response.message), view(&passed.event.response.message));
            assert_eq!(whole.response.unknown_members, passed.event.response.unknown_members);
            assert_eq!(whole.response.anomalies, passed.event.response.anomalies);
            assert_eq!(whole.has_split_surrogates, passed.event.has_split_surrogates);
        }
        // Without the key, data is no longer base64.
        (Ok(_), Err(error)) => assert!(find(json, b"key").is_some() || find(json, b"\\").is_some(), "{error}"),
        (Err(whole), passed) => assert_eq!(passed.err(), Some(whole)),
    }
}
