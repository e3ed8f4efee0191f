//! Requests and responses that are JSON pass as they came, and are checked like those that are protobuf.

/// JSON texts at random.
mod texts;

use std::time::Duration;

use super::*;
use crate::gateway::TimeLimits;
use crate::gateway::callers::Auth;
use crate::gemini::catalog::Catalog;
use crate::gemini::json::to_wire;

/// The method that generates content, in one response or in a stream.
fn generating(is_streaming: bool) -> Method {
    let is_it = |method: &Method| method.generates() && method.is_streaming() == is_streaming;
    Method::ALL.iter().copied().find(is_it).unwrap()
}

fn methods() -> [Method; 2] {
    [false, true].map(generating)
}

fn config() -> Config {
    let limit = Duration::from_secs(1);
    Config {
        keys: None,
        auth: Auth::Forward,
        caller_share: 100,
        catalog: Catalog::default(),
        upstream_methods: Method::ALL.iter().copied().filter(|method| !method.generates()).collect(),
        image_default_modalities: true,
        max_elements: 1_000,
        limits: TimeLimits { ceiling: limit, upload: limit, first_byte: limit, idle: limit },
        heartbeat: None,
    }
}

fn json(model: &str) -> Format {
    Format::Json { model: model.into() }
}

fn prepare(format: &Format, method: Method, request: &Bytes) -> Result<Prepared, Error> {
    let steps = &mut Steps::unlimited();
    let mut reserve = |_| Ok(());
    let mut run = || {
        let checked = format.check(method, request, &config(), &mut reserve, steps)?;
        let length = checked.measure(steps)?;
        checked.translate(length, steps)
    };
    run().map_err(Stop::into_error)
}

/// What goes upstream of a request that is JSON.
fn sent(model: &str, request: &str) -> Result<Bytes, Error> {
    prepare(&json(model), generating(false), &Bytes::from(request.to_owned())).map(|prepared| prepared.json)
}

fn violations(error: &Error) -> Vec<String> {
    match error {
        Error::Invalid(violations) => violations.iter().map(|v| format!("{}: {}", v.field, v.reason)).collect(),
        error => vec![error.to_string()],
    }
}

fn answer(method: Method, text: &Bytes) -> Result<Piece, upstream::Error> {
    let key = "AIza-key-of-the-gateway".parse().unwrap();
    match json("m").answer(method, text, Some(&key), &mut Steps::unlimited()) {
        Ok(piece) => Ok(piece),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Interrupted) => unreachable!(),
    }
}

fn passed(method: Method, text: &Bytes) -> Bytes {
    let mut piece = answer(method, text).unwrap_or_else(|error| panic!("{error:?}: {text:?}"));
    piece.join(&mut SurrogateJoiner::default()).unwrap();
    match piece.into_payload() {
        Payload::Shared(bytes) => bytes,
        Payload::Own(_) => panic!("a translation"),
    }
}

#[test]
fn a_request_breaks_the_same_rules_in_json_and_in_protobuf() {
    let body = |rest: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}]{rest}}}"#);
    for (model, request) in [
        ("m", "{}".to_owned()),
        ("", body("")),
        ("a/b", body("")),
        ("m", r#"{"contents":[{},{"parts":[{}]}],"systemInstruction":{"parts":[{}]}}"#.to_owned()),
        ("m", r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"","data":""}}]}]}"#.to_owned()),
        ("m", r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"a","data":"aVZCT1J3MEtHZ28="}}]}]}"#.to_owned()),
        ("m", body(r#","generationConfig":{"temperature":3,"topP":-1,"candidateCount":0,"maxOutputTokens":0}"#)),
        ("gemini-2.5-flash-image", body(r#","generationConfig":{"responseModalities":["TEXT"]}"#)),
        (
            "gemini-2.5-flash-image",
            body(r#","generationConfig":{"imageConfig":{"aspectRatio":"7:1","imageSize":"2k"}}"#),
        ),
        (
            "gemini-2.5-flash-image",
            body(r#","generationConfig":{"responseFormat":{"image":{"imageSize":"IMAGE_SIZE_FOUR_K"}}}"#),
        ),
        ("gemini-2.5-flash", body("")),
    ] {
        let mut wire =
            to_wire(&format!("mountsea.gemini.v1.{}Request", generating(false).rpc()), request.as_bytes()).unwrap();
        wire.extend([10, model.len() as u8]);
        wire.extend(model.as_bytes());
        let protobuf = prepare(&Format::Protobuf(CallerSchema::Own), generating(false), &wire.into()).map(|_| ());
        let passed = sent(model, &request).map(|_| ());
        let [protobuf, passed] = [protobuf, passed].map(|checked| checked.map_err(|error| violations(&error)));
        assert_eq!(passed, protobuf, "{model}: {request}");
    }
}

#[test]
fn an_image_model_is_asked_for_text_and_image() {
    let request = |config: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}]{config}}}"#);
    let modalities = r#""responseModalities":["TEXT","IMAGE"]"#;
    for (given, expected) in [
        (request(""), request("").replacen('{', &format!(r#"{{"generationConfig":{{{modalities}}},"#), 1)),
        (request(r#", "generation_config": { }"#), request(&format!(r#", "generation_config": {{{modalities} }}"#))),
    ] {
        assert_eq!(sent("models/gemini-2.5-flash-image", &given).unwrap(), expected);
        assert_eq!(sent("gemini-2.5-flash", &given).unwrap(), given);
    }
    for asked in [r#"["IMAGE"]"#, r#""IMAGE""#, r#"["image","SMELL"]"#] {
        let given = request(&format!(r#","generationConfig":{{"responseModalities":{asked}}}"#));
        assert_eq!(sent("gemini-2.5-flash-image", &given).unwrap(), given);
    }
}

#[test]
fn shortcuts_of_a_generation_config_are_validated_as_what_they_stand_for() {
    let request = |config: &str| {
        let config = format!(r#""generationConfig":{{"responseModalities":["IMAGE"],{config}}}"#);
        format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],{config}}}"#)
    };
    let model = "gemini-3-pro-image-preview";
    for valid in
        [r#""aspectRatio":"16:9","imageSize":"2K""#, r#""aspect_ratio":"1:1","image_size":"1K""#, r#""aspectRatio":7"#]
    {
        assert_eq!(sent(model, &request(valid)).unwrap(), request(valid));
    }
    let ratio = "generation_config.aspect_ratio: ASPECT_RATIO_UNKNOWN";
    let size = "generation_config.image_size: IMAGE_SIZE_UNKNOWN";
    for (invalid, expected) in [
        (r#""aspectRatio":"7:1""#, vec![ratio]),
        (r#""aspect_ratio":"7:1","image_size":"2k""#, vec![ratio, size]),
        (r#""imageSize":"9K","aspectRatio":"1:1""#, vec![size]),
        // Whichever of them upstream takes.
        (r#""aspectRatio":"7:1","aspect_ratio":"1:1""#, vec![ratio]),
        (r#""aspectRatio":"1:1","aspectRatio":"7:1""#, vec![ratio]),
    ] {
        assert_eq!(violations(&sent(model, &request(invalid)).unwrap_err()), expected, "{invalid}");
    }
}

#[test]
fn a_request_names_the_model_of_its_path_or_none() {
    let request = |model: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}]{model}}}"#);
    for same in ["", r#","model":"m""#, r#","model":"models/m""#, r#","model":"""#, r#","model":null"#] {
        for path in ["m", "models/m"] {
            assert_eq!(sent(path, &request(same)).unwrap(), request(same));
        }
    }
    for other in [r#","model":"n""#, r#","model":"models/models/m""#, r#","model":"m ""#] {
        assert_eq!(violations(&sent("m", &request(other)).unwrap_err()), ["model: MODEL_INVALID"], "{other}");
    }
    assert_eq!(
        violations(&sent("m", &request(r#","model":"m","model":"m""#)).unwrap_err()),
        ["the request cannot be read: model: the member is given twice (byte 59 of the JSON)"]
    );
}

#[test]
fn of_a_request_that_is_no_prompt_only_the_model_is_checked() {
    for method in Method::ALL.iter().copied().filter(|method| !method.generates()) {
        let request = Bytes::from(r#" {"contents":7,"requests":[{"x":"n"}],"x":1e400} "#);
        assert_eq!(prepare(&json("m"), method, &request).unwrap().json, request);
        assert_eq!(violations(&prepare(&json("a/b"), method, &request).err().unwrap()), ["model: MODEL_INVALID"]);
        let response = Bytes::from(r#" {"totalTokens":7,"x":[1e400]} "#);
        assert_eq!(passed(method, &response), response);
    }
}

#[test]
fn a_response_is_watched_as_one_in_protobuf_is() {
    for response in [
        r#"{"candidates":[{"content":{"parts":[{"text":"abc"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},
            "finishReason":"STOP"},{"finishReason":"NEW","index":1}],"usageMetadata":{"totalTokenCount":9},"new":1}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a","functionCall":{"name":"f"}}]},"safetyRatings":7}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"\ud83d"}]}}]}"#,
        "{}",
    ] {
        let (text, key) = (Bytes::from(response), "AIza-key".parse().unwrap());
        let steps = &mut Steps::unlimited();
        let [protobuf, piece] = [Format::Protobuf(CallerSchema::Own), json("m")]
            .map(|format| format.answer(generating(true), &text, Some(&key), steps).map_err(|_| ()).unwrap());
        assert_eq!(piece.view, protobuf.view, "{response}");
        assert_eq!(piece.response.unknown_members, protobuf.response.unknown_members, "{response}");
        assert_eq!(piece.response.anomalies, protobuf.response.anomalies, "{response}");
        assert_eq!(piece.has_split_surrogates, protobuf.has_split_surrogates, "{response}");
    }
}

#[test]
fn a_response_that_is_an_error_or_cannot_be_read_or_is_not_complete_fails() {
    let error = |method, text: &str| answer(method, &Bytes::from(text.to_owned())).err();
    for method in methods() {
        let refused = error(method, r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#);
        assert!(matches!(refused, Some(upstream::Error::Refused(_))), "{refused:?}");
        for unreadable in [
            r#"{"candidates":7}"#,
            r#"{"candidates":[}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":7}]}}]}"#,
            "[]",
        ] {
            assert!(matches!(error(method, unreadable), Some(upstream::Error::Unreadable(_))), "{unreadable}");
        }
    }
    assert!(matches!(error(generating(false), r#"{"usageMetadata":{}}"#), Some(upstream::Error::Unfinished)));
    assert!(error(generating(true), r#"{"usageMetadata":{}}"#).is_none());
    assert!(matches!(error(Method::CountTokens, " {} "), Some(upstream::Error::Empty { .. })));
    assert!(error(Method::CountTokens, r#"{"totalTokens":0}"#).is_none());
}

#[test]
fn the_key_is_redacted_and_half_a_character_is_not_changed() {
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"\ud83d of @"}]},"finishReason":"STOP"}]}"#;
    for method in methods() {
        let given = Bytes::from(text.replace('@', r"AIza\u002dkey-of-the-gateway"));
        assert_eq!(passed(method, &given), text.replace('@', "***"));
    }
}

#[test]
fn the_models_of_json_that_is_no_prompt_agree_with_the_path() {
    let models = |method, request: &str| match prepare(&json("m"), method, &Bytes::from(request.to_owned())) {
        Ok(prepared) => vec![prepared.model.to_string()],
        Err(error) => violations(&error),
    };
    const COUNT: Method = Method::CountTokens;
    const BATCH: Method = Method::BatchEmbedContents;
    for (method, request, expected) in [
        (COUNT, r#"{"generateContentRequest":{"model":"models/m","contents":[{}]},"news":1}"#, "m"),
        (COUNT, r#"{"generate_content_request":{"model":"o"}}"#, "generate_content_request.model: MODEL_DIFFERS"),
        (COUNT, r#"{"generateContentRequest":{"mod\u0065l":"o"}}"#, "generate_content_request.model: MODEL_DIFFERS"),
        (BATCH, r#"{"requests":[{"model":"m"},{}]}"#, "m"),
        (BATCH, r#"{"requests":[{"model":"m"},{"model":"o"}]}"#, "requests[1].model: MODEL_DIFFERS"),
        // Gemini takes one value in the place of a list.
        (BATCH, r#"{"requests":{"model":"o"}}"#, "requests[0].model: MODEL_DIFFERS"),
    ] {
        assert_eq!(models(method, request), [expected], "{request}");
    }
    // What could hide a name cannot be read at all.
    for request in [r#"{"generateContentRequest":[{"model":"o"}]}"#, r#"{"generateContentRequest":{"model":["o"]}}"#] {
        let refused = prepare(&json("m"), COUNT, &Bytes::from(request));
        assert!(matches!(refused, Err(Error::Malformed(_))), "{request}");
    }
    let none = Config { upstream_methods: Vec::new(), ..config() };
    let request = Bytes::from_static(b"{}");
    let not_offered = json("m").check(COUNT, &request, &none, &mut |_| Ok(()), &mut Steps::unlimited());
    assert!(matches!(not_offered, Err(Stop::Failed(Error::NotOffered { method: COUNT }))));
}
