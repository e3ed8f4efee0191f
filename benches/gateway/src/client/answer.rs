//! Checks an answer while it arrives: status, number of messages and, once for each caller, its content.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::response::Parts;

use super::{Job, Protocol};
use crate::clock;
use crate::wire::{Deframer, EventCounter};

pub struct Answer<'a> {
    job: &'a Job,
    status: hyper::StatusCode,
    grpc_status: Option<String>,
    is_event_stream: bool,
    frames: Deframer,
    events: EventCounter,
    messages: u64,
    /// The content, where it is needed.
    kept: Option<Vec<u8>>,
    is_searched: bool,
}

impl<'a> Answer<'a> {
    pub fn new(job: &'a Job, head: &Parts, is_searched: bool) -> Self {
        let content_type = head.headers.get("content-type");
        let is_searched = is_searched && job.expected.is_some();
        let mut answer = Self {
            job,
            status: head.status,
            grpc_status: None,
            is_event_stream: content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")),
            frames: Deframer::default(),
            events: EventCounter::default(),
            messages: 0,
            kept: (is_searched || !head.status.is_success()).then(Vec::new),
            is_searched,
        };
        answer.trailers(&head.headers);
        answer
    }

    /// Returns the number of messages that ended in this data.
    pub fn data(&mut self, data: &Bytes, chunks_ns: &mut Vec<u64>) -> u64 {
        let messages = match self.job.protocol {
            Protocol::Grpc | Protocol::GrpcWeb => {
                self.frames.push(data);
                self.frames.messages
            }
            _ if self.is_event_stream => {
                self.events.push(data);
                self.events.events
            }
            _ => 1,
        };
        if self.job.stamped {
            let now = clock::now_ns();
            chunks_ns.extend(stamps(data).map(|sent| now.saturating_sub(sent)));
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(data);
        }
        let new = messages - self.messages;
        self.messages = messages;
        new
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get("grpc-status") {
            let message = trailers.get("grpc-message").map_or("", |message| message.to_str().unwrap_or(""));
            self.grpc_status = Some(format!("{} {message}", status.to_str().unwrap_or("")).trim().to_owned());
        }
    }

    pub fn end(mut self) -> Result<(), String> {
        let kept = self.kept.take().unwrap_or_default();
        if !self.status.is_success() {
            let body = String::from_utf8_lossy(&kept[..kept.len().min(300)]).into_owned();
            return Err(format!("HTTP {}: {body}", self.status));
        }
        if self.job.protocol == Protocol::GrpcWeb && self.grpc_status.is_none() {
            let trailers = String::from_utf8_lossy(&self.frames.trailers);
            let status = trailers.lines().find_map(|line| line.strip_prefix("grpc-status:"));
            self.grpc_status = status.map(|status| status.trim().to_owned());
        }
        let is_grpc = matches!(self.job.protocol, Protocol::Grpc | Protocol::GrpcWeb);
        // With a message behind the code: grpc-js sends "OK".
        let code = self.grpc_status.as_deref().and_then(|status| status.split(' ').next());
        if is_grpc && code != Some("0") {
            return Err(format!("gRPC status {:?}", self.grpc_status));
        }
        // Servers of OpenAI's API may add or drop a chunk.
        let tolerance = if self.job.protocol == Protocol::Openai { 3 } else { 0 };
        if self.messages.abs_diff(self.job.messages) > tolerance {
            return Err(format!("{} messages instead of {}", self.messages, self.job.messages));
        }
        let missing = |expected: &Vec<u8>| memchr::memmem::find(&kept, expected).is_none();
        if self.is_searched && self.job.expected.as_ref().is_some_and(missing) {
            return Err(format!("an answer of {} bytes lacks the expected content", kept.len()));
        }
        Ok(())
    }
}

/// The times at which the chunks in this data were sent. One that is split between two reads is left out.
fn stamps(data: &[u8]) -> impl Iterator<Item = u64> {
    memchr::memmem::find_iter(data, b"ts=")
        .filter_map(|at| std::str::from_utf8(data.get(at + 3..at + 23)?).ok()?.parse().ok())
}
