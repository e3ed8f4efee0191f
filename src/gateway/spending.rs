//! What a call spends: the tokens that upstream reports, an estimate of those that it does not report, the pictures that
//! came, and what they cost.

use super::callers::Spent;
use crate::gemini::catalog::price::{Billable, Cost, Prices};
use crate::gemini::view::{Estimate, UsageView};
use crate::telemetry::EstimatedTokens;

/// A token is about 4 characters of English (ai.google.dev/gemini-api/docs/tokens), which are as many bytes.
const BYTES_PER_TOKEN: u64 = 4;
/// The tokens of an image of at most 384 pixels a side, and each tile of a larger one
/// (ai.google.dev/gemini-api/docs/tokens).
const TOKENS_PER_INPUT_IMAGE: u64 = 258;
/// The tokens of an image of up to 1024 by 1024 pixels that a model made (ai.google.dev/gemini-api/docs/pricing).
const TOKENS_PER_OUTPUT_IMAGE: u64 = 1290;

/// What one call spends, from the moment that upstream is asked.
#[derive(Debug, Default)]
pub(super) struct Spending {
    request: Estimate,
    /// Those of the model, if the catalogue has some.
    prices: Option<Prices>,
    /// The report with the largest total, and the pictures that came.
    reported: Billable,
    /// The most that it has cost. A later report may count the same tokens under a kind that costs less.
    cost: Cost,
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
    pub(super) fn of(request: Estimate, prices: Option<Prices>) -> Self {
        Self { request, prices, ..Self::default() }
    }

    /// Replaces the prices, before anything was spent.
    pub(super) fn set_prices(&mut self, prices: Option<Prices>) {
        self.prices = prices;
    }

    /// Adds a message of the response. Returns what was spent so far, if the message changes it.
    pub(super) fn add(&mut self, message: Estimate, usage: Option<UsageView>) -> Option<Spent> {
        let pictures = message.pictures();
        self.reported.images += pictures;
        let Some(report) = usage.as_ref().map(Report::of).filter(|report| report.total > 0) else {
            self.after_report += message;
            self.after_growth += message;
            return (pictures > 0).then(|| self.spent(self.reported));
        };
        if report.total >= self.reported.tokens() {
            self.reported = report.billable(self.reported.images);
        }
        self.input_reported |= report.total > report.parts_out;
        self.after_report = Estimate::default();
        let output = report.total.saturating_sub(report.parts_in);
        if output > self.output_reported {
            self.output_reported = output;
            self.after_growth = Estimate::default();
        } else {
            self.after_growth += message;
        }
        Some(self.spent(self.reported))
    }

    /// Whether a part of the response came.
    pub(super) fn has_output(&self) -> bool {
        self.reported.tokens() > 0 || self.after_growth != Estimate::default()
    }

    /// The tokens that upstream has not reported. The last report of a complete response is trusted.
    pub(super) fn unreported(&self, complete: bool) -> EstimatedTokens {
        let (input, output) = match complete {
            true => (self.reported.tokens() > 0, self.after_report),
            false => (self.input_reported, self.after_growth),
        };
        EstimatedTokens {
            input: if input { 0 } else { tokens(self.request, TOKENS_PER_INPUT_IMAGE) },
            output: tokens(output, TOKENS_PER_OUTPUT_IMAGE),
        }
    }

    /// All that the call is billed for, and what was spent, both with the estimated tokens.
    pub(super) fn total(&mut self, estimated: EstimatedTokens) -> (Billable, Spent) {
        let mut billable = self.reported;
        billable.input = billable.input.saturating_add(estimated.input);
        billable.output = billable.output.saturating_add(estimated.output);
        (billable, self.spent(billable))
    }

    /// Whether it is known what the tokens and pictures cost.
    pub(super) fn is_priced(&self) -> bool {
        self.prices.is_some()
    }

    fn spent(&mut self, billable: Billable) -> Spent {
        if let Some(prices) = &self.prices {
            self.cost = self.cost.max(prices.cost(&billable));
        }
        Spent { tokens: billable.tokens(), images: billable.images, cost: self.cost }
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
    /// The part of those in that were cached.
    cached: u64,
}

impl Report {
    fn of(usage: &UsageView) -> Self {
        let parts_in =
            usage.prompt_token_count.max(usage.cached_content_token_count) + usage.tool_use_prompt_token_count;
        let parts_out = usage.candidates_token_count + usage.thoughts_token_count;
        Self { total: usage.total(), parts_in, parts_out, cached: usage.cached_content_token_count }
    }

    /// The tokens by what they cost. What a total has beyond its parts is output: older models report no thoughts.
    fn billable(&self, images: u64) -> Billable {
        Billable {
            input: self.parts_in - self.cached,
            cached_input: self.cached,
            output: self.total - self.parts_in,
            images,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const REQUEST: Estimate = Estimate { text_bytes: 400, images: 1, drafts: 0 };

    fn text(bytes: u64) -> Estimate {
        Estimate { text_bytes: bytes, ..Estimate::default() }
    }

    fn usage(prompt: u64, candidates: u64, total: u64) -> UsageView {
        UsageView {
            prompt_token_count: prompt,
            candidates_token_count: candidates,
            total_token_count: total,
            ..UsageView::default()
        }
    }

    fn of_request() -> Spending {
        Spending::of(REQUEST, None)
    }

    /// The tokens so far, if the message changes what was spent.
    fn add(spending: &mut Spending, message: Estimate, usage: Option<UsageView>) -> Option<u64> {
        spending.add(message, usage).map(|spent| spent.tokens)
    }

    /// The estimate of input and output, and all tokens.
    fn cost(spending: &mut Spending, complete: bool) -> (u64, u64, u64) {
        let estimated = spending.unreported(complete);
        let (billable, spent) = spending.total(estimated);
        assert_eq!(billable.tokens(), spent.tokens);
        (estimated.input, estimated.output, spent.tokens)
    }

    #[test]
    fn a_call_without_a_report_costs_a_token_for_four_bytes_and_a_price_for_each_picture() {
        for nothing in [None, Some(usage(0, 0, 0))] {
            let mut spending = of_request();
            for message in [text(3), text(3), Estimate { text_bytes: 3, images: 2, drafts: 2 }] {
                assert_eq!(add(&mut spending, message, nothing), None);
            }
            for complete in [false, true] {
                assert_eq!(cost(&mut spending, complete), (100 + 258, 3 + 2 * 1290, 100 + 258 + 3 + 2 * 1290));
            }
        }
        assert_eq!(cost(&mut of_request(), false), (358, 0, 358));
    }

    #[test]
    fn what_is_reported_is_not_estimated_and_what_comes_after_it_is() {
        let mut spending = of_request();
        assert_eq!(add(&mut spending, text(40), Some(usage(90, 10, 100))), Some(100));
        assert_eq!(cost(&mut spending, false), (0, 0, 100));
        add(&mut spending, text(80), None);
        assert_eq!((cost(&mut spending, false), cost(&mut spending, true)), ((0, 20, 120), (0, 20, 120)));
        assert_eq!(add(&mut spending, text(40), Some(usage(90, 40, 130))), Some(130));
        assert_eq!((cost(&mut spending, false), cost(&mut spending, true)), ((0, 0, 130), (0, 0, 130)));
    }

    #[test]
    fn a_report_that_does_not_grow_with_the_answer_does_not_make_it_free() {
        for report in [usage(90, 0, 90), usage(90, 0, 0), usage(90, 1, 91)] {
            let mut spending = of_request();
            for _ in 0..100 {
                add(&mut spending, text(40), Some(report));
            }
            let (input, output, _) = cost(&mut spending, false);
            assert!(input == 0 && (990..=1000).contains(&output), "{report:?}");
            // Upstream's word on an answer that is complete counts.
            assert_eq!(cost(&mut spending, true).1, 0);
        }
    }

    #[test]
    fn a_total_is_at_least_the_sum_of_its_parts() {
        for (report, total) in [(usage(5000, 5000, 0), 10_000), (usage(10, 20, 40), 40)] {
            assert_eq!(add(&mut of_request(), text(1), Some(report)), Some(total), "{report:?}");
        }
    }

    #[test]
    fn a_report_that_shrinks_gives_nothing_back() {
        let mut spending = of_request();
        add(&mut spending, text(40), Some(usage(90, 10, 100)));
        assert_eq!(add(&mut spending, text(40), Some(usage(1, 1, 2))), Some(100));
        assert_eq!(cost(&mut spending, false), (0, 10, 110));
    }

    #[test]
    fn a_report_of_the_output_alone_leaves_the_input_to_be_estimated() {
        let mut spending = of_request();
        add(&mut spending, text(40), Some(usage(0, 10, 0)));
        assert_eq!((cost(&mut spending, false), cost(&mut spending, true)), ((358, 0, 368), (0, 0, 10)));
        // A total alone is both.
        let mut spending = of_request();
        add(&mut spending, text(40), Some(usage(0, 0, 100)));
        assert_eq!(cost(&mut spending, false), (0, 0, 100));
    }

    /// A hundred dollars for a million tokens in, ten if they are cached, a thousand for those out, one for a picture.
    fn priced() -> Spending {
        let text = "[[text_model]]\nids = ['m']\nprices = { input = 100, cached_input = 10, output = 1000, image = 1 }";
        let catalog = crate::gemini::catalog::Catalog::default().extended(text).unwrap();
        Spending::of(REQUEST, catalog.prices("m"))
    }

    /// In millionths of a dollar.
    fn micros(spent: Spent) -> u64 {
        spent.cost.nanos() / 1000
    }

    #[test]
    fn each_kind_of_tokens_costs_its_price() {
        let usage = UsageView {
            prompt_token_count: 10,
            cached_content_token_count: 4,
            tool_use_prompt_token_count: 5,
            candidates_token_count: 2,
            thoughts_token_count: 3,
            total_token_count: 21,
        };
        let mut spending = priced();
        let spent = spending.add(text(40), Some(usage)).unwrap();
        // One token of the total is none of its parts.
        assert_eq!((spent.tokens, micros(spent)), (21, (6 + 5) * 100 + 4 * 10 + (2 + 3 + 1) * 1000));
        let (billable, _) = spending.total(EstimatedTokens::default());
        assert_eq!(billable, Billable { input: 11, cached_input: 4, output: 6, images: 0 });
        // More tokens were cached than the prompt has: all of it was.
        let spent = priced().add(text(1), Some(UsageView { cached_content_token_count: 9, ..usage })).unwrap();
        assert_eq!(spent.tokens, 21);
    }

    #[test]
    fn pictures_count_when_they_come_and_drafts_do_not() {
        let mut spending = priced();
        let message = |images, drafts| Estimate { text_bytes: 0, images, drafts };
        assert_eq!(spending.add(message(2, 2), None), None);
        let spent = spending.add(message(2, 1), None).unwrap();
        assert_eq!((spent.images, spent.tokens, micros(spent)), (1, 0, 1_000_000));
        let spent = spending.add(message(1, 0), Some(usage(10, 20, 30))).unwrap();
        assert_eq!((spent.images, spent.tokens, micros(spent)), (2, 30, 2_000_000 + 10 * 100 + 20 * 1000));
        // They are no part of a report, so the next one takes none of them back.
        let spent = spending.add(text(1), Some(usage(10, 30, 40))).unwrap();
        assert_eq!((spent.images, spent.tokens), (2, 40));
    }

    #[test]
    fn estimates_cost_what_reports_do() {
        let mut spending = priced();
        spending.add(text(40), None);
        let estimated = spending.unreported(false);
        let (_, spent) = spending.total(estimated);
        assert_eq!((spent.tokens, micros(spent)), (358 + 10, 358 * 100 + 10 * 1000));
    }

    #[test]
    fn a_later_report_makes_nothing_cheaper_and_without_prices_all_is_free() {
        let mut spending = priced();
        let before = spending.add(text(1), Some(usage(10, 0, 10))).unwrap();
        let cached = UsageView { cached_content_token_count: 10, ..usage(10, 0, 10) };
        assert_eq!(spending.add(text(1), Some(cached)), Some(before));
        assert!(spending.is_priced() && !of_request().is_priced());
        let spent = of_request().add(text(1), Some(usage(10, 20, 30))).unwrap();
        assert_eq!((spent.tokens, micros(spent)), (30, 0));
    }
}
