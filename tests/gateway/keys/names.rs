//! Telemetry has the names of keys; a key itself reaches neither telemetry nor callers.

use gemini_grpc::telemetry::{Settings, Telemetry};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::double::{Double, Reply};
use super::{POOL, config, gateway};
use crate::rest::client::{ARRAY, EVENTS, HI, UNARY, call};
use crate::rest::telemetry::{Spans, attributes};
use crate::spending::scraped;
use crate::support::{Gateway, Running, event, prompt};

/// An error that repeats all keys of the pool, and one with a key in several forms.
fn echoing(status: u16) -> Reply {
    let body = format!(
        r#"{{"error":{{"code":{status},"message":"not secret-of-a, secret-of-b or secret%2Dof%2Dc",
        "details":[{{"@type":"type.googleapis.com/google.rpc.Help","links":[{{"description":"for secret-of-c"}}]}}]}}}}"#
    );
    Reply::refusal(status, None, &body)
}

#[tokio::test]
async fn keys_of_the_pool_that_upstream_repeats_in_an_error_are_redacted() {
    for status in [400, 401, 403, 429, 500] {
        let double = Double::with(move |_, _| echoing(status)).await;
        for _ in 0..3 {
            let gateway = gateway(&double.upstream, POOL, &["--retries", "0"]).await;
            let errors = [
                format!("{:?}", gateway.generate(prompt("hi")).await.unwrap_err()),
                format!("{:?}", gateway.stream(prompt("hi")).await.unwrap_err()),
                format!("{:?}", call(gateway.running.address, UNARY, HI).await),
                format!("{:?}", call(gateway.running.address, EVENTS, HI).await),
            ];
            for error in errors {
                assert!(!error.contains("secret-of-") && !error.contains("secret%2D"), "{error}");
            }
        }
        assert!(double.keys().len() >= 9);
    }
}

#[tokio::test]
async fn the_key_that_was_sent_is_redacted_in_an_answer() {
    let double = Double::with(|key, path| match path.ends_with(":generateContent") {
        true => Reply {
            status: 200,
            retry_after: None,
            body: Reply::ok(path).body.replace("\"ok\"", &format!("{:?}", format!("it is {key}."))),
        },
        false => Reply { status: 200, retry_after: None, body: event(&format!("it is {key}."), true) },
    })
    .await;
    let gateway = gateway(&double.upstream, POOL, &[]).await;
    for _ in 0..10 {
        let answers = [
            format!("{:?}", gateway.generate(prompt("hi")).await.unwrap()),
            format!("{:?}", gateway.stream(prompt("hi")).await.unwrap().0),
            call(gateway.running.address, UNARY, HI).await.body,
            call(gateway.running.address, EVENTS, HI).await.body,
            call(gateway.running.address, ARRAY, HI).await.body,
        ];
        for answer in answers {
            assert!(answer.contains("it is ***."), "{answer}");
        }
    }
    assert_eq!(double.keys().len(), 50);
}

#[tokio::test]
async fn spans_have_the_names_of_keys() {
    let double = Double::refusing(&["secret-of-a"], echoing(429)).await;
    for keys in [POOL, "secret-of-b"] {
        let exporter = Spans::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let telemetry = Telemetry::new(Settings::default(), Some(&tracers), None, None);
        let running = Running::with_telemetry(&config(&double.upstream, keys, &[]), &telemetry);
        for _ in 0..10 {
            assert_eq!(call(running.address, UNARY, HI).await.status, 200);
        }
        running.stop.stop();
        running.wait().await;
        let seen = double.seen();
        let spans = exporter.0.lock().unwrap();
        let names: Vec<_> = spans.iter().filter_map(|span| attributes(span).remove("gemini_grpc.key")).collect();
        // One for each request to upstream, and one for each call.
        assert_eq!(names.len(), if keys == POOL { seen.len() + 10 } else { 0 });
        assert!(names.iter().all(|name| ["a", "b", "c"].contains(&name.as_str())), "{names:?}");
        assert!(!format!("{spans:?}").contains("secret-of-"), "{spans:?}");
    }
}

#[tokio::test]
async fn metrics_count_requests_by_the_name_of_the_key() {
    let double = Double::with(|key, path| match key {
        "secret-of-a" => Reply::refusal(429, Some("3600"), ""),
        "secret-of-b" => echoing(401),
        _ if path.contains("gemini-broken") => Reply::refusal(404, None, ""),
        _ => Reply::ok(path),
    })
    .await;
    let (telemetry, scrape) = scraped();
    let gateway = Gateway::start(&config(&double.upstream, POOL, &[]), &telemetry).await;
    for _ in 0..20 {
        gateway.generate(prompt("hi")).await.unwrap();
    }
    let mut broken = prompt("hi");
    broken.model = "models/gemini-broken".into();
    gateway.generate(broken).await.unwrap_err();
    let scrape = scrape();
    let value = |name: &str, labels: [&str; 2]| {
        let line =
            scrape.lines().find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        line.unwrap_or_else(|| panic!("{name} {labels:?}\n{scrape}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let requests = "gemini_grpc_key_requests_total{";
    assert_eq!(value(requests, ["key=\"a\"", "outcome=\"limited\""]), 1);
    assert_eq!(value(requests, ["key=\"b\"", "outcome=\"refused\""]), 1);
    assert_eq!(value(requests, ["key=\"c\"", "outcome=\"ok\""]), 20);
    assert_eq!(value(requests, ["key=\"c\"", "outcome=\"failed\""]), 1);
    let resting = "gemini_grpc_key_resting_seconds{";
    assert!((3000..=3600).contains(&value(resting, ["key=\"a\"", ""])));
    assert!((1..=60).contains(&value(resting, ["key=\"b\"", ""])));
    assert_eq!(value(resting, ["key=\"c\"", ""]), 0);
    assert!(!scrape.contains("secret-of-"), "{scrape}");
}
