//! The HTTP client of upstream: it sends JSON and returns JSON, and knows no protocol of callers.

mod answer;
mod causes;
mod client;
mod config;
mod dial;
mod error;
mod key;
mod keys;
mod pool;
mod retry;
mod sdk;
mod target;
mod tls;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use tokio::time::Instant;

pub use self::answer::{Answer, EventStream};
use self::client::Http2;
pub use self::client::{BuildError, Client};
pub use self::config::{Config, HttpVersion, KeyHeader};
use self::dial::while_dialing;
pub use self::error::Error;
pub use self::key::{ApiKey, InvalidKey};
use self::keys::KeyPick;
pub use self::keys::{KeyLease, KeyPool, Keys, MAX_KEYS, NamedKey};
pub use self::retry::Budget;
pub use self::sdk::SdkLabel;
pub use self::target::Target;
pub use self::tls::ClientTls;
pub use self::url::BaseUrl;
use self::url::Urls;
use crate::memory::Reservation;
use crate::telemetry::{Attempt, Outcome, UpstreamContext};

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const X_GOOG_API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request to upstream.
pub struct Outgoing<'a> {
    pub target: Target<'a>,
    /// Each request is sent with one of them.
    pub keys: &'a Keys,
    /// Empty for a target that takes none.
    pub json: Bytes,
    /// The caller's SDK, if it is forwarded.
    pub sdk: Option<&'a SdkLabel>,
    /// No retry begins after it.
    pub deadline: Instant,
    /// Whether another model is asked if this one refuses. Then no delay that upstream asks for is waited for.
    pub has_alternative: bool,
    /// The call that it belongs to.
    pub context: UpstreamContext,
}

/// Without the key and the prompt.
impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("target", &self.target)
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// A client with connections of its own, which belong to the runtime that first uses it. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// A reload replaces it. Calls keep the one that they began with.
    client: ArcSwap<Client>,
    urls: Urls,
    key_header: KeyHeader,
    connect_timeout: Duration,
    max_response_bytes: usize,
    retries: u32,
    budget: Arc<Budget>,
}

impl Upstream {
    /// A client that shares its retry budget with those of other workers.
    pub fn new(config: &Config, budget: Arc<Budget>) -> Result<Self, BuildError> {
        Ok(Self(Arc::new(Inner {
            client: ArcSwap::from_pointee(config.client()?),
            urls: Urls::new(config.base.clone()),
            key_header: config.key_header,
            connect_timeout: config.connect_timeout,
            max_response_bytes: config.max_response_bytes,
            retries: config.retries,
            budget,
        })))
    }

    /// Sends new requests with another client, on connections of its own.
    pub fn replace(&self, client: Client) {
        self.0.client.store(Arc::new(client));
    }

    /// Sends the request and waits for the head of the response. It retries where that is safe, and goes on with another
    /// key of the pool at once if upstream refuses one: each key is refused at most once in a call, so this needs no
    /// retry budget. Any status but 2xx is an error, with upstream's own description of it.
    pub async fn send(&self, outgoing: &Outgoing<'_>, reserved: &mut Reservation) -> Result<Answer, Error> {
        let inner = &*self.0;
        inner.budget.call();
        let mut keys = KeyPick::new(outgoing.keys, outgoing.target.model(), &outgoing.context);
        let (mut tries, mut requests) = (1, 0);
        loop {
            let key = keys.next()?;
            let url = inner.urls.url(&outgoing.target);
            let mut attempt = Attempt::begin(&outgoing.context, outgoing.target.http_name(), requests, &url);
            key.name().into_iter().for_each(|name| attempt.key(name));
            let error = match inner.attempt(outgoing, key.key(), url, &mut attempt, reserved).await {
                Ok(response) => {
                    let (limit, reserved) = (inner.max_response_bytes, reserved.take());
                    return Ok(Answer::new(response, limit, reserved, attempt, keys.answered(key)));
                }
                Err(error) => error,
            };
            attempt.end(Outcome::Failed(error.kind()));
            drop(attempt);
            requests += 1;
            let Some(error) = keys.failed(key, error) else { continue };
            let max_delay = if outgoing.has_alternative { Duration::ZERO } else { retry::MAX_DELAY };
            let delay = || retry::delay(&error, outgoing.target.is_safe(), tries, max_delay, fastrand::f64());
            let again = (tries <= inner.retries).then(delay).flatten();
            let Some(wait) = again.filter(|wait| Instant::now() + *wait < outgoing.deadline) else { return Err(error) };
            if !inner.budget.retry() {
                outgoing.context.denied();
                return Err(error);
            }
            outgoing.context.retried(error.kind());
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }
}

impl Inner {
    async fn attempt(
        &self,
        outgoing: &Outgoing<'_>,
        key: &ApiKey,
        url: Url,
        attempt: &mut Attempt,
        reserved: &mut Reservation,
    ) -> Result<http::Response<reqwest::Body>, Error> {
        let (name, value) = match self.key_header {
            KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
            KeyHeader::XGoogApiKey => (X_GOOG_API_KEY, key.expose().to_owned()),
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| Error::Header)?;
        value.set_sensitive(true);
        let request_id = HeaderValue::try_from(&**outgoing.context.request_id()).map_err(|_| Error::Header)?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(name, value);
        headers.insert(ACCEPT, HeaderValue::from_static(outgoing.target.accept()));
        if !outgoing.target.is_safe() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(X_REQUEST_ID, request_id);
        headers.extend(outgoing.sdk.map(|sdk| (X_GOOG_API_CLIENT, sdk.0.clone())));
        attempt.inject(&mut headers);
        // Loaded for this request only, because a reload may replace it.
        let http2 = self.client.load().http2();
        let response = match http2 {
            None => self.send_http1(outgoing, url, headers).await?,
            // In a box, so that the future of a call over HTTP/1 does not contain it.
            Some(http2) => Box::pin(self.send_http2(&http2, outgoing, url, headers)).await?,
        };
        attempt.answered(response.status().as_u16(), response.version());
        match response.status().is_success() {
            true => Ok(response),
            // In a box, so that the future of a call without an error does not contain it.
            false => Err(Box::pin(answer::read_error(response, outgoing.keys, reserved, outgoing.json.len())).await),
        }
    }

    async fn send_http2(
        &self,
        http2: &Http2,
        outgoing: &Outgoing<'_>,
        url: Url,
        headers: HeaderMap,
    ) -> Result<http::Response<reqwest::Body>, Error> {
        match http2.place(&outgoing.context).await? {
            Some(place) => http2.send(place, &url, headers, outgoing).await,
            None => self.send_http1(outgoing, url, headers).await,
        }
    }

    async fn send_http1(
        &self,
        outgoing: &Outgoing<'_>,
        url: Url,
        headers: HeaderMap,
    ) -> Result<http::Response<reqwest::Body>, Error> {
        let (method, body) = (outgoing.target.http_method(), outgoing.json.clone());
        let request = self.client.load().send_http1(method, url, headers, body);
        outgoing.context.sending(true);
        let (sent, dialed) = while_dialing(&outgoing.context, request).await;
        sent.map(http::Response::from).map_err(|error| Error::from_http1(&error, !dialed, self.connect_timeout))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::method::Method;
    use crate::gemini::model::ModelName;

    #[test]
    fn debug_output_says_nothing_of_key_and_prompt() {
        let outgoing = Outgoing {
            target: Target::Action {
                model: &ModelName::parse("gemini-2.5-flash").unwrap(),
                method: Method::GenerateContent,
            },
            keys: &Keys::One("a-key".parse().unwrap()),
            json: Bytes::from_static(b"a prompt"),
            sdk: None,
            deadline: Instant::now(),
            has_alternative: false,
            context: UpstreamContext::of(&crate::telemetry::CallSpan::disabled()),
        };
        assert_eq!(
            format!("{outgoing:?}"),
            "Outgoing { target: Action { model: ModelName(gemini-2.5-flash), method: GenerateContent }, bytes: 8, .. }"
        );
    }
}
