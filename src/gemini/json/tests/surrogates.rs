//! Surrogate pairs that were cut in two between texts.

use super::*;

/// All texts of a stream in one string: a thought in brackets, an answer with `|` after it, and the index of a later
/// candidate in front.
fn texts(events: &[&str]) -> String {
    let mut surrogates = SurrogateJoiner::default();
    let mut all = String::new();
    for json in events {
        let Event { mut response, has_split_surrogates } =
            event(Method::GenerateContent, json.as_bytes(), None, CallerSchema::Own, &mut Steps::unlimited()).unwrap();
        if has_split_surrogates || surrogates.is_waiting() {
            surrogates.join(&mut response, false, &mut Steps::unlimited()).unwrap();
        }
        // prost fails if a text is not UTF-8.
        let message =
            <crate::pb::gemini::GenerateContentResponse as prost::Message>::decode(&response.message[..]).unwrap();
        for candidate in message.candidates {
            let prefix = candidate.index.filter(|index| *index > 0).map(|index| index.to_string()).unwrap_or_default();
            for part in candidate.content.into_iter().flat_map(|content| content.parts) {
                let Some(crate::pb::gemini::part::Data::Text(text)) = part.data else { continue };
                all += &if part.thought { format!("{prefix}[{text}]") } else { format!("{prefix}{text}|") };
            }
        }
    }
    all
}

fn text(text: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#)
}

fn thought(text: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}","thought":true}}]}}}}]}}"#)
}

const END: &str = r#"{"candidates":[{"finishReason":"STOP"}]}"#;

#[test]
fn halves_are_joined_across_events() {
    assert_eq!(texts(&[&text(r"hi \ud83d"), &text(r"\ude00"), END]), "hi |😀|");
    assert_eq!(texts(&[&text(r"\ud83d"), &text(r"\ude00\ud83d"), &text(r"\ude00!")]), "|😀|😀!|");
    assert_eq!(texts(&[&text(r"\ud83d"), &text(""), END, &text(r"\ude00")]), "||\u{fffd}|\u{fffd}|");
}

#[test]
fn a_half_waits_for_its_own_candidate_and_kind() {
    assert_eq!(texts(&[&text(r"a\ud83d"), &thought("b"), &text(r"\ude00")]), "a|[b]😀|");
    assert_eq!(
        texts(&[&text(r"a\ud83d"), &thought(r"b\ud83d"), &thought(r"\ude01"), &text(r"\ude00")]),
        "a|[b][😁]😀|"
    );
    let second =
        |text: &str| format!(r#"{{"candidates":[{{"index":1,"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#);
    assert_eq!(texts(&[&text(r"a\ud83d"), &second(r"b\ud83d"), &text(r"\ude00"), &second(r"\ude01")]), "a|1b|😀|1😁|");
}

#[test]
fn halves_are_joined_within_one_event() {
    let json = r#"{"candidates":[{"content":{"parts":[{"text":"a\ud83d"},{"functionCall":{"name":"f"}},{"text":"\ude00b"}]},"finishReason":"STOP"}]}"#;
    assert_eq!(texts(&[json]), "a|😀b|");
    let read = response(json.as_bytes()).unwrap();
    assert!(read.anomalies.is_empty());
}

#[test]
fn a_half_without_its_other_half_is_replaced() {
    assert_eq!(texts(&[&text(r"a\ud83d"), &text("b")]), "a|\u{fffd}b|");
    assert_eq!(texts(&[&text(r"\ude00")]), "\u{fffd}|");
    assert_eq!(texts(&[&text(r"a\ud83d"), END]), "a|\u{fffd}|");
    assert_eq!(texts(&[&thought(r"a\ud83d"), END]), "[a][\u{fffd}]");
    let both = r#"{"candidates":[{"content":{"parts":[{"text":"a\ud83d"}]},"finishReason":"STOP"}]}"#;
    assert_eq!(texts(&[both]), "a\u{fffd}|");
    let tool = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#;
    assert_eq!(texts(&[&text(r"a\ud83d"), tool]), "a|\u{fffd}|");
}

#[test]
fn the_number_of_waiting_halves_is_limited() {
    let candidate = |index: usize| format!(r#"{{"index":{index},"content":{{"parts":[{{"text":"\ud83d"}}]}}}}"#);
    let candidates = (0..100).map(candidate).collect::<Vec<_>>().join(",");
    let all = texts(&[&format!(r#"{{"candidates":[{candidates}]}}"#)]);
    assert_eq!(all.matches('\u{fffd}').count(), 68);
}
