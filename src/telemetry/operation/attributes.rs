//! The attributes of an operation's span, in the words of the GenAI conventions.

use std::borrow::Cow;

use opentelemetry::trace::Span as _;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::Span;

use crate::gemini::view::{GenerationConfigView, MetadataView, Modalities, ModalityCounts, UsageDetailsView};
use crate::pb::gemini::candidate::FinishReason;
use crate::pb::gemini::generate_content_response::prompt_feedback::BlockReason;
use crate::pb::gemini::thinking_config::ThinkingLevel;
use crate::telemetry::facts::OperationFacts;
use crate::telemetry::names::{self, attribute};

/// Sets how the response is to be made. Stop sequences are left out, because they are the caller's own texts.
pub(super) fn describe_request(span: &mut Span, config: &GenerationConfigView<'_>) {
    let float = |value: Option<f32>| value.map(|value| Value::F64(f64::from(value)));
    let int = |value: Option<i32>| value.map(|value| Value::I64(i64::from(value)));
    let level = config.thinking_level.and_then(|level| ThinkingLevel::try_from(level).ok());
    for (name, value) in [
        (attribute::REQUEST_TEMPERATURE, float(config.temperature)),
        (attribute::REQUEST_TOP_P, float(config.top_p)),
        (attribute::REQUEST_TOP_K, int(config.top_k)),
        (attribute::REQUEST_MAX_TOKENS, int(config.max_output_tokens)),
        (attribute::REQUEST_SEED, int(config.seed)),
        (attribute::REQUEST_CHOICE_COUNT, int(config.candidate_count.filter(|count| *count != 1))),
        (attribute::REQUEST_PRESENCE_PENALTY, float(config.presence_penalty)),
        (attribute::REQUEST_FREQUENCY_PENALTY, float(config.frequency_penalty)),
        (attribute::REQUEST_REASONING_LEVEL, level.map(|level| Value::from(level.as_str_name()))),
        (attribute::OUTPUT_TYPE, output_type(config).map(Value::from)),
    ] {
        if let Some(value) = value {
            span.set_attribute(KeyValue::new(name, value));
        }
    }
}

/// Sets what is known of the response at its end.
pub(super) fn describe_response(
    span: &mut Span,
    is_streaming: bool,
    has_usage: bool,
    metadata: &mut MetadataView,
    facts: &OperationFacts,
    finish_reasons: Vec<Cow<'static, str>>,
) {
    for (name, value) in [
        (attribute::RESPONSE_ID, std::mem::take(&mut metadata.response_id)),
        (attribute::RESPONSE_MODEL, facts.response_model.clone()),
    ] {
        if !value.is_empty() {
            span.set_attribute(KeyValue::new(name, value));
        }
    }
    if let Some(model) = &facts.model_used {
        span.set_attribute(KeyValue::new(attribute::MODEL_USED, model.clone()));
    }
    if !finish_reasons.is_empty() {
        let reasons = finish_reasons.into_iter().map(StringValue::from).collect();
        span.set_attribute(KeyValue::new(attribute::RESPONSE_FINISH_REASONS, Value::Array(Array::String(reasons))));
    }
    if let Some(reason) = facts.block_reason {
        span.set_attribute(KeyValue::new(attribute::BLOCK_REASON, reason));
    }
    if let (true, Some(after)) = (is_streaming, facts.first_chunk) {
        span.set_attribute(KeyValue::new(attribute::RESPONSE_TIME_TO_FIRST_CHUNK, after.as_secs_f64()));
        span.set_attribute(KeyValue::new(attribute::CHUNKS, number(facts.chunks)));
    }
    let tokens = &facts.tokens;
    if has_usage {
        span.set_attribute(KeyValue::new(attribute::USAGE_INPUT_TOKENS, number(tokens.all_input())));
        span.set_attribute(KeyValue::new(attribute::USAGE_OUTPUT_TOKENS, number(tokens.all_output())));
    }
    for (name, count) in [
        (attribute::USAGE_CACHED_TOKENS, tokens.cached_input),
        (attribute::USAGE_REASONING_TOKENS, tokens.reasoning),
        (attribute::IMAGES, facts.images),
    ] {
        if count > 0 {
            span.set_attribute(KeyValue::new(name, number(count)));
        }
    }
    if let Some(cost) = facts.cost {
        span.set_attribute(KeyValue::new(attribute::COST, cost.dollars()));
    }
    if let Some(details) = &metadata.usage {
        describe_usage(span, details);
    }
}

/// `gen_ai.output.type`.
fn output_type(config: &GenerationConfigView<'_>) -> Option<&'static str> {
    let wants = |modality: i32| config.response_modalities.contains(modality);
    match config.response_mime_type {
        _ if wants(Modalities::IMAGE) => Some("image"),
        _ if wants(Modalities::AUDIO) => Some("speech"),
        "application/json" => Some("json"),
        "text/plain" => Some("text"),
        _ if wants(Modalities::TEXT) => Some("text"),
        _ => None,
    }
}

/// Sets tokens by modality, for the modalities that the conventions have a name for.
fn describe_usage(span: &mut Span, details: &UsageDetailsView) {
    let mut set = |names: &[&'static str; 3], counts: &ModalityCounts| {
        for (name, count) in names.iter().zip([counts.text, counts.image, counts.audio]) {
            if let Some(count) = count {
                span.set_attribute(KeyValue::new(*name, i64::from(count)));
            }
        }
    };
    set(&attribute::INPUT_BY_MODALITY, &details.prompt);
    set(&attribute::CACHED_BY_MODALITY, &details.cached);
    set(&attribute::OUTPUT_BY_MODALITY, &details.candidates);
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The name in lower case, as the conventions write it; `error` for a candidate that has not ended.
pub(super) fn finish_reason(number: i32) -> Cow<'static, str> {
    match FinishReason::try_from(number) {
        Ok(FinishReason::Unspecified) => "error".into(),
        // The reason of nearly all responses.
        Ok(FinishReason::Stop) => "stop".into(),
        Ok(reason) => reason.as_str_name().to_ascii_lowercase().into(),
        Err(_) => names::OTHER.into(),
    }
}

/// Why upstream blocked the prompt, if it did.
pub(super) fn block_reason(number: i32) -> Option<&'static str> {
    BlockReason::try_from(number).ok().filter(|reason| *reason as i32 != 0).map(|reason| reason.as_str_name())
}
