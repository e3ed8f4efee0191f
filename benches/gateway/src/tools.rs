//! A request of an agent: 20 declared functions, and a conversation in which five of them were called and have answered.

use serde_json::{Value, json};

use crate::wire::{field, message};

const FUNCTIONS: usize = 20;
const CALLS: usize = 5;
/// Values of the enum gemini's `Type`: STRING is 1, ARRAY 5, OBJECT 6.
const TYPES: [(&str, u64); 3] = [("STRING", 1), ("ARRAY", 5), ("OBJECT", 6)];

fn name(number: usize) -> String {
    format!("search_orders_{number}")
}

/// The tool with the declared functions, as JSON.
pub fn declarations_json() -> Value {
    let functions = (0..FUNCTIONS).map(|number| {
        let about =
            format!("Finds orders of customers by region {number}, newest first, with their totals and states.");
        let text = |about: &str| json!({"type": "STRING", "description": about});
        let properties = json!({
            "customer": text("The customer's number, as on the invoice"),
            "query": text("Words that the order must contain, separated by spaces"),
            "state": {"type": "STRING", "enum": ["OPEN", "PAID", "SHIPPED", "RETURNED"]},
            "tags": {"type": "ARRAY", "items": {"type": "STRING"}},
            "place": {"type": "OBJECT", "properties": {"city": text("A city"), "country": text("A country")}},
        });
        let parameters = json!({"type": "OBJECT", "properties": properties, "required": ["customer"]});
        json!({"name": name(number), "description": about, "parameters": parameters})
    });
    json!({"functionDeclarations": functions.collect::<Vec<_>>()})
}

/// The calls and their answers, as JSON objects separated by commas.
pub fn contents_json() -> String {
    let contents = (0..CALLS).flat_map(|number| {
        let call = json!({"functionCall": {"name": name(number), "args": arguments(number)}});
        let answer = json!({"functionResponse": {"name": name(number), "response": response(number)}});
        [json!({"role": "model", "parts": [call]}), json!({"role": "user", "parts": [answer]})]
    });
    contents.map(|content| content.to_string()).collect::<Vec<_>>().join(",")
}

fn arguments(number: usize) -> Value {
    json!({"customer": format!("C-{number:06}"), "query": "blue lamp", "state": "OPEN", "tags": ["new", "gift"]})
}

fn response(number: usize) -> Value {
    let orders = (0..10).map(|i| {
        let lines =
            json!([{"article": "lamp", "pieces": 2, "price": 19.5}, {"article": "cable", "pieces": 1, "price": 4.25}]);
        json!({"id": format!("O-{number}-{i}"), "total": 43.25, "paid": i % 2 == 0, "lines": lines})
    });
    json!({"orders": orders.collect::<Vec<_>>()})
}

/// The same tool as a protobuf message.
pub fn declarations() -> Vec<u8> {
    let tool = declarations_json();
    let mut out = Vec::new();
    for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
        // FunctionDeclaration: name 1, description 2, parameters 3.
        let parameters = schema(&function["parameters"]);
        field(
            &mut out,
            1,
            &message(&[(1, text(&function["name"])), (2, text(&function["description"])), (3, &parameters)]),
        );
    }
    out
}

/// The same calls and answers as protobuf messages.
pub fn contents() -> Vec<Vec<u8>> {
    let contents = (0..CALLS).flat_map(|number| {
        // Part.function_call is 4, Part.function_response 5; both have a name, 1, and a Struct, 2.
        let part = |of: u64, value: &Value| {
            message(&[(of, &message(&[(1, name(number).as_bytes()), (2, &structure(value))]))])
        };
        let call = message(&[(1, &part(4, &arguments(number))), (2, b"model")]);
        let answer = message(&[(1, &part(5, &response(number))), (2, b"user")]);
        [call, answer]
    });
    contents.collect()
}

fn text(value: &Value) -> &[u8] {
    value.as_str().unwrap_or_default().as_bytes()
}

/// A Schema: type 1, description 3, enum 5, items 6, properties 7, required 8.
fn schema(json: &Value) -> Vec<u8> {
    let kind = TYPES.iter().find(|(name, _)| json["type"] == *name).map_or(0, |(_, number)| *number);
    let mut out = vec![1 << 3, kind as u8];
    if json["description"].is_string() {
        field(&mut out, 3, text(&json["description"]));
    }
    json["enum"].as_array().into_iter().flatten().for_each(|value| field(&mut out, 5, text(value)));
    if json["items"].is_object() {
        field(&mut out, 6, &schema(&json["items"]));
    }
    for (name, property) in json["properties"].as_object().into_iter().flatten() {
        field(&mut out, 7, &message(&[(1, name.as_bytes()), (2, &schema(property))]));
    }
    json["required"].as_array().into_iter().flatten().for_each(|value| field(&mut out, 8, text(value)));
    out
}

/// A google.protobuf.Struct: a map of fields, 1.
fn structure(json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, member) in json.as_object().into_iter().flatten() {
        field(&mut out, 1, &message(&[(1, name.as_bytes()), (2, &value(member))]));
    }
    out
}

/// A google.protobuf.Value: number_value 2, string_value 3, bool_value 4, struct_value 5, list_value 6.
fn value(json: &Value) -> Vec<u8> {
    match json {
        Value::Null => vec![1 << 3, 0],
        Value::Number(number) => [&[2 << 3 | 1], &number.as_f64().unwrap_or(0.0).to_le_bytes()[..]].concat(),
        Value::String(text) => message(&[(3, text.as_bytes())]),
        Value::Bool(value) => vec![4 << 3, u8::from(*value)],
        Value::Object(_) => message(&[(5, &structure(json))]),
        Value::Array(values) => {
            let mut list = Vec::new();
            values.iter().for_each(|member| field(&mut list, 1, &value(member)));
            message(&[(6, &list)])
        }
    }
}
