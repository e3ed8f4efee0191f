//! The models in REST, and the methods that not every upstream has.

use super::client::{HI, Response, call, exchange};
use crate::models::{TOKEN, callers};
use crate::support::{Running, STOP, Upstream, config, json};

const COUNT: &str = "/v1beta/models/gemini-2.5-flash:countTokens";

async fn get(running: &Running, path: &str, headers: &str) -> Response {
    exchange(running.address, format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n")).await
}

fn names(response: &Response) -> Vec<String> {
    let json = response.json();
    let models = json["models"].as_array().unwrap_or_else(|| panic!("{response:?}"));
    models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn models_are_listed_page_by_page_and_described_without_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    let all = get(&running, "/v1beta/models?pageSize=1000", "").await;
    assert_eq!((all.status, all.header("content-type")), (200, Some("application/json")));
    let all = names(&all);
    assert!(all.len() > 4, "{all:?}");
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = get(&running, &format!("/gemini/v1/models?pageSize=2&pageToken={token}"), "").await;
        paged.extend(names(&page));
        match page.json()["nextPageToken"].as_str() {
            Some(next) => token = next.replace('/', "%2F"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    for path in [format!("/v1/{}", all[0]), format!("/v1beta/models/{}", all[0].replace('/', "%2f"))] {
        let one = get(&running, &path, "").await;
        assert_eq!((one.status, one.json()["name"].as_str()), (200, Some(&*all[0])), "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_wrong_question_about_models_is_refused_with_what_is_allowed() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    for (path, status, word) in [
        ("/v1beta/models/no-such-model", 404, "no-such-model"),
        ("/v1beta/models/a%2Fb", 400, "name"),
        ("/v1beta/models?pageSize=x", 400, "pageSize"),
        ("/v1beta/models?pageSize=-1", 400, "page_size"),
        ("/v1beta/models?pageToken=x", 400, "page_token"),
    ] {
        let response = get(&running, path, "").await;
        let text = response.json()["error"]["message"].to_string();
        assert!(response.status == status && text.contains(word), "{path}: {response:?}");
    }
    for path in ["/v1beta/models", "/v1beta/models/gemini-2.5-flash"] {
        let response = call(running.address, path, "{}").await;
        assert_eq!((response.status, response.header("allow")), (405, Some("get")), "{path}");
    }
}

#[tokio::test]
async fn a_caller_sees_the_models_that_it_may_use() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let file = callers("models = ['gemini-2.5-flash-image*']");
    let running = Running::start(&config(&upstream, &["--auth", "tokens", "--callers", file.path().to_str().unwrap()]));
    let missing = get(&running, "/v1beta/models", "").await;
    assert_eq!((missing.status, missing.json()["error"]["status"].as_str()), (401, Some("UNAUTHENTICATED")));
    let seen = names(&get(&running, &format!("/v1beta/models?key={TOKEN}"), "").await);
    assert!(!seen.is_empty() && seen.iter().all(|name| name.starts_with("models/gemini-2.5-flash-image")), "{seen:?}");
    let other = get(&running, "/v1beta/models/gemini-2.5-flash", &format!("x-goog-api-key: {TOKEN}\r\n")).await;
    assert_eq!(other.status, 403, "{other:?}");
}

#[tokio::test]
async fn what_upstream_says_of_models_is_passed_on_unchanged() {
    let theirs =
        "{\"models\" : [ {\"name\":\"models/a-1\",\"topP\":1.50,\"news\":[1]} ] , \"nextPageToken\":\"x/y\"}\n";
    let upstream = Upstream::answering(json("200 OK", theirs)).await;
    let running = Running::start(&config(&upstream, &["--upstream-methods", "models"]));
    let response = get(&running, "/v1beta/models?pageSize=3&pageToken=a%2Bb", "").await;
    assert_eq!((response.status, &*response.body), (200, theirs));
    let request = upstream.requests().pop().unwrap();
    assert!(request.starts_with("GET /gemini/v1beta/models?pageSize=3&pageToken=a%2Bb HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn a_method_that_upstream_lacks_is_refused_and_one_that_it_has_is_passed_on() {
    let upstream = Upstream::answering(json("200 OK", "{ \"totalTokens\" : 7 }")).await;
    let running = Running::start(&config(&upstream, &[]));
    for action in ["countTokens", "embedContent", "batchEmbedContents"] {
        let response = call(running.address, &format!("/v1beta/models/m:{action}"), HI).await;
        let error = &response.json()["error"];
        assert_eq!((response.status, error["status"].as_str()), (501, Some("UNIMPLEMENTED")), "{action}");
        assert!(error["message"].as_str().unwrap().contains("GEMINI_GRPC_UPSTREAM_METHODS"), "{error}");
    }
    assert_eq!(upstream.requests().len(), 0);

    let running = Running::start(&config(&upstream, &["--upstream-methods", "countTokens"]));
    let response = call(running.address, COUNT, HI).await;
    assert_eq!((response.status, &*response.body), (200, "{ \"totalTokens\" : 7 }"));
    let request = upstream.requests().pop().unwrap();
    assert!(request.starts_with("POST /gemini/v1beta/models/gemini-2.5-flash:countTokens HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with(HI), "{request}");
}
