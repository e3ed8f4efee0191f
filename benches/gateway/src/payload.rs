//! Requests, encoded by hand and once: the same one for each API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::client::TargetArgs;
use crate::wire::{field, framed, message, varint};
use crate::{model, tools};

const PROMPT: &str = "Write two short sentences about the history of the lighthouse at the end of the old pier.";

/// The texts and the picture of a request.
fn prompt(target: &TargetArgs) -> String {
    if target.prompt > 0 { model::text(target.prompt) } else { PROMPT.to_owned() }
}

/// A GenerateContentRequest with gRPC's five bytes before it.
pub fn grpc(target: &TargetArgs) -> Vec<u8> {
    // Part.text is 2, Part.inline_data 3; Blob has mime_type 1 and data 2.
    let mut content = message(&[(1, &message(&[(2, prompt(target).as_bytes())]))]);
    if target.image > 0 {
        let blob = message(&[(1, b"image/png"), (2, &model::image(target.image))]);
        field(&mut content, 1, &message(&[(3, &blob)]));
    }
    field(&mut content, 2, b"user");
    // GenerationConfig.max_output_tokens is 4, temperature 5, a float.
    let mut config = vec![4 << 3];
    varint(&mut config, 1024);
    config.push(5 << 3 | 5);
    config.extend_from_slice(&0.5f32.to_le_bytes());
    // GenerateContentRequest: model 1, contents 2, generation_config 4, tools 5.
    let mut request = message(&[(1, format!("models/{}", target.model).as_bytes()), (2, &content)]);
    if target.tools {
        tools::contents().iter().for_each(|content| field(&mut request, 2, content));
        field(&mut request, 5, &tools::declarations());
    }
    field(&mut request, 4, &config);
    framed(&request)
}

/// The same request for the REST API.
pub fn gemini(target: &TargetArgs) -> Vec<u8> {
    let mut parts = format!(r#"{{"text":{}}}"#, serde_json::Value::from(prompt(target)));
    if target.image > 0 {
        let data = STANDARD.encode(model::image(target.image));
        parts.push_str(&format!(r#",{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}"#));
    }
    let (contents, tools) = if target.tools {
        (format!(",{}", tools::contents_json()), format!(r#","tools":[{}]"#, tools::declarations_json()))
    } else {
        (String::new(), String::new())
    };
    let config = r#""generationConfig":{"maxOutputTokens":1024,"temperature":0.5}"#;
    format!(r#"{{"contents":[{{"parts":[{parts}],"role":"user"}}{contents}],{config}{tools}}}"#).into()
}

/// The nearest request of OpenAI's chat completions. It has no functions.
pub fn openai(target: &TargetArgs, is_stream: bool) -> Vec<u8> {
    let text = serde_json::Value::from(prompt(target));
    let content = if target.image > 0 {
        let data = STANDARD.encode(model::image(target.image));
        let url = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#);
        format!(r#"[{{"type":"text","text":{text}}},{url}]"#)
    } else {
        text.to_string()
    };
    let model = format!("{}{}", target.model_prefix, target.model);
    let config = format!(r#""model":"{model}","stream":{is_stream},"max_tokens":1024,"temperature":0.5"#);
    format!(r#"{{{config},"messages":[{{"role":"user","content":{content}}}]}}"#).into()
}
