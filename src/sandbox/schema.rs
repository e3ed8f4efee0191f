//! A value that fits a schema, in Google's dialect or in JSON Schema.

use serde_json::{Map, Number, Value, json};

use super::request::{get, items};

/// Deeper than this nothing is filled in, since a schema may refer to itself.
const MAX_DEPTH: usize = 12;

/// The smallest value of interest that the schema allows. `hint` is used for texts.
pub(super) fn example(schema: &Value, hint: &str) -> Value {
    fit(schema, hint, 0)
}

fn fit(schema: &Value, hint: &str, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(first) = items(get(schema, "enum")).next() {
        return first.clone();
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    for name in ["anyOf", "oneOf"] {
        if let Some(first) = items(get(schema, name)).next() {
            return fit(first, hint, depth + 1);
        }
    }
    match type_of(schema).as_str() {
        "object" => object(schema, hint, depth),
        "array" => {
            let least = number(schema, "minItems").unwrap_or(1.0).max(1.0) as usize;
            let item = fit(get(schema, "items"), hint, depth + 1);
            Value::Array(vec![item; least.min(100)])
        }
        "integer" => json!(within(schema, 1.0).ceil() as i64),
        "number" => Number::from_f64(within(schema, 1.5)).map(Value::Number).unwrap_or_default(),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => text(schema, hint),
    }
}

/// The type in lower case; of several, the first that is not null.
fn type_of(schema: &Value) -> String {
    let given = match get(schema, "type") {
        Value::String(name) => Some(name.as_str()),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    };
    let implied = if get(schema, "properties").is_object() { "object" } else { "string" };
    given.unwrap_or(implied).to_lowercase()
}

/// Every property, in the order of `propertyOrdering`, otherwise as declared.
fn object(schema: &Value, hint: &str, depth: usize) -> Value {
    let Some(properties) = get(schema, "properties").as_object() else { return json!({}) };
    let ordering = items(get(schema, "propertyOrdering")).filter_map(Value::as_str);
    let names = ordering.filter(|name| properties.contains_key(*name)).chain(properties.keys().map(String::as_str));
    let mut out = Map::new();
    for name in names {
        if !out.contains_key(name) {
            out.insert(name.to_owned(), fit(&properties[name], hint, depth + 1));
        }
    }
    Value::Object(out)
}

fn text(schema: &Value, hint: &str) -> Value {
    let text = match get(schema, "format").as_str() {
        Some("date") => "2026-01-31".to_owned(),
        Some("date-time") => "2026-01-31T12:00:00Z".to_owned(),
        _ => format!("[sandbox] {hint}"),
    };
    let least = number(schema, "minLength").unwrap_or(0.0) as usize;
    let most = number(schema, "maxLength").unwrap_or(200.0) as usize;
    let padded = text.chars().chain(std::iter::repeat('.')).take(text.chars().count().max(least).min(most));
    Value::String(padded.collect())
}

/// A bound, which Google's dialect may write as a text.
fn number(schema: &Value, name: &str) -> Option<f64> {
    let bound = get(schema, name);
    bound.as_f64().or_else(|| bound.as_str()?.parse().ok())
}

fn within(schema: &Value, preferred: f64) -> f64 {
    let least = number(schema, "minimum").unwrap_or(f64::MIN);
    let most = number(schema, "maximum").unwrap_or(f64::MAX);
    preferred.max(least).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_either_dialect() {
        let google = json!({"type": "OBJECT", "properties": {
            "size": {"type": "INTEGER", "minimum": 3, "maximum": 9},
            "kind": {"type": "STRING", "enum": ["a", "b"]},
            "tags": {"type": "ARRAY", "minItems": "2", "items": {"type": "STRING", "maxLength": "4"}}},
            "propertyOrdering": ["tags", "kind"]});
        assert_eq!(example(&google, "x").to_string(), r#"{"tags":["[san","[san"],"kind":"a","size":3}"#);
        let standard = json!({"type": ["null", "object"], "properties": {
            "when": {"type": "string", "format": "date"}, "ratio": {"type": "number", "maximum": 0.5},
            "either": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}});
        assert_eq!(example(&standard, "x").to_string(), r#"{"when":"2026-01-31","ratio":0.5,"either":true}"#);
    }

    #[test]
    fn a_schema_without_end_has_one_all_the_same() {
        let mut schema = json!({"type": "string"});
        for _ in 0..40 {
            schema = json!({"type": "object", "properties": {"in": schema}});
        }
        assert!(example(&schema, "x").is_object());
    }
}
