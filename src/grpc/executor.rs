//! The task of a call: it ends at the deadline, whatever the call waits for.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// When the call of this task has to be over; not known before its head was read.
    static DEADLINE: Cell<Option<Instant>>;
}

/// Says when the call that this task serves has to be over.
pub(super) fn set_deadline(deadline: Instant) {
    // Outside of such a task, as in a test of a part, nothing has to end.
    let _ = DEADLINE.try_with(|known| known.set(Some(deadline)));
}

/// Runs the calls of a connection, each in a task of its own.
///
/// A call keeps its deadline by itself, with an error that says which. But hyper does not ask for more of an answer as
/// long as the caller takes none, and a call that is not asked cannot end. So its task is dropped at the deadline, and
/// with it the connection to upstream.
#[derive(Clone, Copy, Debug)]
pub struct CallExecutor;

impl<F> hyper::rt::Executor<F> for CallExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        // The timer is set to the right time once that is known.
        let call = UntilDeadline { call, timer: sleep_until(Instant::now()), known: false };
        tokio::spawn(DEADLINE.scope(Cell::new(None), call));
    }
}

pin_project! {
    struct UntilDeadline<F> {
        #[pin]
        call: F,
        #[pin]
        timer: Sleep,
        known: bool,
    }
}

impl<F: Future<Output = ()>> Future for UntilDeadline<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // First, so that it can end in its own words.
        if this.call.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = DEADLINE.with(Cell::get) else { return Poll::Pending };
        if !*this.known {
            this.timer.as_mut().reset(deadline);
            *this.known = true;
        }
        this.timer.poll(cx)
    }
}
