//! Prompts and responses, for operators who want to record them. By default none of it is kept anywhere.
//!
//! The form is that of the GenAI conventions (`gen_ai.input.messages`): a list of messages with typed parts. Of images
//! and other data only the type is recorded, and long texts are cut.

mod part;

use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::logs::SdkLogger;
use opentelemetry_sdk::trace::Span;
use serde_json::json;

use self::part::{Piece, piece, text};
use super::names::{attribute, event};
use crate::gemini::steps::Steps;
use crate::gemini::view::{for_each, path, role};

/// Where prompts and responses are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// As attributes of the GenAI span.
    pub spans: bool,
    /// As an event of its own, if logs are exported.
    pub events: bool,
    /// Longer texts are cut, in bytes.
    pub longest: usize,
}

/// The most parts of a request, and of a response, that are recorded. Each message of a stream has one.
const MAX_PARTS: usize = 1000;
/// The most fields of a message that are read to find them. Parts after that are not recorded.
const MAX_STEPS: u64 = 64 * MAX_PARTS as u64;

/// The contents of an operation, as pieces of JSON: they take little more memory than the texts in them.
pub(super) struct Contents {
    capture: Capture,
    system: Vec<Piece>,
    input: Vec<String>,
    output: Vec<Piece>,
}

impl Contents {
    /// Begins with the request: the wire bytes of a `GenerateContentRequest`.
    pub(super) fn of(capture: Capture, request: &[u8]) -> Self {
        let (mut system, mut input) = (Vec::new(), Vec::new());
        let steps = &mut Steps::at_most(MAX_STEPS);
        let mut left = MAX_PARTS;
        // Reading that ends early has captured as much as it may.
        let _ = for_each(request, path::SYSTEM_PARTS, steps, &mut |part, steps| {
            system.extend(piece(part, capture.longest, steps));
            left -= 1;
            left > 0
        });
        let _ = for_each(request, path::CONTENTS, steps, &mut |content, steps| {
            let mut parts = Vec::new();
            let _ = for_each(content, path::CONTENT_PARTS, steps, &mut |part, steps| {
                parts.extend(piece(part, capture.longest, steps));
                left = left.saturating_sub(1);
                left > 0
            });
            let role = text(role(content, steps).unwrap_or_default(), capture.longest);
            input.push(format!(r#"{{"role":{},"parts":{}}}"#, json!(assistant(&role)), list(parts)));
            // An empty content costs as much as a part.
            left = left.saturating_sub(1);
            left > 0
        });
        Self { capture, system, input, output: Vec::new() }
    }

    /// Adds a message of the response: the wire bytes of a `GenerateContentResponse`.
    pub(super) fn record(&mut self, message: &[u8]) {
        let steps = &mut Steps::at_most(MAX_STEPS);
        let (output, longest) = (&mut self.output, self.capture.longest);
        let _ = for_each(message, path::RESPONSE_PARTS, steps, &mut |part, steps| {
            let Some(piece) = piece(part, longest, steps) else { return true };
            // The pieces of a streamed text are one text.
            let further = match output.last_mut() {
                Some(last) => last.join(piece, longest),
                None => Some(piece),
            };
            if output.len() < MAX_PARTS {
                output.extend(further);
            }
            output.len() < MAX_PARTS
        });
    }

    /// Writes the contents to the span, and as an event, wherever they are captured.
    pub(super) fn emit(
        self,
        span: Option<&mut Box<Span>>,
        logger: Option<&SdkLogger>,
        context: &SpanContext,
        finish_reason: &str,
    ) {
        let reason = json!(finish_reason);
        let output = format!(r#"[{{"role":"assistant","parts":{},"finish_reason":{reason}}}]"#, list(self.output));
        let attributes = [
            (attribute::SYSTEM_INSTRUCTIONS, list(self.system)),
            (attribute::INPUT_MESSAGES, format!("[{}]", self.input.join(","))),
            (attribute::OUTPUT_MESSAGES, output),
        ];
        if let Some(span) = span.filter(|_| self.capture.spans) {
            span.set_attributes(attributes.iter().map(|(name, value)| KeyValue::new(*name, value.clone())));
        }
        if let Some(logger) = logger.filter(|_| self.capture.events) {
            let mut record = logger.create_log_record();
            record.set_event_name(event::INFERENCE_DETAILS);
            record.set_severity_number(Severity::Info);
            if context.is_valid() {
                record.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
            }
            record.add_attributes(attributes.map(|(name, value)| (name, AnyValue::from(value))));
            logger.emit(record);
        }
    }
}

/// A role in the words of the conventions.
fn assistant(role: &str) -> &str {
    match role {
        "model" => "assistant",
        "" => "user",
        role => role,
    }
}

fn list(pieces: Vec<Piece>) -> String {
    format!("[{}]", pieces.into_iter().map(Piece::into_json).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::gemini::json;

    fn read(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn contents(longest: usize) -> Contents {
        let capture = Capture { spans: true, events: true, longest };
        let request = br#"{"systemInstruction":{"parts":[{"text":"be brief"}]},"contents":[{"role":"user","parts":[
            {"text":"why?"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}},
            {"functionResponse":{"name":"f","response":{"a":1}}}]}]}"#;
        let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", request).unwrap();
        Contents::of(capture, &wire)
    }

    fn answer(text: &str) -> Vec<u8> {
        let json = json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] } }] });
        json::response(json.to_string().as_bytes(), None, &mut crate::gemini::steps::Steps::unlimited())
            .unwrap()
            .message
    }

    #[test]
    fn contents_have_the_form_of_the_conventions_and_without_data() {
        let contents = contents(100);
        assert_eq!(read(&list(contents.system)), json!([{ "type": "text", "content": "be brief" }]));
        let parts = json!([
            { "type": "text", "content": "why?" },
            { "type": "blob", "mime_type": "image/png", "modality": "image" },
            { "type": "tool_call_response", "id": "", "response": { "a": 1 } },
        ]);
        assert_eq!(contents.input.len(), 1);
        assert_eq!(read(&contents.input[0]), json!({ "role": "user", "parts": parts }));
    }

    #[test]
    fn parts_have_the_words_of_the_conventions() {
        let captured = |part: &str| {
            let json = format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
            let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", json.as_bytes()).unwrap();
            let capture = Capture { spans: true, events: true, longest: 12 };
            let message = read(&Contents::of(capture, &wire).input.remove(0));
            assert_eq!(message["role"], "assistant");
            message["parts"].as_array().unwrap().first().cloned().unwrap_or_default()
        };
        for (part, expected) in [
            (r#"{"text":"hm","thought":true}"#, json!({ "type": "reasoning", "content": "hm" })),
            (
                r#"{"fileData":{"mimeType":"video/mp4","fileUri":"https://example.com"}}"#,
                json!({ "type": "uri", "mime_type": "video/mp4", "modality": "video", "uri": "https://exam" }),
            ),
            (
                r#"{"functionCall":{"id":"i","name":"n","args":{"a":[1]}}}"#,
                json!({ "type": "tool_call", "id": "i", "name": "n", "arguments": { "a": [1] } }),
            ),
            (
                r#"{"functionCall":{"name":"n","args":{"long":"arguments"}}}"#,
                json!({ "type": "tool_call", "id": "", "name": "n", "arguments": r#"{"long":"arg"# }),
            ),
            (
                r#"{"functionResponse":{"id":"i","name":"n"}}"#,
                json!({ "type": "tool_call_response", "id": "i", "response": null }),
            ),
            (r#"{"executableCode":{"code":"1"}}"#, Value::Null),
            ("{}", Value::Null),
        ] {
            assert_eq!(captured(part), expected, "{part}");
        }
    }

    #[test]
    fn as_many_parts_are_captured_as_there_may_be_and_no_more() {
        let part = r#"{"text":""}"#;
        let parts = |times: usize| vec![part; times].join(",");
        let captured = |contents: &str| {
            let json = format!(r#"{{"contents":[{contents}]}}"#);
            let wire = json::to_wire("mountsea.gemini.v1.GenerateContentRequest", json.as_bytes()).unwrap();
            let contents = Contents::of(Capture { spans: true, events: true, longest: 9 }, &wire);
            contents.input.iter().map(|message| 1 + message.matches("content").count()).sum::<usize>()
        };
        assert_eq!(captured(&format!(r#"{{"parts":[{}]}}"#, parts(500))), 501);
        assert_eq!(captured(&format!(r#"{{"parts":[{}]}}"#, parts(2 * MAX_PARTS))), 1 + MAX_PARTS);
        assert_eq!(captured(&vec!["{}"; 2 * MAX_PARTS].join(",")), MAX_PARTS);
        let mut contents = contents(9);
        for _ in 0..2 * MAX_PARTS {
            let thought = json!({ "candidates": [{ "content": { "parts": [{ "thought": true, "text": "a" }] } }] });
            contents.record(&answer("b"));
            contents.record(
                &json::to_wire("mountsea.gemini.v1.GenerateContentResponse", thought.to_string().as_bytes()).unwrap(),
            );
        }
        assert_eq!(contents.output.len(), MAX_PARTS);
    }

    #[test]
    fn the_pieces_of_a_streamed_text_are_one_text_that_is_cut_where_it_is_too_long() {
        let mut contents = contents(8);
        ["zwölf ", "Böse"].iter().for_each(|text| contents.record(&answer(text)));
        assert_eq!(read(&list(contents.output)), json!([{ "type": "text", "content": "zwölf B" }]));
    }
}
