//! The way out: the only room that makes HTTP requests. It sends JSON and hands back JSON; it knows
//! nothing of gRPC.

mod answer;
mod client;
mod error;
mod url;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};

pub use self::answer::{Answer, EventStream};
pub use self::client::{BuildError, Client, Tls};
pub use self::error::Error;
pub use self::url::BaseUrl;
use crate::gemini::model::ModelName;

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The settings of this room.
#[derive(Clone, Debug)]
pub struct Config {
    pub base: BaseUrl,
    pub key_header: KeyHeader,
    /// HTTP/2 on one shared connection instead of HTTP/1.1 on many. With an http URL it is spoken
    /// without negotiation (h2c).
    pub http2: bool,
    pub connect_timeout: Duration,
    /// Whether HTTPS_PROXY and its kin count.
    pub system_proxy: bool,
    /// The largest body of a unary answer and the largest event of a stream, unpacked.
    pub max_response_bytes: usize,
    pub tls: Tls,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    Bearer,
    XGoogApiKey,
}

/// What is asked of upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    GenerateContent,
    StreamGenerateContent,
}

/// One request to upstream.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub model: &'a ModelName,
    pub method: Method,
    pub key: &'a str,
    pub request_id: &'a str,
    pub json: Vec<u8>,
}

/// A client with connections of its own. It belongs to the runtime that first uses it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// May be replaced while calls run: they keep the one that they began with.
    client: Arc<ArcSwap<Client>>,
    base: BaseUrl,
    key_header: KeyHeader,
    max_response_bytes: usize,
}

impl Upstream {
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        Ok(Self {
            client: Arc::new(ArcSwap::from_pointee(config.client()?)),
            base: config.base.clone(),
            key_header: config.key_header,
            max_response_bytes: config.max_response_bytes,
        })
    }

    /// New requests go out with another client, on connections of its own.
    pub fn replace(&self, client: Client) {
        self.client.store(Arc::new(client));
    }

    /// Sends the request and awaits the head of the answer. Anything but 2xx is an error, with what
    /// upstream said about it.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, Error> {
        let stream = outgoing.method == Method::StreamGenerateContent;
        let accept = if stream { "text/event-stream" } else { "application/json" };
        let (name, key) = match self.key_header {
            KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", outgoing.key)),
            KeyHeader::XGoogApiKey => (X_GOOG_API_KEY, outgoing.key.to_owned()),
        };
        let mut key = HeaderValue::try_from(key).map_err(|_| Error::Header)?;
        key.set_sensitive(true);
        // Not held while the answer is awaited: it may be replaced.
        let request = self
            .client
            .load()
            .post(self.base.path(outgoing.model, outgoing.method))
            .header(name, key)
            .header(ACCEPT, HeaderValue::from_static(accept))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(X_REQUEST_ID, outgoing.request_id)
            .body(Bytes::from(outgoing.json));
        let response = request.send().await.map_err(Error::from_send)?;
        let answer = Answer::new(response.into(), self.max_response_bytes);
        if answer.is_success() { Ok(answer) } else { Err(answer.refusal(outgoing.key).await) }
    }
}
