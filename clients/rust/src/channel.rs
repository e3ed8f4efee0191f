//! The channel: adds the key, and does what a service config does in other languages: tonic has none.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::body::Body;
use tonic::transport::Channel as Transport;
use tonic::{Code, Status, TimeoutExpired};
use tower::{Service, ServiceExt as _};

use crate::MAX_MESSAGE_BYTES;
use crate::v1::generative_service_client::GenerativeServiceClient;
use crate::v1::model_service_client::ModelServiceClient;

// The policy of proto/service_config.json.
const MAX_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
const BACKOFF_MULTIPLIER: u32 = 2;

/// A connection to a gateway, made by [`connect`](crate::connect). A clone uses the same connection.
///
/// A call that ends with UNAVAILABLE before its first message is sent again, at most three times in all and within its
/// deadline, unless the gateway says that a retry is of no use. A call that tonic gives up at its deadline ends with
/// DEADLINE_EXCEEDED, not with tonic's CANCELLED.
#[derive(Clone, Debug)]
pub struct Channel {
    transport: Transport,
    key: HeaderValue,
}

impl Channel {
    pub(crate) fn new(transport: Transport, key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut key = HeaderValue::from_str(key)?;
        key.set_sensitive(true);
        Ok(Self { transport, key })
    }

    /// The client that generates.
    pub fn generative(&self) -> GenerativeServiceClient<Self> {
        GenerativeServiceClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The client that lists models.
    pub fn models(&self) -> ModelServiceClient<Self> {
        ModelServiceClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each attempt waits for the connection.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        head.headers.insert("x-goog-api-key", self.key.clone());
        let transport = self.transport.clone();
        Box::pin(async move {
            let Some(timeout) = head.headers.get("grpc-timeout").and_then(parse_timeout) else {
                return call(transport, head, body, None).await;
            };
            let deadline = Instant::now() + timeout;
            let ended = timeout_at(deadline, call(transport, head, body, Some(deadline))).await;
            ended.unwrap_or_else(|_| Err(deadline_exceeded()))
        })
    }
}

/// Sends a call, which has one message, until it may not be sent again.
async fn call(
    mut transport: Transport,
    mut head: Parts,
    body: Body,
    deadline: Option<Instant>,
) -> Result<http::Response<Body>, Status> {
    let message = body.collect().await?.to_bytes();
    let mut backoff = INITIAL_BACKOFF;
    let mut attempt = 1;
    loop {
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_micros();
            head.headers.insert("grpc-timeout", timeout_header(left));
        }
        let request = http::Request::from_parts(head.clone(), Body::new(Full::new(message.clone())));
        let ended = match transport.ready().await {
            Ok(ready) => ready.call(request).await.map_err(status_of),
            Err(error) => Err(status_of(error)),
        };
        let pause = match &ended {
            // A response that is only an error has its status in its headers. One that has begun is not repeated.
            Ok(response) if response.headers().get("grpc-status").is_some_and(|code| code == "14") => {
                pause_before_retry(response.headers(), backoff)
            }
            Err(status) if status.code() == Code::Unavailable => Some(backoff.mul_f64(fastrand::f64())),
            _ => None,
        };
        // At once, with the error that says why, if the deadline would end the pause.
        let in_time = |pause: &Duration| deadline.is_none_or(|deadline| Instant::now() + *pause < deadline);
        let Some(pause) = pause.filter(|_| attempt < MAX_ATTEMPTS).filter(in_time) else { return ended };
        sleep(pause).await;
        attempt += 1;
        backoff = (backoff * BACKOFF_MULTIPLIER).min(MAX_BACKOFF);
    }
}

/// What the gateway asks for, or a part of the backoff. None if a retry is of no use.
fn pause_before_retry(headers: &HeaderMap, backoff: Duration) -> Option<Duration> {
    match headers.get("grpc-retry-pushback-ms") {
        // Anything but a number that is not negative stops retries (gRFC A6).
        Some(pushback) => pushback.to_str().ok()?.parse().ok().map(Duration::from_millis),
        None => Some(backoff.mul_f64(fastrand::f64())),
    }
}

/// The status of a call that got no response.
fn status_of(error: tonic::transport::Error) -> Status {
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.is::<TimeoutExpired>() {
            return deadline_exceeded();
        }
        // hyper's client drops the calls in its queue when a connection ends: nothing of them was sent.
        if current.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return Status::unavailable("the connection ended before the call was sent");
        }
        cause = current.source();
    }
    Status::from_error(Box::new(error))
}

fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

/// The value of a header `grpc-timeout`: at most 8 digits, and a unit.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

fn timeout_header(micros: u128) -> HeaderValue {
    let (count, unit) = match micros {
        0..=99_999_999 => (micros, 'u'),
        100_000_000..=99_999_999_999 => (micros / 1000, 'm'),
        _ => (micros / 1_000_000, 'S'),
    };
    // Digits and a letter are always a header's value.
    HeaderValue::try_from(format!("{count}{unit}")).unwrap_or(HeaderValue::from_static("0u"))
}
