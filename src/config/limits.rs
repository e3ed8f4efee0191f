//! How much a call may take.

use clap::Args;

use super::Error;

/// The flags of what is refused when it is too much.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// The largest request taken, in bytes, unpacked.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_REQUEST_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_request_bytes: usize,

    /// The largest answer, or event of a streamed answer, taken from upstream, in bytes.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_RESPONSE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_response_bytes: usize,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (variable, bytes) in [
            ("GEMINI_GRPC_MAX_REQUEST_BYTES", self.max_request_bytes),
            ("GEMINI_GRPC_MAX_RESPONSE_BYTES", self.max_response_bytes),
        ] {
            if bytes < 1024 {
                return Err(Error::TooSmall { variable, least: 1024 });
            }
        }
        Ok(())
    }
}
