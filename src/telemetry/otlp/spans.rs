//! The exporter of spans that are encoded. It sends them as the SDK's exporter does.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use reqwest::Url;
use tokio::time::sleep;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::Otlp;
use crate::cause::cause;

const EXPORT: PathAndQuery = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
/// That of the SDK's exporters of metrics and logs.
const AGENT: HeaderValue = HeaderValue::from_static("OTel-OTLP-Exporter-Rust/0.33.1");
/// The pauses before a batch is sent again, which are those of the SDK.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// The most bytes of a response that are read.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Sends spans to a collector.
pub(in crate::telemetry) struct SpanExporter {
    transport: Transport,
    headers: HeaderMap,
    gzip: bool,
    /// No attempt begins after it.
    timeout: Duration,
}

pub(super) enum Transport {
    Grpc(Channel),
    Http(reqwest::Client, Url),
}

/// Why an attempt failed, and whether another may succeed (opentelemetry.io/docs/specs/otlp, "Failures").
struct Failure {
    problem: String,
    may_pass: bool,
}

impl SpanExporter {
    /// With the headers that operators set, which take precedence over others.
    pub(super) fn new(transport: Transport, otlp: &Otlp) -> Self {
        let mut headers = HeaderMap::from_iter([(USER_AGENT, AGENT)]);
        if let Transport::Http(..) = transport {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.extend(otlp.gzip.then(|| (CONTENT_ENCODING, HeaderValue::from_static("gzip"))));
        }
        headers.extend(otlp.headers.clone());
        Self { transport, headers, gzip: otlp.gzip, timeout: otlp.timeout }
    }

    /// Sends a request, again if it fails in a way that may pass.
    pub(in crate::telemetry) async fn export(&self, mut request: Vec<u8>) -> OTelSdkResult {
        if self.gzip && matches!(self.transport, Transport::Http(..)) {
            request = gzipped(&request).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        }
        let (request, mut pauses, begun) = (Bytes::from(request), PAUSES.into_iter(), Instant::now());
        loop {
            let Err(failure) = self.send(request.clone()).await else { return Ok(()) };
            let is_in_time = |pause: &Duration| failure.may_pass && begun.elapsed() + *pause < self.timeout;
            let Some(pause) = pauses.next().filter(is_in_time) else {
                return Err(OTelSdkError::InternalFailure(failure.problem));
            };
            sleep(pause).await;
        }
    }

    /// One attempt. Errors contain no text of the collector, which may repeat a header.
    async fn send(&self, body: Bytes) -> Result<(), Failure> {
        match &self.transport {
            Transport::Grpc(channel) => {
                let mut client = Grpc::new(channel.clone());
                if self.gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                    // A collector answers as it was asked.
                    client = client.accept_compressed(CompressionEncoding::Gzip);
                }
                let mut request = tonic::Request::new(body);
                *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
                client.ready().await.map_err(|error| Failure { problem: cause(&error), may_pass: true })?;
                client.unary(request, EXPORT, Encoded).await.map(drop).map_err(|status| Failure::grpc(&status))
            }
            Transport::Http(client, url) => {
                let sent = client.post(url.clone()).headers(self.headers.clone()).body(body).send().await;
                let response = sent.map_err(|error| Failure::http(&cause(&error.without_url()), true))?;
                let status = response.status();
                // Read, so that the connection can be used again.
                let _ = Limited::new(reqwest::Body::from(response), MAX_RESPONSE_BYTES).collect().await;
                let may_pass = [429, 502, 503, 504].contains(&status.as_u16());
                let problem = || Failure::http(&format!("status {}", status.as_u16()), may_pass);
                if status.is_success() { Ok(()) } else { Err(problem()) }
            }
        }
    }
}

impl Failure {
    fn grpc(status: &Status) -> Self {
        use Code::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, Unavailable};
        let why = std::error::Error::source(status).map(|source| format!(": {}", cause(source))).unwrap_or_default();
        Self {
            problem: format!("export failed with gRPC code: {:?}{why}", status.code()),
            may_pass: matches!(
                status.code(),
                Unavailable | Cancelled | DeadlineExceeded | Aborted | OutOfRange | DataLoss
            ),
        }
    }

    fn http(why: &str, may_pass: bool) -> Self {
        Self { problem: format!("HTTP export failed: {why}"), may_pass }
    }
}

fn gzipped(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// gRPC with a request that is encoded already, and a response that is not read.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = ProstDecoder<()>;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<(), ()>::default().decoder()
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(request);
        Ok(())
    }
}
