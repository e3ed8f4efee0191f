//! The collector of a signal: its address, protocol, headers, compression, timeout and TLS files. A signal's own variable
//! takes precedence over that of all three signals.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::environment::{Environment, fault, number, word};
use crate::config::Error;
use crate::config::pem::{Pem, identity, together};
use crate::telemetry::{Otlp, OtlpTls, Protocol, SpanBatches};

/// The default of the specification, for one attempt to send.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variables of one signal, and its path in OTLP over HTTP.
pub(super) struct Signal {
    pub(super) exporter: &'static str,
    pub(super) endpoint: &'static str,
    protocol: &'static str,
    headers: &'static str,
    compression: &'static str,
    timeout: &'static str,
    insecure: &'static str,
    certificate: &'static str,
    client_certificate: &'static str,
    client_key: &'static str,
    path: &'static str,
}

macro_rules! signal {
    ($exporter:literal, $name:literal, $path:literal) => {
        Signal {
            exporter: $exporter,
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $name, "ENDPOINT"),
            protocol: concat!("OTEL_EXPORTER_OTLP_", $name, "PROTOCOL"),
            headers: concat!("OTEL_EXPORTER_OTLP_", $name, "HEADERS"),
            compression: concat!("OTEL_EXPORTER_OTLP_", $name, "COMPRESSION"),
            timeout: concat!("OTEL_EXPORTER_OTLP_", $name, "TIMEOUT"),
            insecure: concat!("OTEL_EXPORTER_OTLP_", $name, "INSECURE"),
            certificate: concat!("OTEL_EXPORTER_OTLP_", $name, "CERTIFICATE"),
            client_certificate: concat!("OTEL_EXPORTER_OTLP_", $name, "CLIENT_CERTIFICATE"),
            client_key: concat!("OTEL_EXPORTER_OTLP_", $name, "CLIENT_KEY"),
            path: $path,
        }
    };
}

pub(super) const TRACES: Signal = signal!("OTEL_TRACES_EXPORTER", "TRACES_", "/v1/traces");
pub(super) const METRICS: Signal = signal!("OTEL_METRICS_EXPORTER", "METRICS_", "/v1/metrics");
pub(super) const LOGS: Signal = signal!("OTEL_LOGS_EXPORTER", "LOGS_", "/v1/logs");
/// The variables that apply to all signals.
pub(super) const ALL: Signal = signal!("", "", "");

/// The TLS files that flags name for all signals.
pub(super) struct Files {
    pub(super) certificate: Option<PathBuf>,
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

impl Signal {
    /// Whether the address of its collector is configured.
    pub(super) fn has_endpoint(&self, environment: &Environment<'_>) -> bool {
        environment.get(self.endpoint).or_else(|| environment.get(ALL.endpoint)).is_some()
    }

    pub(super) fn resolve(&self, environment: &Environment<'_>, files: &Files) -> Result<Otlp, Error> {
        let own_or_all = |own: &'static str, all: &'static str| {
            environment.get(own).map(|value| (own, value)).or_else(|| environment.get(all).map(|value| (all, value)))
        };
        let protocol = match own_or_all(self.protocol, ALL.protocol) {
            Some((variable, value)) => protocol(variable, &value)?,
            None => Protocol::Http,
        };
        let timeout = match own_or_all(self.timeout, ALL.timeout) {
            Some((variable, value)) => Duration::from_millis(number(variable, &value, 1)?),
            None => DEFAULT_TIMEOUT,
        };
        let url = match protocol {
            Protocol::Grpc => self.grpc_url(own_or_all(self.endpoint, ALL.endpoint), environment)?,
            Protocol::Http => self.http_url(environment)?,
        };
        let given = own_or_all(self.headers, ALL.headers);
        let headers = given.map(|(_, value)| headers(&value)).unwrap_or_default();
        let gzip = own_or_all(self.compression, ALL.compression).is_some_and(|(_, value)| value == "gzip");
        let (tls, batches) = (self.tls(environment, files)?, span_batches(environment)?);
        Ok(Otlp { protocol, url, timeout, tls, headers, gzip, batches })
    }

    /// An endpoint without a scheme uses TLS, unless `INSECURE` is set.
    fn grpc_url(&self, given: Option<(&'static str, String)>, environment: &Environment<'_>) -> Result<String, Error> {
        let Some((variable, endpoint)) = given else { return Ok("http://localhost:4317".to_owned()) };
        if endpoint.contains("://") {
            return url(variable, endpoint);
        }
        let insecure = match environment.get(self.insecure) {
            Some(_) => environment.is_on(self.insecure),
            None => environment.is_on(ALL.insecure),
        };
        url(variable, format!("http{}://{endpoint}", if insecure { "" } else { "s" }))
    }

    /// A signal's own endpoint is the whole URL; the endpoint of all signals gets the signal's path.
    fn http_url(&self, environment: &Environment<'_>) -> Result<String, Error> {
        if let Some(endpoint) = environment.get(self.endpoint) {
            return url(self.endpoint, endpoint);
        }
        let base = environment.get(ALL.endpoint).unwrap_or_else(|| "http://localhost:4318".to_owned());
        Ok(format!("{}{}", url(ALL.endpoint, base)?.trim_end_matches('/'), self.path))
    }

    fn tls(&self, environment: &Environment<'_>, files: &Files) -> Result<OtlpTls, Error> {
        let own = |own: &'static str, all: &'static str, flag: &Option<PathBuf>| match environment.get(own) {
            Some(path) => (own, Some(path.into())),
            None => (all, flag.clone()),
        };
        let (variable, path) = own(self.certificate, ALL.certificate, &files.certificate);
        let ca = path.as_deref().map(|path| Pem::read(variable, path)).transpose()?;
        ca.as_ref().map(Pem::authorities).transpose()?;
        let certificate = own(self.client_certificate, ALL.client_certificate, &files.client_certificate);
        let key = own(self.client_key, ALL.client_key, &files.client_key);
        let pair = together((certificate.0, &certificate.1), (key.0, &key.1))?;
        pair.as_ref().map(|(certificate, key)| identity(certificate, key)).transpose()?;
        let ends = [
            pair.as_ref().and_then(|(certificate, _)| certificate.first_end()),
            ca.as_ref().and_then(Pem::first_end_of_authorities),
        ];
        Ok(OtlpTls {
            ends,
            authorities: ca.map(|pem| pem.bytes),
            identity: pair.map(|(certificate, key)| (certificate.bytes, key.bytes)),
        })
    }
}

fn protocol(variable: &'static str, value: &str) -> Result<Protocol, Error> {
    match word(variable, value, &["grpc", "http/protobuf"])? {
        "grpc" => Ok(Protocol::Grpc),
        _ => Ok(Protocol::Http),
    }
}

/// The batches of spans. `OTEL_BSP_EXPORT_TIMEOUT` is left out, as by the SDK: the timeout of OTLP ends an export.
fn span_batches(environment: &Environment<'_>) -> Result<SpanBatches, Error> {
    let given = |variable| environment.get(variable).map(|value| number(variable, &value, 1)).transpose();
    let default = SpanBatches::default();
    let count = |number: Option<u64>, or| number.map_or(or, |number| usize::try_from(number).unwrap_or(usize::MAX));
    Ok(SpanBatches {
        queue: count(given("OTEL_BSP_MAX_QUEUE_SIZE")?, default.queue),
        size: count(given("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?, default.size),
        delay: given("OTEL_BSP_SCHEDULE_DELAY")?.map_or(default.delay, Duration::from_millis),
    })
}

/// The headers of a list such as `a=1,b=2`, whose values are percent-encoded. As the SDK does, it leaves out what is no
/// header, and takes a value as it is if it is not encoded correctly.
fn headers(list: &str) -> HeaderMap {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let decoded = decoded(value.trim()).unwrap_or_else(|| value.to_owned());
        let mut value = HeaderValue::from_str(&decoded).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some((name.trim().parse::<HeaderName>().ok()?, value))
    };
    // Of two with the same name the last one counts.
    list.split(',').filter_map(header).fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.insert(name, value);
        headers
    })
}

fn decoded(value: &str) -> Option<String> {
    let is_encoded = |rest: &str| rest.as_bytes().iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
    let is_correct = value.split('%').skip(1).all(is_encoded);
    is_correct.then(|| percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned)).flatten()
}

/// Checks a URL. The error does not quote it: it may contain a password.
fn url(variable: &'static str, url: String) -> Result<String, Error> {
    let parsed = url.parse::<http::Uri>().ok();
    let is_http = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    match parsed.as_ref().is_some_and(is_http) {
        true => Ok(url),
        false => Err(fault(variable, "an http or https URL is expected, such as http://localhost:4318")),
    }
}
