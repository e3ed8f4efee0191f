//! Shows the usage of callers as tables, or as sentences where a table does not fit.

use serde::Deserialize;

use crate::cli::print::bold;

/// What a caller has used, as the gateway's JSON has it.
#[derive(Debug, Deserialize)]
pub(super) struct Caller {
    caller: String,
    calls_in_flight: u64,
    limits: Vec<Limit>,
    models: Vec<Model>,
}

/// How much of a limit is used.
#[derive(Debug, Deserialize)]
struct Limit {
    limit: String,
    allowed: f64,
    used: f64,
    left: f64,
    resets_at: Option<String>,
}

/// What was used of a model.
#[derive(Debug, Deserialize)]
struct Model {
    model: String,
    day: Amounts,
    month: Amounts,
}

/// What was used in a window.
#[derive(Debug, Deserialize)]
struct Amounts {
    calls: f64,
    input_tokens: f64,
    cached_input_tokens: f64,
    output_tokens: f64,
    images: f64,
    cost: f64,
}

/// Whose figures these are.
pub(super) fn head(source: &str, store_is_away: bool, since: &str) -> String {
    let since = time(since);
    match source {
        _ if store_is_away => {
            format!("The store of limits does not answer: the figures are those of this process, since {since}.\n")
        }
        "all pods" => "All pods that share their limits. Calls in flight are those of this one.\n".to_owned(),
        _ => format!("This process, since {since}.\n"),
    }
}

/// A caller, in lines of at most `width` characters if there is one.
pub(super) fn caller(caller: &Caller, width: Option<usize>) -> String {
    let calls = calls(caller.calls_in_flight == 1);
    let mut text = format!("\n{}: {} {calls} in flight\n", bold(&caller.caller), caller.calls_in_flight);
    if !caller.limits.is_empty() {
        let table = table(limit_rows(&caller.limits), &[1, 2, 3]);
        text += &fitting(table, width, || caller.limits.iter().map(limit_sentence).collect());
    }
    if caller.models.is_empty() {
        return text + "  no calls this month\n";
    }
    if !caller.limits.is_empty() {
        text.push('\n');
    }
    let table = table(model_rows(&caller.models), &[2, 3, 4, 5, 6, 7]);
    text + &fitting(table, width, || caller.models.iter().flat_map(model_sentences).collect())
}

fn limit_rows(limits: &[Limit]) -> Vec<Vec<String>> {
    let head = ["limit", "used", "of", "left", "resets"].map(str::to_owned).to_vec();
    let rows = limits.iter().map(|limit| {
        let amount = |number| limit.amount(number);
        let resets = limit.resets_at.as_deref().map_or_else(|| "refills all the time".to_owned(), time);
        vec![limit.limit.clone(), amount(limit.used), amount(limit.allowed), amount(limit.left), resets]
    });
    std::iter::once(head).chain(rows).collect()
}

fn limit_sentence(limit: &Limit) -> String {
    let [used, allowed, left] = [limit.used, limit.allowed, limit.left].map(|number| limit.amount(number));
    let resets = limit.resets_at.as_deref().map(|at| format!(", resets {}", time(at))).unwrap_or_default();
    format!("{}: {used} of {allowed} used, {left} left{resets}", limit.limit)
}

fn model_rows(models: &[Model]) -> Vec<Vec<String>> {
    let head = ["model", "", "calls", "tokens in", "cached", "tokens out", "images", "cost"];
    let rows = models.iter().flat_map(|model| {
        [(&model.model[..], "today", &model.day), ("", "month", &model.month)].map(|(name, window, amounts)| {
            let counts = [
                amounts.calls,
                amounts.input_tokens,
                amounts.cached_input_tokens,
                amounts.output_tokens,
                amounts.images,
            ];
            let names = [name, window].map(str::to_owned);
            names.into_iter().chain(counts.map(count)).chain([dollars(amounts.cost)]).collect()
        })
    });
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn model_sentences(model: &Model) -> Vec<String> {
    let sentence = |window: &str, amounts: &Amounts| {
        format!(
            "  {window}: {} {}, {} tokens in ({} cached), {} out, {} images, {}",
            count(amounts.calls),
            calls(amounts.calls == 1.0),
            count(amounts.input_tokens),
            count(amounts.cached_input_tokens),
            count(amounts.output_tokens),
            count(amounts.images),
            dollars(amounts.cost)
        )
    };
    vec![model.model.clone(), sentence("today", &model.day), sentence("month", &model.month)]
}

fn calls(is_one: bool) -> &'static str {
    if is_one { "call" } else { "calls" }
}

impl Limit {
    fn amount(&self, number: f64) -> String {
        if self.limit.starts_with("cost") { dollars(number) } else { count(number) }
    }
}

/// The table, or these sentences if one of its lines is too long.
fn fitting(table: Vec<String>, width: Option<usize>, sentences: impl FnOnce() -> Vec<String>) -> String {
    let fits = width.is_none_or(|width| table.iter().all(|line| line.chars().count() + 2 <= width));
    let lines = if fits { table } else { sentences() };
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Lines of aligned columns, those with these numbers to the right.
fn table(rows: Vec<Vec<String>>, right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or_default())
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A time that RFC 3339 writes, in minutes.
fn time(text: &str) -> String {
    match text.get(..16) {
        Some(minute) if text.ends_with('Z') => format!("{} UTC", minute.replace('T', " ")),
        _ => text.to_owned(),
    }
}

/// A whole number with commas between thousands.
fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Dollars in cents, and an amount of less than a dollar in hundredths of a cent.
fn dollars(amount: f64) -> String {
    let decimals = if amount > 0.0 && amount < 1.0 { 4 } else { 2 };
    if amount > 0.0 && amount < 0.00005 {
        return "<$0.0001".to_owned();
    }
    let text = format!("{amount:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("${}.{fraction}", count(whole.parse().unwrap_or_default()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn team() -> Caller {
        let json = r#"{"caller":"team-a","calls_in_flight":1,
            "limits":[{"limit":"calls_per_minute","allowed":600,"used":12,"left":588},
                {"limit":"cost_per_day","allowed":1250.0,"used":0.0123,"left":1249.9877,"resets_at":"2026-12-01T00:00:00Z"}],
            "models":[{"model":"gemini-2.5-flash",
                "day":{"calls":2,"input_tokens":12345,"cached_input_tokens":0,"output_tokens":99,"images":0,"cost":0.0123},
                "month":{"calls":1234567,"input_tokens":1000,"cached_input_tokens":10,"output_tokens":999,"images":3,"cost":2.5}}]}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_aligned_in_tables() {
        let expected = "
team-a: 1 call in flight
  limit                used         of       left  resets
  calls_per_minute       12        600        588  refills all the time
  cost_per_day      $0.0123  $1,250.00  $1,249.99  2026-12-01 00:00 UTC

  model                        calls  tokens in  cached  tokens out  images     cost
  gemini-2.5-flash  today          2     12,345       0          99       0  $0.0123
                    month  1,234,567      1,000      10         999       3    $2.50
";
        for width in [None, Some(84)] {
            assert_eq!(caller(&team(), width), expected);
        }
    }

    #[test]
    fn a_narrow_terminal_gets_sentences() {
        let shown = caller(&team(), Some(60));
        let sentence = "  cost_per_day: $0.0123 of $1,250.00 used, $1,249.99 left, resets 2026-12-01 00:00 UTC\n";
        assert!(shown.contains(sentence), "{shown}");
        let sentence = "    month: 1,234,567 calls, 1,000 tokens in (10 cached), 999 out, 3 images, $2.50\n";
        assert!(shown.contains("  gemini-2.5-flash\n") && shown.contains(sentence), "{shown}");
    }

    #[test]
    fn the_head_says_whose_figures_these_are() {
        let since = "2026-11-30T03:11:59Z";
        assert_eq!(head("this process", false, since), "This process, since 2026-11-30 03:11 UTC.\n");
        assert!(head("all pods", false, since).starts_with("All pods"));
        let away = head("this process", true, since);
        assert!(away.contains("does not answer") && away.contains("this process, since"), "{away}");
    }

    #[test]
    fn small_amounts_are_not_shown_as_nothing() {
        let shown = [0.0, 0.000_001, 0.0001, 0.999_99, 1.0, 999.999, 1_234_567.0].map(dollars);
        assert_eq!(shown, ["$0.00", "<$0.0001", "$0.0001", "$1.0000", "$1.00", "$1,000.00", "$1,234,567.00"]);
    }
}
