//! An upstream that sends exactly the bytes that a test wants, and the answers that it can send.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// The body of a short complete answer.
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
    /// These bytes again and again, each after a pause, until the gateway closes the connection.
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

/// An upstream that sends exactly the bytes that a test wants, and stores the requests that it gets.
pub struct Upstream {
    pub url: String,
    requests: watch::Receiver<Vec<String>>,
    /// The number of open connections.
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

    /// Answers one request with these bytes, and sends the rest after a signal on the returned channel.
    pub async fn pausing(bytes: Vec<u8>, rest: String) -> (Self, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gemini", listener.local_addr().unwrap());
        let (go_on, signal) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            let _ = signal.await;
            stream.write_all(rest.as_bytes()).await.unwrap();
        });
        (Self { url, requests: watch::channel(Vec::new()).1, open: watch::channel(0).1 }, go_on)
    }

    /// An upstream that the test itself runs on this listener. It stores no requests.
    pub fn at(listener: &TcpListener) -> Self {
        let url = format!("http://{}/gemini", listener.local_addr().unwrap());
        Self { url, requests: watch::channel(Vec::new()).1, open: watch::channel(0).1 }
    }

    /// Answers each request with the next of these answers, and all further ones with the last.
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

    /// Waits until this many requests have arrived.
    pub async fn wait_for_requests(&self, count: usize) {
        self.requests.clone().wait_for(|requests| requests.len() >= count).await.unwrap();
    }

    /// Waits until the gateway has closed every connection.
    pub async fn wait_until_closed(&self) {
        self.open.clone().wait_for(|open| *open == 0).await.unwrap();
    }

    /// The requests so far, each with its head and body.
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

/// A response that ends with the connection, so that HTTP does not notice if it is cut.
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
