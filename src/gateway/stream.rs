//! A streamed answer: each event becomes a message, and the end is believed only if upstream
//! finished it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt as _};

use super::translate::translate;
use super::watch::Alarm;
use super::{Call, Error, Message};
use crate::upstream::{self, EventStream};

/// The request on its way, until the head of the answer is there.
type Sending = Pin<Box<dyn Future<Output = Result<EventStream, upstream::Error>> + Send>>;

/// The messages of a streamed answer. It ends without an error only if upstream finished it.
#[derive(Debug)]
pub struct Answers {
    first: Option<Message>,
    /// Gone after the end: so are the right to be in flight, and the connection to upstream.
    open: Option<Open>,
}

/// An answer that has not ended.
#[derive(Debug)]
struct Open {
    /// Before the call, which outlives its requests.
    source: Source,
    call: Call,
    finished: bool,
}

#[expect(clippy::large_enum_variant, reason = "events come for most of a stream's life")]
enum Source {
    Sending(Sending),
    Events(EventStream),
}

impl Answers {
    /// Awaits the first message, which may be a heartbeat.
    pub(super) async fn begin(sending: Sending, call: Call) -> Result<Self, Error> {
        let open = Open { source: Source::Sending(sending), call, finished: false };
        let mut answers = Self { first: None, open: Some(open) };
        answers.first = answers.next().await.transpose()?;
        Ok(answers)
    }
}

impl Stream for Answers {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        let next = ready!(open.poll_message(cx));
        if !matches!(next, Some(Ok(_))) {
            open.call.record.end(next.as_ref().and_then(|ended| ended.as_ref().err()));
            self.open = None;
        }
        Poll::Ready(next)
    }
}

impl Open {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if let Poll::Ready(event) = self.source.poll_event(cx) {
            let owner = self.call.admitted.owner;
            let message = self.message(event);
            return Poll::Ready(message.transpose().map(|message| message.map_err(|e| Error::upstream(e, owner))));
        }
        Poll::Ready(Some(match ready!(self.call.watch.poll(cx)) {
            // No field is set in an empty message, and every client can read it.
            Alarm::Beat => Ok(Message::beside(&self.call.held, Vec::new())),
            Alarm::End(error) => Err(error),
        }))
    }

    /// The message of an event. None at the end, if the answer is finished.
    fn message(&mut self, event: Option<Result<Bytes, upstream::Error>>) -> Result<Option<Message>, upstream::Error> {
        let Some(json) = event.transpose()? else {
            return if self.finished { Ok(None) } else { Err(upstream::Error::Unfinished) };
        };
        let call = &mut self.call;
        call.watch.heard();
        let answer = translate(&json, &call.admitted.key)?;
        self.finished |= answer.view.is_finished();
        call.record.saw(&answer.message, &answer.view, &answer.unknown_members);
        Ok(Some(Message::beside(&call.held, answer.message)))
    }
}

impl Source {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, upstream::Error>>> {
        loop {
            match self {
                Self::Sending(sending) => match ready!(sending.as_mut().poll(cx)) {
                    Ok(events) => *self = Self::Events(events),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                Self::Events(events) => return Pin::new(events).poll_next(cx),
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending(_) => "Sending",
            Self::Events(_) => "Events",
        })
    }
}
