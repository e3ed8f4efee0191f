//! What was asked of the model: the GenAI CLIENT span and its metrics, from the first request to the last event.

mod attributes;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::trace::Span;

use self::attributes::{block_reason, describe_request, describe_response, finish_reason};
use super::attempt::end_span;
use super::call::CallSpan;
use super::content::Contents;
use super::context::UpstreamContext;
use super::facts::{CallPhase, EstimatedTokens, OperationFacts, Outcome, Tokens};
use super::metrics::ModelSeries;
use super::names::attribute;
use crate::gemini::catalog::price::Cost;
use crate::gemini::json::Response;
use crate::gemini::method::Method;
use crate::gemini::steps::Steps;
use crate::gemini::view::{FinishReasons, GenerationConfigView, MetadataView, ResponseView, UsageView};

/// The model's version and the details of usage are left out if they are not found within this many fields of a
/// message.
const MAX_METADATA_STEPS: u64 = 10_000;

/// What is asked of the model.
#[derive(Debug)]
pub struct ModelRequest<'a> {
    /// Without `models/`.
    pub model: &'a Arc<str>,
    pub method: Method,
    /// The wire bytes of the request.
    pub request: &'a [u8],
    pub config: Option<&'a GenerationConfigView<'a>>,
}

/// An operation. Dropped before `end`, it was given up.
pub struct Operation {
    call: CallSpan,
    span: Option<Box<Span>>,
    context: SpanContext,
    model: Arc<str>,
    method: Method,
    begun: Instant,
    first_chunk: Option<Duration>,
    last_chunk: Instant,
    chunks: u64,
    /// The metrics of the model, once upstream has answered for it.
    series: Option<Arc<ModelSeries>>,
    usage: UsageView,
    estimated: EstimatedTokens,
    cost: Option<Cost>,
    images: u64,
    metadata: MetadataView,
    finish_reasons: FinishReasons,
    block_reason: i32,
    has_end: bool,
    /// Only if prompts and responses are captured.
    contents: Option<Box<Contents>>,
    outcome: Option<Outcome>,
}

impl Operation {
    /// Begins when upstream is about to be asked.
    pub fn begin(call: &CallSpan, asked: &ModelRequest<'_>) -> Self {
        let telemetry = call.telemetry();
        let mut span = telemetry.child(|| [asked.method.operation(), " ", &**asked.model].concat(), call.context(), 24);
        if let Some(span) = &mut span {
            span.set_attribute(KeyValue::new(attribute::OPERATION_NAME, asked.method.operation()));
            span.set_attribute(KeyValue::new(attribute::PROVIDER_NAME, telemetry.0.settings.provider.clone()));
            span.set_attribute(KeyValue::new(attribute::REQUEST_MODEL, asked.model.clone()));
            if asked.method.is_streaming() {
                span.set_attribute(KeyValue::new(attribute::REQUEST_STREAM, true));
            }
            if let Some(config) = asked.config {
                describe_request(span, config);
            }
        }
        call.set_phase(CallPhase::Awaiting);
        // Captured only with a sampled span, because a call that is not sampled is not to be recorded.
        let capture = telemetry.0.settings.capture.filter(|_| span.is_some() && asked.method.generates());
        let context = span.as_ref().map_or_else(|| call.context().clone(), |span| span.span_context().clone());
        let begun = Instant::now();
        Self {
            call: call.clone(),
            span,
            context,
            model: asked.model.clone(),
            method: asked.method,
            begun,
            first_chunk: None,
            last_chunk: begun,
            chunks: 0,
            series: None,
            usage: UsageView::default(),
            estimated: EstimatedTokens::default(),
            cost: None,
            images: 0,
            metadata: MetadataView::default(),
            finish_reasons: FinishReasons::default(),
            block_reason: 0,
            has_end: false,
            contents: capture.map(|capture| Box::new(Contents::of(capture, asked.request))),
            outcome: None,
        }
    }

    /// What its requests to upstream share.
    pub fn upstream_context(&self) -> UpstreamContext {
        UpstreamContext { call: self.call.clone(), span: self.context.clone() }
    }

    /// Records a message of the response, and the view of it.
    pub fn chunk(&mut self, response: &Response, view: &ResponseView) {
        let Response { message, unknown_members, anomalies } = response;
        self.chunks += 1;
        let metrics = self.call.telemetry().0.metrics.as_ref();
        if let Some(metrics) = metrics {
            unknown_members.iter().for_each(|name| metrics.unknown_member(name));
            anomalies.iter().for_each(|anomaly| metrics.anomaly(anomaly));
        }
        for anomaly in anomalies {
            let (request_id, member) = (&**self.call.request_id(), anomaly.name());
            let (fault, count, first) = (anomaly.kind.as_str(), anomaly.count, &anomaly.first);
            tracing::debug!(request_id, member, fault, count, "a member of the answer was tolerated: {first}");
        }
        if self.first_chunk.is_none() {
            let now = Instant::now();
            let after = now - self.begun;
            (self.first_chunk, self.last_chunk) = (Some(after), now);
            self.series = metrics.map(|metrics| metrics.model(self.method, &self.model, true));
            self.call.set_phase(CallPhase::Answering);
            if let Some(series) = self.series.as_ref().filter(|_| self.method.is_streaming()) {
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
            contents.record(message);
        }
        self.has_end |= view.ends.has_any();
        // Usage may come after the end of the last candidate.
        if self.has_end {
            // Without them the operation is recorded all the same.
            let _ = self.metadata.update(message, &mut Steps::at_most(MAX_METADATA_STEPS));
        }
    }

    /// Sets the estimate of tokens that upstream did not report.
    pub fn estimated(&mut self, tokens: EstimatedTokens) {
        self.estimated = tokens;
    }

    /// Sets what the call cost, by the prices of the catalogue.
    pub fn cost(&mut self, cost: Cost) {
        self.cost = Some(cost);
    }

    /// The model whose response or error the caller gets; until that is known, the one that was asked for.
    pub fn model(&self) -> &Arc<str> {
        self.call.model_used().unwrap_or(&self.model)
    }

    /// Sets how it ended. Only the first outcome counts; without one it was given up.
    pub fn end(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }
}

impl Operation {
    fn record_metrics(&mut self, outcome: Outcome, tokens: Tokens) {
        let Some(metrics) = self.call.telemetry().0.metrics.as_ref() else { return };
        let (series, elapsed) = (self.series.take(), self.begun.elapsed().as_secs_f64());
        let has_answered = outcome == Outcome::Succeeded;
        let series = series.unwrap_or_else(|| metrics.model(self.method, &self.model, has_answered));
        match outcome.error() {
            None => series.ok.record(elapsed),
            Some(error) => metrics.failed(&series, error, elapsed),
        }
        if self.usage.total() > 0 {
            series.input.record(tokens.all_input());
            series.output.record(tokens.all_output());
        }
        self.series = Some(series);
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(Outcome::GivenUp);
        let tokens = Tokens::of(&self.usage);
        self.record_metrics(outcome, tokens);
        let model_used = self.call.model_used().filter(|model| **model != self.model).cloned();
        // The operator chooses the models that may be used in the place of others, so there are few.
        let label = model_used.clone().or_else(|| self.series.as_ref().map(|series| series.label.clone()));
        let reasons: Vec<_> = self.finish_reasons.as_slice().iter().map(|reason| finish_reason(*reason)).collect();
        let facts = OperationFacts {
            model: self.model.clone(),
            model_used,
            label: label.unwrap_or_else(|| self.model.clone()),
            response_model: std::mem::take(&mut self.metadata.model_version),
            finish_reasons: reasons.join(","),
            block_reason: block_reason(self.block_reason),
            first_chunk: self.first_chunk,
            chunks: self.chunks,
            tokens,
            estimated: self.estimated,
            cost: self.cost,
            images: self.images,
            outcome,
        };
        if let Some(contents) = self.contents.take() {
            let logger = self.call.telemetry().0.logger.as_ref();
            contents.emit(self.span.as_mut(), logger, &self.context, &facts.finish_reasons);
        }
        if let Some(span) = &mut self.span {
            let (is_streaming, has_usage) = (self.method.is_streaming(), self.usage.total() > 0);
            describe_response(span, is_streaming, has_usage, &mut self.metadata, &facts, reasons);
            end_span(span, outcome);
        }
        let mut call = self.call.facts();
        call.operation = Some(facts);
        if outcome == Outcome::Succeeded {
            call.phase = CallPhase::Sending;
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("model", &self.model).field("chunks", &self.chunks).finish_non_exhaustive()
    }
}
