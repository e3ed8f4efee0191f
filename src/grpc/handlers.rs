//! The RPCs, one function for each, in the shape of tonic's handlers.
//!
//! They are not made by tonic's code generator, because messages stay wire bytes here: `Message` instead of
//! `GenerateContentResponse`. What tonic's server would do around them is in this folder, for reasons that were
//! measured (docs/architecture.md, "Why not all of tonic").

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tonic::body::Body;
use tonic::{Request, Response};

use super::body::GrpcFraming;
use super::error::Error;
use super::route::Route;
use super::{metadata, request};
use crate::face::{self, Peer, RequestBody, ResponseBody};
use crate::gateway::{self, Call, CallRequest, Format, Gateway, Load, Message, ModelsQuery, ResponseStream};
use crate::gemini::method::Method;
use crate::telemetry::CallSpan;

/// What a handler gets: the head of the request was read, its message was not.
pub(super) struct Upload<B> {
    pub(super) body: B,
    pub(super) route: &'static Route,
    pub(super) peer: Arc<Peer>,
    /// Telemetry of the call.
    pub(super) span: CallSpan,
}

/// Gemini's `GenerativeService` and `ModelService`, under our own names and under Google's.
pub(super) struct Handlers {
    pub(super) gateway: Arc<Gateway>,
    /// The largest message that is accepted, in bytes, unpacked.
    pub(super) max_request_bytes: usize,
    /// The load that the trailers of each call report, if they do.
    pub(super) load: Option<Arc<Load>>,
}

impl Handlers {
    /// The RPC `GenerateContent`: one response.
    async fn generate_content<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<Response<Message>, Error> {
        let (call, message) = self.receive(request).await?;
        Ok(Response::new(self.gateway.unary(Method::GenerateContent, call, message).await?))
    }

    /// The RPC `StreamGenerateContent`: the response in pieces, as the model makes it.
    async fn stream_generate_content<B: RequestBody>(
        &self,
        request: Request<Upload<B>>,
    ) -> Result<Response<ResponseStream>, Error> {
        let (call, message) = self.receive(request).await?;
        Ok(Response::new(self.gateway.stream(Method::StreamGenerateContent, call, message).await?))
    }

    /// The RPC `CountTokens`: how many tokens a prompt has.
    async fn count_tokens<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<Response<Message>, Error> {
        self.pass_on(Method::CountTokens, request).await
    }

    /// The RPC `EmbedContent`: the vector of a content.
    async fn embed_content<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<Response<Message>, Error> {
        self.pass_on(Method::EmbedContent, request).await
    }

    /// The RPC `BatchEmbedContents`: the vectors of several contents.
    async fn batch_embed_contents<B: RequestBody>(
        &self,
        request: Request<Upload<B>>,
    ) -> Result<Response<Message>, Error> {
        self.pass_on(Method::BatchEmbedContents, request).await
    }

    /// Answers a call of a method that not every upstream has. If it is not offered, nothing of the call is read.
    async fn pass_on<B: RequestBody>(
        &self,
        method: Method,
        request: Request<Upload<B>>,
    ) -> Result<Response<Message>, Error> {
        self.gateway.offers(method)?;
        let (call, message) = self.receive(request).await?;
        Ok(Response::new(self.gateway.unary(method, call, message).await?))
    }

    /// The RPC `ListModels`: a page of the list of models.
    async fn list_models<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<Response<Message>, Error> {
        let (call, message) = self.receive(request).await?;
        let query = ModelsQuery::from_wire(Method::ListModels, &message)?;
        Ok(Response::new(self.gateway.models(call, query).await?))
    }

    /// The RPC `GetModel`: what one model is.
    async fn get_model<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<Response<Message>, Error> {
        let (call, message) = self.receive(request).await?;
        let query = ModelsQuery::from_wire(Method::GetModel, &message)?;
        Ok(Response::new(self.gateway.models(call, query).await?))
    }

    /// Calls the handler of the request's method.
    pub(super) async fn call<B: RequestBody>(
        &self,
        request: Request<Upload<B>>,
    ) -> Result<http::Response<Body>, Error> {
        let span = request.get_ref().span.clone();
        // All but the calls that generate are rare. In a box, they add nothing to the future of those.
        let response = match request.get_ref().route.method {
            Method::GenerateContent => self.generate_content(request).await?,
            Method::StreamGenerateContent => {
                let response = self.stream_generate_content(request).await?;
                let framing = GrpcFraming::new(&span, self.load.clone());
                return Ok(into_http(response, |stream| ResponseBody::streaming(stream, framing, span)));
            }
            Method::CountTokens => Box::pin(self.count_tokens(request)).await?,
            Method::EmbedContent => Box::pin(self.embed_content(request)).await?,
            Method::BatchEmbedContents => Box::pin(self.batch_embed_contents(request)).await?,
            Method::ListModels => Box::pin(self.list_models(request)).await?,
            Method::GetModel => Box::pin(self.get_model(request)).await?,
        };
        let framing = GrpcFraming::new(&span, self.load.clone());
        Ok(into_http(response, |message| ResponseBody::unary(message, framing, span)))
    }

    /// Lets the call in, and only then reads its message, first up to its length.
    async fn receive<B: RequestBody>(&self, request: Request<Upload<B>>) -> Result<(Call, Bytes), Error> {
        let (metadata, _, Upload { body, route, peer, span }) = request.into_parts();
        let headers = metadata.into_headers();
        let admitted = self.gateway.admit(CallRequest {
            credential: face::credential(&headers),
            names: peer.names.clone(),
            connection: peer.connection.clone(),
            timeout: metadata::timeout(&headers)?,
            heartbeat: face::heartbeat(&headers)?,
            previous_attempts: metadata::previous_attempts(&headers),
            sdk: None,
            format: Format::Protobuf(route.schema),
            span,
        });
        let mut call = match admitted {
            Ok(call) => call,
            Err(error) => return Err(refuse(error, body)),
        };
        if let Err(error) = self.gateway.enter(&mut call).await {
            return Err(refuse(error, body));
        }
        face::set_deadline(call.deadline());
        face::set_open(peer.connection.begin_call());
        let limit = self.max_request_bytes;
        let prefixed = call.upload(pin!(request::read_prefix(&headers, body, limit))).await?;
        let mut memory = call.take_memory();
        memory.reserve_message(prefixed.announced())?;
        let message = call.upload(pin!(prefixed.message(limit, &mut memory))).await?;
        memory.reserve_message(message.len())?;
        call.return_memory(memory);
        Ok((call, message))
    }
}

/// The error of a call whose message was not read.
fn refuse(error: gateway::Error, body: impl RequestBody) -> Error {
    // A client that has to wait will retry on this connection, so the connection has to survive.
    if error.retry().delay().is_some() {
        face::discard(body);
    }
    error.into()
}

fn into_http<T>(response: Response<T>, body: impl FnOnce(T) -> ResponseBody<GrpcFraming>) -> http::Response<Body> {
    let (metadata, message, _) = response.into_parts();
    let mut response = http::Response::new(Body::new(body(message)));
    *response.headers_mut() = metadata.into_headers();
    response
}
