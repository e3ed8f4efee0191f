//! What faces share. A face speaks one protocol to callers and turns its requests into calls of the gateway.

mod body;
mod details;
mod discard;
mod executor;
mod failure;
mod headers;
mod peer;
mod response;
mod unpack;

pub use self::body::RequestBody;
pub use self::details::{details, retry_delay};
pub use self::discard::{MAX_DISCARDED, discard};
pub use self::executor::{CallBody, CallExecutor, call_timed_out, one_call_at_a_time, set_deadline, set_open};
pub use self::failure::Failure;
pub use self::headers::{InvalidHeader, MODEL_USED, credential, heartbeat, put_common, put_model_used, request_id};
pub use self::peer::Peer;
pub use self::response::{Framing, Large, NO_COPY_FROM, ResponseBody};
pub use self::unpack::{UnpackError, Unpacking};
