//! Encodes spans where they end, and exports them in batches, as the SDK's `BatchSpanProcessor` does.
//!
//! The SDK's hands each span to another thread, which has to fetch it from the caches of another core, and to free there
//! what it consists of.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::sleep;

use super::export::Monitored;
use super::otlp::encode::{self, Batch};
use super::otlp::{SpanBatches, SpanExporter};

/// The most flushes that wait for the task.
const MAX_FLUSHES: usize = 16;
/// How long a flush waits, as with the SDK.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Queues spans for a task that exports them.
pub(super) struct BatchProcessor {
    queue: Arc<Queue>,
    resource: Vec<u8>,
    flushes: mpsc::Sender<Flush>,
}

struct Queue {
    limits: SpanBatches,
    waiting: Mutex<Waiting>,
    /// Wakes the task when a batch is full.
    full: Notify,
}

#[derive(Default)]
struct Waiting {
    /// Spans are added to the last.
    batches: VecDeque<Batch>,
    /// How many all batches have.
    spans: usize,
    /// The size of the last request: the next may become as large, and need not grow step by step.
    bytes: usize,
    dropped: u64,
}

/// Asks the task to export all that waits.
struct Flush {
    /// For the result of the last batch.
    answer: SyncSender<OTelSdkResult>,
    /// Whether nothing comes after it.
    is_last: bool,
}

impl BatchProcessor {
    /// Starts the task. It ends with the runtime, or when this is shut down.
    pub(super) fn start(exporter: Monitored<SpanExporter>, mut limits: SpanBatches, runtime: &Handle) -> Self {
        limits.size = limits.size.min(limits.queue);
        let queue = Arc::new(Queue { limits, waiting: Mutex::default(), full: Notify::new() });
        let (flushes, asked) = mpsc::channel(MAX_FLUSHES);
        runtime.spawn(run(queue.clone(), exporter, asked));
        Self { queue, resource: Vec::new(), flushes }
    }

    /// Waits until all that waits now is exported.
    fn flush(&self, within: Duration, is_last: bool) -> OTelSdkResult {
        let (answer, answered) = sync_channel(1);
        self.flushes.try_send(Flush { answer, is_last }).map_err(|error| match error {
            TrySendError::Full(_) => OTelSdkError::InternalFailure("too many flushes wait".to_owned()),
            TrySendError::Closed(_) => OTelSdkError::AlreadyShutdown,
        })?;
        answered.recv_timeout(within).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(OTelSdkError::Timeout(within)),
            RecvTimeoutError::Disconnected => Err(OTelSdkError::AlreadyShutdown),
        })
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        // Encoded before the queue is locked, so that workers hardly ever wait for each other.
        let encoded = encode::span(&span);
        if self.queue.push(&encoded, &span.instrumentation_scope, &self.resource) {
            self.queue.full.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_TIMEOUT, false)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout, true)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = encode::resource(resource);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span, unless the queue is full. Whether a batch is full now.
    fn push(&self, span: &[u8], scope: &InstrumentationScope, resource: &[u8]) -> bool {
        let mut waiting = self.lock();
        if waiting.spans >= self.limits.queue {
            waiting.dropped += 1;
            return false;
        }
        waiting.spans += 1;
        // All spans are of one scope, unless a library makes some too.
        let has_room = |last: &Batch| last.spans < self.limits.size && last.scope == *scope;
        if !waiting.batches.back().is_some_and(has_room) {
            let batch = Batch::new(resource, scope, waiting.bytes);
            waiting.batches.push_back(batch);
        }
        let Some(last) = waiting.batches.back_mut() else { return false };
        last.push(span);
        last.spans == self.limits.size
    }

    /// The number of batches, or of those that nothing will be added to.
    fn count(&self, only_full: bool) -> usize {
        let waiting = self.lock();
        let is_left = |last: &Batch| only_full && last.spans < self.limits.size;
        waiting.batches.len() - usize::from(waiting.batches.back().is_some_and(is_left))
    }

    fn pop(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        let batch = waiting.batches.pop_front()?;
        waiting.spans -= batch.spans;
        Some(batch)
    }
}

/// Exports what waits whenever a batch is full, the delay is over, or a flush asks for it.
async fn run(queue: Arc<Queue>, exporter: Monitored<SpanExporter>, mut flushes: mpsc::Receiver<Flush>) {
    let mut is_dropping = false;
    loop {
        let (only_full, flush) = tokio::select! {
            () = queue.full.notified() => (true, None),
            () = sleep(queue.limits.delay) => (false, None),
            flush = flushes.recv() => match flush {
                Some(flush) => (false, Some(flush)),
                // The provider is gone.
                None => return,
            },
        };
        let mut result = Ok(());
        // Batches that begin meanwhile wait for the next time, so that this ends.
        for _ in 0..queue.count(only_full) {
            if let Some(batch) = queue.pop() {
                let request = batch.finish();
                queue.lock().bytes = request.len();
                result = exporter.export(request).await;
            }
        }
        let dropped = queue.lock().dropped;
        if dropped > 0 && !is_dropping {
            is_dropping = true;
            tracing::warn!(
                queue = queue.limits.queue,
                "spans are dropped, because they come faster than the collector takes them; \
                 OTEL_BSP_MAX_QUEUE_SIZE sets how many may wait"
            );
        }
        let Some(Flush { answer, is_last }) = flush else { continue };
        if is_last && dropped > 0 {
            tracing::warn!(dropped, "spans were dropped, because the queue of spans was full");
        }
        // Fails if nothing waits for the answer any more.
        let _ = answer.try_send(result);
        if is_last {
            return;
        }
    }
}

impl fmt::Debug for BatchProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchProcessor")
    }
}
