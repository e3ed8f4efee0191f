//! Which members of an answer are its content. All others are sidecars: an answer is worth something without them, so
//! one that cannot be read does not cost the answer.

use super::schema::{Field, Form, Kind, Message, Role};

/// What an answer is made of, by message and field.
const CONTENT: [(&str, &[&str]); 14] = [
    ("GenerateContentResponse", &["candidates"]),
    ("Candidate", &["content"]),
    ("Content", &["parts"]),
    ("Part", &[]),
    ("Blob", &["data"]),
    ("FileData", &["file_uri"]),
    ("FunctionCall", &["name", "args"]),
    ("FunctionResponse", &["name", "response", "parts"]),
    ("FunctionResponsePart", &[]),
    ("FunctionResponseBlob", &["data"]),
    ("ExecutableCode", &["code"]),
    ("CodeExecutionResult", &["output"]),
    ("ToolCall", &["args"]),
    ("ToolResponse", &["response"]),
];

/// The oneof of a part whose members are its content.
pub(super) const DATA: &str = "data";

/// Finds the role of each field of the messages that `answer` consists of.
pub(super) fn assign(messages: &mut [Message], answer: usize) {
    let mut seen = vec![false; messages.len()];
    let mut left = vec![answer];
    while let Some(index) = left.pop() {
        let message = &mut messages[index];
        if std::mem::replace(&mut seen[index], true) || message.form != Form::Object {
            continue;
        }
        let (name, oneofs) = (message.name, &message.oneofs);
        let content = CONTENT.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, fields)| fields);
        for field in &mut message.fields {
            field.role = role(name, field, content, oneofs);
            if let Kind::Message(inner) = field.kind {
                left.push(inner);
            }
        }
    }
}

fn role(message: &str, field: &Field, content: &[&str], oneofs: &[&str]) -> Role {
    let is_data = field.oneof.is_some_and(|oneof| oneofs.get(usize::from(oneof)) == Some(&DATA));
    match field.name {
        "text" if is_data && message == "Part" => Role::Text,
        name if is_data || content.contains(&name) => Role::Content,
        _ => Role::Sidecar,
    }
}
