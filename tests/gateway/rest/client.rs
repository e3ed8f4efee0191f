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

    /// Reads a response.
    pub async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                assert!(self.more().await, "the body broke off: {response:?}");
            }
            response.body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
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
