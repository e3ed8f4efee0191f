//! One caller cannot harm others: a call over a limit is refused when its headers arrive, a long translation does not
//! block other calls, and compressed messages that would become too large are refused.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::pb::gemini::part::Data;
use gemini_grpc::pb::gemini::{Content, GenerateContentRequest, Part};
use gemini_grpc::pb::health::HealthCheckRequest;
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::pb::rpc;
use prost::Message as _;
use tonic::{Code, Status};

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::strangers::{PATH, head};
use crate::support::{Answer, Details, Gateway, STOP, Upstream, assert_status, body, json, prompt, unfinished_body};

const MIB: usize = 1 << 20;
pub const TOKENS: [&str; 2] = ["gg_token-of-team-a", "gg_token-of-team-b"];

/// A gateway with two callers; the first has these limits.
pub async fn gateway(upstream: &Upstream, limits: &str, flags: &[&str]) -> Gateway {
    let [a, b] = TOKENS.map(|token| TokenHash::of(token).to_hex());
    let text = format!("[callers.team-a]\ntoken_sha256 = '{a}'\n{limits}\n[callers.team-b]\ntoken_sha256 = '{b}'\n");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let fixed = ["--auth", "tokens", "--callers", path];
    Gateway::with(upstream, &[&fixed[..], flags].concat()).await
}

/// A message with its gRPC prefix of five bytes.
pub fn framed(message: &[u8], compressed: bool) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(compressed)], &length[..], message].concat()
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// Sends a message with a token, and returns the status of the call.
async fn send(gateway: &Gateway, token: &str, message: &[u8], compressed: bool) -> Status {
    let mut metadata = vec![("x-goog-api-key", token)];
    if compressed {
        metadata.push(("grpc-encoding", "gzip"));
    }
    gateway.raw("GenerateContent", metadata, body([framed(message, compressed)])).await
}

/// The limit that a status names, and its value.
#[track_caller]
fn quota(status: &Status) -> (String, i64) {
    assert_status(status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    let failure: rpc::QuotaFailure = Details::of(status).find("QuotaFailure").unwrap();
    (failure.violations[0].quota_id.clone(), failure.violations[0].quota_value)
}

/// A request with a model and one content, which has this many empty parts of a few bytes.
fn short_parts(parts: usize) -> Vec<u8> {
    let content = Content {
        parts: vec![Part { data: Some(Data::Text(String::new())), ..Default::default() }; parts],
        ..Default::default()
    };
    GenerateContentRequest { model: "m".into(), contents: vec![content], ..Default::default() }.encode_to_vec()
}

#[tokio::test]
async fn a_caller_at_a_limit_is_refused_before_its_message_arrives() {
    let upstream = Upstream::with([Answer::silence_after("")]).await;
    for (limit, quota_id) in [("calls_in_flight = 1", "calls_in_flight"), ("calls_per_minute = 1", "calls_per_minute")]
    {
        let gateway = gateway(&upstream, limit, &[]).await;
        let before = upstream.requests().len();
        let message = framed(&prompt("hi").encode_to_vec(), false);
        let token = [("x-goog-api-key", TOKENS[0])];
        let mut first = std::pin::pin!(gateway.raw("GenerateContent", token, body([message])));
        tokio::select! {
            _ = first.as_mut() => panic!("the call ended although upstream is silent"),
            () = upstream.wait_for_requests(before + 1) => {}
        }
        let second = gateway.raw("GenerateContent", token, unfinished_body()).await;
        assert_eq!(quota(&second), (quota_id.to_owned(), 1));
    }
}

#[tokio::test]
async fn thousands_of_refused_calls_do_not_close_the_connection() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_per_minute = 1", &[]).await;
    let message = framed(&prompt("hi").encode_to_vec(), false);
    let mut raw = Raw::open(gateway.running.address).await;
    for round in 0..40 {
        let streams: Vec<u32> = (0..100).map(|n| 2 * (100 * round + n) + 1).collect();
        for stream in &streams {
            raw.send(HEADERS, END_HEADERS, *stream, &head(PATH, TOKENS[0])).await;
        }
        // Each message is sent after its call was refused; only the first call is admitted.
        let refused = streams.len() - usize::from(round == 0);
        for _ in 0..refused {
            assert!(raw.next_of(HEADERS).await.is_some(), "the connection was closed in round {round}");
        }
        for stream in &streams {
            raw.send(DATA, END_STREAM, *stream, &message).await;
        }
        if round == 0 {
            // The headers and trailers of the first call.
            assert!(raw.next_of(HEADERS).await.is_some() && raw.next_of(HEADERS).await.is_some());
        }
    }
    // The connection is still open, and this call is refused like the others.
    raw.send(HEADERS, END_HEADERS, 8001, &head(PATH, TOKENS[0])).await;
    assert_eq!(raw.next_of(HEADERS).await.unwrap().stream, 8001);
}

#[tokio::test]
async fn an_unfinished_upload_counts_as_a_call_of_its_caller() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_in_flight = 1", &[]).await;
    let begin = || Box::pin(gateway.raw("GenerateContent", [("x-goog-api-key", TOKENS[0])], unfinished_body()));
    let mut sending = begin();
    let whole = prompt("hi").encode_to_vec();
    // The second call is refused once the headers of the first have arrived.
    let second = loop {
        tokio::select! {
            // The second call had the place.
            status = &mut sending => {
                assert_eq!(quota(&status), ("calls_in_flight".to_owned(), 1));
                sending = begin();
            }
            status = send(&gateway, TOKENS[0], &whole, false) => {
                if status.code() != Code::Ok {
                    break status;
                }
            }
        }
    };
    assert_eq!(quota(&second), ("calls_in_flight".to_owned(), 1));
    // Other callers have their own places.
    assert_eq!(send(&gateway, TOKENS[1], &whole, false).await.code(), Code::Ok);
}

#[tokio::test]
async fn invalid_requests_use_no_call_of_the_quota() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_per_minute = 1\nmodels = 'gemini-*'", &[]).await;
    let other_model = GenerateContentRequest { model: "other".into(), ..prompt("hi") };
    for (message, code) in [
        (GenerateContentRequest::default().encode_to_vec(), Code::InvalidArgument),
        (b"\xff".to_vec(), Code::InvalidArgument),
        (other_model.encode_to_vec(), Code::PermissionDenied),
        (prompt("hi").encode_to_vec(), Code::Ok),
        (prompt("hi").encode_to_vec(), Code::ResourceExhausted),
    ] {
        assert_eq!(send(&gateway, TOKENS[0], &message, false).await.code(), code);
    }
}

#[tokio::test]
async fn a_caller_can_reserve_only_its_share_of_the_bytes() {
    let silent = Answer::silence_after("");
    let upstream = Upstream::with([silent, Answer::closing(json("200 OK", STOP))]).await;
    let cap = (24 * MIB).to_string();
    let gateway = gateway(&upstream, "", &["--max-bytes-held", &cap]).await;
    let text = prompt(&"x".repeat(4 * MIB)).encode_to_vec();
    let first = framed(&text, false);
    let mut first = std::pin::pin!(gateway.raw("GenerateContent", [("x-goog-api-key", TOKENS[0])], body([first])));
    tokio::select! {
        _ = first.as_mut() => panic!("the call ended although upstream is silent"),
        () = upstream.wait_for_requests(1) => {}
    }
    // Each of the two callers may reserve half. The first call has 4 MiB of it, and a second one would need 9 MiB more.
    assert_eq!(quota(&send(&gateway, TOKENS[0], &text, false).await), ("bytes_held".to_owned(), 12 << 20));
    assert_eq!(send(&gateway, TOKENS[1], &text, false).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_message_with_an_extreme_compression_ratio_is_refused() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let request = |text: usize| prompt(&"x".repeat(text)).encode_to_vec();
    // Up to 1 MiB, any compression ratio is accepted.
    assert_eq!(send(&gateway, "k", &gzip(&request(MIB - 100)), true).await.code(), Code::Ok);
    for bytes in [2 * MIB, 60 * MIB] {
        let status = send(&gateway, "k", &gzip(&request(bytes)), true).await;
        assert_status(&status, Code::ResourceExhausted, "REQUEST_TOO_PACKED");
    }
    // Text that compresses normally is accepted.
    let varied: String = (0..600_000).map(|n| format!("{n} ")).collect();
    let varied = prompt(&varied).encode_to_vec();
    assert!(varied.len() > 3 * MIB);
    assert_eq!(send(&gateway, "k", &gzip(&varied), true).await.code(), Code::Ok);
    // A gzip stream can have several members, which together are the message.
    let (front, back) = varied.split_at(varied.len() / 2);
    assert_eq!(send(&gateway, "k", &[gzip(front), gzip(back)].concat(), true).await.code(), Code::Ok);
    let last = upstream.requests().pop().unwrap();
    assert!(last.contains("599999"));
}

#[tokio::test]
async fn a_broken_compressed_message_is_refused_with_an_explanation() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let whole = gzip(&prompt("hello").encode_to_vec());
    let mut wrong_sum = whole.clone();
    let at = whole.len() - 6;
    wrong_sum[at] ^= 1;
    let behind = [&whole[..], b"more"].concat();
    for broken in [&whole[..whole.len() - 1], &wrong_sum, &behind, b"no gzip at all", b""] {
        let status = send(&gateway, "k", broken, true).await;
        assert_status(&status, Code::Internal, "REQUEST_NOT_GRPC");
        assert!(status.message().contains("not the gzip that grpc-encoding says"), "{}", status.message());
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn the_limit_on_elements_is_named_in_the_error_and_can_be_raised() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    assert_eq!(send(&gateway, "k", &short_parts(99_999), false).await.code(), Code::Ok);
    let status = send(&gateway, "k", &short_parts(100_000), false).await;
    assert_status(&status, Code::InvalidArgument, "TOO_MANY_ELEMENTS");
    assert!(status.message().contains("more than 100000 elements"), "{}", status.message());
    assert!(status.message().contains("GEMINI_GRPC_MAX_ELEMENTS"), "{}", status.message());
    let gateway = Gateway::with(&upstream, &["--max-elements", "200000"]).await;
    assert_eq!(send(&gateway, "k", &short_parts(100_000), false).await.code(), Code::Ok);
}

/// A message that takes long to translate: it sets the oneof of a part many times.
fn slow(bytes: usize) -> Vec<u8> {
    // `text`, then `function_call`, in the same part.
    let part = [0x12, 0, 0x22, 0].repeat(bytes / 4);
    let wrap = |tag: u8, inner: &[u8]| {
        let mut out = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        [&out[..], inner].concat()
    };
    // The tags of `model`, `contents` and `parts`.
    [&[0x0a, 1, b'm'], &wrap(0x12, &wrap(0x0a, &part))[..]].concat()
}

#[tokio::test]
async fn a_long_translation_does_not_block_other_calls() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--workers", "1"]).await;
    let message = framed(&slow(60 * MIB), false);
    let mut long = std::pin::pin!(gateway.raw("GenerateContent", [], body([message])));
    let mut health = HealthClient::new(gateway.new_channel().await);
    // Until the long call ends, many other calls are answered.
    let mut answered = 0;
    let status = loop {
        tokio::select! {
            status = long.as_mut() => break status,
            ended = gateway.generate(prompt("hi")) => {
                ended.unwrap();
                health.check(HealthCheckRequest::default()).await.unwrap();
                answered += 1;
            }
        }
    };
    assert_eq!(status.code(), Code::Ok, "{}", status.message());
    assert!(answered > 20, "{answered}");
}

#[tokio::test]
async fn a_long_translation_is_interrupted_at_the_deadline() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--workers", "1"]).await;
    let channel = gateway.new_channel().await;
    let mut health = HealthClient::new(channel);
    // There is one thread for long translations, so the second one can only run if the first one was interrupted.
    for _ in 0..2 {
        let message = framed(&slow(60 * MIB), false);
        let status = gateway.raw("GenerateContent", [("grpc-timeout", "300m")], body([message])).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{}", status.message());
    }
    health.check(HealthCheckRequest::default()).await.unwrap();
    let message = framed(&slow(MIB), false);
    let status = tokio::time::timeout(Duration::from_secs(60), gateway.raw("GenerateContent", [], body([message])));
    assert_eq!(status.await.unwrap().code(), Code::Ok);
    assert_eq!(upstream.requests().len(), 1);
}
