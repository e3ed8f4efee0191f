//! The field numbers of `proto/mountsea/gemini/v1` that the views use. A test compares them with the descriptors.

/// The members that the contract does not have; the same number in every message.
pub(in crate::gemini) const ADDITIONAL_FIELDS: u32 = 18999;

pub(in crate::gemini) mod request {
    pub(in crate::gemini) const MODEL: u32 = 1;
    pub(in crate::gemini) const CONTENTS: u32 = 2;
    pub(in crate::gemini) const GENERATION_CONFIG: u32 = 4;
    pub(in crate::gemini) const TOOLS: u32 = 5;
    pub(in crate::gemini) const SYSTEM_INSTRUCTION: u32 = 8;
}

pub(in crate::gemini) mod count_tokens {
    pub(in crate::gemini) const GENERATE_CONTENT_REQUEST: u32 = 3;
}

pub(in crate::gemini) mod embedding {
    /// Of a `BatchEmbedContentsRequest`.
    pub(in crate::gemini) const REQUESTS: u32 = 2;
    /// Of both responses.
    pub(in crate::gemini) const USAGE_METADATA: u32 = 10001;
    /// Of an `EmbeddingUsageMetadata`.
    pub(in crate::gemini) const PROMPT_TOKEN_COUNT: u32 = 10001;
}

pub(in crate::gemini) mod config {
    pub(in crate::gemini) const CANDIDATE_COUNT: u32 = 1;
    pub(in crate::gemini) const MAX_OUTPUT_TOKENS: u32 = 4;
    pub(in crate::gemini) const TEMPERATURE: u32 = 5;
    pub(in crate::gemini) const TOP_P: u32 = 6;
    pub(in crate::gemini) const TOP_K: u32 = 7;
    pub(in crate::gemini) const SEED: u32 = 8;
    pub(in crate::gemini) const RESPONSE_MIME_TYPE: u32 = 13;
    pub(in crate::gemini) const RESPONSE_SCHEMA: u32 = 14;
    pub(in crate::gemini) const PRESENCE_PENALTY: u32 = 15;
    pub(in crate::gemini) const FREQUENCY_PENALTY: u32 = 16;
    pub(in crate::gemini) const RESPONSE_MODALITIES: u32 = 20;
    pub(in crate::gemini) const THINKING_CONFIG: u32 = 22;
    pub(in crate::gemini) const RESPONSE_JSON_SCHEMA: u32 = 24;
    pub(in crate::gemini) const IMAGE_CONFIG: u32 = 27;
    pub(in crate::gemini) const RESPONSE_JSON_SCHEMA_ORDERED: u32 = 28;
    pub(in crate::gemini) const THINKING_LEVEL: u32 = 10001;
    pub(in crate::gemini) const ASPECT_RATIO: u32 = 1;
    pub(in crate::gemini) const IMAGE_SIZE: u32 = 10001;
    pub(in crate::gemini) const RESPONSE_FORMAT: u32 = 10004;
    /// Of a `ResponseFormatConfig`.
    pub(in crate::gemini) const FORMAT_IMAGE: u32 = 10002;
    /// Of an `ImageResponseFormat`.
    pub(in crate::gemini) const FORMAT_ASPECT_RATIO: u32 = 10003;
    /// Of an `ImageResponseFormat`.
    pub(in crate::gemini) const FORMAT_IMAGE_SIZE: u32 = 10004;
}

pub(in crate::gemini) mod content {
    pub(in crate::gemini) const PARTS: u32 = 1;
    pub(in crate::gemini) const ROLE: u32 = 2;
}

pub(in crate::gemini) mod part {
    pub(in crate::gemini) const TEXT: u32 = 2;
    pub(in crate::gemini) const INLINE_DATA: u32 = 3;
    pub(in crate::gemini) const FUNCTION_CALL: u32 = 4;
    pub(in crate::gemini) const FUNCTION_RESPONSE: u32 = 5;
    pub(in crate::gemini) const FILE_DATA: u32 = 6;
    pub(in crate::gemini) const EXECUTABLE_CODE: u32 = 9;
    pub(in crate::gemini) const CODE_EXECUTION_RESULT: u32 = 10;
    pub(in crate::gemini) const TOOL_CALL: u32 = 10003;
    pub(in crate::gemini) const TOOL_RESPONSE: u32 = 10004;
    /// The members of the oneof `data`.
    pub(in crate::gemini) const DATA: [u32; 9] = [
        TEXT,
        INLINE_DATA,
        FUNCTION_CALL,
        FUNCTION_RESPONSE,
        FILE_DATA,
        EXECUTABLE_CODE,
        CODE_EXECUTION_RESULT,
        TOOL_CALL,
        TOOL_RESPONSE,
    ];
    pub(in crate::gemini) const THOUGHT: u32 = 11;
    pub(in crate::gemini) const THOUGHT_SIGNATURE: u32 = 13;
    /// Of a `FunctionCall`.
    pub(in crate::gemini) const CALL_NAME: u32 = 1;
    /// Of a `FunctionCall`.
    pub(in crate::gemini) const CALL_ARGS: u32 = 2;
    /// Of a `FunctionCall`.
    pub(in crate::gemini) const CALL_ID: u32 = 3;
    /// Of a `FunctionResponse`.
    pub(in crate::gemini) const RESPONSE_NAME: u32 = 1;
    /// Of a `FunctionResponse`.
    pub(in crate::gemini) const RESPONSE_RESPONSE: u32 = 2;
    /// Of a `FunctionResponse`.
    pub(in crate::gemini) const RESPONSE_ID: u32 = 3;
}

pub(in crate::gemini) mod media {
    pub(in crate::gemini) const BLOB_MIME_TYPE: u32 = 1;
    pub(in crate::gemini) const BLOB_DATA: u32 = 2;
    pub(in crate::gemini) const FILE_MIME_TYPE: u32 = 1;
    pub(in crate::gemini) const FILE_URI: u32 = 2;
    /// Of a `FunctionResponse`.
    pub(in crate::gemini) const RESPONSE_PARTS: u32 = 8;
    /// Of a `FunctionResponsePart`.
    pub(in crate::gemini) const RESPONSE_INLINE_DATA: u32 = 1;
    /// Of a `FunctionResponsePart`.
    pub(in crate::gemini) const RESPONSE_FILE_DATA: u32 = 10001;
    pub(in crate::gemini) const RESPONSE_BLOB_MIME_TYPE: u32 = 1;
    pub(in crate::gemini) const RESPONSE_FILE_MIME_TYPE: u32 = 10002;
}

pub(in crate::gemini) mod response {
    pub(in crate::gemini) const CANDIDATES: u32 = 1;
    pub(in crate::gemini) const PROMPT_FEEDBACK: u32 = 2;
    pub(in crate::gemini) const USAGE_METADATA: u32 = 3;
    pub(in crate::gemini) const MODEL_VERSION: u32 = 4;
    pub(in crate::gemini) const RESPONSE_ID: u32 = 5;
    /// Of a `Candidate`.
    pub(in crate::gemini) const CONTENT: u32 = 1;
    /// Of a `Candidate`.
    pub(in crate::gemini) const FINISH_REASON: u32 = 2;
    /// Of a `Candidate`.
    pub(in crate::gemini) const INDEX: u32 = 3;
    /// Of a `PromptFeedback`.
    pub(in crate::gemini) const BLOCK_REASON: u32 = 1;
}

pub(in crate::gemini) mod usage {
    pub(in crate::gemini) const PROMPT_TOKEN_COUNT: u32 = 1;
    pub(in crate::gemini) const CANDIDATES_TOKEN_COUNT: u32 = 2;
    pub(in crate::gemini) const TOTAL_TOKEN_COUNT: u32 = 3;
    pub(in crate::gemini) const CACHED_CONTENT_TOKEN_COUNT: u32 = 4;
    pub(in crate::gemini) const PROMPT_TOKENS_DETAILS: u32 = 5;
    pub(in crate::gemini) const CACHE_TOKENS_DETAILS: u32 = 6;
    pub(in crate::gemini) const CANDIDATES_TOKENS_DETAILS: u32 = 7;
    pub(in crate::gemini) const TOOL_USE_PROMPT_TOKEN_COUNT: u32 = 8;
    pub(in crate::gemini) const THOUGHTS_TOKEN_COUNT: u32 = 10;
    /// Of a `ModalityTokenCount`.
    pub(in crate::gemini) const MODALITY: u32 = 1;
    /// Of a `ModalityTokenCount`.
    pub(in crate::gemini) const TOKEN_COUNT: u32 = 2;
}

pub(in crate::gemini) mod json {
    /// The entries of a `google.protobuf.Struct`.
    pub(in crate::gemini) const ENTRIES: u32 = 1;
    /// Of such an entry.
    pub(in crate::gemini) const KEY: u32 = 1;
    /// Of such an entry.
    pub(in crate::gemini) const VALUE: u32 = 2;
    /// The text of a `google.protobuf.Value`.
    pub(in crate::gemini) const STRING: u32 = 3;
}

/// Paths to messages in requests and responses, for [`for_each`](super::for_each).
pub mod path {
    use super::{content, request, response};

    /// The `Content`s of a request.
    pub const CONTENTS: &[u32] = &[request::CONTENTS];
    /// The `Part`s of a request's system instruction.
    pub const SYSTEM_PARTS: &[u32] = &[request::SYSTEM_INSTRUCTION, content::PARTS];
    /// The `Part`s of a `Content`.
    pub const CONTENT_PARTS: &[u32] = &[content::PARTS];
    /// The `Part`s of a response.
    pub const RESPONSE_PARTS: &[u32] = &[response::CANDIDATES, response::CONTENT, content::PARTS];
}
