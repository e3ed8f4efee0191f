//! Finds out which version of HTTP a connection speaks, by its first bytes.
//!
//! HTTP/2 begins with the same 24 bytes (RFC 9113, 3.4). hyper would wait for them forever, so they are read before it is
//! asked, and put back in front of the stream.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::goaway_filter::FilteredStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose version is known.
pub(super) enum Sniffed<S> {
    /// HTTP/2. The stream begins with the preface again.
    Http2(FilteredStream<S>),
    /// HTTP/1, if it is HTTP at all: it began with a capital letter, as HTTP's methods do.
    Http1 {
        /// The bytes that were read of `stream`.
        read: Vec<u8>,
        stream: S,
    },
}

/// Reads the first bytes. What can be neither HTTP/2 nor HTTP/1 is an error at its first wrong byte.
pub(super) async fn sniff<S: AsyncRead + Unpin>(mut stream: S) -> Result<Sniffed<S>> {
    let (mut bytes, mut read) = ([0; PREFACE.len()], 0);
    while read < PREFACE.len() {
        read += match stream.read(&mut bytes[read..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => more,
        };
        if !PREFACE.starts_with(&bytes[..read]) {
            if bytes[0].is_ascii_uppercase() {
                return Ok(Sniffed::Http1 { read: bytes[..read].to_vec(), stream });
            }
            return Err(Error::new(ErrorKind::InvalidData, spoken(bytes[0])));
        }
    }
    Ok(Sniffed::Http2(FilteredStream::new(PREFACE, stream)))
}

/// The protocol that begins with this byte, for the log.
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
            let Sniffed::Http2(mut stream) = sniff(tokio::io::join(parts, tokio::io::sink())).await.unwrap() else {
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
            let error = sniff(bytes.chain(tokio::io::empty())).await.err().unwrap();
            assert!(error.to_string().contains(says), "{bytes:?}: {error}");
        }
        assert_eq!(sniff(&PREFACE[..20]).await.err().unwrap().kind(), ErrorKind::UnexpectedEof);
        for bytes in [&b"HEAD / HTTP/1.1\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.1\r\n"] {
            let Sniffed::Http1 { read, mut stream } = sniff(bytes).await.unwrap() else { panic!("{bytes:?}") };
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!([&read[..], &rest[..]].concat(), bytes);
        }
    }
}
