//! The rules, a sentence each.

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::gemini::json;

const OPTIONS: Options = Options { image_default_modalities: true };

/// The violations of a request given as JSON, as `field: reason`.
fn violations(json: &str) -> Vec<String> {
    violations_with(json, OPTIONS)
}

fn violations_with(json: &str, options: Options) -> Vec<String> {
    let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", json.as_bytes()).unwrap();
    let view = RequestView::decode(&wire[..]).unwrap();
    match validate(&view, &Catalog::default(), options) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(|v| format!("{}: {}", v.field, v.reason)).collect(),
    }
}

fn request(model: &str, config: &str) -> String {
    format!(r#"{{"model":"{model}","contents":[{{"parts":[{{"text":"hi"}}]}}],"generationConfig":{{{config}}}}}"#)
}

#[test]
fn an_empty_request_lacks_model_and_contents() {
    assert_eq!(violations("{}"), ["model: MODEL_INVALID", "contents: CONTENTS_EMPTY"]);
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
fn a_refused_ratio_names_those_that_are_allowed() {
    let view = RequestView {
        model: "nano-banana-fast".to_owned(),
        contents: vec![ContentView { parts: vec![Default::default()] }],
        generation_config: Some(GenerationConfigView {
            image_config: Some(crate::gemini::view::ImageConfigView {
                aspect_ratio: Some("7:3".into()),
                image_size: None,
            }),
            ..Default::default()
        }),
    };
    let violations = validate(&view, &Catalog::default(), OPTIONS).unwrap_err();
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
        let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", json.as_bytes()).unwrap();
        let view = RequestView::decode(&wire[..]).unwrap();
        validate(&view, &Catalog::default(), OPTIONS).unwrap().default_modalities
    };
    assert!(default(&request("nano-banana-2", "")));
    assert!(!default(&request("nano-banana-2", r#""responseModalities":["IMAGE"]"#)));
    assert!(!default(&request("gemini-2.5-flash", "")));
    let off = Options { image_default_modalities: false };
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
    let wire = json::to_wire(
        "mountsea.gemini.v1.GenerateContentRequest",
        format!(r#"{{"model":"m","contents":[{contents}]}}"#).as_bytes(),
    )
    .unwrap();
    let violations = validate(&RequestView::decode(&wire[..]).unwrap(), &Catalog::default(), OPTIONS).unwrap_err();
    assert_eq!(violations.iter().count(), MAX_VIOLATIONS);
    assert!(violations.to_string().starts_with("the request breaks 100 rules; the first is contents[0].parts: "));
}

#[test]
fn the_views_have_the_numbers_of_the_contract() {
    let request = r#"{"model":"m","contents":[{"parts":[{"inlineData":{"mimeType":"a/b","data":"AQID"}}]}],"generationConfig":{"candidateCount":2,"maxOutputTokens":3,"temperature":0.5,"topP":0.25,"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"1:1","imageSize":"2K"}}}"#;
    let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", request.as_bytes()).unwrap();
    let view = RequestView::decode(&wire[..]).unwrap();
    // Nothing was skipped, so writing the view gives the same message.
    let written = json::to_json("mountsea.gemini.v1.GenerateContentRequest", &view.encode_to_vec()).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), request);

    let answer = |json: &str| {
        let wire = json::to_wire("mountsea.gemini.v1.GenerateContentResponse", json.as_bytes()).unwrap();
        crate::gemini::view::ResponseView::decode(&wire[..]).unwrap()
    };
    assert!(!answer(r#"{"candidates":[{"content":{}}]}"#).is_finished());
    assert!(answer(r#"{"candidates":[{},{"finishReason":"STOP"}]}"#).is_finished());
    assert!(answer(r#"{"candidates":[{"finishReason":"TIRED"}]}"#).is_finished());
    assert!(!answer(r#"{"candidates":[{"newThing":{"finishReason":"STOP"}}]}"#).is_finished());
    assert!(answer(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).is_finished());
    assert!(answer(r#"{"candidates":[{}],"promptFeedback":{"blockReason":"NEW"}}"#).is_finished());
    assert!(answer(r#"{"promptFeedback":{}}"#).is_finished());
    assert!(!answer(r#"{"candidates":[{}],"promptFeedback":{"safetyRatings":[]}}"#).is_finished());
    assert!(answer(r#"{"error":{}}"#).additional_fields.is_some());
}

proptest! {
    #[test]
    fn no_bytes_make_the_rules_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(view) = RequestView::decode(&bytes[..]) {
            let _ = validate(&view, &Catalog::default(), OPTIONS);
        }
    }
}
