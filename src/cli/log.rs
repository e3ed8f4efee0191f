//! Sets up logging: to standard error, and to the exporters of telemetry.

mod json;

use std::io::{self, BufWriter, IsTerminal as _, Stderr, Write, stderr};
use std::panic::PanicHookInfo;
use std::thread::sleep;
use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use self::json::JsonLines;
use super::Failure;
use crate::config::{Log, LogFormat};
use crate::telemetry::{Pipelines, names};

/// Lines that wait while standard error is not read; more are dropped, and counted.
const LOG_QUEUE_LINES: usize = 10_000;
/// The pause between two writes. Lines that come in it are written together: waking a thread and writing for each line
/// takes 15 % of the processor time of a short call.
const WRITE_PAUSE: Duration = Duration::from_millis(20);
/// At most this many bytes are written together.
const WRITE_BYTES: usize = 64 << 10;

/// The log. It is written until this is dropped.
pub(super) struct Logging {
    pub(super) levels: Levels,
    pub(super) dropped: ErrorCounter,
    _guard: WorkerGuard,
}

/// Which lines are written. It can be changed at any time.
#[derive(Clone)]
pub(super) struct Levels(reload::Handle<EnvFilter, Registry>);

impl Levels {
    /// Filters lines by another filter from now on.
    pub(super) fn replace(&self, filter: EnvFilter) {
        // Fails when the log is gone, as at the end.
        let _ = self.0.reload(filter);
    }
}

/// The filter that is configured; in its file, if there is one.
pub(super) fn filter(log: &Log) -> Result<EnvFilter, crate::config::Error> {
    let (variable, text) = log.filter()?;
    let fault = |problem| crate::config::Error::Log { variable, problem };
    if text.is_empty() && log.log_filter_file.is_some() {
        return Err(fault("the file is empty".to_owned()));
    }
    // A single word would be the name of a module, so a misspelt level would silence everything.
    let is_level = |word: &&str| word.contains('=') || word.trim().parse::<LevelFilter>().is_ok();
    if let Some(word) = text.split(',').find(|word| !is_level(word)) {
        return Err(fault(format!("{word:?} is no level")));
    }
    EnvFilter::try_new(&text).map_err(|error| fault(error.to_string()))
}

pub(super) fn start(log: &Log, pipelines: &Pipelines) -> Result<Logging, Failure> {
    let filter = filter(log).map_err(|error| Failure::Usage(error.to_string()))?;
    let (filter, handle) = reload::Layer::new(filter);
    let terminal = stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    // Written by its own thread: otherwise a full pipe would stop the calls.
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_QUEUE_LINES)
        .thread_name("log")
        .finish(PacedWriter(BufWriter::with_capacity(WRITE_BYTES, stderr())));
    let dropped = writer.error_counter();
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = match human {
        true => lines.with_ansi(terminal).with_target(false).boxed(),
        false => lines.event_format(JsonLines).boxed(),
    };
    let spans = pipelines.traces().map(|traces| {
        let tracer = opentelemetry::trace::TracerProvider::tracer(traces, names::SCOPE);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("gemini_grpc")))
    });
    let exported = pipelines.logs().map(|logs| {
        // Lines about exporting are left out: they would be exported in turn.
        let is_ours = |target: &str| target.starts_with("gemini_grpc") && !target.starts_with(names::EXPORT_TARGET);
        OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(move |metadata| is_ours(metadata.target())))
    });
    // A subscriber that is set already, as in a test, is as good.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(spans).with(exported).try_init();
    std::panic::set_hook(Box::new(report_panic));
    Ok(Logging { levels: Levels(handle), dropped, _guard: guard })
}

/// Writes to standard error, with a pause after each write. The log's thread flushes whenever its queue is empty.
struct PacedWriter(BufWriter<Stderr>);

impl Write for PacedWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    // It stops the log's own thread, and no call.
    #[allow(clippy::disallowed_methods)]
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        sleep(WRITE_PAUSE);
        Ok(())
    }
}

/// Logs where it happened and not the message, which may contain a part of a prompt.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "a bug: please report this line; the call ended with INTERNAL, others go on");
}
