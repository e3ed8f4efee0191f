//! A limited number of places, of which the oldest is revoked for a new one.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// At most `max` places. There is always one for a new request, so clients that keep their places cannot lock others
/// out.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    /// In the order in which they were taken. A sender is closed once its place was dropped.
    taken: Mutex<VecDeque<oneshot::Sender<Infallible>>>,
}

/// A place, until it is dropped or revoked.
#[derive(Debug)]
pub(super) struct Place(oneshot::Receiver<Infallible>);

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self { max, taken: Mutex::default() }
    }

    /// Takes a place. If all are taken, the oldest is revoked.
    pub(super) fn take(&self) -> Place {
        let (sender, receiver) = oneshot::channel();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= self.max {
            taken.retain(|sender| !sender.is_closed());
        }
        if taken.len() >= self.max {
            taken.pop_front();
        }
        taken.push_back(sender);
        Place(receiver)
    }
}

impl Place {
    /// Ready once the place was revoked.
    pub(super) fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_oldest_place_that_is_still_taken_is_revoked() {
        let places = Places::new(2);
        let is_revoked = |place: &mut Place| place.poll_revoked(&mut Context::from_waker(Waker::noop())).is_ready();
        let (mut first, second, mut third) = (places.take(), places.take(), places.take());
        assert!(is_revoked(&mut first) && !is_revoked(&mut third));
        drop(second);
        let mut fourth = places.take();
        assert!(!is_revoked(&mut third) && !is_revoked(&mut fourth));
        let _fifth = places.take();
        assert!(is_revoked(&mut third) && !is_revoked(&mut fourth));
    }
}
