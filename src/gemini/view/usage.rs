//! The view of a response's token usage.

use super::fields::{ReadError, count, next};
use super::numbers::{embedding, usage};
use crate::gemini::steps::Steps;
use crate::gemini::wire::Reader;

/// A `UsageMetadata`: the tokens used so far. A negative number is read as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageView {
    /// Includes the cached tokens.
    pub prompt_token_count: u64,
    pub candidates_token_count: u64,
    /// As reported by upstream; use [`total`](Self::total) instead.
    pub total_token_count: u64,
    pub cached_content_token_count: u64,
    pub tool_use_prompt_token_count: u64,
    pub thoughts_token_count: u64,
}

impl UsageView {
    /// The total number of tokens: what upstream reports, but at least the sum of the parts, since some upstreams leave
    /// the total out.
    pub fn total(&self) -> u64 {
        // Cached tokens are part of the prompt, so the prompt has at least as many.
        let prompt = self.prompt_token_count.max(self.cached_content_token_count);
        let parts = prompt + self.candidates_token_count + self.tool_use_prompt_token_count + self.thoughts_token_count;
        parts.max(self.total_token_count)
    }

    /// Merges the wire bytes of an `EmbeddingUsageMetadata` into this one.
    pub(super) fn merge_embedding(&mut self, message: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            if number == embedding::PROMPT_TOKEN_COUNT {
                self.prompt_token_count = count(value)?;
            }
        }
        Ok(())
    }

    /// Merges the wire bytes of a `UsageMetadata` into this one.
    pub(super) fn merge(&mut self, message: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                usage::PROMPT_TOKEN_COUNT => self.prompt_token_count = count(value)?,
                usage::CANDIDATES_TOKEN_COUNT => self.candidates_token_count = count(value)?,
                usage::TOTAL_TOKEN_COUNT => self.total_token_count = count(value)?,
                usage::CACHED_CONTENT_TOKEN_COUNT => self.cached_content_token_count = count(value)?,
                usage::TOOL_USE_PROMPT_TOKEN_COUNT => self.tool_use_prompt_token_count = count(value)?,
                usage::THOUGHTS_TOKEN_COUNT => self.thoughts_token_count = count(value)?,
                _ => {}
            }
        }
        Ok(())
    }
}
