//! Reads the rest of a refused request.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::RequestBody;

/// The most that is read of a request that was refused, in bytes.
pub const MAX_DISCARDED: usize = 64 << 10;
/// How long it is read. Anything that is sent later is reset.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads what a client still sends to a call that was refused, in a task of its own, and drops it.
///
/// Without this, HTTP/2 resets the stream. h2 remembers few such streams, and treats each frame for one that it has
/// forgotten as an error of the client; after a thousand of them it closes the connection, with all its calls.
pub fn discard(mut body: impl RequestBody) {
    tokio::spawn(async move {
        let reading = async {
            let mut left = MAX_DISCARDED;
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        let _ = timeout(DISCARD_TIMEOUT, reading).await;
    });
}
