//! Limits that protect the server from clients without an admitted call: health, reflection, connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::pb::health::HealthCheckRequest;
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::pb::rpc;
use http::HeaderMap;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::certificates::Files;
use crate::frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Raw, SETTINGS};
use crate::load_reports;
use crate::support::{
    Client, Details, Gateway, Running, STOP, Upstream, assert_status, body, config, config_without_key, event, json,
    prompt, sse, unfinished_body,
};

/// A short time, for tests that wait for a timeout.
const SOON: Duration = Duration::from_millis(50);

/// Health, and load reports, which have the same limits.
const HEALTH: [&str; 4] =
    ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/List", "grpc.health.v1.Health/Watch", load_reports::PATH];
const REFLECTION: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

fn status(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).unwrap()
}

/// The gRPC prefix of a message: a flag, and the length in bytes.
fn announcing(flag: u8, bytes: u32) -> Vec<u8> {
    [&[flag][..], &bytes.to_be_bytes()].concat()
}

#[tokio::test]
async fn health_and_reflection_refuse_a_large_message_by_its_announced_length() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let paths = HEALTH.iter().map(|path| (path, 4 << 10)).chain(REFLECTION.iter().map(|path| (path, 64 << 10)));
    for (path, limit) in paths {
        for flag in [0, 1] {
            // The message does not follow, and the body does not end.
            let prefix = tonic::body::Body::new(endless(announcing(flag, limit + 1)));
            let refused = status(&gateway.raw_at(path, [], prefix).await);
            assert_eq!(refused.code(), Code::ResourceExhausted, "{path}: {refused:?}");
            assert!(refused.message().contains(&limit.to_string()), "{path}: {refused:?}");
        }
    }
    // The largest message that is accepted: a tag and a length, in 3 bytes, and a name.
    let name = "a".repeat((4 << 10) - 3);
    let unknown = HealthClient::new(gateway.channel.clone()).check(HealthCheckRequest { service: name }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

/// A body that begins with these bytes and never ends.
fn endless(bytes: Vec<u8>) -> impl http_body::Body<Data = bytes::Bytes, Error = Status> + Send + 'static {
    use tokio_stream::StreamExt as _;
    let begun = http_body::Frame::data(bytes::Bytes::from(bytes));
    http_body_util::StreamBody::new(tokio_stream::iter([Ok(begun)]).chain(tokio_stream::pending()))
}

#[tokio::test]
async fn a_second_message_to_health_or_for_load_reports_is_refused() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    for path in [HEALTH[0], load_reports::PATH] {
        let refused = status(&gateway.raw_at(path, [], body([vec![0; 10]])).await);
        assert_eq!(refused.code(), Code::Internal, "{path}");
    }
}

#[tokio::test]
async fn unfinished_requests_to_health_and_reflection_time_out() {
    let upstream = Upstream::answering("").await;
    let (short, long) = (Gateway::with(&upstream, &["--upload-timeout", "0.05"]).await, Gateway::over(&upstream).await);
    for path in HEALTH.iter().chain(&REFLECTION) {
        for (gateway, metadata, says) in
            [(&short, None, "GEMINI_GRPC_UPLOAD_TIMEOUT"), (&long, Some(("grpc-timeout", "50m")), "grpc-timeout")]
        {
            let ended = status(&gateway.raw_at(path, metadata, unfinished_body()).await);
            assert_eq!(ended.code(), Code::DeadlineExceeded, "{path}: {ended:?}");
            assert!(ended.message().contains(says), "{path}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn excess_health_requests_end_the_oldest_unfinished_one() {
    let gateway = Gateway::with(&Upstream::answering("").await, &["--workers", "1"]).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::open(gateway.running.address).await;
        for stream in 0..90 {
            raw.send(HEADERS, END_HEADERS, 2 * stream + 1, &head(&format!("/{}", HEALTH[0]), "")).await;
            raw.send(DATA, 0, 2 * stream + 1, &announcing(0, 4)).await;
        }
        connections.push(raw);
        // After this call, all of them have arrived; and a complete request is still answered.
        let check = HealthCheckRequest::default();
        HealthClient::new(gateway.channel.clone()).check(check).await.unwrap();
    }
    assert_eq!(connections[0].next_of(HEADERS).await.unwrap().stream, 1);
}

#[tokio::test]
async fn streams_of_health_and_reflection_end_at_the_callers_deadline() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let message = || body([vec![0; 5]]);
    let unfinished = tonic::body::Body::new(endless(Vec::new()));
    for (path, sent) in [(HEALTH[2], message()), (load_reports::PATH, message()), (REFLECTION[0], unfinished)] {
        let ended = status(&gateway.raw_at(path, [("grpc-timeout", "50m")], sent).await);
        assert_eq!(ended.code(), Code::DeadlineExceeded, "{path}: {ended:?}");
    }
}

#[tokio::test]
async fn the_number_of_concurrent_reflection_streams_is_limited() {
    let gateway = Gateway::with(&Upstream::answering("").await, &["--workers", "1"]).await;
    let mut raw = Raw::open(gateway.running.address).await;
    for stream in 0..16 {
        raw.send(HEADERS, END_HEADERS, 2 * stream + 1, &head(&format!("/{}", REFLECTION[0]), "")).await;
        assert!(raw.next_of(HEADERS).await.is_some());
    }
    let mut client = ServerReflectionClient::new(gateway.channel.clone());
    let refused = client.server_reflection_info(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    // Health has a separate limit.
    HealthClient::new(gateway.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    drop(raw);
    while client.server_reflection_info(tokio_stream::pending()).await.is_err() {}
}

/// The path of a method that can be called.
pub const PATH: &str = "/mountsea.gemini.v1.GenerativeService/GenerateContent";

/// A header block with this path, and a key or token (RFC 7541, 6.1 and 6.2.2).
pub fn head(path: &str, key: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // POST, http, and names from the static table, each followed by its value; the last name is not in the table.
    let block = [&[0x83, 0x86, 0x01][..], &text("a"), &[0x04], &text(path), &[0x0f, 0x10], &text("application/grpc")];
    [&block.concat()[..], &[0], &text("x-goog-api-key"), &text(key)].concat()
}

#[tokio::test]
async fn a_connection_without_an_admitted_call_gets_goaway_and_is_cut_if_it_stays() {
    let mut config = config_without_key(&Upstream::answering("").await, &["--connection-idle", "0.05"]);
    config.limits.idle_grace = SOON;
    let running = Running::start(&config);
    // A client that sends nothing, one that watches health, one that reads load reports, one that calls without a key,
    // one that calls an unknown method.
    let paths = ["", "/grpc.health.v1.Health/Watch", &format!("/{}", load_reports::PATH), PATH, "/a/b"];
    for path in paths {
        let mut raw = Raw::open(running.address).await;
        if !path.is_empty() {
            raw.send(HEADERS, END_HEADERS, 1, &head(path, "")).await;
            raw.send(DATA, END_STREAM, 1, &[0; 5]).await;
        }
        assert!(raw.next_of(GOAWAY).await.is_some(), "{path}");
        raw.read_to_end().await;
    }
}

#[tokio::test]
async fn a_client_that_ignores_goaway_has_its_calls_refused() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let mut config = config(&upstream, &["--connection-age", "0.05"]);
    config.limits.goaway_flight = SOON;
    let running = Running::start(&config);
    let mut raw = Raw::open(running.address).await;
    assert!(raw.next_of(GOAWAY).await.is_some());
    let mut stream = 1;
    // It never answers the ping, so HTTP/2 itself accepts more streams.
    let message = prompt("hi").encode_to_vec();
    let message = [announcing(0, u32::try_from(message.len()).unwrap()), message].concat();
    loop {
        let accepted = upstream.requests().len();
        raw.send(HEADERS, END_HEADERS, stream, &head(PATH, "a-key")).await;
        raw.send(DATA, END_STREAM, stream, &message).await;
        // The trailers of the previous call may arrive first.
        while raw.next_of(HEADERS).await.unwrap().stream != stream {}
        if upstream.requests().len() == accepted {
            break;
        }
        stream += 2;
    }
}

/// A channel that counts its connections.
async fn counting(running: &Running) -> (Channel, Arc<AtomicUsize>) {
    let (address, connections) = (running.address, Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    let connector = tower::service_fn(move |_: http::Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { TcpStream::connect(address).await.map(TokioIo::new) }
    });
    (Endpoint::from_static("http://gateway").connect_with_connector(connector).await.unwrap(), connections)
}

#[tokio::test]
async fn a_connection_with_an_open_call_gets_no_goaway() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = Running::start(&config(&upstream, &["--connection-idle", "0.05"]));
    let (channel, connections) = counting(&running).await;
    let mut call = Client::new(channel.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert!(call.message().await.unwrap().is_some());
    for _ in 0..3 {
        // Meanwhile an idle connection gets its GOAWAY.
        assert!(Raw::open(running.address).await.next_of(GOAWAY).await.is_some());
    }
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    drop(call);
    // Now the connection is idle, and after its GOAWAY the client reconnects.
    while connections.load(Ordering::Relaxed) == 1 {
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn the_longest_idle_connection_is_closed_at_the_connection_limit() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let flags = ["--max-connections", "3", "--workers", "2"];
    let running = Running::start(&config(&upstream, &flags));
    let channel = running.connect().await;
    let mut call = Client::new(channel.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert!(call.message().await.unwrap().is_some());
    // One client has sent nothing, and one watches health.
    let mut silent = Raw::connect(running.address).await;
    let mut watching = Raw::open(running.address).await;
    watching.send(HEADERS, END_HEADERS, 1, &head("/grpc.health.v1.Health/Watch", "")).await;
    watching.send(DATA, END_STREAM, 1, &[0; 5]).await;
    assert!(watching.next_of(HEADERS).await.is_some());
    let mut newer = Vec::new();
    for _ in 0..2 {
        let mut new = Raw::open(running.address).await;
        assert!(new.next_of(SETTINGS).await.is_some());
        newer.push(new);
    }
    assert_eq!(silent.read_to_end().await, b"");
    watching.read_to_end().await;
    // The connection with the call is still open.
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_block_new_ones() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-connections", "20"]));
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(Raw::open(running.address).await);
        Client::new(running.connect().await).generate_content(prompt("hi")).await.unwrap();
    }
}

const TOKENS: [&str; 2] = ["gg_token-of-team-a", "gg_token-of-team-b"];

/// Makes a call with a token, on a new connection.
async fn call(running: &Running, token: &str) -> Result<Channel, Status> {
    let channel = running.connect().await;
    call_on(&channel, token).await.map(|()| channel)
}

async fn call_on(channel: &Channel, token: &str) -> Result<(), Status> {
    let mut request = Request::new(prompt("hi"));
    request.metadata_mut().insert("x-goog-api-key", token.parse().unwrap());
    Client::new(channel.clone()).generate_content(request).await.map(drop)
}

#[tokio::test]
async fn a_caller_can_open_only_its_share_of_the_connections() {
    let (upstream, files) = (Upstream::answering(json("200 OK", STOP)).await, Files::new());
    let [a, b] = TOKENS.map(|token| TokenHash::of(token).to_hex());
    let list = format!("[callers.team-a]\ntoken_sha256 = '{a}'\n[callers.team-b]\ntoken_sha256 = '{b}'\n");
    let list = files.write("callers.toml", &list);
    let fixed = ["--auth", "tokens", "--callers", &list, "--max-connections", "8"];
    let with = |share: &str| config(&upstream, &[&fixed[..], &["--caller-share", share]].concat());
    let running = Running::start(&with("25"));
    let [first, second] = [call(&running, TOKENS[0]).await.unwrap(), call(&running, TOKENS[0]).await.unwrap()];
    let refused = call(&running, TOKENS[0]).await.unwrap_err();
    assert_status(&refused, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    let failure: rpc::QuotaFailure = Details::of(&refused).find("QuotaFailure").unwrap();
    assert_eq!((failure.violations[0].quota_id.as_str(), failure.violations[0].quota_value), ("connections", 2));

    // The excess connection gets a GOAWAY; those within the share do not.
    let mut raw = Raw::open(running.address).await;
    raw.send(HEADERS, END_HEADERS, 1, &head(PATH, TOKENS[0])).await;
    assert!(raw.next_of(GOAWAY).await.is_some());
    call_on(&first, TOKENS[0]).await.unwrap();
    // A connection counts for the caller of its first call, even if another caller uses it later.
    let other = call(&running, TOKENS[1]).await.unwrap();
    call_on(&other, TOKENS[0]).await.unwrap();

    // Open connections stay counted after a reload of the file, and are no longer counted once closed.
    running.reload.apply(&with("25")).unwrap();
    call(&running, TOKENS[0]).await.unwrap_err();
    drop(second);
    while call(&running, TOKENS[0]).await.is_err() {}
    running.reload.apply(&with("100")).unwrap();
    call(&running, TOKENS[0]).await.unwrap();
    drop(first);
}
