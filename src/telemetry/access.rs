//! The access log: one line for each call, with all that a support ticket needs.

use std::time::Duration;

use super::facts::{CallEnd, CallFacts, CallIdentity, EstimatedTokens, OperationFacts};
use super::propagation::hex;
use crate::gemini::catalog::price::Cost;
use crate::gemini::code::Code;
use crate::reason::Blame;

/// The target of the access log, to filter by.
const TARGET: &str = "gemini_grpc::access";

/// Written at warn if upstream failed or the gateway is at a limit, at error if the gateway failed, otherwise at info.
pub(super) fn log(call: &CallIdentity, facts: &CallFacts, end: &CallEnd, elapsed: Duration) {
    let operation = facts.operation.as_ref();
    let refused_model = facts.refused_model.as_deref();
    macro_rules! line {
        ($level:ident) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                message = &*summary(call.method.label(), end.code.as_str(), elapsed),
                request_id = &*call.request_id,
                trace_id = trace_id(call).as_deref(),
                peer = &*call.peer.text,
                caller = facts.caller.as_deref(),
                method = call.method.label(),
                model = operation.map(|o| &*o.model).or(refused_model),
                model_used = operation.and_then(|o| o.model_used.as_deref()),
                response_model = operation.map(|o| &*o.response_model).filter(|model| !model.is_empty()),
                code = end.code.as_str(),
                http_status = facts.http_status,
                reason = end.reason.as_deref(),
                source = end.blame.map(Blame::as_str),
                seconds = elapsed.as_secs_f64(),
                first_chunk_seconds = operation.and_then(|o| o.first_chunk).map(|after| after.as_secs_f64()),
                chunks = operation.map(|o| o.chunks),
                finish_reasons = operation.map(|o| &*o.finish_reasons).filter(|reasons| !reasons.is_empty()),
                block_reason = operation.and_then(|o| o.block_reason),
                input_tokens = count(operation, |o| o.tokens.all_input() + o.estimated.input),
                cached_tokens = count(operation, |o| o.tokens.cached_input),
                output_tokens = count(operation, |o| o.tokens.all_output() + o.estimated.output),
                reasoning_tokens = count(operation, |o| o.tokens.reasoning),
                tokens_estimated = some(operation.is_some_and(|o| o.estimated != EstimatedTokens::default())),
                images = count(operation, |o| o.images),
                cost = operation.and_then(|o| o.cost).map(Cost::dollars),
                upstream_status = facts.upstream_status,
                key = facts.key.as_deref(),
                attempts = facts.attempts,
                previous_attempts = some(facts.previous_attempts),
                unknown_fields = some(facts.unknown_fields),
                phase = (end.code != Code::Ok).then(|| facts.phase.as_str()),
            )
        };
    }
    match (end.code, end.blame) {
        (Code::Ok, _) | (_, Some(Blame::Caller) | None) => line!(INFO),
        (_, Some(Blame::Upstream)) => line!(WARN),
        // To be at a limit, or to stop, is no fault of the gateway.
        (Code::Internal | Code::Unknown, _) => line!(ERROR),
        _ => line!(WARN),
    }
}

/// The text of the line, such as `a.Service/Method OK in 0.250 s`. The formatter of std takes 1,900 instructions for it,
/// and this 500.
fn summary(method: &str, code: &str, elapsed: Duration) -> String {
    let rounded = elapsed + Duration::from_micros(500);
    let (mut seconds, mut fraction) = (itoa::Buffer::new(), itoa::Buffer::new());
    // The first digit is there only so that the others are three.
    let (seconds, fraction) = (seconds.format(rounded.as_secs()), fraction.format(1000 + rounded.subsec_millis()));
    [method, " ", code, " in ", seconds, ".", &fraction[1..], " s"].concat()
}

fn trace_id(call: &CallIdentity) -> Option<String> {
    call.context.is_valid().then(|| hex(call.context.trace_id()))
}

fn count(operation: Option<&OperationFacts>, count: impl Fn(&OperationFacts) -> u64) -> Option<u64> {
    operation.map(count).and_then(some)
}

/// The value, unless it is zero, empty or false.
fn some<T: Default + PartialEq>(value: T) -> Option<T> {
    Some(value).filter(|value| *value != T::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_time_in_milliseconds() {
        for (micros, seconds) in
            [(0, "0.000"), (7_499, "0.007"), (249_500, "0.250"), (999_600, "1.000"), (61_020_000, "61.020")]
        {
            let text = summary("a.Service/Method", "OK", Duration::from_micros(micros));
            assert_eq!(text, format!("a.Service/Method OK in {seconds} s"));
        }
    }
}
