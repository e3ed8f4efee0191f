//! `gemini-grpc call --rest`: the same call over REST. Its request and its messages are those of gRPC, translated to JSON
//! and back.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prost::Message as _;
use reqwest::{RequestBuilder, Response, Url};

use super::endpoint::Endpoint;
use super::print::Printer;
use super::{Failure, client};
use crate::gateway::ApiKey;
use crate::gemini::error_body::{ErrorBody, ErrorReply, is_error};
use crate::gemini::events::{Events, Framing};
use crate::gemini::json::{self, CallerSchema, RequestLimits, SurrogateJoiner};
use crate::gemini::method::Method;
use crate::gemini::steps::Steps;
use crate::pb::gemini::{GenerateContentRequest, GenerateContentResponse};

/// The longest event of a stream, or whole response, in bytes. Pictures come inline, as base64.
const MAX_EVENT_BYTES: usize = 96 << 20;
/// How much longer than its time limit a call is awaited: the error of the gateway says more than ours.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// The request of a call, ready to be sent.
pub(super) fn request(
    endpoint: &Endpoint,
    message: &GenerateContentRequest,
    key: Option<&ApiKey>,
    timeout: Option<Duration>,
    unary: bool,
) -> Result<RequestBuilder, Failure> {
    let method = if unary { Method::GenerateContent } else { Method::StreamGenerateContent };
    let wire = message.encode_to_vec();
    let json = json::request(method, &[&wire], RequestLimits::default(), None, &mut Steps::unlimited());
    let json = json.map_err(|error| Failure::Run(format!("the request has no JSON form: {error}")))?.json;
    let client = endpoint.http_client()?;
    let url = url(&endpoint.url, &message.model, method).ok_or_else(|| endpoint.bad_url())?;
    let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(json);
    if let Some(mut value) = key.and_then(|key| HeaderValue::try_from(key.expose()).ok()) {
        value.set_sensitive(true);
        request = request.header("x-goog-api-key", value);
    }
    if let Some(timeout) = timeout {
        request = request.header("x-server-timeout", timeout.as_secs()).timeout(timeout + TIMEOUT_MARGIN);
    }
    Ok(request)
}

fn url(base: &str, model: &str, method: Method) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    let action = format!("{model}:{}", method.action());
    url.path_segments_mut().ok()?.pop_if_empty().extend(["v1beta", "models", &action]);
    url.set_query(method.is_streaming().then_some("alt=sse"));
    Some(url)
}

/// Makes a call over REST and shows its answer; returns the request id.
pub(super) async fn make(
    endpoint: &Endpoint,
    request: RequestBuilder,
    printer: &mut Printer,
) -> Result<String, Failure> {
    let response = match client::patiently(request.send()).await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Err(Failure::Run(endpoint.unreachable(&error).await)),
        Err(error) => return Err(broken(endpoint, "no answer came", &error).await),
    };
    let request_id = client::request_id(response.headers());
    let shown = match response.status().is_success() {
        true => show(endpoint, response, printer).await,
        false => refused(endpoint, response).await,
    };
    if shown.is_err() {
        printer.end_line()?;
    }
    shown.map(|()| request_id)
}

/// Shows the messages of a response as they come.
async fn show(endpoint: &Endpoint, mut response: Response, printer: &mut Printer) -> Result<(), Failure> {
    let framing = Framing::from_content_type(content_type(&response).unwrap_or_default());
    let mut events = Events::new(framing, MAX_EVENT_BYTES);
    let mut surrogates = SurrogateJoiner::default();
    while let Some(chunk) = next(endpoint, &mut response).await? {
        events.push(chunk);
        while let Some(event) = events.next().transpose().map_err(unreadable)? {
            printer.message(&message(&event, &mut surrogates)?)?;
        }
    }
    match events.finish().map_err(unreadable)? {
        Some(event) => printer.message(&message(&event, &mut surrogates)?),
        None => Ok(()),
    }
}

/// The message of an event. A stream that fails ends with an event that is an error.
fn message(event: &[u8], surrogates: &mut SurrogateJoiner) -> Result<GenerateContentResponse, Failure> {
    if is_error(event) {
        return Err(error(200, None, event));
    }
    let mut steps = Steps::unlimited();
    let read = json::event(Method::StreamGenerateContent, event, None, CallerSchema::Own, &mut steps);
    let json::Event { mut response, has_split_surrogates } = read.map_err(unreadable)?;
    if has_split_surrogates || surrogates.is_waiting() {
        surrogates.join(&mut response, false, &mut steps).map_err(unreadable)?;
    }
    GenerateContentResponse::decode(&response.message[..]).map_err(unreadable)
}

/// Reads the error in the place of a response.
async fn refused(endpoint: &Endpoint, mut response: Response) -> Result<(), Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = next(endpoint, &mut response).await? {
        body.extend_from_slice(&chunk);
    }
    Err(error(response.status().as_u16(), content_type(&response), &body))
}

fn error(status: u16, content_type: Option<&str>, body: &[u8]) -> Failure {
    // Only a date in `retry_after` would need the time.
    let now = SystemTime::UNIX_EPOCH;
    let reply = ErrorReply { status, content_type, retry_after: None, body, now, keys: &[] };
    let encode = |name: &str, value: &serde_json::Value| json::to_wire(name, value.to_string().as_bytes()).ok();
    let error = ErrorBody::read(&reply, &encode);
    Failure::Run(client::explain_error(error.code, &error.message, &error.details))
}

async fn next(endpoint: &Endpoint, response: &mut Response) -> Result<Option<Bytes>, Failure> {
    match response.chunk().await {
        Ok(chunk) => Ok(chunk),
        Err(error) => Err(broken(endpoint, "the answer broke off", &error).await),
    }
}

async fn broken(endpoint: &Endpoint, what: &str, error: &reqwest::Error) -> Failure {
    Failure::Run(endpoint.broken(what.to_owned(), error).await)
}

fn unreadable(error: impl Display) -> Failure {
    Failure::Run(format!("the answer cannot be read: {error}"))
}

fn content_type(response: &Response) -> Option<&str> {
    response.headers().get(CONTENT_TYPE)?.to_str().ok()
}
