//! Limits of a translation: elements, bytes and steps.

use super::REQUEST;
use crate::gemini::json::*;
use crate::gemini::wire;

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_tag(&mut out, number, wire::WireType::Len);
    wire::put_varint(&mut out, bytes.len() as u64);
    [&out, bytes].concat()
}

#[test]
fn a_request_may_have_as_many_elements_as_the_limit_and_no_more() {
    // Eight elements: two contents, three parts, two modalities, an entry of a map. Free-form JSON is not counted.
    let json = br#"{"contents":[{"parts":[{"text":"a"},{"functionCall":{"args":{"a":[1,2,3],"b":0}}}]},{"parts":[{}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"],"responseJsonSchema":{"a":[]}},"labels":{"a":"b"},"news":[1,2]}"#;
    let wire = to_wire(REQUEST, json).unwrap();
    let translate = |elements| {
        let limits = RequestLimits { elements };
        let measured = measure(Method::GenerateContent, &[&wire], limits, &mut Steps::unlimited());
        let written = request(Method::GenerateContent, &[&wire], limits, None, &mut Steps::unlimited());
        assert_eq!(measured.clone().err(), written.as_ref().err().cloned());
        written.map(|request| assert_eq!(measured.unwrap(), request.json.len()))
    };
    translate(8).unwrap();
    let error = translate(7).unwrap_err();
    assert_eq!((error.path().as_str(), error.problem()), ("labels[0]", Problem::TooManyElements(7)));
    assert!(error.to_string().contains("more than 7 elements"), "{error}");
    assert!(error.to_string().contains("GEMINI_GRPC_MAX_ELEMENTS"), "{error}");
}

#[test]
fn elements_are_counted_in_every_form_on_the_wire() {
    let modality = [0xa0, 1, 2];
    let packed = field(4, &field(20, &[1, 2, 3]));
    let unpacked = field(4, &modality.repeat(3));
    let mixed = [field(4, &modality), field(4, &field(20, &[1])), field(2, b"")].concat();
    let entries = field(10_003, &field(1, b"a")).repeat(3);
    for wire in [field(2, b"").repeat(3), packed, unpacked, mixed, entries] {
        let result = |elements| {
            request(Method::GenerateContent, &[&wire], RequestLimits { elements }, None, &mut Steps::unlimited())
        };
        assert!(result(3).is_ok(), "{wire:02x?}");
        assert_eq!(result(2).unwrap_err().problem(), Problem::TooManyElements(2), "{wire:02x?}");
    }
}

#[test]
fn json_that_is_much_longer_than_its_message_is_refused() {
    let limits = RequestLimits { elements: usize::MAX };
    // A control character takes six bytes of JSON, which is within the limit.
    let text = field(2, &field(1, &field(2, &vec![0; 4 << 20])));
    assert!(measure(Method::GenerateContent, &[&text], limits, &mut Steps::unlimited()).is_ok());
    // A safety setting takes a hundred bytes of JSON for six on the wire.
    let settings = field(3, &[0x18, 9, 0x20, 1]).repeat(1 << 20);
    assert_eq!(
        measure(Method::GenerateContent, &[&settings], limits, &mut Steps::unlimited()).unwrap_err().problem(),
        Problem::TooLong
    );
    assert_eq!(
        request(Method::GenerateContent, &[&settings], limits, Some(0), &mut Steps::unlimited()).unwrap_err().problem(),
        Problem::TooLong
    );
}

#[test]
fn interrupted_work_fails_with_an_error() {
    let json = format!(r#"{{"contents":[{}]}}"#, [r#"{"parts":[{"text":"a"}]}"#; 100].join(","));
    let wire = to_wire(REQUEST, json.as_bytes()).unwrap();
    let mut steps = Steps::unlimited();
    request(Method::GenerateContent, &[&wire], RequestLimits::default(), None, &mut steps).unwrap();
    let needed = steps.taken();
    assert!((400..4_000).contains(&needed), "{needed}");
    for few in [0, 1, 10, needed - 1] {
        let result =
            request(Method::GenerateContent, &[&wire], RequestLimits::default(), None, &mut Steps::at_most(few));
        assert_eq!(result.unwrap_err().problem(), Problem::Interrupted, "{few}");
    }
    let answer = r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"new":[1,2,3]}]}}]}"#;
    let mut steps = Steps::unlimited();
    response(answer.as_bytes(), None, &mut steps).unwrap();
    for few in 0..steps.taken() {
        let result = response(answer.as_bytes(), None, &mut Steps::at_most(few));
        assert_eq!(result.unwrap_err().problem(), Problem::Interrupted, "{few}");
    }
}

#[test]
fn of_many_entries_with_the_same_key_the_last_counts() {
    for keys in [1, 2, 4, 5, 8, 9, 1_000] {
        let entry = |i: usize| {
            let key = if i % keys == 1 { String::new() } else { format!("key {}", i % keys) };
            field(10_003, &[field(1, key.as_bytes()), field(2, i.to_string().as_bytes())].concat())
        };
        let older: Vec<u8> = (0..keys).flat_map(entry).collect();
        let newer: Vec<u8> = (keys..2 * keys).flat_map(entry).collect();
        let json = |parts: &[&[u8]]| {
            let json = request(Method::GenerateContent, parts, RequestLimits::default(), None, &mut Steps::unlimited())
                .unwrap()
                .json;
            String::from_utf8(json).unwrap()
        };
        assert_eq!(json(&[&older, &newer]), json(&[&newer]), "{keys} keys");
        assert_eq!(json(&[&[older, newer.clone()].concat()]), json(&[&newer]), "{keys} keys");
    }
}

#[test]
fn a_packed_list_without_elements_is_absent() {
    let empty = field(4, &field(20, b""));
    let json = request(Method::GenerateContent, &[&empty], RequestLimits::default(), None, &mut Steps::unlimited())
        .unwrap()
        .json;
    assert_eq!(json, br#"{"generationConfig":{}}"#);
    let between = field(4, &[field(20, &[1]), field(20, b""), field(20, &[2]), field(20, b"")].concat());
    let json = request(Method::GenerateContent, &[&between], RequestLimits::default(), None, &mut Steps::unlimited())
        .unwrap()
        .json;
    assert_eq!(json, br#"{"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}"#);
}

#[test]
fn a_oneof_member_that_was_replaced_keeps_none_of_its_earlier_values() {
    let text = |text: &[u8]| field(2, text);
    let call = |name: &[u8]| field(4, &field(1, name));
    // A text replaces the first call, so that only the last two are merged.
    let part = [call(b"a"), text(b"b"), field(4, b""), call(b"c"), field(4, &field(2, b""))].concat();
    let json = to_json("mountsea.gemini.v1.Part", &part).unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"functionCall":{"name":"c","args":{}}}"#);
}
