//! A gateway, an upstream and a client, for the tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use gemini_grpc::config::Serve;
use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{Content, GenerateContentRequest, GenerateContentResponse, Part, part};
use gemini_grpc::pb::rpc;
use gemini_grpc::server::{Config, Reload, Server, Stop};
use gemini_grpc::telemetry::Telemetry;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

pub type Client = GenerativeServiceClient<Channel>;
pub type Patient = legacy::Client<HttpConnector, tonic::body::Body>;

/// An answer to every call.
pub const STOP: &str = r#"{"candidates":[{"content":{"parts":[{"text":"ok"}],"role":"model"},"finishReason":"STOP"}]}"#;

/// What an upstream does with a request.
#[derive(Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    then: Then,
}

/// What comes after the bytes of an answer.
#[derive(Clone)]
enum Then {
    /// The connection is closed.
    Close,
    /// The next request on the connection is read.
    KeepAlive,
    /// Nothing, until the gateway closes the connection.
    Silence,
    /// More bytes after each pause, until the gateway closes the connection.
    Drip(Vec<u8>, Duration),
}

impl Answer {
    pub fn closing(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Close }
    }

    pub fn silence_after(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Silence }
    }

    pub fn keeping_alive(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::KeepAlive }
    }

    pub fn dripping(bytes: impl Into<Vec<u8>>, drop: impl Into<Vec<u8>>, every: Duration) -> Self {
        Self { bytes: bytes.into(), then: Then::Drip(drop.into(), every) }
    }
}

/// An upstream that answers byte for byte what a test wants, and remembers what it was sent.
pub struct Upstream {
    pub url: String,
    requests: watch::Receiver<Vec<String>>,
    /// How many connections are open.
    open: watch::Receiver<usize>,
}

impl Upstream {
    /// Answers every request with these bytes and closes the connection.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        Self::with([Answer::closing(bytes)]).await
    }

    /// Answers with these bytes and then nothing, until the gateway closes the connection.
    pub async fn falling_silent_after(bytes: impl Into<Vec<u8>>) -> Self {
        Self::with([Answer::silence_after(bytes)]).await
    }

    /// Answers one request with these bytes, and with the rest once it is told to go on.
    pub async fn pausing(bytes: Vec<u8>, rest: String) -> (Self, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gemini", listener.local_addr().unwrap());
        let (go_on, told) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            let _ = told.await;
            stream.write_all(rest.as_bytes()).await.unwrap();
        });
        (Self { url, requests: watch::channel(Vec::new()).1, open: watch::channel(0).1 }, go_on)
    }

    /// Answers one request after the other; those that are left over like the last.
    pub async fn with(answers: impl Into<Vec<Answer>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gemini", listener.local_addr().unwrap());
        let (seen, requests) = watch::channel(Vec::new());
        let (opened, open) = watch::channel(0);
        let (seen, opened, answers) = (Arc::new(seen), Arc::new(opened), Arc::new(answers.into()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.send_modify(|n| *n += 1);
                let (seen, opened, answers) = (seen.clone(), opened.clone(), answers.clone());
                tokio::spawn(async move {
                    serve(stream, &seen, &answers).await;
                    opened.send_modify(|n| *n -= 1);
                });
            }
        });
        Self { url, requests, open }
    }

    /// Waits until so many requests have come.
    pub async fn asked(&self, times: usize) {
        self.requests.clone().wait_for(|requests| requests.len() >= times).await.unwrap();
    }

    /// Waits until the gateway has closed every connection.
    pub async fn left_alone(&self) {
        self.open.clone().wait_for(|open| *open == 0).await.unwrap();
    }

    /// The requests so far: head and body, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// The JSON body of the only request.
    pub fn body(&self) -> serde_json::Value {
        let requests = self.requests();
        assert_eq!(requests.len(), 1);
        serde_json::from_str(requests[0].split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

async fn serve(mut stream: TcpStream, seen: &watch::Sender<Vec<String>>, answers: &[Answer]) {
    while let Some(request) = read_request(&mut stream).await {
        let mut number = 0;
        seen.send_modify(|requests| {
            number = requests.len();
            requests.push(request);
        });
        let Answer { bytes, then } = answers.get(number).unwrap_or_else(|| answers.last().unwrap());
        let _ = stream.write_all(bytes).await;
        match then {
            Then::Close => return,
            Then::KeepAlive => {}
            Then::Silence => return drop(stream.read(&mut [0; 1]).await),
            Then::Drip(drop, every) => loop {
                tokio::select! {
                    () = tokio::time::sleep(*every) => {}
                    _ = stream.read_u8() => return,
                }
                if stream.write_all(drop).await.is_err() {
                    return;
                }
            },
        }
    }
}

pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}

/// An HTTP response with a length.
pub fn http(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn json(status: &str, body: &str) -> Vec<u8> {
    http(status, "application/json; charset=UTF-8", body)
}

/// A response that ends when the connection does, so that a cut is not seen by HTTP.
pub fn sse(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    bytes.extend_from_slice(body.as_ref());
    bytes
}

/// One event of a streamed answer.
pub fn event(text: &str, finish: bool) -> String {
    let finish = if finish { r#","finishReason":"STOP""# } else { "" };
    format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":{text:?}}}]}}{finish}}}]}}\r\n\r\n")
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    serve: Serve,
}

/// What is wrong with the settings of a gateway, if anything is.
pub fn resolve(flags: &[&str]) -> Result<Config, String> {
    let serve = Flags::parse_from(["test"].iter().chain(flags)).serve;
    serve.resolve().map_err(|error| error.to_string())
}

/// The settings of a gateway on a free port, whose key is `own-key`.
pub fn config(upstream: &Upstream, flags: &[&str]) -> Config {
    config_without_key(upstream, &[&["--api-key", "own-key"], flags].concat())
}

/// The settings of a gateway on a free port, without a key.
pub fn config_without_key(upstream: &Upstream, flags: &[&str]) -> Config {
    let fixed = ["test", "--listen", "127.0.0.1:0", "--drain-delay", "0", "--upstream-url", &upstream.url];
    Flags::parse_from(fixed.iter().chain(flags)).serve.resolve().unwrap()
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    pub stop: Stop,
    pub reload: Reload,
    thread: JoinHandle<()>,
}

impl Running {
    pub fn start(config: &Config) -> Self {
        Self::with_telemetry(config, &Telemetry::default())
    }

    /// A server that records its calls with this telemetry.
    pub fn with_telemetry(config: &Config, telemetry: &Telemetry) -> Self {
        let server = Server::bind(config, telemetry, None).unwrap();
        let (address, stop, reload) = (server.address(), server.stop_handle(), server.reload_handle());
        Self { address, stop, reload, thread: std::thread::spawn(move || server.run().unwrap()) }
    }

    /// A plaintext connection.
    pub async fn connect(&self) -> Channel {
        Endpoint::try_from(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Waits for the end, after a stop.
    pub async fn ended(self) {
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}

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

    /// A client that leaves deadlines to the gateway; tonic's own gives up at the same moment, in words of its own.
    pub fn patient_client(&self) -> GenerativeServiceClient<Patient> {
        let transport = patient();
        GenerativeServiceClient::with_origin(transport, format!("http://{}", self.running.address).parse().unwrap())
    }

    /// A connection of its own.
    pub async fn new_channel(&self) -> Channel {
        self.running.connect().await
    }

    /// Sends a body as it is to a method of our service; how the call ended.
    pub async fn raw(
        &self,
        method: &str,
        metadata: impl IntoIterator<Item = (&str, &str)>,
        body: tonic::body::Body,
    ) -> Status {
        Status::from_header_map(&self.raw_end(method, metadata, body).await).unwrap()
    }

    /// The same in the headers that it came in: trailers, or the only ones.
    pub async fn raw_end(
        &self,
        method: &str,
        metadata: impl IntoIterator<Item = (&str, &str)>,
        body: tonic::body::Body,
    ) -> HeaderMap {
        self.raw_at(&format!("mountsea.gemini.v1.GenerativeService/{method}"), metadata, body).await
    }

    /// The same for any path.
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
        let transport = patient();
        let (head, body) = transport.request(request).await.unwrap().into_parts();
        if head.headers.contains_key("grpc-status") {
            return head.headers;
        }
        body.collect().await.unwrap().trailers().cloned().unwrap()
    }

    pub async fn generate(&self, request: GenerateContentRequest) -> Result<GenerateContentResponse, Status> {
        self.client.clone().generate_content(request).await.map(tonic::Response::into_inner)
    }

    /// The texts of a streamed answer, and how it ended. The outer error is one that came before any text.
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

fn patient() -> Patient {
    let mut connector = HttpConnector::new();
    // Else a message waits for the acknowledgement of its head.
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The client's connection is gone with the runtime, or goes on GOAWAY. Nobody waits for it.
        self.running.stop.stop();
    }
}

pub fn prompt(text: &str) -> GenerateContentRequest {
    let part = Part { data: Some(part::Data::Text(text.into())), ..Default::default() };
    let content = Content { parts: vec![part], role: "user".into(), ..Default::default() };
    GenerateContentRequest { model: "models/gemini-2.5-flash".into(), contents: vec![content], ..Default::default() }
}

pub fn text(message: &GenerateContentResponse) -> String {
    let parts = message.candidates.iter().filter_map(|c| c.content.as_ref()).flat_map(|c| &c.parts);
    parts
        .filter_map(|part| if let Some(part::Data::Text(text)) = &part.data { Some(text.as_str()) } else { None })
        .collect()
}

/// A body in these pieces.
pub fn body(pieces: impl IntoIterator<Item = Vec<u8>>) -> tonic::body::Body {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece)))).collect();
    tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// A message of ten bytes, of which one comes.
pub fn unfinished() -> tonic::body::Body {
    let begun = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 10, 10]));
    tonic::body::Body::new(StreamBody::new(tokio_stream::iter([Ok::<_, Status>(begun)]).chain(tokio_stream::pending())))
}

/// Checks the code of a status, and the gateway's reason in its details.
#[track_caller]
pub fn assert_status(status: &Status, code: Code, reason: &str) {
    assert_eq!((status.code(), Details::of(status).reason().as_str()), (code, reason), "{}", status.message());
}

/// The details of an error, by type.
pub struct Details(pub Vec<prost_types::Any>);

impl Details {
    pub fn of(status: &Status) -> Self {
        let decoded = rpc::Status::decode(status.details()).unwrap();
        assert_eq!((decoded.code, decoded.message.as_str()), (status.code() as i32, status.message()));
        Self(decoded.details)
    }

    pub fn find<M: prost::Message + Default>(&self, name: &str) -> Option<M> {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        self.0.iter().find(|any| any.type_url == url).map(|any| M::decode(&any.value[..]).unwrap())
    }

    pub fn info(&self) -> rpc::ErrorInfo {
        self.find("ErrorInfo").expect("every error has an ErrorInfo")
    }

    /// The reason, which is one of the gateway's.
    pub fn reason(&self) -> String {
        let info = self.info();
        assert_eq!(info.domain, "gemini-grpc");
        info.reason
    }
}
