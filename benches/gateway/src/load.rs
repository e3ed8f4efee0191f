//! Loads a gateway in a closed loop, where every caller makes its next call when the last has ended, or in an open loop
//! (`--rate`). CPU time, memory and rates are those of the measured time only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Caller, Counters, Job, TargetArgs, connect, share};
use crate::open_loop::{self, Plan};
use crate::process::{self, Cpu, Processes};
use crate::recorder::Recorder;
use crate::{clock, spread};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// calls at once; with --rate, the most at once
    #[arg(long, default_value_t = 32)]
    callers: usize,
    /// connections that gRPC's callers share; other callers have one each
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// open loop: calls per second
    #[arg(long)]
    rate: Option<f64>,
    /// how long to measure
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// load before that
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// the gateway's process: report its CPU time and memory, with those of its descendants
    #[arg(long)]
    pid: Option<u32>,
    /// replace this many connections, one at a time, before the load begins
    #[arg(long, default_value_t = 0)]
    churn: usize,
    /// report which share of the calls each thread of the gateway had
    #[arg(long, requires = "pid")]
    spread: bool,
}

#[derive(clap::Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
}

/// Waits until one call is answered correctly.
pub async fn probe(args: ProbeArgs) -> Result<(), String> {
    let job = Job::new(&args.target)?;
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
    loop {
        let call = async {
            let mut callers = connect(&args.target, 1).await?;
            let caller = callers.first_mut().ok_or("no caller")?;
            caller.call(&job, &Counters::default(), || ()).await.map(|_| ())
        };
        let result =
            tokio::time::timeout(Duration::from_secs(20), call).await.unwrap_or(Err("no answer in 20 s".into()));
        match result {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            // A server that does not listen yet sends no event that could be awaited.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

pub async fn run(args: Args) -> Result<Value, String> {
    let job = Arc::new(Job::new(&args.target)?);
    let connections = args.target.connections(args.callers, args.connections);
    let callers = connect(&args.target, connections).await?;
    let callers = share(spread::churn(callers, &args.target, &job, args.churn).await?, args.callers);
    let load = Load {
        job,
        counters: Arc::default(),
        recorder: Arc::new(Recorder::new()),
        processes: Processes::tree(args.pid.unwrap_or(std::process::id())),
        warmup: Duration::from_secs_f64(args.warmup),
        measured: Duration::from_secs_f64(args.seconds),
    };
    let mut out = match args.rate {
        Some(rate) => load.open_loop(callers, rate).await?,
        None => load.closed_loop(callers, args.spread).await?,
    };
    load.recorder.write(&mut out);
    out["model"] = json!(args.target.model);
    if args.pid.is_none() {
        out.as_object_mut().and_then(|out| out.remove("cpu"));
    }
    Ok(out)
}

struct Load {
    job: Arc<Job>,
    counters: Arc<Counters>,
    recorder: Arc<Recorder>,
    processes: Processes,
    warmup: Duration,
    measured: Duration,
}

impl Load {
    async fn closed_loop(&self, callers: Vec<Caller>, spread: bool) -> Result<Value, String> {
        let phase = Arc::new(AtomicU8::new(WARMUP));
        let tasks = callers.into_iter().map(|caller| {
            let (job, counters) = (self.job.clone(), self.counters.clone());
            tokio::spawn(call_until_stopped(caller, job, counters, self.recorder.clone(), phase.clone()))
        });
        let tasks: Vec<_> = tasks.collect();
        tokio::time::sleep(self.warmup).await;
        let before = self.snapshot();
        phase.store(MEASURED, Relaxed);
        tokio::time::sleep(self.measured).await;
        phase.store(STOPPED, Relaxed);
        let mut out = self.difference(&before);
        if spread {
            let mut callers = Vec::new();
            for task in tasks {
                callers.push(task.await.map_err(|error| error.to_string())?);
            }
            out["threads"] = spread::measure(callers, &self.job, &self.processes).await?;
        }
        Ok(out)
    }

    async fn open_loop(&self, callers: Vec<Caller>, rate: f64) -> Result<Value, String> {
        // The first calls are planned a little ahead, so that they are not late.
        let start_ns = clock::now_ns() + 5_000_000;
        let recorded_from_ns = start_ns + self.warmup.as_nanos() as u64;
        let end_ns = recorded_from_ns + self.measured.as_nanos() as u64;
        let plan = Plan { rate, start_ns, recorded_from_ns, end_ns };
        let (job, counters, recorder) = (self.job.clone(), self.counters.clone(), self.recorder.clone());
        let calls = tokio::spawn(open_loop::run(plan, callers, job, counters, recorder));
        tokio::time::sleep(self.warmup).await;
        let before = self.snapshot();
        tokio::time::sleep(self.measured).await;
        let mut out = self.difference(&before);
        let planned = calls.await.map_err(|error| error.to_string())??;
        (out["planned"], out["unfinished"]) = (json!(planned.calls), json!(planned.unfinished));
        Ok(out)
    }

    fn snapshot(&self) -> Snapshot {
        self.processes.reset_peak();
        let counters = &self.counters;
        let counts = [&counters.calls, &counters.messages, &counters.bytes, &counters.errors];
        let counts = counts.map(|counter| counter.load(Relaxed) as f64);
        Snapshot { counts, cpu: self.processes.cpu(), stolen: process::stolen(), at: Instant::now() }
    }

    /// The figures of the time since a snapshot.
    fn difference(&self, before: &Snapshot) -> Value {
        let peak_mib = self.processes.peak_mib();
        let after = self.snapshot();
        let seconds = (after.at - before.at).as_secs_f64();
        let [calls, messages, bytes, errors] = std::array::from_fn(|i| after.counts[i] - before.counts[i]);
        let (cpu, system) = (after.cpu.total - before.cpu.total, after.cpu.system - before.cpu.system);
        json!({
            "seconds": seconds,
            "stolen_s": after.stolen - before.stolen,
            "calls": calls,
            "errors": errors,
            "calls_s": calls / seconds,
            "messages_s": messages / seconds,
            "mib_s": (bytes + calls * self.job.body_len() as f64) / seconds / f64::from(1 << 20),
            "cpu": {
                "cores": cpu / seconds,
                "system_cores": system / seconds,
                "us_per_call": cpu * 1e6 / calls,
                "us_per_message": cpu * 1e6 / messages,
                "peak_mib": peak_mib,
            },
        })
    }
}

struct Snapshot {
    /// Calls, messages, bytes and errors.
    counts: [f64; 4],
    cpu: Cpu,
    stolen: f64,
    at: Instant,
}

const WARMUP: u8 = 0;
const MEASURED: u8 = 1;
const STOPPED: u8 = 2;

/// Returns the caller, with the number of its calls in the measured time.
async fn call_until_stopped(
    mut caller: Caller,
    job: Arc<Job>,
    counters: Arc<Counters>,
    recorder: Arc<Recorder>,
    phase: Arc<AtomicU8>,
) -> (Caller, u64) {
    let mut calls = 0;
    while phase.load(Relaxed) != STOPPED {
        let start = clock::now_ns();
        match caller.call(&job, &counters, || ()).await {
            Ok(outcome) if phase.load(Relaxed) == MEASURED => {
                calls += 1;
                recorder.call(clock::now_ns() - start, 0, &outcome);
            }
            Ok(_) => {}
            Err(error) => {
                counters.errors.fetch_add(1, Relaxed);
                recorder.error(error);
                // A gateway that refuses at once would otherwise be flooded.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    (caller, calls)
}
