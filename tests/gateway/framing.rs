//! The framing of a message, with mistakes that no client library makes.

use prost::Message as _;
use tonic::{Code, Status};

use crate::support::{Details, Gateway, STOP, Upstream, body, event, json, prompt, sse};

/// The tags of message fields on the wire: the field number, and wire type 2 for a length-delimited value.
const GENERATION_CONFIG: u8 = 4 << 3 | 2;
const RESPONSE_SCHEMA: u8 = 14 << 3 | 2;
const ITEMS: u8 = 6 << 3 | 2;

/// A message with its prefix.
fn framed(flag: u8) -> Vec<u8> {
    let message = prompt("hi").encode_to_vec();
    [&[flag][..], &(message.len() as u32).to_be_bytes(), &message].concat()
}

/// Sends a body in these pieces. Returns the status of the call, and the number of requests that reached upstream.
async fn call(pieces: Vec<Vec<u8>>, metadata: &[(&str, &str)]) -> (Status, usize) {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let status = gateway.raw("GenerateContent", metadata.iter().copied(), body(pieces)).await;
    (status, upstream.requests().len())
}

#[tokio::test]
async fn a_message_can_arrive_in_any_pieces() {
    let whole = framed(0);
    for size in [1, 3, 5, 6, 7, whole.len()] {
        let pieces = whole.chunks(size).map(<[u8]>::to_vec).collect();
        let (status, requests) = call(pieces, &[]).await;
        assert_eq!((status.code(), requests), (Code::Ok, 1), "pieces of {size}: {}", status.message());
    }
}

#[tokio::test]
async fn a_body_that_is_not_one_complete_message_is_not_sent_upstream() {
    let whole = framed(0);
    for (pieces, code, reason) in [
        (vec![], Code::InvalidArgument, "REQUEST_MALFORMED"),
        (vec![whole[..3].to_vec()], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![whole[..5].to_vec()], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![whole[..9].to_vec()], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![[&whole[..], &whole[..]].concat()], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![framed(2)], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![vec![9]], Code::Internal, "REQUEST_NOT_GRPC"),
        // Marked as compressed, but no encoding is given.
        (vec![framed(1)], Code::Internal, "REQUEST_NOT_GRPC"),
        (vec![vec![0, 0xff, 0xff, 0xff, 0xff]], Code::ResourceExhausted, "REQUEST_TOO_LARGE"),
    ] {
        let shown = format!("{pieces:?}");
        let (status, requests) = call(pieces, &[]).await;
        assert_eq!((status.code(), requests), (code, 0), "{shown}: {}", status.message());
        assert_eq!(Details::of(&status).reason(), reason, "{shown}");
    }
}

#[tokio::test]
async fn a_message_wrongly_marked_as_compressed_is_not_sent_upstream() {
    let (status, requests) = call(vec![framed(1)], &[("grpc-encoding", "gzip")]).await;
    assert_eq!((status.code(), requests), (Code::Internal, 0), "{}", status.message());
}

#[tokio::test]
async fn an_unknown_compression_is_refused_with_the_supported_ones() {
    let (status, requests) = call(vec![framed(1)], &[("grpc-encoding", "zstd")]).await;
    assert_eq!((status.code(), requests), (Code::Unimplemented, 0), "{}", status.message());
    assert_eq!(Details::of(&status).reason(), "ENCODING_UNKNOWN");
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity,gzip");
}

#[tokio::test]
async fn a_message_with_ten_thousand_levels_is_refused() {
    // generation_config.response_schema.items.items...
    let mut message = Vec::new();
    for tag in std::iter::repeat_n(ITEMS, 10_000).chain([RESPONSE_SCHEMA, GENERATION_CONFIG]) {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(message.len() as u64, &mut outer);
        outer.append(&mut message);
        message = outer;
    }
    message.splice(0..0, prompt("hi").encode_to_vec());
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    let (status, requests) = call(vec![framed], &[]).await;
    assert_eq!((status.code(), requests), (Code::InvalidArgument, 0), "{}", status.message());
    assert!(status.message().len() <= 1024, "{}", status.message());
}

#[tokio::test]
async fn error_messages_are_percent_encoded_only_where_necessary() {
    let error =
        |message: &str| serde_json::json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}});
    for (message, sent) in [
        (r#"it's a {plain} <one> of "words" #1?"#, r#"it's a {plain} <one> of "words" #1?"#),
        ("100 % sure", "100%20%25%20sure"),
        ("fran\u{e7}ais", "fran%C3%A7ais"),
    ] {
        let refusal = json("400 Bad Request", &error(message).to_string());
        let breach = sse(format!("{}data: {}\n\n", event("some", false), error(message)));
        for (method, answer) in [("GenerateContent", refusal), ("StreamGenerateContent", breach)] {
            let upstream = Upstream::answering(answer).await;
            let gateway = Gateway::over(&upstream).await;
            let end = gateway.raw_headers(method, [], body([framed(0)])).await;
            assert_eq!(end["grpc-message"], sent, "{method}");
            let status = Status::from_header_map(&end).unwrap();
            assert_eq!((status.code(), status.message()), (Code::InvalidArgument, message), "{method}");
        }
    }
}
