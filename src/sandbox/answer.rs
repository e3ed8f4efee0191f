//! The answers of the sandbox: text, a function call, JSON or a picture, as the events of a stream.

use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::error::Error;
use super::models::{ImageModel, Model};
use super::picture;
use super::request::{Request, get};
use super::schema;

/// Opaque to callers, who have to send it back as it is.
const SIGNATURE: &[u8] = b"sandbox thought signature";

/// The parts of an answer, in the order in which a stream sends them, and how it ends.
#[derive(Debug)]
struct Parts {
    list: Vec<Value>,
    finish: &'static str,
    /// Of the candidate and of its thoughts.
    tokens: [usize; 2],
}

/// The events of a streamed answer. The last of them alone has a finish reason. Some faults are of pictures.
pub(super) fn events(model: &Model, request: &Request, fault: &str) -> Result<Vec<Value>, Error> {
    let parts = parts(model, request, fault)?;
    let count = get_count(request)?;
    let id = format!("sandbox-{:x}", request.prompt().len() * 7919 + parts.list.len());
    let last = parts.list.len().saturating_sub(1);
    let whole = |i: usize| {
        // Usage grows with the answer.
        let so_far = parts.tokens[0] * (i + 1) / (last + 1);
        usage(request, so_far, parts.tokens[1], model.image.is_some())
    };
    let events = parts.list.iter().enumerate().map(|(i, part)| {
        let candidates = (0..count).map(|index| {
            let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": index});
            if i == last {
                candidate["finishReason"] = json!(parts.finish);
            }
            candidate
        });
        let candidates: Vec<Value> = candidates.collect();
        json!({"candidates": candidates, "usageMetadata": whole(i), "modelVersion": model.version(), "responseId": id})
    });
    Ok(events.collect())
}

/// The same as one answer: the parts of all events, neighbouring texts joined.
pub(super) fn single(events: &[Value]) -> Value {
    let Some(mut whole) = events.last().cloned() else { return json!({}) };
    let parts = events.iter().flat_map(|event| super::request::items(&event["candidates"][0]["content"]["parts"]));
    let mut joined: Vec<Value> = Vec::new();
    for part in parts {
        let plain =
            |part: &Value| part.get("text").is_some() && part.as_object().is_some_and(|members| members.len() == 1);
        match joined.last_mut() {
            Some(before) if plain(before) && plain(part) => {
                let text = [&before["text"], &part["text"]].map(|text| text.as_str().unwrap_or_default()).concat();
                before["text"] = json!(text);
            }
            _ => joined.push(part.clone()),
        }
    }
    for candidate in whole["candidates"].as_array_mut().into_iter().flatten() {
        candidate["content"]["parts"] = json!(joined);
    }
    whole
}

fn parts(model: &Model, request: &Request, fault: &str) -> Result<Parts, Error> {
    let mut parts = match (fault, model.image) {
        ("big-picture", _) => drawn(None, &draw(request, (1, 1), 4096)?),
        ("thought-picture", _) => drawn(Some(&draw(request, (1, 1), 512)?), &draw(request, (1, 1), 1024)?),
        (_, Some(image)) => pictures(image, request)?,
        (_, None) => words(request)?,
    };
    if let Some(part) = parts.list.last_mut()
        && model.signs()
    {
        part["thoughtSignature"] = json!(STANDARD.encode_to_string(SIGNATURE));
    }
    if request.wants_thoughts() {
        parts.list.insert(0, json!({"text": "[sandbox] Thinking of something to say.", "thought": true}));
        parts.tokens[1] += 7;
    }
    Ok(parts)
}

fn words(request: &Request) -> Result<Parts, Error> {
    let prompt = request.prompt();
    if let Some(name) = request.function_result() {
        return limited(
            request,
            &format!("[sandbox] The function {name} gave its result, and this is the answer to it."),
        );
    }
    if let Some(function) = request.function() {
        return Ok(call(function, &prompt));
    }
    let mime = request.config("responseMimeType").as_str().unwrap_or_default();
    if mime == "application/json" || request.schema().is_some() {
        let fallback = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
        let value = schema::example(request.schema().unwrap_or(&fallback), "made up");
        return limited(request, &value.to_string());
    }
    let pictures = request.pictures()?.len();
    let beginning: Vec<&str> = prompt.split_whitespace().take(12).collect();
    let mut text = format!("[sandbox] You said \"{}\".", beginning.join(" "));
    match pictures {
        0 => {}
        1 => text.push_str(" You sent a picture with it."),
        n => text.push_str(&format!(" You sent {n} pictures with it.")),
    }
    if request.has_system_instruction() {
        text.push_str(" There was a system instruction as well.");
    }
    text.push_str(" No model was asked: this answer was made up on your own machine, word by word, at no cost.");
    limited(request, &text)
}

/// A text, cut at the first stop sequence and at the limit of tokens.
fn limited(request: &Request, text: &str) -> Result<Parts, Error> {
    let stops = super::request::items(request.config("stopSequences")).filter_map(Value::as_str);
    let end = stops.filter_map(|stop| text.find(stop)).min().unwrap_or(text.len());
    let mut list: Vec<Value> = text[..end].split_inclusive(' ').map(|word| json!({"text": word})).collect();
    let most = request.config("maxOutputTokens").as_u64();
    if most == Some(0) {
        return Err(Error::invalid("maxOutputTokens must be positive"));
    }
    let most = most.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let finish = if list.len() > most { "MAX_TOKENS" } else { "STOP" };
    list.truncate(most);
    if list.is_empty() {
        list.push(json!({"text": ""}));
    }
    let tokens = [list.len(), 0];
    Ok(Parts { list, finish, tokens })
}

fn call(function: &Value, prompt: &str) -> Parts {
    let parameters = [get(function, "parameters"), get(function, "parametersJsonSchema")];
    let schema = parameters.into_iter().find(|schema| schema.is_object()).cloned().unwrap_or_default();
    let hint = prompt.split_whitespace().next().unwrap_or("value");
    let args = if schema.is_object() { schema::example(&schema, hint) } else { json!({}) };
    let call = json!({"functionCall": {"name": get(function, "name"), "args": args, "id": "sandbox-call-1"}});
    Parts { list: vec![call], finish: "STOP", tokens: [12, 0] }
}

fn pictures(model: &ImageModel, request: &Request) -> Result<Parts, Error> {
    let modalities = request.modalities();
    if !modalities.iter().any(|modality| modality == "IMAGE") {
        return Err(Error::invalid("generationConfig.responseModalities must contain IMAGE for this model"));
    }
    let refused =
        |name: &str, value: &str| Error::invalid(format!("{name} {value:?} is not supported by {}", model.native));
    let ratio = match request.image_setting("aspectRatio") {
        Some(ratio) => model.ratio(&ratio).ok_or_else(|| refused("aspectRatio", &ratio))?,
        None => (1, 1),
    };
    let side = match request.image_setting("imageSize") {
        Some(size) => model.side(&size).ok_or_else(|| refused("imageSize", &size))?,
        None => 1024,
    };
    let given = request.pictures()?;
    let (picture, did) = match given.last() {
        Some(given) => (readable(picture::edit(given, &request.prompt()))?, "Your picture, changed"),
        None => (draw(request, ratio, side)?, "A picture made up"),
    };
    let draft = (model.drafts && side > 1024).then(|| draw(request, ratio, 1024)).transpose()?;
    let mut parts = drawn(draft.as_deref(), &picture);
    if modalities.iter().any(|modality| modality == "TEXT") {
        let text = format!("[sandbox] {did} on your own machine by no model at all. ");
        parts.list.insert(parts.list.len() - 1, json!({"text": text}));
    }
    Ok(parts)
}

fn draw(request: &Request, ratio: (u32, u32), side: u32) -> Result<Vec<u8>, Error> {
    readable(picture::make(&request.prompt(), ratio, side))
}

fn readable(picture: Result<Vec<u8>, image::ImageError>) -> Result<Vec<u8>, Error> {
    picture.map_err(|_| Error::invalid("Unable to process input image"))
}

/// A picture as the result, with another one as a thought before it.
fn drawn(draft: Option<&[u8]>, picture: &[u8]) -> Parts {
    let part = |png: &[u8]| json!({"inlineData": {"mimeType": "image/png", "data": STANDARD.encode_to_string(png)}});
    let draft = draft.map(|png| {
        let mut part = part(png);
        part["thought"] = json!(true);
        part
    });
    let thoughts = if draft.is_some() { 1120 } else { 0 };
    let list = draft.into_iter().chain([part(picture)]).collect();
    Parts { list, finish: "STOP", tokens: [1290, thoughts] }
}

fn get_count(request: &Request) -> Result<u64, Error> {
    match request.config("candidateCount").as_u64().unwrap_or(1) {
        count @ 1..=8 => Ok(count),
        _ => Err(Error::invalid("candidateCount must be from 1 to 8")),
    }
}

/// The tokens of parts, and how many there are of each modality: a token a word, and what Google counts for a picture.
pub(super) fn tokens<'v>(parts: impl Iterator<Item = &'v Value>) -> (usize, Value) {
    let (mut text, mut pictures) = (0, 0);
    for part in parts {
        text += get(part, "text").as_str().map_or(0, |text| text.split_whitespace().count());
        pictures += usize::from(get(part, "inlineData").is_object());
    }
    let mut details = vec![json!({"modality": "TEXT", "tokenCount": text})];
    if pictures > 0 {
        details.push(json!({"modality": "IMAGE", "tokenCount": pictures * 258}));
    }
    (text + pictures * 258, json!(details))
}

fn usage(request: &Request, candidates: usize, thoughts: usize, image: bool) -> Value {
    let (prompt, details) = tokens(request.parts());
    let mut usage = json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + thoughts,
        "promptTokensDetails": details,
        "candidatesTokensDetails": [{"modality": if image { "IMAGE" } else { "TEXT" }, "tokenCount": candidates}],
    });
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(thoughts);
    }
    usage
}
