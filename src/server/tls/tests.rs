//! The names of a caller in its certificate.

#![allow(clippy::unwrap_used)]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;

#[test]
fn a_certificate_stands_for_its_dns_names_and_uris() {
    let mut params = CertificateParams::new(["billing.internal".to_owned(), "10.0.0.7".to_owned()]).unwrap();
    params.subject_alt_names.extend([
        SanType::URI("spiffe://example.org/billing".try_into().unwrap()),
        SanType::Rfc822Name("billing@example.org".try_into().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ]);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    // An address could be taken for a DNS name that looks like one.
    let expected = [San::Dns("billing.internal".into()), San::Uri("spiffe://example.org/billing".into())];
    assert_eq!(*names(certificate.der()), expected);
}

#[test]
fn a_certificate_without_names_stands_for_nobody() {
    let certificate = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(names(certificate.der()).is_empty());
    assert!(names(&CertificateDer::from(&b"no certificate"[..])).is_empty());
}

#[tokio::test]
async fn a_caller_who_has_to_show_a_certificate_is_known_by_its_names() {
    let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
    let (issuer, key) = (Issuer::new(params, key), KeyPair::generate().unwrap());
    let params = CertificateParams::new(["billing.internal".to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let identity =
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider()).map(Arc::new).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots.clone());
    let mut client = client.with_client_auth_cert(chain, key).unwrap();
    client.alpn_protocols = vec![H2.to_vec()];
    let client = TlsConnector::from(Arc::new(client));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clients = ClientTrust::new(roots, Vec::new()).unwrap();
    for (clients, peer) in [(Some(clients), Some(Arc::from([San::Dns("billing.internal".into())]))), (None, None)] {
        let acceptor = Acceptor::new(&ServerTls::new(identity.clone(), clients).unwrap());
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let name = ServerName::try_from("billing.internal").unwrap();
        let accepting = async { acceptor.accept(Acceptor::hello(accepted).await?).await };
        let (accepted, connected) = tokio::join!(accepting, client.connect(name, stream));
        connected.unwrap();
        assert_eq!(accepted.unwrap().1, peer);
    }
}
