//! Client certificates: their names, revocation, and authorities that are no longer trusted.

use gemini_grpc::server::Config;
use rcgen::SanType;
use tonic::transport::Channel;

use crate::certificates::{Authority, Files, Issued};
use crate::support::{Client, Details, Running, STOP, Upstream, event, json, prompt, resolve, sse, text};
use crate::tls::{call, connect, speaking_tls};

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

#[tokio::test]
async fn a_listed_name_matches_only_names_of_the_same_type() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let client_ca = files.write("client-ca.pem", &callers.pem);
    let list = "[callers.a]\nsan = ['a.internal', 'spiffe://x/a']";
    let list = files.write("callers.toml", list);
    let flags = ["--auth", "mtls", "--callers", &list, "--tls-client-ca", &client_ca];
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &flags));
    for (name, reason) in [
        (dns("a.internal"), None),
        (uri("spiffe://x/a"), None),
        (uri("a.internal"), Some("CERTIFICATE_UNKNOWN")),
        (dns("spiffe://x/a"), Some("CERTIFICATE_UNKNOWN")),
    ] {
        let shown = callers.issue_for(name.clone());
        let called = call(connect(&running, &authority, Some(shown)).await.unwrap()).await;
        assert_eq!(called.err().map(|status| Details::of(&status).reason()).as_deref(), reason, "{name:?}");
    }
}

/// Whether a client with this certificate is served.
async fn is_served(running: &Running, authority: &Authority, shown: &Issued) -> bool {
    let shown = Issued { cert: shown.cert.clone(), key: shown.key.clone() };
    // In TLS 1.3, the client's handshake is complete before the server can refuse its certificate.
    match connect(running, authority, Some(shown)).await {
        Ok(channel) => call(channel).await.is_ok(),
        Err(_) => false,
    }
}

/// Calls until the connection is closed and a new one is refused.
async fn wait_until_refused(channel: &Channel) {
    while call(channel.clone()).await.is_ok() {}
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let other = Authority::new();
    let client_ca = files.write("client-ca.pem", &format!("{}{}", callers.pem, other.pem));
    // A file can contain several lists.
    let with = |lists: &[String]| -> Config {
        let crl = files.write("crl.pem", &lists.concat());
        let flags = ["--workers", "2", "--tls-client-ca", &client_ca, "--tls-client-crl", &crl];
        speaking_tls(&upstream, &files, &authority, &flags)
    };
    let (first, second, third) = (callers.issue_numbered(1), callers.issue_numbered(2), other.issue_numbered(1));
    let running = Running::start(&with(&[callers.revoke(&[1], 2999)]));
    assert!(!is_served(&running, &authority, &first).await);
    assert!(is_served(&running, &authority, &second).await);
    assert!(is_served(&running, &authority, &third).await, "an authority without a list has revoked nothing");

    // Revoked while it is connected.
    let Issued { cert, key } = &second;
    let shown = Issued { cert: cert.clone(), key: key.clone() };
    let open = connect(&running, &authority, Some(shown)).await.unwrap();
    call(open.clone()).await.unwrap();
    running.reload.apply(&with(&[callers.revoke(&[1, 2], 2999), other.revoke(&[7], 2999)])).unwrap();
    wait_until_refused(&open).await;
    assert!(is_served(&running, &authority, &third).await);

    running.reload.apply(&with(&[callers.revoke(&[], 2999), other.revoke(&[], 2002)])).unwrap();
    assert!(is_served(&running, &authority, &first).await);
    assert!(
        !is_served(&running, &authority, &third).await,
        "a certificate is refused if the list of its authority has expired"
    );
}

#[tokio::test]
async fn a_client_of_a_removed_authority_is_disconnected_after_its_open_calls() {
    let (files, authority, before, after) = (Files::new(), Authority::new(), Authority::new(), Authority::new());
    let (upstream, go_on) = Upstream::pausing(sse(event("one", false)), event("two", true)).await;
    let with = |trusted: &Authority| {
        let client_ca = files.write("client-ca.pem", &trusted.pem);
        speaking_tls(&upstream, &files, &authority, &["--tls-client-ca", &client_ca])
    };
    let running = Running::start(&with(&before));
    let channel = connect(&running, &authority, Some(before.issue())).await.unwrap();
    let mut stream = Client::new(channel.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert_eq!(text(&stream.message().await.unwrap().unwrap()), "one");
    // A new certificate of the gateway does not disconnect clients.
    running.reload.apply(&with(&before)).unwrap();
    running.reload.apply(&with(&after)).unwrap();
    let mut health = gemini_grpc::pb::health::health_client::HealthClient::new(channel);
    while health.check(gemini_grpc::pb::health::HealthCheckRequest::default()).await.is_ok() {}
    go_on.send(()).unwrap();
    assert_eq!(text(&stream.message().await.unwrap().unwrap()), "two");
    assert!(stream.message().await.unwrap().is_none());
}

#[test]
fn an_invalid_revocation_list_is_named_in_the_error() {
    let (files, authority, callers) = (Files::new(), Authority::new(), Authority::new());
    let client_ca = files.write("client-ca.pem", &callers.pem);
    let broken = callers.revoke(&[1], 2999).lines().take(3).collect::<Vec<_>>().join("\n");
    let broken = format!("{broken}\n-----END X509 CRL-----\n");
    for (text, says) in [("", "holds no revocation list"), (&callers.pem, "holds no revocation list"), (&broken, " ")] {
        let crl = files.write("crl.pem", text);
        let issued = authority.issue();
        let (cert, key) = (files.write("cert.pem", &issued.cert), files.write("key.pem", &issued.key));
        let error =
            resolve(&["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &client_ca, "--tls-client-crl", &crl])
                .unwrap_err();
        assert!(error.starts_with(&format!("GEMINI_GRPC_TLS_CLIENT_CRL: {crl}")) && error.contains(says), "{error}");
    }
}
