//! The shutdown of the server.

use std::time::Duration;

use gemini_grpc::pb::health::health_check_response::ServingStatus::{NotServing, Serving};
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::pb::health::{HealthCheckRequest, HealthCheckResponse};
use gemini_grpc::server::Drain;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::frames::{GOAWAY, PREFACE, Raw, SETTINGS};
use crate::support::{Client, Running, STOP, Upstream, assert_status, config, event, json, prompt, sse, text};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);
const NO_DELAY: Drain = Drain { delay: Duration::ZERO, timeout: NEVER };

fn start(upstream: &Upstream, drain: Drain) -> Running {
    let mut config = config(upstream, &[]);
    config.drain = drain;
    Running::start(&config)
}

async fn watch(channel: &Channel) -> Streaming<HealthCheckResponse> {
    HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_open_stream_finishes_during_the_drain() {
    let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
    let running = start(&upstream, NO_DELAY);
    let channel = running.connect().await;
    let mut stream = Client::new(channel.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert_eq!(text(&stream.message().await.unwrap().unwrap()), "one");
    let mut watch = watch(&channel).await;
    running.stop.stop();
    // A health watcher is notified, and does not delay the shutdown.
    while watch.message().await.unwrap().is_some() {}
    go_on.send(()).unwrap();
    assert_eq!(text(&stream.message().await.unwrap().unwrap()), "two");
    assert!(stream.message().await.unwrap().is_none());
    running.wait().await;
}

#[tokio::test]
async fn during_the_drain_delay_health_is_not_serving_and_new_connections_are_served() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, Drain { delay: NEVER, timeout: NEVER });
    let mut watch = watch(&running.connect().await).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving);
    running.stop.stop();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), NotServing);
    // Many, since a single one could connect before the delay begins.
    for _ in 0..20 {
        let channel = running.connect().await;
        let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(answer.into_inner().status(), NotServing);
        Client::new(channel).generate_content(prompt("hi")).await.unwrap();
    }
}

#[tokio::test]
async fn after_the_drain_delay_watchers_are_notified_and_new_connections_are_refused() {
    let upstream = Upstream::answering("").await;
    let running = start(&upstream, NO_DELAY);
    let mut raw = Raw::open(running.address).await;
    let mut watch = watch(&running.connect().await).await;
    running.stop.stop();
    let mut last = Serving;
    while let Some(status) = watch.message().await.unwrap() {
        last = status.status();
    }
    assert_eq!(last, NotServing);
    assert!(raw.next_of(GOAWAY).await.is_some());
    // The listeners are closed at the same time.
    while TcpStream::connect(running.address).await.is_ok() {}
}

#[tokio::test]
async fn idle_and_silent_connections_do_not_delay_the_shutdown() {
    let mut config = config(&Upstream::answering("").await, &[]);
    (config.drain, config.limits.first_bytes, config.limits.goaway_flight) = (NO_DELAY, NEVER, Duration::ZERO);
    let running = Running::start(&config);
    let _silent = Raw::connect(running.address).await;
    let idle = running.connect().await;
    // After this call, both connections are accepted.
    HealthClient::new(idle.clone()).check(HealthCheckRequest::default()).await.unwrap();
    running.stop.stop();
    running.wait().await;
}

#[tokio::test]
async fn a_connection_accepted_just_before_the_listeners_close_may_still_send_its_first_call() {
    let mut config = config(&Upstream::answering("").await, &[]);
    (config.drain, config.limits.goaway_flight) = (NO_DELAY, NEVER);
    let running = Running::start(&config);
    let mut http2 = Raw::connect(running.address).await;
    let mut http1 = Raw::connect(running.address).await;
    // The listeners are closed when the watch ends. Both connections were accepted before it began.
    let mut watch = watch(&running.connect().await).await;
    running.stop.stop();
    while watch.message().await.unwrap().is_some() {}
    http2.write(PREFACE).await;
    http2.send(SETTINGS, 0, 0, &[]).await;
    assert!(http2.next_of(GOAWAY).await.is_some());
    http1.write(b"GET /v1beta/models HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
    let response = String::from_utf8(http1.read_to_end().await).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.contains("connection: close\r\n"), "{response}");
}

#[tokio::test]
async fn a_call_open_at_the_drain_timeout_ends_with_a_status_that_names_the_limit() {
    for answer in [sse(event("one", false)), Vec::new()] {
        let upstream = Upstream::falling_silent_after(answer).await;
        let running = start(&upstream, Drain { delay: Duration::ZERO, timeout: Duration::from_millis(200) });
        let mut client = Client::new(running.connect().await);
        let call = tokio::spawn(async move {
            let mut stream = client.stream_generate_content(prompt("hi")).await?.into_inner();
            while stream.message().await?.is_some() {}
            Ok::<_, Status>(())
        });
        upstream.wait_for_requests(1).await;
        running.stop.stop();
        let status = call.await.unwrap().unwrap_err();
        assert_status(&status, Code::Unavailable, "STOPPING");
        assert!(status.message().contains("GEMINI_GRPC_DRAIN_TIMEOUT"), "{}", status.message());
        upstream.wait_until_closed().await;
        running.wait().await;
    }
}

#[tokio::test]
async fn an_unresponsive_connection_is_cut_at_the_drain_timeout() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = start(&upstream, Drain { delay: Duration::ZERO, timeout: Duration::from_secs(2) });
    // This client does not answer the ping between the two GOAWAY frames.
    let mut raw = Raw::open(running.address).await;
    let mut stream = Client::new(running.connect().await).stream_generate_content(prompt("hi")).await.unwrap();
    assert_eq!(text(&stream.get_mut().message().await.unwrap().unwrap()), "one");
    running.stop.stop();
    assert!(raw.next_of(GOAWAY).await.is_some());
    running.wait().await;
    assert!(stream.get_mut().message().await.is_err());
    raw.read_to_end().await;
}

#[tokio::test]
async fn a_server_stopped_before_it_runs_ends_immediately() {
    let server =
        gemini_grpc::server::Server::bind(&config(&Upstream::answering("").await, &[]), &Default::default(), None)
            .unwrap();
    server.stop_handle().stop();
    tokio::task::spawn_blocking(|| server.run().unwrap()).await.unwrap();
}
