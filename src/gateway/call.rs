//! A call that was admitted, from its head to its last byte.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::accounting::Accounting;
use super::admission::Permit;
use super::callers::{Admitted, AuthError, Credential, Exceeded, San};
use super::config::Config;
use super::connection::Connection;
use super::error::Error;
use super::format::Format;
use super::limits::TimedOut;
use super::payload::Payload;
use super::timer::CallTimer;
use crate::memory::Reservation;
use crate::telemetry::CallSpan;
use crate::upstream::SdkLabel;

/// What a face knows of a call before its message.
#[derive(Debug)]
pub struct CallRequest {
    /// The caller's API key or token; an error if the header contains none.
    pub credential: Result<Option<Credential>, Error>,
    /// The names (SAN) of the caller's certificate, if it has shown one.
    pub names: Option<Arc<[San]>>,
    /// The connection of the call.
    pub connection: Arc<Connection>,
    /// Telemetry of the call. It has the id of the request, which goes upstream and into every error.
    pub span: CallSpan,
    /// The limit that the caller sets for the call, from now on.
    pub timeout: Option<TimedOut>,
    /// How often the caller wants a message while upstream is silent; `None` for the configured time.
    pub heartbeat: Option<Duration>,
    /// How often the caller has tried before.
    pub previous_attempts: u32,
    /// The name of the caller's SDK, if it is forwarded to upstream.
    pub sdk: Option<SdkLabel>,
    /// How the messages of the call are encoded.
    pub format: Format,
}

/// A call that was admitted. Dropping it releases its reservations and ends its request to upstream.
#[derive(Debug)]
pub struct Call {
    pub(super) config: Arc<Config>,
    pub(super) admitted: Admitted,
    pub(super) heartbeat: Option<Duration>,
    pub(super) timer: CallTimer,
    pub(super) reserved: Reservation,
    pub(super) accounting: Accounting,
    pub(super) format: Format,
    pub(super) sdk: Option<SdkLabel>,
    /// The place in flight, once the request is complete.
    pub(super) permit: Option<Permit>,
}

impl Call {
    /// Records and charges the call: upstream has answered, or it will not.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        if let (Some(permit), Some(error)) = (&self.permit, error) {
            permit.record_failure(error);
        }
        self.accounting.end(error);
    }

    /// When the call has to be over.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Lets the face read the request within the limits of the call.
    pub async fn upload<T, E: From<Error>>(
        &mut self,
        reading: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, E> {
        self.timer.within_limits(reading).await?
    }

    /// Moves the reservation of the call out, for the face that reads the request.
    pub fn take_memory(&mut self) -> UploadMemory {
        UploadMemory {
            reserved: self.reserved.take(),
            caller: self.admitted.caller.as_ref().map(|caller| caller.name.clone()),
            format: self.format.clone(),
        }
    }

    /// Moves the reservation back into the call.
    pub fn return_memory(&mut self, memory: UploadMemory) {
        self.reserved = memory.reserved;
    }
}

/// The bytes that a call has reserved while its request is read.
#[derive(Debug)]
pub struct UploadMemory {
    reserved: Reservation,
    caller: Option<Arc<str>>,
    format: Format,
}

impl UploadMemory {
    /// Reserves this many bytes in all, or changes nothing and returns which budget is full.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        reserve(&mut self.reserved, bytes, self.caller.as_ref())
    }

    /// Reserves memory for a message of this many bytes, and for its JSON if the message itself is not JSON.
    pub fn reserve_message(&mut self, message: usize) -> Result<(), Error> {
        self.reserve(match self.format {
            // Bytes are base64 in JSON.
            Format::Protobuf(_) => message.saturating_mul(7) / 3,
            Format::Json { .. } => message,
        })
    }
}

/// Reserves this many bytes in all, or returns which budget is full.
pub(super) fn reserve(reserved: &mut Reservation, bytes: usize, caller: Option<&Arc<str>>) -> Result<(), Error> {
    reserved.try_resize(bytes).map_err(|full| match caller {
        Some(caller) if full.is_share => Error::Caller(AuthError::Exceeded(Exceeded::bytes(caller.clone(), full.cap))),
        _ => Error::NoMemory { cap: full.cap },
    })
}

/// One message of a response, in the format of the call, and the reservation of its bytes.
pub struct Message {
    bytes: Payload,
    /// Released when the bytes are dropped. `None` if they are too few to count.
    _reservation: Option<Reservation>,
}

impl Message {
    /// A message of a call that goes on; `reserved` is what that call has reserved already.
    pub(super) fn additional(reserved: &Reservation, bytes: Payload) -> Self {
        Self { _reservation: reserved.additional(bytes.as_ref().len()), bytes }
    }

    /// A message without fields, which keeps a connection alive.
    pub(super) fn heartbeat(reserved: &Reservation) -> Self {
        Self::additional(reserved, Payload::Own(Vec::new()))
    }

    /// A message that takes over the only reservation of its call.
    pub(super) fn only(mut reserved: Reservation, bytes: Payload) -> Self {
        reserved.resize(bytes.as_ref().len());
        Self { bytes, _reservation: Some(reserved) }
    }

    /// The bytes, without a copy. Their reservation lasts until the last clone of them is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

/// Without the bytes, which are a caller's response.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("bytes", &self.as_ref().len()).finish_non_exhaustive()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryBudget;

    #[test]
    fn debug_output_says_nothing_of_a_message() {
        let message = Message::only(MemoryBudget::new(1).reserve(), Payload::Own(b"a secret".to_vec()));
        assert_eq!(format!("{message:?}"), "Message { bytes: 8, .. }");
    }
}
