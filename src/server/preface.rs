//! The first bytes of a connection. HTTP/2 begins with the same 24 of them (RFC 9113, 3.4); hyper waits for these
//! forever, so they are read before it is asked.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::http1;
use super::sifted::Sifted;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
pub(super) enum Spoken<S> {
    /// HTTP/2; the preface, which was read, is read again.
    Http2(Sifted<S>),
    /// HTTP/1, of which the first line was read.
    Http1 { stream: S, is_head: bool },
}

/// Reads the preface. What is neither HTTP/2 nor HTTP/1 is an error at its first wrong byte, which says what was spoken
/// instead.
pub(super) async fn read<S: AsyncRead + Unpin>(mut stream: S) -> Result<Spoken<S>> {
    let (mut bytes, mut read) = ([0; PREFACE.len()], 0);
    while read < PREFACE.len() {
        read += match stream.read(&mut bytes[read..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => more,
        };
        if !PREFACE.starts_with(&bytes[..read]) {
            if bytes[0].is_ascii_uppercase() {
                let is_head = http1::read_request_line(&mut stream, &bytes[..read]).await?;
                return Ok(Spoken::Http1 { stream, is_head });
            }
            return Err(Error::new(ErrorKind::InvalidData, spoken(bytes[0])));
        }
    }
    Ok(Spoken::Http2(Sifted::behind(PREFACE, stream)))
}

/// What begins so, in words for the log.
fn spoken(first: u8) -> &'static str {
    match first {
        // The content type of a handshake record (RFC 8446, 5.1).
        0x16 => "TLS, which is not spoken on this port",
        _ => "no HTTP/2",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preface_is_read_again_however_it_was_cut() {
        for cut in 1..PREFACE.len() {
            let parts = (&PREFACE[..cut]).chain(&PREFACE[cut..]).chain(&b"and more"[..]);
            let Spoken::Http2(mut stream) = read(tokio::io::join(parts, tokio::io::sink())).await.unwrap() else {
                panic!("cut at {cut}")
            };
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, [PREFACE, b"and more"].concat());
        }
    }

    #[tokio::test]
    async fn what_is_no_preface_is_known_by_its_first_wrong_byte() {
        for (bytes, says) in
            [(&b"\x16\x03\x01"[..], "TLS"), (b"get / HTTP/1.1\r\n\r\n", "no HTTP/2"), (b"\0", "no HTTP/2")]
        {
            // More may come, so that only the bytes themselves can be the reason.
            let error = read(bytes.chain(tokio::io::empty())).await.err().unwrap();
            assert!(error.to_string().contains(says), "{bytes:?}: {error}");
        }
        assert_eq!(read(&PREFACE[..20]).await.err().unwrap().kind(), ErrorKind::UnexpectedEof);
        assert!(matches!(read(&b"HEAD / HTTP/1.1\r\n"[..]).await, Ok(Spoken::Http1 { is_head: true, .. })));
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/1.1\r\n"] {
            assert!(matches!(read(bytes).await, Ok(Spoken::Http1 { is_head: false, .. })), "{bytes:?}");
        }
    }
}
