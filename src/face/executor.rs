//! Runs each call in a task that ends at the call's deadline.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::gateway::OpenCall;

tokio::task_local! {
    static CALL: Call;
}

/// What a face reports about the call of the current task, once it has read the head.
#[derive(Default)]
struct Call {
    /// When the call has to be over.
    deadline: Cell<Option<Instant>>,
    /// Keeps the connection in use until the task ends, which is when the whole response was given to HTTP/2.
    open: Cell<Option<OpenCall>>,
}

/// Sets when the call of the current task has to be over.
pub fn set_deadline(deadline: Instant) {
    // Without such a task, as in a unit test, nothing needs to end.
    let _ = CALL.try_with(|known| known.deadline.set(Some(deadline)));
}

/// Marks the call of the current task as admitted.
pub fn set_open(call: OpenCall) {
    // Without such a task, as in a unit test, there is no connection.
    let _ = CALL.try_with(|known| known.open.set(Some(call)));
}

/// Runs the calls of a connection for hyper, each in a task of its own.
///
/// A call ends at its deadline by itself, with an error that names the limit. But hyper polls a response body only
/// while the client takes data, and a body that is not polled cannot end. So the task is dropped at the deadline, and
/// the request to upstream with it.
#[derive(Clone, Copy, Debug)]
pub struct CallExecutor;

impl<F> hyper::rt::Executor<F> for CallExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        // The timer is set to the deadline once that is known.
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
        // The call comes first, so that it can still send its own error at the deadline.
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
