//! Keys and certificates that are replaced while the server runs.

use gemini_grpc::server::Config;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::certificates::{Authority, Files};
use crate::support::{Client, Running, STOP, Upstream, config, config_without_key, json, prompt};

async fn call(channel: &Channel) {
    Client::new(channel.clone()).generate_content(prompt("hi")).await.unwrap();
}

#[tokio::test]
async fn the_next_request_on_the_same_connection_uses_the_new_key() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let files = Files::new();
    let with =
        |key: &str| config_without_key(&upstream, &["--api-key-file", &files.write("key", key), "--workers", "2"]);
    let running = Running::start(&with("first-key"));
    let channel = running.connect().await;
    call(&channel).await;
    running.reload.apply(&with("second-key")).unwrap();
    call(&channel).await;
    let carries = |request: &str, key: &str| request.contains(&format!("authorization: Bearer {key}\r\n"));
    let requests = upstream.requests();
    assert!(carries(&requests[0], "first-key") && carries(&requests[1], "second-key"), "{requests:?}");
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_stay_open() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let (files, before, after) = (Files::new(), Authority::new(), Authority::new());
    let with = |authority: &Authority| -> Config {
        let issued = authority.issue();
        let (cert, key) = (files.write("cert.pem", &issued.cert), files.write("key.pem", &issued.key));
        config(&upstream, &["--workers", "2", "--tls-cert", &cert, "--tls-key", &key])
    };
    let running = Running::start(&with(&before));
    let trusting = async |authority: &Authority| {
        let endpoint = Endpoint::try_from(format!("https://{}", running.address)).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem));
        endpoint.tls_config(tls).unwrap().connect().await
    };
    let open = trusting(&before).await.unwrap();
    call(&open).await;
    running.reload.apply(&with(&after)).unwrap();
    call(&open).await;
    call(&trusting(&after).await.unwrap()).await;
    assert!(trusting(&before).await.is_err());
}
