//! A part in the words of the GenAI conventions.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::gemini::json::to_json;
use crate::gemini::steps::Steps;
use crate::gemini::view::PartContent;

/// A struct that is longer on the wire, in bytes, is left out, unless texts of its length are kept: all of it would be
/// translated to capture its beginning.
const MAX_STRUCT_BYTES: usize = 1 << 20;

/// A part that is captured.
pub(super) enum Piece {
    /// A text may go on in the next message of a stream.
    Text { kind: &'static str, text: String },
    /// Any other part, as JSON.
    Json(String),
}

impl Piece {
    /// Appends a text of the same kind, up to `longest` bytes in all; returns any other piece.
    pub(super) fn join(&mut self, next: Self, longest: usize) -> Option<Self> {
        match (self, next) {
            (Self::Text { kind, text }, Self::Text { kind: next_kind, text: next }) if *kind == next_kind => {
                text.push_str(cut(&next, longest.saturating_sub(text.len())));
                None
            }
            (_, next) => Some(next),
        }
    }

    pub(super) fn into_json(self) -> String {
        match self {
            Self::Text { kind, text } => json!({ "type": kind, "content": text }).to_string(),
            Self::Json(json) => json,
        }
    }
}

/// A part by its wire bytes; none of those that the conventions have no word for.
pub(super) fn piece(part: &[u8], longest: usize, steps: &mut Steps<'_>) -> Option<Piece> {
    let short = |bytes| text(bytes, longest);
    let json = match PartContent::read(part, steps).ok()?? {
        PartContent::Text { text, thought } => {
            let kind = if thought { "reasoning" } else { "text" };
            return Some(Piece::Text { kind, text: short(text).into_owned() });
        }
        PartContent::InlineData { mime_type } => {
            let mime_type = short(mime_type);
            json!({ "type": "blob", "mime_type": mime_type, "modality": modality(&mime_type) }).to_string()
        }
        PartContent::FileData { mime_type, uri } => {
            let mime_type = short(mime_type);
            let modality = modality(&mime_type);
            json!({ "type": "uri", "mime_type": mime_type, "modality": modality, "uri": short(uri) }).to_string()
        }
        PartContent::FunctionCall { id, name, args } => {
            let call = json!({ "type": "tool_call", "id": short(id), "name": short(name) });
            with_struct(call, "arguments", args, longest)
        }
        PartContent::FunctionResponse { id, response } => {
            with_struct(json!({ "type": "tool_call_response", "id": short(id) }), "response", response, longest)
        }
    };
    Some(Piece::Json(json))
}

fn modality(mime_type: &str) -> &str {
    mime_type.split('/').next().filter(|kind| matches!(*kind, "image" | "audio" | "video")).unwrap_or("document")
}

/// An object with a further member: a struct as JSON, or the beginning of its text if it is long. The JSON is not made
/// into a tree, which could take 30 times its memory.
fn with_struct(object: Value, name: &str, wire: Option<&[u8]>, longest: usize) -> String {
    let member = wire.filter(|wire| wire.len() <= MAX_STRUCT_BYTES.max(longest)).map_or("null".to_owned(), |wire| {
        let json = to_json("google.protobuf.Struct", wire).unwrap_or_default();
        let json = String::from_utf8_lossy(&json);
        if json.len() <= longest { json.into_owned() } else { Value::from(cut(&json, longest)).to_string() }
    });
    let mut text = object.to_string();
    text.pop();
    format!("{text},\"{name}\":{member}}}")
}

/// The beginning of a text on the wire.
pub(super) fn text(bytes: &[u8], longest: usize) -> Cow<'_, str> {
    let is_boundary = |end: &usize| bytes.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (0..=longest.min(bytes.len())).rev().find(is_boundary);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(0)])
}

fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
