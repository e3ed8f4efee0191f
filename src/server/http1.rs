//! The one answer that HTTP/1 gets: what to speak instead. Of a request only the method is looked at.

use std::io::Result;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How much of an HTTP/1 request is read beside its beginning, in bytes, and for how long: closing a connection with
/// bytes unread would take the answer away from the client.
const LINGER_BYTES: u64 = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// What is added to the words for those who try the port with curl.
const CURL: &str = "curl needs --http2-prior-knowledge, or --http2 over TLS.\n";

/// Tells a client that speaks HTTP/1 what to speak, and ends the connection.
pub(super) async fn answer<S>(mut stream: S, is_head: bool, words: &str) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = words.len() + CURL.len();
    // An answer to HEAD has no body (RFC 9110, 9.3.2).
    let body = if is_head { [""; 2] } else { [words, CURL] }.concat();
    // Not `h2c`: the Upgrade header of HTTP/1 is not understood.
    let answer = format!(
        "HTTP/1.1 426 Upgrade Required\r\nconnection: close, upgrade\r\nupgrade: HTTP/2.0\r\n\
         content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answering = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    match timeout(LINGER_TIME, answering).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
