//! Answers in the form that Gemini gives them: indented JSON, one line of JSON for each event of a stream, and the same
//! as messages of gRPC.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::{self, Shape};
use crate::wire::{field, framed, message, varint};

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    Json,
    Grpc,
}

/// An answer that is made once and sent often.
#[derive(Clone)]
pub struct Canned {
    pub shape: Shape,
    pub form: Form,
    /// The whole answer, or one event of a stream.
    pub body: Bytes,
    /// The last event of a stream.
    pub last: Bytes,
}

const FINISH: &str = "\"finishReason\": \"STOP\",";
const MODEL: &str = "bench-1";
const RESPONSE_ID: &str = "kX0faIr2NtCWkdUPq4e8sAo";

impl Canned {
    /// As messages of gRPC there are only short answers and streams.
    pub fn new(shape: Shape, form: Form) -> Option<Self> {
        let text = |bytes: usize| json!({"text": model::text(bytes)});
        let (body, last) = match &shape {
            Shape::Unary { .. } if form == Form::Grpc => (grpc(&model::text(420), true), Bytes::new()),
            Shape::Stream { bytes, .. } => {
                let text = model::text(*bytes);
                (event(&text, false, form), event(&text, true, form))
            }
            _ if form == Form::Grpc => return None,
            Shape::Unary { .. } => (pretty(vec![text(420)]), Bytes::new()),
            Shape::Text { bytes } => (pretty(vec![text(*bytes)]), Bytes::new()),
            Shape::Echo => (Bytes::new(), Bytes::new()),
            Shape::Tools => (pretty((0..3).map(function_call).collect()), Bytes::new()),
            Shape::Image { bytes } => {
                let data = STANDARD.encode(model::image(*bytes));
                (pretty(vec![json!({"inlineData": {"mimeType": "image/png", "data": data}})]), Bytes::new())
            }
        };
        Some(Self { shape, form, body, last })
    }
}

fn function_call(number: usize) -> Value {
    let tags: Vec<String> = (0..8).map(|i| format!("tag-{i}")).collect();
    let place = json!({"city": "Kraków", "country": "Poland", "floor": number, "exact": true});
    let args = json!({"customer": "C-000042", "query": "blue lamp", "state": "OPEN", "tags": tags, "place": place});
    json!({"functionCall": {"name": format!("search_orders_{number}"), "args": args}})
}

/// The answer to a request whose size is all that matters.
pub fn echo(bytes: u64) -> String {
    let candidate = json!({"content": {"parts": [{"text": "ok"}], "role": "model"}, "finishReason": "STOP"});
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": bytes}}).to_string()
}

/// One event of a stream.
pub fn event(text: &str, is_last: bool, form: Form) -> Bytes {
    if form == Form::Grpc {
        return grpc(text, is_last);
    }
    let (text, finish) = (Value::from(text), if is_last { FINISH } else { "" });
    let content = format!("{{\"parts\": [{{\"text\": {text}}}],\"role\": \"model\"}}");
    let usage = "{\"promptTokenCount\": 23,\"candidatesTokenCount\": 117,\"totalTokenCount\": 140,\
                 \"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 23}]}";
    let rest = format!("\"usageMetadata\": {usage},\"modelVersion\": \"{MODEL}\",\"responseId\": \"{RESPONSE_ID}\"");
    format!("data: {{\"candidates\": [{{\"content\": {content},{finish}\"index\": 0}}],{rest}}}\r\n\r\n").into()
}

fn pretty(parts: Vec<Value>) -> Bytes {
    let details = json!([{"modality": "TEXT", "tokenCount": 23}]);
    let answer = json!({
        "candidates": [{
            "content": {"parts": parts, "role": "model"},
            "finishReason": "STOP",
            "avgLogprobs": -0.216_831_445_693_969_73,
            "index": 0,
        }],
        "usageMetadata": {
            "promptTokenCount": 23,
            "candidatesTokenCount": 117,
            "totalTokenCount": 140,
            "promptTokensDetails": details,
        },
        "modelVersion": MODEL,
        "responseId": RESPONSE_ID,
    });
    format!("{answer:#}\n").into()
}

/// A GenerateContentResponse with this text, and gRPC's five bytes before it.
fn grpc(text: &str, is_last: bool) -> Bytes {
    // Part.text is 2; Content has parts 1 and role 2; Candidate.content is 2 and finish_reason 3, where STOP is 1.
    let content = message(&[(1, &message(&[(2, text.as_bytes())])), (2, b"model")]);
    let mut candidate = message(&[(2, &content)]);
    if is_last {
        candidate.extend([3 << 3, 1]);
    }
    // UsageMetadata.prompt_token_count is 1, candidates_token_count 2 and total_token_count 3.
    let mut usage = Vec::new();
    for (number, count) in [(1, 23), (2, 117), (3, 140)] {
        usage.push(number << 3);
        varint(&mut usage, count);
    }
    // GenerateContentResponse: candidates 1, usage_metadata 3, model_version 4, response_id 5.
    let mut response = message(&[(1, &candidate), (3, &usage), (4, MODEL.as_bytes())]);
    field(&mut response, 5, RESPONSE_ID.as_bytes());
    framed(&response).into()
}
