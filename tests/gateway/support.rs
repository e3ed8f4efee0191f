//! A gateway, an upstream and a client, for the tests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use clap::Parser;
use gemini_grpc::config::Serve;
use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{Content, GenerateContentRequest, GenerateContentResponse, Part, part};
use gemini_grpc::pb::rpc;
use gemini_grpc::server::{Config, Reload, Server, Stop};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub type Client = GenerativeServiceClient<Channel>;

/// An answer to every call.
pub const STOP: &str = r#"{"candidates":[{"content":{"parts":[{"text":"ok"}],"role":"model"},"finishReason":"STOP"}]}"#;

/// An upstream that answers every request with the same bytes, and remembers what it was sent.
pub struct Upstream {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
    /// How many connections the gateway has closed.
    pub closed: watch::Receiver<usize>,
}

impl Upstream {
    /// Answers with these bytes and closes the connection.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(bytes.into(), false).await
    }

    /// Answers with these bytes and then nothing, until the gateway closes the connection.
    pub async fn falling_silent_after(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(bytes.into(), true).await
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
        (Self { url, requests: Arc::default(), closed: watch::channel(0).1 }, go_on)
    }

    async fn start(bytes: Vec<u8>, silent: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gemini", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (closing, closed) = watch::channel(0);
        let (seen, bytes) = (requests.clone(), Arc::new(bytes));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, bytes, closing) = (seen.clone(), bytes.clone(), closing.clone());
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut stream).await else { return };
                    seen.lock().unwrap().push(request);
                    let _ = stream.write_all(&bytes).await;
                    if silent {
                        let _ = stream.read(&mut [0; 1]).await;
                        closing.send_modify(|n| *n += 1);
                    }
                });
            }
        });
        Self { url, requests, closed }
    }

    /// The requests so far: head and body, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The JSON body of the only request.
    pub fn body(&self) -> serde_json::Value {
        let requests = self.requests();
        assert_eq!(requests.len(), 1);
        serde_json::from_str(requests[0].split_once("\r\n\r\n").unwrap().1).unwrap()
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

/// The settings of a gateway on a free port.
pub fn config(upstream: &Upstream, flags: &[&str]) -> Config {
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
        let server = Server::bind(config).unwrap();
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
    running: Running,
}

impl Gateway {
    /// With a key of its own.
    pub async fn over(upstream: &Upstream) -> Self {
        Self::with(upstream, &["--api-key", "own-key"]).await
    }

    pub async fn with(upstream: &Upstream, flags: &[&str]) -> Self {
        let running = Running::start(&config(upstream, flags));
        let channel = running.connect().await;
        let client = Client::new(channel.clone()).max_decoding_message_size(usize::MAX);
        Self { client, channel, running }
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

/// The details of an error, by type.
pub struct Details(Vec<prost_types::Any>);

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

    pub fn reason(&self) -> String {
        let info: rpc::ErrorInfo = self.find("ErrorInfo").expect("every error has an ErrorInfo");
        assert_eq!(info.domain, "gemini-grpc");
        info.reason
    }
}
