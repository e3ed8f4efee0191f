//! Fuzzes requests, as bytes in protobuf's wire format.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use gemini_grpc::gemini::catalog::Catalog;
use gemini_grpc::gemini::json::{self, Problem, RequestLimits, measure, to_json, to_wire};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use gemini_grpc::gemini::validate::{Options, ValidateError, validate};
use gemini_grpc::gemini::view::{ReadError, RequestView};
use gemini_grpc::pb;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;
use serde_json::Value;

const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
/// The maximum size of a violation, which is a path and a sentence: an error must fit into headers.
const MAX_VIOLATION_BYTES: usize = 1 << 10;
/// The maximum number of steps of a translation, for each byte of the message and in addition. A message is read at most
/// once for each of its list fields.
const MAX_STEPS_PER_BYTE: usize = 32;
const MAX_FIXED_STEPS: usize = 1_000;

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::default);

/// The names of all members that are enums, in both spellings.
static ENUMS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages: Vec<_> = set.file.into_iter().flat_map(|file| file.message_type).collect();
    let mut names = BTreeSet::new();
    while let Some(message) = messages.pop() {
        messages.extend(message.nested_type);
        for field in message.field.into_iter().filter(|field| field.r#type() == Type::Enum) {
            names.extend([field.name, field.json_name].into_iter().flatten());
        }
    }
    names
});

fuzz_target!(|wire: &[u8]| {
    every_violation_is_short(wire);
    let result = translate(&[wire]);
    the_measured_length_is_that_of_the_json(wire, &result);
    match result {
        Ok(request) => {
            the_output_is_valid_json(&request.json);
            json_becomes_the_same_request(wire, &request.json);
            prost_reads_the_same_request(wire, &request.json);
            a_second_part_is_read_like_appended_bytes(wire);
        }
        Err(error) => a_request_that_prost_reads_is_refused_only_because_of_json(wire, error.problem()),
    }
});

fn every_violation_is_short(wire: &[u8]) {
    // Each field or element has at least one byte and takes one step each time it is read, and it is read a few times.
    let mut steps = Steps::at_most(8 * wire.len() as u64 + 8);
    let slow = |error| assert_eq!(error, ReadError::Unreadable, "{} bytes take too long", wire.len());
    let view = match RequestView::read(wire, &mut steps) {
        Ok(view) => view,
        Err(error) => return slow(error),
    };
    for image_default_modalities in [false, true] {
        let options = Options { image_default_modalities, path_model: None };
        let violations = match validate(&view, &CATALOG, options, &mut steps) {
            Err(ValidateError::Violations(violations)) => violations,
            Err(ValidateError::Read(error)) => return slow(error),
            Ok(_) => continue,
        };
        assert!(violations.iter().len() > 0);
        for violation in violations.iter() {
            assert!(violation.field.len() + violation.description.len() < MAX_VIOLATION_BYTES, "{violation:?}");
        }
    }
}

/// Translates a request; an input that takes too many steps is a failure.
fn translate(parts: &[&[u8]]) -> Result<json::Request, json::Error> {
    let budget = parts.concat().len() * MAX_STEPS_PER_BYTE + MAX_FIXED_STEPS;
    let result = json::request(
        Method::GenerateContent,
        parts,
        RequestLimits::default(),
        None,
        &mut Steps::at_most(budget as u64),
    );
    assert!(!is_interrupted(&result), "it took more than {budget} steps");
    result
}

fn is_interrupted<T>(result: &Result<T, json::Error>) -> bool {
    result.as_ref().is_err_and(|error| error.problem() == Problem::Interrupted)
}

fn the_measured_length_is_that_of_the_json(wire: &[u8], result: &Result<json::Request, json::Error>) {
    let budget = wire.len() * MAX_STEPS_PER_BYTE + MAX_FIXED_STEPS;
    match (
        measure(Method::GenerateContent, &[wire], RequestLimits::default(), &mut Steps::at_most(budget as u64)),
        result,
    ) {
        (Ok(length), Ok(request)) => assert_eq!(length, request.json.len()),
        (Ok(_), Err(error)) => assert_eq!(error.problem(), Problem::Utf8),
        (Err(measured), Err(error)) if error.problem() != Problem::Utf8 => assert_eq!(measured, *error),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => panic!("{error}"),
    }
}

fn the_output_is_valid_json(json: &[u8]) {
    let text = str::from_utf8(json).unwrap();
    // Not parsed as a Value, because serde_json reads some of the largest doubles as infinite.
    serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap();
}

fn json_becomes_the_same_request(wire: &[u8], json: &[u8]) {
    let again = to_wire(REQUEST, json).and_then(|wire| to_json(REQUEST, &wire));
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    // A single schema is read as the other field with that name, and is then written at another place.
    let has_schema = memchr::memmem::find(json, b"\"responseJsonSchema\"").is_some();
    if again.as_ref().is_ok_and(|again| again == json || (has_schema && value(again) == value(json))) {
        return;
    }
    // A caller may put an enum value with a new name into the additional fields; this test does not check whether it is new.
    let names_an_enum = ENUMS.iter().any(|name| memchr::memmem::find(wire, name.as_bytes()).is_some());
    let shown = String::from_utf8_lossy(json);
    assert!(names_an_enum, "{shown}\nbecame {:?}", again.as_deref().map(String::from_utf8_lossy));
    if let Ok(again) = again {
        let stable = to_json(REQUEST, &to_wire(REQUEST, &again).unwrap()).unwrap();
        assert_eq!(again, stable, "{shown}");
    }
}

/// The gateway uses a second part to add fields that a caller left out.
fn a_second_part_is_read_like_appended_bytes(wire: &[u8]) {
    const TEXT_AND_IMAGE: &[u8] = &[0x22, 5, 0xa2, 1, 2, 1, 2];
    let read = |parts: &[&[u8]]| translate(parts).map(|request| request.json);
    assert_eq!(read(&[wire, TEXT_AND_IMAGE]), read(&[&[wire, TEXT_AND_IMAGE].concat()]));
}

/// prost writes fields in order and in one place, although they may be in any order and in several places in the input.
fn prost_reads_the_same_request(wire: &[u8], json: &[u8]) {
    let Ok(message) = pb::gemini::GenerateContentRequest::decode(wire) else { return };
    let settled = translate(&[&message.encode_to_vec()]).unwrap();
    // prost treats minus zero in a field without presence as absent.
    if memchr::memmem::find(json, b"-0.0").is_some() {
        return;
    }
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    assert_eq!(value(json), value(&settled.json));
}

fn a_request_that_prost_reads_is_refused_only_because_of_json(wire: &[u8], problem: Problem) {
    use Problem::{Collision, Duration, NotFinite, Timestamp, TooDeep};
    let of_json = matches!(problem, Collision(_) | Duration | NotFinite | Timestamp | TooDeep);
    assert!(of_json || pb::gemini::GenerateContentRequest::decode(wire).is_err(), "{problem:?}");
}
