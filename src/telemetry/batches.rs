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
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::export::Monitored;
use super::otlp::encode::{self, Batch};
use super::otlp::{SpanBatches, SpanExporter};

/// The most messages that wait for the exporter. More than a few come only if spans are flushed in a loop.
const MAX_MESSAGES: usize = 16;
/// How long a flush waits, as with the SDK.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Queues spans for a task that exports them.
pub(super) struct BatchProcessor {
    queue: Arc<Queue>,
    resource: Vec<u8>,
    messages: mpsc::Sender<Message>,
}

struct Queue {
    limits: SpanBatches,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Spans are added to the last.
    batches: VecDeque<Batch>,
    /// How many all batches have.
    spans: usize,
    /// The size of the last one that was taken: the next may become as large, and need not grow step by step.
    bytes: usize,
    dropped: u64,
}

/// What wakes the task.
enum Message {
    /// A batch is full, and shall be exported.
    Full,
    /// All that waits shall be exported. The answer is the result of the last batch.
    Flush(SyncSender<OTelSdkResult>),
    /// The same, and nothing comes after it.
    Shutdown(SyncSender<OTelSdkResult>),
}

impl BatchProcessor {
    /// Starts the task. It ends with the runtime, or when this is shut down.
    pub(super) fn start(exporter: Monitored<SpanExporter>, mut limits: SpanBatches, runtime: &Handle) -> Self {
        limits.size = limits.size.min(limits.queue);
        let queue = Arc::new(Queue { limits, waiting: Mutex::default() });
        let (messages, received) = mpsc::channel(MAX_MESSAGES);
        runtime.spawn(run(queue.clone(), exporter, received));
        Self { queue, resource: Vec::new(), messages }
    }

    /// Sends a message to the task, and waits for its answer.
    fn ask(&self, message: fn(SyncSender<OTelSdkResult>) -> Message, within: Duration) -> OTelSdkResult {
        let (answer, answered) = sync_channel(1);
        self.messages.try_send(message(answer)).map_err(|_| OTelSdkError::AlreadyShutdown)?;
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
            // If this fails, such a message waits already.
            let _ = self.messages.try_send(Message::Full);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.ask(Message::Flush, FLUSH_TIMEOUT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.ask(Message::Shutdown, timeout)
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
        waiting.bytes = batch.bytes();
        Some(batch)
    }
}

/// Exports what waits whenever a batch is full, the delay is over, or a message asks for it.
async fn run(queue: Arc<Queue>, exporter: Monitored<SpanExporter>, mut messages: mpsc::Receiver<Message>) {
    let mut is_dropping = false;
    loop {
        // After the delay there is no message.
        let message = timeout(queue.limits.delay, messages.recv()).await.ok();
        let mut result = Ok(());
        // Batches that begin meanwhile wait for the next message, so that this ends.
        for _ in 0..queue.count(matches!(message, Some(Some(Message::Full)))) {
            if let Some(batch) = queue.pop() {
                result = exporter.export(batch.finish()).await;
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
        match message {
            None | Some(Some(Message::Full)) => {}
            Some(Some(Message::Flush(answer))) => drop(answer.try_send(result)),
            Some(Some(Message::Shutdown(answer))) => {
                if dropped > 0 {
                    tracing::warn!(dropped, "spans were dropped, because the queue of spans was full");
                }
                return drop(answer.try_send(result));
            }
            // The provider is gone.
            Some(None) => return,
        }
    }
}

impl fmt::Debug for BatchProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchProcessor")
    }
}
