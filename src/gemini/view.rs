//! Views: the fields of a message that validation, gateway and telemetry need, read directly from its wire bytes.
//!
//! A view does not grow with the message. It borrows from the wire bytes, and contains only counts and a few lists of
//! limited length, so a message of many tiny parts takes no more memory than one of few. Reading follows protobuf's
//! rules: of a scalar that occurs twice the last one counts, a message that occurs twice is merged, and a later member
//! of a oneof replaces an earlier one. Each field counts as one of the caller's [`Steps`], so reading can be
//! interrupted.

mod capture;
mod config;
mod estimate;
mod fields;
mod metadata;
pub(super) mod numbers;
mod part;
mod request;
mod response;
mod usage;

pub use self::capture::{PartContent, role};
pub(super) use self::config::Shortcut;
pub use self::config::{GenerationConfigView, Modalities};
pub use self::estimate::Estimate;
pub use self::fields::{ReadError, for_each};
pub use self::metadata::{MetadataView, ModalityCounts, UsageDetailsView};
pub use self::numbers::path;
pub(super) use self::part::{BlobView, PartView};
pub(super) use self::request::inner_requests;
pub use self::request::{RequestView, model};
pub(super) use self::response::{CandidateKeys, CandidateView};
pub use self::response::{Ends, FinishReasons, MAX_CANDIDATES, PromptFeedbackView, ResponseView};
pub use self::usage::UsageView;
#[cfg(doc)]
use super::steps::Steps;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
