//! Places of which the oldest is taken when there are too many.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// So many places. There is always one for a newcomer, so that strangers who keep theirs keep nobody out.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// In the order in which they were taken. Closed where the other side was dropped.
    taken: Mutex<VecDeque<oneshot::Sender<Infallible>>>,
}

/// A place, until it is dropped or needed by another.
#[derive(Debug)]
pub(super) struct Place(oneshot::Receiver<Infallible>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place. If all are taken, the oldest is lost to whoever has it.
    pub(super) fn take(&self) -> Place {
        let (sender, receiver) = oneshot::channel();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= self.most {
            taken.retain(|sender| !sender.is_closed());
        }
        if taken.len() >= self.most {
            taken.pop_front();
        }
        taken.push_back(sender);
        Place(receiver)
    }
}

impl Place {
    /// Ready once another needs it.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_oldest_place_that_is_still_taken_is_lost() {
        let places = Places::new(2);
        let is_lost = |place: &mut Place| place.poll_lost(&mut Context::from_waker(Waker::noop())).is_ready();
        let (mut first, second, mut third) = (places.take(), places.take(), places.take());
        assert!(is_lost(&mut first) && !is_lost(&mut third));
        drop(second);
        let mut fourth = places.take();
        assert!(!is_lost(&mut third) && !is_lost(&mut fourth));
        let _fifth = places.take();
        assert!(is_lost(&mut third) && !is_lost(&mut fourth));
    }
}
