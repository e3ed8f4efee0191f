//! Fuzzes responses of upstream, as JSON.
#![no_main]

use gemini_grpc::gemini::json::{self, CallerSchema, Problem, SurrogateJoiner, to_json};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::gemini::view::ResponseView;
use gemini_grpc::pb::gemini::GenerateContentResponse;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";
/// The maximum number of steps of a translation, for each byte of the text and in addition. More steps are a failure.
const MAX_STEPS_PER_BYTE: usize = 16;
const MAX_FIXED_STEPS: usize = 1_000;
/// A key of the gateway that a response may contain. Its hyphen occurs neither in base64 nor in names of the schema.
const KEY: &str = "s3-key";

fuzz_target!(|json: &[u8]| {
    let budget = json.len() * MAX_STEPS_PER_BYTE + MAX_FIXED_STEPS;
    let result = json::response(json, None, &mut Steps::at_most(budget as u64));
    if result.as_ref().is_err_and(|error| error.problem() == Problem::Interrupted) {
        panic!("it took more than {budget} steps");
    }
    let Ok(json::Response { message: wire, anomalies, .. }) = result else { return };
    no_text_has_the_key(json);
    events_are_messages_too(json);
    // `[1,1,1]` grows most: two bytes become a tag, a length, a tag and a double.
    assert!(wire.len() <= 8 * json.len() + 64, "{} bytes became {}", json.len(), wire.len());
    // If this failed, the gateway would not notice that the response is finished.
    ResponseView::read(&wire, &mut Steps::at_most(8 * wire.len() as u64 + 8)).unwrap();
    let message = decode(&wire);
    match to_json(RESPONSE, &wire) {
        // If a member occurred twice, one may have been kept and the other not.
        Ok(_) if anomalies.iter().any(|anomaly| anomaly.first.contains("twice")) => {}
        // A member that is not valid JSON was left out.
        Ok(_) if anomalies.iter().any(|anomaly| anomaly.member == "additionalFields") => {}
        Ok(written) => it_becomes_the_same_response(message, &written),
        // A number that is not finite can be read from a string, but not written as JSON. A member that occurred twice may
        // exist in both forms.
        Err(error) => assert!(matches!(error.problem(), Problem::NotFinite | Problem::Collision(_)), "{error}"),
    }
});

fn no_text_has_the_key(json: &[u8]) {
    let secret = memchr::memmem::Finder::new(KEY);
    let answer = json::response(json, Some(&secret), &mut Steps::unlimited()).unwrap();
    assert!(answer.unknown_members.iter().all(|name| !name.contains(KEY)));
    let Ok(written) = to_json(RESPONSE, &answer.message) else { return };
    let Ok(value) = serde_json::from_slice(&written) else { return };
    assert!(!has_key(&value), "{}", String::from_utf8_lossy(&written));
}

fn has_key(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains(KEY),
        serde_json::Value::Array(values) => values.iter().any(has_key),
        serde_json::Value::Object(members) => members.iter().any(|(name, value)| name.contains(KEY) || has_key(value)),
        _ => false,
    }
}

/// The same text twice in a stream, for a client with Google's schema. Halves of surrogate pairs are joined or replaced.
fn events_are_messages_too(json: &[u8]) {
    let (mut surrogates, mut steps) = (SurrogateJoiner::default(), Steps::unlimited());
    for is_last in [false, true] {
        let mut event = json::event(Method::GenerateContent, json, None, CallerSchema::Google, &mut steps).unwrap();
        if event.has_split_surrogates || surrogates.is_waiting() {
            surrogates.join(&mut event.response, is_last, &mut steps).unwrap();
        }
        decode(&event.response.message);
    }
}

/// `None` if the message is nested deeper than clients read. A level of JSON without a schema is three messages.
fn decode(wire: &[u8]) -> Option<GenerateContentResponse> {
    match GenerateContentResponse::decode(wire) {
        Ok(message) => Some(message),
        Err(error) if error.to_string().contains("recursion limit") => None,
        Err(error) => panic!("{error}"),
    }
}

/// Members that could not be read and were kept as they are must be kept in the same way when they are read again.
fn it_becomes_the_same_response(message: Option<GenerateContentResponse>, json: &[u8]) {
    let again = json::response(json, None, &mut Steps::unlimited()).unwrap().message;
    assert_eq!(decode(&again), message, "{}", String::from_utf8_lossy(json));
    assert_eq!(to_json(RESPONSE, &again).unwrap(), json);
}
