//! Bodies of calls that anybody may make: a message is checked before it is buffered, and every wait has a limit.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::oldest::Place;
use super::status;
use crate::gateway::TimedOut;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes before a message: whether it is compressed, and its length (gRPC over HTTP/2).
const PREFIX_BYTES: usize = 5;

/// The limits of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The largest message, in bytes, before it is unpacked.
    pub(super) max_bytes: usize,
    pub(super) max_messages: usize,
    /// The time for one message, from the head of the call or from the end of the message before.
    pub(super) upload: TimedOut,
    /// The time for the whole call.
    pub(super) whole: Option<TimedOut>,
}

pin_project! {
    /// The body of a request, which fails when it breaks a rule.
    pub(super) struct Bounded<B> {
        #[pin]
        body: B,
        rules: Rules,
        messages: Messages,
        begun: Instant,
        // Ends the wait for the current message.
        #[pin]
        timer: Sleep,
        timeout: TimedOut,
        // Why the call failed. `Ending` sends it, because tonic-reflection drops the error.
        failure: Arc<OnceLock<Status>>,
        // Released when the request is no longer read.
        _stream: Option<OwnedSemaphorePermit>,
        // Released when the first message is complete.
        unfinished: Option<Place>,
    }
}

impl<B> Bounded<B> {
    pub(super) fn new(
        body: B,
        rules: Rules,
        begun: Instant,
        failure: Arc<OnceLock<Status>>,
        stream: Option<OwnedSemaphorePermit>,
        unfinished: Option<Place>,
    ) -> Self {
        let (timeout, end) = next_timeout(&rules, begun, begun);
        let timer = sleep_until(end);
        Self { body, rules, messages: Messages::default(), begun, timer, timeout, failure, _stream: stream, unfinished }
    }
}

/// The limit that ends the wait for a message from `now` on, and when.
fn next_timeout(rules: &Rules, begun: Instant, now: Instant) -> (TimedOut, Instant) {
    let upload = now + rules.upload.after;
    match rules.whole.map(|whole| (whole, begun + whole.after)) {
        Some((whole, end)) if end <= upload => (whole, end),
        _ => (rules.upload, upload),
    }
}

impl<B: Body<Data = Bytes>> Body for Bounded<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let status = match this.body.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                match this.messages.read(data, this.rules) {
                    Ok(0) => return Poll::Ready(Some(Ok(frame))),
                    Ok(_) => {
                        let (timeout, end) = next_timeout(this.rules, *this.begun, Instant::now());
                        *this.timeout = timeout;
                        *this.unfinished = None;
                        this.timer.as_mut().reset(end);
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    Err(status) => status,
                }
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                if is_revoked(this.unfinished, cx) {
                    Status::resource_exhausted("too many requests were begun and not finished; try again")
                } else {
                    ready!(this.timer.poll(cx));
                    Status::deadline_exceeded(this.timeout.to_string())
                }
            }
        };
        let status = this.failure.get_or_init(|| status).clone();
        Poll::Ready(Some(Err(status.into())))
    }
}

fn is_revoked(place: &mut Option<Place>, cx: &mut Context<'_>) -> bool {
    place.as_mut().is_some_and(|place| place.poll_revoked(cx).is_ready())
}

/// Follows the messages of a body by their prefixes.
#[derive(Debug, Default)]
struct Messages {
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    /// The bytes of the current message that have not come yet.
    left: usize,
    begun: usize,
}

impl Messages {
    /// Reads more of the body, and returns how many messages ended in it. Fails if one announces too many bytes.
    fn read(&mut self, mut data: &[u8], rules: &Rules) -> Result<usize, Status> {
        let mut ended = 0;
        while !data.is_empty() {
            if self.left > 0 {
                let (_, rest) = data.split_at(self.left.min(data.len()));
                self.left -= data.len() - rest.len();
                data = rest;
            } else {
                let (piece, rest) = data.split_at((PREFIX_BYTES - self.prefix_len).min(data.len()));
                self.prefix[self.prefix_len..][..piece.len()].copy_from_slice(piece);
                self.prefix_len += piece.len();
                data = rest;
                if self.prefix_len < PREFIX_BYTES {
                    break;
                }
                self.begin(rules)?;
            }
            ended += usize::from(self.left == 0);
        }
        Ok(ended)
    }

    fn begin(&mut self, rules: &Rules) -> Result<(), Status> {
        let [_, length @ ..] = self.prefix;
        (self.left, self.prefix_len) = (u32::from_be_bytes(length) as usize, 0);
        self.begun += 1;
        if self.left > rules.max_bytes {
            let limit = rules.max_bytes;
            return Err(Status::resource_exhausted(format!(
                "a message to this service may have {limit} bytes at most"
            )));
        }
        match self.begun > rules.max_messages {
            true => Err(Status::internal("there is more than one message")),
            false => Ok(()),
        }
    }
}

pin_project! {
    /// The body of a response. It ends at the deadline, with the failure of the request if there is one.
    pub(super) struct Ending<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Option<Sleep>,
        whole: Option<TimedOut>,
        failure: Arc<OnceLock<Status>>,
        place: Option<Place>,
        is_over: bool,
    }
}

impl<B> Ending<B> {
    pub(super) fn new(
        body: B,
        whole: Option<TimedOut>,
        begun: Instant,
        failure: Arc<OnceLock<Status>>,
        place: Option<Place>,
    ) -> Self {
        let timer = whole.map(|whole| sleep_until(begun + whole.after));
        Self { body, timer, whole, failure, place, is_over: false }
    }
}

impl<B: Body> Body for Ending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(None);
        }
        let frame = match this.body.poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let status = if is_revoked(this.place, cx) {
                    Status::resource_exhausted("too many of these streams are open at once; try again")
                } else {
                    let (Some(timer), Some(whole)) = (this.timer.as_pin_mut(), *this.whole) else {
                        return Poll::Pending;
                    };
                    ready!(timer.poll(cx));
                    Status::deadline_exceeded(whole.to_string())
                };
                let _ = this.failure.set(status);
                None
            }
        };
        let is_end = match &frame {
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) => false,
            None => true,
        };
        match this.failure.get() {
            Some(status) if is_end => {
                *this.is_over = true;
                let mut trailers = HeaderMap::new();
                status::put(status, &mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            _ => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || (self.body.is_end_stream() && self.failure.get().is_none())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gateway::Limit;

    fn rules(max_messages: usize) -> Rules {
        let upload = TimedOut { limit: Limit::Upload, after: std::time::Duration::from_secs(1) };
        Rules { max_bytes: 4, max_messages, upload, whole: None }
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let bytes = [&[0, 0, 0, 0, 4, 1, 2, 3, 4][..], &[0; 5], &[1, 0, 0, 0, 1, 9]].concat();
        for size in 1..=bytes.len() {
            let mut messages = Messages::default();
            let ended: usize = bytes.chunks(size).map(|piece| messages.read(piece, &rules(3)).unwrap()).sum();
            assert_eq!(ended, 3, "{size}");
            assert_eq!(messages.read(&[0; 5], &rules(3)).unwrap_err().code(), tonic::Code::Internal);
        }
    }

    #[test]
    fn a_message_is_too_large_as_soon_as_its_length_is_known() {
        for flag in [0, 1] {
            let mut messages = Messages::default();
            assert_eq!(messages.read(&[flag, 0, 0, 0], &rules(1)).unwrap(), 0);
            assert_eq!(messages.read(&[5], &rules(1)).unwrap_err().code(), tonic::Code::ResourceExhausted);
        }
    }
}
