//! Measures how soon upstream connections are closed after calls are cancelled, and how late deadlines are enforced:
//! `cargo bench --bench cancel`.
//!
//! In each phase in which a call has a connection to upstream, a thousand calls are cancelled at random times, and a
//! thousand calls reach their deadline. No connection may stay open afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    unused_imports
)]

#[path = "../tests/gateway/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use gemini_grpc::pb::gemini::GenerateContentResponse;
use support::{Answer, Gateway, Upstream, event, prompt, sse};
use tonic::{Code, Request};

const CALLS: usize = 1000;
/// The number of concurrent calls.
const LANES: usize = 10;

/// The phase in which a call is cancelled.
#[derive(Clone, Copy, Debug)]
enum Phase {
    AwaitingTheAnswer,
    MidAnswer,
    MidStream,
    Backoff,
}

impl Phase {
    fn upstream(self) -> Answer {
        match self {
            Self::AwaitingTheAnswer => Answer::silence_after(""),
            Self::MidAnswer => Answer::silence_after("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
            Self::MidStream => Answer::dripping(sse(event("a", false)), event("b", false), Duration::from_millis(2)),
            Self::Backoff => {
                Answer::closing("HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            }
        }
    }
}

/// The times of one lane, from the cancellation until upstream sees that its connection is closed, and the number of
/// requests.
async fn cancel_calls(phase: Phase, calls: usize) -> (Vec<Duration>, usize) {
    let upstream = Upstream::with([phase.upstream()]).await;
    let gateway = Gateway::over(&upstream).await;
    let mut times = Vec::with_capacity(calls);
    for number in 1..=calls {
        let mut client = gateway.client.clone();
        let call = tokio::spawn(async move {
            match phase {
                Phase::MidStream => {
                    let mut stream = client.stream_generate_content(prompt("hi")).await.unwrap().into_inner();
                    while stream.message().await.is_ok() {}
                }
                _ => drop(client.generate_content(prompt("hi")).await),
            }
        });
        upstream.wait_for_requests(number).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..20_000))).await;
        let start = Instant::now();
        call.abort();
        upstream.wait_until_closed().await;
        times.push(start.elapsed());
    }
    (times, upstream.requests().len())
}

/// The times of one lane, from the deadline until the caller gets the status.
async fn reach_deadlines(stream: bool, calls: usize) -> Vec<Duration> {
    let answer = match stream {
        true => Phase::MidStream.upstream(),
        false => Answer::dripping("HTTP/1.1 200 OK\r\n\r\n{", " ", Duration::from_millis(2)),
    };
    let upstream = Upstream::with([answer]).await;
    let gateway = Gateway::over(&upstream).await;
    let mut client = gateway.client_without_timeout();
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let timeout = fastrand::u64(20..120);
        let mut request = Request::new(prompt("hi"));
        request.metadata_mut().insert("grpc-timeout", format!("{timeout}m").parse().unwrap());
        let start = Instant::now();
        let status = if stream {
            match client.stream_generate_content(request).await {
                Ok(response) => end(response.into_inner()).await,
                Err(status) => status,
            }
        } else {
            client.generate_content(request).await.unwrap_err()
        };
        times.push(start.elapsed().saturating_sub(Duration::from_millis(timeout)));
        assert_eq!(status.code(), Code::DeadlineExceeded);
        upstream.wait_until_closed().await;
    }
    times
}

/// The status of a stream that fails.
async fn end(mut stream: tonic::Streaming<GenerateContentResponse>) -> tonic::Status {
    loop {
        if let Err(status) = stream.message().await {
            return status;
        }
    }
}

fn show(what: &str, mut times: Vec<Duration>, note: &str) {
    times.sort();
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|p| times[((times.len() as f64 * p) as usize).min(times.len() - 1)]);
    let [p50, p99, max] = [p50, p99, max].map(|time| format!("{:.2} ms", time.as_secs_f64() * 1e3));
    println!("{what:<34} {:>6} {p50:>10} {p99:>10} {max:>10}  {note}", times.len());
}

/// Runs all lanes concurrently, and returns their results.
async fn together<T: Send + 'static>(lanes: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let running: Vec<_> = lanes.map(tokio::spawn).collect();
    let mut ended = Vec::with_capacity(running.len());
    for lane in running {
        ended.push(lane.await.unwrap());
    }
    ended
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:<34} {:>6} {:>10} {:>10} {:>10}", "", "calls", "p50", "p99", "max");
        for phase in [Phase::AwaitingTheAnswer, Phase::MidAnswer, Phase::MidStream, Phase::Backoff] {
            let lanes = together((0..LANES).map(|_| cancel_calls(phase, CALLS / LANES))).await;
            let requests: usize = lanes.iter().map(|(_, requests)| requests).sum();
            let times = lanes.into_iter().flat_map(|(times, _)| times).collect();
            show(&format!("cancelled, {phase:?}"), times, &format!("0 left open, {requests} requests to upstream"));
        }
        for (what, stream) in [("deadline of a stream, delay", true), ("deadline of an answer, delay", false)] {
            let times = together((0..LANES).map(|_| reach_deadlines(stream, CALLS / LANES))).await.concat();
            show(what, times, "0 left open");
        }
    });
}
