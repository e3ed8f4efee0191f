//! Calls over REST, over one version of HTTP, with reqwest's client.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};

use crate::Failure;
use crate::calls::Call;
use crate::connections::Connections;
use crate::tally::Refusal;

/// What ends an event.
const EVENT_END: &[u8] = b"\n\n";

/// Each client has connections of its own: one over HTTP/2, and over HTTP/1.1 one for each call at once, which it keeps
/// for the next call.
#[derive(Debug)]
pub(super) struct Rest(Connections<(String, Client)>);

impl Rest {
    pub(super) fn new(
        urls: &[String],
        each: usize,
        over_http2: bool,
        ca: Option<&Path>,
        token_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let ca = ca.map(std::fs::read).transpose()?.map(|pem| Certificate::from_pem(&pem)).transpose()?;
        let connect = move || {
            // It sends nothing again by itself, so that every call that is lost is counted.
            let mut builder = Client::builder().no_proxy().tcp_nodelay(true).retry(reqwest::retry::never());
            builder = if over_http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
            if let Some(ca) = &ca {
                builder = builder.tls_certs_only([ca.clone()]);
            }
            builder.build()
        };
        // A mistake in the certificate shows here, and not in the first call.
        drop(connect()?);
        let (count, urls) = (urls.len(), urls.to_vec());
        let make = move |number: usize| (urls[number].clone(), connect().unwrap_or_default());
        Ok(Self(Connections::new(count, each, token_file, make)))
    }

    pub(super) fn renew_next(&self) {
        self.0.renew_next();
    }

    /// Makes a call. Returns whether it had a finish reason.
    pub(super) async fn make(&self, call: Call) -> Result<bool, Refusal> {
        let ((url, client), token) = self.0.next();
        let method = if call.streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let mut request = client
            .post(format!("{url}/v1beta/models/{}:{method}", call.model))
            .header("content-type", "application/json")
            .header("x-server-timeout", call.deadline.as_secs_f64().to_string())
            .body(body(call.words).to_string());
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let response = request.send().await.map_err(broken)?;
        if response.status() != reqwest::StatusCode::OK || !call.streams {
            return is_finished(&response.bytes().await.map_err(broken)?);
        }
        read_events(response).await
    }
}

/// Reads a stream to its end. Returns whether it had a finish reason.
async fn read_events(mut response: Response) -> Result<bool, Refusal> {
    let (mut buffer, mut finished) = (Vec::new(), false);
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        buffer.extend_from_slice(&piece);
        while let Some(end) = buffer.windows(EVENT_END.len()).position(|bytes| bytes == EVENT_END) {
            let event: Vec<u8> = buffer.drain(..end + EVENT_END.len()).collect();
            let json = event[..end].strip_prefix(b"data: ").ok_or_else(|| unreadable(&event))?;
            finished |= is_finished(json)?;
        }
    }
    if buffer.is_empty() { Ok(finished) } else { Err(unreadable(&buffer)) }
}

/// Whether an answer, or one event of it, has a finish reason; or the error that it is.
fn is_finished(json: &[u8]) -> Result<bool, Refusal> {
    let answer: Value = serde_json::from_slice(json).map_err(|_| unreadable(json))?;
    if let Some(error) = answer.get("error") {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        return Err(Refusal { code: text("status"), message: text("message") });
    }
    let mut candidates = answer["candidates"].as_array().into_iter().flatten();
    Ok(candidates.any(|candidate| candidate.get("finishReason").is_some()))
}

/// The body of a request. With a number of words, its schema allows only one value, which the sandbox streams word by
/// word.
fn body(words: Option<usize>) -> Value {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "Why is the sky blue?"}]}]});
    if let Some(words) = words {
        let schema = json!({"type": "STRING", "enum": [vec!["word"; words].join(" ")]});
        body["generationConfig"] = json!({"responseMimeType": "application/json", "responseSchema": schema});
    }
    body
}

/// A call without a whole response.
fn broken(error: reqwest::Error) -> Refusal {
    let mut message = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Refusal { code: "BROKEN".to_owned(), message }
}

fn unreadable(bytes: &[u8]) -> Refusal {
    let message = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    Refusal { code: "UNREADABLE".to_owned(), message }
}
