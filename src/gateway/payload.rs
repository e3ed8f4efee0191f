//! The bytes of one message of a response.

use bytes::Bytes;

/// The bytes of a message: `Own` if they were translated, `Shared` if they are a part of upstream's response.
pub(super) enum Payload {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}
