//! Opens idle streams in steps, and reports at each step what they cost the gateway in memory and CPU time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Caller, Counters, Job, TargetArgs, connect, share};
use crate::process::Processes;
use crate::recorder::Recorder;

/// How long all streams of a step may take to send their first chunk.
const OPEN_TIMEOUT: Duration = Duration::from_secs(90);
/// Streams that are opened per second.
const OPEN_RATE: f64 = 2000.0;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// numbers of open streams, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    steps: Vec<usize>,
    /// streams that share a connection of gRPC
    #[arg(long, default_value_t = 100)]
    per_connection: usize,
    /// how long to measure at each step, in seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// the gateway's process
    #[arg(long)]
    pid: u32,
}

pub async fn run(args: Args) -> Result<Value, String> {
    let job = Arc::new(Job::new(&args.target)?);
    let counters = Arc::new(Counters::default());
    let (started, recorder) = (Arc::new(AtomicUsize::new(0)), Arc::new(Recorder::new()));
    let empty_mib = Processes::tree(args.pid).resident_mib();
    let mut rows = vec![json!({"streams": 0, "resident_mib": empty_mib})];
    let mut open = 0;
    for step in args.steps {
        let more = step.saturating_sub(open);
        let connections = args.target.connections(more, more.div_ceil(args.per_connection));
        let callers = share(connect(&args.target, connections).await?, more);
        open_streams(callers, &job, &counters, &started, &recorder).await;
        open = step;
        let deadline = Instant::now() + OPEN_TIMEOUT;
        // Chunks that are counted send no event here; the sum changes for 90 seconds at most.
        while started.load(Relaxed) < open && Instant::now() < deadline && counters.errors.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let processes = Processes::tree(args.pid);
        let (cpu, messages) = (processes.cpu().total, counters.messages.load(Relaxed));
        tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
        let (cpu, messages) = (processes.cpu().total - cpu, counters.messages.load(Relaxed) - messages);
        let (resident_mib, started) = (processes.resident_mib(), started.load(Relaxed));
        rows.push(json!({
            "streams": started,
            "resident_mib": resident_mib,
            "kib_per_stream": (resident_mib - empty_mib) * 1024.0 / started.max(1) as f64,
            "us_per_message": cpu * 1e6 / messages.max(1) as f64,
        }));
    }
    let mut out = json!({"steps": rows, "errors": counters.errors.load(Relaxed)});
    recorder.write(&mut out);
    Ok(out)
}

async fn open_streams(
    callers: Vec<Caller>,
    job: &Arc<Job>,
    counters: &Arc<Counters>,
    started: &Arc<AtomicUsize>,
    recorder: &Arc<Recorder>,
) {
    let begun = Instant::now();
    for (number, mut caller) in callers.into_iter().enumerate() {
        let (job, counters, recorder) = (job.clone(), counters.clone(), recorder.clone());
        let started = started.clone();
        tokio::spawn(async move {
            let on_first = || {
                started.fetch_add(1, Relaxed);
            };
            if let Err(error) = caller.call(&job, &counters, on_first).await {
                counters.errors.fetch_add(1, Relaxed);
                recorder.error(error);
            }
        });
        if number % 20 == 19 {
            let due = begun + Duration::from_secs_f64(number as f64 / OPEN_RATE);
            tokio::time::sleep_until(due.into()).await;
        }
    }
}
