//! What was asked and answered, for those who have asked to see it. By default nothing of it is kept anywhere.
//!
//! The form is that of the GenAI conventions (`gen_ai.input.messages`): a list of messages with typed parts. Of pictures
//! and other data only the type is told, and long texts are cut.

use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::logs::SdkLogger;
use opentelemetry_sdk::trace::Span;
use prost::Message as _;
use serde_json::{Value, json};

use super::names::{attribute, event};
use crate::gemini::json::to_json;
use crate::pb::gemini::{
    Content, FunctionCall, FunctionResponse, GenerateContentRequest, GenerateContentResponse, Part, part,
};

/// Where contents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// As attributes of the GenAI span.
    pub spans: bool,
    /// As an event of its own, if logs are exported.
    pub events: bool,
    /// A longer text is cut, in bytes.
    pub longest: usize,
}

/// A call keeps so many parts of its answer: each event of a stream has one.
const MOST_PARTS: usize = 1000;

/// The contents of an operation.
#[derive(Debug)]
pub(super) struct Contents {
    capture: Capture,
    system: Vec<Value>,
    input: Vec<Value>,
    output: Vec<Value>,
}

impl Contents {
    /// What is asked: the wire bytes of a `GenerateContentRequest`.
    pub(super) fn of(capture: Capture, request: &[u8]) -> Self {
        let request = GenerateContentRequest::decode(request).unwrap_or_default();
        let parts = |content: &Content| -> Vec<Value> {
            content.parts.iter().filter_map(|part| told(part, capture.longest)).collect()
        };
        let message = |content: &Content| json!({ "role": role(&content.role), "parts": parts(content) });
        Self {
            capture,
            system: request.system_instruction.as_ref().map(parts).unwrap_or_default(),
            input: request.contents.iter().map(message).collect(),
            output: Vec::new(),
        }
    }

    /// A part of the answer: the wire bytes of a `GenerateContentResponse`.
    pub(super) fn saw(&mut self, message: &[u8]) {
        let answer = GenerateContentResponse::decode(message).unwrap_or_default();
        let contents = answer.candidates.iter().filter_map(|candidate| candidate.content.as_ref());
        let parts = contents.flat_map(|content| &content.parts).filter_map(|part| told(part, self.capture.longest));
        let room = MOST_PARTS.saturating_sub(self.output.len());
        for part in parts.take(room) {
            // The pieces of a streamed text are one text.
            match (self.output.last_mut(), part) {
                (Some(last), part) if is_text(last) && last["type"] == part["type"] => {
                    let text =
                        [last["content"].as_str(), part["content"].as_str()].map(Option::unwrap_or_default).concat();
                    last["content"] = cut(&text, self.capture.longest).into();
                }
                (_, part) => self.output.push(part),
            }
        }
    }

    /// Tells it.
    pub(super) fn tell(
        self,
        span: Option<&mut Box<Span>>,
        logger: Option<&SdkLogger>,
        context: &SpanContext,
        finish_reason: &str,
    ) {
        let text = |values: Vec<Value>| Value::Array(values).to_string();
        let output = json!([{ "role": "assistant", "parts": self.output, "finish_reason": finish_reason }]).to_string();
        let attributes = [
            (attribute::SYSTEM_INSTRUCTIONS, text(self.system)),
            (attribute::INPUT_MESSAGES, text(self.input)),
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

fn role(role: &str) -> &str {
    match role {
        "model" => "assistant",
        "" => "user",
        role => role,
    }
}

/// A part in the words of the conventions; none of what they have no word for.
fn told(part: &Part, longest: usize) -> Option<Value> {
    Some(match part.data.as_ref()? {
        part::Data::Text(text) if part.thought => json!({ "type": "reasoning", "content": cut(text, longest) }),
        part::Data::Text(text) => json!({ "type": "text", "content": cut(text, longest) }),
        part::Data::InlineData(blob) => {
            json!({ "type": "blob", "mime_type": blob.mime_type, "modality": modality(&blob.mime_type) })
        }
        part::Data::FileData(file) => {
            let modality = modality(&file.mime_type);
            json!({ "type": "uri", "mime_type": file.mime_type, "modality": modality, "uri": cut(&file.file_uri, longest) })
        }
        part::Data::FunctionCall(FunctionCall { id, name, args, .. }) => {
            json!({ "type": "tool_call", "id": id, "name": name, "arguments": structure(args.as_ref(), longest) })
        }
        part::Data::FunctionResponse(FunctionResponse { id, response, .. }) => {
            json!({ "type": "tool_call_response", "id": id, "response": structure(response.as_ref(), longest) })
        }
        _ => return None,
    })
}

fn is_text(part: &Value) -> bool {
    part["type"] == "text" || part["type"] == "reasoning"
}

fn modality(mime_type: &str) -> &str {
    mime_type.split('/').next().filter(|kind| matches!(*kind, "image" | "audio" | "video")).unwrap_or("document")
}

/// A struct as JSON, or the beginning of its text if it is long.
fn structure(value: Option<&prost_types::Struct>, longest: usize) -> Value {
    let Some(value) = value else { return Value::Null };
    let json = to_json("google.protobuf.Struct", &value.encode_to_vec()).unwrap_or_default();
    let text = String::from_utf8_lossy(&json);
    match serde_json::from_str(&text) {
        Ok(value) if text.len() <= longest => value,
        _ => cut(&text, longest).into(),
    }
}

fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::json;

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
    fn contents_are_told_in_the_form_of_the_conventions_and_without_data() {
        let contents = contents(100);
        assert_eq!(contents.system, [json!({ "type": "text", "content": "be brief" })]);
        let parts = json!([
            { "type": "text", "content": "why?" },
            { "type": "blob", "mime_type": "image/png", "modality": "image" },
            { "type": "tool_call_response", "id": "", "response": { "a": 1 } },
        ]);
        assert_eq!(contents.input, [json!({ "role": "user", "parts": parts })]);
    }

    #[test]
    fn the_pieces_of_a_streamed_text_are_one_text_that_is_cut_where_it_is_too_long() {
        let mut contents = contents(8);
        ["zwölf ", "Böse"].iter().for_each(|text| contents.saw(&answer(text)));
        assert_eq!(contents.output, [json!({ "type": "text", "content": "zwölf B" })]);
    }
}
