//! Calls at planned times, whether earlier calls have ended or not. A latency is counted from the planned start, so that
//! a gateway which stops for a moment has long latencies for all calls planned in it (no coordinated omission).

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::client::{Caller, Counters, Job};
use crate::clock::{self, ExactTimer};
use crate::recorder::Recorder;

/// How long calls may go on after the measurement, before they count as unfinished.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Callers without a call. The one that became free last makes the next call, as in a client's pool of connections.
struct Free {
    callers: Mutex<Vec<Caller>>,
    count: Semaphore,
}

/// The calls of an open loop, and the time of which calls are recorded, in nanoseconds of the monotonic clock.
pub struct Plan {
    pub rate: f64,
    pub start_ns: u64,
    pub recorded_from_ns: u64,
    pub end_ns: u64,
}

/// Calls that were planned in the recorded time.
#[derive(Debug, Default, PartialEq)]
pub struct Planned {
    pub calls: u64,
    pub unfinished: u64,
}

pub async fn run(
    plan: Plan,
    callers: Vec<Caller>,
    job: Arc<Job>,
    counters: Arc<Counters>,
    recorder: Arc<Recorder>,
) -> Result<Planned, String> {
    let timer = ExactTimer::new().map_err(|error| error.to_string())?;
    let most = callers.len();
    let free = Arc::new(Free { callers: Mutex::new(callers), count: Semaphore::new(most) });
    let mut planned = Planned::default();
    let recorded = Arc::new(std::sync::atomic::AtomicU64::new(0));
    for number in 0u64.. {
        let due_ns = plan.start_ns + (number as f64 * 1e9 / plan.rate) as u64;
        if due_ns >= plan.end_ns {
            break;
        }
        timer.until(due_ns).await.map_err(|error| error.to_string())?;
        let was_free = free.count.available_permits() > 0;
        // Waits for a caller if all are busy. Some time after the end, the gateway is far too slow for this rate.
        let last_ns = plan.end_ns + DRAIN_TIMEOUT.as_nanos() as u64;
        let left = Duration::from_nanos(last_ns.saturating_sub(clock::now_ns()));
        if left.is_zero() {
            break;
        }
        let Ok(Ok(permit)) = tokio::time::timeout(left, free.count.acquire()).await else { break };
        permit.forget();
        let Some(mut caller) = free.callers.lock().unwrap_or_else(PoisonError::into_inner).pop() else { break };
        let is_recorded = due_ns >= plan.recorded_from_ns;
        planned.calls += u64::from(is_recorded);
        let (job, counters, recorder) = (job.clone(), counters.clone(), recorder.clone());
        let (free, recorded) = (free.clone(), recorded.clone());
        tokio::spawn(async move {
            let waited_ns = clock::now_ns().saturating_sub(due_ns);
            let result = caller.call(&job, &counters, || ()).await;
            let total_ns = clock::now_ns() - due_ns;
            free.callers.lock().unwrap_or_else(PoisonError::into_inner).push(caller);
            free.count.add_permits(1);
            if is_recorded && was_free {
                recorder.late(waited_ns);
            }
            match result {
                Ok(outcome) if is_recorded => recorder.call(total_ns, waited_ns, &outcome),
                Ok(_) => {}
                Err(error) => {
                    counters.errors.fetch_add(1, Relaxed);
                    recorder.error(error);
                }
            }
            recorded.fetch_add(u64::from(is_recorded), Relaxed);
        });
    }
    let all = free.count.acquire_many(most as u32);
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, all).await;
    // Every call that was planned and not begun, or begun and not ended.
    let should = ((plan.end_ns - plan.recorded_from_ns) as f64 * plan.rate / 1e9).round() as u64;
    planned.calls = planned.calls.max(should);
    planned.unfinished = planned.calls.saturating_sub(recorded.load(Relaxed));
    Ok(planned)
}
