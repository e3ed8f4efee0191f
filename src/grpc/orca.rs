//! Load reports for clients that balance their calls by them (ORCA, gRFC A51): a stream of them, and one in the trailers
//! of each call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message as _;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::health::Health;
use crate::gateway::{Load, LoadReport, LoadSums};
use crate::pb::xds::data::orca::v3::OrcaLoadReport;
use crate::pb::xds::service::orca::v3::OrcaLoadReportRequest;
use crate::pb::xds::service::orca::v3::open_rca_service_server::{OpenRcaService, OpenRcaServiceServer};

/// The trailer with the report of a call (gRFC A51).
const TRAILER: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");
/// The least time between two reports of a stream. A client that asks for less, or for nothing, gets this.
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The most time: longer than any connection.
const MAX_REPORT_INTERVAL: Duration = Duration::from_secs(365 * 24 * 3600);

/// The service that streams load reports.
pub(super) struct LoadReports {
    load: Arc<Load>,
    /// Its end is that of all streams.
    health: Health,
}

impl LoadReports {
    pub(super) fn service(load: &Arc<Load>, health: &Health) -> OpenRcaServiceServer<Self> {
        OpenRcaServiceServer::new(Self { load: load.clone(), health: health.clone() })
    }
}

#[tonic::async_trait]
impl OpenRcaService for LoadReports {
    type StreamCoreMetricsStream = ReportStream;

    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<ReportStream>, Status> {
        let asked = request.into_inner().report_interval.and_then(|asked| Duration::try_from(asked).ok());
        let asked = asked.unwrap_or_default().clamp(MIN_REPORT_INTERVAL, MAX_REPORT_INTERVAL);
        let mut ticks = interval(asked);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let health = self.health.clone();
        let closed = Box::pin(async move { health.closed().await });
        Ok(Response::new(ReportStream { ticks, closed, load: self.load.clone(), sent: None }))
    }
}

/// A report at once, and then one after each interval.
pub(super) struct ReportStream {
    ticks: Interval,
    /// Ready when the stream would delay the shutdown.
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    load: Arc<Load>,
    /// The sums at the last report.
    sent: Option<LoadSums>,
}

impl Stream for ReportStream {
    type Item = Result<OrcaLoadReport, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(cx));
        let report = self.sent.as_ref().map_or_else(|| self.load.recent(), |sent| self.load.since(sent));
        self.sent = Some(self.load.sums());
        Poll::Ready(Some(Ok(message(report))))
    }
}

fn message(report: LoadReport) -> OrcaLoadReport {
    let LoadReport { calls_in_flight, bytes_held, calls_per_second, errors_per_second } = report;
    OrcaLoadReport {
        application_utilization: report.utilization(),
        rps_fractional: calls_per_second,
        eps: errors_per_second,
        named_metrics: [("calls_in_flight".into(), calls_in_flight), ("bytes_held".into(), bytes_held)].into(),
        ..OrcaLoadReport::default()
    }
}

/// Adds the load of the last seconds to the trailers of a call, or to the only headers of one that was refused.
pub(super) fn put(load: &Load, trailers: &mut HeaderMap) {
    // The value of a binary header is base64 without padding (gRPC over HTTP/2).
    let encoded = base64_simd::STANDARD_NO_PAD.encode_to_string(message(load.recent()).encode_to_vec());
    if let Ok(value) = HeaderValue::try_from(encoded) {
        trailers.insert(TRAILER, value);
    }
}
