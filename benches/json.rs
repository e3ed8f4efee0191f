//! Measures the translator's throughput in both directions, compared with serde_json's to and from its tree, which is the
//! minimum for a relay of JSON.
//!
//! The throughput is in bytes of JSON, in both directions and for both libraries.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gemini_grpc::gemini::json::{RequestLimits, request, response, to_json, to_wire};
use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::steps::Steps;
use serde_json::{Value, json};

const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";

const SENTENCE: &str = "The quick brown fox – \"Reynard\" – jumps over the lazy dog,\nand then it does so again, which no one had expected. ";

fn text(bytes: usize) -> String {
    SENTENCE.repeat(bytes / SENTENCE.len())
}

fn picture(bytes: usize) -> Value {
    json!({ "inlineData": { "mimeType": "image/png", "data": "iVBORw0KGgoAAAANSUhEUg+/".repeat(bytes * 4 / 3 / 24) } })
}

fn answer(parts: Value) -> Value {
    json!({
        "candidates": [{ "content": { "parts": parts, "role": "model" }, "index": 0 }],
        "usageMetadata": {
            "promptTokenCount": 12, "candidatesTokenCount": 34, "totalTokenCount": 46,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 12 }]
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "k3vZaPq0E9-xvdIPh5rYsQ0"
    })
}

/// An answer with all common fields next to its text.
fn complete_answer() -> Value {
    let mut answer = answer(json!([{ "text": text(3200) }]));
    let rating = |category: &str| json!({ "category": category, "probability": "NEGLIGIBLE" });
    let web = |n: usize| json!({ "web": { "uri": format!("https://example.com/{n}"), "title": format!("page {n}") } });
    let support = json!({
        "segment": { "startIndex": 17, "endIndex": 96, "text": "The quick brown fox" },
        "groundingChunkIndices": [0, 2], "confidenceScores": [0.95, 0.71]
    });
    answer["candidates"][0]["finishReason"] = "STOP".into();
    answer["candidates"][0]["safetyRatings"] =
        ["HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH", "HARM_CATEGORY_DANGEROUS_CONTENT"].map(rating).into();
    answer["candidates"][0]["groundingMetadata"] =
        json!({ "groundingChunks": [web(1), web(2), web(3)], "groundingSupports": [support] });
    answer["candidates"][0]["avgLogprobs"] = json!(-0.123_456_789);
    answer
}

/// A request with twenty turns, four tools and a schema.
fn chat() -> Value {
    let turn = |n: usize| {
        let role = if n.is_multiple_of(2) { "user" } else { "model" };
        json!({ "parts": [{ "text": text(400) }], "role": role })
    };
    let tool = |n: usize| {
        json!({
            "name": format!("find_{n}"), "description": text(200),
            "parameters": {
                "type": "OBJECT", "required": ["place"],
                "properties": {
                    "place": { "type": "STRING", "description": "A town, with its country" },
                    "days": { "type": "INTEGER", "minimum": 1, "maximum": 14 },
                    "units": { "type": "STRING", "enum": ["metric", "imperial"] }
                }
            }
        })
    };
    json!({
        "contents": (0..20).map(turn).collect::<Vec<_>>(),
        "generationConfig": {
            "maxOutputTokens": 4096, "temperature": 0.7, "topP": 0.95, "topK": 40,
            "responseJsonSchema": { "type": "object", "properties": { "b": { "type": "number", "maximum": 5 } } }
        },
        "tools": [{ "functionDeclarations": (0..4).map(tool).collect::<Vec<_>>() }],
        "systemInstruction": { "parts": [{ "text": text(300) }] }
    })
}

fn throughput(criterion: &mut Criterion) {
    let responses = [
        ("event", answer(json!([{ "text": text(120) }]))),
        ("answer of 4 KB", complete_answer()),
        ("text of 64 KiB", answer(json!([{ "text": text(64 << 10) }]))),
        ("picture of 4 MiB", answer(json!([picture(4 << 20)]))),
    ];
    let question =
        json!({ "contents": [{ "parts": [{ "text": "What is this?" }, picture(4 << 20)], "role": "user" }] });
    let requests = [("chat", chat()), ("picture of 4 MiB", question)];
    let write = |wire: &[u8]| to_json(RESPONSE, wire).unwrap_or_default();
    let read = |json: &[u8]| to_wire(REQUEST, json).unwrap_or_default();
    for (name, value) in responses {
        compare(
            criterion,
            &format!("response, {name}"),
            &value,
            |json| response(json, None, &mut Steps::unlimited()).map(|answer| answer.message).unwrap_or_default(),
            write,
        );
    }
    for (name, value) in requests {
        let write = |wire: &[u8]| {
            let request =
                request(Method::GenerateContent, &[wire], RequestLimits::default(), None, &mut Steps::unlimited());
            request.map(|request| request.json).unwrap_or_default()
        };
        compare(criterion, &format!("request, {name}"), &value, read, write);
    }
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    value: &Value,
    read: impl Fn(&[u8]) -> Vec<u8>,
    write: impl Fn(&[u8]) -> Vec<u8>,
) {
    let json = value.to_string().into_bytes();
    let wire = read(&json);
    assert_eq!(write(&wire).len(), json.len(), "no field may be lost");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("JSON to wire", |bencher| bencher.iter(|| read(black_box(&json))));
    group.bench_function("JSON to tree (serde_json)", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Value>(black_box(&json)));
    });
    group.bench_function("wire to JSON", |bencher| bencher.iter(|| write(black_box(&wire))));
    group.bench_function("tree to JSON (serde_json)", |bencher| bencher.iter(|| serde_json::to_vec(black_box(value))));
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
