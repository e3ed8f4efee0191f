//! What is told of calls: the page about it has every name, and the log has what it is asked for.

use gemini_grpc::telemetry::names::{Kind, METRICS};

#[test]
fn the_page_lists_every_metric_as_the_code_has_it() {
    let page = include_str!("../../docs/telemetry.md");
    let rows: Vec<_> = METRICS
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | `{}` | {} | {} |", metric.name, metric.unit, labels.join(" "), metric.meaning)
        })
        .collect();
    let listed: Vec<_> =
        page.lines().filter(|line| line.matches(" | ").count() == 4 && line.starts_with("| `")).collect();
    assert_eq!(listed, rows, "docs/telemetry.md on the left; it should have\n{}", rows.join("\n"));
}
