//! A client that sends and reads the bytes of HTTP/1.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A path of each kind of method.
pub const UNARY: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
pub const EVENTS: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
pub const ARRAY: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
/// A short prompt.
pub const HI: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;

/// A connection of a client.
pub struct Http1 {
    pub stream: TcpStream,
    /// What was read and not returned yet.
    buffer: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    pub body: String,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last event of a stream: the one before the empty line at its end.
    pub fn last_event(&self) -> serde_json::Value {
        let events = self.body.strip_suffix("\n\n").unwrap_or_else(|| panic!("no empty line at the end: {self:?}"));
        let last = events.rsplit("\n\n").next().and_then(|event| event.strip_prefix("data: "));
        serde_json::from_str(last.unwrap_or_else(|| panic!("not an event: {self:?}"))).unwrap()
    }
}

/// The `ErrorInfo` of an error, which is its last detail.
pub fn error_info(body: &serde_json::Value) -> &serde_json::Value {
    let info = body["error"]["details"].as_array().and_then(|details| details.last());
    info.unwrap_or_else(|| panic!("no details: {body}"))
}

/// A request with a body of JSON.
pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// The response to one request, on a connection of its own.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    let mut connection = Http1::open(address).await;
    connection.send(request).await;
    connection.response().await
}

/// The response to a request with a body of JSON, on a connection of its own.
pub async fn call(address: SocketAddr, path: &str, body: &str) -> Response {
    exchange(address, post(path, &[], body)).await
}

/// A client of HTTP/2, which has one connection.
pub fn http2() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

/// A request with a body of JSON over HTTP/2, not sent yet.
pub fn post_http2(client: &reqwest::Client, address: SocketAddr, path: &str, body: &str) -> reqwest::RequestBuilder {
    let request = client.post(format!("http://{address}{path}")).header("content-type", "application/json");
    request.body(body.to_owned())
}

/// The response to a request with a body of JSON over HTTP/2.
pub async fn call_http2(client: &reqwest::Client, address: SocketAddr, path: &str, body: &str) -> Response {
    let response = post_http2(client, address, path, body).send().await.unwrap();
    let headers = response.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    let (status, head) = (response.status().as_u16(), headers.collect());
    Response { status, head, body: response.text().await.unwrap() }
}

impl Http1 {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads the head of a response. Interim responses are returned as well.
    pub async fn head(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|end| end == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "the connection was closed: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap().to_lowercase();
        let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        Response { status, head, body: String::new() }
    }

    /// Reads this many bytes of a body.
    pub async fn text(&mut self, length: usize) -> String {
        while self.buffer.len() < length {
            assert!(self.more().await, "the body broke off: {:?}", String::from_utf8_lossy(&self.buffer));
        }
        String::from_utf8(self.buffer.drain(..length).collect()).unwrap()
    }

    /// Reads a response.
    pub async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        if let Some(length) = response.header("content-length") {
            response.body = self.text(length.parse().unwrap()).await;
        } else {
            assert_eq!(response.header("transfer-encoding"), Some("chunked"), "{response:?}");
            while let Some(chunk) = self.chunk().await.expect("the last chunk") {
                response.body += &String::from_utf8(chunk).unwrap();
            }
        }
        response
    }

    /// Reads a chunk of a response: `None` for the last one, which is empty. An error if the connection was closed.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let line = loop {
            if let Some(end) = self.buffer.windows(2).position(|end| end == b"\r\n") {
                break end;
            }
            if !self.more().await {
                return Err(());
            }
        };
        let size = usize::from_str_radix(str::from_utf8(&self.buffer[..line]).unwrap(), 16).unwrap();
        while self.buffer.len() < line + 2 + size + 2 {
            if !self.more().await {
                return Err(());
            }
        }
        let chunk = self.buffer[line + 2..][..size].to_vec();
        self.buffer.drain(..line + 2 + size + 2);
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    /// Reads until the connection is closed.
    pub async fn read_to_end(mut self) -> String {
        while self.more().await {}
        String::from_utf8(self.buffer).unwrap()
    }

    async fn more(&mut self) -> bool {
        // A connection that is reset has ended too.
        self.stream.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0)
    }
}
