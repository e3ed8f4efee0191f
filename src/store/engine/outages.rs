//! The store goes away and comes back.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;

use super::{Server, runtime};
use crate::store::{Config, Limits, Link, Store, Used, Verdict};
use crate::telemetry::Telemetry;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is true.
async fn until(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("waited for: {what}"));
}

/// A gateway's part of the store, with its tasks.
struct Gateway {
    store: Store,
    link: Link,
    tasks: JoinSet<()>,
}

impl Gateway {
    fn start(port: u16) -> Self {
        let url = format!("redis://127.0.0.1:{port}").parse().unwrap();
        let store = Store::new(Config { url, ca: None, prefix: "test".into() }, &Telemetry::default());
        let (link, flusher) = (store.link(), store.flusher());
        let mut tasks = JoinSet::new();
        tasks.spawn(link.clone().run());
        tasks.spawn(async move { flusher.run().await });
        Self { store, link, tasks }
    }

    /// Makes a call of one token. Returns whether the store has decided.
    async fn call(&self, limits: &Limits) -> bool {
        let (mut call, answer) = self.link.admit(&self.store.account(&"a".into()), limits).await;
        if answer.as_ref().is_some_and(|answer| answer.verdict != Verdict::Admitted) {
            return true;
        }
        call.sent();
        call.charge(Used { tokens: 1, images: 0, cost: 5 }, Instant::now());
        call.record(&"model".into(), &[("calls", 1)]);
        answer.is_some()
    }

    /// Waits until the store decides about calls.
    async fn decides(&self, limits: &Limits) -> u64 {
        let mut calls = 0;
        until("the store decides", async || {
            calls += 1;
            self.call(limits).await
        })
        .await;
        calls
    }
}

/// However the store stops and comes back: no call waits for it for long, and each is settled once.
#[test]
#[ignore = "needs redis-server"]
fn what_calls_use_is_settled_once_although_the_store_stops_and_goes_on() {
    let (runtime, port) = (runtime(), free_port());
    let server = Server::listening(port);
    let limits = Limits { calls_in_flight: Some(100.try_into().unwrap()), ..Limits::default() };
    runtime.block_on(async {
        let mut gateways = [Gateway::start(port), Gateway::start(port)];
        let mut calls = 0;
        for round in 0..3 {
            for gateway in &gateways {
                calls += gateway.decides(&limits).await;
            }
            server.signal(Signal::STOP);
            // Some are sent and not answered, then the breaker opens.
            for _ in 0..20 {
                for gateway in &gateways {
                    assert!(!gateway.call(&limits).await, "round {round}");
                    calls += 1;
                }
            }
            server.signal(Signal::CONT);
        }
        for gateway in &gateways {
            until("all is settled", async || gateway.store.unsettled().is_empty()).await;
        }
        let usage = gateways[0].store.usage("a").await.unwrap();
        let used = |name: &str| usage.day.iter().find(|(field, _)| field == name).map(|(_, amount)| *amount);
        let expected = [Some(calls), Some(calls), Some(calls * 5), Some(calls)];
        assert_eq!(["calls", "tokens", "cost", "model/model/calls"].map(used), expected);
        assert_eq!(usage.day, usage.month);
        let mut connection = server.connect().await;
        let leases = connection.query(redis::cmd("ZCARD").arg("test:{a}:leases")).await.unwrap();
        assert_eq!(leases, redis::Value::Int(0));
        for gateway in &mut gateways {
            gateway.tasks.shutdown().await;
        }
    });
}

/// A store that comes back without its data, and gateways that start before it.
#[test]
#[ignore = "needs redis-server"]
fn a_gateway_starts_without_the_store_and_goes_on_without_it() {
    let (runtime, port) = (runtime(), free_port());
    let limits = Limits { calls_in_flight: Some(1.try_into().unwrap()), ..Limits::default() };
    runtime.block_on(async {
        let gateway = Gateway::start(port);
        assert!(!gateway.call(&limits).await && gateway.store.pods() == 1);
        // A call that began before has its place when the store is there.
        let (open, answer) = gateway.link.admit(&gateway.store.account(&"a".into()), &limits).await;
        assert_eq!(answer, None);
        for _ in 0..2 {
            let server = Server::listening(port);
            let refused = async || {
                let (_, answer) = gateway.link.admit(&gateway.store.account(&"a".into()), &limits).await;
                answer.is_some_and(|answer| answer.verdict == Verdict::CallsInFlight)
            };
            until("the open call has its place", refused).await;
            drop(server);
            until("the store is away", async || !gateway.store.inner.state.is_up()).await;
        }
        drop(open);
    });
}
