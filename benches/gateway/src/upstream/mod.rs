//! The upstream double: Gemini's REST API over HTTP/1.1 and HTTP/2 on one port, as cheaply as possible. Answers are made
//! once for each model. Only the last segment of a path counts, and requests are read but not parsed. It also answers over
//! gRPC itself, for calls without a gateway.

mod body;
mod canned;

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use self::body::AnswerBody;
use self::canned::{Canned, Form};
use crate::model::Shape;
use crate::tls;

const JSON: &str = "application/json; charset=UTF-8";
const GRPC: &str = "application/grpc";

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value = "127.0.0.1:18080")]
    listen: String,
    /// address with TLS
    #[arg(long, requires = "certificates")]
    listen_tls: Option<String>,
    /// folder with cert.pem and key.pem
    #[arg(long)]
    certificates: Option<PathBuf>,
}

#[derive(Default)]
struct Double {
    /// By the model's name, for each form.
    answers: Mutex<HashMap<Form, HashMap<String, Canned>>>,
    requests: AtomicU64,
    http2_requests: AtomicU64,
    request_bytes: AtomicU64,
    /// Exports of OTLP: the double is also the sink of spans.
    exports: AtomicU64,
    export_bytes: AtomicU64,
}

pub async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let double = Arc::new(Double::default());
    let listener = TcpListener::bind(&args.listen).await?;
    if let (Some(address), Some(folder)) = (&args.listen_tls, &args.certificates) {
        let (listener, acceptor, double) = (TcpListener::bind(address).await?, tls::acceptor(folder)?, double.clone());
        tokio::spawn(async move {
            loop {
                let Some(stream) = accept(&listener).await else { continue };
                let (acceptor, double) = (acceptor.clone(), double.clone());
                tokio::spawn(async move {
                    // A handshake that fails is reported by its client.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        double.serve(stream).await;
                    }
                });
            }
        });
    }
    loop {
        let Some(stream) = accept(&listener).await else { continue };
        let double = double.clone();
        tokio::spawn(async move { double.serve(stream).await });
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => stream.set_nodelay(true).ok().map(|()| stream),
        Err(error) => {
            eprintln!("upstream: cannot accept a connection: {error}");
            // Without files, accept fails again at once.
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

impl Double {
    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(|request| {
            let double = self.clone();
            async move { double.answer(request).await }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http2().initial_stream_window_size(8 << 20).initial_connection_window_size(64 << 20);
        builder.http2().max_concurrent_streams(20_000);
        // Clients close connections in the middle of answers when a measurement ends.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<AnswerBody>, hyper::Error> {
        let (head, mut body) = request.into_parts();
        let (mut length, mut beginning) = (0, Bytes::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            length += data.len() as u64;
            if beginning.is_empty() {
                beginning = data;
            }
        }
        let path = head.uri.path();
        if path == "/stats" {
            return Ok(reply(JSON, AnswerBody::full(self.stats())));
        }
        let is_grpc = head.headers.get("content-type").is_some_and(|value| value == GRPC);
        let is_export = path.ends_with("/Export") || path.ends_with("/v1/traces") || path.ends_with("/v1/metrics");
        if is_export {
            self.exports.fetch_add(1, Relaxed);
            self.export_bytes.fetch_add(length, Relaxed);
            return Ok(match is_grpc {
                true => reply(GRPC, AnswerBody::grpc(Bytes::from_static(&[0; 5]))),
                false => reply("application/x-protobuf", AnswerBody::full(String::new())),
            });
        }
        self.requests.fetch_add(1, Relaxed);
        self.request_bytes.fetch_add(length, Relaxed);
        self.http2_requests.fetch_add(u64::from(head.version == Version::HTTP_2), Relaxed);
        if is_grpc {
            return Ok(reply(GRPC, self.grpc(&beginning)));
        }
        let (model, verb) = path.rsplit('/').next().and_then(|last| last.split_once(':')).unwrap_or((path, ""));
        let Some(canned) = self.canned(model, Form::Json) else {
            let mut response = reply(JSON, AnswerBody::full(format!("{{\"error\":\"no model {model}\"}}")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        };
        Ok(match canned.shape {
            Shape::Stream { .. } if verb.starts_with("stream") => {
                reply("text/event-stream", AnswerBody::stream(canned))
            }
            Shape::Echo => reply(JSON, AnswerBody::full(canned::echo(length))),
            Shape::Unary { delay } => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                reply(JSON, AnswerBody::full(canned.body))
            }
            _ => reply(JSON, AnswerBody::full(canned.body)),
        })
    }

    /// The answer to a message of gRPC. One that the double does not have is empty, which the load notices.
    fn grpc(&self, request: &[u8]) -> AnswerBody {
        let canned = grpc_model(request).and_then(|model| self.canned(model, Form::Grpc));
        match canned {
            Some(canned) if matches!(canned.shape, Shape::Stream { .. }) => AnswerBody::stream(canned),
            Some(canned) => AnswerBody::grpc(canned.body),
            None => AnswerBody::grpc(Bytes::new()),
        }
    }

    fn canned(&self, model: &str, form: Form) -> Option<Canned> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = answers.entry(form).or_default();
        if let Some(canned) = answers.get(model) {
            return Some(canned.clone());
        }
        let canned = Canned::new(Shape::parse(model)?, form)?;
        answers.insert(model.to_owned(), canned.clone());
        Some(canned)
    }

    fn stats(&self) -> String {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let stats = serde_json::json!({
            "requests": of(&self.requests), "http2_requests": of(&self.http2_requests),
            "request_bytes": of(&self.request_bytes), "exports": of(&self.exports), "export_bytes": of(&self.export_bytes),
        });
        stats.to_string()
    }
}

/// The model in the load's GenerateContentRequest: the first field, shorter than 128 bytes, behind gRPC's five bytes.
fn grpc_model(request: &[u8]) -> Option<&str> {
    let length = usize::from(*request.get(6)?);
    std::str::from_utf8(request.get(7..7 + length)?).ok()?.strip_prefix("models/")
}

fn reply(content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response
}
