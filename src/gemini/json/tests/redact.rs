//! The gateway's key is redacted in JSON that is passed on, and everything else stays as it is.

use memchr::memmem::Finder;

use crate::gemini::json::*;

const KEY: &str = "AIzaSy/se+cret=1";

fn passed(json: &str, key: &str) -> Option<String> {
    let steps = &mut Steps::unlimited();
    let event = passed_event(Method::GenerateContent, json.as_bytes(), Some(&Finder::new(key)), steps).unwrap();
    let wire = String::from_utf8_lossy(&event.event.response.message).into_owned();
    assert!(!wire.contains(key), "{json}: {wire}");
    event.redacted.map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn a_key_is_replaced_in_every_string_in_whatever_way_it_is_written() {
    let escaped: String = KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let mixed = KEY.replace('/', r"\/").replace('=', r"\u003d").replace('+', r"\u002B");
    for key in [KEY, &KEY.replace('/', r"\/"), &mixed, &escaped] {
        for place in [
            r#"{"candidates":[{"content":{"parts":[{"text":"@"}]}}]}"#,
            r#"{"candidates": [{"content":{"parts":[{"text":"\n\"@\\, and again @@ é \ud83d@"}]} } ]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":["@"]}}}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"x@x" :{"@":1}}}}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"thoughtSignature":"@"}]}}]}"#,
            r#"{"candidates":[{"finishReason":"@"}],"new":{"a":"@"}}"#,
            r#"{"@":1}"#,
            r#"{"modelVersion":5,"usageMetadata":["@"]}"#,
        ] {
            assert_eq!(passed(&place.replace('@', key), KEY), Some(place.replace('@', "***")), "{key}");
        }
        // Deeper than members are kept.
        let deep = format!(r#"{{"new":{}"@"{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
        assert_eq!(passed(&deep.replace('@', key), KEY), Some(deep.replace('@', "***")));
    }
}

#[test]
fn a_text_without_the_key_is_not_copied() {
    for json in [
        "{}",
        r#"{"candidates":[{"content":{"parts":[{"text":"\n\u003d\/ AIzaSy"}]}}]}"#,
        r#"{"modelVersion":"AIzaSy/se+cret\\u003d1"}"#,
        r#"{"modelVersion":"AIzaSy/se+cret","responseId":"=1"}"#,
    ] {
        assert_eq!(passed(json, KEY), None, "{json}");
    }
}

#[test]
fn a_short_key_leaves_names_numbers_and_pictures_as_they_are() {
    let picture = "text1234".repeat(100);
    let json = |text: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{picture}"}}}},{{"text":"{text}"}}]}}}}],"usageMetadata":{{"totalTokenCount":1234}}}}"#
        )
    };
    for (key, given, expected) in [("text", "text", "***"), ("1234", "1234", "***"), ("t", r"\u0074\n", r"***\n")] {
        assert_eq!(passed(&json(given), key), Some(json(expected)), "{key}");
    }
    assert_eq!(passed(&json("none"), "1234"), None);
    // A key that repeats itself.
    assert_eq!(passed(r#"{"new":"aabaabaac"}"#, "aabaac"), Some(r#"{"new":"aab***"}"#.into()));
}
