//! The monotonic clock of the machine, whose values can be compared between processes, and a timer on it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::net::unix::pipe::Receiver;

/// Nanoseconds on the machine's monotonic clock.
pub fn now_ns() -> u64 {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now();
    now.map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// Wakes at exact times. tokio's own timer rounds up to the next millisecond, which is longer than most calls take.
pub struct ExactTimer {
    timer: TimerFd,
    /// The same timer. It is read like a pipe: one number of eight bytes for each expiration.
    expirations: Receiver,
}

impl ExactTimer {
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let expirations = Receiver::from_owned_fd_unchecked(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, expirations })
    }

    /// Waits until this time of `now_ns`, or not at all if it has passed.
    pub async fn until(&self, due_ns: u64) -> io::Result<()> {
        if due_ns <= now_ns() {
            return Ok(());
        }
        let due = TimeSpec::from_duration(Duration::from_nanos(due_ns));
        self.timer.set(Expiration::OneShot(due), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        while now_ns() < due_ns {
            self.expirations.readable().await?;
            // Without this, the next wait would end at once. An error says that there was nothing to read.
            let _ = self.expirations.try_read(&mut [0; 8]);
        }
        Ok(())
    }
}
