//! Records whether exporters succeed, and logs when that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{self, LogBatch};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::otlp::SpanExporter;

/// The longest cause of a failure in a log line, in characters.
const MAX_CAUSE: usize = 300;

/// The signals, and the bit of each.
const BITS: [(&str, u8); 3] = [("spans", 1), ("metrics", 2), ("logs", 4)];

/// Which signals cannot be exported now.
#[derive(Debug, Default)]
pub(super) struct ExportHealth(AtomicU8);

impl ExportHealth {
    /// Records the result of one export. Logs once when the first signal fails, and once when all succeed again.
    fn record(&self, signal: &'static str, endpoint: &str, bit: u8, result: &OTelSdkResult) {
        match result {
            Ok(()) if self.0.load(Ordering::Relaxed) == 0 => {}
            Ok(()) => {
                if self.0.fetch_and(!bit, Ordering::Relaxed) == bit {
                    tracing::info!("telemetry is exported again");
                }
            }
            Err(error) => {
                if self.0.fetch_or(bit, Ordering::Relaxed) == 0 {
                    let error = cause(error);
                    tracing::warn!(
                        signal,
                        endpoint,
                        error,
                        "telemetry cannot be exported; calls go on, and it is tried again"
                    );
                }
            }
        }
    }

    /// The signals whose last batch could not be sent.
    pub(super) fn failing(&self) -> impl Iterator<Item = &'static str> {
        let failing = self.0.load(Ordering::Relaxed);
        BITS.into_iter().filter(move |(_, bit)| failing & bit != 0).map(|(signal, _)| signal)
    }
}

/// The error as text, in short. The SDK leaves out what the collector answered.
fn cause(error: &OTelSdkError) -> String {
    let text = match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        other => other.to_string(),
    };
    text.chars().take(MAX_CAUSE).collect()
}

/// An exporter whose results are recorded.
#[derive(Debug)]
pub(super) struct Monitored<E> {
    exporter: E,
    signal: &'static str,
    endpoint: String,
    bit: u8,
    health: Arc<ExportHealth>,
}

impl<E> Monitored<E> {
    pub(super) fn new(exporter: E, signal: &'static str, endpoint: String, health: &Arc<ExportHealth>) -> Self {
        let bit = BITS.iter().find(|(name, _)| *name == signal).map_or(0, |(_, bit)| *bit);
        Self { exporter, signal, endpoint, bit, health: health.clone() }
    }

    fn record(&self, result: OTelSdkResult) -> OTelSdkResult {
        self.health.record(self.signal, &self.endpoint, self.bit, &result);
        result
    }
}

impl Monitored<SpanExporter> {
    /// Sends spans that are encoded as a request.
    pub(super) async fn export(&self, request: Vec<u8>) -> OTelSdkResult {
        self.record(self.exporter.export(request).await)
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Monitored<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.record(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: logs::LogExporter> logs::LogExporter for Monitored<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.record(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
