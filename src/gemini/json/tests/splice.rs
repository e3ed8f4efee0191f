//! The modalities of a picture are added to a request, and nothing else changes.

use crate::gemini::json::*;

fn spliced(json: &str) -> String {
    let out = with_modalities(Method::GenerateContent, json.as_bytes(), &mut Steps::unlimited()).unwrap();
    assert!(out.len() <= json.len() + ADDED_BYTES, "{json}");
    String::from_utf8(out).unwrap()
}

#[test]
fn modalities_are_added_in_front_of_what_is_there() {
    const ADDED: &str = r#""responseModalities":["TEXT","IMAGE"]"#;
    const CONFIG: &str = r#""generationConfig":{"responseModalities":["TEXT","IMAGE"]}"#;
    for (json, expected) in [
        ("{}", "{&}"),
        (" { } ", " {& } "),
        (r#"{"contents":[]}"#, r#"{&,"contents":[]}"#),
        ("\n{\n\t\"contents\" : [ ]\n}\n", "\n{&,\n\t\"contents\" : [ ]\n}\n"),
        ("\u{feff} {\"a\":1}", "\u{feff} {&,\"a\":1}"),
        (r#"{"a":{"generationConfig":{}}}"#, r#"{&,"a":{"generationConfig":{}}}"#),
        (r#"{"generationConfig":{}}"#, r#"{"generationConfig":{@}}"#),
        (r#"{"generation_config":{ }}"#, r#"{"generation_config":{@ }}"#),
        (
            r#"{"a":[{}], "generation_config" : {"topK":1e0 } ,"z":2}"#,
            r#"{"a":[{}], "generation_config" : {@,"topK":1e0 } ,"z":2}"#,
        ),
        (
            r#"{"g\u0065nerationConfig":{"aspectRatio":"16:9"}}"#,
            r#"{"g\u0065nerationConfig":{@,"aspectRatio":"16:9"}}"#,
        ),
        ("\u{feff}{\"generationConfig\":{\"topK\":1}}", "\u{feff}{\"generationConfig\":{@,\"topK\":1}}"),
        (
            r#"{"generationConfig":{"a":{"responseModalities":[]}}}"#,
            r#"{"generationConfig":{@,"a":{"responseModalities":[]}}}"#,
        ),
        // Half of a surrogate pair is a name that no field has, at any depth.
        (r#"{"\ud83d":1}"#, r#"{&,"\ud83d":1}"#),
        (r#"{"a\uDE00":1,"generationConfig":{"\ud83d<":2}}"#, r#"{"a\uDE00":1,"generationConfig":{@,"\ud83d<":2}}"#),
        // Null and an empty list are replaced: the member must not occur twice.
        (r#"{"generationConfig": null ,"a":1}"#, r#"{"generationConfig": {@} ,"a":1}"#),
        (
            r#"{"generationConfig":{"topK":1,"responseModalities":[] }}"#,
            r#"{"generationConfig":{"topK":1,"responseModalities":["TEXT","IMAGE"] }}"#,
        ),
        (
            r#"{"generationConfig":{"response_modalities" : null}}"#,
            r#"{"generationConfig":{"response_modalities" : ["TEXT","IMAGE"]}}"#,
        ),
    ] {
        assert_eq!(spliced(json), expected.replace('&', CONFIG).replace('@', ADDED), "{json}");
    }
}

#[test]
fn the_name_of_the_model_is_removed_with_one_comma() {
    for (json, expected) in [
        (r#"{"model":"a"}"#, "{}"),
        (r#" { "model" : "a" } "#, " { } "),
        (r#"{"model":"a","b":1}"#, r#"{"b":1}"#),
        (r#"{"b":1 , "model":"a"}"#, r#"{"b":1}"#),
        (r#"{"b":1, "model": null ,"c":{"model":2}}"#, r#"{"b":1,"c":{"model":2}}"#),
        ("\u{feff}{\"m\\u006fdel\":\"a\",\n\"b\":1}", "\u{feff}{\n\"b\":1}"),
        (r#"{"b":{"model":1}}"#, r#"{"b":{"model":1}}"#),
        ("{}", "{}"),
    ] {
        let out = without_model(Method::GenerateContent, json.as_bytes(), &mut Steps::unlimited()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{json}");
    }
}
