//! Pipelines against a collector in this process.

#![allow(clippy::unwrap_used, clippy::panic)]

/// A collector that keeps what it is sent.
#[cfg(test)]
mod collector;

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use self::collector::{Collector, Request};
use super::*;
use crate::telemetry::{OtlpTls, Protocol, SpanBatches};

/// Far more than anything here takes.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(60);
/// Later than any test ends.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

fn config(url: &str, protocol: Protocol, tls: &OtlpTls) -> Config {
    let otlp = |path: &str| {
        let url = format!("{url}{}", if protocol == Protocol::Http { path } else { "" });
        Exporters {
            otlp: Some(Otlp {
                protocol,
                url,
                timeout: EXPORT_TIMEOUT,
                tls: tls.clone(),
                headers: HeaderMap::new(),
                gzip: false,
                batches: SpanBatches::default(),
            }),
            ..Exporters::default()
        }
    };
    Config { traces: otlp("/v1/traces"), metrics: otlp("/v1/metrics"), logs: otlp("/v1/logs"), ..Config::default() }
}

fn record_spans(pipelines: &Pipelines, count: usize) {
    (0..count).for_each(|_| drop(pipelines.traces.as_ref().unwrap().tracer("test").start("a-span")));
}

/// Records something of each kind.
fn record(pipelines: &Pipelines) {
    record_spans(pipelines, 1);
    let meter = pipelines.metrics.as_ref().unwrap().meter("test");
    meter.u64_counter("a.counter").build().add(1, &[KeyValue::new("a.label", "a-value")]);
    let logger = pipelines.logs.as_ref().unwrap().logger("test");
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from("a-line"));
    logger.emit(record);
}

/// What `collector` got once everything was exported.
fn sent(collector: Collector, protocol: Protocol, tls: &OtlpTls) -> Vec<Request> {
    let pipelines = Pipelines::start(&config(&collector.url, protocol, tls)).unwrap();
    record(&pipelines);
    pipelines.shutdown(EXPORT_TIMEOUT);
    collector.received()
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_all_came(received: &[Request], protocol: Protocol) {
    for (signal, service, text) in [
        ("traces", "trace.v1.TraceService", "a-span"),
        ("metrics", "metrics.v1.MetricsService", "a.counter"),
        ("logs", "logs.v1.LogsService", "a-line"),
    ] {
        let path = match protocol {
            Protocol::Grpc => format!("/opentelemetry.proto.collector.{service}/Export"),
            Protocol::Http => format!("/v1/{signal}"),
        };
        let came = received.iter().find(|request| request.path == path);
        let Request { headers, body, .. } = came.unwrap_or_else(|| panic!("nothing came at {path}, but {received:?}"));
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with(concat!("OTel-OTLP-Exporter-Rust/", "0.33.1")), "{path}: {agent}");
        assert!(contains(body, text) && contains(body, "gemini-grpc"), "{path}");
        assert!(contains(body, "service.instance.id") && contains(body, env!("CARGO_PKG_VERSION")), "{path}");
    }
}

#[test]
fn every_signal_reaches_a_collector_over_either_protocol() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let received = sent(Collector::start(protocol, None), protocol, &OtlpTls::default());
        assert_all_came(&received, protocol);
    }
}

#[test]
fn a_collector_with_a_certificate_of_an_authority_of_our_own_is_trusted_and_shown_ours() {
    let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem().into_bytes();
    let issuer = Issuer::new(params, key);
    let issue = || {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let (params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        (params.signed_by(&key, &issuer).unwrap().pem().into_bytes(), key.serialize_pem().into_bytes())
    };
    let (theirs, ours) = (issue(), issue());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let collector = || Collector::start(protocol, Some((&ca, &theirs)));
        let tls = OtlpTls { authorities: Some(ca.clone()), identity: Some(ours.clone()), ..OtlpTls::default() };
        assert_all_came(&sent(collector(), protocol, &tls), protocol);
    }
}

#[test]
fn spans_are_sent_with_headers_and_compressed_if_that_is_configured() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let collector = Collector::start(protocol, None);
        let mut config = config(&collector.url, protocol, &OtlpTls::default());
        let otlp = config.traces.otlp.as_mut().unwrap();
        (otlp.gzip, otlp.headers) =
            (true, HeaderMap::from_iter([("x-api-key".parse().unwrap(), "a-key".parse().unwrap())]));
        let pipelines = Pipelines::start(&config).unwrap();
        record(&pipelines);
        pipelines.shutdown(EXPORT_TIMEOUT);
        let received = collector.received();
        let with_key = received.iter().filter(|request| request.headers.contains_key("x-api-key"));
        let [Request { headers, body, .. }] = &with_key.collect::<Vec<_>>()[..] else { panic!("{received:?}") };
        let (encoding, media_type, packed) = match protocol {
            // A message of gRPC begins with a flag and its length.
            Protocol::Grpc => ("grpc-encoding", "application/grpc", &body[5..]),
            Protocol::Http => ("content-encoding", "application/x-protobuf", &body[..]),
        };
        assert_eq!(headers["x-api-key"], "a-key");
        assert_eq!(
            (headers[encoding].as_bytes(), headers["content-type"].to_str().unwrap()),
            (&b"gzip"[..], media_type)
        );
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
        assert!(contains(&unpacked, "a-span"));
    }
}

/// Pipelines that only spans go through, in these batches.
fn of_spans(collector: &Collector, protocol: Protocol, batches: SpanBatches) -> Pipelines {
    let mut traces = config(&collector.url, protocol, &OtlpTls::default()).traces;
    traces.otlp.as_mut().unwrap().batches = batches;
    Pipelines::start(&Config { traces, ..Config::default() }).unwrap()
}

/// The scope of each request, and the number of its spans.
fn scopes_of(requests: &[Request]) -> Vec<(String, usize)> {
    let scope = |Request { body, .. }: &Request| {
        let mut request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let of_scope = request.resource_spans.remove(0).scope_spans.remove(0);
        (of_scope.scope.unwrap().name, of_scope.spans.len())
    };
    requests.iter().map(scope).collect()
}

/// The number of spans in each request.
fn spans_of(requests: &[Request]) -> Vec<usize> {
    scopes_of(requests).into_iter().map(|(_, spans)| spans).collect()
}

/// How many spans each request has if this number is recorded, and the shutdown asked for, before the task of a processor
/// runs; and what is logged meanwhile.
fn exported_at_shutdown(count: usize, batches: SpanBatches, requests: usize) -> (Vec<usize>, String) {
    let collector = Collector::start(Protocol::Http, None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let otlp = config(&collector.url, Protocol::Http, &OtlpTls::default()).traces.otlp.unwrap();
    let exporter = otlp.spans(runtime.handle()).unwrap();
    let exporter = Monitored::new(exporter, "spans", otlp.shown(), &Arc::default());
    let processor = BatchProcessor::start(exporter, batches, runtime.handle());
    let traces = SdkTracerProvider::builder().with_span_processor(processor).build();
    (0..count).for_each(|_| drop(traces.tracer("test").start("a-span")));
    let log = Log::default();
    let _guard = log.of_this_thread();
    let asked = traces.shutdown_with_timeout(Duration::ZERO);
    assert!(format!("{asked:?}").contains("Timeout"), "{asked:?}");
    let until = async {
        let is_done = || {
            collector.received().len() == requests && (batches.queue >= count || log.text().contains("were dropped"))
        };
        while !is_done() {
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async { tokio::time::timeout(EXPORT_TIMEOUT, until).await.unwrap() });
    (spans_of(&collector.received()), log.text())
}

#[test]
fn spans_are_sent_again_to_a_collector_that_was_unavailable() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let collector = Collector::unavailable(2, protocol, None);
        let pipelines = of_spans(&collector, protocol, SpanBatches::default());
        record_spans(&pipelines, 1);
        pipelines.shutdown(EXPORT_TIMEOUT);
        let received = collector.received();
        assert_eq!(received.len(), 3, "{received:?}");
        assert!(received.iter().all(|request| request.body == received[0].body));
    }
}

#[test]
fn a_full_batch_is_sent_at_once_and_the_rest_after_the_delay_or_when_it_is_asked_for() {
    let (collector, protocol) = (Collector::start(Protocol::Http, None), Protocol::Http);
    // A size that is not possible becomes that of the queue.
    let pipelines = of_spans(&collector, protocol, SpanBatches { queue: 2, size: 5, delay: NEVER });
    record_spans(&pipelines, 2);
    collector.wait_for(1);
    record_spans(&pipelines, 1);
    pipelines.traces.as_ref().unwrap().force_flush().unwrap();
    assert_eq!(spans_of(&collector.received()), [2, 1]);
    record_spans(&pipelines, 1);
    pipelines.shutdown(EXPORT_TIMEOUT);
    assert_eq!(spans_of(&collector.received()), [2, 1, 1]);

    let collector = Collector::start(protocol, None);
    let delay = Duration::from_millis(10);
    let pipelines = of_spans(&collector, protocol, SpanBatches { delay, ..SpanBatches::default() });
    record_spans(&pipelines, 3);
    collector.wait_for(1);
    pipelines.shutdown(EXPORT_TIMEOUT);
    assert_eq!(spans_of(&collector.received()).iter().sum::<usize>(), 3);
}

#[test]
fn spans_keep_their_scope() {
    let collector = Collector::start(Protocol::Http, None);
    let pipelines = of_spans(&collector, Protocol::Http, SpanBatches::default());
    for scope in ["a", "a", "b", "a"] {
        drop(pipelines.traces.as_ref().unwrap().tracer(scope).start("a-span"));
    }
    pipelines.shutdown(EXPORT_TIMEOUT);
    let [a, b] = ["a", "b"].map(str::to_owned);
    assert_eq!(scopes_of(&collector.received()), [(a.clone(), 2), (b, 1), (a, 1)]);
}

#[test]
fn spans_that_do_not_fit_into_the_queue_are_dropped_and_that_is_logged() {
    let (spans, log) = exported_at_shutdown(10, SpanBatches { queue: 4, size: 3, delay: NEVER }, 2);
    assert_eq!(spans, [3, 1]);
    assert!(log.contains("spans are dropped") && log.contains("\"queue\":4"), "{log}");
    assert!(log.contains("spans were dropped") && log.contains("\"dropped\":6"), "{log}");
}

#[test]
fn however_many_batches_wait_all_are_exported_at_shutdown() {
    let (spans, log) = exported_at_shutdown(100, SpanBatches { queue: 100, size: 1, delay: NEVER }, 100);
    assert_eq!((spans, log.as_str()), (vec![1; 100], ""));
}

#[test]
fn without_exporters_nothing_is_started() {
    let pipelines = Pipelines::start(&Config::default()).unwrap();
    assert!(pipelines.traces.is_none() && pipelines.metrics.is_none() && pipelines.logs.is_none());
    assert!(pipelines.registry.is_none() && pipelines.runtime.is_none());
    pipelines.shutdown(Duration::ZERO);
}

#[test]
fn the_end_does_not_wait_for_a_collector_that_says_nothing() {
    // The kernel accepts connections, but nothing answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let pipelines = Pipelines::start(&config(&url, protocol, &OtlpTls::default())).unwrap();
        record(&pipelines);
        let begun = Instant::now();
        pipelines.shutdown(Duration::from_millis(50));
        // The SDK alone would wait 5 seconds for metrics, and ignores this time.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

/// An exporter whose results are given.
#[derive(Debug)]
struct Scripted(Mutex<Vec<OTelSdkResult>>);

impl LogExporter for Scripted {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        self.0.lock().unwrap().remove(0)
    }
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What this thread logs is written here as long as the guard lives.
    fn of_this_thread(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let format = tracing_subscriber::fmt().json().flatten_event(true);
        tracing::subscriber::set_default(format.with_writer(move || log.clone()).finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn that_exporting_begins_to_fail_is_said_once_and_so_is_that_it_works_again() {
    let failed = || Err(OTelSdkError::InternalFailure("no route".to_owned()));
    let results = vec![Ok(()), failed(), failed(), failed(), Ok(()), Ok(()), failed()];
    let count = results.len();
    let health = Arc::new(ExportHealth::default());
    let exporter = Monitored::new(Scripted(Mutex::new(results)), "logs", "http://collector".to_owned(), &health);
    let log = Log::default();
    let _guard = log.of_this_thread();
    for _ in 0..count {
        let _ = LogExporter::export(&exporter, LogBatch::new(&[])).await;
    }
    assert_eq!(health.failing().collect::<Vec<_>>(), ["logs"]);
    let log = log.text();
    let levels: Vec<&str> = log.lines().map(|line| if line.contains("WARN") { "warn" } else { "info" }).collect();
    assert_eq!(levels, ["warn", "info", "warn"], "{log}");
    let first = log.lines().next().unwrap();
    for part in ["\"signal\":\"logs\"", "\"endpoint\":\"http://collector\"", "\"error\":\"no route\""] {
        assert!(first.contains(part), "{first}");
    }
}
