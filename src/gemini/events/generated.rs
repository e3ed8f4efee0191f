//! Reads random bodies: the result does not depend on how they are cut into chunks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{LIMIT, cut, read};
use super::{Framing, has_content};

/// A simple reader by the rules of the standard, for comparison: one line at a time over the whole body, without JSON
/// between events.
fn read_by_the_standard(body: &[u8]) -> Vec<Vec<u8>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while at < body.len() {
        match body[at] {
            b'\r' if body.get(at + 1) == Some(&b'\n') => {
                lines.push(Vec::new());
                at += 1;
            }
            b'\r' | b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().unwrap().push(byte),
        }
        at += 1;
    }
    // The last line has no line end, so the standard ignores it.
    lines.pop();
    let mut events = Vec::new();
    let mut data = Vec::new();
    for line in lines {
        if line.is_empty() {
            if data.pop().is_some() {
                events.push(std::mem::take(&mut data));
            }
            continue;
        }
        let mut field = line.splitn(2, |&byte| byte == b':');
        if field.next() == Some(b"data") {
            let value = field.next().unwrap_or_default();
            data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            data.push(b'\n');
        }
    }
    events.retain(|event| has_content(event));
    events
}

fn an_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        r#"["\\\[\]{}\r\n:,é世👩]{0,12}"#.prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((r#"[a-z"\\{}]{0,6}"#, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec(value, 0..3).prop_map(|values| json!({ "candidates": values }))
}

fn json_text() -> impl Strategy<Value = String> {
    (an_object(), any::<bool>()).prop_map(
        |(value, pretty)| {
            if pretty { format!("{value:#}") } else { value.to_string() }
        },
    )
}

/// A piece of an event stream: its lines, and the event that they make.
fn a_piece() -> impl Strategy<Value = (Vec<String>, Option<String>)> {
    prop_oneof![
        4 => (json_text(), prop_oneof![Just("data:"), Just("data: ")]).prop_map(|(text, field)| {
            let mut lines: Vec<_> = text.lines().map(|line| format!("{field}{line}")).collect();
            lines.push(String::new());
            // If there is no space after the colon, the first space of an indented line is taken for it.
            let value = |line: &str| if field == "data:" { line.strip_prefix(' ').unwrap_or(line).to_owned() } else { line.to_owned() };
            (lines, Some(text.lines().map(value).collect::<Vec<_>>().join("\n")))
        }),
        2 => json_text().prop_map(|text| (vec![text.clone()], Some(text))),
        1 => ":[^\r\n]{0,20}".prop_map(|line| (vec![line], None)),
        1 => "(event|id|retry|x|dat|datas)(:[^\r\n]{0,8})?".prop_map(|line| (vec![line, String::new()], None)),
        1 => Just((vec!["data: [DONE]".to_owned(), String::new()], None)),
        1 => Just((vec!["data".to_owned(), String::new()], None)),
    ]
}

/// Writes lines with the given line ends, in turn. The LF of an empty line after a CR would be part of the line end
/// before it, so such a line ends with CRLF.
fn write(lines: &[String], ends: &[&str]) -> String {
    let mut body = String::new();
    for (line, end) in lines.iter().zip(ends.iter().cycle()) {
        let end = if line.is_empty() && body.ends_with('\r') && *end == "\n" { "\r\n" } else { end };
        body.push_str(line);
        body.push_str(end);
    }
    body
}

fn line_ends() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop_oneof![Just("\n"), Just("\r"), Just("\r\n")], 1..5)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..4usize, 1..200usize], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_events_with_any_line_ends_in_any_chunks_are_read(
        pieces in prop::collection::vec(a_piece(), 0..8), ends in line_ends(), sizes in sizes(), bom in any::<bool>(),
    ) {
        let mut lines: Vec<_> = pieces.iter().flat_map(|(lines, _)| lines.clone()).collect();
        // So that the body does not end in a lone CR.
        lines.push(": end".to_owned());
        let body = format!("{}{}\n", if bom { "\u{FEFF}" } else { "" }, write(&lines, &ends).trim_end_matches(['\r', '\n']));
        let expected: Vec<_> = pieces.iter().filter_map(|(_, event)| event.clone()).collect();
        let (events, end) = read(Framing::Sse, LIMIT, cut(&body.into(), &sizes));
        prop_assert_eq!(events, expected);
        prop_assert_eq!(end, Ok(()));
    }

    #[test]
    fn any_json_in_any_chunks_is_read(
        texts in prop::collection::vec(json_text(), 0..6), array in any::<bool>(), space in "[ \r\n\t]{0,3}", sizes in sizes(),
    ) {
        let body = if array {
            format!("{space}[{space}{}{space}]{space}", texts.join(&format!("{space},{space}")))
        } else {
            format!("{space}{}{space}", texts.join(&space))
        };
        let (events, end) = read(Framing::Sniff, LIMIT, cut(&body.into(), &sizes));
        prop_assert_eq!(events, texts);
        prop_assert_eq!(end, Ok(()));
    }

    #[test]
    fn any_bytes_are_read_as_the_standard_says(body in "(data|:|: |\r|\n|\r\n|x|\u{FEFF}|\\[DONE\\]|[\u{0}-\u{FF}]){0,40}", sizes in sizes()) {
        // A line that begins with a bracket would be read as JSON.
        let body = Bytes::from(body.replace('{', "(").replace("\r[", "\r(").replace("\n[", "\n(").trim_start_matches('[').to_owned());
        prop_assume!(!body.starts_with("\u{FEFF}[".as_bytes()));
        // Nor is there JSON without its empty line at the end, which the standard would drop.
        let (events, _) = read(Framing::Sse, LIMIT, cut(&body, &sizes));
        prop_assert_eq!(events, read_by_the_standard(&body));
    }

    #[test]
    fn any_bytes_are_read_the_same_in_any_chunks(
        body in r#"(data|:| |\r|\n|\r\n|x|"|\\|\{|\}|\[|\]|,|<|\u{FEFF}|DONE){0,60}"#, sizes in sizes(), sse in any::<bool>(), limit in 1..30usize,
    ) {
        let framing = if sse { Framing::Sse } else { Framing::Sniff };
        let body = Bytes::from(body);
        prop_assert_eq!(read(framing, limit, cut(&body, &sizes)), read(framing, limit, [body]));
    }
}
