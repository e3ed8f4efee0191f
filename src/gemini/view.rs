//! What rules and gateway read of a message. prost skips the rest, and bytes are not copied.
//!
//! The numbers are those of `proto/mountsea/gemini/v1`; a test holds them against the descriptors.

use bytes::Bytes;
use prost::Message as _;

/// A `GenerateContentRequest` as the rules see it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestView {
    #[prost(string, tag = "1")]
    pub model: String,
    #[prost(message, repeated, tag = "2")]
    pub contents: Vec<ContentView>,
    #[prost(message, optional, tag = "4")]
    pub generation_config: Option<GenerationConfigView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ContentView {
    #[prost(message, repeated, tag = "1")]
    pub parts: Vec<PartView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PartView {
    #[prost(message, optional, tag = "3")]
    pub inline_data: Option<BlobView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BlobView {
    #[prost(string, tag = "1")]
    pub mime_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GenerationConfigView {
    #[prost(int32, optional, tag = "1")]
    pub candidate_count: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub max_output_tokens: Option<i32>,
    #[prost(float, optional, tag = "5")]
    pub temperature: Option<f32>,
    #[prost(float, optional, tag = "6")]
    pub top_p: Option<f32>,
    #[prost(int32, optional, tag = "7")]
    pub top_k: Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub seed: Option<i32>,
    #[prost(string, tag = "13")]
    pub response_mime_type: String,
    #[prost(float, optional, tag = "15")]
    pub presence_penalty: Option<f32>,
    #[prost(float, optional, tag = "16")]
    pub frequency_penalty: Option<f32>,
    /// `GenerationConfig.Modality` by number: TEXT is 1, IMAGE 2, AUDIO 3.
    #[prost(int32, repeated, tag = "20")]
    pub response_modalities: Vec<i32>,
    #[prost(message, optional, tag = "22")]
    pub thinking_config: Option<ThinkingConfigView>,
    #[prost(message, optional, tag = "27")]
    pub image_config: Option<ImageConfigView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ThinkingConfigView {
    /// `ThinkingConfig.ThinkingLevel` by number.
    #[prost(int32, optional, tag = "10001")]
    pub thinking_level: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageConfigView {
    #[prost(string, optional, tag = "1")]
    pub aspect_ratio: Option<String>,
    #[prost(string, optional, tag = "10001")]
    pub image_size: Option<String>,
}

/// A `GenerateContentResponse` as the gateway watches it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResponseView {
    #[prost(message, repeated, tag = "1")]
    pub candidates: Vec<CandidateView>,
    #[prost(message, optional, tag = "2")]
    pub prompt_feedback: Option<PromptFeedbackView>,
    #[prost(message, optional, tag = "3")]
    pub usage_metadata: Option<UsageView>,
    /// Members that the contract does not have, an error among them.
    #[prost(bytes = "bytes", optional, tag = "18999")]
    pub additional_fields: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CandidateView {
    #[prost(int32, tag = "2")]
    pub finish_reason: i32,
    #[prost(message, optional, tag = "18999")]
    pub additional_fields: Option<AdditionalView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PromptFeedbackView {
    #[prost(int32, tag = "1")]
    pub block_reason: i32,
    #[prost(message, optional, tag = "18999")]
    pub additional_fields: Option<AdditionalView>,
}

/// The tokens of an answer so far.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct UsageView {
    #[prost(int32, tag = "1")]
    pub prompt_token_count: i32,
    #[prost(int32, tag = "2")]
    pub candidates_token_count: i32,
    #[prost(int32, tag = "3")]
    pub total_token_count: i32,
    #[prost(int32, tag = "4")]
    pub cached_content_token_count: i32,
    #[prost(int32, tag = "8")]
    pub tool_use_prompt_token_count: i32,
    #[prost(int32, tag = "10")]
    pub thoughts_token_count: i32,
}

/// What an answer says of itself beside its content. It is the same in each event, so one of them is read for it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AboutView {
    #[prost(message, optional, tag = "3")]
    pub usage: Option<UsageDetailsView>,
    #[prost(string, tag = "4")]
    pub model_version: String,
    #[prost(string, tag = "5")]
    pub response_id: String,
}

/// Tokens by modality.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UsageDetailsView {
    #[prost(message, repeated, tag = "5")]
    pub prompt: Vec<ModalityView>,
    #[prost(message, repeated, tag = "6")]
    pub cached: Vec<ModalityView>,
    #[prost(message, repeated, tag = "7")]
    pub candidates: Vec<ModalityView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ModalityView {
    /// `Modality` by number: TEXT is 1, IMAGE 2, AUDIO 4.
    #[prost(int32, tag = "1")]
    pub modality: i32,
    #[prost(int32, tag = "2")]
    pub token_count: i32,
}

/// The pictures of an answer.
#[derive(Clone, PartialEq, prost::Message)]
struct ImagesView {
    #[prost(message, repeated, tag = "1")]
    candidates: Vec<CandidateContentView>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CandidateContentView {
    #[prost(message, optional, tag = "1")]
    content: Option<MediaContentView>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MediaContentView {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<MediaPartView>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MediaPartView {
    #[prost(message, optional, tag = "3")]
    inline_data: Option<MediaTypeView>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MediaTypeView {
    #[prost(string, tag = "1")]
    mime_type: String,
}

/// How many pictures there are in the wire bytes of an answer.
pub fn images(answer: &[u8]) -> u64 {
    const IMAGE: &str = "image/";
    // An answer of text is not read a second time.
    if memchr::memmem::find(answer, IMAGE.as_bytes()).is_none() {
        return 0;
    }
    let view = ImagesView::decode(answer).unwrap_or_default();
    let parts = view.candidates.iter().filter_map(|candidate| candidate.content.as_ref()).flat_map(|c| &c.parts);
    let types = parts.filter_map(|part| part.inline_data.as_ref());
    types.filter(|media| media.mime_type.starts_with(IMAGE)).count() as u64
}

/// The names in `additional_fields`: that of a member whose enum value the contract does not have, too.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AdditionalView {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<EntryView>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct EntryView {
    #[prost(string, tag = "1")]
    pub key: String,
}

impl ResponseView {
    /// Whether a candidate ended or the prompt was blocked: without either, an answer is not whole.
    ///
    /// Some models rate every prompt in `promptFeedback`; beside candidates that alone says nothing about the end.
    pub fn is_finished(&self) -> bool {
        let blocked = |feedback: &PromptFeedbackView| feedback.is_block() || self.candidates.is_empty();
        self.prompt_feedback.as_ref().is_some_and(blocked) || self.candidates.iter().any(CandidateView::is_finished)
    }
}

impl CandidateView {
    fn is_finished(&self) -> bool {
        self.finish_reason != 0 || names(self.additional_fields.as_ref(), ["finishReason", "finish_reason"])
    }
}

impl PromptFeedbackView {
    fn is_block(&self) -> bool {
        self.block_reason != 0 || names(self.additional_fields.as_ref(), ["blockReason", "block_reason"])
    }
}

fn names(additional: Option<&AdditionalView>, spellings: [&str; 2]) -> bool {
    additional.is_some_and(|members| members.entries.iter().any(|entry| spellings.contains(&entry.key.as_str())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::json;

    #[test]
    fn pictures_are_counted_and_words_about_them_are_not() {
        let count = |parts: &str| {
            let answer = format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}]}}"#);
            images(
                &json::response(answer.as_bytes(), None, &mut crate::gemini::steps::Steps::unlimited())
                    .unwrap()
                    .message,
            )
        };
        let picture = r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#;
        assert_eq!(count(r#"{"text":"image/png"},{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}"#), 0);
        assert_eq!(count(&format!("{picture},{{\"text\":\"x\"}},{picture}")), 2);
    }
}
