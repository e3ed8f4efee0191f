//! Exporters for OTLP: the SDK's for metrics and logs, and our own for spans, which are exported with every call.
//!
//! Transports are made here and not by the SDK, which sets no limit on connecting, trusts no authority over gRPC, and
//! reads no variable about certificates.

pub(super) mod encode;
mod spans;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use tokio::runtime::Handle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub(super) use self::spans::SpanExporter;
use self::spans::Transport;
use crate::cause::cause;

/// The problem, as a part of a sentence.
type Result<T> = std::result::Result<T, String>;

/// How a collector is reached.
#[derive(Clone)]
pub struct Otlp {
    pub protocol: Protocol,
    /// With a scheme; for HTTP with the path of the signal.
    pub url: String,
    /// For one attempt to send a batch, and for all attempts together.
    pub timeout: Duration,
    pub tls: OtlpTls,
    /// To add to requests that export spans. For metrics and logs the SDK reads the variables of these itself.
    pub headers: HeaderMap,
    /// Whether these requests are compressed.
    pub gzip: bool,
    /// How spans wait for these requests.
    pub batches: SpanBatches,
}

/// How spans wait until they are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanBatches {
    /// The most spans that wait. More are dropped.
    pub queue: usize,
    /// The most spans in one request. As soon as there are as many, they are exported.
    pub size: usize,
    /// The longest that a span waits.
    pub delay: Duration,
}

/// The defaults of OpenTelemetry's specification.
impl Default for SpanBatches {
    fn default() -> Self {
        Self { queue: 2048, size: 512, delay: Duration::from_secs(5) }
    }
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// TLS towards a collector, in PEM that has been looked at.
#[derive(Clone, Default)]
pub struct OtlpTls {
    /// Authorities to trust instead of the system's: there may be none in a container.
    pub authorities: Option<Vec<u8>>,
    /// A certificate to show, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// When the first certificate ends of those to show, and of the authorities, in seconds since 1970.
    pub ends: [Option<i64>; 2],
}

/// Builds an exporter over the transport that its protocol takes. The builders have no trait in common.
macro_rules! build {
    ($exporter:ident, $otlp:ident, $runtime:ident) => {{
        let builder = $exporter::builder();
        let built = match $otlp.protocol {
            Protocol::Grpc => {
                let channel = $otlp.channel($runtime)?;
                builder.with_tonic().with_timeout($otlp.timeout).with_channel(channel).build()
            }
            Protocol::Http => {
                let builder = builder.with_http().with_endpoint(&$otlp.url).with_timeout($otlp.timeout);
                // It blocks, on the threads that the SDK exports from.
                let client = reqwest::blocking::ClientBuilder::from($otlp.client()?).build();
                builder.with_http_client(client.map_err(|error| cause(&error))?).build()
            }
        };
        built.map_err(|error| error.to_string())
    }};
}

impl Otlp {
    /// The URL without what may be a secret: user, query, fragment.
    pub fn shown(&self) -> String {
        let bare = self.url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{path}")
    }

    pub(super) fn spans(&self, runtime: &Handle) -> Result<SpanExporter> {
        let transport = match self.protocol {
            Protocol::Grpc => Transport::Grpc(self.channel(runtime)?),
            Protocol::Http => {
                let client = self.client()?.build().map_err(|error| cause(&error))?;
                Transport::Http(client, self.url.parse().map_err(|error| cause(&error))?)
            }
        };
        Ok(SpanExporter::new(transport, self))
    }

    pub(super) fn metrics(&self, runtime: &Handle) -> Result<MetricExporter> {
        build!(MetricExporter, self, runtime)
    }

    pub(super) fn logs(&self, runtime: &Handle) -> Result<LogExporter> {
        build!(LogExporter, self, runtime)
    }

    /// A channel that connects when it is first used, and again whenever it has to. It belongs to the runtime.
    fn channel(&self, runtime: &Handle) -> Result<Channel> {
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|error| cause(&error))?;
        let endpoint = endpoint.connect_timeout(self.timeout).timeout(self.timeout);
        // Where none is needed the system's authorities, of which there may be none, are not asked for.
        let endpoint = match endpoint.uri().scheme_str() {
            Some("https") => endpoint.tls_config(self.tls.grpc()).map_err(|error| cause(&error))?,
            _ => endpoint,
        };
        let _entered = runtime.enter();
        Ok(endpoint.connect_lazy())
    }

    fn client(&self) -> Result<reqwest::ClientBuilder> {
        let builder = reqwest::Client::builder().timeout(self.timeout);
        // Headers may contain a key that is meant for this collector alone.
        let mut builder = builder.redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = &self.tls.authorities {
            builder =
                builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).map_err(|error| cause(&error))?);
        }
        if let Some((certificate, key)) = &self.tls.identity {
            let both = [&certificate[..], b"\n", key].concat();
            builder = builder.identity(reqwest::Identity::from_pem(&both).map_err(|error| cause(&error))?);
        }
        Ok(builder)
    }
}

impl OtlpTls {
    fn grpc(&self) -> ClientTlsConfig {
        let config = match &self.authorities {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

/// Protocol and place, as far as that is no secret.
impl fmt::Display for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == Protocol::Grpc { "grpc" } else { "http/protobuf" };
        write!(f, "otlp ({protocol}, {})", self.shown())
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {:?} {:?}", self.timeout, self.tls)
    }
}

/// Without the key.
impl fmt::Debug for OtlpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authorities={} identity={}", self.authorities.is_some(), self.identity.is_some())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_endpoint_is_shown_without_what_may_be_a_secret() {
        for (url, shown) in [
            ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
            ("https://user:secret@collector:4317", "https://collector:4317"),
            ("https://user:se@cret@collector/a@b?key=secret#x", "https://collector/a@b"),
            ("http://[::1]:4317", "http://[::1]:4317"),
        ] {
            let tls = OtlpTls { identity: Some((b"secret".to_vec(), b"secret".to_vec())), ..OtlpTls::default() };
            let (url, timeout) = (url.to_owned(), Duration::from_secs(1));
            let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("secret"))]);
            let batches = SpanBatches::default();
            let otlp = Otlp { protocol: Protocol::Grpc, url, timeout, tls, headers, gzip: false, batches };
            assert_eq!(otlp.to_string(), format!("otlp (grpc, {shown})"));
            assert!(!format!("{otlp:?}").contains("cret"), "{otlp:?}");
        }
    }
}
