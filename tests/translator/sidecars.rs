//! The content of a response arrives unchanged, even if everything else in it is damaged.

use gemini_grpc::gemini::json::{self, to_json};
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::pb::gemini::part::Data;
use gemini_grpc::pb::gemini::{GenerateContentResponse, Part};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::catalogue::RESPONSE;
use crate::dice::Dice;
use crate::harness::for_all;
use crate::quirks::tokens;

/// The JSON names of members that are content; all others are sidecars.
const CONTENT: [&str; 13] = [
    "candidates",
    "content",
    "parts",
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "additionalFields",
];

fn read(json: &[u8]) -> GenerateContentResponse {
    let read = json::response(json, None, &mut Steps::unlimited()).expect("a sidecar does not make a response fail");
    GenerateContentResponse::decode(&read.message[..]).expect("the result is a valid message")
}

/// The data of all parts, by candidate.
fn content(answer: &GenerateContentResponse) -> Vec<Vec<Option<Data>>> {
    let parts = |content: &gemini_grpc::pb::gemini::Content| {
        content.parts.iter().map(|part: &Part| part.data.clone()).collect()
    };
    (answer.candidates.iter()).map(|candidate| candidate.content.as_ref().map(parts).unwrap_or_default()).collect()
}

#[test]
fn the_content_of_a_response_arrives_whatever_its_sidecars_are() {
    for_all(|case, dice| {
        if case.name() != RESPONSE {
            return Ok(());
        }
        let mut value: Value = serde_json::from_slice(&to_json(RESPONSE, &case.wire).unwrap()).unwrap();
        // serde_json rounds some doubles to the second nearest, so the undamaged response has to go through it as well.
        let whole = value.to_string();
        for _ in 0..=dice.below(4) {
            damage(&mut value, dice);
        }
        let damaged = value.to_string();
        prop_assert_eq!(content(&read(damaged.as_bytes())), content(&read(whole.as_bytes())), "{}", damaged);
        Ok(())
    });
}

/// Replaces a sidecar somewhere by a random value, or adds one.
fn damage(value: &mut Value, dice: &mut Dice<'_>) {
    match value {
        Value::Array(values) if !values.is_empty() => {
            let at = dice.below(values.len());
            damage(&mut values[at], dice);
        }
        Value::Object(members) => {
            let containers: Vec<String> =
                members.keys().filter(|name| ["candidates", "content", "parts"].contains(&&***name)).cloned().collect();
            let sidecars: Vec<String> = members.keys().filter(|name| !CONTENT.contains(&&***name)).cloned().collect();
            match dice.below(3) {
                0 if !containers.is_empty() => damage(&mut members[&dice.pick(&containers)], dice),
                1 if !sidecars.is_empty() => {
                    // All members inside a sidecar are sidecars.
                    let inner = &mut members[&dice.pick(&sidecars)];
                    if dice.one_in(2) { replace_inside(inner, dice) } else { *inner = any_value(dice, 3) }
                }
                _ => {
                    let names =
                        ["usageMetadata", "index", "safetyRatings", "thought", "thoughtSignature", "role", "new"];
                    members.insert(dice.pick(&names).to_owned(), any_value(dice, 3));
                }
            }
        }
        _ => {}
    }
}

fn replace_inside(value: &mut Value, dice: &mut Dice<'_>) {
    match value {
        Value::Array(values) if !values.is_empty() && !dice.one_in(4) => {
            let at = dice.below(values.len());
            replace_inside(&mut values[at], dice);
        }
        Value::Object(members) if !members.is_empty() && !dice.one_in(4) => {
            let at = dice.below(members.len());
            replace_inside(members.values_mut().nth(at).unwrap(), dice);
        }
        _ => *value = any_value(dice, 3),
    }
}

fn any_value(dice: &mut Dice<'_>, depth: usize) -> Value {
    match dice.below(if depth == 0 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => json!(dice.one_in(2)),
        2 => json!(dice.pick(&["", "true", "NaN", "AQIDB", "STOP", "-1.5s", "%", "é"])),
        3 => json!(dice.pick(&[0, 1, -1, i64::MAX, i64::MIN, 3_000_000_000])),
        4 => json!(dice.pick(&[0.5, -1e300, 1e16])),
        5 => json!([]),
        6 => json!({}),
        7 => json!([null]),
        8 => (0..dice.below(4)).map(|_| any_value(dice, depth - 1)).collect(),
        _ => Value::Object(
            (0..dice.below(4))
                .map(|_| (dice.pick(&["a", "name", "text", "data", "category"]).to_owned(), any_value(dice, depth - 1)))
                .collect::<Map<_, _>>(),
        ),
    }
}

#[test]
fn a_lone_surrogate_never_makes_a_response_fail() {
    for_all(|case, dice| {
        if case.name() != RESPONSE {
            return Ok(());
        }
        let whole = String::from_utf8(to_json(RESPONSE, &case.wire).unwrap()).unwrap();
        // Right after an opening quote: in a member name or in any string, such as base64 or an enum name.
        let mut end = 0;
        let starts = tokens(whole.as_bytes()).filter_map(|token| {
            end += token.len();
            (token[0] == b'"').then(|| end - token.len() + 1)
        });
        let starts: Vec<usize> = starts.collect();
        let Some(at) = (!starts.is_empty()).then(|| dice.pick(&starts)) else { return Ok(()) };
        let half = dice.pick(&["\\ud83d", "\\ude00", "\\udfff\\ud800"]);
        let json = [&whole[..at], half, &whole[at..]].concat();
        if let Err(error) = json::response(json.as_bytes(), None, &mut Steps::unlimited()) {
            // Except in the base64 of an image, which is content.
            prop_assert!(error.path().ends_with("data"), "{}: {}", error, json);
        }
        Ok(())
    });
}

proptest! {
    #[test]
    fn a_part_with_several_members_of_data_loses_none(members in prop::collection::vec(0..5usize, 1..6), thought: bool) {
        const DATA: [&str; 5] = [
            r#""text":"a""#,
            r#""text":"""#,
            r#""functionCall":{"name":"f"}"#,
            r#""inlineData":{"mimeType":"image/png","data":"AQID"}"#,
            r#""executableCode":{"code":"x"}"#,
        ];
        let name = |member: usize| if member < 2 { 0 } else { member };
        let mut seen = Vec::new();
        let members: Vec<usize> =
            members.into_iter().filter(|member| !seen.contains(&name(*member)) && { seen.push(name(*member)); true }).collect();
        let mut texts: Vec<&str> = members.iter().map(|member| DATA[*member]).collect();
        if thought {
            texts.insert(texts.len() / 2, r#""thought":true"#);
        }
        let json = format!(r#"{{"candidates":[{{"content":{{"parts":[{{{}}}]}}}}]}}"#, texts.join(","));
        let answer = read(json.as_bytes());
        let parts = &answer.candidates[0].content.as_ref().unwrap().parts;
        let expected: Vec<usize> = members.iter().copied().filter(|member| *member != 1 || members.len() == 1).collect();
        let kinds: Vec<usize> = parts.iter().map(|part| match &part.data {
            Some(Data::Text(text)) => usize::from(text.is_empty()),
            Some(Data::FunctionCall(_)) => 2,
            Some(Data::InlineData(_)) => 3,
            Some(Data::ExecutableCode(_)) => 4,
            _ => 9,
        }).collect();
        prop_assert_eq!(&kinds, &expected);
        let thoughts: Vec<usize> = parts.iter().enumerate().filter(|(_, part)| part.thought).map(|(at, _)| at).collect();
        let holder = kinds.iter().position(|kind| *kind > 1).unwrap_or(0);
        prop_assert_eq!(thoughts, if thought { vec![holder] } else { vec![] });
    }
}
