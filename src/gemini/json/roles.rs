//! Decides which members of a response are its content, and which members of a request are validated. All others may
//! be unreadable: a response is useful without them, and upstream decides about them in a request.

use super::schema::{Field, Form, Kind, Message, Role};

/// The fields that are content, by message.
const CONTENT: &[(&str, &[&str])] = &[
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

/// The fields of a request that `validate` reads, by message, and those on the way to them.
const VALIDATED: &[(&str, &[&str])] = &[
    ("GenerateContentRequest", &["model", "contents", "system_instruction", "generation_config"]),
    ("CountTokensRequest", &["model", "generate_content_request"]),
    ("EmbedContentRequest", &["model"]),
    ("BatchEmbedContentsRequest", &["model", "requests"]),
    ("Content", &["parts"]),
    ("Part", &["inline_data"]),
    ("Blob", &["mime_type", "data"]),
    (
        "GenerationConfig",
        &["temperature", "top_p", "candidate_count", "max_output_tokens", "response_modalities", "image_config"],
    ),
    ("ImageConfig", &["aspect_ratio", "image_size"]),
];

/// The oneof of `Part` whose members are content as well.
pub(super) const DATA_ONEOF: &str = "data";

/// Sets the role of each field of all messages that these `responses` can contain. A message is given by its index.
pub(super) fn assign(messages: &mut [Message], responses: impl Iterator<Item = usize>) {
    let mut seen = vec![false; messages.len()];
    let mut to_visit: Vec<_> = responses.collect();
    while let Some(index) = to_visit.pop() {
        let message = &mut messages[index];
        if std::mem::replace(&mut seen[index], true) || message.form != Form::Object {
            continue;
        }
        let (name, oneofs) = (message.name, &message.oneofs);
        let content = CONTENT.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, fields)| fields);
        for field in &mut message.fields {
            field.role = role(name, field, content, oneofs);
            if let Kind::Message(inner) = field.kind {
                to_visit.push(inner);
            }
        }
    }
}

/// Marks the fields that `validate` reads.
pub(super) fn mark_validated(messages: &mut [Message]) {
    for (name, fields) in VALIDATED {
        for message in messages.iter_mut().filter(|message| message.name == *name) {
            let fields = message.fields.iter_mut().filter(|field| fields.contains(&field.name));
            fields.for_each(|field| field.is_validated = true);
        }
    }
}

fn role(message: &str, field: &Field, content: &[&str], oneofs: &[&str]) -> Role {
    let is_data = field.oneof.is_some_and(|oneof| oneofs.get(usize::from(oneof)) == Some(&DATA_ONEOF));
    match field.name {
        "text" if is_data && message == "Part" => Role::Text,
        name if is_data || content.contains(&name) => Role::Content,
        _ => Role::Sidecar,
    }
}
