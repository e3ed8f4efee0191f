//! Load reports for clients that balance by them (gRFC A51): a stream of them, and one in the trailers of each call.

use std::time::{Duration, Instant};

use gemini_grpc::pb::xds::data::orca::v3::OrcaLoadReport;
use gemini_grpc::pb::xds::service::orca::v3::OrcaLoadReportRequest;
use gemini_grpc::pb::xds::service::orca::v3::open_rca_service_client::OpenRcaServiceClient;
use http::HeaderMap;
use prost::Message as _;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::shares::framed;
use crate::strangers::head;
use crate::support::{Answer, Client, Gateway, Running, STOP, Upstream, body, config, event, json, prompt, sse};

/// The path of the only method.
pub const PATH: &str = "xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
const TRAILER: &str = "endpoint-load-metrics-bin";

/// A request for reports at this interval, in seconds and nanoseconds.
fn request(interval: Option<(i64, i32)>) -> OrcaLoadReportRequest {
    let report_interval = interval.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    OrcaLoadReportRequest { report_interval, request_cost_names: Vec::new() }
}

/// The reports of a gateway.
async fn reports(channel: &Channel, interval: Option<(i64, i32)>) -> Streaming<OrcaLoadReport> {
    let mut client = OpenRcaServiceClient::new(channel.clone());
    client.stream_core_metrics(request(interval)).await.unwrap().into_inner()
}

/// The first report for which this holds.
async fn report_with(
    reports: &mut Streaming<OrcaLoadReport>,
    holds: impl Fn(&OrcaLoadReport) -> bool,
) -> OrcaLoadReport {
    loop {
        let report = reports.message().await.unwrap().unwrap();
        if holds(&report) {
            return report;
        }
    }
}

fn is(value: f64, expected: f64) -> bool {
    (value - expected).abs() < 1e-9
}

#[tokio::test]
async fn a_stream_of_reports_has_the_load_of_all_workers() {
    const CALLS: usize = 6;
    let silent = Answer::silence_after(sse(event("a", false)));
    let mut answers = vec![silent; CALLS];
    answers.extend([Answer::closing(json("503 Service Unavailable", "{}")), Answer::closing(json("200 OK", STOP))]);
    let upstream = Upstream::with(answers).await;
    let flags = ["--workers", "2", "--max-calls", "12", "--retries", "0"];
    let gateway = Gateway::with(&upstream, &flags).await;
    let mut reports = reports(&gateway.channel, Some((1, 0))).await;
    let report = reports.message().await.unwrap().unwrap();
    assert_eq!((report.application_utilization, report.rps_fractional, report.eps), (0.0, 0.0, 0.0));

    let mut streams = Vec::new();
    for _ in 0..CALLS {
        let mut client = Client::new(gateway.new_channel().await);
        let mut stream = client.stream_generate_content(prompt("hi")).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    let report = report_with(&mut reports, |report| is(report.application_utilization, 0.5)).await;
    assert!(is(report.named_metrics["calls_in_flight"], 0.5), "{report:?}");
    assert!(report.named_metrics["bytes_held"] < 0.1, "{report:?}");
    assert_eq!((report.rps_fractional, report.eps), (0.0, 0.0), "no call has ended");

    // One call fails because of upstream, one because of its caller, and one succeeds.
    gateway.generate(prompt("hi")).await.unwrap_err();
    gateway.generate(gemini_grpc::pb::gemini::GenerateContentRequest::default()).await.unwrap_err();
    gateway.generate(prompt("hi")).await.unwrap();
    loop {
        // The first report of a stream covers several seconds, so all three calls are in one.
        let report = self::reports(&gateway.channel, None).await.message().await.unwrap().unwrap();
        if report.rps_fractional > 0.0 && is(report.eps, report.rps_fractional / 3.0) {
            break;
        }
    }
    drop(streams);
    upstream.wait_until_closed().await;
    report_with(&mut reports, |report| report.application_utilization == 0.0).await;
}

#[tokio::test]
async fn a_client_gets_no_more_than_one_report_in_a_second() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let mut streams = Vec::new();
    for interval in [None, Some((0, 1_000_000)), Some((-5, 0)), Some((i64::MAX, 0))] {
        let begun = Instant::now();
        let mut reports = reports(&gateway.channel, interval).await;
        reports.message().await.unwrap().unwrap();
        streams.push((interval, begun, reports));
    }
    let (_, _, mut longest) = streams.pop().unwrap();
    for (interval, begun, mut reports) in streams {
        reports.message().await.unwrap().unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1), "{interval:?}");
    }
    assert!(futures_util::FutureExt::now_or_never(longest.message()).is_none());
}

#[tokio::test]
async fn bytes_that_calls_hold_are_load_too() {
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = Gateway::with(&upstream, &["--max-bytes-held", "1000000"]).await;
    let mut reports = reports(&gateway.channel, None).await;
    let mut client = gateway.client.clone();
    let call = tokio::spawn(async move { client.generate_content(prompt(&"a".repeat(200_000))).await });
    let report = report_with(&mut reports, |report| report.named_metrics["bytes_held"] > 0.2).await;
    assert!(is(report.application_utilization, report.named_metrics["bytes_held"]), "{report:?}");
    call.abort();
}

fn in_trailers(headers: &HeaderMap) -> Option<OrcaLoadReport> {
    let bytes = base64_simd::STANDARD_NO_PAD.decode_to_vec(headers.get(TRAILER)?).unwrap();
    Some(OrcaLoadReport::decode(&bytes[..]).unwrap())
}

#[tokio::test]
async fn the_trailers_of_a_call_have_a_report_only_if_that_is_configured() {
    let upstream =
        Upstream::with([Answer::closing(json("200 OK", STOP)), Answer::closing(sse(event("a", true)))]).await;
    let on = Gateway::with(&upstream, &["--load-reports", "--max-calls", "10"]).await;
    let off = Gateway::over(&upstream).await;
    let message = framed(&prompt("hi").encode_to_vec(), false);
    for method in ["GenerateContent", "StreamGenerateContent"] {
        let trailers = on.raw_headers(method, [], body([message.clone()])).await;
        assert!(in_trailers(&trailers).is_some(), "{method}: {trailers:?}");
    }
    assert_eq!(in_trailers(&off.raw_headers("StreamGenerateContent", [], body([message.clone()])).await), None);
    // The reports are those of the stream.
    let mut reports = reports(&on.channel, None).await;
    let report = report_with(&mut reports, |report| report.rps_fractional > 0.0).await;
    assert!(report.application_utilization > 0.0, "clients ignore a report without utilization");

    // A call that fails before its first message has only headers.
    let refused = |gateway: Gateway| async move { gateway.raw_headers("GenerateContent", [], body([vec![9]])).await };
    let trailers = refused(on).await;
    let report = in_trailers(&trailers).unwrap();
    assert!(report.rps_fractional > 0.0 && trailers["grpc-status"] != "0", "{report:?}");
    assert_eq!(in_trailers(&refused(off).await), None);
}

#[tokio::test]
async fn streams_of_reports_end_with_the_drain() {
    let running = Running::start(&config(&Upstream::answering("").await, &[]));
    let mut reports = reports(&running.connect().await, Some((3600, 0))).await;
    reports.message().await.unwrap().unwrap();
    running.stop.stop();
    assert!(reports.message().await.unwrap().is_none());
    running.wait().await;
}

#[tokio::test]
async fn one_stream_of_reports_too_many_ends_the_oldest() {
    const MAX_STREAMS: usize = 4096;
    const ON_ONE_CONNECTION: usize = 95;
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--workers", "1"]).await;
    let message = framed(&request(Some((3600, 0))).encode_to_vec(), false);
    let (mut raws, mut opened) = (Vec::new(), 0);
    while opened <= MAX_STREAMS {
        let mut raw = Raw::open(gateway.running.address).await;
        let streams = ON_ONE_CONNECTION.min(MAX_STREAMS + 1 - opened);
        for stream in (1..).step_by(2).take(streams) {
            raw.send(HEADERS, END_HEADERS, stream, &head(&format!("/{PATH}"), "")).await;
            raw.send(DATA, END_STREAM, stream, &message).await;
        }
        for _ in 0..streams {
            // A response has begun, so the stream has its place.
            raw.next_of(HEADERS).await.unwrap();
        }
        opened += streams;
        raws.push(raw);
    }
    // After the headers come the trailers of the one that ended.
    assert_eq!(raws[0].next_of(HEADERS).await.unwrap().stream, 1);
    // Calls are served all the same.
    gateway.generate(prompt("hi")).await.unwrap();
}
