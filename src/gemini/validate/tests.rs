//! The rules, a sentence each.

use proptest::prelude::*;

use super::violation::MAX_VIOLATIONS;
use super::*;
use crate::gemini::json;
use crate::gemini::steps::Interrupted;

const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
const OPTIONS: Options<'_> = Options { image_default_modalities: true, path_model: None };

/// The violations of a request given as JSON, as `field: reason`.
fn violations(json: &str) -> Vec<String> {
    violations_with(json, OPTIONS)
}

fn violations_with(json: &str, options: Options) -> Vec<String> {
    list(&all_violations(&json::to_wire(REQUEST, json.as_bytes()).unwrap(), options))
}

fn list(violations: &Violations) -> Vec<String> {
    violations.iter().map(|v| format!("{}: {}", v.field, v.reason)).collect()
}

fn all_violations(wire: &[u8], options: Options) -> Violations {
    match check(wire, options, &mut Steps::unlimited()) {
        Ok(_) => Violations::default(),
        Err(ValidateError::Violations(violations)) => violations,
        Err(ValidateError::Read(error)) => unreachable!("{error}"),
    }
}

/// Whether the default modalities are wanted, and what is sent.
fn check(wire: &[u8], options: Options, steps: &mut Steps<'_>) -> Result<(bool, Estimate), ValidateError> {
    let view = RequestView::read(wire, steps)?;
    let catalog = Catalog::default();
    validate(&view, &catalog, options, steps).map(|valid| (valid.default_modalities, valid.estimate))
}

fn request(model: &str, config: &str) -> String {
    format!(r#"{{"model":"{model}","contents":[{{"parts":[{{"text":"hi"}}]}}],"generationConfig":{{{config}}}}}"#)
}

#[test]
fn an_empty_request_lacks_model_and_contents() {
    assert_eq!(violations("{}"), ["model: MODEL_INVALID", "contents: CONTENTS_EMPTY"]);
}

/// What is wrong with the models of a request that is no prompt, or its model.
fn model_violations(method: Method, path_model: Option<&str>, json: &str) -> Vec<String> {
    let request = json::to_wire(&format!("mountsea.gemini.v1.{}Request", method.rpc()), json.as_bytes()).unwrap();
    match validate_models(method, &request, path_model, &mut Steps::unlimited()) {
        Ok(model) => vec![model.to_string()],
        Err(ValidateError::Violations(violations)) => list(&violations),
        Err(ValidateError::Read(error)) => unreachable!("{error}"),
    }
}

#[test]
fn a_model_alone_is_checked_like_that_of_a_prompt() {
    for (path_model, json, expected) in [
        (None, "{}", "model: MODEL_INVALID"),
        (None, r#"{"model":"models/m"}"#, "m"),
        (Some("models/m"), "{}", "m"),
        (Some("m"), r#"{"model":"models/m"}"#, "m"),
        (Some("m"), r#"{"model":"other"}"#, "model: MODEL_INVALID"),
    ] {
        assert_eq!(model_violations(Method::EmbedContent, path_model, json), [expected], "{path_model:?} {json}");
    }
}

#[test]
fn requests_inside_of_a_request_name_its_model_or_none() {
    for (method, json, expected) in [
        (Method::CountTokens, r#"{"generateContentRequest":{"model":"m"}}"#, &["m"][..]),
        (Method::CountTokens, r#"{"generateContentRequest":{"model":"models/m"}}"#, &["m"]),
        (Method::CountTokens, r#"{"generateContentRequest":{}}"#, &["m"]),
        (Method::CountTokens, r#"{"contents":[]}"#, &["m"]),
        (
            Method::CountTokens,
            r#"{"generateContentRequest":{"model":"other"}}"#,
            &["generate_content_request.model: MODEL_DIFFERS"],
        ),
        (
            Method::CountTokens,
            r#"{"generateContentRequest":{"model":"../m"}}"#,
            &["generate_content_request.model: MODEL_DIFFERS"],
        ),
        (Method::BatchEmbedContents, r#"{"requests":[{"model":"models/m"},{},{"model":"m"}]}"#, &["m"]),
        (
            Method::BatchEmbedContents,
            r#"{"requests":[{"model":"m"},{"model":"a"},{"model":"b"}]}"#,
            &["requests[1].model: MODEL_DIFFERS", "requests[2].model: MODEL_DIFFERS"],
        ),
    ] {
        assert_eq!(model_violations(method, Some("models/m"), json), expected, "{json}");
    }
}

#[test]
fn a_request_inside_that_comes_in_two_pieces_cannot_name_another_model_in_one_of_them() {
    // Protobuf merges them, and the model of the last one counts.
    let piece = |model: &str| [&[0x1a, model.len() as u8 + 2, 0x0a, model.len() as u8], model.as_bytes()].concat();
    for models in [["m", "other"], ["other", "m"]] {
        let request = models.map(piece).concat();
        let checked = validate_models(Method::CountTokens, &request, Some("m"), &mut Steps::unlimited());
        assert!(matches!(checked, Err(ValidateError::Violations(_))), "{models:?}");
    }
}

#[test]
fn a_content_needs_parts() {
    assert_eq!(
        violations(r#"{"model":"m","contents":[{"parts":[{"text":"a"}]},{}]}"#),
        ["contents[1].parts: PARTS_EMPTY"]
    );
}

#[test]
fn unknown_models_pass_with_the_general_rules() {
    let config = r#""imageConfig":{"aspectRatio":"7:3","imageSize":"9K"},"responseModalities":["TEXT"]"#;
    assert!(violations(&request("models/some-new-image-model", config)).is_empty());
    assert_eq!(
        violations(&request("some-model", r#""temperature":2.5,"topP":-0.1,"candidateCount":0,"maxOutputTokens":0"#)),
        ["temperature", "top_p", "candidate_count", "max_output_tokens"]
            .map(|field| format!("generation_config.{field}: NUMBER_OUT_OF_RANGE"))
    );
    assert!(violations(&request("some-model", r#""temperature":0,"topP":0,"maxOutputTokens":1"#)).is_empty());
}

#[test]
fn each_image_model_takes_its_ratios_and_sizes_and_no_others() {
    const COMMON: [&str; 10] = ["1:1", "4:3", "3:2", "2:3", "5:4", "4:5", "3:4", "16:9", "9:16", "21:9"];
    for (model, wide, sized) in [
        ("gemini-2.5-flash-image", false, false),
        ("gemini-3.1-flash-image-preview", true, true),
        ("gemini-3-pro-image-preview", false, true),
        ("nano-banana-fast", false, false),
        ("nano-banana-2", true, true),
        ("nano-banana-pro", false, true),
    ] {
        let refused = |config: &str| !violations(&request(model, &format!(r#""imageConfig":{{{config}}}"#))).is_empty();
        for ratio in COMMON {
            assert!(!refused(&format!(r#""aspectRatio":"{ratio}""#)), "{model} {ratio}");
        }
        for ratio in ["1:4", "4:1", "1:8", "8:1"] {
            assert_eq!(refused(&format!(r#""aspectRatio":"{ratio}""#)), !wide, "{model} {ratio}");
        }
        for size in ["1K", "2K", "4K"] {
            assert_eq!(refused(&format!(r#""imageSize":"{size}""#)), !sized, "{model} {size}");
        }
        assert!(refused(r#""aspectRatio":"7:3""#) && refused(r#""aspectRatio":"""#) && refused(r#""imageSize":"2k""#));
    }
}

#[test]
fn response_format_is_checked_by_the_same_rules_and_named_where_it_stands() {
    let format = |model: &str, ratio: &str, size: &str| {
        let image = format!(r#"{{"aspectRatio":"ASPECT_RATIO_{ratio}","imageSize":"IMAGE_SIZE_{size}"}}"#);
        violations(&request(model, &format!(r#""responseFormat":{{"image":{image}}}"#)))
    };
    let ratio = "generation_config.response_format.image.aspect_ratio: ASPECT_RATIO_UNKNOWN";
    let size = "generation_config.response_format.image.image_size: IMAGE_SIZE_UNKNOWN";
    assert!(format("nano-banana-2", "ONE_BY_EIGHT", "FOUR_K").is_empty());
    assert!(format("nano-banana-pro", "UNSPECIFIED", "UNSPECIFIED").is_empty());
    assert_eq!(format("nano-banana-pro", "ONE_BY_EIGHT", "FIVE_TWELVE"), [ratio, size]);
    assert_eq!(format("nano-banana-fast", "TWENTY_ONE_BY_NINE", "ONE_K"), [size]);
    assert!(format("gemini-3-pro-image", "ONE_BY_EIGHT", "FIVE_TWELVE").is_empty());
    let both = r#""responseFormat":{"image":{"imageSize":"IMAGE_SIZE_FIVE_TWELVE"}},"imageConfig":{"imageSize":"8K"}"#;
    let older = "generation_config.image_config.image_size: IMAGE_SIZE_UNKNOWN";
    assert_eq!(violations(&request("nano-banana-2", both)), [older, size]);
    let unknown = r#""responseFormat":{"image":{"aspectRatio":77}}"#;
    assert_eq!(violations(&request("nano-banana-2", unknown)), [ratio]);
}

#[test]
fn every_ratio_of_response_format_is_one_of_image_config() {
    use crate::pb::gemini::image_response_format::{AspectRatio, ImageSize};
    for number in 10001..=10014 {
        assert!(AspectRatio::try_from(number).is_ok());
        let config = format!(r#""responseFormat":{{"image":{{"aspectRatio":{number}}}}}"#);
        assert!(violations(&request("nano-banana-2", &config)).is_empty(), "{number}");
    }
    assert!(AspectRatio::try_from(10015).is_err() && ImageSize::try_from(10005).is_err());
}

#[test]
fn a_refused_ratio_names_those_that_are_allowed() {
    let json = request("nano-banana-fast", r#""imageConfig":{"aspectRatio":"7:3"}"#);
    let violations = all_violations(&json::to_wire(REQUEST, json.as_bytes()).unwrap(), OPTIONS);
    let only = violations.iter().next().unwrap();
    assert_eq!(only.description, r#""7:3" is none of 1:1, 4:3, 3:2, 2:3, 5:4, 4:5, 3:4, 16:9, 9:16, 21:9"#);
}

#[test]
fn an_image_model_is_asked_for_pictures() {
    for (modalities, fine) in [(r#""TEXT""#, false), (r#""IMAGE""#, true), (r#""TEXT","IMAGE""#, true)] {
        let json = request("nano-banana-2", &format!(r#""responseModalities":[{modalities}]"#));
        assert_eq!(violations(&json).is_empty(), fine, "{modalities}");
    }
}

#[test]
fn the_default_modalities_are_wanted_only_where_none_are_given() {
    let default = |json: &str| {
        let wire = json::to_wire(REQUEST, json.as_bytes()).unwrap();
        check(&wire, OPTIONS, &mut Steps::unlimited()).unwrap().0
    };
    assert!(default(&request("nano-banana-2", "")));
    assert!(!default(&request("nano-banana-2", r#""responseModalities":["IMAGE"]"#)));
    assert!(!default(&request("gemini-2.5-flash", "")));
    // Released ids that the catalogue of Mountsea does not have.
    for model in ["gemini-3-pro-image", "models/gemini-nano-banana-2.1", "gemini-9-image-preview", "nano-banana-3"] {
        assert!(default(&request(model, "")), "{model}");
        assert!(!default(&request(model, r#""responseModalities":["TEXT"]"#)), "{model}");
    }
    let off = Options { image_default_modalities: false, path_model: None };
    assert_eq!(
        violations_with(&request("nano-banana-2", ""), off),
        ["generation_config.response_modalities: MODALITY_IMAGE_MISSING"]
    );
}

#[test]
fn a_picture_is_sent_as_raw_bytes() {
    for (data, fine) in [
        ("iVBORw0KGgo=", true),          // the bytes of a PNG's start
        ("", false),                     // nothing
        ("ZGF0YTppbWFnZS9wbmc=", false), // data:image/png
        ("aVZCT1J3MEtHZ289", false),     // iVBORw0KGgo=
        ("LzlqLzRBQQ==", false),         // /9j/4AA
        ("ZGF0YSBvZiBzb3J0cw==", true),  // "data of sorts"
    ] {
        let json = format!(
            r#"{{"model":"m","contents":[{{"parts":[{{"text":"a"}},{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}]}}"#
        );
        let expected: &[&str] = if fine { &[] } else { &["contents[0].parts[1].inline_data.data: DATA_NOT_RAW"] };
        assert_eq!(violations(&json), expected, "{data}");
    }
    let json = r#"{"model":"m","contents":[{"parts":[{"inlineData":{"data":"AAAA"}}]}]}"#;
    assert_eq!(violations(json), ["contents[0].parts[0].inline_data.mime_type: MIME_TYPE_EMPTY"]);
}

#[test]
fn all_violations_come_at_once_and_their_number_is_bounded() {
    let json = request(
        "nano-banana-fast",
        r#""temperature":3,"responseModalities":["TEXT"],"imageConfig":{"aspectRatio":"7:3","imageSize":"4K"}"#,
    );
    assert_eq!(violations(&json).len(), 4);
    let contents = vec!["{}"; 100].join(",");
    let wire = json::to_wire(REQUEST, format!(r#"{{"model":"m","contents":[{contents}]}}"#).as_bytes()).unwrap();
    let violations = all_violations(&wire, OPTIONS);
    assert_eq!(violations.iter().count(), MAX_VIOLATIONS);
    assert!(violations.to_string().starts_with("the request breaks 100 rules; the first is contents[0].parts: "));
}

/// Wire bytes that protobuf allows and that no encoder writes.
mod on_the_wire {
    use super::*;

    /// A field that is a message, a text or bytes, shorter than 128 bytes.
    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, value.len() as u8], value].concat()
    }

    fn request(parts: &[&[u8]]) -> Vec<u8> {
        [field(1, b"m"), field(2, &parts.iter().flat_map(|part| field(1, part)).collect::<Vec<_>>())].concat()
    }

    const PICTURE: &[u8] = b"\x1a\x0d\x0a\x09image/png\x12\x00";

    #[test]
    fn media_that_a_later_member_replaces_are_not_checked() {
        let replaced = [PICTURE, &field(2, b"hi")].concat();
        assert_eq!(list(&all_violations(&request(&[&replaced]), OPTIONS)), [""; 0]);
        // Set again, it is a new one that has no type.
        let again = [&replaced[..], &field(3, &field(2, b"\x89PNG"))].concat();
        assert_eq!(
            list(&all_violations(&request(&[&field(2, b"hi"), &again]), OPTIONS)),
            ["contents[0].parts[1].inline_data.mime_type: MIME_TYPE_EMPTY"]
        );
    }

    #[test]
    fn media_in_several_places_are_one() {
        let split = [PICTURE, &field(3, &field(2, b"\x89PNG"))].concat();
        assert_eq!(list(&all_violations(&request(&[&split]), OPTIONS)), [""; 0]);
        let emptied = [&split[..], &field(3, &field(1, b""))].concat();
        assert_eq!(
            list(&all_violations(&request(&[&emptied]), OPTIONS)),
            ["contents[0].parts[0].inline_data.mime_type: MIME_TYPE_EMPTY"]
        );
    }

    #[test]
    fn contents_that_are_not_readable_come_before_any_rule() {
        for part in [
            &b"\x1a\x03\x0a\x01\xff"[..], // a MIME type that is not UTF-8
            b"\x18\x01",                  // inline_data that is a number
            b"\x1a\x02\x08\x01",          // a MIME type that is a number
            b"\x1a\x05\x0a",              // cut
            b"\x0f",                      // a wire type that does not exist
        ] {
            let wire = [field(2, &field(1, part)), field(1, b"no/model")].concat();
            let result = check(&wire, OPTIONS, &mut Steps::unlimited());
            assert_eq!(result, Err(ValidateError::Read(ReadError::Unreadable)), "{part:?}");
        }
    }

    #[test]
    fn checking_takes_steps_in_proportion_and_can_be_interrupted() {
        let steps = |parts: usize| {
            let wire: Vec<u8> = [field(1, b"m"), [0x12, 0x00].repeat(parts)].concat();
            let mut steps = Steps::unlimited();
            assert_eq!(all_violations(&wire, OPTIONS).more + MAX_VIOLATIONS, parts);
            let _ = check(&wire, OPTIONS, &mut steps);
            let mut fewer = Steps::at_most(steps.taken() - 1);
            let interrupted = Err(ValidateError::Read(ReadError::Interrupted(Interrupted)));
            assert_eq!(check(&wire, OPTIONS, &mut fewer), interrupted);
            steps.taken()
        };
        assert!(steps(4_000) <= 4 * steps(1_000));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_rules_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes, OPTIONS, &mut Steps::unlimited());
    }
}
