//! The tokens of a call: those that upstream reports, and an estimate of those that it does not report.

use crate::gemini::view::{Estimate, UsageView};
use crate::telemetry::EstimatedTokens;

/// A token is about 4 characters of English (ai.google.dev/gemini-api/docs/tokens), which are as many bytes.
const BYTES_PER_TOKEN: u64 = 4;
/// The tokens of an image of at most 384 pixels a side, and each tile of a larger one
/// (ai.google.dev/gemini-api/docs/tokens).
const TOKENS_PER_INPUT_IMAGE: u64 = 258;
/// The tokens of an image of up to 1024 by 1024 pixels that a model made (ai.google.dev/gemini-api/docs/pricing).
const TOKENS_PER_OUTPUT_IMAGE: u64 = 1290;

/// The tokens of one call, from the moment that upstream is asked.
#[derive(Debug, Default)]
pub(super) struct Spending {
    request: Estimate,
    /// The largest total that upstream has reported.
    reported: u64,
    /// Whether a report counted the input.
    input_reported: bool,
    /// The most output that a report counted.
    output_reported: u64,
    /// What came after the last report.
    after_report: Estimate,
    /// What came since a report last counted more output. Gemini repeats the tokens of the prompt in each event of a
    /// stream, and some models count the output only in the last one.
    after_growth: Estimate,
}

impl Spending {
    pub(super) fn of(request: Estimate) -> Self {
        Self { request, ..Self::default() }
    }

    /// Adds a message of the response. Returns all tokens so far, if it reports them.
    pub(super) fn add(&mut self, message: Estimate, usage: Option<UsageView>) -> Option<u64> {
        let Some(report) = usage.as_ref().map(Report::of).filter(|report| report.total > 0) else {
            self.after_report += message;
            self.after_growth += message;
            return None;
        };
        self.reported = self.reported.max(report.total);
        self.input_reported |= report.total > report.parts_out;
        self.after_report = Estimate::default();
        let output = report.total.saturating_sub(report.parts_in);
        if output > self.output_reported {
            self.output_reported = output;
            self.after_growth = Estimate::default();
        } else {
            self.after_growth += message;
        }
        Some(self.reported)
    }

    /// Whether a part of the response came.
    pub(super) fn has_output(&self) -> bool {
        self.reported > 0 || self.after_growth != Estimate::default()
    }

    /// The tokens that upstream has not reported. The last report of a complete response is trusted.
    pub(super) fn unreported(&self, complete: bool) -> EstimatedTokens {
        let (input, output) = match complete {
            true => (self.reported > 0, self.after_report),
            false => (self.input_reported, self.after_growth),
        };
        EstimatedTokens {
            input: if input { 0 } else { tokens(self.request, TOKENS_PER_INPUT_IMAGE) },
            output: tokens(output, TOKENS_PER_OUTPUT_IMAGE),
        }
    }

    /// All tokens, including the estimated ones.
    pub(super) fn total(&self, estimated: EstimatedTokens) -> u64 {
        self.reported.saturating_add(estimated.input).saturating_add(estimated.output)
    }
}

fn tokens(estimate: Estimate, per_image: u64) -> u64 {
    estimate.text_bytes.div_ceil(BYTES_PER_TOKEN).saturating_add(estimate.images.saturating_mul(per_image))
}

/// The tokens that one message reports, each since the beginning of the answer.
struct Report {
    total: u64,
    parts_in: u64,
    parts_out: u64,
}

impl Report {
    fn of(usage: &UsageView) -> Self {
        let parts_in =
            usage.prompt_token_count.max(usage.cached_content_token_count) + usage.tool_use_prompt_token_count;
        let parts_out = usage.candidates_token_count + usage.thoughts_token_count;
        Self { total: usage.total(), parts_in, parts_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Estimate = Estimate { text_bytes: 400, images: 1 };

    fn text(bytes: u64) -> Estimate {
        Estimate { text_bytes: bytes, images: 0 }
    }

    fn usage(prompt: u64, candidates: u64, total: u64) -> UsageView {
        UsageView {
            prompt_token_count: prompt,
            candidates_token_count: candidates,
            total_token_count: total,
            ..UsageView::default()
        }
    }

    /// The estimate of input and output, and all tokens.
    fn cost(spending: &Spending, complete: bool) -> (u64, u64, u64) {
        let estimated = spending.unreported(complete);
        (estimated.input, estimated.output, spending.total(estimated))
    }

    #[test]
    fn a_call_without_a_report_costs_a_token_for_four_bytes_and_a_price_for_each_picture() {
        for nothing in [None, Some(usage(0, 0, 0))] {
            let mut spending = Spending::of(REQUEST);
            for message in [text(3), text(3), Estimate { text_bytes: 3, images: 2 }] {
                assert_eq!(spending.add(message, nothing), None);
            }
            for complete in [false, true] {
                assert_eq!(cost(&spending, complete), (100 + 258, 3 + 2 * 1290, 100 + 258 + 3 + 2 * 1290));
            }
        }
        assert_eq!(cost(&Spending::of(REQUEST), false), (358, 0, 358));
    }

    #[test]
    fn what_is_reported_is_not_estimated_and_what_comes_after_it_is() {
        let mut spending = Spending::of(REQUEST);
        assert_eq!(spending.add(text(40), Some(usage(90, 10, 100))), Some(100));
        assert_eq!(cost(&spending, false), (0, 0, 100));
        spending.add(text(80), None);
        assert_eq!((cost(&spending, false), cost(&spending, true)), ((0, 20, 120), (0, 20, 120)));
        assert_eq!(spending.add(text(40), Some(usage(90, 40, 130))), Some(130));
        assert_eq!((cost(&spending, false), cost(&spending, true)), ((0, 0, 130), (0, 0, 130)));
    }

    #[test]
    fn a_report_that_does_not_grow_with_the_answer_does_not_make_it_free() {
        for report in [usage(90, 0, 90), usage(90, 0, 0), usage(90, 1, 91)] {
            let mut spending = Spending::of(REQUEST);
            for _ in 0..100 {
                spending.add(text(40), Some(report));
            }
            let (input, output, _) = cost(&spending, false);
            assert!(input == 0 && (990..=1000).contains(&output), "{report:?}");
            // Upstream's word on an answer that is complete counts.
            assert_eq!(cost(&spending, true).1, 0);
        }
    }

    #[test]
    fn a_total_is_at_least_the_sum_of_its_parts() {
        for (report, total) in [(usage(5000, 5000, 0), 10_000), (usage(10, 20, 40), 40)] {
            assert_eq!(Spending::of(REQUEST).add(text(1), Some(report)), Some(total), "{report:?}");
        }
    }

    #[test]
    fn a_report_that_shrinks_gives_nothing_back() {
        let mut spending = Spending::of(REQUEST);
        spending.add(text(40), Some(usage(90, 10, 100)));
        assert_eq!(spending.add(text(40), Some(usage(1, 1, 2))), Some(100));
        assert_eq!(cost(&spending, false), (0, 10, 110));
    }

    #[test]
    fn a_report_of_the_output_alone_leaves_the_input_to_be_estimated() {
        let mut spending = Spending::of(REQUEST);
        spending.add(text(40), Some(usage(0, 10, 0)));
        assert_eq!((cost(&spending, false), cost(&spending, true)), ((358, 0, 368), (0, 0, 10)));
        // A total alone is both.
        let mut spending = Spending::of(REQUEST);
        spending.add(text(40), Some(usage(0, 0, 100)));
        assert_eq!(cost(&spending, false), (0, 0, 100));
    }
}
