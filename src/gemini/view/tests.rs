//! Compares views with messages of the translator, and with wire bytes that protobuf allows but no encoder writes.

mod contract;
mod oracle;

use super::fields::Elements;
use super::*;
use crate::gemini::json;
use crate::gemini::steps::{Interrupted, Steps};

fn wire_of(json: &str) -> Vec<u8> {
    json::response(json.as_bytes(), None, &mut Steps::unlimited()).unwrap().message
}

fn response(wire: &[u8]) -> ResponseView {
    ResponseView::read(wire, &mut Steps::unlimited()).unwrap()
}

/// A length-delimited field with a number below 16 and fewer than 128 bytes.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, value.len() as u8], value].concat()
}

/// A request with one content that has these parts, given as wire bytes.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    field(2, &parts.iter().flat_map(|part| field(1, part)).collect::<Vec<_>>())
}

#[test]
fn of_a_request_that_is_no_prompt_only_the_model_is_read() {
    let read = |wire: &[u8]| model(wire, &mut Steps::unlimited()).map(str::to_owned);
    // The other fields are not those of a prompt. Of a field that occurs twice, the last one counts.
    let wire = [field(1, b"a"), field(4, b"no settings"), vec![2 << 3, 7], field(1, b"b")].concat();
    assert_eq!(read(&wire), Ok("b".to_owned()));
    assert_eq!(read(&[]), Ok(String::new()));
    assert_eq!(read(&field(1, b"\xff")), Err(ReadError::Unreadable));
}

#[test]
fn of_a_response_without_generated_content_only_additional_fields_are_read() {
    let read = |wire: &[u8]| ResponseView::read_other(wire, &mut Steps::unlimited()).unwrap();
    assert_eq!(read(&[1 << 3, 31]), ResponseView::default());
    let error = response(&wire_of(r#"{"error":{}}"#));
    assert_eq!(read(&wire_of(r#"{"error":{}}"#)), error);
    assert!(error.has_additional_fields);
}

#[test]
fn a_response_is_finished_when_each_candidate_has_ended_or_the_prompt_was_blocked() {
    let finished = |json: &str| response(&wire_of(json)).ends.is_finished();
    for json in [
        r#"{"candidates":[{"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"finishReason":"TIRED"}]}"#,
        r#"{"candidates":[{"finish_reason":"TIRED"}]}"#,
        r#"{"candidates":[{"finishReason":99}]}"#,
        r#"{"candidates":[{"finishReason":"STOP"},{"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"index":1},{"index":1,"finishReason":"STOP"}]}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
        r#"{"candidates":[{}],"promptFeedback":{"blockReason":"NEW"}}"#,
    ] {
        assert!(finished(json), "{json}");
    }
    for json in [
        "{}",
        r#"{"candidates":[{"content":{}}]}"#,
        r#"{"candidates":[{},{"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"index":1,"finishReason":"STOP"},{}]}"#,
        r#"{"candidates":[{"index":70,"finishReason":"STOP"},{"index":-1},{}]}"#,
        r#"{"candidates":[{"newThing":{"finishReason":"STOP"}}]}"#,
        r#"{"candidates":[{"finishReason":""}]}"#,
        r#"{"candidates":[{"finishReason":" "}]}"#,
        r#"{"candidates":[{"finishReason":null}]}"#,
        r#"{"candidates":[{"finishReason":false}]}"#,
        r#"{"candidates":[{"finishReason":[]}]}"#,
        r#"{"candidates":[{"finishReason":{"a":"STOP"}}]}"#,
        r#"{"candidates":[{"finishReason":5.5}]}"#,
        r#"{"candidates":[{"finishReason":0}]}"#,
        r#"{"promptFeedback":{}}"#,
        r#"{"promptFeedback":{"blockReason":""}}"#,
        r#"{"promptFeedback":{"blockReason":true}}"#,
        r#"{"candidates":[{}],"promptFeedback":{"safetyRatings":[]}}"#,
    ] {
        assert!(!finished(json), "{json}");
    }
    assert!(response(&wire_of(r#"{"error":{}}"#)).has_additional_fields);
    // The list of reasons is too short for the 20th candidate, but it counts for the end.
    let many = format!(r#"{{"candidates":[{}{{"finishReason":"STOP"}}]}}"#, r#"{"finishReason":"STOP"},"#.repeat(19));
    let view = response(&wire_of(&many));
    assert!(view.ends.is_finished() && view.candidates == 20 && view.finish_reasons.as_slice().len() == 16);
}

#[test]
fn a_candidate_is_recognized_by_its_index_in_all_messages() {
    let finished = |messages: &[&str]| {
        let mut ends = Ends::default();
        messages.iter().for_each(|json| ends.add(&response(&wire_of(json)).ends));
        ends.is_finished()
    };
    let (one, two) = (r#"{"candidates":[{"finishReason":"STOP"}]}"#, r#"{"candidates":[{"index":1}]}"#);
    assert!(!finished(&[two, one]));
    assert!(finished(&[two, one, r#"{"candidates":[{"index":1,"finishReason":"SAFETY"}]}"#]));
    // Two candidates without an index in one message are number 0 and number 1.
    assert!(!finished(&[r#"{"candidates":[{},{}]}"#, one]));
    assert!(finished(&[
        r#"{"candidates":[{"index":1},{}]}"#,
        r#"{"candidates":[{"finishReason":1},{"finishReason":1}]}"#
    ]));
}

#[test]
fn a_unary_response_is_complete_if_it_has_content_or_an_end() {
    let whole = |json: &str| response(&wire_of(json)).is_whole();
    for json in [
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":""}]}"#,
        r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
        r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
    ] {
        assert!(whole(json), "{json}");
    }
    for json in [
        "{}",
        r#"{"usageMetadata":{"promptTokenCount":1}}"#,
        r#"{"response":{"candidates":[]}}"#,
        r#"{"candidates":[]}"#,
        r#"{"candidates":[{}]}"#,
        r#"{"candidates":[{"content":{"role":"model"}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"content":{"parts":[{"text":"b"}]}}]}"#,
    ] {
        assert!(!whole(json), "{json}");
    }
}

#[test]
fn finish_reasons_of_several_messages_are_combined() {
    let mut reasons = response(&wire_of(r#"{"candidates":[{},{"finishReason":"STOP"}]}"#)).finish_reasons;
    assert_eq!(reasons.as_slice(), [0, 1]);
    reasons.merge(&response(&wire_of(r#"{"candidates":[{"finishReason":"SAFETY"},{}]}"#)).finish_reasons);
    assert_eq!(reasons.as_slice(), [3, 1]);
}

#[test]
fn images_are_counted_and_texts_about_them_are_not() {
    let estimate = |parts: &str| {
        let Estimate { text_bytes, images, .. } =
            response(&wire_of(&format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}]}}"#))).estimate;
        (text_bytes, images)
    };
    let picture = r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#;
    assert_eq!(estimate(r#"{"text":"image/png"},{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}"#), (9, 0));
    assert_eq!(estimate(&format!("{picture},{{\"text\":\"ä\",\"thought\":true}},{picture}")), (2, 2));
    let upper = r#"{"inlineData":{"mimeType":"IMAGE/JPEG"}},{"fileData":{"mimeType":"image/webp","fileUri":"u"}}"#;
    assert_eq!(estimate(upper), (0, 2));
}

/// The estimate of a request, as validation adds it up.
fn estimate_of_request(request: &[u8], steps: &mut Steps<'_>) -> Result<Estimate, ReadError> {
    let view = RequestView::read(request, steps)?;
    let mut sum = view.outside_contents();
    let mut contents = view.contents();
    while let Some(content) = contents.next(steps)? {
        let mut parts = Elements::new(content, numbers::content::PARTS);
        while let Some(part) = parts.next(steps)? {
            sum += PartView::read(part, steps)?.estimate();
        }
    }
    Ok(sum)
}

#[test]
fn the_estimate_of_a_request_covers_everything_that_the_model_reads() {
    let estimate = |json: &str| {
        let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", json.as_bytes()).unwrap();
        estimate_of_request(&wire, &mut Steps::unlimited()).unwrap()
    };
    assert_eq!(estimate(r#"{"model":"m","labels":{"a":"b"}}"#), Estimate::default());
    let texts = r#"{"systemInstruction":{"parts":[{"text":"12345"}]},"contents":[{"parts":[{"text":"1234"},{"text":"123"}]},{"parts":[{"text":"12"}]}]}"#;
    assert_eq!(estimate(texts), Estimate { text_bytes: 14, ..Estimate::default() });
    // The name has 8 bytes; the rest is tags and lengths.
    let response = r#"{"contents":[{"parts":[{"functionResponse":{"name":"12345678","response":{},"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"fileData":{"mimeType":"image/png"}},{"inlineData":{"mimeType":"a/b"}}]}}]}]}"#;
    let found = estimate(response);
    assert_eq!(found.images, 2);
    assert!((8..30).contains(&found.text_bytes), "{found:?}");
    for hidden in [
        r#"{"tools":[{"functionDeclarations":[{"name":"f","description":"TEXT"}]}]}"#,
        r#"{"generationConfig":{"responseJsonSchema":{"title":"TEXT"}}}"#,
        r#"{"contents":[{"parts":[{"functionCall":{"args":{"a":"TEXT"}}}]}]}"#,
        r#"{"contents":[{"parts":[{"executableCode":{"code":"TEXT"}}]}]}"#,
        r#"{"contents":[{"parts":[{"codeExecutionResult":{"output":"TEXT"}}]}]}"#,
        r#"{"contents":[{"parts":[{"toolCall":{"args":{"a":"TEXT"}}}]}]}"#,
        r#"{"contents":[{"parts":[{"toolResponse":{"response":{"a":"TEXT"}}}]}]}"#,
    ] {
        let Estimate { text_bytes, .. } = estimate(&hidden.replace("TEXT", &"x".repeat(1000)));
        assert!((1000..1100).contains(&text_bytes), "{text_bytes} in {hidden}");
    }
}

#[test]
fn a_later_member_of_a_part_replaces_an_earlier_one() {
    let png = field(3, &field(1, b"image/png"));
    let call = field(4, &field(1, b"name"));
    let read = |part: &[&[u8]]| estimate_of_request(&parts(&[&part.concat()]), &mut Steps::unlimited()).unwrap();
    assert_eq!(read(&[&png, &field(2, b"hi")]), Estimate { text_bytes: 2, ..Estimate::default() });
    assert_eq!(read(&[&field(2, b"hello"), &field(2, b"hi")]), Estimate { text_bytes: 2, ..Estimate::default() });
    assert_eq!(read(&[&field(2, b"hi"), &png]), Estimate { images: 1, ..Estimate::default() });
    // The same member twice is merged to one message.
    assert_eq!(read(&[&png, &field(3, &field(2, b"data"))]), Estimate { images: 1, ..Estimate::default() });
    assert_eq!(read(&[&call, &call]), Estimate { text_bytes: 12, ..Estimate::default() });
}

#[test]
fn a_request_in_several_fragments_is_merged() {
    let wire = [
        field(1, b"first"),
        field(4, &[0x08, 5, 0xa2, 1, 2, 1, 2]), // candidate_count, response_modalities packed
        field(4, &[0x08, 6, 0xa0, 1, 3]),       // candidate_count, response_modalities
        field(4, &[0xda, 1, 3, 0x0a, 1, b'x']), // image_config.aspect_ratio
        field(1, b"last"),
    ];
    let wire = wire.concat();
    let view = RequestView::read(&wire, &mut Steps::unlimited()).unwrap();
    let config = view.generation_config.unwrap();
    assert_eq!((view.model, config.candidate_count, config.aspect_ratio), ("last", Some(6), Some("x")));
    let has = |modality| config.response_modalities.contains(modality);
    assert!(has(Modalities::TEXT) && has(Modalities::IMAGE) && has(Modalities::AUDIO));
}

#[test]
fn an_unknown_modality_is_in_the_set_but_is_none_of_the_known_ones() {
    for other in [0, 4, 7, 8, 39, 10001, -1, i32::MIN, i32::MAX] {
        let set: Modalities = [other].into_iter().collect();
        let named = [Modalities::TEXT, Modalities::IMAGE, Modalities::AUDIO];
        assert!(!set.is_empty() && named.iter().all(|modality| !set.contains(*modality)), "{other}");
    }
    assert!(Modalities::default().is_empty());
}

#[test]
fn unknown_fields_are_skipped_and_wrong_types_are_unreadable() {
    let group = [0x1b, 0x08, 0x01, 0x1c]; // 3: a group with a number in it
    let unknown = [&group[..], &[0x9d, 6, 1, 2, 3, 4], &[0x99, 6, 1, 2, 3, 4, 5, 6, 7, 8], &field(1, b"m")].concat();
    let view = RequestView::read(&unknown, &mut Steps::unlimited()).unwrap();
    assert_eq!(view.model, "m");
    for wire in [
        &b"\x08\x01"[..],                    // model is a number
        b"\x0a\x01\xff",                     // model is not UTF-8
        b"\x20\x01",                         // generation_config is a number
        b"\x22\x02\x0a\x00",                 // candidate_count is a text
        b"\x22\x02\x28\x01",                 // temperature is a varint
        b"\x22\x04\xa2\x01\x01\x80",         // response_modalities ends within a number
        b"\x0a",                             // cut
        b"\x00",                             // a tag with the number 0
        b"\x1b\x1b\x1c",                     // a group that does not end
        &[b"\x0a", &[0xff; 9][..]].concat(), // a length over all bytes
    ] {
        let read = RequestView::read(wire, &mut Steps::unlimited());
        assert_eq!(read.err(), Some(ReadError::Unreadable), "{wire:?}");
    }
}

#[test]
fn usage_is_at_least_the_sum_of_its_parts_and_never_negative() {
    let total = |json: &str| {
        let view = response(&wire_of(&format!(r#"{{"usageMetadata":{json}}}"#)));
        view.usage_metadata.unwrap().total()
    };
    assert_eq!(total("{}"), 0);
    assert_eq!(total(r#"{"promptTokenCount":5000,"candidatesTokenCount":5000}"#), 10_000);
    assert_eq!(total(r#"{"promptTokenCount":7,"totalTokenCount":-9}"#), 7);
    assert_eq!(total(r#"{"promptTokenCount":7,"candidatesTokenCount":-5,"totalTokenCount":3}"#), 7);
    assert_eq!(total(r#"{"promptTokenCount":7,"candidatesTokenCount":5,"totalTokenCount":300}"#), 300);
    assert_eq!(total(r#"{"promptTokenCount":1,"toolUsePromptTokenCount":2,"thoughtsTokenCount":4}"#), 7);
    // The cached tokens are part of the prompt.
    assert_eq!(total(r#"{"promptTokenCount":10,"cachedContentTokenCount":8}"#), 10);
    assert_eq!(total(r#"{"cachedContentTokenCount":8}"#), 8);
    let most = i32::MAX;
    let all = format!(r#"{{"promptTokenCount":{most},"candidatesTokenCount":{most},"thoughtsTokenCount":{most}}}"#);
    assert_eq!(total(&all), 3 * u64::from(most.unsigned_abs()));
}

#[test]
fn metadata_is_kept_when_a_later_message_does_not_contain_it() {
    let mut metadata = MetadataView::default();
    let mut update = |json: &str| metadata.update(&wire_of(json), &mut Steps::unlimited()).unwrap();
    update(
        r#"{"modelVersion":"v1","responseId":"r","usageMetadata":{"promptTokensDetails":[{"modality":"TEXT","tokenCount":1},{"modality":"IMAGE","tokenCount":2},{"modality":"DOCUMENT","tokenCount":9}]}}"#,
    );
    update(r#"{"usageMetadata":{"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":3}]}}"#);
    update(r#"{"candidates":[{}]}"#);
    let counts = |text, image, audio| ModalityCounts { text, image, audio };
    let usage = UsageDetailsView { candidates: counts(None, None, Some(3)), ..UsageDetailsView::default() };
    assert_eq!(metadata, MetadataView { model_version: "v1".into(), response_id: "r".into(), usage: Some(usage) });
    // 301 bytes are cut at a character boundary.
    metadata
        .update(&wire_of(&format!(r#"{{"modelVersion":"x{}"}}"#, "ä".repeat(150))), &mut Steps::unlimited())
        .unwrap();
    assert_eq!(metadata.model_version.len(), 255);
}

/// Requests and responses that consist of one field, repeated `times` times.
fn repetitive_messages(times: usize) -> Vec<(&'static str, Vec<u8>)> {
    let many = |field: &[u8]| field.repeat(times);
    let within = |number: u32, inner: Vec<u8>| {
        let mut out = Vec::new();
        prost::encoding::bytes::encode(number, &inner, &mut out);
        out
    };
    vec![
        ("empty messages", many(&[0x12, 0])),
        ("candidates", many(&[0x0a, 0])),
        ("parts", within(2, many(&[0x0a, 0]))),
        ("parts of a candidate", within(1, within(1, many(&[0x0a, 0])))),
        ("members of a part", within(2, within(1, many(&[0x12, 0, 0x22, 0])))),
        ("media", within(2, within(1, many(&[0x1a, 2, 0x0a, 0])))),
        ("packed modalities", within(4, within(20, many(&[1])))),
        ("configs", many(&[0x22, 0])),
        ("usage", many(&[0x1a, 2, 8, 1])),
        ("details of usage", within(3, many(&[0x2a, 2, 8, 1]))),
        ("unknown numbers", many(&[0x78, 1])),
        ("numbers in an unknown group", [&[0x7b][..], &many(&[0x78, 1]), &[0x7c]].concat()),
    ]
}

#[test]
fn reading_takes_steps_in_proportion_to_the_message_and_can_be_interrupted() {
    type Read = fn(&[u8], &mut Steps<'_>) -> Result<(), ReadError>;
    let reads: [Read; 3] = [
        |wire, steps| estimate_of_request(wire, steps).map(drop),
        |wire, steps| ResponseView::read(wire, steps).map(drop),
        |wire, steps| MetadataView::default().update(wire, steps),
    ];
    for read in reads {
        for ((name, small), (_, large)) in repetitive_messages(1_000).into_iter().zip(repetitive_messages(4_000)) {
            let steps = |wire: &[u8]| {
                let mut steps = Steps::unlimited();
                // A request read as a response may be unreadable, and the other way round; steps are counted up to
                // there.
                let done = read(wire, &mut steps).is_ok();
                if done {
                    let interrupted = read(wire, &mut Steps::at_most(steps.taken() - 1));
                    assert_eq!(interrupted, Err(ReadError::Interrupted(Interrupted)), "{name}");
                }
                assert!(steps.taken() <= 2 * wire.len() as u64, "{name}");
                steps.taken()
            };
            let (few, many) = (steps(&small), steps(&large));
            assert!(many * 10 <= few * 45 + 100, "{name}: {few} steps became {many}");
        }
    }
}

#[test]
fn messages_at_a_path_are_visited_in_order_until_the_visitor_stops() {
    let wire = wire_of(
        r#"{"candidates":[{"content":{"parts":[{"text":"1"},{"text":"2"}]}},{},{"content":{"parts":[{"text":"3"}]}}]}"#,
    );
    let read = |most: usize| {
        let mut seen = Vec::new();
        let all = for_each(&wire, path::RESPONSE_PARTS, &mut Steps::unlimited(), &mut |part, _| {
            seen.push(part.last().copied().unwrap());
            seen.len() < most
        });
        (all, String::from_utf8(seen).unwrap())
    };
    assert_eq!(read(9), (Ok(true), "123".to_owned()));
    assert_eq!(read(2), (Ok(false), "12".to_owned()));
}
