//! Measures the event reader's throughput, with small events of text and with one picture on a line of megabytes.
//!
//! The body is split into chunks of 16 KiB at any byte, like the reads of an HTTP client.

#![allow(missing_docs)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gemini_grpc::gemini::events::{Events, Framing};

const READ: usize = 16 << 10;
const LIMIT: usize = 64 << 20;

/// A typical event of a streamed text, of 330 bytes.
const TEXT: &str = r#"{"candidates": [{"content": {"parts": [{"text": "The quick brown fox jumps over the lazy dog, and then it does so again, which no one had expected."}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 12,"candidatesTokenCount": 34,"totalTokenCount": 46},"modelVersion": "gemini-2.5-flash","responseId": "k3vZaPq0"}"#;

fn chunks(body: String) -> Vec<Bytes> {
    let mut body = Bytes::from(body);
    let mut chunks = Vec::new();
    while !body.is_empty() {
        // A copy, so that each chunk has separate memory.
        chunks.push(Bytes::copy_from_slice(&body.split_to(READ.min(body.len()))));
    }
    chunks
}

fn picture(bytes: usize) -> String {
    let head = r#"{"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png","data": ""#;
    format!("{head}{}\"}}}}]}}}}]}}", "iVBORw0KGgoAAAANSUhEUg+/".repeat(bytes / 24))
}

fn read(framing: Framing, chunks: Vec<Bytes>) -> usize {
    let mut events = Events::new(framing, LIMIT);
    let mut bytes = 0;
    for chunk in chunks {
        events.push(chunk);
        for event in events.by_ref().flatten() {
            bytes += black_box(event).len();
        }
    }
    let finished = events.finish();
    assert_eq!(finished, Ok(None));
    bytes
}

fn throughput(criterion: &mut Criterion) {
    let text = || TEXT.to_owned();
    let bodies = [
        ("text", Framing::Sse, format!("data: {TEXT}\r\n\r\n").repeat(10_000)),
        ("text, array", Framing::Sniff, format!("[{}]", vec![text(); 10_000].join(",\n"))),
        ("picture of 5.6 MB", Framing::Sse, format!("data: {}\r\n\r\n", picture(5_600_000))),
        ("picture of 5.6 MB, array", Framing::Sniff, format!("[{}]", picture(5_600_000))),
        ("picture of 60 MB", Framing::Sse, format!("data: {}\r\n\r\n", picture(60_000_000))),
    ];
    let mut group = criterion.benchmark_group("events");
    group.sample_size(20);
    for (name, framing, body) in bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        let chunks = chunks(body);
        group.bench_with_input(BenchmarkId::from_parameter(name), &chunks, |bencher, chunks| {
            bencher.iter_batched(|| chunks.clone(), |chunks| read(framing, chunks), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
