//! Wire bytes and JSON that are sound.

use gemini_grpc::gemini::json::{self, Problem, RequestLimits, to_json, to_wire};
use gemini_grpc::gemini::steps::Steps;
use proptest::prelude::*;
use serde_json::Value;

use crate::catalogue::{REQUEST, RESPONSE};
use crate::harness::for_all;
use crate::quirks::{additional_beside_the_known, comparable};
use crate::spell::Speller;
use crate::{loose, oracle, wire};

#[test]
fn wire_becomes_the_json_that_the_oracle_writes() {
    for_all(|case, _| {
        let ours = to_json(case.name(), &case.wire).unwrap();
        let (ours, oracle) = comparable(&case.kind, &ours, &oracle::to_text(&case.message).unwrap());
        prop_assert_eq!(ours, oracle);
        Ok(())
    });
}

#[test]
fn json_that_the_oracle_writes_becomes_the_same_message() {
    for_all(|case, _| {
        let json = additional_beside_the_known(&case.kind, oracle::to_value(&case.message).unwrap()).to_string();
        let wire = to_wire(case.name(), json.as_bytes()).unwrap();
        let message = oracle::decode(&case.kind, &wire).unwrap();
        // Not prop_assert_eq: a message's Debug goes through all descriptors, and they through each other.
        prop_assert!(message == oracle::settled(&case.message), "{} became {:02x?}", json, wire);
        Ok(())
    });
}

#[test]
fn canonical_wire_survives_json_byte_for_byte() {
    for_all(|case, _| {
        let json = to_json(case.name(), &case.wire).unwrap();
        let wire = to_wire(case.name(), &json).unwrap();
        prop_assert!(wire == case.wire, "became {:02x?} by {}", wire, String::from_utf8_lossy(&json));
        Ok(())
    });
}

#[test]
fn json_reads_the_same_however_it_is_spelled() {
    for_all(|case, dice| {
        let shuffle = dice.one_in(2);
        let spelled = Speller { dice, shuffle }.message(&case.tree);
        let wire = to_wire(case.name(), spelled.as_bytes());
        prop_assert!(wire.is_ok(), "{:?}: {}", wire, spelled);
        let wire = wire.unwrap();
        // Members that changed places did so on the wire, which means nothing.
        prop_assert!(shuffle || wire == case.wire, "{} became {:02x?}", spelled, wire);
        let plain = to_json(case.name(), &case.wire).unwrap();
        let json = to_json(case.name(), &wire).unwrap();
        prop_assert_eq!(String::from_utf8(json), String::from_utf8(plain), "{}", spelled);
        Ok(())
    });
}

#[test]
fn wire_in_any_valid_form_reads_as_the_oracle_reads_it() {
    for_all(|case, dice| {
        let wire = loose::message(&case.tree, dice);
        let message = oracle::decode(&case.kind, &wire);
        prop_assert!(message.is_some(), "not valid: {:02x?}", wire);
        match to_json(case.name(), &wire) {
            Ok(json) => {
                let (ours, oracle) = comparable(&case.kind, &json, &oracle::to_text(&message.unwrap()).unwrap());
                prop_assert_eq!(ours, oracle, "{:02x?}", wire);
            }
            // What may come of two messages that merge.
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
fn the_doors_of_the_gateway_lead_to_the_same_translator() {
    for_all(|case, dice| {
        match case.name() {
            REQUEST => {
                // A field can be added by a second part; the model belongs into the path.
                let (one, two) = case.tree.fields.split_at(dice.below(case.tree.fields.len() + 1));
                let [one, two] = [one, two].map(|fields| {
                    let mut part = case.tree.clone();
                    part.fields = fields.to_vec();
                    wire::message(&part)
                });
                let request =
                    json::request(&[&one, &two], RequestLimits::default(), None, &mut Steps::unlimited()).unwrap();
                let mut whole: Value = serde_json::from_slice(&to_json(REQUEST, &case.wire).unwrap()).unwrap();
                whole.as_object_mut().unwrap().shift_remove("model");
                call_the_only_schema_by_its_short_name(&mut whole);
                prop_assert_eq!(serde_json::from_slice::<Value>(&request.json).unwrap(), whole);
                prop_assert_eq!(request.unknown_fields, 0);
            }
            RESPONSE => {
                let json = to_json(RESPONSE, &case.wire).unwrap();
                // An empty name of an enum is as null in an answer.
                if !String::from_utf8_lossy(&json).contains(r#":"""#) {
                    let read = json::response(&json, None, &mut Steps::unlimited()).unwrap();
                    prop_assert_eq!(read.message, case.wire.clone());
                    prop_assert_eq!(read.oddities, []);
                }
            }
            _ => {}
        }
        Ok(())
    });
}

/// As a REST call has it: without the other schema, `_responseJsonSchema` is called as everybody calls it.
fn call_the_only_schema_by_its_short_name(request: &mut Value) {
    let Some(config) = request.get_mut("generationConfig").and_then(Value::as_object_mut) else { return };
    if !config.contains_key("responseJsonSchema")
        && let Some(schema) = config.remove("_responseJsonSchema")
    {
        config.insert("responseJsonSchema".to_owned(), schema);
    }
}
