//! The call: check, forward, watch; whoever asks.
//!
//! A call is the wire bytes of a `GenerateContentRequest`. It is checked through a view that reads
//! only what the rules need, becomes JSON, goes upstream, and comes back as wire bytes.

mod error;
mod key;
mod stopping;
mod stream;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use prost::Message as _;
use tokio_stream::StreamExt as _;

pub use self::error::{Error, Source};
pub use self::key::{ApiKey, InvalidKey, KeyOwner};
pub use self::stopping::Stopping;
pub use self::stream::Answers;
use crate::gemini::catalog::Catalog;
use crate::gemini::json;
use crate::gemini::model::ModelName;
use crate::gemini::validate::{Options, validate};
use crate::gemini::view::RequestView;
use crate::upstream::{Answer, Method, Outgoing, Upstream};

/// `generation_config { response_modalities: [TEXT, IMAGE] }` on the wire, to be read after the
/// request: a message field that comes twice is merged.
const TEXT_AND_IMAGE: &[u8] = &[0x22, 5, 0xa2, 1, 2, 1, 2];

/// The settings of this room.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key for callers that bring none.
    pub key: Option<ApiKey>,
    pub catalog: Catalog,
    /// Whether an image model that is asked without modalities is asked for TEXT and IMAGE.
    pub image_default_modalities: bool,
}

/// One call as a face hands it over.
#[derive(Debug)]
pub struct Call {
    /// The wire bytes of a `GenerateContentRequest`.
    pub request: Bytes,
    /// The caller's own key.
    pub key: Option<ApiKey>,
    /// Goes upstream and into every error.
    pub request_id: Arc<str>,
}

/// The service, without its faces. One per worker, since its connections belong to one runtime.
#[derive(Debug)]
pub struct Gateway {
    /// May be replaced while calls run.
    config: Arc<ArcSwap<Config>>,
    upstream: Upstream,
}

impl Gateway {
    pub fn new(config: Arc<ArcSwap<Config>>, upstream: Upstream) -> Self {
        Self { config, upstream }
    }

    /// Answers a call with one message, the wire bytes of a `GenerateContentResponse`.
    pub async fn generate(&self, call: Call) -> Result<Vec<u8>, Error> {
        let (key, owner) = self.key(&call)?;
        let json = self.forward(call, &key, owner, Method::GenerateContent).await?.json().await;
        let answer = json.and_then(|json| stream::translate(&json, &key));
        answer.map(|answer| answer.message).map_err(|error| Error::upstream(error, owner))
    }

    /// Answers a call with a stream of such messages. The first is awaited here, so that a call
    /// that fails early fails as a whole.
    pub async fn stream(&self, call: Call) -> Result<Answers, Error> {
        let (key, owner) = self.key(&call)?;
        let answer = self.forward(call, &key, owner, Method::StreamGenerateContent).await?;
        let mut answers = Answers::new(answer.events(), key, owner);
        match answers.next().await {
            Some(first) => Ok(answers.starting_with(first?)),
            None => Ok(answers),
        }
    }

    /// The key that goes upstream: the caller's, else our own.
    fn key(&self, call: &Call) -> Result<(ApiKey, KeyOwner), Error> {
        match (&call.key, &self.config.load().key) {
            (Some(key), _) => Ok((key.clone(), KeyOwner::Caller)),
            (None, Some(key)) => Ok((key.clone(), KeyOwner::Gateway)),
            (None, None) => Err(Error::NoKey),
        }
    }

    /// Checks the call and sends it.
    async fn forward(&self, call: Call, key: &ApiKey, owner: KeyOwner, method: Method) -> Result<Answer, Error> {
        let Call { request, request_id, .. } = call;
        let (model, json) = self.prepare(request, &request_id)?;
        let outgoing = Outgoing { model: &model, method, key: key.expose(), request_id: &request_id, json };
        self.upstream.send(outgoing).await.map_err(|error| Error::upstream(error, owner))
    }

    /// Checks a request and turns it into JSON. It is not kept: an answer may take minutes, and a picture is large.
    fn prepare(&self, request: Bytes, request_id: &str) -> Result<(ModelName, Vec<u8>), Error> {
        let view = RequestView::decode(request.clone()).map_err(|_| malformed(&request))?;
        let config = self.config.load();
        let options = Options { image_default_modalities: config.image_default_modalities };
        let valid = validate(&view, &config.catalog, options)?;
        let extra = if valid.default_modalities { TEXT_AND_IMAGE } else { &[] };
        let json::Request { json, unknown_fields } = json::request(&[&request, extra]).map_err(Error::Malformed)?;
        if unknown_fields > 0 {
            tracing::debug!(
                request_id,
                unknown_fields,
                "the request has fields that are not in the contract; JSON cannot carry them"
            );
        }
        Ok((valid.name, json))
    }
}

/// What is wrong with bytes that are not a request: the translator says where.
fn malformed(request: &[u8]) -> Error {
    match json::request(&[request]) {
        Err(error) => Error::Malformed(error),
        Ok(_) => Error::NotARequest,
    }
}
