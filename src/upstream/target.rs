//! What a request to upstream asks for, and its HTTP method.

use http::Method as HttpMethod;

use crate::gemini::method::Method;
use crate::gemini::model::ModelName;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// `POST models/{model}:{action}`: a call of a model.
    Action { model: &'a ModelName, method: Method },
    /// `GET models/{model}`: what a model is.
    Model(&'a ModelName),
    /// `GET models`: a page of the list of models.
    Models { page_size: i32, page_token: &'a str },
}

impl Target<'_> {
    /// The HTTP method.
    pub(super) fn http_method(&self) -> HttpMethod {
        if self.is_safe() { HttpMethod::GET } else { HttpMethod::POST }
    }

    /// The name of the HTTP method.
    pub(super) fn http_name(&self) -> &'static str {
        if self.is_safe() { "GET" } else { "POST" }
    }

    /// The model that is asked, or asked about.
    pub(super) fn model(&self) -> Option<&ModelName> {
        match self {
            Self::Action { model, .. } | Self::Model(model) => Some(model),
            Self::Models { .. } => None,
        }
    }

    /// Whether the request changes nothing and costs nothing, so that it may be sent again even if upstream has taken
    /// it (RFC 9110, 9.2.1).
    pub(super) fn is_safe(&self) -> bool {
        !matches!(self, Self::Action { .. })
    }

    /// The media type of the response.
    pub(super) fn accept(&self) -> &'static str {
        match self {
            Self::Action { method, .. } if method.is_streaming() => "text/event-stream",
            _ => "application/json",
        }
    }
}
