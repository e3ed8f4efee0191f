//! The stages on a clock that only moves when everybody waits.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::server::capacity::Capacity;

const DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(600);

struct Stage {
    stop: watch::Sender<Option<Instant>>,
    phases: watch::Receiver<DrainPhase>,
    stopping: Stopping,
    run: tokio::task::JoinHandle<()>,
}

/// A driver with one worker, whose receiver is ours.
fn stage(drain: Drain) -> Stage {
    let (stop, stopped) = watch::channel(None);
    let (phases, receiver) = watch::channel(DrainPhase::Open);
    let stopping = Stopping::default();
    let driver = Driver {
        drain,
        stopped,
        phases,
        health: Health::default(),
        stopping: vec![stopping.clone()],
        open: OpenConnections::new(&Capacity::of_connections(1, false)),
    };
    Stage { stop, phases: receiver, stopping, run: tokio::spawn(driver.run()) }
}

#[tokio::test(start_paused = true)]
async fn each_stage_comes_at_its_time_and_the_end_is_not_awaited_for_ever() {
    let Stage { stop, phases, stopping, run } = stage(Drain { delay: DELAY, timeout: TIMEOUT });
    let begun = Instant::now();
    stop.send_replace(Some(begun));
    reached(phases.clone(), DrainPhase::Closing).await;
    assert_eq!((begun.elapsed(), stopping.is_refusing()), (DELAY, false));
    sleep_until(begun + DELAY + GOAWAY_FLIGHT_TIME + Duration::from_millis(1)).await;
    assert!(stopping.is_refusing());
    stopping.ended().await;
    assert_eq!(begun.elapsed(), TIMEOUT);
    // A connection that never answers still holds its receiver.
    run.await.unwrap();
    assert_eq!((begun.elapsed(), *phases.borrow()), (TIMEOUT + STATUS_FLUSH_TIME, DrainPhase::Over));
}

#[tokio::test(start_paused = true)]
async fn it_is_over_when_the_last_connection_has_ended() {
    let Stage { stop, phases, run, .. } = stage(Drain { delay: Duration::ZERO, timeout: TIMEOUT });
    let begun = Instant::now();
    stop.send_replace(Some(begun));
    reached(phases.clone(), DrainPhase::Closing).await;
    drop(phases);
    run.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_shorter_than_the_delay_goes_before_it() {
    let Stage { stop, phases, run, .. } = stage(Drain { delay: DELAY, timeout: Duration::from_secs(1) });
    let begun = Instant::now();
    stop.send_replace(Some(begun));
    run.await.unwrap();
    assert_eq!((begun.elapsed(), *phases.borrow()), (Duration::from_secs(1) + STATUS_FLUSH_TIME, DrainPhase::Over));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_can_stop_goes_on() {
    let Stage { stop, phases, run, .. } = stage(Drain { delay: DELAY, timeout: TIMEOUT });
    drop(stop);
    tokio::time::sleep(TIMEOUT * 2).await;
    assert!(!run.is_finished() && *phases.borrow() == DrainPhase::Open);
}
