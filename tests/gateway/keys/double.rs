//! An upstream that knows the key of each request, and answers by it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::support::{STOP, Upstream, event};

/// What upstream answers.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: String,
}

/// A request that upstream got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub key: String,
    pub path: String,
    pub status: u16,
}

/// An upstream that answers a key and a path as a test wants.
pub struct Double {
    pub upstream: Upstream,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Reply {
    pub fn refusal(status: u16, retry_after: Option<&str>, body: &str) -> Self {
        Self { status, retry_after: retry_after.map(str::to_owned), body: body.to_owned() }
    }

    /// The answer to any method.
    pub fn ok(path: &str) -> Self {
        let body = match path.rsplit(':').next().unwrap() {
            action if action.starts_with("streamGenerateContent") => event("ok", true),
            "generateContent" => STOP.to_owned(),
            "countTokens" => r#"{"totalTokens":7}"#.to_owned(),
            "embedContent" => r#"{"embedding":{"values":[0.5]}}"#.to_owned(),
            _ => r#"{"models":[{"name":"models/gemini-2.5-flash"}]}"#.to_owned(),
        };
        Self { status: 200, retry_after: None, body }
    }
}

impl Double {
    /// An upstream over HTTP/1 and HTTP/2. The policy gets the key and the path of a request.
    pub async fn with(policy: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut upstream = Upstream::answering("").await;
        upstream.url = format!("http://{}/gemini", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (all, policy) = (seen.clone(), Arc::new(policy));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, policy) = (all.clone(), policy.clone());
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let reply = answer(&request, &seen, &*policy);
                    async { Ok::<_, Infallible>(reply) }
                });
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { upstream, seen }
    }

    /// An upstream that takes all keys but these, which it refuses so.
    pub async fn refusing(keys: &'static [&'static str], refusal: Reply) -> Self {
        Self::with(move |key, path| if keys.contains(&key) { refusal.clone() } else { Reply::ok(path) }).await
    }

    /// Takes the requests since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The keys of the requests since the last time.
    pub fn keys(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.key).collect()
    }
}

fn answer(
    request: &http::Request<Incoming>,
    seen: &Mutex<Vec<Seen>>,
    policy: &dyn Fn(&str, &str) -> Reply,
) -> http::Response<Full<Bytes>> {
    let key = request.headers()["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let path = request.uri().path().to_owned();
    // In one step, so that requests have an order.
    let mut all = seen.lock().unwrap();
    let Reply { status, retry_after, body } = policy(&key, &path);
    all.push(Seen { key, path: path.clone(), status });
    let is_stream = path.ends_with(":streamGenerateContent") && status == 200;
    let content_type = if is_stream { "text/event-stream" } else { "application/json" };
    let mut response = http::Response::builder().status(status).header("content-type", content_type);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(Full::new(body.into())).unwrap()
}
