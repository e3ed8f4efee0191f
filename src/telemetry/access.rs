//! The access log: one line for each call, with all that a support ticket needs.

use std::time::Duration;

use super::rpc::{AskedAndAnswered, Call, End, Known};
use super::usage::EstimatedTokens;
use crate::gemini::code::Code;
use crate::reason::Blame;

/// What lines of the access log are filtered by.
const TARGET: &str = "gemini_grpc::access";

/// Written at info, or louder if somebody has to look at it: at warn if upstream failed, at error if the gateway did.
pub(super) fn log(call: &Call, known: &Known, end: &End, elapsed: Duration) {
    let asked = known.asked.as_ref();
    macro_rules! line {
        ($level:ident) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                request_id = &*call.request_id,
                trace_id = trace_id(call),
                peer = %call.peer,
                caller = known.caller.as_deref(),
                method = call.method.label(),
                model = asked.map(|a| &*a.model),
                response_model = asked.map(|a| &*a.response_model).filter(|model| !model.is_empty()),
                code = end.code.as_str(),
                reason = end.reason.as_deref(),
                source = end.blame.map(Blame::as_str),
                seconds = elapsed.as_secs_f64(),
                first_chunk_seconds = asked.and_then(|a| a.first_chunk).map(|after| after.as_secs_f64()),
                chunks = asked.map(|a| a.chunks),
                finish_reasons = asked.map(|a| &*a.finish_reasons).filter(|reasons| !reasons.is_empty()),
                block_reason = asked.and_then(|a| a.block_reason),
                input_tokens = tokens(asked, |a| a.tokens.all_input() + a.estimated.input),
                cached_tokens = tokens(asked, |a| a.tokens.cached_input),
                output_tokens = tokens(asked, |a| a.tokens.all_output() + a.estimated.output),
                reasoning_tokens = tokens(asked, |a| a.tokens.reasoning),
                tokens_estimated = some(asked.is_some_and(|a| a.estimated != EstimatedTokens::default())),
                images = tokens(asked, |a| a.images),
                upstream_status = known.upstream_status,
                attempts = known.attempts,
                previous_attempts = some(known.previous_attempts),
                unknown_fields = some(known.unknown_fields),
                phase = (end.code != Code::Ok).then(|| known.phase.name()),
                "call"
            )
        };
    }
    match (end.code, end.blame) {
        (Code::Ok, _) | (_, Some(Blame::Caller) | None) => line!(INFO),
        (_, Some(Blame::Upstream)) => line!(WARN),
        // To be full, or about to stop, is no fault.
        (Code::Internal | Code::Unknown, _) => line!(ERROR),
        _ => line!(WARN),
    }
}

fn trace_id(call: &Call) -> Option<tracing::field::DisplayValue<opentelemetry::TraceId>> {
    call.context.is_valid().then(|| tracing::field::display(call.context.trace_id()))
}

fn tokens(asked: Option<&AskedAndAnswered>, count: impl Fn(&AskedAndAnswered) -> u64) -> Option<u64> {
    asked.map(count).filter(|count| *count > 0)
}

fn some<T: Default + PartialEq>(count: T) -> Option<T> {
    Some(count).filter(|count| *count != T::default())
}
