//! Everything about a call that is the same each time.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri, Version};

use super::{Protocol, TargetArgs};
use crate::model::{self, Shape};
use crate::payload;

pub struct Job {
    pub protocol: Protocol,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// The messages that an answer must have.
    pub messages: u64,
    /// Bytes that the first answer to each caller must contain.
    pub expected: Option<Vec<u8>>,
    /// Whether chunks contain the time at which they were sent.
    pub stamped: bool,
}

impl Job {
    pub fn new(target: &TargetArgs) -> Result<Self, String> {
        let shape = Shape::parse(&target.model).ok_or_else(|| format!("{} is no model of the double", target.model))?;
        let is_stream = matches!(shape, Shape::Stream { .. });
        let (path, body) = path_and_body(target, is_stream);
        let scheme = if target.ca.is_some() { "https" } else { "http" };
        let uri = match target.protocol {
            Protocol::Grpc => format!("{scheme}://{}{path}", target.address),
            _ => path,
        };
        let expected = match (&shape, target.protocol) {
            (Shape::Image { bytes }, Protocol::Grpc | Protocol::GrpcWeb) => Some(model::image(*bytes)),
            (Shape::Stream { stamped: false, .. } | Shape::Unary { .. }, _) => Some(b"The quick brown fox".to_vec()),
            _ => None,
        };
        Ok(Self {
            protocol: target.protocol,
            uri: uri.parse().map_err(|error| format!("{uri}: {error}"))?,
            headers: headers(target)?,
            body: body.into(),
            messages: shape.messages(),
            expected,
            stamped: matches!(shape, Shape::Stream { stamped: true, .. }),
        })
    }

    pub fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = if self.protocol == Protocol::Grpc { Version::HTTP_2 } else { Version::HTTP_11 };
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub fn body_len(&self) -> usize {
        self.body.len()
    }
}

fn path_and_body(target: &TargetArgs, is_stream: bool) -> (String, Vec<u8>) {
    let method = if is_stream { "StreamGenerateContent" } else { "GenerateContent" };
    let verb = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    match target.protocol {
        Protocol::Grpc | Protocol::GrpcWeb => {
            let path = format!("/google.ai.generativelanguage.v1beta.GenerativeService/{method}");
            (path, payload::grpc(target))
        }
        Protocol::Gemini => {
            (target.path.replace("{model}", &target.model).replace("{verb}", verb), payload::gemini(target))
        }
        Protocol::Openai => (target.path.clone(), payload::openai(target, is_stream)),
    }
}

fn headers(target: &TargetArgs) -> Result<HeaderMap, String> {
    let own: &[(&str, &str)] = match target.protocol {
        Protocol::Grpc => &[("content-type", "application/grpc"), ("te", "trailers")],
        Protocol::GrpcWeb => &[("content-type", "application/grpc-web+proto"), ("host", &target.address[..])],
        Protocol::Gemini | Protocol::Openai => &[("content-type", "application/json"), ("host", &target.address[..])],
    };
    let more = target.headers.iter().map(|header| header.split_once(':').ok_or(format!("no colon in {header:?}")));
    let mut headers = HeaderMap::new();
    for header in own.iter().copied().map(Ok).chain(more) {
        let (name, value) = header?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| error.to_string())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?);
    }
    Ok(headers)
}
