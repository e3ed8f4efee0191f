//! An estimate of the tokens of a message, for calls whose usage upstream does not report.

use std::ops::AddAssign;

/// The amount of text and images in a message, which is what upstream charges for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The bytes of texts and thoughts, and the length on the wire of function calls, responses and declarations, code
    /// and schemas.
    pub text_bytes: u64,
    /// The number of images, as bytes or as URIs.
    pub images: u64,
    /// Those of them that are drafts: pictures that a model makes while it thinks, before the one of its answer.
    pub drafts: u64,
}

impl Estimate {
    /// The images that are no drafts.
    pub fn pictures(&self) -> u64 {
        self.images.saturating_sub(self.drafts)
    }
}

impl AddAssign for Estimate {
    fn add_assign(&mut self, more: Self) {
        self.text_bytes += more.text_bytes;
        self.images += more.images;
        self.drafts += more.drafts;
    }
}
