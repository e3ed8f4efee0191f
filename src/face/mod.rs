//! What faces share. A face speaks one protocol to callers and turns its requests into calls of the gateway.

mod body;
mod discard;
mod executor;
mod headers;
mod origin;
mod peer;

pub use self::body::RequestBody;
pub use self::discard::discard;
pub use self::executor::{CallExecutor, set_deadline, set_open};
pub use self::headers::{InvalidHeader, credential, heartbeat, put_request_id, request_id};
pub use self::origin::is_own_origin;
pub use self::peer::Peer;
