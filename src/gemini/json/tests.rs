//! The rules of Gemini's JSON, one test for each.

/// Limits on elements, bytes and steps.
mod limits;
/// Requests that are sent as they came.
mod outline;
/// Long base64.
mod pictures;
/// The gateway's key in responses that are passed on.
mod redact;
/// The gateway's key in responses.
mod secret;
/// Settings that are added to a request.
mod splice;
/// Surrogate pairs that are cut in two.
mod surrogates;
/// Faults of a response that do not make it fail.
mod tolerance;

use super::*;
use crate::gemini::wire;

const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";

/// The JSON of a request after it was read into wire bytes and written again.
fn emitted(json: &str) -> String {
    let wire = to_wire(REQUEST, json.as_bytes()).unwrap();
    String::from_utf8(to_json(REQUEST, &wire).unwrap()).unwrap()
}

fn request(parts: &[&[u8]]) -> Result<Request, Error> {
    super::request(Method::GenerateContent, parts, RequestLimits::default(), None, &mut Steps::unlimited())
}

fn response(json: &[u8]) -> Result<Response, Error> {
    super::response(json, None, &mut Steps::unlimited())
}

fn refused(json: &str) -> String {
    to_wire(REQUEST, json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn either_spelling_of_a_name_is_read_and_camel_case_is_emitted() {
    let json = r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"AQID"}}]}],"generation_config":{"topK":1}}"#;
    assert_eq!(
        emitted(json),
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AQID"}}]}],"generationConfig":{"topK":1}}"#
    );
}

#[test]
fn the_two_json_schemas_keep_their_names_apart() {
    for (given, written) in [
        ("_responseJsonSchema", "_responseJsonSchema"),
        ("response_json_schema", "_responseJsonSchema"),
        ("responseJsonSchema", "responseJsonSchema"),
        ("response_json_schema_ordered", "responseJsonSchema"),
    ] {
        let json = format!(r#"{{"generationConfig":{{"{given}":{{"b":1,"a":2}}}}}}"#);
        assert_eq!(emitted(&json), format!(r#"{{"generationConfig":{{"{written}":{{"b":1,"a":2}}}}}}"#));
    }
}

#[test]
fn a_single_json_schema_is_sent_upstream_under_its_common_name() {
    for given in ["_responseJsonSchema", "response_json_schema", "responseJsonSchema", "response_json_schema_ordered"] {
        let wire = to_wire(REQUEST, format!(r#"{{"generationConfig":{{"{given}":{{"b":1,"a":2}}}}}}"#).as_bytes());
        let sent = request(&[&wire.unwrap()]).unwrap().json;
        assert_eq!(sent, br#"{"generationConfig":{"responseJsonSchema":{"b":1,"a":2}}}"#, "{given}");
    }
    let both = br#"{"generationConfig":{"_responseJsonSchema":{"a":1},"responseJsonSchema":{"b":1}}}"#;
    let wire = to_wire(REQUEST, both).unwrap();
    assert_eq!(request(&[&wire]).unwrap().json, both);
}

#[test]
fn an_additional_field_may_not_have_the_name_that_a_json_schema_is_written_under() {
    let mut config = to_wire("mountsea.gemini.v1.GenerationConfig", br#"{"_responseJsonSchema":1}"#).unwrap();
    let extra = to_wire("google.protobuf.Struct", br#"{"responseJsonSchema":1}"#).unwrap();
    config.extend_from_slice(&[0xba, 0xa3, 0x09, extra.len() as u8]);
    config.extend_from_slice(&extra);
    let error = to_json("mountsea.gemini.v1.GenerationConfig", &config).unwrap_err();
    assert_eq!(error.problem(), Problem::Collision("response_json_schema_ordered"));
}

#[test]
fn numbers_are_read_in_every_form_and_written_in_the_shortest() {
    let json = r#"{"generationConfig":{"topK":40.0,"maxOutputTokens":"7","temperature":0.95,"seed":0,"responseSchema":{"minLength":"3","maxLength":9007199254740993,"minimum":-0.0}}}"#;
    assert_eq!(
        emitted(json),
        r#"{"generationConfig":{"maxOutputTokens":7,"temperature":0.95,"topK":40,"seed":0,"responseSchema":{"minimum":-0.0,"minLength":"3","maxLength":"9007199254740993"}}}"#
    );
    assert_eq!(
        refused(r#"{"generationConfig":{"topK":40.5}}"#),
        "generation_config.top_k: a whole number was expected"
    );
    assert_eq!(
        refused(r#"{"generationConfig":{"topK":3000000000}}"#),
        "generation_config.top_k: the number does not fit 32 bits"
    );
    assert_eq!(
        refused(r#"{"generationConfig":{"temperature":1e39}}"#),
        "generation_config.temperature: the number does not fit a 32-bit float"
    );
    assert_eq!(
        refused(r#"{"generationConfig":{"temperature":"inf"}}"#),
        "generation_config.temperature: a number was expected"
    );
}

#[test]
fn an_enum_is_read_in_any_case_or_as_a_number() {
    let json = r#"{"generationConfig":{"responseModalities":["image",1,"Audio",77]},"serviceTier":"FLEX"}"#;
    assert_eq!(
        emitted(json),
        r#"{"generationConfig":{"responseModalities":["IMAGE","TEXT","AUDIO",77]},"serviceTier":"flex"}"#
    );
}

#[test]
fn an_unknown_enum_name_is_kept_under_the_name_of_its_member() {
    let json = r#"{"candidates":[{"index":0,"finishReason":"TIRED"}],"usageMetadata":{"promptTokenCount":1}}"#;
    let wire = to_wire(RESPONSE, json.as_bytes()).unwrap();
    assert_eq!(to_json(RESPONSE, &wire).unwrap(), json.as_bytes());
    let json = r#"{"generationConfig":{"responseModalities":["TEXT","HOLOGRAM"]}}"#;
    assert_eq!(emitted(json), json);
}

#[test]
fn unknown_members_go_to_additional_fields_and_back_in_the_same_order() {
    let json = r#"{"contents":[{"parts":[{"text":"a","zeta":[1,{"y":null,"x":"\u00e9"}],"alpha":2.5}]}],"newThing":{"b":1,"a":true}}"#;
    assert_eq!(emitted(json), json.replace("\\u00e9", "é"));
}

#[test]
fn an_additional_field_may_not_hide_a_known_member() {
    let given = r#"{"contents":[]}"#;
    let mut wire = to_wire(REQUEST, given.as_bytes()).unwrap();
    let extra = to_wire("google.protobuf.Struct", br#"{"contents":1}"#).unwrap();
    wire.extend_from_slice(&[0xba, 0xa3, 0x09, extra.len() as u8]);
    wire.extend_from_slice(&extra);
    let error = to_json(REQUEST, &wire).unwrap_err();
    assert_eq!(error.path(), "additional_fields");
    assert_eq!(error.problem(), Problem::Collision("contents"));
}

#[test]
fn base64_is_read_in_both_alphabets_with_and_without_padding() {
    for data in ["+/8=", "-_8=", "-_8", "+/8", "\\u002b\\/8="] {
        let json = format!(r#"{{"contents":[{{"parts":[{{"thoughtSignature":"{data}"}}]}}]}}"#);
        assert_eq!(emitted(&json), r#"{"contents":[{"parts":[{"thoughtSignature":"+/8="}]}]}"#, "{data}");
    }
    assert_eq!(
        refused(r#"{"contents":[{"parts":[{"text":""},{"inlineData":{"data":"?"}}]}]}"#),
        "contents[0].parts[1].inline_data.data: base64 was expected"
    );
}

#[test]
fn null_means_absent_except_for_a_protobuf_value() {
    let json = r#"{"contents":null,"generationConfig":{"temperature":null,"stopSequences":null,"responseSchema":{"type":null,"default":null,"properties":{"a":{"example":null}}}}}"#;
    assert_eq!(
        emitted(json),
        r#"{"generationConfig":{"responseSchema":{"properties":{"a":{"example":null}},"default":null}}}"#
    );
}

#[test]
fn explicit_zeros_empty_messages_and_empty_texts_stay() {
    let json = r#"{"contents":[{"parts":[{"text":""}]}],"generationConfig":{"temperature":0,"thinkingConfig":{"includeThoughts":false,"thinkingBudget":0}},"tools":[{"codeExecution":{}},{"googleSearch":{}}],"store":false}"#;
    assert_eq!(emitted(json), json);
}

#[test]
fn durations_and_times_are_strings() {
    let json = r#"{"contents":[{"parts":[{"text":"","videoMetadata":{"startOffset":"0s","endOffset":"1.5s"}}]}],"tools":[{"googleSearch":{"timeRangeFilter":{"startTime":"2025-01-02T03:04:05.678900+00:00"}}}]}"#;
    let written = emitted(json);
    assert!(written.contains(r#""startOffset":"0s","endOffset":"1.500s""#), "{written}");
    assert!(written.contains(r#""startTime":"2025-01-02T03:04:05.678900Z""#), "{written}");
}

#[test]
fn an_error_has_the_path_of_its_field() {
    for (json, error) in [
        ("", "the JSON ends too early"),
        ("[]", "an object was expected"),
        ("{} x", "something follows the JSON value"),
        (r#"{"contents":{}}"#, "contents: a list was expected"),
        (r#"{"contents":[{"parts":[{"text":1}]}]}"#, "contents[0].parts[0].text: a string was expected"),
        (
            r#"{"contents":[{"parts":[{"text":"a","inlineData":{}}]}]}"#,
            r#"contents[0].parts[0].inline_data: another member of the oneof "data" is given too; only one may be"#,
        ),
        (r#"{"model":"a","model":"b"}"#, "model: the member is given twice"),
        ("{\"model\":\"a\nb\"}", "model: the JSON is not well formed"),
        (r#"{"model":"\ud800x"}"#, "model: the JSON is not well formed"),
        (r#"{"new":01}"#, "the JSON is not well formed"),
    ] {
        assert_eq!(refused(json), error, "{json}");
    }
}

#[test]
fn nesting_stops_at_the_same_depth_in_both_directions() {
    let nested = |n: usize| format!(r#"{{"toolConfig":{{"x":{}1{}}}}}"#, "[".repeat(n), "]".repeat(n));
    let fits = nested(MAX_DEPTH - 2);
    assert_eq!(emitted(&fits), fits);
    assert!(refused(&nested(MAX_DEPTH - 1)).ends_with("nests deeper than 100 levels"));
    let mut wire = Vec::new();
    for _ in 0..MAX_DEPTH {
        let mut outer = Vec::new();
        wire::put_tag(&mut outer, 6, wire::WireType::Len);
        wire::put_varint(&mut outer, wire.len() as u64);
        outer.append(&mut wire);
        wire = outer;
    }
    assert_eq!(to_json("mountsea.gemini.v1.Schema", &wire).unwrap_err().problem(), Problem::TooDeep);
}

#[test]
fn a_list_counts_as_a_level_in_both_directions() {
    // The levels are the request, the configuration, the schema, and two for each list.
    let json = |n: usize| {
        let schema = format!("{}{{}}{}", r#"{"anyOf":["#.repeat(n), "]}".repeat(n));
        format!(r#"{{"generationConfig":{{"responseSchema":{schema}}}}}"#)
    };
    assert_eq!(emitted(&json(48)), json(48));
    assert!(refused(&json(49)).ends_with("nests deeper than 100 levels"));
    let wire = |n: usize| {
        (0..n).fold(Vec::new(), |inner, _| {
            let mut outer = Vec::new();
            wire::put_tag(&mut outer, 18, wire::WireType::Len);
            wire::put_varint(&mut outer, inner.len() as u64);
            [outer, inner].concat()
        })
    };
    let written = to_json("mountsea.gemini.v1.Schema", &wire(49)).unwrap();
    assert_eq!(to_wire("mountsea.gemini.v1.Schema", &written).unwrap(), wire(49));
    assert_eq!(to_json("mountsea.gemini.v1.Schema", &wire(50)).unwrap_err().problem(), Problem::TooDeep);
}

#[test]
fn a_message_in_several_fragments_is_merged_as_protobuf_requires() {
    let one = to_wire(REQUEST, br#"{"generationConfig":{"topK":1,"stopSequences":["a"]},"model":"m"}"#).unwrap();
    let two =
        to_wire(REQUEST, br#"{"generationConfig":{"topK":2,"stopSequences":["b"],"imageConfig":{"imageSize":"2K"}}}"#)
            .unwrap();
    let json = request(&[&one, &two]).unwrap().json;
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"generationConfig":{"stopSequences":["a","b"],"topK":2,"imageConfig":{"imageSize":"2K"}}}"#
    );
    let part = |json: &str| to_wire("mountsea.gemini.v1.Part", json.as_bytes()).unwrap();
    let last_wins =
        [part(r#"{"text":"a"}"#), part(r#"{"fileData":{"fileUri":"u"}}"#), part(r#"{"text":"b"}"#)].concat();
    assert_eq!(to_json("mountsea.gemini.v1.Part", &last_wins).unwrap(), br#"{"text":"b"}"#);
}

#[test]
fn the_value_of_a_map_entry_is_merged_too() {
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        wire::put_tag(&mut out, number, wire::WireType::Len);
        wire::put_varint(&mut out, bytes.len() as u64);
        [&out, bytes].concat()
    };
    let value = |json: &str| field(2, &to_wire("mountsea.gemini.v1.Schema", json.as_bytes()).unwrap());
    let entry = [value(r#"{"type":"STRING","title":"a"}"#), field(1, b"key"), value(r#"{"title":"b"}"#)].concat();
    let json = to_json("mountsea.gemini.v1.Schema", &field(7, &entry)).unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"properties":{"key":{"type":"STRING","title":"b"}}}"#);
}

#[test]
fn only_the_lower_32_bits_of_an_int32_decide_whether_it_is_zero() {
    let mut segment = Vec::new();
    for (number, value) in [(1, 1 << 32), (2, 5 << 32 | 7)] {
        wire::put_tag(&mut segment, number, wire::WireType::Varint);
        wire::put_varint(&mut segment, value);
    }
    assert_eq!(to_json("mountsea.gemini.v1.Segment", &segment).unwrap(), br#"{"startIndex":7}"#);
}

#[test]
fn an_unescaped_line_break_in_a_string_is_refused_even_in_base64() {
    assert_eq!(
        refused("{\"contents\":[{\"parts\":[{\"thoughtSignature\":\"AQ\n==\"}]}]}"),
        "contents[0].parts[0].thought_signature: the JSON is not well formed"
    );
    let json = r#"{"contents":[{"parts":[{"thoughtSignature":"AQ\n=="}]}]}"#;
    assert_eq!(emitted(json), r#"{"contents":[{"parts":[{"thoughtSignature":"AQ=="}]}]}"#);
}

#[test]
fn a_group_is_skipped_as_an_unknown_field_and_refused_as_a_known_one() {
    let group = |number: u8| vec![number << 3 | 3, 0x08, 0x01, number << 3 | 4];
    assert_eq!(to_json("mountsea.gemini.v1.Segment", &group(15)).unwrap(), b"{}");
    assert_eq!(request(&[&group(15)]).unwrap().unknown_fields, 1);
    for name in ["mountsea.gemini.v1.Segment", "mountsea.gemini.v1.Part", "google.protobuf.Struct"] {
        let number = if name.ends_with("Part") { 2 } else { 1 };
        assert_eq!(to_json(name, &group(number)).unwrap_err().problem(), Problem::WireType, "{name}");
    }
}

#[test]
fn members_are_read_in_any_order_whatever_order_was_learned_before() {
    let orders = [
        r#"{"contents":[],"store":true,"new":1}"#,
        r#"{"store":true,"new":1,"contents":[]}"#,
        r#"{"new":1,"store" : true}"#,
        r#"{"store":true , "new":1}"#,
    ];
    for json in orders.iter().chain(&orders) {
        assert_eq!(emitted(json), r#"{"store":true,"new":1}"#, "{json}");
    }
    let own_name = r#"{"tools":[{"urlContext":{"additionalFields":1}}]}"#;
    assert_eq!([emitted(own_name), emitted(own_name)], [own_name, own_name]);
}

#[test]
fn unknown_members_are_reported_by_name() {
    let json = br#"{"news":1,"candidates":[{"content":{"parts":[{"text":"x","later":true}]},"finishReason":"TIRED"}]}"#;
    let names = response(json).unwrap().unknown_members;
    assert_eq!(names, ["later", "finishReason", "news"]);
    let many: Vec<_> = (0..100).map(|number| format!("\"m{number}\":0")).collect();
    assert_eq!(response(format!("{{{}}}", many.join(",")).as_bytes()).unwrap().unknown_members.len(), 16);
}
