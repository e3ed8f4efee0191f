//! What was asked of the model: the GenAI CLIENT span and its metrics, from the first request to the last event.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::Span;

use super::content::Contents;
use super::ending::{self, Ending};
use super::metrics::ModelSeries;
use super::names::{self, attribute};
use super::rpc::{AskedAndAnswered, Phase, Rpc};
use super::usage::{EstimatedTokens, Tokens};
use crate::gemini::json::Response;
use crate::gemini::steps::Steps;
use crate::gemini::view::{
    FinishReasons, GenerationConfigView, MetadataView, Modalities, ModalityCounts, ResponseView, UsageDetailsView,
    UsageView,
};
use crate::pb::gemini::candidate::FinishReason;
use crate::pb::gemini::generate_content_response::prompt_feedback::BlockReason;
use crate::pb::gemini::thinking_config::ThinkingLevel;

/// A message in which the model's version and the details of usage are not found within this many fields is left out.
const MAX_ABOUT_STEPS: u64 = 10_000;

/// What is asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Without `models/`.
    pub model: &'a Arc<str>,
    pub stream: bool,
    /// The wire bytes of the `GenerateContentRequest`.
    pub request: &'a [u8],
    pub config: Option<&'a GenerationConfigView<'a>>,
}

/// What requests to upstream belong to.
#[derive(Clone, Debug)]
pub struct Parent {
    pub(super) rpc: Rpc,
    pub(super) context: SpanContext,
}

impl Parent {
    /// Requests of a call without an operation.
    pub fn of(rpc: &Rpc) -> Self {
        Self { rpc: rpc.clone(), context: rpc.0.context.clone() }
    }

    /// The id that goes to upstream with each of them.
    pub fn request_id(&self) -> &Arc<str> {
        self.rpc.request_id()
    }

    /// One of them is about to be sent, on a connection that is open (true) or has to be made first (false).
    pub fn sending(&self, connected: bool) {
        self.rpc.set_may_be_taken(connected);
    }

    /// A connection was made for one of them, or tried.
    pub fn dialed(&self) {
        self.rpc.0.telemetry.count(names::UPSTREAM_CONNECTIONS, None);
    }

    /// A request goes out once more, because of an error of this `error.type`.
    pub fn retried(&self, kind: &str) {
        // Until then upstream has none that it may take.
        self.rpc.set_may_be_taken(false);
        self.rpc.0.telemetry.count(names::RETRIES, Some(kind));
    }

    /// It does not: the retry budget is spent.
    pub fn denied(&self) {
        self.rpc.0.telemetry.count(names::RETRIES_DENIED, None);
    }
}

/// An operation. Dropped without a word of its end it was given up.
pub struct Operation {
    rpc: Rpc,
    span: Option<Box<Span>>,
    context: SpanContext,
    model: Arc<str>,
    stream: bool,
    begun: Instant,
    first_chunk: Option<Duration>,
    last_chunk: Instant,
    chunks: u64,
    /// What there is to record each chunk in.
    series: Option<Arc<ModelSeries>>,
    usage: UsageView,
    estimated: EstimatedTokens,
    images: u64,
    about: MetadataView,
    finish_reasons: FinishReasons,
    block_reason: i32,
    has_end: bool,
    /// Only if somebody wants to see it.
    contents: Option<Box<Contents>>,
    ending: Ending,
}

impl Operation {
    /// Upstream is about to be asked.
    pub fn begin(rpc: &Rpc, asked: &Asked<'_>) -> Self {
        let telemetry = &rpc.0.telemetry;
        let mut span = telemetry.child(|| format!("{} {}", names::GENERATE_CONTENT, asked.model), &rpc.0.context, 24);
        if let Some(span) = &mut span {
            span.set_attribute(KeyValue::new(attribute::OPERATION_NAME, names::GENERATE_CONTENT));
            span.set_attribute(KeyValue::new(attribute::PROVIDER_NAME, telemetry.0.settings.provider.clone()));
            span.set_attribute(KeyValue::new(attribute::REQUEST_MODEL, asked.model.clone()));
            if asked.stream {
                span.set_attribute(KeyValue::new(attribute::REQUEST_STREAM, true));
            }
            if let Some(config) = asked.config {
                describe(span, config);
            }
        }
        rpc.known().phase = Phase::Awaiting;
        // Where no span is recorded an event alone would be of somebody who wants no trace.
        let capture = telemetry.0.settings.capture.filter(|_| span.is_some());
        let context = span.as_ref().map_or_else(|| rpc.0.context.clone(), |span| span.span_context().clone());
        let begun = Instant::now();
        Self {
            rpc: rpc.clone(),
            span,
            context,
            model: asked.model.clone(),
            stream: asked.stream,
            begun,
            first_chunk: None,
            last_chunk: begun,
            chunks: 0,
            series: None,
            usage: UsageView::default(),
            estimated: EstimatedTokens::default(),
            images: 0,
            about: MetadataView::default(),
            finish_reasons: FinishReasons::default(),
            block_reason: 0,
            has_end: false,
            contents: capture.map(|capture| Box::new(Contents::of(capture, asked.request))),
            ending: Ending::default(),
        }
    }

    /// What its requests belong to.
    pub fn parent(&self) -> Parent {
        Parent { rpc: self.rpc.clone(), context: self.context.clone() }
    }

    /// A message of the answer, and what was read of it.
    pub fn chunk(&mut self, response: &Response, view: &ResponseView) {
        let Response { message, unknown_members, anomalies } = response;
        self.chunks += 1;
        let metrics = self.rpc.0.telemetry.0.metrics.as_ref();
        if let Some(metrics) = metrics {
            unknown_members.iter().for_each(|name| metrics.unknown_member(name));
            anomalies.iter().for_each(|anomaly| metrics.anomaly(anomaly));
        }
        for anomaly in anomalies {
            let (request_id, member) = (&**self.rpc.request_id(), anomaly.name());
            let (fault, count, first) = (anomaly.kind.as_str(), anomaly.count, &anomaly.first);
            tracing::debug!(request_id, member, fault, count, "a member of the answer was tolerated: {first}");
        }
        if self.first_chunk.is_none() {
            let now = Instant::now();
            let after = now - self.begun;
            (self.first_chunk, self.last_chunk) = (Some(after), now);
            self.series = metrics.map(|metrics| metrics.model(&self.model, true));
            self.rpc.known().phase = Phase::Answering;
            if let Some(series) = self.series.as_ref().filter(|_| self.stream) {
                series.first_chunk.record(after.as_secs_f64());
            }
        } else if let Some(series) = &self.series {
            let now = Instant::now();
            series.chunk.record((now - self.last_chunk).as_secs_f64());
            self.last_chunk = now;
        }
        // Each report is the sum so far.
        if let Some(usage) = view.usage_metadata {
            self.usage = usage;
        }
        self.finish_reasons.merge(&view.finish_reasons);
        if let Some(feedback) = &view.prompt_feedback {
            self.block_reason = feedback.block_reason;
        }
        self.images += view.estimate.images;
        if let Some(contents) = &mut self.contents {
            contents.saw(message);
        }
        self.has_end |= view.ends.has_any();
        // Usage may come after the end of the last candidate.
        if self.has_end {
            // Without them the operation is told all the same.
            let _ = self.about.update(message, &mut Steps::at_most(MAX_ABOUT_STEPS));
        }
    }

    /// So many tokens were not reported.
    pub fn estimated(&mut self, tokens: EstimatedTokens) {
        self.estimated = tokens;
    }

    /// It is over: well, or with an `error.type`.
    pub fn end(&mut self, error: Option<Cow<'static, str>>) {
        self.ending.set(error);
    }

    fn tell(&mut self, error: Option<Cow<'static, str>>, asked: &AskedAndAnswered, finish_reasons: &[String]) {
        let Some(span) = &mut self.span else { return };
        let (about, tokens) = (&self.about, &asked.tokens);
        for (name, value) in
            [(attribute::RESPONSE_ID, &about.response_id), (attribute::RESPONSE_MODEL, &asked.response_model)]
        {
            if !value.is_empty() {
                span.set_attribute(KeyValue::new(name, value.clone()));
            }
        }
        if !finish_reasons.is_empty() {
            let reasons = finish_reasons.iter().cloned().map(StringValue::from).collect();
            span.set_attribute(KeyValue::new(attribute::RESPONSE_FINISH_REASONS, Value::Array(Array::String(reasons))));
        }
        if let Some(reason) = asked.block_reason {
            span.set_attribute(KeyValue::new(attribute::BLOCK_REASON, reason));
        }
        if let (true, Some(after)) = (self.stream, self.first_chunk) {
            span.set_attribute(KeyValue::new(attribute::RESPONSE_TIME_TO_FIRST_CHUNK, after.as_secs_f64()));
            span.set_attribute(KeyValue::new(attribute::CHUNKS, number(self.chunks)));
        }
        if self.usage.total() > 0 {
            span.set_attribute(KeyValue::new(attribute::USAGE_INPUT_TOKENS, number(tokens.all_input())));
            span.set_attribute(KeyValue::new(attribute::USAGE_OUTPUT_TOKENS, number(tokens.all_output())));
        }
        for (name, count) in [
            (attribute::USAGE_CACHED_TOKENS, tokens.cached_input),
            (attribute::USAGE_REASONING_TOKENS, tokens.reasoning),
            (attribute::IMAGES, self.images),
        ] {
            if count > 0 {
                span.set_attribute(KeyValue::new(name, number(count)));
            }
        }
        if let Some(details) = &about.usage {
            describe_usage(span, details);
        }
        ending::end(span, error);
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let (error, elapsed, tokens) = (self.ending.take(), self.begun.elapsed(), Tokens::of(&self.usage));
        let well = error.is_none();
        let metrics = self.rpc.0.telemetry.0.metrics.as_ref();
        if let Some(metrics) = metrics {
            let series = self.series.take().unwrap_or_else(|| metrics.model(&self.model, well));
            match error.as_deref() {
                None => series.ok.record(elapsed.as_secs_f64()),
                Some(error) => metrics.failed(&series, error, elapsed.as_secs_f64()),
            }
            if self.usage.total() > 0 {
                series.input.record(tokens.all_input());
                series.output.record(tokens.all_output());
            }
            self.series = Some(series);
        }
        let label = self.series.as_ref().map_or_else(|| self.model.clone(), |series| series.label.clone());
        let reasons: Vec<_> = self.finish_reasons.as_slice().iter().map(|reason| finish_reason(*reason)).collect();
        let asked = AskedAndAnswered {
            model: self.model.clone(),
            label,
            response_model: std::mem::take(&mut self.about.model_version),
            finish_reasons: reasons.join(","),
            block_reason: block_reason(self.block_reason),
            first_chunk: self.first_chunk,
            chunks: self.chunks,
            tokens,
            estimated: self.estimated,
            images: self.images,
        };
        if let Some(contents) = self.contents.take() {
            let logger = self.rpc.0.telemetry.0.logger.as_ref();
            contents.tell(self.span.as_mut(), logger, &self.context, &asked.finish_reasons);
        }
        self.tell(error, &asked, &reasons);
        let mut known = self.rpc.known();
        known.asked = Some(asked);
        if well {
            known.phase = Phase::Sending;
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("model", &self.model).field("chunks", &self.chunks).finish_non_exhaustive()
    }
}

/// How the answer is to be made. Not the stop sequences: they are words of the caller's.
fn describe(span: &mut Span, config: &GenerationConfigView<'_>) {
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

/// What is wanted, in the words of the conventions.
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

/// Tokens by modality, as far as the conventions have a name for it.
fn describe_usage(span: &mut Span, details: &UsageDetailsView) {
    let mut told = |names: &[&'static str; 3], counts: &ModalityCounts| {
        for (name, count) in names.iter().zip([counts.text, counts.image, counts.audio]) {
            if let Some(count) = count {
                span.set_attribute(KeyValue::new(*name, i64::from(count)));
            }
        }
    };
    told(&attribute::INPUT_BY_MODALITY, &details.prompt);
    told(&attribute::CACHED_BY_MODALITY, &details.cached);
    told(&attribute::OUTPUT_BY_MODALITY, &details.candidates);
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The name in lower case, as others write it; `error` for a candidate that has not ended.
fn finish_reason(number: i32) -> String {
    match FinishReason::try_from(number) {
        Ok(FinishReason::Unspecified) => "error".to_owned(),
        Ok(reason) => reason.as_str_name().to_ascii_lowercase(),
        Err(_) => names::OTHER.to_owned(),
    }
}

fn block_reason(number: i32) -> Option<&'static str> {
    BlockReason::try_from(number).ok().filter(|reason| *reason as i32 != 0).map(|reason| reason.as_str_name())
}
