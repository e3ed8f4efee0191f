//! A streamed answer: each event becomes a message, and the end is believed only if upstream
//! finished.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use prost::Message as _;
use tokio_stream::Stream;

use super::{ApiKey, Error, KeyOwner};
use crate::gemini::error_body::{Reply, is_error};
use crate::gemini::json;
use crate::gemini::view::ResponseView;
use crate::upstream::{self, EventStream};

/// One message of an answer.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) message: Vec<u8>,
    /// Whether a candidate has a finish reason, or the prompt was blocked.
    finished: bool,
}

/// Turns the JSON of an answer into a message, unless it is an error in disguise.
pub(super) fn translate(text: &[u8], key: &ApiKey) -> Result<Translated, upstream::Error> {
    let refused = || {
        is_error(text).then(|| {
            let (body, now, keys) = (text, SystemTime::now(), &[key.expose()][..]);
            upstream::Error::refused(&Reply { status: 200, content_type: None, retry_after: None, body, now, keys })
        })
    };
    let message = json::response(text).map_err(|error| refused().unwrap_or(upstream::Error::Unreadable(error)))?;
    let view = ResponseView::decode(&message[..]).unwrap_or_default();
    // `error` is no member of an answer, so it would be among the additional fields.
    if view.candidates.is_empty()
        && view.additional_fields.is_some()
        && let Some(error) = refused()
    {
        return Err(error);
    }
    Ok(Translated { finished: view.is_finished(), message })
}

/// The messages of a streamed answer. It ends without an error only if upstream finished it.
#[derive(Debug)]
pub struct Answers {
    /// Gone after the end.
    events: Option<EventStream>,
    first: Option<Vec<u8>>,
    key: ApiKey,
    owner: KeyOwner,
    finished: bool,
}

impl Answers {
    pub(super) fn new(events: EventStream, key: ApiKey, owner: KeyOwner) -> Self {
        Self { events: Some(events), first: None, key, owner, finished: false }
    }

    /// Puts a message back that was taken from the front.
    pub(super) fn starting_with(self, first: Vec<u8>) -> Self {
        Self { first: Some(first), ..self }
    }

    fn step(&mut self, event: Option<Result<Bytes, upstream::Error>>) -> Option<Result<Vec<u8>, upstream::Error>> {
        match event {
            Some(event) => Some(event.and_then(|json| translate(&json, &self.key)).map(|answer| {
                self.finished |= answer.finished;
                answer.message
            })),
            None if self.finished => None,
            None => Some(Err(upstream::Error::Unfinished)),
        }
    }
}

impl Stream for Answers {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(events) = &mut this.events else { return Poll::Ready(None) };
        let event = ready!(Pin::new(events).poll_next(cx));
        let step = this.step(event);
        if !matches!(step, Some(Ok(_))) {
            // Dropping the body closes the connection to upstream.
            this.events = None;
        }
        Poll::Ready(step.map(|step| step.map_err(|error| Error::upstream(error, this.owner))))
    }
}
