//! Compares the field numbers of the views with the descriptors.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

use super::super::*;
use super::field;
use crate::gemini::steps::Steps;
use crate::pb;

#[test]
fn the_field_numbers_are_those_of_the_contract() {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages: Vec<_> = set.file.into_iter().flat_map(|file| file.message_type).collect();
    let mut numbers = BTreeMap::new();
    while let Some(message) = messages.pop() {
        messages.extend(message.nested_type);
        for field in message.field {
            numbers.insert(format!("{}.{}", message.name.as_deref().unwrap(), field.name()), field.number() as u32);
        }
    }
    use numbers::*;
    for (name, number) in [
        ("GenerateContentRequest.model", request::MODEL),
        ("GenerateContentRequest.contents", request::CONTENTS),
        ("GenerateContentRequest.generation_config", request::GENERATION_CONFIG),
        ("GenerateContentRequest.tools", request::TOOLS),
        ("GenerateContentRequest.system_instruction", request::SYSTEM_INSTRUCTION),
        ("CountTokensRequest.model", request::MODEL),
        ("CountTokensRequest.generate_content_request", count_tokens::GENERATE_CONTENT_REQUEST),
        ("EmbedContentRequest.model", request::MODEL),
        ("EmbedContentResponse.usage_metadata", embedding::USAGE_METADATA),
        ("BatchEmbedContentsRequest.model", request::MODEL),
        ("BatchEmbedContentsRequest.requests", embedding::REQUESTS),
        ("BatchEmbedContentsResponse.usage_metadata", embedding::USAGE_METADATA),
        ("EmbeddingUsageMetadata.prompt_token_count", embedding::PROMPT_TOKEN_COUNT),
        ("GenerationConfig.candidate_count", config::CANDIDATE_COUNT),
        ("GenerationConfig.max_output_tokens", config::MAX_OUTPUT_TOKENS),
        ("GenerationConfig.temperature", config::TEMPERATURE),
        ("GenerationConfig.top_p", config::TOP_P),
        ("GenerationConfig.top_k", config::TOP_K),
        ("GenerationConfig.seed", config::SEED),
        ("GenerationConfig.response_mime_type", config::RESPONSE_MIME_TYPE),
        ("GenerationConfig.response_schema", config::RESPONSE_SCHEMA),
        ("GenerationConfig.presence_penalty", config::PRESENCE_PENALTY),
        ("GenerationConfig.frequency_penalty", config::FREQUENCY_PENALTY),
        ("GenerationConfig.response_modalities", config::RESPONSE_MODALITIES),
        ("GenerationConfig.thinking_config", config::THINKING_CONFIG),
        ("GenerationConfig.response_json_schema", config::RESPONSE_JSON_SCHEMA),
        ("GenerationConfig.image_config", config::IMAGE_CONFIG),
        ("GenerationConfig.response_json_schema_ordered", config::RESPONSE_JSON_SCHEMA_ORDERED),
        ("ThinkingConfig.thinking_level", config::THINKING_LEVEL),
        ("ImageConfig.aspect_ratio", config::ASPECT_RATIO),
        ("ImageConfig.image_size", config::IMAGE_SIZE),
        ("GenerationConfig.response_format", config::RESPONSE_FORMAT),
        ("ResponseFormatConfig.image", config::FORMAT_IMAGE),
        ("ImageResponseFormat.aspect_ratio", config::FORMAT_ASPECT_RATIO),
        ("ImageResponseFormat.image_size", config::FORMAT_IMAGE_SIZE),
        ("Content.parts", content::PARTS),
        ("Content.role", content::ROLE),
        ("Part.text", part::TEXT),
        ("Part.inline_data", part::INLINE_DATA),
        ("Part.function_call", part::FUNCTION_CALL),
        ("Part.function_response", part::FUNCTION_RESPONSE),
        ("Part.file_data", part::FILE_DATA),
        ("Part.executable_code", part::EXECUTABLE_CODE),
        ("Part.code_execution_result", part::CODE_EXECUTION_RESULT),
        ("Part.tool_call", part::TOOL_CALL),
        ("Part.tool_response", part::TOOL_RESPONSE),
        ("Part.thought", part::THOUGHT),
        ("Part.thought_signature", part::THOUGHT_SIGNATURE),
        ("FunctionCall.name", part::CALL_NAME),
        ("FunctionCall.args", part::CALL_ARGS),
        ("FunctionCall.id", part::CALL_ID),
        ("FunctionResponse.name", part::RESPONSE_NAME),
        ("FunctionResponse.response", part::RESPONSE_RESPONSE),
        ("FunctionResponse.id", part::RESPONSE_ID),
        ("Blob.mime_type", media::BLOB_MIME_TYPE),
        ("Blob.data", media::BLOB_DATA),
        ("FileData.mime_type", media::FILE_MIME_TYPE),
        ("FileData.file_uri", media::FILE_URI),
        ("FunctionResponse.parts", media::RESPONSE_PARTS),
        ("FunctionResponsePart.inline_data", media::RESPONSE_INLINE_DATA),
        ("FunctionResponsePart.file_data", media::RESPONSE_FILE_DATA),
        ("FunctionResponseBlob.mime_type", media::RESPONSE_BLOB_MIME_TYPE),
        ("FunctionResponseFileData.mime_type", media::RESPONSE_FILE_MIME_TYPE),
        ("GenerateContentResponse.candidates", response::CANDIDATES),
        ("GenerateContentResponse.prompt_feedback", response::PROMPT_FEEDBACK),
        ("GenerateContentResponse.usage_metadata", response::USAGE_METADATA),
        ("GenerateContentResponse.model_version", response::MODEL_VERSION),
        ("GenerateContentResponse.response_id", response::RESPONSE_ID),
        ("GenerateContentResponse.additional_fields", ADDITIONAL_FIELDS),
        ("Candidate.content", response::CONTENT),
        ("Candidate.finish_reason", response::FINISH_REASON),
        ("Candidate.index", response::INDEX),
        ("Candidate.additional_fields", ADDITIONAL_FIELDS),
        ("PromptFeedback.block_reason", response::BLOCK_REASON),
        ("PromptFeedback.additional_fields", ADDITIONAL_FIELDS),
        ("UsageMetadata.prompt_token_count", usage::PROMPT_TOKEN_COUNT),
        ("UsageMetadata.candidates_token_count", usage::CANDIDATES_TOKEN_COUNT),
        ("UsageMetadata.total_token_count", usage::TOTAL_TOKEN_COUNT),
        ("UsageMetadata.cached_content_token_count", usage::CACHED_CONTENT_TOKEN_COUNT),
        ("UsageMetadata.prompt_tokens_details", usage::PROMPT_TOKENS_DETAILS),
        ("UsageMetadata.cache_tokens_details", usage::CACHE_TOKENS_DETAILS),
        ("UsageMetadata.candidates_tokens_details", usage::CANDIDATES_TOKENS_DETAILS),
        ("UsageMetadata.tool_use_prompt_token_count", usage::TOOL_USE_PROMPT_TOKEN_COUNT),
        ("UsageMetadata.thoughts_token_count", usage::THOUGHTS_TOKEN_COUNT),
        ("ModalityTokenCount.modality", usage::MODALITY),
        ("ModalityTokenCount.token_count", usage::TOKEN_COUNT),
        ("Struct.fields", json::ENTRIES),
        ("FieldsEntry.key", json::KEY),
    ] {
        assert_eq!(numbers.get(name), Some(&number), "{name}");
    }
}

#[test]
fn every_method_has_the_model_in_the_same_field_of_its_request() {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let file = set.file.iter().find(|file| file.package() == "mountsea.gemini.v1" && !file.service.is_empty()).unwrap();
    for method in file.service.iter().flat_map(|service| &service.method) {
        let request = method.input_type().rsplit('.').next();
        let request = file.message_type.iter().find(|message| Some(message.name()) == request).unwrap();
        let model = request.field.iter().find(|field| field.name() == "model").unwrap();
        assert_eq!((model.number() as u32, model.r#type()), (numbers::request::MODEL, Type::String), "{method:?}");
    }
}

#[test]
fn every_member_of_a_part_replaces_the_others() {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = set.file.iter().flat_map(|file| &file.message_type);
    let part = messages.find(|message| message.name() == "Part").unwrap();
    let data = part.oneof_decl.iter().position(|oneof| oneof.name() == "data").unwrap();
    let members = part.field.iter().filter(|field| field.oneof_index == Some(data as i32)).map(|field| field.number());
    let members: Vec<_> = members.map(|number| number as u32).collect();
    assert_eq!(members, numbers::part::DATA);
    for number in members {
        let mut wire = field(3, &field(1, b"image/png"));
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut wire);
        wire.push(0);
        let view = PartView::read(&wire, &mut Steps::unlimited()).unwrap();
        assert_eq!(view.inline_data().is_some(), number == 3, "{number}");
    }
}
