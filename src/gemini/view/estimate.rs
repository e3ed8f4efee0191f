//! How much text and how many pictures a message contains, for calls whose usage upstream did not report.

use std::ops::AddAssign;

use super::PartView;
use super::fields::{Elements, ReadError};
use super::numbers::content;
use crate::gemini::steps::Steps;

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

impl Estimate {
    /// Of the wire bytes of a `Content`.
    pub(super) fn of_content(content: &[u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let mut sum = Self::default();
        let mut parts = Elements::new(content, content::PARTS);
        while let Some(part) = parts.next(steps)? {
            sum += PartView::read(part, steps)?.estimate();
        }
        Ok(sum)
    }
}
