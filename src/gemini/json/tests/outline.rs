//! Requests that are sent as they came: what of their JSON is refused, what is left to upstream, and what is read.

use super::REQUEST;
use crate::gemini::json::*;

fn outlined(json: &[u8], elements: usize) -> Result<Vec<u8>, Error> {
    let limits = RequestLimits { elements };
    request_outline(Method::GenerateContent, json, limits, &mut |_| true, &mut Steps::unlimited())
}

/// The outline of a request, as JSON.
fn outline(json: &str) -> String {
    let wire = outlined(json.as_bytes(), 100).unwrap_or_else(|error| panic!("{error}: {json}"));
    String::from_utf8(to_json(REQUEST, &wire).unwrap()).unwrap()
}

fn refusal(json: &[u8]) -> String {
    outlined(json, 100).unwrap_err().to_string()
}

/// A request with this member of its first part.
fn part(member: &str) -> String {
    format!(r#"{{"contents":[{{"parts":[{{{member}}}]}}]}}"#)
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (json, refusal_of_it) in [
        (&b""[..], "the JSON ends too early (byte 0 of the JSON)"),
        (b"  ", "the JSON ends too early (byte 2 of the JSON)"),
        (b"[]", "an object was expected (byte 0 of the JSON)"),
        (b"null", "an object was expected (byte 0 of the JSON)"),
        (br#""{}""#, "an object was expected (byte 0 of the JSON)"),
        (b"{", "the JSON ends too early (byte 1 of the JSON)"),
        (b"{}{}", "something follows the JSON value (byte 2 of the JSON)"),
        (b"{,}", "the JSON is not well formed (byte 1 of the JSON)"),
        (br#"{"a":1,}"#, "the JSON is not well formed (byte 7 of the JSON)"),
        (br#"{"a" 1}"#, "the JSON is not well formed (byte 5 of the JSON)"),
        (br#"{'a':1}"#, "the JSON is not well formed (byte 1 of the JSON)"),
        (
            br#"{"contents":[{"parts":[{"text":"a]}]}"#,
            "contents[0].parts[0].text: the JSON ends too early (byte 32 of the JSON)",
        ),
        (
            br#"{"contents":[{"parts":[{"text":"a"}]]}"#,
            "contents[0]: the JSON is not well formed (byte 36 of the JSON)",
        ),
        (
            br#"{"contents":[{"parts":[{"text":"a"},{"inlineData":{"data":"a*"}}]}]}"#,
            "contents[0].parts[1].inline_data.data: base64 was expected (byte 62 of the JSON)",
        ),
        (
            br#"{"contents":[{"parts":[{"inlineData":{"data":"data:image/png;base64,AAAA"}}]}]}"#,
            "contents[0].parts[0].inline_data.data: base64 without the beginning of a data: URL was expected (byte 73 of the JSON)",
        ),
        // It was written in Latin-1.
        (
            b"{\"contents\":[{\"parts\":[{\"text\":\"\xe9\"}]}]}",
            "contents[0].parts[0].text: the string is not valid UTF-8 (byte 34 of the JSON)",
        ),
    ] {
        assert_eq!(refusal(json), refusal_of_it, "{}", String::from_utf8_lossy(json));
    }
}

#[test]
fn a_value_that_no_schema_describes_has_to_be_json_as_well() {
    let places: [&dyn Fn(&str) -> String; 5] = [
        &|value| format!(r#"{{"new":{value}}}"#),
        &|value| format!(r#"{{"contents":[{{"new":[1,{value}]}}]}}"#),
        &|value| part(&format!(r#""functionCall":{{"args":{{"a":{value}}}}}"#)),
        // Members with another type than in the contract.
        &|value| part(&format!(r#""text":[{value}]"#)),
        &|value| part(&format!(r#""thoughtSignature":[{value}]"#)),
    ];
    for value in [
        "tru",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "0x1",
        "'a'",
        "[1,]",
        "[,]",
        "[1 2]",
        "{]",
        "[}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{1:2}",
        r#""\x""#,
        r#""\u12""#,
        "\"\n\"",
        "\"\t\"",
        "undefined",
    ] {
        for place in &places {
            let json = place(value);
            assert!(outlined(json.as_bytes(), 100).is_err(), "{json}");
        }
    }
    for value in [
        "1e400",
        "-0",
        "1E+2",
        "1234567890123456789012345678901234567890",
        r#""\ud83d""#,
        "[]",
        "{}",
        r#"{"a":1,"a":2}"#,
    ] {
        for place in &places {
            let json = place(value);
            outlined(json.as_bytes(), 100).unwrap_or_else(|error| panic!("{error}: {json}"));
        }
    }
    // Not UTF-8, also in names and in data.
    for json in
        [&b"{\"new\":\"\xff\"}"[..], b"{\"\xff\":1}", b"{\"contents\":[{\"parts\":[{\"thoughtSignature\":\"\xff\"}]}]}"]
    {
        assert!(outlined(json, 100).is_err(), "{}", String::from_utf8_lossy(json));
    }
}

#[test]
fn json_that_nests_too_deep_is_refused() {
    let deep = |levels: usize| format!(r#"{{"new":{}0{}}}"#, "[".repeat(levels), "]".repeat(levels));
    outline(&deep(MAX_DEPTH - 1));
    assert!(refusal(deep(MAX_DEPTH).as_bytes()).contains("nests deeper than 100 levels"));
    assert!(refusal(deep(1_000_000).as_bytes()).contains("nests deeper than 100 levels"));
}

#[test]
fn the_elements_of_lists_and_maps_are_limited() {
    let json = br#"{"contents":[{"parts":[{"text":"a"},{"functionCall":{"args":{"a":[1,2,3],"b":0}}}]},{"parts":[{}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"],"responseJsonSchema":{"a":[]}},"labels":{"a":"b"},"news":[1,2]}"#;
    outlined(json, 8).unwrap();
    let error = outlined(json, 7).unwrap_err();
    assert_eq!((error.path().as_str(), error.problem()), ("labels", Problem::TooManyElements(7)));
}

#[test]
fn a_member_that_occurs_twice_is_refused_in_any_spelling_and_with_null() {
    for (json, path) in [
        (r#"{"contents":[],"contents":[]}"#, "contents"),
        (r#"{"contents":[],"contents":null}"#, "contents"),
        (r#"{"contents":null,"contents":[]}"#, "contents"),
        (r#"{"contents":[],"c\u006fntents":[]}"#, "contents"),
        (r#"{"generationConfig":{},"generation_config":{}}"#, "generation_config"),
        (r#"{"generation_config":{"top_k":1},"generationConfig":null}"#, "generation_config"),
        (r#"{"generationConfig":{"topP":1,"top_p":1}}"#, "generation_config.top_p"),
        (r#"{"tools":[],"tools":[]}"#, "tools"),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"data":"","data":"AAAA"}}]}]}"#,
            "contents[0].parts[0].inline_data.data",
        ),
    ] {
        let error = outlined(json.as_bytes(), 100).unwrap_err();
        assert_eq!((error.path().as_str(), error.problem()), (path, Problem::Duplicate), "{json}");
    }
    // Members that the contract does not have may occur twice: validation reads none of them.
    outline(r#"{"new":1,"new":2}"#);
}

#[test]
fn a_member_that_validation_reads_has_the_type_of_the_contract() {
    for (json, refusal_of_it) in [
        (r#"{"contents":"hi"}"#, "contents: an object was expected"),
        (r#"{"contents":[["hi"]]}"#, "contents[0]: an object was expected"),
        (r#"{"contents":[{"parts":["hi"]}]}"#, "contents[0].parts[0]: an object was expected"),
        (
            r#"{"contents":[{"parts":[{"inlineData":"AAAA"}]}]}"#,
            "contents[0].parts[0].inline_data: an object was expected",
        ),
        (r#"{"generationConfig":[]}"#, "generation_config: an object was expected"),
        (r#"{"generationConfig":{"temperature":"hot"}}"#, "generation_config.temperature: a number was expected"),
        (
            r#"{"generationConfig":{"temperature":1e400}}"#,
            "generation_config.temperature: the number does not fit a 32-bit float",
        ),
        (
            r#"{"generationConfig":{"candidateCount":1.5}}"#,
            "generation_config.candidate_count: a whole number was expected",
        ),
        (
            r#"{"generationConfig":{"imageConfig":{"aspectRatio":1}}}"#,
            "generation_config.image_config.aspect_ratio: a string was expected",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"data":7}}]}]}"#,
            "contents[0].parts[0].inline_data.data: a string was expected",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"data":"AA?A"}}]}]}"#,
            "contents[0].parts[0].inline_data.data: base64 was expected",
        ),
    ] {
        let refused = refusal(json.as_bytes());
        assert!(refused.starts_with(refusal_of_it), "{json}: {refused}");
    }
}

#[test]
fn upstream_decides_about_all_other_members() {
    for json in [
        r#"{"tools":7,"toolConfig":"none","safetySettings":{"a":1},"cachedContent":[],"labels":[]}"#,
        r#"{"tools":[7],"safetySettings":[{"category":"NEW","threshold":{}}]}"#,
        r#"{"generationConfig":{"topK":"many","seed":1e99,"stopSequences":7,"thinkingConfig":[],"responseFormat":"json"}}"#,
        r#"{"generationConfig":{"responseMimeType":["a"],"responseSchema":"x","presencePenalty":1e400}}"#,
        r#"{"contents":[{"role":7,"parts":[{"functionCall":"f"},{"functionCall":{"args":[]}},{"thought":"yes"},{"text":5}]}]}"#,
        r#"{"contents":[{"parts":[{"fileData":[]},{"thoughtSignature":"not base64"}]}]}"#,
        r#"{"new":[{"a":[1e400,-0,0.10,1.0E5,"\ud83d"]}],"":null}"#,
        // Both members of a oneof, as some upstreams send them and get them back.
        r#"{"contents":[{"parts":[{"text":"","functionCall":{"name":"f"}},{"text":"a","functionCall":{"name":"f"}}]}]}"#,
    ] {
        outlined(json.as_bytes(), 100).unwrap_or_else(|error| panic!("{error}: {json}"));
    }
}

#[test]
fn the_first_bytes_of_data_are_kept_in_any_form_of_base64() {
    let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
    let data = |text: &str| part(&format!(r#""inlineData":{{"mimeType":"image/png","data":"{text}"}}"#));
    for (text, kept) in [
        ("", ""),
        (r"\n", ""),
        ("AQID", "AQID"),
        ("AQI=", "AQI="),
        ("AQI", "AQI="),
        ("-_-_", "+/+/"),
        (r"\/\/\u002b+", "//++"),
        (" AQ ID ", "AQID"),
        (picture, picture),
        (&picture.repeat(100_000), picture),
        (&format!("{}=", &picture.repeat(100_000)[1..]), "VBORw0KGgoAAAANSUhEUgAAAAEAAAABi"),
        (&picture.replace('/', r"\/").repeat(10_000), picture),
        (&format!("{}-_", picture.repeat(10_000)), picture),
        (&format!("{}+_==", picture.repeat(10_000)), picture),
    ] {
        let expected = if kept.is_empty() { data("").replace(r#","data":"""#, "") } else { data(kept) };
        assert_eq!(outline(&data(text)), expected, "{text:.50}");
    }
    for text in [
        "A",
        "A===",
        "AQ!D",
        "AQID=",
        "=",
        r"\ud83d",
        "é",
        &format!("{}!", picture.repeat(10_000)),
        &format!("{}=A+_", picture.repeat(10_000)),
        &format!("{}A", picture.repeat(10_000)),
    ] {
        assert!(refusal(data(text).as_bytes()).contains("base64 was expected"), "{text:.50}");
    }
    // Not valid JSON.
    for text in [
        "\n",
        "AQ\tID",
        r"\x",
        "\u{1}",
        &format!("!{}\n", picture.repeat(1000)),
        &format!(r"!{}\x", picture.repeat(1000)),
    ] {
        assert!(refusal(data(text).as_bytes()).contains("not well formed"), "{text:?}");
    }
}

#[test]
fn data_of_a_response_is_refused_for_the_same_reason_whether_it_is_decoded_or_only_checked() {
    let long = "A".repeat(5000);
    for (text, problem) in [
        ("data:image/png;base64,AAAA", Problem::Expected("base64")),
        ("data:\n", Problem::Syntax),
        (&format!("!{long}"), Problem::Expected("base64")),
        (&format!("!{long}\t"), Problem::Syntax),
        (&format!(r"!{long}\x"), Problem::Syntax),
    ] {
        let json = format!(r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"data":"{text}"}}}}]}}}}]}}"#);
        let (json, steps) = (json.as_bytes(), &mut Steps::unlimited());
        let decoded = event(Method::GenerateContent, json, None, CallerSchema::Own, steps).unwrap_err();
        let checked = passed_event(Method::GenerateContent, json, None, steps).err();
        assert_eq!((decoded.problem(), Some(decoded)), (problem, checked), "{text:.40}");
    }
}

#[test]
fn a_value_in_the_place_of_a_list_is_its_only_element() {
    assert_eq!(
        outline(r#"{"contents":{"parts":{"text":"hi"}},"systemInstruction":{"parts":{"text":"be brief"}}}"#),
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"be brief"}]}}"#
    );
    assert_eq!(
        outline(r#"{"generationConfig":{"responseModalities":"IMAGE","stopSequences":"a"}}"#),
        r#"{"generationConfig":{"stopSequences":["a"],"responseModalities":["IMAGE"]}}"#
    );
}

#[test]
fn a_modality_that_the_contract_does_not_have_is_one_all_the_same() {
    use crate::gemini::view::RequestView;
    for list in [r#"["SMELL"]"#, r#""SMELL""#, r#"[""]"#, r#"["TEXT","SMELL"]"#, "[99]"] {
        let json = format!(r#"{{"generationConfig":{{"responseModalities":{list}}}}}"#);
        let wire = outlined(json.as_bytes(), 100).unwrap();
        let view = RequestView::read(&wire, &mut Steps::unlimited()).unwrap();
        assert!(!view.generation_config.unwrap().response_modalities.is_empty(), "{list}");
    }
}

#[test]
fn memory_is_asked_for_before_the_outline_grows_and_only_for_texts() {
    let asked_for = |json: &str, limit: usize| {
        let mut most = 0;
        let mut reserve = |bytes| {
            most = bytes;
            bytes <= limit
        };
        let steps = &mut Steps::unlimited();
        let read =
            request_outline(Method::GenerateContent, json.as_bytes(), RequestLimits::default(), &mut reserve, steps);
        (read.map(|outline| outline.len()).map_err(|error| error.problem()), most)
    };
    let picture = part(&format!(r#""inlineData":{{"mimeType":"image/png","data":"{}"}}"#, "AAAA".repeat(1 << 20)));
    let (read, most) = asked_for(&picture, usize::MAX);
    assert!(read.unwrap() < 100 && most < 64 << 10, "{most} bytes for a picture");
    // Data of a kind that the contract does not have.
    let (read, most) = asked_for(&picture.replace("inlineData", "film"), usize::MAX);
    assert!(read.unwrap() < 1 << 10 && most < 64 << 10, "{most} bytes for data of a new kind");
    let text = part(&format!(r#""text":"{}""#, "AAAA".repeat(1 << 20)));
    let (read, most) = asked_for(&text, usize::MAX);
    assert!(read.unwrap() <= most && most < 5 << 20, "{most} bytes for a text");
    assert_eq!(asked_for(&text, 1 << 20).0, Err(Problem::NoMemory));
    let numbers = format!(r#"{{"new":[{}0]}}"#, "0,".repeat(1 << 20));
    let (read, most) = asked_for(&numbers, usize::MAX);
    assert!(read.unwrap() <= most && most <= 8 * numbers.len(), "{most} bytes for numbers");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(outline("\u{feff}{\"contents\":[]}"), "{}");
}

#[test]
fn a_long_text_that_nothing_reads_is_cut_between_characters() {
    for (given, kept) in [("x".repeat(256), 256), ("x".repeat(257), 256), ("x".to_owned() + &"é".repeat(200), 255)] {
        assert_eq!(outline(&format!(r#"{{"new":"{given}"}}"#)), format!(r#"{{"new":"{}"}}"#, &given[..kept]));
        // Escapes are rare in data.
        assert_eq!(outline(&format!(r#"{{"new":"\n{given}"}}"#)), format!(r#"{{"new":"\n{given}"}}"#));
    }
    let known = part(&format!(r#""new":0,"text":"{}""#, "x".repeat(300)));
    assert!(outline(&known).contains(&"x".repeat(300)));
}
