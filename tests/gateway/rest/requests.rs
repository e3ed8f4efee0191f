//! Paths, keys, headers and bodies of requests.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::client::{EVENTS, HI, Http1, UNARY, call, exchange, post};
use crate::support::{Running, STOP, Upstream, config, config_without_key, event, json, sse};

async fn gateway() -> (Upstream, Running) {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    (upstream, running)
}

#[tokio::test]
async fn every_form_of_the_path_goes_to_v1beta_with_the_bare_model() {
    let (upstream, running) = gateway().await;
    let models = ["gemini-2.5-flash", "models/gemini-2.5-flash", "models%2Fgemini-2.5-flash", "gemini-2%2E5-flash"];
    for prefix in ["/v1beta", "/v1", "/gemini/v1beta", "/gemini/v1"] {
        for model in models {
            for colon in [":", "%3A", "%3a"] {
                let path = format!("{prefix}/models/{model}{colon}generateContent");
                let response = call(running.address, &path, HI).await;
                assert_eq!((response.status, &*response.body), (200, STOP), "{path}");
                assert_eq!(response.header("content-type"), Some("application/json"));
                let request = upstream.requests().pop().unwrap();
                let line = "POST /gemini/v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\n";
                assert!(request.starts_with(line), "{path}: {request}");
            }
        }
    }
}

#[tokio::test]
async fn a_model_name_cannot_change_the_path() {
    let (upstream, running) = gateway().await;
    let long = "x".repeat(10_000);
    for model in [
        "a%2Fb",
        "..",
        "%2e%2e",
        "..%2f..",
        "a%3Fb",
        "a%23b",
        "a%3Ab",
        "a%00b",
        "a%0d%0ab",
        "a%20b",
        "%D0%B0",
        "%ff",
        "models%2F..",
        "models/a/b",
        &long,
    ] {
        let response = call(running.address, &format!("/v1beta/models/{model}:generateContent"), HI).await;
        assert!(matches!(response.status, 400 | 404), "{model}: {response:?}");
        assert!(response.body.len() < 3000, "{model}: {response:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

#[tokio::test]
async fn json_that_is_broken_or_too_deep_is_refused() {
    let (upstream, running) = gateway().await;
    let deep = |open: &str, close: &str| {
        let value = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        HI.replace("{\"contents\"", &format!("{{\"x\":{value},\"contents\""))
    };
    let bodies = [
        HI.replace("hi", "\u{1}").into_bytes(),
        HI.replace("hi", "\\x").into_bytes(),
        HI.replace(']', "").into_bytes(),
        [&b"\xff\xfe"[..], HI.as_bytes()].concat(),
        HI.as_bytes().iter().map(|byte| if *byte == b'h' { 0xff } else { *byte }).collect(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        format!("{HI}{HI}").into_bytes(),
        HI.replace("\"hi\"", "NaN").into_bytes(),
        HI.replace("\"text\":\"hi\"", "\"text\":\"hi\",\"text\":\"ho\"").into_bytes(),
    ];
    for body in bodies {
        let head = format!(
            "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let response = exchange(running.address, [head.as_bytes(), &body].concat()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        assert!(response.status == 400 && response.body.contains("REQUEST_MALFORMED"), "{shown}: {response:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn the_bytes_of_a_request_and_of_its_answer_are_passed_on_unchanged() {
    let answer = STOP.replace(",\"finish", " ,\r\n\t\"unknown\": [1.50, -0, 1e400, \"\\u00e9\\/\"] ,\"finish");
    let upstream = Upstream::answering(json("200 OK", &answer)).await;
    let running = Running::start(&config(&upstream, &[]));
    let request = HI.replace(':', " :\n ").replace("hi", "h\\u0069 \u{2028}\\ud83d\\ude00") + " \n";
    let request = request
        .replace("{\"contents\"", "{ \"x-unknown\" : 1.0 , \"generation_config\":{\"top_p\":0.10} , \"contents\"");
    let response = call(running.address, UNARY, &request).await;
    assert_eq!((response.status, response.body), (200, answer));
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(sent.split_once("\r\n\r\n").unwrap().1, request);
}

#[tokio::test]
async fn a_key_is_taken_from_a_header_first_and_from_the_query_last() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config_without_key(&upstream, &[]));
    let with_query = format!("{UNARY}?alt=json&key=of-query");
    let (bearer, google) = (("authorization", "Bearer of-bearer"), ("X-Goog-Api-Key", "of-google"));
    for (path, headers, expected) in [
        (UNARY, &[bearer][..], "of-bearer"),
        (UNARY, &[google], "of-google"),
        (&with_query, &[], "of-query"),
        (&with_query, &[bearer], "of-bearer"),
        (&with_query, &[bearer, google], "of-google"),
        (&with_query, &[("authorization", "Basic abc")], "of-query"),
        (&format!("{UNARY}?key=of%2Dquery"), &[], "of-query"),
    ] {
        let response = exchange(running.address, post(path, headers, HI)).await;
        assert_eq!(response.status, 200, "{response:?}");
        let request = upstream.requests().pop().unwrap();
        let (head, _) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("authorization: Bearer {expected}\r\n")), "{head}");
        assert_eq!(head.matches("of-").count(), 1, "{head}");
    }
    let response = call(running.address, UNARY, HI).await;
    assert_eq!((response.status, response.json()["error"]["status"].as_str()), (401, Some("UNAUTHENTICATED")));
}

#[tokio::test]
async fn the_name_of_the_sdk_and_the_id_of_the_request_go_upstream_and_other_headers_do_not() {
    let (upstream, running) = gateway().await;
    let headers = [
        ("x-goog-api-client", "google-genai-sdk/3.6.1 gl-python/3.11.7"),
        ("x-request-id", "an-id-of-mine"),
        ("user-agent", "an-agent"),
        ("cookie", "a=b"),
        ("x-other", "other"),
    ];
    let response = exchange(running.address, post(UNARY, &headers, HI)).await;
    assert_eq!(response.header("x-request-id"), Some("an-id-of-mine"));
    let request = upstream.requests().pop().unwrap();
    for line in ["x-goog-api-client: google-genai-sdk/3.6.1 gl-python/3.11.7\r\n", "x-request-id: an-id-of-mine\r\n"] {
        assert!(request.contains(line), "{request}");
    }
    for other in ["an-agent", "a=b", "other"] {
        assert!(!request.contains(other), "{request}");
    }
    let long = "x".repeat(600);
    let response = exchange(running.address, post(UNARY, &[("x-goog-api-client", &long)], HI)).await;
    assert_eq!(response.status, 200);
    assert!(!upstream.requests().pop().unwrap().contains("x-goog-api-client"));
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn packed_post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json; charset=utf-8\r\ncontent-encoding: GZIP\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_packed_request_is_unpacked_within_its_limits() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-request-bytes", "3000000"]));
    let response = exchange(running.address, packed_post(&packed(HI))).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(upstream.requests()[0].ends_with(HI));
    let bomb = |length: usize| HI.replace("hi", &"x".repeat(length));
    for (body, status, reason) in [
        (packed(&bomb(2 << 20)), 413, "REQUEST_TOO_PACKED"),
        (packed(&bomb(4 << 20)), 413, "REQUEST_TOO_"),
        (packed(HI)[..20].to_vec(), 400, "REQUEST_MALFORMED"),
        (HI.as_bytes().to_vec(), 400, "REQUEST_MALFORMED"),
    ] {
        let response = exchange(running.address, packed_post(&body)).await;
        assert_eq!(response.status, status, "{response:?}");
        assert!(response.body.contains(reason), "{response:?}");
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_up_to_the_limit() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-request-bytes", "100000"]));
    let head = format!(
        "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunked = |body: &str, size: usize| -> String {
        let bytes: Vec<_> = body
            .as_bytes()
            .chunks(size)
            .map(|c| format!("{:x}\r\n{}\r\n", c.len(), str::from_utf8(c).unwrap()))
            .collect();
        format!("{head}{}0\r\n\r\n", bytes.concat())
    };
    for size in [1, 7, 1000] {
        let response = exchange(running.address, chunked(HI, size)).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert!(upstream.requests().pop().unwrap().ends_with(HI));
    }
    let long = HI.replace("hi", &"x".repeat(90_000));
    assert_eq!(exchange(running.address, chunked(&long, 5000)).await.status, 200);
    assert!(upstream.requests().pop().unwrap().ends_with(&long));
    let too_long = HI.replace("hi", &"x".repeat(300_000));
    let response = exchange(running.address, chunked(&too_long, 5000)).await;
    assert_eq!((response.status, response.json()["error"]["code"].as_u64()), (413, Some(413)), "{response:?}");
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_request_that_announces_too_much_is_refused_before_it_is_sent() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-request-bytes", "2000"]));
    let mut connection = Http1::open(running.address).await;
    let head =
        format!("POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2001\r\n\r\n");
    connection.send(head).await;
    let response = connection.response().await;
    assert_eq!(response.status, 413, "{response:?}");
    assert!(
        response.body.contains("REQUEST_TOO_LARGE") && response.body.contains("RESOURCE_EXHAUSTED"),
        "{response:?}"
    );
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_asked_only_after_admission() {
    let (upstream, running) = gateway().await;
    let head = |key: &str| {
        format!(
            "POST {UNARY} HTTP/1.1\r\nhost: a\r\nx-goog-api-key: {key}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            HI.len()
        )
    };
    let mut connection = Http1::open(running.address).await;
    connection.send(head("a-key")).await;
    assert_eq!(connection.head().await.status, 100);
    assert_eq!(upstream.requests().len(), 0);
    connection.send(HI).await;
    assert_eq!(connection.response().await.status, 200);
    let mut refused = Http1::open(running.address).await;
    refused.send(head("not a key")).await;
    assert_eq!(refused.head().await.status, 401);
}

#[tokio::test]
async fn http2_serves_the_same_in_plaintext() {
    let upstream = Upstream::with([
        crate::support::Answer::closing(json("200 OK", STOP)),
        crate::support::Answer::closing(sse(event("Hel", false) + &event("lo", true))),
    ])
    .await;
    let running = Running::start(&config(&upstream, &[]));
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let send = |path: &str| {
        let url = format!("http://{}{path}", running.address);
        client.post(url).header("content-type", "application/json").body(HI).send()
    };
    let response = send(UNARY).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    assert_eq!(response.headers()["content-length"], STOP.len().to_string().as_str());
    assert_eq!(response.text().await.unwrap(), STOP);
    let response = send(EVENTS).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = response.text().await.unwrap();
    assert_eq!(body.matches("data: ").count(), 2);
    assert!(body.ends_with("}\n\n"), "{body}");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (upstream, running) = gateway().await;
    let mut connection = Http1::open(running.address).await;
    for _ in 0..3 {
        connection.send(post(UNARY, &[], HI)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.header("connection")), (200, None));
        connection.send(post("/v1beta/files", &[], HI)).await;
        assert_eq!(connection.response().await.status, 404);
    }
    // Requests that are sent without waiting are answered in their order.
    connection.send([post(UNARY, &[], HI), post("/nothing", &[], HI), post(UNARY, &[], HI)].concat()).await;
    for status in [200, 404, 200] {
        assert_eq!(connection.response().await.status, status);
    }
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn any_success_of_upstream_is_200() {
    for status in ["200 OK", "201 Created", "202 Accepted"] {
        let upstream = Upstream::answering(json(status, STOP)).await;
        let running = Running::start(&config(&upstream, &[]));
        assert_eq!(call(running.address, UNARY, HI).await.status, 200, "{status}");
    }
}
