//! A call that was let in, from its head to its last byte.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::admission::Permit;
use super::callers::{Admitted, AuthError, Exceeded, San};
use super::record::Record;
use super::watch::Watch;
use super::{ApiKey, CallerSchema, Config, Connection, Error};
use crate::memory::Held;
use crate::telemetry::Rpc;

/// What a face knows of a call before its message.
#[derive(Debug)]
pub struct Arrival {
    /// The caller's own key, or what it sends in the place of one; the error if the header holds no key.
    pub key: Result<Option<ApiKey>, Error>,
    /// The names (SAN) of the caller's certificate, if it has shown one.
    pub names: Option<Arc<[San]>>,
    /// What the call came over.
    pub connection: Arc<Connection>,
    /// Knows the id that goes upstream and into every error.
    pub rpc: Rpc,
    /// What the caller gives the call, from now on.
    pub timeout: Option<Duration>,
    /// How often the caller wants to hear something while upstream is silent; `None` for what is configured.
    pub heartbeat: Option<Duration>,
    /// How often the caller has tried before.
    pub previous_attempts: u32,
    /// Whose schema the caller reads the answer with.
    pub schema: CallerSchema,
}

/// A call that was let in. Dropped, it gives everything back, and upstream is let go.
#[derive(Debug)]
pub struct Call {
    pub(super) config: Arc<Config>,
    pub(super) admitted: Admitted,
    pub(super) heartbeat: Option<Duration>,
    pub(super) watch: Watch,
    pub(super) held: Held,
    pub(super) record: Record,
    pub(super) schema: CallerSchema,
    /// The right to be in flight, from the moment the request is there.
    pub(super) permit: Option<Permit>,
}

impl Call {
    /// When it has to be over.
    pub fn deadline(&self) -> Instant {
        self.watch.deadline()
    }

    /// Lets the face read the request within the limits of the call.
    pub async fn upload<T, E: From<Error>>(
        &mut self,
        reading: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        self.watch.within_limits(reading).await?
    }

    /// Moves the reservation of the call out, for the face that reads the request.
    pub fn room(&mut self) -> Room {
        Room { held: self.held.take(), caller: self.admitted.caller.as_ref().map(|caller| caller.name.clone()) }
    }

    /// Moves it back.
    pub fn keep(&mut self, room: Room) {
        self.held = room.held;
    }
}

/// What a call has reserved of the byte budget while its request is read.
#[derive(Debug)]
pub struct Room {
    held: Held,
    caller: Option<Arc<str>>,
}

impl Room {
    /// Reserves this many bytes in all, or changes nothing and says which budget is full.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        reserve(&mut self.held, bytes, self.caller.as_ref())
    }

    /// Makes sure of room for a message of so many bytes and for its JSON, in which bytes are base64.
    pub fn reserve_message(&mut self, message: usize) -> Result<(), Error> {
        self.reserve(message.saturating_mul(7) / 3)
    }
}

/// Reserves this many bytes in all, or says which budget is full.
pub(super) fn reserve(held: &mut Held, bytes: usize, caller: Option<&Arc<str>>) -> Result<(), Error> {
    held.try_set(bytes).map_err(|full| match caller {
        Some(caller) if full.is_share => Error::Caller(AuthError::Exceeded(Exceeded::bytes(caller.clone(), full.cap))),
        _ => Error::NoMemory { cap: full.cap },
    })
}

/// One message of an answer: the wire bytes of a `GenerateContentResponse`, and the hold on them.
pub struct Message {
    bytes: Vec<u8>,
    /// Given back when the bytes are gone. None if they are too few to count.
    _held: Option<Held>,
}

impl Message {
    /// A message of a call that holds something else at the same time.
    pub(super) fn beside(held: &Held, bytes: Vec<u8>) -> Self {
        Self { _held: held.beside(bytes.len()), bytes }
    }

    /// The message that is all that a call holds.
    pub(super) fn only(mut held: Held, bytes: Vec<u8>) -> Self {
        held.set(bytes.len());
        Self { bytes, _held: Some(held) }
    }

    /// The bytes, without a copy. They are held for as long as they are somewhere.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

/// Without the bytes: they are somebody's answer.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn debug_output_says_nothing_of_a_message() {
        let message = Message::only(Memory::new(1).hold(), b"a secret".to_vec());
        assert_eq!(format!("{message:?}"), "Message { bytes: 8, .. }");
    }
}
