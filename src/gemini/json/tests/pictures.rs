//! Long base64, whose end is guessed.

use super::{RESPONSE, response};
use crate::gemini::json::*;

/// A response with these parts.
fn with_parts(parts: &[String]) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{}]}}}}]}}"#, parts.join(","))
}

fn picture(base64: &str) -> String {
    format!(r#"{{"inlineData":{{"mimeType":"image/png","data":"{base64}"}}}}"#)
}

fn text(length: usize) -> String {
    format!(r#"{{"text":"{}"}}"#, "text".repeat(length / 4))
}

/// Base64 of this many bytes.
fn base64(length: usize) -> String {
    base64_simd::STANDARD.encode_to_string((0..length).map(|at| (at * 7 % 251) as u8).collect::<Vec<_>>())
}

#[test]
fn a_long_picture_is_read_whatever_comes_before_and_after_it() {
    for length in [10, 49_000, 100_000, 200_001, 200_002, 3_000_000] {
        let other = length / 2 + 7;
        for parts in [
            vec![picture(&base64(length))],
            vec![picture(&base64(length)), picture(&base64(length))],
            vec![picture(&base64(length)), picture(&base64(other)), picture(&base64(length))],
            vec![text(length), picture(&base64(length)), text(2 * length)],
            vec![picture(&base64(other)), text(40), picture(&base64(length)), text(7 * length)],
        ] {
            let json = with_parts(&parts);
            let wire = response(json.as_bytes()).unwrap().message;
            assert!(to_json(RESPONSE, &wire).unwrap() == json.as_bytes(), "{length} bytes, {} parts", parts.len());
            let passed = passed_event(Method::GenerateContent, json.as_bytes(), None, &mut Steps::unlimited()).unwrap();
            let outline = to_json(RESPONSE, &passed.event.response.message).unwrap();
            let pictures = |json: &[u8]| memchr::memmem::find_iter(json, "inlineData").count();
            assert_eq!(pictures(&outline), pictures(json.as_bytes()));
        }
    }
}

#[test]
fn long_data_in_another_form_is_read_as_short_data_is() {
    let standard = base64(300_000) + "+/8=";
    let expected = response(with_parts(&[picture(&standard)]).as_bytes()).unwrap().message;
    for other in [standard.replace('+', "-"), standard.replace('/', "\\/"), standard.trim_end_matches('=').to_owned()] {
        let json = with_parts(&[picture(&other), text(400_000)]);
        let alone = with_parts(&[picture(&other)]);
        assert!(response(alone.as_bytes()).unwrap().message == expected, "{:.20}", &other[400_000 - 20..]);
        assert!(response(json.as_bytes()).is_ok());
    }
    for wrong in [standard.clone() + "!AAA", standard.clone() + "A", "!".repeat(300_000)] {
        let error = response(with_parts(&[picture(&wrong)]).as_bytes()).unwrap_err();
        assert_eq!(error.problem(), Problem::Expected("base64"));
    }
    let json = with_parts(&[picture(&standard)]);
    let cut = &json.as_bytes()[..300_000];
    assert_eq!(response(cut).unwrap_err().problem(), Problem::TruncatedJson);
}

#[test]
fn the_buffer_of_a_picture_does_not_grow() {
    for length in [300_000, 3_000_000] {
        let json = with_parts(&[picture(&base64(length))]);
        let message = response(json.as_bytes()).unwrap().message;
        assert!(message.len() > length && message.capacity() < length + (20 << 10), "{}", message.capacity());
    }
}
