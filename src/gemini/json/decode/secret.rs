//! Redacts the gateway's own key, which upstream may echo in a response, so that it never reaches a caller.

use std::borrow::Cow;

use memchr::memmem::Finder;

use super::super::error::Error;
use super::Decoder;

/// Replaces the key.
const REDACTED: &[u8] = b"***";

impl Decoder<'_, '_> {
    /// Whether a text contains the key. Most texts are shorter than a key and are not searched.
    #[inline]
    pub(super) fn has_secret(&mut self, text: &[u8]) -> Result<bool, Error> {
        match self.secret {
            Some(secret) if text.len() >= secret.needle().len() => {
                self.json.steps().take_bytes(text.len())?;
                Ok(secret.find(text).is_some())
            }
            _ => Ok(false),
        }
    }

    /// Redacts the key in the bytes that were written since `start`.
    pub(super) fn redact_from(&mut self, start: usize) -> Result<(), Error> {
        let Some(secret) = self.secret else { return Ok(()) };
        let text = &self.writer.out[start..];
        if text.len() < secret.needle().len() {
            return Ok(());
        }
        self.json.steps().take_bytes(text.len())?;
        if secret.find(text).is_some() {
            let text = redact(text, secret);
            self.writer.out.truncate(start);
            self.writer.out.extend_from_slice(&text);
        }
        Ok(())
    }

    /// A member name for telemetry, with the key redacted.
    pub(super) fn redact_name(&self, name: Cow<'_, str>) -> String {
        match self.secret {
            Some(secret) if secret.find(name.as_bytes()).is_some() => {
                String::from_utf8_lossy(&redact(name.as_bytes(), secret)).into_owned()
            }
            _ => name.into_owned(),
        }
    }
}

fn redact(text: &[u8], secret: &Finder<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = secret.find(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(REDACTED);
        rest = &rest[at + secret.needle().len()..];
    }
    out.extend_from_slice(rest);
    out
}
