//! Compares the views of random messages with what prost reads from the same bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::super::*;
use crate::gemini::steps::Steps;
use crate::pb::gemini::candidate::FinishReason;
use crate::pb::gemini::generate_content_response::{PromptFeedback, UsageMetadata};
use crate::pb::gemini::part::Data;
use crate::pb::gemini::{
    Blob, Candidate, Content, FileData, GenerateContentRequest, GenerateContentResponse, GenerationConfig, ImageConfig,
    ImageResponseFormat, Part, ResponseFormatConfig, ThinkingConfig,
};

fn mime_type() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("image/png".to_owned()), Just("Image/x".to_owned()), "[a-z/]{0,9}"]
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        ".{0,20}".prop_map(Data::Text),
        (mime_type(), vec(any::<u8>(), 0..9)).prop_map(|(mime_type, data)| {
            Data::InlineData(Blob { mime_type, data: data.into(), ..Blob::default() })
        }),
        (mime_type(), ".{0,9}").prop_map(|(mime_type, file_uri)| {
            Data::FileData(FileData { mime_type, file_uri, ..FileData::default() })
        }),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    (option::of(data()), any::<bool>()).prop_map(|(data, thought)| Part { data, thought, ..Part::default() })
}

fn content() -> impl Strategy<Value = Content> {
    (vec(part(), 0..4), "[a-z]{0,5}").prop_map(|(parts, role)| Content { parts, role, ..Content::default() })
}

fn config() -> impl Strategy<Value = GenerationConfig> {
    let numbers = (option::of(any::<i32>()), option::of(any::<f32>()), option::of(any::<i32>()));
    let texts = (mime_type(), option::of(".{0,5}"), option::of(".{0,5}"));
    (numbers, texts, vec(-2..5i32, 0..4)).prop_map(|(numbers, texts, response_modalities)| GenerationConfig {
        candidate_count: numbers.0,
        max_output_tokens: numbers.2,
        temperature: numbers.1,
        top_p: numbers.1,
        top_k: numbers.0,
        seed: numbers.2,
        presence_penalty: numbers.1,
        frequency_penalty: numbers.1,
        response_mime_type: texts.0,
        response_modalities,
        thinking_config: numbers.2.map(|n| ThinkingConfig { thinking_level: Some(n), ..ThinkingConfig::default() }),
        image_config: texts.1.is_some().then_some(ImageConfig {
            aspect_ratio: texts.1,
            image_size: texts.2,
            ..ImageConfig::default()
        }),
        response_format: numbers.0.map(|n| ResponseFormatConfig {
            image: Some(ImageResponseFormat {
                aspect_ratio: Some(n),
                image_size: numbers.2,
                ..ImageResponseFormat::default()
            }),
            ..ResponseFormatConfig::default()
        }),
        ..GenerationConfig::default()
    })
}

fn request() -> impl Strategy<Value = GenerateContentRequest> {
    (".{0,9}", vec(content(), 0..4), option::of(config()), option::of(content())).prop_map(
        |(model, contents, generation_config, system_instruction)| GenerateContentRequest {
            model,
            contents,
            generation_config,
            system_instruction,
            ..GenerateContentRequest::default()
        },
    )
}

fn response() -> impl Strategy<Value = GenerateContentResponse> {
    let reason = prop_oneof![Just(0), Just(FinishReason::Stop as i32), any::<i32>()];
    let candidate = (option::of(content()), reason).prop_map(|(content, finish_reason)| Candidate {
        content,
        finish_reason,
        ..Candidate::default()
    });
    let feedback = any::<i32>().prop_map(|n| PromptFeedback { block_reason: n % 2, ..PromptFeedback::default() });
    let usage = any::<[i32; 6]>().prop_map(|counts| UsageMetadata {
        prompt_token_count: counts[0],
        candidates_token_count: counts[1],
        total_token_count: counts[2],
        cached_content_token_count: counts[3],
        tool_use_prompt_token_count: counts[4],
        thoughts_token_count: counts[5],
        ..UsageMetadata::default()
    });
    let texts = (".{0,9}", ".{0,9}");
    (vec(candidate, 0..20), option::of(feedback), option::of(usage), texts).prop_map(
        |(candidates, prompt_feedback, usage_metadata, (model_version, response_id))| GenerateContentResponse {
            candidates,
            prompt_feedback,
            usage_metadata,
            model_version,
            response_id,
            ..GenerateContentResponse::default()
        },
    )
}

/// The concatenated wire bytes of several messages, and the one message that prost merges them to.
fn joined<M: Message + Default>(messages: &[M]) -> (Vec<u8>, M) {
    let wire: Vec<u8> = messages.iter().flat_map(Message::encode_to_vec).collect();
    let message = M::decode(&wire[..]).unwrap();
    (wire, message)
}

fn estimate_of<'m>(contents: impl IntoIterator<Item = &'m Content>) -> Estimate {
    let mut sum = Estimate::default();
    let image = |mime_type: &str| u64::from(mime_type.to_ascii_lowercase().starts_with("image/"));
    for part in contents.into_iter().flat_map(|content| &content.parts) {
        let mut images = 0;
        match &part.data {
            Some(Data::Text(text)) => sum.text_bytes += text.len() as u64,
            Some(Data::InlineData(blob)) => images = image(&blob.mime_type),
            Some(Data::FileData(file)) => images = image(&file.mime_type),
            _ => {}
        }
        sum.images += images;
        sum.drafts += if part.thought { images } else { 0 };
    }
    sum
}

fn format_of(config: &GenerationConfig) -> Option<&ImageResponseFormat> {
    config.response_format.as_ref()?.image.as_ref()
}

proptest! {
    #[test]
    fn a_request_is_read_as_prost_reads_it(messages in vec(request(), 1..4)) {
        let (wire, message) = joined(&messages);
        let steps = &mut Steps::unlimited();
        let view = RequestView::read(&wire, steps).unwrap();
        prop_assert_eq!(view.model, &message.model);
        prop_assert_eq!(
            super::estimate_of_request(&wire, steps).unwrap(),
            estimate_of(message.contents.iter().chain(&message.system_instruction))
        );
        let expected = message.generation_config.as_ref().map(|config| GenerationConfigView {
            candidate_count: config.candidate_count,
            max_output_tokens: config.max_output_tokens,
            temperature: config.temperature,
            top_p: config.top_p,
            top_k: config.top_k,
            seed: config.seed,
            response_mime_type: &config.response_mime_type,
            presence_penalty: config.presence_penalty,
            frequency_penalty: config.frequency_penalty,
            response_modalities: config.response_modalities.iter().copied().collect(),
            thinking_level: config.thinking_config.as_ref().and_then(|thinking| thinking.thinking_level),
            aspect_ratio: config.image_config.as_ref().and_then(|image| image.aspect_ratio.as_deref()),
            image_size: config.image_config.as_ref().and_then(|image| image.image_size.as_deref()),
            format_aspect_ratio: format_of(config).and_then(|image| image.aspect_ratio),
            format_image_size: format_of(config).and_then(|image| image.image_size),
            schema_bytes: 0,
            additional: &[],
        });
        // NaN is not equal to itself, so the printed forms are compared.
        prop_assert_eq!(format!("{:?}", view.generation_config), format!("{expected:?}"));
    }

    #[test]
    fn a_part_in_several_fragments_is_read_as_prost_reads_it(parts in vec(part(), 1..5)) {
        let (wire, part) = joined(&parts);
        let view = PartView::read(&wire, &mut Steps::unlimited()).unwrap();
        let blob = match &part.data {
            Some(Data::InlineData(blob)) => Some((&*blob.mime_type, &blob.data[..])),
            _ => None,
        };
        prop_assert_eq!(view.inline_data().map(|blob| (blob.mime_type, blob.data)), blob);
        prop_assert_eq!(view.estimate(), estimate_of([&Content { parts: vec![part], ..Content::default() }]));
    }

    #[test]
    fn a_response_is_read_as_prost_reads_it(messages in vec(response(), 1..4)) {
        let (wire, message) = joined(&messages);
        let view = ResponseView::read(&wire, &mut Steps::unlimited()).unwrap();
        prop_assert_eq!(view.candidates, message.candidates.len());
        let reasons: Vec<i32> = message.candidates.iter().map(|candidate| candidate.finish_reason).collect();
        let ended = |reasons: &[i32]| reasons.iter().rposition(|reason| *reason != 0).map_or(0, |last| last + 1);
        let kept = &reasons[..reasons.len().min(MAX_CANDIDATES)];
        prop_assert_eq!(view.finish_reasons.as_slice(), &kept[..ended(kept)]);
        let blocked = message.prompt_feedback.as_ref().map(|feedback| feedback.block_reason);
        prop_assert_eq!(view.prompt_feedback.map(|feedback| feedback.block_reason), blocked);
        let is_blocked = blocked.is_some_and(|reason| reason != 0);
        prop_assert_eq!(view.ends.has_any(), is_blocked || ended(&reasons) > 0);
        prop_assert_eq!(view.has_parts, message.candidates.iter().any(|c| c.content.as_ref().is_some_and(|c| !c.parts.is_empty())));
        let tokens = |count: i32| u64::try_from(count).unwrap_or(0);
        let usage = message.usage_metadata.as_ref().map(|usage| UsageView {
            prompt_token_count: tokens(usage.prompt_token_count),
            candidates_token_count: tokens(usage.candidates_token_count),
            total_token_count: tokens(usage.total_token_count),
            cached_content_token_count: tokens(usage.cached_content_token_count),
            tool_use_prompt_token_count: tokens(usage.tool_use_prompt_token_count),
            thoughts_token_count: tokens(usage.thoughts_token_count),
        });
        prop_assert_eq!(view.usage_metadata, usage);
        let contents = message.candidates.iter().filter_map(|candidate| candidate.content.as_ref());
        prop_assert_eq!(view.estimate, estimate_of(contents));
        let mut metadata = MetadataView::default();
        metadata.update(&wire, &mut Steps::unlimited()).unwrap();
        prop_assert_eq!((metadata.model_version, metadata.response_id), (message.model_version, message.response_id));
    }

    #[test]
    fn bytes_that_prost_can_read_are_readable(bytes in vec(any::<u8>(), 0..40)) {
        if GenerateContentRequest::decode(&bytes[..]).is_ok() {
            prop_assert!(super::estimate_of_request(&bytes, &mut Steps::unlimited()).is_ok());
        }
        if GenerateContentResponse::decode(&bytes[..]).is_ok() {
            prop_assert!(ResponseView::read(&bytes, &mut Steps::unlimited()).is_ok());
        }
    }
}
