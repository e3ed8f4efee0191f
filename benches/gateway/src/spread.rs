//! How calls are spread over the threads of a gateway. A gateway does not say which thread serves a connection, so some
//! calls are made on one connection after the other, and the thread whose CPU time grows most serves it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Caller, Counters, Job, TargetArgs};
use crate::process::Processes;

/// Calls on each connection until its thread is clear.
const PROBES: usize = 30;

/// Replaces this many connections, one at a time, each after one call, as clients do that come and go.
pub async fn churn(
    mut callers: Vec<Caller>,
    target: &TargetArgs,
    job: &Job,
    times: usize,
) -> Result<Vec<Caller>, String> {
    let counters = Counters::default();
    for i in 0..times {
        let number = i % callers.len();
        callers[number].call(job, &counters, || ()).await?;
        callers[number] = Caller::connect(target, number).await?;
    }
    Ok(callers)
}

/// The calls of each thread, most first, of callers that made this number of calls.
pub async fn measure(callers: Vec<(Caller, u64)>, job: &Job, processes: &Processes) -> Result<Value, String> {
    let mut connections: BTreeMap<usize, (Caller, u64)> = BTreeMap::new();
    for (caller, calls) in callers {
        connections.entry(caller.number).and_modify(|(_, all)| *all += calls).or_insert((caller, calls));
    }
    let counters = Counters::default();
    let mut threads: BTreeMap<(u32, String), (u64, u64)> = BTreeMap::new();
    for (mut caller, calls) in connections.into_values() {
        let before = processes.threads();
        for _ in 0..PROBES {
            caller.call(job, &counters, || ()).await?;
        }
        let after = processes.threads();
        let grown = |(thread, time): &(&(u32, String), &u64)| *time - before.get(*thread).unwrap_or(&0);
        let (thread, _) = after.iter().max_by_key(grown).ok_or("the gateway has no threads")?;
        let (connections, all) = threads.entry(thread.clone()).or_default();
        (*connections, *all) = (*connections + 1, *all + calls);
    }
    let all: u64 = threads.values().map(|(_, calls)| calls).sum();
    let mut rows: Vec<_> = threads.into_iter().collect();
    rows.sort_by_key(|(_, (_, calls))| std::cmp::Reverse(*calls));
    let rows = rows.into_iter().map(|((id, name), (connections, calls))| {
        json!({"id": id, "name": name, "connections": connections, "share": calls as f64 / all.max(1) as f64})
    });
    Ok(rows.collect())
}
