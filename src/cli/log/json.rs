//! Formats log lines as JSON objects.
//!
//! They are the same as those of `tracing_subscriber::fmt::format::Json` with flattened events. That format passes each
//! name and each value through serde and a formatter, which is a fifth of all instructions of a short call.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::gateway::callers::Rfc3339;

/// The first capacity of a line, in bytes: the access log has lines of 500 to 900.
const LINE_BYTES: usize = 1 << 10;

/// Lines with a time in UTC and microseconds, the level, the fields of the event and its target.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Line(String::with_capacity(LINE_BYTES));
        line.0.push_str("{\"timestamp\":\"");
        push_now(&mut line.0);
        line.0.push('"');
        line.text("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.text("target", event.metadata().target());
        line.0.push_str("}\n");
        writer.write_str(&line.0)
    }
}

/// The beginning of an object, without its closing brace.
struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    /// A value that needs no quotes.
    fn bare(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":\"");
        push_escaped(&mut self.0, value);
        self.0.push('"');
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinite numbers.
        let mut buffer = ryu::Buffer::new();
        self.bare(field, if value.is_finite() { buffer.format_finite(value) } else { "null" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field.name());
        self.0.push('"');
        // A value whose formatting fails is cut there.
        let _ = write!(Escaped(&mut self.0), "{value:?}");
        self.0.push('"');
    }
}

/// Escapes what is written into a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

/// Few lines have anything to escape, and those may take longer.
fn push_escaped(out: &mut String, text: &str) {
    // Without an early end, so that the compiler looks at 16 bytes at a time.
    if text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\')) {
        let quoted = serde_json::Value::from(text).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    } else {
        out.push_str(text);
    }
}

/// The time in RFC 3339, such as `2026-11-30T10:43:39.095000Z`. All but the fraction is formatted once a second.
fn push_now(out: &mut String) {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_secs() || text.is_empty() {
            *second = now.as_secs();
            *text = Rfc3339(*second).to_string();
        }
        out.push_str(text.trim_end_matches('Z'));
    });
    // The first digit is there only so that the others are six.
    out.push('.');
    out.push_str(&itoa::Buffer::new().format(1_000_000 + now.subsec_micros())[1..]);
    out.push('Z');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer, fmt};

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of an output, without their times.
    fn lines(output: &Output) -> Vec<String> {
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let line = |line: &str| {
            let (time, rest) = line.strip_prefix("{\"timestamp\":\"").unwrap().split_once('"').unwrap();
            assert_eq!(time.len(), "2026-11-30T10:43:39.095000Z".len(), "{time}");
            assert!(time.ends_with('Z') && serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
            rest.to_owned()
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn lines_are_those_of_the_format_of_tracing() {
        let (ours, theirs) = (Output::default(), Output::default());
        let [own, other] = [&ours, &theirs].map(|output| {
            let output = output.clone();
            move || output.clone()
        });
        let json = fmt::layer().with_writer(other).json().flatten_event(true);
        let json = json.with_current_span(false).with_span_list(false).boxed();
        let layers =
            tracing_subscriber::registry().with(json).with(fmt::layer().with_writer(own).event_format(JsonLines));
        let escaped = "a \"quote\", a \\ and\na line\tof \u{1} \u{7f} \u{e9}\u{1f600}";
        tracing::subscriber::with_default(layers, || {
            tracing::info!("nothing else");
            tracing::warn!(name = "text", escaped, empty = "", "{escaped} and {}", 7);
            tracing::error!(
                count = 7_u64,
                less = -7_i64,
                yes = true,
                no = false,
                none = None::<u64>,
                some = Some(8_u64)
            );
            tracing::info!(
                whole = 5.0,
                small = 1.5e-9,
                large = 123_456_789.25,
                nan = f64::NAN,
                infinite = f64::INFINITY
            );
            tracing::info!(display = %"a \"b\"", debug = ?Some("c"), r#type = "raw", "dotted.name" = 1_u64, "a {{brace}}");
            let cause: Box<dyn std::error::Error> = "a cause".into();
            tracing::debug!(target: "gemini_grpc::access", cause = &*cause, "with a target");
        });
        let (ours, theirs) = (lines(&ours), lines(&theirs));
        assert_eq!(ours.len(), 6);
        assert_eq!(ours, theirs);
    }
}
