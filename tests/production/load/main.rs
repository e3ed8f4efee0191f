//! A load client, which makes calls at a rate, keeps streams open, and counts every outcome.
//!
//! tests/production/README.md explains how to run it. It retries nothing, so it counts what an application sees.

mod calls;
mod connections;
mod grpc;
mod rest;
mod tally;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::calls::{Caller, Transport};
use crate::grpc::Grpc;
use crate::rest::Rest;
use crate::tally::Tally;

type Failure = Box<dyn std::error::Error>;

/// What the client speaks.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    /// REST over HTTP/1.1.
    Http1,
    /// REST over HTTP/2.
    Http2,
}

/// Calls a gateway at a rate, keeps streams open, and prints the outcomes as one JSON object.
///
/// On SIGTERM, or after --seconds, it starts no more calls, waits for those that are open, and prints.
#[derive(Parser, Debug)]
struct Args {
    /// The URL of a gateway; with more than one, connections are spread over them.
    #[arg(long, required = true, value_name = "URL")]
    endpoint: Vec<String>,
    /// What to speak.
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    protocol: Protocol,
    /// Calls per second, started whether or not earlier ones have ended.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Streams that are open at the same time; when one ends, the next one starts.
    #[arg(long, default_value_t = 0)]
    streams: usize,
    /// Average number of words in a stream.
    #[arg(long, default_value_t = 100)]
    words: usize,
    /// How long to make calls, in seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Connections to each endpoint.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Replace one connection this often, in seconds, one after the other; 0 for never.
    #[arg(long, default_value_t = 0.0)]
    reconnect: f64,
    /// The share of calls that ask the sandbox for a fault, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    fault_share: f64,
    /// How long a call may take, in seconds; a stream may take ten times as long.
    #[arg(long, default_value_t = 30.0)]
    timeout: f64,
    /// A file with the certificate of the authority that has issued the gateway's certificate.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file with the caller's token, read again for each call.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let tally = Arc::new(Tally::default());
    let timeout = Duration::from_secs_f64(args.timeout);
    let caller = Caller { transport: Arc::new(transport(&args)?), tally: tally.clone(), timeout };
    let stop = CancellationToken::new();
    let start = Instant::now();

    tokio::spawn(end(Duration::from_secs_f64(args.seconds), stop.clone()));
    let tasks = TaskTracker::new();
    for number in 0..args.streams {
        // They have different lengths, so that they do not all end at the same time.
        let words = args.words / 2 + number * args.words / args.streams;
        tasks.spawn(stream_after_stream(caller.clone(), words.max(1), stop.clone()));
    }
    if args.reconnect > 0.0 {
        tokio::spawn(reconnect(caller.transport.clone(), Duration::from_secs_f64(args.reconnect)));
    }
    call_at_a_rate(&args, &caller, &tasks, &stop).await;
    stop.cancelled().await;
    let seconds = start.elapsed().as_secs_f64();
    tasks.close();
    // If calls are still open after that, the report shows it: more calls were sent than ended.
    drop(self::timeout(caller.longest(), tasks.wait()).await);
    writeln!(std::io::stdout(), "{}", tally.report(args.protocol.client(), seconds))?;
    Ok(())
}

impl Protocol {
    /// The name of its client in the report.
    fn client(self) -> &'static str {
        match self {
            Self::Grpc => "tonic",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }
}

fn transport(args: &Args) -> Result<Transport, Failure> {
    let (urls, each) = (&args.endpoint, args.connections.into());
    let (ca, token_file) = (args.ca.as_deref(), args.token_file.clone());
    Ok(match args.protocol {
        Protocol::Grpc => Transport::Grpc(Grpc::new(urls, each, ca, token_file)?),
        Protocol::Http1 => Transport::Rest(Rest::new(urls, each, false, ca, token_file)?),
        Protocol::Http2 => Transport::Rest(Rest::new(urls, each, true, ca, token_file)?),
    })
}

/// Stops after a time or on a signal.
async fn end(after: Duration, stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return stop.cancel();
    };
    tokio::select! {
        () = tokio::time::sleep(after) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
}

async fn call_at_a_rate(args: &Args, caller: &Caller, tasks: &TaskTracker, stop: &CancellationToken) {
    if args.rate <= 0.0 {
        return;
    }
    let mut ticks = interval_at(Instant::now(), Duration::from_secs_f64(1.0 / args.rate));
    // If a busy machine delays calls, they are made later, so that the rate stays right on average.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // Faults are spread evenly: one is due each time the sum of the shares reaches 1.
    let mut due = 0.0;
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        due += args.fault_share;
        let caller = caller.clone();
        if due >= 1.0 {
            due -= 1.0;
            number += 1;
            tasks.spawn(async move { caller.fault(number).await });
        } else {
            tasks.spawn(async move { caller.call().await });
        }
    }
}

async fn stream_after_stream(caller: Caller, words: usize, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if !caller.stream(words).await {
            // So that a gateway that refuses streams does not get thousands of them per second.
            drop(timeout(Duration::from_millis(100), stop.cancelled()).await);
        }
    }
}

async fn reconnect(transport: Arc<Transport>, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    loop {
        ticks.tick().await;
        transport.renew_next();
    }
}
