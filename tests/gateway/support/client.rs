//! A running gateway, and its clients.

use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{GenerateContentRequest, GenerateContentResponse};
use gemini_grpc::server::Config;
use gemini_grpc::telemetry::Telemetry;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tonic::Status;
use tonic::transport::Channel;

use super::messages::text;
use super::server::{Running, config};
use super::upstream::Upstream;

pub type Client = GenerativeServiceClient<Channel>;
pub type HyperClient = legacy::Client<HttpConnector, tonic::body::Body>;

/// A running gateway, and a client of it.
pub struct Gateway {
    pub client: Client,
    pub channel: Channel,
    pub running: Running,
}

impl Gateway {
    pub async fn over(upstream: &Upstream) -> Self {
        Self::with(upstream, &[]).await
    }

    pub async fn with(upstream: &Upstream, flags: &[&str]) -> Self {
        Self::with_telemetry(upstream, flags, &Telemetry::default()).await
    }

    /// A gateway that records its calls with this telemetry.
    pub async fn with_telemetry(upstream: &Upstream, flags: &[&str], telemetry: &Telemetry) -> Self {
        Self::start(&config(upstream, flags), telemetry).await
    }

    pub async fn start(config: &Config, telemetry: &Telemetry) -> Self {
        let running = Running::with_telemetry(config, telemetry);
        let channel = running.connect().await;
        let client = Client::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Self { client, channel, running }
    }

    /// A client that leaves deadlines to the gateway. tonic's own transport enforces them too, with another status.
    pub fn client_without_timeout(&self) -> GenerativeServiceClient<HyperClient> {
        let transport = hyper_client();
        GenerativeServiceClient::with_origin(transport, format!("http://{}", self.running.address).parse().unwrap())
    }

    /// A new connection.
    pub async fn new_channel(&self) -> Channel {
        self.running.connect().await
    }

    /// Sends a body as it is to a method of our service. Returns the status of the call.
    pub async fn raw(
        &self,
        method: &str,
        metadata: impl IntoIterator<Item = (&str, &str)>,
        body: tonic::body::Body,
    ) -> Status {
        Status::from_header_map(&self.raw_headers(method, metadata, body).await).unwrap()
    }

    /// Like `raw`, but returns the headers with the status: the trailers, or the headers of a response without a body.
    pub async fn raw_headers(
        &self,
        method: &str,
        metadata: impl IntoIterator<Item = (&str, &str)>,
        body: tonic::body::Body,
    ) -> HeaderMap {
        self.raw_at(&format!("mountsea.gemini.v1.GenerativeService/{method}"), metadata, body).await
    }

    /// Like `raw_headers`, for any path.
    pub async fn raw_at(
        &self,
        path: &str,
        metadata: impl IntoIterator<Item = (&str, &str)>,
        body: tonic::body::Body,
    ) -> HeaderMap {
        let mut request = http::Request::post(format!("http://{}/{path}", self.running.address));
        for (name, value) in metadata {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap();
        let transport = hyper_client();
        let (head, body) = transport.request(request).await.unwrap().into_parts();
        if head.headers.contains_key("grpc-status") {
            return head.headers;
        }
        body.collect().await.unwrap().trailers().cloned().unwrap()
    }

    pub async fn generate(&self, request: GenerateContentRequest) -> Result<GenerateContentResponse, Status> {
        self.client.clone().generate_content(request).await.map(tonic::Response::into_inner)
    }

    /// The texts of a streamed answer, and how it ended. The outer error is one before the first message.
    pub async fn stream(&self, request: GenerateContentRequest) -> Result<(Vec<String>, Result<(), Status>), Status> {
        let mut stream = self.client.clone().stream_generate_content(request).await?.into_inner();
        let mut texts = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(message)) => texts.push(text(&message)),
                Ok(None) => return Ok((texts, Ok(()))),
                Err(status) => return Ok((texts, Err(status))),
            }
        }
    }
}

fn hyper_client() -> HyperClient {
    let mut connector = HttpConnector::new();
    // Otherwise a message waits for the acknowledgement of its headers.
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The client's connection ends with the runtime, or on GOAWAY; nothing waits for it.
        self.running.stop.stop();
    }
}
