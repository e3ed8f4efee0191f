//! Where a gateway is, and how a command connects to it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use super::{Failure, client};
use crate::cause::cause;
use crate::config::{MAX_FILE_BYTES, read_file};

/// Where `serve` listens by default.
pub(super) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:50051";

/// The first bytes of an HTTP/2 client: the preface and empty settings (RFC 9113, 3.4).
const CLIENT_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Long enough for an answer to that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the gateway is.
#[derive(Debug, clap::Args)]
pub(super) struct Endpoint {
    /// The gateway's URL; https:// if it speaks TLS.
    #[arg(long = "endpoint", env = "GEMINI_GRPC_ENDPOINT", default_value = DEFAULT_ENDPOINT, value_name = "URL")]
    pub(super) url: String,

    /// A PEM file with the authorities to trust, instead of the system's.
    #[arg(long, env = "GEMINI_GRPC_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A PEM file with a certificate to show to the gateway.
    #[arg(long, env = "GEMINI_GRPC_CERT", value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,

    /// A PEM file with the key of that certificate.
    #[arg(long, env = "GEMINI_GRPC_CERT_KEY", value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Tls,
    Plaintext,
    Other,
}

impl Endpoint {
    /// A plaintext one.
    pub(super) fn plaintext(url: String) -> Self {
        Self { url, ca: None, cert: None, cert_key: None }
    }

    /// A connection for gRPC.
    pub(super) async fn connect(&self) -> Result<Channel, Failure> {
        let tls = self.check()?;
        let mut endpoint = tonic::transport::Endpoint::from_shared(self.url.clone()).map_err(|_| self.bad_url())?;
        if tls {
            let failed = |error| Failure::Usage(format!("TLS cannot be set up: {}", cause(&error)));
            endpoint = endpoint.tls_config(self.tls()?).map_err(failed)?;
        }
        match endpoint.connect().await {
            Ok(channel) => Ok(channel),
            Err(error) => Err(Failure::Run(self.unreachable(&error).await)),
        }
    }

    /// A client for REST.
    pub(super) fn http_client(&self) -> Result<reqwest::Client, Failure> {
        let failed = |error| Failure::Usage(format!("TLS cannot be set up: {}", cause(&error)));
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // reqwest resends a request by itself in some cases. Generation is billed.
            .retry(reqwest::retry::never());
        if self.check()? {
            if let Some(path) = &self.ca {
                let authorities = reqwest::Certificate::from_pem_bundle(&read("--ca", path)?).map_err(failed)?;
                builder = builder.tls_certs_only(authorities);
            }
            if let (Some(cert), Some(key)) = (&self.cert, &self.cert_key) {
                let pem = [read("--cert-key", key)?, read("--cert", cert)?].join(&b'\n');
                builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(failed)?);
            }
        }
        builder.build().map_err(failed)
    }

    /// Checks the URL and whether the flags fit it. Returns whether it asks for TLS.
    fn check(&self) -> Result<bool, Failure> {
        let url = &self.url;
        match url.parse::<Uri>().ok().as_ref().and_then(Uri::scheme_str) {
            Some("https") => Ok(true),
            Some("http") if self.ca.is_none() && self.cert.is_none() => Ok(false),
            Some("http") => Err(Failure::Usage(format!("--ca and --cert are for https:// and --endpoint is {url}"))),
            _ => Err(self.bad_url()),
        }
    }

    pub(super) fn bad_url(&self) -> Failure {
        Failure::Usage(format!("--endpoint: {} is not a URL such as {DEFAULT_ENDPOINT}", self.url))
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut tls = match &self.ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca", path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.cert, &self.cert_key) {
            tls = tls.identity(Identity::from_pem(read("--cert", cert)?, read("--cert-key", key)?));
        }
        Ok(tls)
    }

    /// Why no connection could be made.
    pub(super) async fn unreachable(&self, error: &(dyn Error + 'static)) -> String {
        let url = &self.url;
        match self.spoken().await {
            None => format!(
                "nothing answers at {url}; start a gateway with `gemini-grpc serve --sandbox`, or name another with --endpoint"
            ),
            Some(Spoken::Plaintext) if self.is_tls() => format!("{url} speaks no TLS; say http:// instead of https://"),
            Some(_) => format!("no connection with {url}: {}", cause(error)),
        }
    }

    /// A failed call in readable lines. If the connection failed, what is wrong with it.
    pub(super) async fn failed(&self, status: &Status) -> Failure {
        let text = client::explain(status);
        Failure::Run(match status.source() {
            Some(error) => self.broken(text, error).await,
            None => text,
        })
    }

    /// Adds to an error what is wrong with the connection.
    pub(super) async fn broken(&self, mut text: String, error: &(dyn Error + 'static)) -> String {
        if !self.is_tls() && self.spoken().await == Some(Spoken::Tls) {
            return format!("{} speaks TLS; say https:// instead of http://", self.url);
        }
        text += &format!("\n  {}", cause(error));
        // In TLS 1.3 a missing certificate is refused after the handshake, and the reason is often lost on the way.
        if self.is_tls() && self.cert.is_none() {
            text += "\n  if the gateway asks callers for certificates, give one with --cert and --cert-key";
        }
        text
    }

    fn is_tls(&self) -> bool {
        self.url.starts_with("https:")
    }

    /// What is spoken there; none if nothing listens.
    async fn spoken(&self) -> Option<Spoken> {
        let uri: Uri = self.url.parse().ok()?;
        let port = uri.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 });
        let host = uri.host()?.trim_matches(['[', ']']);
        let mut stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await.ok()?.ok()?;
        let mut answer = [0; 9];
        let read = async {
            stream.write_all(CLIENT_PREFACE).await?;
            stream.read_exact(&mut answer).await
        };
        // A TLS alert is 7 bytes, and the end.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, read).await;
        Some(match answer {
            // An alert (RFC 8446, 6) and the beginning of a version.
            [0x15, 3, ..] => Spoken::Tls,
            // A frame of settings.
            [_, _, _, 4, ..] => Spoken::Plaintext,
            _ => Spoken::Other,
        })
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    read_file(path, MAX_FILE_BYTES)
        .map_err(|error| Failure::Usage(format!("{flag}: cannot read {}: {error}", path.display())))
}
