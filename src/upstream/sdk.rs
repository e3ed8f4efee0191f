//! The name and version of a caller's SDK.

use http::HeaderValue;

/// The longest label that is forwarded, in bytes. SDKs send about 50.
const MAX_LABEL_BYTES: usize = 512;

/// The name and version of a caller's SDK (`x-goog-api-client`), which upstream gets as it came: Google tells the calls
/// of its SDKs from others by it.
#[derive(Clone, Debug)]
pub struct SdkLabel(pub(super) HeaderValue);

impl SdkLabel {
    /// The label, if it is one: printable ASCII, and not too long.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let is_printable = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
        (is_printable && (1..=MAX_LABEL_BYTES).contains(&value.len())).then(|| Self(value.clone()))
    }
}
