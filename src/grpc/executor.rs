//! The task of a call: it ends at the deadline, whatever the call waits for.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::gateway::OpenCall;

tokio::task_local! {
    /// What is known of the call of this task, once its head was read.
    static CALL: Call;
}

#[derive(Default)]
struct Call {
    /// When it has to be over.
    deadline: Cell<Option<Instant>>,
    /// Keeps its connection in use until the task ends, which is when the whole answer was passed on to HTTP/2.
    open: Cell<Option<OpenCall>>,
}

/// Says when the call that this task serves has to be over.
pub(super) fn set_deadline(deadline: Instant) {
    // Outside of such a task, as in a test of a part, nothing has to end.
    let _ = CALL.try_with(|known| known.deadline.set(Some(deadline)));
}

/// Says that the call that this task serves was admitted.
pub(super) fn set_open(call: OpenCall) {
    // Outside of such a task, as in a test of a part, there is no connection.
    let _ = CALL.try_with(|known| known.open.set(Some(call)));
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
        tokio::spawn(CALL.scope(Call::default(), call));
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
        let Some(deadline) = CALL.with(|known| known.deadline.get()) else { return Poll::Pending };
        if !*this.known {
            this.timer.as_mut().reset(deadline);
            *this.known = true;
        }
        this.timer.poll(cx)
    }
}
