//! Answers in the form that Gemini gives them: indented JSON, and one line of JSON for each event of a stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::{self, Shape};

/// An answer that is made once and sent often.
#[derive(Clone)]
pub struct Canned {
    pub shape: Shape,
    /// The whole answer, or one event of a stream.
    pub body: Bytes,
    /// The last event of a stream.
    pub last: Bytes,
}

const FINISH: &str = "\"finishReason\": \"STOP\",";

impl Canned {
    pub fn new(shape: Shape) -> Self {
        let text = |bytes: usize| json!({"text": model::text(bytes)});
        let (body, last) = match &shape {
            Shape::Unary { .. } => (pretty(vec![text(420)]), Bytes::new()),
            Shape::Text { bytes } => (pretty(vec![text(*bytes)]), Bytes::new()),
            Shape::Echo => (Bytes::new(), Bytes::new()),
            Shape::Tools => (pretty((0..3).map(function_call).collect()), Bytes::new()),
            Shape::Image { bytes } => {
                let data = STANDARD.encode(model::image(*bytes));
                (pretty(vec![json!({"inlineData": {"mimeType": "image/png", "data": data}})]), Bytes::new())
            }
            Shape::Stream { bytes, .. } => {
                let text = model::text(*bytes);
                (event(&text, false), event(&text, true))
            }
        };
        Self { shape, body, last }
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
pub fn event(text: &str, is_last: bool) -> Bytes {
    let (text, finish) = (Value::from(text), if is_last { FINISH } else { "" });
    let content = format!("{{\"parts\": [{{\"text\": {text}}}],\"role\": \"model\"}}");
    let usage = "{\"promptTokenCount\": 23,\"candidatesTokenCount\": 117,\"totalTokenCount\": 140,\
                 \"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 23}]}";
    let rest =
        format!("\"usageMetadata\": {usage},\"modelVersion\": \"bench-1\",\"responseId\": \"kX0faIr2NtCWkdUPq4e8sAo\"");
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
        "modelVersion": "bench-1",
        "responseId": "kX0faIr2NtCWkdUPq4e8sAo",
    });
    format!("{answer:#}\n").into()
}
