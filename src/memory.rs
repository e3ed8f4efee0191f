//! The bytes that calls hold at once, against one cap for the process.
//!
//! A request that finds no room is refused before it is read. An answer is already paid for, so it waits until there
//! is room; lest all of them wait for one another, one at a time may go over the cap.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Less than this is not counted: ordinary calls then share no cache line. The cap on calls bounds what it adds up to.
const GRAIN: usize = 16 << 10;

/// The cap and what is held.
#[derive(Debug)]
pub struct Memory {
    cap: usize,
    used: AtomicUsize,
    freed: Arc<Notify>,
    overdraft: Arc<Semaphore>,
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    pub cap: usize,
}

/// What one call holds, given back when it is dropped.
pub struct Held {
    memory: Arc<Memory>,
    /// The bytes that the cap knows of.
    counted: usize,
    /// The right to go over the cap.
    overdraft: Option<OwnedSemaphorePermit>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

impl Memory {
    /// At most `cap` bytes.
    pub fn new(cap: usize) -> Arc<Self> {
        let (freed, overdraft) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(1)));
        Arc::new(Self { cap, used: AtomicUsize::new(0), freed, overdraft })
    }

    /// Nothing yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { memory: self.clone(), counted: 0, overdraft: None, waiting: None }
    }

    /// The bytes held now, in steps of [`GRAIN`] a call.
    /// What they may hold.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// What calls hold, in bytes.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Holds `bytes` in all, whatever the cap says: they are there already.
    pub fn set(&mut self, bytes: usize) {
        if bytes.abs_diff(self.counted) >= GRAIN || (bytes == 0 && self.counted > 0) {
            self.count(bytes);
        }
    }

    /// Makes sure of room for `bytes` in all, or changes nothing. What is larger than the cap fits if it is alone.
    pub fn try_set(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.counted);
        if more >= GRAIN {
            let (cap, own) = (self.memory.cap, self.counted);
            let fits = |used: usize| (used + more <= cap || used == own).then_some(used + more);
            let taken = self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
            taken.map_err(|_| Full { cap })?;
            self.counted = bytes;
        }
        self.set(bytes);
        Ok(())
    }

    /// A hold on so many bytes beside this one; none if they are too few to count.
    pub fn beside(&self, bytes: usize) -> Option<Self> {
        (bytes >= GRAIN).then(|| {
            let mut held = self.memory.hold();
            held.set(bytes);
            held
        })
    }

    /// Moves what is held to another owner.
    pub fn take(&mut self) -> Self {
        let nothing = self.memory.hold();
        std::mem::replace(self, nothing)
    }

    /// Ready when more may be held. A call that holds next to nothing never waits.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.counted > 0 && self.overdraft.is_none() && self.memory.used() >= self.memory.cap {
            if let Ok(right) = self.memory.overdraft.clone().try_acquire_owned() {
                self.overdraft = Some(right);
                break;
            }
            match &mut self.waiting {
                // Registered before the state is looked at again, so that nothing freed in between is missed.
                None => {
                    let mut waiting = Box::pin(self.memory.freed.clone().notified_owned());
                    waiting.as_mut().enable();
                    self.waiting = Some(waiting);
                }
                Some(waiting) => {
                    ready!(waiting.as_mut().poll(cx));
                    self.waiting = None;
                }
            }
        }
        self.waiting = None;
        Poll::Ready(())
    }

    fn count(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.counted, bytes);
        if bytes >= before {
            self.memory.used.fetch_add(bytes - before, Ordering::Relaxed);
            return;
        }
        let used = self.memory.used.fetch_sub(before - bytes, Ordering::Relaxed);
        let had_overdraft = bytes == 0 && self.overdraft.take().is_some();
        // Nobody waits unless the cap was reached.
        if had_overdraft || used >= self.memory.cap {
            self.memory.freed.notify_waiters();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("counted", &self.counted).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const MIB: usize = 1 << 20;

    fn has_room(held: &mut Held) -> bool {
        held.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_request_finds_room_or_is_refused() {
        let memory = Memory::new(10 * MIB);
        let (mut one, mut two) = (memory.hold(), memory.hold());
        assert_eq!(one.try_set(6 * MIB), Ok(()));
        assert_eq!(two.try_set(6 * MIB), Err(Full { cap: 10 * MIB }));
        assert_eq!(memory.used(), 6 * MIB);
        one.set(4 * MIB);
        assert_eq!(two.try_set(6 * MIB), Ok(()));
        drop((one, two));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_is_larger_than_the_cap_fits_alone() {
        let memory = Memory::new(MIB);
        let mut alone = memory.hold();
        assert_eq!(alone.try_set(3 * MIB), Ok(()));
        assert_eq!(alone.try_set(4 * MIB), Ok(()));
        assert!(memory.hold().try_set(MIB).is_err());
        // A small one is not counted.
        assert_eq!(memory.hold().try_set(1000), Ok(()));
    }

    #[test]
    fn of_answers_over_the_cap_one_goes_on() {
        let memory = Memory::new(10 * MIB);
        let mut answers = [memory.hold(), memory.hold(), memory.hold()];
        for answer in &mut answers {
            answer.set(4 * MIB);
        }
        assert_eq!(answers.each_mut().map(has_room), [true, false, false]);
        // The one that went on has the right for as long as it holds anything.
        let [mut one, mut two, mut three] = answers;
        one.set(8 * MIB);
        assert!(has_room(&mut one) && !has_room(&mut two));
        one.set(0);
        assert!(has_room(&mut two) && has_room(&mut three));
    }

    #[test]
    fn a_call_that_holds_next_to_nothing_never_waits() {
        let memory = Memory::new(MIB);
        let mut large = memory.hold();
        large.set(2 * MIB);
        let mut small = memory.hold();
        small.set(1000);
        assert!(has_room(&mut small));
    }

    #[tokio::test]
    async fn an_answer_that_waits_is_woken() {
        let memory = Memory::new(MIB);
        let (mut first, mut right, mut second) = (memory.hold(), memory.hold(), memory.hold());
        right.set(MIB);
        assert!(has_room(&mut right));
        first.set(MIB);
        second.set(MIB);
        let waiting = tokio::spawn(async move { std::future::poll_fn(|cx| second.poll_room(cx)).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop((first, right));
        waiting.await.unwrap_or_default();
    }
}
