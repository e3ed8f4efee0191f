//! Runs each call in a task that ends at the call's deadline.

use std::cell::Cell;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::gateway::OpenCall;

/// The longest frame of a response that hyper gets at once over HTTP/1, in bytes.
const MAX_PIECE_BYTES: usize = 128 << 10;

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
    // Outside of such a task, as in a unit test, there is no deadline.
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

/// Runs the calls of an HTTP/1 connection, which are one at a time, in the task of the connection.
pub async fn one_call_at_a_time<F: Future>(connection: F) -> F::Output {
    CALL.scope(Call::default(), connection).await
}

/// Ready once the open call of an HTTP/1 connection has reached its deadline. Poll it after the connection: at the
/// deadline the call sends its own error, if its client still reads. Otherwise the connection has to be dropped.
pub async fn call_timed_out() {
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut set_to = None;
    std::future::poll_fn(|cx| {
        // Outside of such a task, as in a unit test, there is no deadline.
        let Some(deadline) = CALL.try_with(|known| known.deadline.get()).ok().flatten() else { return Poll::Pending };
        if set_to != Some(deadline) {
            timer.as_mut().reset(deadline);
            set_to = Some(deadline);
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

pin_project! {
    /// The body of a response over HTTP/1. hyper drops it when it has taken all of it: then the call of this task is
    /// over, and the next one may come.
    ///
    /// Large frames are split. hyper buffers a frame of any size at once, so the call would be over although its client
    /// has read nothing.
    pub struct CallBody<B> {
        #[pin]
        body: B,
        // The rest of a large frame, which is sent next.
        rest: Bytes,
        _end: EndOfCall,
    }
}

struct EndOfCall;

impl Drop for EndOfCall {
    fn drop(&mut self) {
        let ended = CALL.try_with(|known| (known.deadline.take(), known.open.take()));
        drop(ended);
    }
}

impl<B> CallBody<B> {
    pub fn new(body: B) -> Self {
        Self { body, rest: Bytes::new(), _end: EndOfCall }
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for CallBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.rest.is_empty() {
            let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE_BYTES));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let frame = ready!(this.body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|mut data| {
                    if data.len() > MAX_PIECE_BYTES {
                        *this.rest = data.split_off(MAX_PIECE_BYTES);
                    }
                    data
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// The size of the whole body: hyper asks before the first frame only.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for CallBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBody").finish_non_exhaustive()
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
