//! Damaged wire bytes and JSON give either a message or an error, never a panic.

use std::cell::Cell;

use gemini_grpc::gemini::json::{Problem, to_json, to_wire};
use proptest::prelude::*;
use serde_json::Value;

use crate::dice::Dice;
use crate::harness::{MIN_MESSAGES, for_all};
use crate::quirks::{comparable, tokens};
use crate::spelling::Speller;
use crate::{generate, non_canonical, oracle, wire};

#[test]
fn damaged_wire_is_refused_or_read_as_the_oracle_reads_it() {
    let compared = Cell::new(0);
    for_all(|case, dice| {
        let mut bytes = if dice.one_in(2) { non_canonical::message(&case.tree, dice) } else { case.wire.clone() };
        for _ in 0..=dice.below(3) {
            if dice.one_in(5) {
                bytes.extend(wire::message(&generate::message(dice, &case.kind, 2, None)));
            } else {
                damage(&mut bytes, &[], dice);
            }
        }
        let Ok(ours) = to_json(case.name(), &bytes) else { return Ok(()) };
        let json = serde_json::from_slice::<Value>(&ours);
        prop_assert!(json.is_ok(), "{}", String::from_utf8_lossy(&ours));
        // The oracle also reads values that are replaced by later ones, and fails if those are invalid.
        if let Some(oracle) = oracle::decode(&case.kind, &bytes).and_then(|message| oracle::to_text(&message)) {
            let (ours, oracle) = comparable(&case.kind, &ours, &oracle);
            prop_assert_eq!(ours, oracle, "{:02x?}", bytes);
            compared.set(compared.get() + 1);
        }
        Ok(())
    });
    assert!(compared.get() >= MIN_MESSAGES / 2, "only {} messages were compared", compared.get());
}

#[test]
fn damaged_json_is_refused_or_read_as_the_oracle_reads_it() {
    const TOKENS: [&str; 24] = [
        "null", "true", "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "-", "1e999", "0", ".5", "e1",
        "\0", "\n", "é", "\u{feff}", "=", "\"a\":", "+",
    ];
    let compared = Cell::new(0);
    for_all(|case, dice| {
        let mut json = if dice.one_in(3) {
            Speller { dice, shuffle: true }.message(&case.tree).into_bytes()
        } else {
            to_json(case.name(), &case.wire).unwrap()
        };
        if dice.one_in(8) {
            replace_number(&mut json, dice);
        } else if dice.one_in(2) {
            let mut value = serde_json::from_slice(&json).unwrap();
            replace_value(&mut value, dice);
            json = value.to_string().into_bytes();
        } else {
            for _ in 0..=dice.below(3) {
                damage(&mut json, &TOKENS, dice);
            }
        }
        let shown = String::from_utf8_lossy(&json).into_owned();
        let Ok(wire) = to_wire(case.name(), &json) else { return Ok(()) };
        let text = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&json);
        let value = serde_json::from_slice::<Value>(text);
        // serde_json rounds some of the largest doubles to infinity.
        let too_large = |error: &serde_json::Error| error.to_string().starts_with("number out of range");
        prop_assert!(value.as_ref().err().is_none_or(too_large), "not JSON, yet read: {}", shown);
        let message = oracle::decode(&case.kind, &wire);
        prop_assert!(message.is_some(), "{} became invalid wire bytes: {:02x?}", shown, wire);

        // What was read can be written, and does not change any more. Except for "NaN", which can be read but not
        // written.
        match to_json(case.name(), &wire) {
            Ok(once) => {
                let twice = to_json(case.name(), &to_wire(case.name(), &once).unwrap()).unwrap();
                prop_assert_eq!(String::from_utf8(twice), String::from_utf8(once), "{}", shown);
            }
            Err(error) => prop_assert_eq!(error.problem(), Problem::NotFinite, "{}", shown),
        }

        // For the oracle additional_fields is a normal field, so a text with a member of this name cannot be compared.
        if value.is_ok_and(|value| !value.to_string().contains("additional"))
            && let Some(oracle) = oracle::read(&case.kind, text)
        {
            let [ours, oracle] = [message.unwrap(), oracle].map(|message| oracle::to_value(&message).unwrap());
            prop_assert!(nearly_equal(&ours, &oracle), "{} became {} and not {}", shown, ours, oracle);
            compared.set(compared.get() + 1);
        }
        Ok(())
    });
    assert!(compared.get() >= MIN_MESSAGES / 20, "only {} messages were compared", compared.get());
}

/// Replaces a number by a token that looks like a number.
fn replace_number(json: &mut Vec<u8>, dice: &mut Dice<'_>) {
    const OTHERS: [&str; 13] =
        ["01", "-01", "00.5", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "9999999999999999999", "-1.5E-400"];
    let is_number = |token: &[u8]| token[0] == b'-' || token[0].is_ascii_digit();
    let count = tokens(json).filter(|token| is_number(token)).count();
    if count > 0 {
        let (mut at, place) = (0, dice.below(count));
        let other = dice.pick(&OTHERS).as_bytes();
        let mut exchange = |token| {
            at += usize::from(is_number(token));
            if is_number(token) && at == place + 1 { other } else { token }
        };
        *json = tokens(json).map(&mut exchange).collect::<Vec<_>>().concat();
    }
}

/// Replaces a value somewhere inside by another one.
fn replace_value(json: &mut Value, dice: &mut Dice<'_>) {
    const OTHERS: [&str; 24] = [
        "null",
        "true",
        "false",
        "0",
        "-0.0",
        "7",
        "1e2",
        "2.5",
        "3e9",
        "-1e300",
        "9223372036854775807",
        "{}",
        "[]",
        "[null]",
        r#"{"a":[1]}"#,
        r#""""#,
        r#""5""#,
        r#""-3.0""#,
        r#""NaN""#,
        r#""STOP""#,
        r#""AQ""#,
        r#""_-8=""#,
        r#""-1.5s""#,
        r#""2024-02-29T23:59:60+01:00""#,
    ];
    let inside = dice.below(5) > 0;
    match json {
        Value::Array(values) if inside && !values.is_empty() => {
            let at = dice.below(values.len());
            replace_value(&mut values[at], dice);
        }
        Value::Object(members) if inside && !members.is_empty() => {
            let at = dice.below(members.len());
            replace_value(members.values_mut().nth(at).unwrap(), dice);
        }
        _ => *json = serde_json::from_str(dice.pick(&OTHERS)).unwrap(),
    }
}

/// Changes, adds, repeats or removes a few bytes.
fn damage(bytes: &mut Vec<u8>, tokens: &[&str], dice: &mut Dice<'_>) {
    let at = dice.below(bytes.len() + 1);
    let to = (at + dice.below(8)).min(bytes.len());
    match dice.below(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => bytes.insert(at, dice.roll() as u8),
        3 if at < to => bytes[at] = dice.roll() as u8,
        4 if at < to => bytes[at] ^= 1 << dice.below(8),
        5 => {
            let again = bytes[at..to].to_vec();
            drop(bytes.splice(at..at, again));
        }
        _ if !tokens.is_empty() => drop(bytes.splice(at..at, dice.pick(tokens).bytes())),
        _ => {}
    }
}

/// Whether two values are equal, except for the last digit of numbers: serde_json may read a number as the second
/// nearest double, which the oracle then rounds to a 32-bit float.
fn nearly_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs().max(f64::from(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| nearly_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| nearly_equal(a, b)))
        }
        _ => a == b,
    }
}
