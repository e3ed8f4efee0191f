//! Tests of the check with requests that are cut at every byte.

use super::*;

/// What goes on of these bytes, when they are read in pieces of this length, and whether a body is broken.
fn checked(bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let (mut check, mut all) = (RequestCheck::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        let mut piece = piece.to_vec();
        match check.check(&mut piece) {
            Ok(kept) => all.extend_from_slice(&piece[..kept]),
            Err(_) => return (all, true),
        }
    }
    (all, false)
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn requests_that_are_framed_clearly_pass_unchanged_however_they_are_cut() {
    let all = [
        GET,
        "\r\n\r\nPOST /v1beta/models/x:y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\n\r\n ",
        "POST / HTTP/1.1\r\nhost:a\r\ntransfer-encoding:  Chunked \r\n\r\n5;a=b\r\nhe\nlo\r\n0A\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        GET,
    ]
    .concat();
    for piece in 1..all.len() {
        assert_eq!(checked(all.as_bytes(), piece), (all.clone().into_bytes(), false), "in pieces of {piece}");
    }
}

#[test]
fn an_ambiguous_head_becomes_unreadable_and_nothing_after_it_goes_on() {
    for head in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\tz\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\rz\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nhost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
    ] {
        let bytes = [GET, head, GET].concat();
        for piece in 1..bytes.len() {
            let (kept, is_broken) = checked(bytes.as_bytes(), piece);
            assert!(!is_broken && kept.ends_with(&[0]), "{head:?} in pieces of {piece}");
            let valid = GET.len() + head.len();
            assert!(kept.starts_with(GET.as_bytes()) && kept.len() <= valid, "{head:?} in pieces of {piece}");
        }
    }
}

#[test]
fn text_that_is_no_request_gets_no_answer() {
    for text in [
        "\r\n\r\n\r\nGET / HTTP/1.1\r\n",
        "INVALID CONNECTION PREFACE\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "GET /\r\n",
        "A\r\n",
    ] {
        for piece in 1..text.len() {
            assert!(checked(text.as_bytes(), piece).1, "{text:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_broken_chunk_ends_the_connection() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let (long, trailers) = ("1".repeat(20), format!("0\r\n{}\r\n", "x: y\r\n".repeat(1000)));
    for body in
        ["5\nhello", "5\r\nhello!\r\n", "0x5\r\n", "-5\r\n", " 5\r\n", "\r\n", ";\r\n", "g\r\n", &long, &trailers]
    {
        let body = format!("{body}\r\n");
        for piece in 1..body.len() {
            let (kept, is_broken) = checked(format!("{head}{body}").as_bytes(), piece);
            assert!(is_broken && kept.len() < head.len() + body.len(), "{body:?} in pieces of {piece}");
        }
    }
}

#[test]
fn the_check_keeps_no_more_of_a_head_than_it_may_be_long() {
    let mut check = RequestCheck::default();
    for _ in 0..1000 {
        assert_eq!(check.check(&mut [b'A'; 1000]).unwrap(), 1000);
        assert!(check.is_in_head());
    }
    assert!(check.line.len() <= MAX_HEAD_BYTES + MAX_SIZE_LINE);
}
