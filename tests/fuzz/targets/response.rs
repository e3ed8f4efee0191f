//! What upstream answers, as JSON.
#![no_main]

use gemini_grpc::gemini::json::{self, Problem, to_json, to_wire};
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::gemini::view::ResponseView;
use gemini_grpc::pb::gemini::GenerateContentResponse;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";
const BOM: &[u8] = b"\xEF\xBB\xBF";

fuzz_target!(|json: &[u8]| {
    let Ok(json::Response { message: wire, .. }) = json::response(json) else { return };
    what_is_read_is_json(json);
    // `[1,1,1]` grows the most: two bytes become a tag, a length, a tag and a double.
    assert!(wire.len() <= 8 * json.len() + 64, "{} bytes became {}", json.len(), wire.len());
    // The gateway would not see that the answer is finished.
    ResponseView::read(&wire, &mut Steps::at_most(8 * wire.len() as u64 + 8)).unwrap();
    let message = decode(&wire);
    match to_json(RESPONSE, &wire) {
        Ok(written) => it_becomes_the_same_answer(message, &written),
        // It can be read, as a string, and has no form to be written in.
        Err(error) => assert_eq!(error.problem(), Problem::NotFinite),
    }
});

fn what_is_read_is_json(json: &[u8]) {
    let text = str::from_utf8(json.strip_prefix(BOM).unwrap_or(json)).unwrap();
    // Not a Value: serde_json takes some of the largest doubles for infinite.
    serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap();
}

/// `None`: it nests deeper than clients read. A level of JSON without a schema is three messages.
fn decode(wire: &[u8]) -> Option<GenerateContentResponse> {
    match GenerateContentResponse::decode(wire) {
        Ok(message) => Some(message),
        Err(error) if error.to_string().contains("recursion limit") => None,
        Err(error) => panic!("{error}"),
    }
}

fn it_becomes_the_same_answer(message: Option<GenerateContentResponse>, json: &[u8]) {
    let again = to_wire(RESPONSE, json).unwrap();
    assert_eq!(decode(&again), message, "{}", String::from_utf8_lossy(json));
    assert_eq!(to_json(RESPONSE, &again).unwrap(), json);
}
