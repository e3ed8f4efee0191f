//! How much text and how many pictures a message contains, for calls whose usage upstream did not report.

use std::ops::AddAssign;

/// What a message contains of that which upstream charges for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Texts and thoughts; calls, responses and declarations of functions, code and schemas by their length on the wire.
    pub text_bytes: u64,
    /// Pictures, as bytes or by URI.
    pub images: u64,
}

impl AddAssign for Estimate {
    fn add_assign(&mut self, more: Self) {
        self.text_bytes += more.text_bytes;
        self.images += more.images;
    }
}
