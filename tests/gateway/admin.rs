//! The port for operators.

use std::net::SocketAddr;
use std::sync::Arc;

use gemini_grpc::server::{Scrape, Server, Stop};
use gemini_grpc::telemetry::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Upstream, config};

/// More connections than the port keeps open without a complete request.
const MANY: usize = 300;

/// The address of a server's port for operators, and the handle that stops the server.
struct Operated(SocketAddr, Stop);

impl Operated {
    async fn start(scrape: Scrape) -> Self {
        let config = config(&Upstream::answering("").await, &["--admin-listen", "127.0.0.1:0"]);
        let server = Server::bind(&config, &Telemetry::default(), Some(scrape)).unwrap();
        let (address, stop) = (server.admin_address().unwrap(), server.stop_handle());
        std::thread::spawn(move || server.run().unwrap());
        Self(address, stop)
    }

    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// The first line of the answer.
    async fn get(&self, path: &str) -> String {
        let mut answer = Vec::new();
        let mut stream = self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        self.1.stop();
    }
}

#[tokio::test]
async fn incomplete_requests_do_not_block_probes() {
    let operated = Operated::start(Arc::new(String::new)).await;
    let mut waiting = Vec::new();
    for half in ["", "GET /livez HTTP/1.1\r\nhost: a\r\n"] {
        for _ in 0..MANY {
            waiting.push(operated.send(half).await);
        }
        for path in ["/livez", "/readyz", "/metrics", "/usage"] {
            assert_eq!(operated.get(path).await, "HTTP/1.1 200 OK");
        }
    }
    // It was closed to make room for a newer one, or because its time was over.
    let mut oldest = waiting.swap_remove(0);
    assert!(!oldest.read(&mut [0; 1]).await.is_ok_and(|read| read > 0));
}

#[tokio::test]
async fn slow_readers_of_metrics_do_not_block_probes() {
    // More bytes than the sockets buffer.
    let operated = Operated::start(Arc::new(|| "a".repeat(32 << 20))).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = operated.send("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        // Wait until its answer has begun.
        stream.read_exact(&mut [0; 1]).await.unwrap();
        slow.push(stream);
    }
    for path in ["/metrics", "/usage"] {
        assert_eq!(operated.get(path).await, "HTTP/1.1 503 Service Unavailable");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(operated.get(path).await, "HTTP/1.1 200 OK");
    }
    drop(slow);
    while operated.get("/metrics").await != "HTTP/1.1 200 OK" {}
}
