//! An eye on whether exporters succeed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{self, LogBatch};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{self, SpanData};

/// A cause is told up to so many characters.
const MOST_CAUSE: usize = 300;

/// The signals.
const BITS: [(&str, u8); 3] = [("spans", 1), ("metrics", 2), ("logs", 4)];

/// Which signals cannot be exported now.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicU8);

impl Watch {
    /// Said once, when the first cannot, and once when all can again.
    fn saw(&self, signal: &'static str, endpoint: &str, bit: u8, result: &OTelSdkResult) {
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

/// What the error says, in short. The SDK leaves out what a collector has answered.
fn cause(error: &OTelSdkError) -> String {
    let text = match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        other => other.to_string(),
    };
    text.chars().take(MOST_CAUSE).collect()
}

/// An exporter whose results are watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    signal: &'static str,
    endpoint: String,
    bit: u8,
    watch: Arc<Watch>,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, signal: &'static str, endpoint: String, watch: &Arc<Watch>) -> Self {
        let bit = BITS.iter().find(|(name, _)| *name == signal).map_or(0, |(_, bit)| *bit);
        Self { exporter, signal, endpoint, bit, watch: watch.clone() }
    }

    fn saw(&self, result: OTelSdkResult) -> OTelSdkResult {
        self.watch.saw(self.signal, &self.endpoint, self.bit, &result);
        result
    }
}

impl<E: trace::SpanExporter> trace::SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.saw(self.exporter.export(metrics).await)
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

impl<E: logs::LogExporter> logs::LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
