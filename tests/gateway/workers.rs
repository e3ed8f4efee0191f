//! How connections are spread over workers. Each connection has as many calls as the others, so its worker has its share.

use std::time::Duration;

use gemini_grpc::pb::gemini::GenerateContentResponse;
use gemini_grpc::server::Drain;
use tokio::task::{JoinSet, yield_now};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use crate::spending::scraped;
use crate::support::{Answer, Client, Running, STOP, Upstream, config, event, json, prompt, sse};

const CONNECTIONS: usize = 8;
/// The calls on each connection.
const CALLS: usize = 5;

/// A gateway with two workers, and its metrics.
struct Workers<S> {
    running: Running,
    scrape: S,
}

fn start(upstream: &Upstream) -> Workers<impl Fn() -> String> {
    let (telemetry, scrape) = scraped();
    let running = Running::with_telemetry(&config(upstream, &["--workers", "2"]), &telemetry);
    Workers { running, scrape }
}

impl<S: Fn() -> String> Workers<S> {
    /// How many connections each worker has.
    fn connections(&self) -> Vec<usize> {
        let scrape = (self.scrape)();
        let lines = scrape.lines().filter(|line| line.starts_with("gemini_grpc_worker_connections{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// Waits until the workers have this many connections.
    async fn wait_for_connections(&self, count: usize) {
        while self.connections().iter().sum::<usize>() != count {
            yield_now().await;
        }
    }

    /// New connections in addition to these. Returns when they are accepted.
    async fn connect(&self, channels: &mut Vec<Channel>, count: usize) {
        for _ in 0..count {
            channels.push(self.running.connect().await);
        }
        self.wait_for_connections(channels.len()).await;
    }

    /// The busier of two workers has at most 60 %.
    #[track_caller]
    fn assert_even(&self) {
        let connections = self.connections();
        let (busier, all) = (connections.iter().max().unwrap(), connections.iter().sum::<usize>());
        assert!(connections.len() == 2 && all == CONNECTIONS && busier * 10 <= all * 6, "{connections:?}");
    }
}

/// Calls that stay open.
async fn open_calls(channel: &Channel) -> Vec<Streaming<GenerateContentResponse>> {
    let mut open = Vec::new();
    for _ in 0..CALLS {
        let mut stream = Client::new(channel.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        open.push(stream);
    }
    open
}

/// Calls that follow each other.
async fn make_calls(channel: Channel) {
    let mut client = Client::new(channel);
    for _ in 0..CALLS {
        client.generate_content(prompt("hi")).await.unwrap();
    }
}

#[tokio::test]
async fn of_the_calls_on_eight_connections_the_busier_of_two_workers_has_at_most_60_percent() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    // The calls of each connection begin when this many later ones are open.
    for later in [0, 1, 2, CONNECTIONS] {
        let workers = start(&upstream);
        let (mut channels, mut open) = (Vec::new(), Vec::new());
        for number in 0..CONNECTIONS + later {
            if number < CONNECTIONS {
                workers.connect(&mut channels, 1).await;
            }
            if let Some(channel) = number.checked_sub(later).and_then(|number| channels.get(number)) {
                open.push(open_calls(channel).await);
            }
        }
        workers.assert_even();
    }
}

#[tokio::test]
async fn a_thousand_connections_that_come_and_go_leave_them_spread_evenly() {
    let upstream = Upstream::with([Answer::closing(json("200 OK", STOP))]).await;
    let workers = start(&upstream);
    let (mut channels, mut churned, mut random) = (Vec::new(), 0, fastrand::Rng::with_seed(7));
    while churned < 1000 {
        let missing = CONNECTIONS - channels.len();
        workers.connect(&mut channels, missing).await;
        workers.assert_even();
        let calls: JoinSet<_> = channels.iter().cloned().map(make_calls).collect();
        calls.join_all().await;
        // Any of them end, on one worker or on both.
        let ending = random.usize(1..=CONNECTIONS);
        random.shuffle(&mut channels);
        channels.truncate(CONNECTIONS - ending);
        workers.wait_for_connections(channels.len()).await;
        churned += ending;
    }
}

#[tokio::test]
async fn a_connection_that_comes_while_the_drain_begins_is_served_or_refused() {
    let upstream = Upstream::with([Answer::closing(json("200 OK", STOP))]).await;
    for _ in 0..20 {
        let mut config = config(&upstream, &["--workers", "2"]);
        config.drain = Drain { delay: Duration::ZERO, timeout: Duration::from_secs(3600) };
        let running = Running::start(&config);
        let endpoint = Endpoint::try_from(format!("http://{}", running.address)).unwrap();
        let mut calls = JoinSet::new();
        for number in 0..32 {
            let endpoint = endpoint.clone();
            calls.spawn(async move {
                let mut client = Client::new(endpoint.connect().await.ok()?);
                Some(client.generate_content(prompt("hi")).await)
            });
            if number == 16 {
                running.stop.stop();
            }
            yield_now().await;
        }
        for refused in calls.join_all().await.into_iter().flatten().filter_map(Result::err) {
            assert!(matches!(refused.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{refused}");
        }
        // It ends because every connection that was accepted was served or closed.
        running.wait().await;
    }
}
