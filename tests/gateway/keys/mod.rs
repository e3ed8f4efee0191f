//! A pool of upstream keys: which key a call uses, which keys rest, and what a caller gets when all rest.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use gemini_grpc::pb::gemini::{CountTokensRequest, EmbedContentRequest, ListModelsRequest};
use gemini_grpc::pb::rpc;
use gemini_grpc::server::Config;
use gemini_grpc::telemetry::Telemetry;
use tonic::{Code, Request, Status};

use self::double::{Double, Reply};
use crate::certificates::Files;
use crate::rest::client::{ARRAY, EVENTS, HI, UNARY, call, error_info, exchange, post};
use crate::support::{Details, Gateway, Running, Upstream, assert_status, config_without_key, event, prompt, text};

/// An upstream that answers by key.
mod double;
/// What telemetry and callers see of keys.
mod names;

const POOL: &str = "a secret-of-a\nb secret-of-b\nc secret-of-c\n";
const DAILY: &str = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},
    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36s"}]}}"#;
const OF_MODEL: &str = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
        {"quotaId":"GenerateRequestsPerMinutePerProjectPerModel","quotaDimensions":{"model":"gemini-2.5-flash"}}]},
    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3600s"}]}}"#;
const SUSPENDED: &str = r#"{"error":{"code":403,"message":"Consumer has been suspended.","status":"PERMISSION_DENIED",
    "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_SUSPENDED","domain":"googleapis.com"}]}}"#;

/// A gateway with these keys.
fn config(upstream: &Upstream, keys: &str, flags: &[&str]) -> Config {
    let files = Files::new();
    config_without_key(upstream, &[&["--api-key-file", &files.write("keys", keys)], flags].concat())
}

async fn gateway(upstream: &Upstream, keys: &str, flags: &[&str]) -> Gateway {
    Gateway::start(&config(upstream, keys, flags), &Telemetry::default()).await
}

/// The retry delay of a status.
fn retry_delay(status: &Status) -> Option<Duration> {
    let retry: Option<rpc::RetryInfo> = Details::of(status).find("RetryInfo");
    retry.map(|retry| retry.retry_delay.unwrap().try_into().unwrap())
}

/// How often each key was used.
fn counts(keys: &[String]) -> HashMap<&str, usize> {
    keys.iter().fold(HashMap::new(), |mut counts, key| {
        *counts.entry(key.as_str()).or_default() += 1;
        counts
    })
}

#[tokio::test]
async fn a_call_goes_on_with_another_key_and_the_refused_ones_rest() {
    for refusal in [
        Reply::refusal(429, Some("3600"), ""),
        Reply::refusal(429, None, DAILY),
        Reply::refusal(429, None, OF_MODEL),
        Reply::refusal(401, None, ""),
        Reply::refusal(402, None, ""),
        Reply::refusal(403, None, SUSPENDED),
    ] {
        for http in ["1", "2"] {
            let double = Double::refusing(&["secret-of-a", "secret-of-b"], refusal.clone()).await;
            // No retry is needed, and no retry budget.
            let gateway = gateway(&double.upstream, POOL, &["--upstream-http", http, "--retries", "0"]).await;
            for _ in 0..10 {
                assert_eq!(text(&gateway.generate(prompt("hi")).await.unwrap()), "ok");
                let (texts, end) = gateway.stream(prompt("hi")).await.unwrap();
                end.unwrap();
                assert_eq!(texts, ["ok"]);
                for path in [UNARY, EVENTS, ARRAY] {
                    let response = call(gateway.running.address, path, HI).await;
                    assert!(response.status == 200 && response.body.contains("\"ok\""), "{response:?}");
                }
            }
            let keys = double.keys();
            let counts = counts(&keys);
            assert!(counts.get("secret-of-a").is_none_or(|count| *count == 1), "{counts:?}");
            assert!(counts.get("secret-of-b").is_none_or(|count| *count == 1), "{counts:?}");
            assert_eq!(counts["secret-of-c"], 50);
        }
    }
}

#[tokio::test]
async fn the_other_methods_go_on_with_another_key_too() {
    let double = Double::refusing(&["secret-of-a", "secret-of-b"], Reply::refusal(401, None, "")).await;
    let flags = ["--upstream-methods", "countTokens,embedContent,models"];
    // In each gateway all keys are new.
    for _ in 0..4 {
        let client = || async { gateway(&double.upstream, POOL, &flags).await };
        let gateway = client().await;
        let request = CountTokensRequest {
            model: "models/gemini-2.5-flash".into(),
            contents: prompt("hi").contents,
            ..Default::default()
        };
        assert_eq!(gateway.client.clone().count_tokens(request).await.unwrap().into_inner().total_tokens, 7);
        let gateway = client().await;
        let model = "models/gemini-embedding-001".into();
        let request = EmbedContentRequest { model, content: prompt("hi").contents.pop(), ..Default::default() };
        gateway.client.clone().embed_content(request).await.unwrap();
        let gateway = client().await;
        let channel = gateway.channel.clone();
        let mut models = gemini_grpc::pb::gemini::model_service_client::ModelServiceClient::new(channel);
        assert_eq!(models.list_models(ListModelsRequest::default()).await.unwrap().into_inner().models.len(), 1);
    }
    let keys = double.keys();
    assert_eq!(counts(&keys)["secret-of-c"], 12);
    assert!(keys.len() > 12, "{keys:?}");
}

#[tokio::test]
async fn an_error_that_is_not_about_the_key_goes_to_the_caller_and_rests_no_key() {
    for (status, body) in [
        (400, r#"{"error":{"message":"User location is not supported for the API use."}}"#),
        (403, r#"{"error":{"message":"The caller may not use the model."}}"#),
        (404, ""),
        (500, ""),
    ] {
        let double = Double::with(move |_, _| Reply::refusal(status, None, body)).await;
        let gateway = gateway(&double.upstream, POOL, &[]).await;
        for _ in 0..10 {
            let status = gateway.generate(prompt("hi")).await.unwrap_err();
            assert_ne!(Details::of(&status).info().reason, "UPSTREAM_KEYS_RESTING");
        }
        assert_eq!(double.keys().len(), 10);
    }
}

#[tokio::test]
async fn nothing_is_sent_again_once_a_part_of_the_answer_has_come() {
    let error = r#"data: {"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slower"}}"#;
    let body = format!("{}{error}\r\n\r\n", event("one", false));
    let double = Double::with(move |_, _| Reply { status: 200, retry_after: None, body: body.clone() }).await;
    let gateway = gateway(&double.upstream, POOL, &[]).await;
    let (texts, end) = gateway.stream(prompt("hi")).await.unwrap();
    assert_eq!((texts.concat().as_str(), end.unwrap_err().code()), ("one", Code::ResourceExhausted));
    assert_eq!(double.keys().len(), 1);
}

#[tokio::test]
async fn when_all_keys_rest_the_caller_gets_the_soonest_delay_and_upstream_is_not_asked() {
    let double = Double::with(|key, _| {
        let seconds = if key == "secret-of-b" { "100" } else { "3000" };
        Reply::refusal(429, Some(seconds), r#"{"error":{"code":429,"message":"slower","status":"RESOURCE_EXHAUSTED"}}"#)
    })
    .await;
    let gateway = gateway(&double.upstream, POOL, &[]).await;
    // Upstream's last error, with the delay of the key that is free first.
    let status = gateway.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::ResourceExhausted, "UPSTREAM_REFUSED");
    assert_eq!(status.message(), "slower");
    let delay = retry_delay(&status).unwrap();
    assert!(delay <= Duration::from_secs(100) && delay > Duration::from_secs(50), "{delay:?}");
    assert_eq!(double.keys().into_iter().collect::<HashSet<_>>().len(), 3);

    for _ in 0..3 {
        let status = gateway.generate(prompt("hi")).await.unwrap_err();
        assert_status(&status, Code::ResourceExhausted, "UPSTREAM_KEYS_RESTING");
        let delay = retry_delay(&status).unwrap();
        assert!(delay <= Duration::from_secs(100) && delay > Duration::from_secs(50), "{delay:?}");
        assert_eq!(gateway.stream(prompt("hi")).await.unwrap_err().code(), Code::ResourceExhausted);
        let response = call(gateway.running.address, UNARY, HI).await;
        assert_eq!(response.status, 429);
        assert_eq!(error_info(&response.json())["reason"], "UPSTREAM_KEYS_RESTING");
        assert!(response.header("retry-after").unwrap().parse::<u64>().unwrap() <= 100);
    }
    assert_eq!(double.keys(), [""; 0]);
}

#[tokio::test]
async fn that_all_keys_are_refused_is_the_operators_affair() {
    for refusal in [Reply::refusal(401, None, ""), Reply::refusal(403, None, SUSPENDED)] {
        let double = Double::with(move |_, _| refusal.clone()).await;
        let gateway = gateway(&double.upstream, POOL, &[]).await;
        for requests in [3, 0] {
            let status = gateway.generate(prompt("hi")).await.unwrap_err();
            assert_status(&status, Code::Internal, "UPSTREAM_KEY_REFUSED");
            assert_eq!((retry_delay(&status), double.keys().len()), (None, requests));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_refused_next_to_keys_at_a_limit_is_a_matter_of_waiting() {
    for _ in 0..5 {
        let double = Double::with(|key, _| match key {
            "secret-of-b" => Reply::refusal(401, None, ""),
            _ => Reply::refusal(429, Some("7"), ""),
        })
        .await;
        let gateway = gateway(&double.upstream, POOL, &[]).await;
        let status = gateway.generate(prompt("hi")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(retry_delay(&status).unwrap() <= Duration::from_secs(7));
    }
}

/// An upstream where every key has used up its quota of gemini-2.5-flash.
async fn at_the_quota_of_a_model() -> Double {
    Double::with(|_, path| match path.contains("gemini-2.5-flash:") {
        true => Reply::refusal(429, None, OF_MODEL),
        false => Reply::ok(path),
    })
    .await
}

#[tokio::test]
async fn a_quota_of_a_model_leaves_the_keys_to_other_models() {
    let double = at_the_quota_of_a_model().await;
    let gateway = gateway(&double.upstream, POOL, &[]).await;
    gateway.generate(prompt("hi")).await.unwrap_err();
    let status = gateway.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::ResourceExhausted, "UPSTREAM_KEYS_RESTING");
    let mut other = prompt("hi");
    other.model = "models/gemini-2.5-pro".into();
    gateway.generate(other).await.unwrap();
    assert_eq!(double.keys().len(), 4);
}

#[tokio::test]
async fn when_all_keys_rest_for_a_model_its_fallback_is_asked() {
    let double = at_the_quota_of_a_model().await;
    let files = Files::new();
    let row = "[[text_model]]\nids = ['gemini-2.5-flash']\nfallback = ['gemini-2.5-pro']\n";
    let gateway = gateway(&double.upstream, POOL, &["--catalog", &files.write("models.toml", row)]).await;
    for requests in [4, 1] {
        gateway.generate(prompt("hi")).await.unwrap();
        assert_eq!(double.keys().len(), requests);
    }
}

#[tokio::test]
async fn the_only_key_is_used_as_without_a_name() {
    let double = Double::with(|_, _| Reply::refusal(401, None, "")).await;
    for keys in ["secret-of-a", "a secret-of-a"] {
        let gateway = gateway(&double.upstream, keys, &[]).await;
        for _ in 0..3 {
            let status = gateway.generate(prompt("hi")).await.unwrap_err();
            assert_status(&status, Code::Internal, "UPSTREAM_KEY_REFUSED");
        }
        assert_eq!(double.keys(), ["secret-of-a"; 3]);
    }
}

#[tokio::test]
async fn the_pool_is_for_callers_without_a_key_of_their_own() {
    let double = Double::refusing(&["own-key-of-a-caller"], Reply::refusal(429, Some("3600"), "")).await;
    let gateway = gateway(&double.upstream, POOL, &["--auth", "none", "--retries", "0"]).await;
    for _ in 0..3 {
        let mut request = Request::new(prompt("hi"));
        request.metadata_mut().insert("x-goog-api-key", "own-key-of-a-caller".parse().unwrap());
        let status = gateway.client.clone().generate_content(request).await.unwrap_err();
        assert_status(&status, Code::ResourceExhausted, "UPSTREAM_REFUSED");
        let own = [("x-goog-api-key", "own-key-of-a-caller")];
        assert_eq!(exchange(gateway.running.address, post(UNARY, &own, HI)).await.status, 429);
    }
    assert_eq!(double.keys(), ["own-key-of-a-caller"; 6]);
    gateway.generate(prompt("hi")).await.unwrap();
    assert!(double.keys()[0].starts_with("secret-of-"));
}

#[tokio::test]
async fn a_reload_keeps_rests_and_adds_and_removes_keys() {
    let double = Double::refusing(&["secret-of-a", "secret-of-b"], Reply::refusal(401, None, "")).await;
    let with = |keys: &str| config(&double.upstream, keys, &["--workers", "2"]);
    let running = Running::start(&with(POOL));
    let calls = async |count| {
        for _ in 0..count {
            assert_eq!(call(running.address, UNARY, HI).await.status, 200);
        }
        double.keys()
    };
    let before = calls(20).await;
    let refused = |keys: &[String]| keys.iter().filter(|key| *key == "secret-of-a" || *key == "secret-of-b").count();
    assert_eq!(refused(&before), 2, "{before:?}");

    running.reload.apply(&with("d secret-of-d\nc 5 secret-of-c\nb 9 secret-of-b\na secret-of-a")).unwrap();
    let after = calls(40).await;
    assert_eq!(refused(&after), 0, "{after:?}");
    assert!(after.iter().any(|key| key == "secret-of-d"), "{after:?}");

    // A key under another name is a new one.
    running.reload.apply(&with("a2 secret-of-a\nd secret-of-d")).unwrap();
    let after = calls(40).await;
    assert!(after.iter().all(|key| key == "secret-of-a" || key == "secret-of-d"), "{after:?}");
    assert_eq!(refused(&after), 1);

    // From a pool to one key, and back.
    running.reload.apply(&with("secret-of-e")).unwrap();
    assert_eq!(calls(2).await, ["secret-of-e"; 2]);
    running.reload.apply(&with(POOL)).unwrap();
    assert_eq!(refused(&calls(20).await), 2);
}

/// Keys that upstream refuses from some request on, each with a random one of all refusals. Two stay healthy.
async fn failing_at_random(seed: u64, keys: usize) -> (Double, String) {
    let pool = (0..keys).map(|n| format!("k{n} {} secret-of-{n}\n", n % 3 + 1)).collect();
    let state = Mutex::new((fastrand::Rng::with_seed(seed), HashMap::<String, usize>::new()));
    let double = Double::with(move |key, path| {
        let refusals = [
            Reply::refusal(429, Some("3600"), ""),
            Reply::refusal(429, None, DAILY),
            Reply::refusal(429, None, OF_MODEL),
            Reply::refusal(401, None, ""),
            Reply::refusal(402, None, ""),
            Reply::refusal(403, None, SUSPENDED),
        ];
        let (random, refused) = &mut *state.lock().unwrap();
        if refused.contains_key(key) || refused.len() + 2 < keys && random.u8(..) < 40 {
            let kind = *refused.entry(key.to_owned()).or_insert_with(|| random.usize(..refusals.len()));
            return refusals[kind].clone();
        }
        Reply::ok(path)
    })
    .await;
    (double, pool)
}

#[tokio::test]
async fn every_call_that_a_healthy_key_can_serve_succeeds_and_no_key_is_used_while_it_rests() {
    for seed in 0..4 {
        let (double, pool) = failing_at_random(seed, 20).await;
        let http = if seed % 2 == 0 { "1" } else { "2" };
        let gateway = gateway(&double.upstream, &pool, &["--upstream-http", http, "--retries", "0"]).await;
        for number in 0..100 {
            match number % 3 {
                0 => drop(gateway.generate(prompt("hi")).await.unwrap()),
                1 => gateway.stream(prompt("hi")).await.unwrap().1.unwrap(),
                _ => assert_eq!(call(gateway.running.address, EVENTS, HI).await.status, 200),
            }
        }
        let seen = double.seen();
        let mut resting = HashSet::new();
        for request in &seen {
            assert!(!resting.contains(&request.key), "{request:?}");
            if request.status != 200 {
                resting.insert(request.key.clone());
            }
        }
        assert_eq!(seen.len() - resting.len(), 100);
        assert!(resting.len() > 10, "{resting:?}");
    }
}

#[tokio::test]
async fn calls_at_once_succeed_and_use_a_refused_key_only_if_they_were_sent_before() {
    const AT_ONCE: usize = 8;
    let (double, pool) = failing_at_random(7, 20).await;
    let gateway = gateway(&double.upstream, &pool, &["--workers", "2"]).await;
    let mut calls = tokio::task::JoinSet::new();
    for caller in 0..AT_ONCE {
        let (client, address) = (gateway.client.clone(), gateway.running.address);
        calls.spawn(async move {
            for _ in 0..50 {
                match caller % 2 {
                    0 => drop(client.clone().generate_content(prompt("hi")).await.unwrap()),
                    _ => assert_eq!(call(address, UNARY, HI).await.status, 200),
                }
            }
        });
    }
    calls.join_all().await;
    let seen = double.seen();
    assert_eq!(seen.iter().filter(|seen| seen.status == 200).count(), AT_ONCE * 50);
    let refused: Vec<_> = seen.iter().filter(|seen| seen.status != 200).map(|seen| seen.key.clone()).collect();
    assert!(counts(&refused).values().all(|count| *count <= AT_ONCE), "{refused:?}");
}

#[tokio::test]
async fn calls_are_spread_by_weight() {
    let double = Double::with(|_, path| Reply::ok(path)).await;
    let gateway = gateway(&double.upstream, "a 1 secret-of-a\nb 9 secret-of-b", &[]).await;
    for _ in 0..200 {
        gateway.generate(prompt("hi")).await.unwrap();
    }
    let keys = double.keys();
    let of_a = counts(&keys).get("secret-of-a").copied().unwrap_or_default();
    // 20 are expected, with a standard deviation of 4.2.
    assert!((1..60).contains(&of_a), "{of_a}");
}
