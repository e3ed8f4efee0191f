//! The client side of `call`, `demo` and `healthcheck`.

use std::fmt::Debug;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderMap;
use prost::Message as _;
use prost_types::Any;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{Failure, output};
use crate::config::read_file;
use crate::gateway::ApiKey;
use crate::pb::gemini::generative_service_client::GenerativeServiceClient;
use crate::pb::gemini::{Blob, Content, GenerateContentRequest, Part, part};
use crate::pb::rpc;

/// Pictures come inline; 4 MiB, the default of gRPC clients, is too little for them.
const MAX_MESSAGE: usize = 64 << 20;

/// After this time without a message, a note says that the call waits.
const NOTE_AFTER: Duration = Duration::from_secs(1);

/// The key of a command that calls, whose other side may have one.
pub(super) const KEY_HELP: &str =
    "The key to call with. Better given by the variable or as a file: arguments are visible to others";

pub(super) fn generative(channel: Channel) -> GenerativeServiceClient<Channel> {
    GenerativeServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)
}

/// A request with the key in its metadata.
pub(super) fn with_key(message: GenerateContentRequest, key: Option<&ApiKey>) -> Request<GenerateContentRequest> {
    let mut request = Request::new(message);
    if let Some(mut value) = key.and_then(|key| MetadataValue::try_from(key.expose()).ok()) {
        value.set_sensitive(true);
        request.metadata_mut().insert("x-goog-api-key", value);
    }
    request
}

/// What a user says, with pictures before the words.
pub(super) fn prompt(text: &str, pictures: Vec<Blob>) -> Content {
    let part = |data| Part { data: Some(data), ..Default::default() };
    let mut parts: Vec<Part> = pictures.into_iter().map(|blob| part(part::Data::InlineData(blob))).collect();
    parts.push(part(part::Data::Text(text.to_owned())));
    Content { parts, role: "user".to_owned(), ..Default::default() }
}

/// A picture from a file.
pub(super) fn picture(path: &Path) -> Result<Blob, Failure> {
    let mime_type = match path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("heic") => "image/heic",
        _ => {
            return Err(Failure::Usage(format!(
                "--image: {} has none of the endings png, jpg, webp, gif, heic",
                path.display()
            )));
        }
    };
    let data = read_file(path, MAX_MESSAGE as u64)
        .map_err(|error| Failure::Usage(format!("--image: cannot read {}: {error}", path.display())))?;
    Ok(Blob { mime_type: mime_type.to_owned(), data: data.into(), ..Default::default() })
}

/// Saves a picture under a name that is not taken, and returns the path.
pub(super) fn save(directory: &Path, name: &str, blob: &Blob) -> Result<PathBuf, Failure> {
    let ending = match blob.mime_type.as_str() {
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/png" => "png",
        _ => "bin",
    };
    let fault = |path: &Path, error: std::io::Error| Failure::Run(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(directory).map_err(|error| fault(directory, error))?;
    let mut number = 1;
    loop {
        let path = directory.join(format!("{name}-{number}.{ending}"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                std::io::Write::write_all(&mut file, &blob.data).map_err(|error| fault(&path, error))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(fault(&path, error)),
        }
    }
}

/// Waits, and says so to a person if it takes long.
pub(super) async fn patiently<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    if !std::io::stderr().is_terminal() {
        return answer.await;
    }
    match tokio::time::timeout(NOTE_AFTER, answer.as_mut()).await {
        Ok(answer) => answer,
        Err(_) => {
            output::note("waiting for the model …");
            let answer = answer.await;
            output::note("\r\x1b[K");
            answer
        }
    }
}

/// The id under which the gateway and upstream know the call.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned()
}

/// A failed call in readable lines.
pub(super) fn explain(status: &Status) -> String {
    let details = rpc::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    explain_error(status.code(), status.message(), &details)
}

/// An error in readable lines: code, message, and each detail.
pub(super) fn explain_error(code: impl Debug, message: &str, details: &[Any]) -> String {
    let mut lines = vec![format!("{code:?}: {message}")];
    for detail in details {
        let value = &detail.value[..];
        match detail.type_url.rsplit('.').next() {
            Some("BadRequest") => {
                let violations = rpc::BadRequest::decode(value).unwrap_or_default().field_violations;
                lines.extend(violations.iter().map(|v| format!("  {}: {}", v.field, v.description)));
            }
            Some("RetryInfo") => {
                let delay = rpc::RetryInfo::decode(value).unwrap_or_default().retry_delay.unwrap_or_default();
                lines.push(format!("  try again in {delay}"));
            }
            Some("ErrorInfo") => {
                let info = rpc::ErrorInfo::decode(value).unwrap_or_default();
                lines.push(format!("  reason: {} ({})", info.reason, info.domain));
            }
            Some("QuotaFailure") => {
                let violations = rpc::QuotaFailure::decode(value).unwrap_or_default().violations;
                lines.extend(violations.iter().map(|violation| format!("  quota: {}", quota(violation))));
            }
            Some("RequestInfo") => {
                let info = rpc::RequestInfo::decode(value).unwrap_or_default();
                lines.push(format!("  request id: {}", info.request_id));
            }
            Some(name) => lines.push(format!("  with a detail of type {name}")),
            None => {}
        }
    }
    lines.join("\n")
}

/// What is known of a quota that is used up: of its three names a server may send any.
fn quota(violation: &rpc::quota_failure::Violation) -> String {
    let known = [&violation.subject, &violation.quota_id, &violation.description];
    known.into_iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}
