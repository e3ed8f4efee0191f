//! Watches whether the body of an HTTP/1 request is read to its end.
//!
//! If it is not, hyper closes the connection behind the response. The response has to say so: otherwise the client sends
//! its next request on that connection, and loses it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::Request;
use http_body::{Body, Frame, SizeHint};

use crate::face::MAX_DISCARDED;

/// The body of a request that is watched.
#[derive(Debug)]
pub(super) struct WatchedBody<B: Body> {
    body: B,
    /// Shared with [`Watch`].
    is_read: Arc<AtomicBool>,
}

/// What is known of a body that another task may be reading.
#[derive(Debug)]
pub(super) struct Watch {
    is_read: Arc<AtomicBool>,
    /// Whether it is short enough to be read to its end after a refusal.
    is_short: bool,
}

/// Watches the body of a request.
pub(super) fn watch<B: Body>(request: Request<B>) -> (Request<WatchedBody<B>>, Watch) {
    let body = request.body();
    let is_short = body.size_hint().exact().is_some_and(|length| length <= MAX_DISCARDED as u64);
    let is_read = Arc::new(AtomicBool::new(body.is_end_stream()));
    let watch = Watch { is_read: is_read.clone(), is_short };
    (request.map(|body| WatchedBody { body, is_read }), watch)
}

impl Watch {
    /// Whether the connection is closed behind the response, now that this is known.
    pub(super) fn ends_connection(&self) -> bool {
        // A body that is still read has another owner.
        let is_dropped = Arc::strong_count(&self.is_read) == 1;
        !self.is_read.load(Ordering::Relaxed) && (is_dropped || !self.is_short)
    }
}

impl<B: Body + Unpin> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.is_read.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
