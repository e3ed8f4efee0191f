//! Answers HTTP/1 requests with what to speak instead. Only the first line of a request is read.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// The longest first line of a request that is read, in bytes.
const MAX_REQUEST_LINE: usize = 8 << 10;
/// How much of the rest of an HTTP/1 request is read, in bytes, and for how long: closing a connection with unread bytes
/// resets it, and the client would lose the answer.
const LINGER_BYTES: u64 = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A hint for a request from curl.
const CURL_HINT: &str = "curl needs --http2-prior-knowledge, or --http2 over TLS.\n";

/// Reads the first line of a request (RFC 9112, 3), of which `beginning` was read already, and perhaps more. Whether its
/// method is HEAD. What is not such a line is an error.
pub(super) async fn read_request_line<S: AsyncRead + Unpin>(stream: &mut S, beginning: &[u8]) -> Result<bool> {
    let (mut text, mut piece) = (beginning.to_vec(), [0; 512]);
    let end = loop {
        if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            break end;
        }
        match stream.read(&mut piece).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            _ if text.len() > MAX_REQUEST_LINE => break 0,
            more => text.extend_from_slice(&piece[..more]),
        }
    };
    let version = text[..end].trim_ascii_end().rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    if version.starts_with(b"HTTP/1.") {
        Ok(text.starts_with(b"HEAD "))
    } else {
        Err(Error::new(ErrorKind::InvalidData, "text that is neither HTTP/2 nor HTTP/1"))
    }
}

/// Answers a client that speaks HTTP/1 with what to speak, and ends the connection.
pub(super) async fn answer<S>(mut stream: S, is_head: bool, words: &str) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = words.len() + CURL_HINT.len();
    // An answer to HEAD has no body (RFC 9110, 9.3.2).
    let body = if is_head { [""; 2] } else { [words, CURL_HINT] }.concat();
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_line_is_known_by_its_version_however_it_is_cut() {
        for (line, is_head) in [
            (&b"GET / HTTP/1.1\r\nhost: a"[..], Some(false)),
            (b"HEAD /x HTTP/1.0\r\n", Some(true)),
            (b"HEADS /x HTTP/1.1\n", Some(false)),
            (b"INVALID CONNECTION PREFACE\r\n\r\n", None),
            (b"SSH-2.0-OpenSSH\r\n", None),
            (b"GET /\r\n HTTP/1.1\r\n", None),
            (b"GET / HTTP/1.1", None),
        ] {
            for cut in 0..line.len() {
                let (beginning, mut rest) = line.split_at(cut);
                let read = read_request_line(&mut rest, beginning).await;
                assert_eq!(read.ok(), is_head, "{} cut at {cut}", line.escape_ascii());
            }
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_read_no_further_than_it_may_be_long() {
        let endless = tokio::io::repeat(b'A');
        let error = read_request_line(&mut endless.take(1 << 20), b"A").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
