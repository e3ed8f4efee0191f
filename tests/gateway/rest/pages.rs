//! Web pages: without permission, none can spend the gateway's key.

use super::client::{EVENTS, HI, UNARY, exchange, post};
use crate::support::{Running, STOP, Upstream, config, json, resolve};

const PAGE: (&str, &str) = ("origin", "https://app.example");

fn preflight(path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: a\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: content-type,x-goog-api-key\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn without_permission_a_page_changes_nothing_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    for flags in [&[][..], &["--cors-origins", "https://app.example,http://localhost:3000"]] {
        let running = Running::start(&config(&upstream, flags));
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://gateway")],
            &[("origin", "https://app.example.evil.example")],
            &[("origin", "https://app.example"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
        ] {
            for path in [UNARY, EVENTS, "/v1beta/models", "/nothing"] {
                let response = exchange(running.address, post(path, headers, HI)).await;
                assert_eq!(response.status, 403, "{headers:?} {path}: {response:?}");
                assert!(response.body.contains("ORIGIN_NOT_ALLOWED") && response.body.contains("PERMISSION_DENIED"));
                assert!(!response.head.contains("access-control"), "{response:?}");
            }
            let response = exchange(running.address, preflight(UNARY, headers)).await;
            assert!(!response.head.contains("access-control-allow-origin"), "{response:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_and_read_the_response() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--cors-origins", "https://app.example"]));
    let response = exchange(running.address, preflight(UNARY, &[PAGE])).await;
    assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example"), "{response:?}");
    assert_eq!(response.header("access-control-allow-headers"), Some("content-type,x-goog-api-key"));
    assert!(response.header("access-control-allow-methods").unwrap().contains("post"));
    assert_eq!(upstream.requests().len(), 0);
    let response = exchange(running.address, post(UNARY, &[PAGE], HI)).await;
    assert_eq!((response.status, &*response.body), (200, STOP));
    assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(response.header("access-control-expose-headers").unwrap().contains("x-request-id"));
    assert!(response.header("vary").unwrap().contains("origin"));
    // A page may read errors as well.
    let response = exchange(running.address, post("/nothing", &[PAGE], HI)).await;
    assert_eq!((response.status, response.header("access-control-allow-origin")), (404, Some("https://app.example")));
}

#[tokio::test]
async fn programs_without_an_origin_are_served() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    // As the fetch of Node sends it.
    let headers = [("sec-fetch-mode", "cors"), ("accept-language", "*")];
    assert_eq!(exchange(running.address, post(UNARY, &headers, HI)).await.status, 200);
}

#[test]
fn every_page_may_call_only_where_each_caller_needs_a_key() {
    assert!(resolve(&["--cors-origins", "*"]).is_ok());
    let error = resolve(&["--cors-origins", "*", "--api-key", "a-key"]).unwrap_err();
    assert!(error.contains("GEMINI_GRPC_CORS_ORIGINS") && error.contains("GEMINI_GRPC_AUTH"), "{error}");
    let error = resolve(&["--cors-origins", "app.example"]).unwrap_err();
    assert!(error.contains("GEMINI_GRPC_CORS_ORIGINS") && error.contains("app.example"), "{error}");
}

#[tokio::test]
async fn a_browser_learns_that_a_page_may_call_a_grpc_service() {
    let upstream = Upstream::answering("").await;
    let running = Running::start(&config(&upstream, &["--cors-origins", "https://app.example"]));
    for service in ["mountsea.gemini.v1", "google.ai.generativelanguage.v1beta"] {
        let path = format!("/{service}.GenerativeService/GenerateContent");
        let response = exchange(running.address, preflight(&path, &[PAGE])).await;
        assert_eq!(
            (response.status, response.header("access-control-allow-origin")),
            (200, Some("https://app.example"))
        );
        let response = exchange(running.address, preflight(&path, &[("origin", "https://evil.example")])).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (403, None));
    }
    assert_eq!(upstream.requests().len(), 0);
}
