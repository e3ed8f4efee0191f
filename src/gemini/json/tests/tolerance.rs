//! Responses with faults that do not make them fail.

use super::*;

/// The JSON of a response's only part after it was read and written again, and the anomalies of the response by member.
fn part(part: &str) -> (String, Vec<(AnomalyKind, String)>) {
    let json = format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}}}}]}}"#);
    let (written, anomalies) = answer(&json);
    let inner = written.strip_prefix(r#"{"candidates":[{"content":{"parts":["#).unwrap();
    (inner.strip_suffix("]}}]}").unwrap().to_owned(), anomalies)
}

fn answer(json: &str) -> (String, Vec<(AnomalyKind, String)>) {
    read(json.as_bytes())
}

fn read(json: &[u8]) -> (String, Vec<(AnomalyKind, String)>) {
    let read = response(json).unwrap();
    let anomalies = read.anomalies.into_iter().map(|anomaly| (anomaly.kind, anomaly.name())).collect();
    (String::from_utf8(to_json(RESPONSE, &read.message).unwrap()).unwrap(), anomalies)
}

fn unreadable(member: &str) -> Vec<(AnomalyKind, String)> {
    vec![(AnomalyKind::Unreadable, member.to_owned())]
}

fn repaired(member: &str) -> Vec<(AnomalyKind, String)> {
    vec![(AnomalyKind::Repaired, member.to_owned())]
}

#[test]
fn a_sidecar_that_cannot_be_read_is_kept_under_its_name() {
    for (sidecar, member) in [
        (r#""thoughtSignature":"AQIDB""#, "Part.thoughtSignature"),
        (r#""thoughtSignature":5"#, "Part.thoughtSignature"),
        (r#""thought":"true""#, "Part.thought"),
        (r#""partMetadata":[1]"#, "Part.partMetadata"),
        (r#""videoMetadata":"x""#, "Part.videoMetadata"),
        (r#""mediaResolution":{"level":{}}"#, "PartMediaResolution.level"),
        (r#""videoMetadata":{"startOffset":"soon"}"#, "VideoMetadata.startOffset"),
    ] {
        for json in [format!(r#"{{"text":"x",{sidecar}}}"#), format!(r#"{{{sidecar},"text":"x"}}"#)] {
            let (written, anomalies) = part(&json);
            assert!(written.contains(r#""text":"x""#) && written.contains(sidecar), "{json} became {written}");
            assert_eq!(anomalies, unreadable(member), "{json}");
        }
    }
}

#[test]
fn sidecars_of_candidates_and_responses_are_kept_too() {
    for (json, member) in [
        (r#"{"candidates":[{"safetyRatings":[null]}]}"#, "Candidate.safetyRatings"),
        (r#"{"candidates":[{"safetyRatings":[{"probability":[]}]}]}"#, "SafetyRating.probability"),
        (r#"{"candidates":[{"index":"one"}]}"#, "Candidate.index"),
        (r#"{"candidates":[{"finishReason":{}}]}"#, "Candidate.finishReason"),
        (r#"{"candidates":[{"groundingMetadata":{"groundingChunks":{"a":1}}}]}"#, "GroundingMetadata.groundingChunks"),
        (r#"{"usageMetadata":{"totalTokenCount":3000000000}}"#, "UsageMetadata.totalTokenCount"),
        (r#"{"usageMetadata":{"totalTokenCount":1.5}}"#, "UsageMetadata.totalTokenCount"),
        (r#"{"usageMetadata":[]}"#, "GenerateContentResponse.usageMetadata"),
        (r#"{"modelVersion":{"a":[null,{}]}}"#, "GenerateContentResponse.modelVersion"),
        (r#"{"promptFeedback":"none"}"#, "GenerateContentResponse.promptFeedback"),
    ] {
        let (written, anomalies) = answer(json);
        assert_eq!(written, json);
        assert_eq!(anomalies, unreadable(member), "{json}");
    }
    // Of two members with the same name the first is read, and the second is kept as an additional field.
    let twice = r#"{"modelVersion":"a","modelVersion":"b"}"#;
    assert_eq!(response(twice.as_bytes()).unwrap().anomalies[0].name(), "GenerateContentResponse.modelVersion");
}

#[test]
fn numbers_that_are_not_json_are_read() {
    let (wire, anomalies) = {
        let read = response(br#"{"candidates":[{"avgLogprobs":NaN,"new":[NaN,-Infinity,1e999]}]}"#).unwrap();
        (read.message, read.anomalies)
    };
    let message = <crate::pb::gemini::GenerateContentResponse as prost::Message>::decode(&wire[..]).unwrap();
    assert!(message.candidates[0].avg_logprobs.is_nan());
    assert_eq!(anomalies.len(), 1);
    let kept = answer(r#"{"a":[NaN,Infinity,-Infinity,1e999],"b":-1.5}"#).0;
    assert_eq!(kept, r#"{"a":["NaN","Infinity","-Infinity","1e999"],"b":-1.5}"#);
    assert_eq!(
        answer(r#"{"usageMetadata":{"promptTokenCount":NaN}}"#).0,
        r#"{"usageMetadata":{"promptTokenCount":"NaN"}}"#
    );
}

#[test]
fn content_that_cannot_be_read_makes_the_response_fail() {
    for json in [
        r#"{"candidates":5}"#,
        r#"{"candidates":[null]}"#,
        r#"{"candidates":[{"content":"x"}]}"#,
        r#"{"candidates":[{"content":{"parts":["x"]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":5}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"%"}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":"x"}}]}}]}"#,
        r#"{"modelVersion":"a\"#,
        r#"{"modelVersion":"#,
        r#"{"candidates":[{}]} x"#,
    ] {
        assert!(response(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn a_sidecar_that_nests_too_deep_is_dropped() {
    let deep = format!(r#"{{"modelVersion":"m","new":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let (written, anomalies) = answer(&deep);
    assert_eq!(written, r#"{"modelVersion":"m"}"#);
    assert_eq!(anomalies, unreadable("GenerateContentResponse.additionalFields"));
    let deep = format!(r#"{{"responseId":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(answer(&deep).0, "{}");
}

#[test]
fn two_members_of_data_in_one_part_become_two_parts() {
    for (json, written) in [
        (r#"{"text":"","functionCall":{"name":"f"}}"#, r#"{"functionCall":{"name":"f"}}"#),
        (r#"{"functionCall":{"name":"f"},"text":""}"#, r#"{"functionCall":{"name":"f"}}"#),
        (
            r#"{"text":"a","functionCall":{"name":"f"},"thoughtSignature":"AQ=="}"#,
            r#"{"text":"a"},{"functionCall":{"name":"f"},"thoughtSignature":"AQ=="}"#,
        ),
        (
            r#"{"thought":true,"functionCall":{"name":"f"},"text":"a","new":1}"#,
            r#"{"functionCall":{"name":"f"},"thought":true,"new":1},{"text":"a"}"#,
        ),
        (
            r#"{"text":"a","inline_data":{"mimeType":"image/png","data":"AQ=="},"function_call":{"name":"f"}}"#,
            r#"{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AQ=="}},{"functionCall":{"name":"f"}}"#,
        ),
        (r#"{"text":"a","functionCall":null}"#, r#"{"text":"a"}"#),
        (r#"{"text":null,"functionCall":{"name":"f"},"inlineData":null}"#, r#"{"functionCall":{"name":"f"}}"#),
    ] {
        assert_eq!(part(json), (written.to_owned(), vec![]), "{json}");
        let (among, _) = part(&format!(r#"{{"text":"before"}},{json},{{"text":"after"}}"#));
        assert_eq!(among, format!(r#"{{"text":"before"}},{written},{{"text":"after"}}"#));
    }
}

#[test]
fn lone_surrogates_and_invalid_bytes_are_replaced() {
    for (text, written) in [
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00", "\u{fffd}"),
        (r"a\ud83db", "a\u{fffd}b"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83dA", "\u{fffd}A"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ude00", "😀"),
    ] {
        assert_eq!(part(&format!(r#"{{"text":"{text}"}}"#)).0, format!(r#"{{"text":"{written}"}}"#), "{text}");
        let args = format!(r#"{{"functionCall":{{"name":"f","args":{{"{text}":["{text}"]}}}}}}"#);
        assert_eq!(
            part(&args),
            (
                args.replace(text, written),
                if text.len() == 12 && written == "😀" { vec![] } else { repaired("FunctionCall.args") }
            )
        );
        let unknown = format!(r#"{{"{text}":"{text}"}}"#);
        assert_eq!(answer(&unknown).0, unknown.replace(text, written));
        let version = format!(r#"{{"modelVersion":"{text}"}}"#);
        assert_eq!(answer(&version).0, version.replace(text, written));
    }
    assert_eq!(part(r#"{"text":"\ud83d"}"#).1, repaired("Part.text"));
    for (bytes, written) in
        [(&b"a\xf0\x9f"[..], "a\u{fffd}"), (b"\x80b\\n", "\u{fffd}b\\n"), (b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}")]
    {
        let json = [br#"{"candidates":[{"content":{"parts":[{"text":""#, bytes, br#""}]}}]}"#].concat();
        assert_eq!(
            read(&json),
            (
                format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{written}"}}]}}}}]}}"#),
                repaired("Part.text")
            )
        );
    }
    let long = [br#"{"modelVersion":""#, &b"x".repeat(100_000)[..], b"\xff", br#""}"#].concat();
    assert_eq!(read(&long).1, repaired("GenerateContentResponse.modelVersion"));
}

#[test]
fn an_enum_value_that_googles_schema_lacks_becomes_other_for_its_callers() {
    let reason = |names, reason: &str| {
        let json =
            format!(r#"{{"candidates":[{{"finishReason":{reason}}}],"promptFeedback":{{"blockReason":{reason}}}}}"#);
        let message = event(Method::GenerateContent, json.as_bytes(), None, names, &mut Steps::unlimited())
            .unwrap()
            .response
            .message;
        let message = <crate::pb::gemini::GenerateContentResponse as prost::Message>::decode(&message[..]).unwrap();
        (message.candidates[0].finish_reason, message.prompt_feedback.unwrap().block_reason)
    };
    for (given, own, googles) in [
        (r#""STOP""#, (1, 0), (1, 2)),
        (r#""MODEL_ARMOR""#, (0, 0), (5, 2)),
        (r#""MALFORMED_RESPONSE""#, (10002, 0), (5, 2)),
        ("10001", (10001, 10001), (5, 2)),
        ("777", (777, 777), (5, 2)),
        (r#""""#, (0, 0), (0, 0)),
        ("[]", (0, 0), (0, 0)),
        (r#""SAFETY""#, (3, 1), (3, 1)),
    ] {
        assert_eq!(reason(CallerSchema::Own, given), own, "{given}");
        assert_eq!(reason(CallerSchema::Google, given), googles, "{given}");
    }
}
