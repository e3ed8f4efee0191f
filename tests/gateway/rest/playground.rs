//! The page to try the gateway.

use super::client::{HI, Response, UNARY, exchange};
use crate::support::{Running, STOP, Upstream, config, json};

async fn send(running: &Running, line: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    exchange(running.address, format!("{line} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}")).await
}

#[tokio::test]
async fn the_page_is_served_only_if_it_is_asked_for() {
    let upstream = Upstream::answering("").await;
    for (flags, status) in [(&[][..], 404), (&["--playground"], 200), (&["--playground", "false"], 404)] {
        let running = Running::start(&config(&upstream, flags));
        let response = send(&running, "GET /", &[("host", "localhost")], "").await;
        assert_eq!(response.status, status, "{flags:?}: {}", response.head);
        assert_eq!(response.body.starts_with("<!doctype html>"), status == 200);
        assert_eq!(response.header("content-security-policy").is_some(), status == 200);
    }
}

#[tokio::test]
async fn a_link_on_another_site_leads_to_the_page() {
    let running = Running::start(&config(&Upstream::answering("").await, &["--playground"]));
    let link = [("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    let response = send(&running, "GET /", &link, "").await;
    assert_eq!(response.status, 200);
    let tag = response.header("etag").unwrap();
    assert_eq!(send(&running, "POST /", &link, "").await.status, 405);
    assert!(tag.len() > 20, "{tag}");
}

#[tokio::test]
async fn the_page_may_call_under_an_address_and_no_other_page_may() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--playground"]));
    let address = running.address.to_string();
    let (own, localhost) = (format!("http://{address}"), format!("http://localhost:{}", running.address.port()));
    let json = ("content-type", "application/json");
    for (host, origin) in [(&address[..], &own[..]), (&localhost[7..], &localhost)] {
        let response = send(&running, &format!("POST {UNARY}"), &[("host", host), ("origin", origin), json], HI).await;
        assert_eq!((response.status, &*response.body), (200, STOP), "{origin}");
        // The page needs no permission of the kind that other pages need.
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    assert_eq!(upstream.requests().len(), 2);
    for (host, origin) in [
        (&address[..], "http://evil.example"),
        (&address, &localhost),
        (&address, &own.replace("http:", "https:")),
        (&address, "null"),
        // A name that its owner pointed to this address.
        ("evil.example", "http://evil.example"),
    ] {
        let response = send(&running, &format!("POST {UNARY}"), &[("host", host), ("origin", origin), json], HI).await;
        assert_eq!(response.status, 403, "{host} {origin}");
    }
    assert_eq!(upstream.requests().len(), 2);
}
