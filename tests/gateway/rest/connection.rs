//! HTTP/1 connections: shutdown, age and idle time.

use std::time::Duration;

use gemini_grpc::server::{Config, Drain};

use super::client::{ARRAY, EVENTS, HI, Http1, UNARY, call, http2, post, post_http2};
use crate::certificates::{Authority, Files};
use crate::support::{Answer, Running, STOP, Upstream, config, event, json, sse};
use crate::tls::{roots, speaking_tls};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(50);

fn start(upstream: &Upstream, flags: &[&str], change: impl FnOnce(&mut Config)) -> Running {
    let mut config = config(upstream, flags);
    change(&mut config);
    Running::start(&config)
}

#[tokio::test]
async fn at_a_stop_open_calls_finish_and_idle_connections_are_closed() {
    let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
    let running = start(&upstream, &[], |config| config.drain = Drain { delay: Duration::ZERO, timeout: NEVER });
    let (mut idle, mut silent) = (Http1::open(running.address).await, Http1::open(running.address).await);
    idle.send(post("/nothing", &[], HI)).await;
    assert_eq!(idle.response().await.status, 404);
    silent.send("P").await;
    let mut open = Http1::open(running.address).await;
    open.send(post(EVENTS, &[], HI)).await;
    assert_eq!(open.head().await.status, 200);
    let mut body = open.chunk().await.unwrap().unwrap();
    running.stop.stop();
    assert_eq!(idle.read_to_end().await, "");
    assert_eq!(silent.read_to_end().await, "");
    go_on.send(()).unwrap();
    while let Some(chunk) = open.chunk().await.unwrap() {
        body.extend(chunk);
    }
    assert!(str::from_utf8(&body).unwrap().contains("two"));
    assert_eq!(open.read_to_end().await, "");
    running.wait().await;
}

#[tokio::test]
async fn a_request_right_behind_a_stream_that_ended_during_a_stop_is_answered() {
    let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
    let running = start(&upstream, &[], |config| config.drain = Drain { delay: Duration::ZERO, timeout: NEVER });
    let mut idle = Http1::open(running.address).await;
    idle.send(post("/nothing", &[], HI)).await;
    idle.response().await;
    let mut open = Http1::open(running.address).await;
    open.send(post(EVENTS, &[], HI)).await;
    assert_eq!(open.head().await.header("connection"), None);
    open.chunk().await.unwrap().unwrap();
    running.stop.stop();
    // The stop has reached the connections.
    assert_eq!(idle.read_to_end().await, "");
    go_on.send(()).unwrap();
    while open.chunk().await.unwrap().is_some() {}
    open.send(post("/nothing", &[], HI)).await;
    let response = open.response().await;
    assert_eq!((response.status, response.header("connection")), (404, Some("close")));
    assert_eq!(open.read_to_end().await, "");
    running.wait().await;
}

#[tokio::test]
async fn over_http2_an_open_stream_finishes_during_a_stop() {
    for path in [EVENTS, ARRAY] {
        let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
        let running = start(&upstream, &[], |config| config.drain = Drain { delay: Duration::ZERO, timeout: NEVER });
        let mut response = post_http2(&http2(), running.address, path, HI).send().await.unwrap();
        let mut body = response.chunk().await.unwrap().unwrap().to_vec();
        running.stop.stop();
        go_on.send(()).unwrap();
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.extend(chunk);
        }
        let body = str::from_utf8(&body).unwrap();
        assert!(body.contains("two") && !body.contains("error"), "{body}");
        running.wait().await;
    }
}

#[tokio::test]
async fn over_http2_calls_that_outlive_the_drain_end_with_an_error() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = start(&upstream, &[], |config| config.drain = Drain { delay: Duration::ZERO, timeout: SOON });
    let client = http2();
    let mut response = post_http2(&client, running.address, EVENTS, HI).send().await.unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    running.stop.stop();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend(chunk);
    }
    let body = str::from_utf8(&body).unwrap();
    assert!(body.contains(r#"data: {"error":{"code":503,"#) && body.contains("STOPPING"), "{body}");
    upstream.wait_until_closed().await;
    running.wait().await;
}

#[tokio::test]
async fn while_a_stop_is_delayed_each_response_ends_its_connection() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, &[], |config| config.drain = Drain { delay: NEVER, timeout: NEVER });
    let mut connection = Http1::open(running.address).await;
    connection.send(post(UNARY, &[], HI)).await;
    assert_eq!(connection.response().await.header("connection"), None);
    running.stop.stop();
    loop {
        connection.send(post(UNARY, &[], HI)).await;
        let response = connection.response().await;
        assert_eq!(response.status, 200);
        if response.header("connection") == Some("close") {
            break;
        }
    }
    assert_eq!(connection.read_to_end().await, "");
    // New connections are served.
    assert_eq!(call(running.address, UNARY, HI).await.status, 200);
}

#[tokio::test]
async fn calls_that_outlive_the_drain_end_with_an_error() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = start(&upstream, &[], |config| config.drain = Drain { delay: Duration::ZERO, timeout: SOON });
    let mut connection = Http1::open(running.address).await;
    connection.send(post(EVENTS, &[], HI)).await;
    assert_eq!(connection.head().await.status, 200);
    let mut body = connection.chunk().await.unwrap().unwrap();
    running.stop.stop();
    while let Some(chunk) = connection.chunk().await.unwrap() {
        body.extend(chunk);
    }
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains(r#"data: {"error":{"code":503,"#) && body.contains("STOPPING"), "{body}");
    upstream.wait_until_closed().await;
    running.wait().await;
}

#[tokio::test]
async fn a_refused_request_keeps_its_connection_or_says_that_it_ends() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, &[], |_| {});
    let proto = format!("{ARRAY}?alt=proto");
    for (path, header) in [
        (UNARY, ("x-server-timeout", "soon")),
        (UNARY, ("origin", "https://page.example")),
        (UNARY, ("content-encoding", "br")),
        (UNARY, ("x-goog-api-key", "not a key")),
        ("/nothing", ("x", "y")),
        (&proto, ("x", "y")),
    ] {
        // A short body is read to its end, although it comes after the response.
        let mut connection = Http1::open(running.address).await;
        let request = post(path, &[header], HI);
        let (head, body) = request.split_at(request.len() - HI.len());
        for _ in 0..2 {
            connection.send(head).await;
            let response = connection.response().await;
            assert!(response.status >= 400 && response.header("connection").is_none(), "{header:?}: {response:?}");
            connection.send(body).await;
        }
        connection.send(post(UNARY, &[], HI)).await;
        assert_eq!(connection.response().await.status, 200, "{header:?}");
        for framing in
            ["content-length: 100000", "transfer-encoding: chunked", "expect: 100-continue\r\ncontent-length: 2"]
        {
            let (name, value) = header;
            let mut connection = Http1::open(running.address).await;
            connection
                .send(format!(
                    "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{name}: {value}\r\n{framing}\r\n\r\n"
                ))
                .await;
            let response = connection.response().await;
            assert_eq!(response.header("connection"), Some("close"), "{header:?}, {framing}: {response:?}");
            assert_eq!(connection.read_to_end().await, "");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_call_is_not() {
    let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
    let running = start(&upstream, &["--connection-idle", "0.05"], |config| config.limits.http1_idle = Some(SOON));
    let mut open = Http1::open(running.address).await;
    open.send(post(EVENTS, &[], HI)).await;
    assert_eq!(open.head().await.status, 200);
    for _ in 0..3 {
        let mut idle = Http1::open(running.address).await;
        // A call that was not admitted does not count as a use.
        idle.send(post("/nothing", &[], HI)).await;
        assert_eq!(idle.response().await.status, 404);
        assert_eq!(idle.read_to_end().await, "");
    }
    go_on.send(()).unwrap();
    let mut body = Vec::new();
    while let Some(chunk) = open.chunk().await.unwrap() {
        body.extend(chunk);
    }
    assert!(str::from_utf8(&body).unwrap().contains("two"));
    assert_eq!(open.read_to_end().await, "");
}

#[tokio::test]
async fn a_connection_that_has_had_a_call_is_kept_for_the_next_one() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, &["--connection-idle", "0.05"], |_| {});
    let mut used = Http1::open(running.address).await;
    for _ in 0..3 {
        used.send(post(UNARY, &[], HI)).await;
        assert_eq!(used.response().await.status, 200);
        // One that was opened later, and has had none, is closed in the meantime.
        let mut unused = Http1::open(running.address).await;
        unused.send(post("/nothing", &[], HI)).await;
        assert_eq!(unused.response().await.status, 404);
        assert_eq!(unused.read_to_end().await, "");
    }
}

#[tokio::test]
async fn a_connection_that_has_had_a_call_is_closed_after_its_own_idle_time() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, &["--connection-idle", "0.05"], |config| config.limits.http1_idle = Some(SOON));
    let mut used = Http1::open(running.address).await;
    used.send(post(UNARY, &[], HI)).await;
    assert_eq!(used.response().await.status, 200);
    assert_eq!(used.read_to_end().await, "");
}

#[tokio::test]
async fn an_old_connection_ends_with_its_next_response() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = start(&upstream, &["--connection-age", "0.05"], |_| {});
    let mut connection = Http1::open(running.address).await;
    loop {
        connection.send(post(UNARY, &[], HI)).await;
        let response = connection.response().await;
        assert_eq!((response.status, &*response.body), (200, STOP));
        if response.header("connection") == Some("close") {
            break;
        }
    }
    assert_eq!(connection.read_to_end().await, "");
}

#[tokio::test]
async fn a_client_that_does_not_read_a_large_response_is_cut_off_at_the_deadline() {
    let picture = "QUJD".repeat(4 << 20);
    let answer =
        STOP.replace("\"text\":\"ok\"", &format!(r#""inlineData":{{"mimeType":"image/png","data":"{picture}"}}"#));
    let upstream = Upstream::with([Answer::closing(json("200 OK", &answer))]).await;
    // The connection counts as in use until then.
    let short = |config: &mut Config| (config.limits.http1_idle, config.limits.idle_grace) = (Some(SOON), SOON);
    let running = start(&upstream, &["--connection-idle", "0.05"], short);
    let mut connection = Http1::open(running.address).await;
    connection.send(post(UNARY, &[("x-server-timeout", "1")], HI)).await;
    upstream.wait_for_requests(1).await;
    // Nothing is read until the server has ended, which it does because the connection is closed.
    running.stop.stop();
    running.wait().await;
    assert!(connection.read_to_end().await.len() < answer.len());
}

#[tokio::test]
async fn rest_is_served_over_tls_by_both_versions_of_http() {
    let (files, authority) = (Files::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &[]));
    for protocols in [vec![], vec![b"http/1.1".to_vec()], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
        let mut tls = tokio_rustls::rustls::ClientConfig::builder()
            .with_root_certificates(roots(&authority))
            .with_no_client_auth();
        let is_h2 = protocols.len() == 2;
        tls.alpn_protocols = protocols;
        let client = reqwest::Client::builder().use_preconfigured_tls(tls).build().unwrap();
        let url = format!("https://127.0.0.1:{}{UNARY}", running.address.port());
        let response = client.post(url).header("content-type", "application/json").body(HI).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version() == reqwest::Version::HTTP_2), (200, is_h2));
        assert_eq!(response.text().await.unwrap(), STOP);
    }
}
