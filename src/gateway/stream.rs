//! A streamed answer: each event becomes a message, and the end is believed only if upstream
//! finished it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt as _};

use super::heavy::Heavy;
use super::translate::{Reading, Stop, Translated, translate_at_once, translate_beside};
use super::watch::Alarm;
use super::{Call, Error, Message};
use crate::gemini::json::SurrogateJoiner;
use crate::upstream::{self, EventStream, Method};

/// The request on its way, until the head of the answer is there.
type Sending = Pin<Box<dyn Future<Output = Result<EventStream, upstream::Error>> + Send>>;

/// A long event that is being translated beside the workers.
type Translating = Pin<Box<dyn Future<Output = Result<Translated, Error>> + Send>>;

/// The messages of a streamed answer. It ends without an error only if upstream finished it.
pub struct Answers {
    first: Option<Message>,
    /// Gone after the end: so are the right to be in flight, and the connection to upstream.
    open: Option<Open>,
}

/// An answer that has not ended.
struct Open {
    /// Before the call, which outlives its requests.
    source: Source,
    translating: Option<Translating>,
    call: Call,
    heavy: Heavy,
    reading: Reading,
    surrogates: SurrogateJoiner,
}

#[expect(clippy::large_enum_variant, reason = "events come for most of a stream's life")]
enum Source {
    Sending(Sending),
    Events(EventStream),
}

impl Answers {
    /// Awaits the first message, which may be a heartbeat.
    pub(super) async fn begin(sending: Sending, call: Call, heavy: Heavy) -> Result<Self, Error> {
        let source = Source::Sending(sending);
        let reading = Reading::new(&call, Method::StreamGenerateContent);
        let open = Open { source, translating: None, call, heavy, reading, surrogates: SurrogateJoiner::default() };
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
        if let Poll::Ready(answer) = self.poll_answer(cx) {
            return Poll::Ready(answer.transpose());
        }
        Poll::Ready(Some(match ready!(self.call.watch.poll(cx)) {
            // No field is set in an empty message, and every client can read it.
            Alarm::Beat => Ok(Message::beside(&self.call.held, Vec::new())),
            Alarm::End(error) => Err(error),
        }))
    }

    /// The message of the next event. None at the end, if the answer is finished.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.translating.is_none() {
            let theirs = |error| Error::upstream(error, self.call.admitted.owner);
            let Some(json) = ready!(self.source.poll_event(cx)).transpose().map_err(theirs)? else {
                let finished = self.call.record.is_finished();
                let end = if finished { Ok(None) } else { Err(theirs(upstream::Error::Unfinished)) };
                return Poll::Ready(end);
            };
            self.call.watch.heard();
            match translate_at_once(&json, &self.reading) {
                Err(Stop::Interrupted) => {
                    let beside = translate_beside(self.heavy.clone(), json, self.reading.clone());
                    self.translating = Some(Box::pin(beside));
                }
                done => return Poll::Ready(done.map_err(Stop::into_error).and_then(|answer| self.message(answer))),
            }
        }
        let Some(translating) = &mut self.translating else { return Poll::Pending };
        let answer = ready!(translating.as_mut().poll(cx));
        self.translating = None;
        self.call.watch.heard();
        Poll::Ready(answer.and_then(|answer| self.message(answer)))
    }

    fn message(&mut self, mut answer: Translated) -> Result<Option<Message>, Error> {
        answer.join(&mut self.surrogates)?;
        self.call.record.saw(&answer);
        Ok(Some(Message::beside(&self.call.held, answer.response.message)))
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("call", &self.open.as_ref().map(|open| &open.call)).finish_non_exhaustive()
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
