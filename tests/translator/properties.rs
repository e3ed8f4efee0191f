//! Valid wire bytes and JSON are translated as prost-reflect does it, and back without loss.

use gemini_grpc::gemini::json::{self, Problem, RequestLimits, to_json, to_wire};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use proptest::prelude::*;
use serde_json::Value;

use crate::catalogue::{REQUEST, RESPONSE};
use crate::harness::for_all;
use crate::quirks::{comparable, with_additional_fields_inlined};
use crate::spelling::Speller;
use crate::{non_canonical, oracle, wire};

#[test]
fn wire_is_written_as_the_same_json_as_by_the_oracle() {
    for_all(|case, _| {
        let ours = to_json(case.name(), &case.wire).unwrap();
        let (ours, oracle) = comparable(&case.kind, &ours, &oracle::to_text(&case.message).unwrap());
        prop_assert_eq!(ours, oracle);
        Ok(())
    });
}

#[test]
fn json_of_the_oracle_is_read_as_the_same_message() {
    for_all(|case, _| {
        let json = with_additional_fields_inlined(&case.kind, oracle::to_value(&case.message).unwrap()).to_string();
        let wire = to_wire(case.name(), json.as_bytes()).unwrap();
        let message = oracle::decode(&case.kind, &wire).unwrap();
        // Not prop_assert_eq: the Debug output of a message contains all descriptors.
        prop_assert!(message == oracle::without_absent_values(&case.message), "{} became {:02x?}", json, wire);
        Ok(())
    });
}

#[test]
fn canonical_wire_is_the_same_after_a_round_trip_through_json() {
    for_all(|case, _| {
        let json = to_json(case.name(), &case.wire).unwrap();
        let wire = to_wire(case.name(), &json).unwrap();
        prop_assert!(wire == case.wire, "became {:02x?} by {}", wire, String::from_utf8_lossy(&json));
        Ok(())
    });
}

#[test]
fn json_in_any_accepted_spelling_is_read_as_the_same_message() {
    for_all(|case, dice| {
        let shuffle = dice.one_in(2);
        let spelled = Speller { dice, shuffle }.message(&case.tree);
        let wire = to_wire(case.name(), spelled.as_bytes());
        prop_assert!(wire.is_ok(), "{:?}: {}", wire, spelled);
        let wire = wire.unwrap();
        // Shuffled members are in the same order on the wire, where order has no meaning.
        prop_assert!(shuffle || wire == case.wire, "{} became {:02x?}", spelled, wire);
        let plain = to_json(case.name(), &case.wire).unwrap();
        let json = to_json(case.name(), &wire).unwrap();
        prop_assert_eq!(String::from_utf8(json), String::from_utf8(plain), "{}", spelled);
        Ok(())
    });
}

#[test]
fn wire_in_any_valid_form_is_read_as_the_oracle_reads_it() {
    for_all(|case, dice| {
        let wire = non_canonical::message(&case.tree, dice);
        let message = oracle::decode(&case.kind, &wire);
        prop_assert!(message.is_some(), "not valid: {:02x?}", wire);
        match to_json(case.name(), &wire) {
            Ok(json) => {
                let (ours, oracle) = comparable(&case.kind, &json, &oracle::to_text(&message.unwrap()).unwrap());
                prop_assert_eq!(ours, oracle, "{:02x?}", wire);
            }
            // Errors that can result from merging two messages.
            Err(error) => prop_assert!(
                matches!(error.problem(), Problem::Collision(_) | Problem::Duration | Problem::Timestamp),
                "{:?}",
                error
            ),
        }
        Ok(())
    });
}

#[test]
fn request_and_response_translate_as_to_json_and_to_wire_do() {
    for_all(|case, dice| {
        match case.name() {
            REQUEST => {
                // The message may come in two parts, and the model is left out, since REST has it in the path.
                let (one, two) = case.tree.fields.split_at(dice.below(case.tree.fields.len() + 1));
                let [one, two] = [one, two].map(|fields| {
                    let mut part = case.tree.clone();
                    part.fields = fields.to_vec();
                    wire::message(&part)
                });
                let request = json::request(
                    Method::GenerateContent,
                    &[&one, &two],
                    RequestLimits::default(),
                    None,
                    &mut Steps::unlimited(),
                )
                .unwrap();
                let mut whole: Value = serde_json::from_slice(&to_json(REQUEST, &case.wire).unwrap()).unwrap();
                whole.as_object_mut().unwrap().shift_remove("model");
                use_short_name_of_single_schema(&mut whole);
                prop_assert_eq!(serde_json::from_slice::<Value>(&request.json).unwrap(), whole);
                prop_assert_eq!(request.unknown_fields, 0);
            }
            RESPONSE => {
                let json = to_json(RESPONSE, &case.wire).unwrap();
                // In a response an empty enum name means null, so such a message would not be the same.
                if !String::from_utf8_lossy(&json).contains(r#":"""#) {
                    let read = json::response(&json, None, &mut Steps::unlimited()).unwrap();
                    prop_assert_eq!(read.message, case.wire.clone());
                    prop_assert_eq!(read.anomalies, []);
                }
            }
            _ => {}
        }
        Ok(())
    });
}

/// Renames `_responseJsonSchema` to `responseJsonSchema` if there is no member with that name, as requests to upstream
/// do.
fn use_short_name_of_single_schema(request: &mut Value) {
    let Some(config) = request.get_mut("generationConfig").and_then(Value::as_object_mut) else { return };
    if !config.contains_key("responseJsonSchema")
        && let Some(schema) = config.remove("_responseJsonSchema")
    {
        config.insert("responseJsonSchema".to_owned(), schema);
    }
}
