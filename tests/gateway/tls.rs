//! TLS with callers and with upstream.

use std::sync::Arc;
use std::time::Duration;

use gemini_grpc::server::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::certificates::{Authority, Files, Issued};
use crate::frames::{PREFACE, Raw};
use crate::support::{Client, Details, Gateway, Running, STOP, Upstream, config, json, prompt, read_request};

/// The settings of a gateway with a certificate of this authority.
pub fn speaking_tls(upstream: &Upstream, files: &Files, authority: &Authority, flags: &[&str]) -> Config {
    let issued = authority.issue();
    let (cert, key) = (files.write("cert.pem", &issued.cert), files.write("key.pem", &issued.key));
    let fixed = ["--tls-cert", &cert, "--tls-key", &key];
    config(upstream, &[&fixed[..], flags].concat())
}

/// A connection of a client that trusts an authority, and presents a certificate if it has one.
pub async fn connect(running: &Running, trusted: &Authority, shown: Option<Issued>) -> Result<Channel, String> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&trusted.pem));
    if let Some(Issued { cert, key }) = shown {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    let endpoint = Endpoint::try_from(format!("https://{}", running.address)).unwrap().tls_config(tls).unwrap();
    endpoint.connect().await.map_err(|error| format!("{error:?}"))
}

pub async fn call(channel: Channel) -> Result<(), Status> {
    Client::new(channel).generate_content(prompt("hi")).await.map(drop)
}

pub fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    roots
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_can_call_over_tls() {
    let (files, authority) = (Files::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &[]));
    call(connect(&running, &authority, None).await.unwrap()).await.unwrap();
    let error = connect(&running, &Authority::new(), None).await.unwrap_err();
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn only_client_certificates_of_the_configured_authority_are_accepted() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let client_ca = files.write("client-ca.pem", &callers.pem);
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &["--tls-client-ca", &client_ca]));
    call(connect(&running, &authority, Some(callers.issue())).await.unwrap()).await.unwrap();
    for shown in [None, Some(authority.issue())] {
        // In TLS 1.3, the client's handshake is complete before the server can refuse its certificate.
        if let Ok(channel) = connect(&running, &authority, shown).await {
            call(channel).await.unwrap_err();
        }
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_caller_is_identified_by_a_name_in_its_certificate() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let client_ca = files.write("client-ca.pem", &callers.pem);
    for (san, reason) in [("127.0.0.1", Some("CERTIFICATE_UNKNOWN")), ("localhost", None)] {
        let file = files.write("callers.toml", &format!("[callers.billing]\nsan = '{san}'"));
        let flags = ["--auth", "mtls", "--callers", &file, "--tls-client-ca", &client_ca];
        let running = Running::start(&speaking_tls(&upstream, &files, &authority, &flags));
        let called = call(connect(&running, &authority, Some(callers.issue())).await.unwrap()).await;
        assert_eq!(called.err().map(|status| Details::of(&status).reason()).as_deref(), reason);
    }
    assert!(upstream.requests()[0].contains("authorization: Bearer own-key"));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn keys_of_callers_with_a_valid_certificate_are_ignored() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let client_ca = files.write("client-ca.pem", &callers.pem);
    let file = files.write("callers.toml", "[callers.billing]\nsan = 'localhost'");
    let flags = ["--auth", "mtls", "--callers", &file, "--tls-client-ca", &client_ca];
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &flags));
    let channel = connect(&running, &authority, Some(callers.issue())).await.unwrap();
    for header in ["x-goog-api-key", "authorization"] {
        let mut request = tonic::Request::new(prompt("hi"));
        request.metadata_mut().insert(header, "Bearer no key at all".parse().unwrap());
        Client::new(channel.clone()).generate_content(request).await.unwrap();
    }
    assert!(upstream.requests().iter().all(|request| request.contains("authorization: Bearer own-key")));
}

#[tokio::test]
async fn plaintext_on_a_tls_port_is_closed() {
    let (files, authority) = (Files::new(), Authority::new());
    let running = Running::start(&speaking_tls(&Upstream::answering("").await, &files, &authority, &[]));
    let mut raw = Raw::connect(running.address).await;
    raw.write(PREFACE).await;
    let rest = raw.read_to_end().await;
    // At most a TLS alert.
    assert!(rest.is_empty() || rest.starts_with(&[0x15, 3]), "{rest:?}");
}

#[tokio::test]
async fn a_client_that_does_not_offer_h2_is_not_served() {
    let (files, authority) = (Files::new(), Authority::new());
    let running = Running::start(&speaking_tls(&Upstream::answering("").await, &files, &authority, &[]));
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut client = ClientConfig::builder().with_root_certificates(roots(&authority)).with_no_client_auth();
        client.alpn_protocols = protocols;
        let stream = TcpStream::connect(running.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        if let Ok(mut stream) = TlsConnector::from(Arc::new(client)).connect(name, stream).await {
            let mut answer = Vec::new();
            let _ = stream.write_all(PREFACE).await;
            let _ = stream.read_to_end(&mut answer).await;
            assert_eq!(answer, b"");
        }
    }
}

/// The first bytes of a client that speaks TLS.
fn client_hello(authority: &Authority) -> Vec<u8> {
    let client = ClientConfig::builder().with_root_certificates(roots(authority)).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(Arc::new(client), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn unfinished_handshakes_do_not_delay_other_connections() {
    let (files, authority) = (Files::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let flags = ["--workers", "1", "--max-connections", "1000"];
    let mut config = speaking_tls(&upstream, &files, &authority, &flags);
    // Without timeouts, each connection stays open.
    (config.limits.hello, config.limits.first_bytes) = (Duration::MAX, Duration::MAX);
    let running = Running::start(&config);
    let hello = client_hello(&authority);
    for sent in [&hello[..0], &hello[..1], &hello[..hello.len() - 1], &hello] {
        let mut unfinished = Vec::new();
        for _ in 0..270 {
            let mut raw = Raw::connect(running.address).await;
            raw.write(sent).await;
            unfinished.push(raw);
        }
        call(connect(&running, &authority, None).await.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_without_a_complete_client_hello_in_time_is_closed() {
    let (files, authority) = (Files::new(), Authority::new());
    let mut config = speaking_tls(&Upstream::answering("").await, &files, &authority, &[]);
    (config.limits.hello, config.limits.first_bytes) = (Duration::from_millis(50), Duration::MAX);
    let running = Running::start(&config);
    let hello = client_hello(&authority);
    for sent in [&hello[..0], &hello[..hello.len() - 1]] {
        let mut raw = Raw::connect(running.address).await;
        raw.write(sent).await;
        assert_eq!(raw.read_to_end().await, b"");
    }
}

/// A certificate chain and key of an authority, for a server.
pub fn server_identity(authority: &Authority) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let Issued { cert, key } = authority.issue();
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

/// Starts an upstream on TLS that requires a certificate of the same authority, and returns its URL.
pub async fn upstream_on_tls(authority: &Authority) -> String {
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots(authority))).build().unwrap();
    let (chain, key) = server_identity(authority);
    let server = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(server)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("https://{}/gemini", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if read_request(&mut stream).await.is_some() {
                stream.write_all(&json("200 OK", STOP)).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    });
    url
}

#[tokio::test]
async fn upstream_can_use_a_private_authority_and_require_a_certificate() {
    let (files, authority) = (Files::new(), Authority::new());
    let mut upstream = Upstream::answering("").await;
    upstream.url = upstream_on_tls(&authority).await;
    let Issued { cert, key } = authority.issue();
    let (ca, cert, key) =
        (files.write("ca.pem", &authority.pem), files.write("c.pem", &cert), files.write("k.pem", &key));
    let whole = ["--upstream-ca", &ca, "--upstream-cert", &cert, "--upstream-cert-key", &key];
    // Without a certificate, the handshake succeeds, and then the server closes the connection.
    for (flags, reason) in
        [(&whole[..], None), (&whole[..2], Some("UPSTREAM_CLOSED")), (&whole[2..], Some("UPSTREAM_TLS_FAILED"))]
    {
        let gateway = Gateway::with(&upstream, flags).await;
        let error = gateway.generate(prompt("hi")).await.err();
        assert_eq!(
            error.as_ref().map(|error| Details::of(error).reason()),
            reason.map(str::to_owned),
            "{flags:?}: {error:?}"
        );
        assert!(error.is_none_or(|error| error.code() == Code::Unavailable), "{flags:?}");
    }
}
