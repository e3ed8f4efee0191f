//! The paths of the Compat API.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::error::Error;
use super::models::Model;
use super::request::Request;
use super::{Options, answer, fault, list, measure, reported, stream};

/// Google takes 20 MB inline; tests go beyond.
const MAX_BODY: usize = 128 << 20;

/// A key that is refused, for trying.
const BAD_KEY: &str = "bad-key";

#[derive(Debug, serde::Deserialize)]
struct Parameters {
    key: Option<String>,
    alt: Option<String>,
    #[serde(rename = "pageSize")]
    page_size: Option<String>,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

pub(super) fn router(options: Options) -> Router {
    let api = || {
        Router::new()
            .route("/models", get(all))
            .route("/models/{model}", get(one).post(call))
            .route("/models/{model}/{*rest}", post(unknown))
            .method_not_allowed_fallback(unknown)
    };
    let versions = || Router::new().nest("/v1beta", api()).nest("/v1", api());
    versions()
        .nest("/gemini", versions())
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(options))
}

async fn unknown() -> Error {
    Error::not_found(
        "there is nothing at this path; the sandbox has /v1beta/models/{model}:generateContent, :streamGenerateContent, :countTokens, :embedContent and :batchEmbedContents, and GET of /v1beta/models and /v1beta/models/{model}",
    )
}

/// `GET /models`.
async fn all(Query(parameters): Query<Parameters>, headers: HeaderMap) -> Result<Response, Error> {
    let page = list::page(parameters.page_size.as_deref(), parameters.page_token.as_deref())?;
    describe(None, &page, &headers, &parameters)
}

/// `GET /models/{model}`.
async fn one(
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let model = Model::named(&name)?;
    describe(model.fault.as_deref(), &list::describe(&model), &headers, &parameters)
}

/// What a GET answers, unless a fault is asked for. A key is not required, so that a browser can look.
fn describe(
    fault: Option<&str>,
    answer: &Value,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Response, Error> {
    let key = match key(headers, parameters) {
        Err(error) if given(headers, parameters).is_some() => return Err(error),
        key => key.unwrap_or_default(),
    };
    let fault = asked_fault(headers).or(fault).unwrap_or_default();
    Ok(fault::response(fault, &key, answer).unwrap_or_else(|| Json(answer).into_response()))
}

/// The fault that a header asks for.
fn asked_fault(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-sandbox-fault").and_then(|value| value.to_str().ok())
}

/// `POST /models/{model}:{action}`.
async fn call(
    State(options): State<Arc<Options>>,
    Path(target): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let key = key(&headers, &parameters)?;
    let (name, action) =
        target.split_once(':').ok_or_else(|| Error::not_found("an action is missing, such as :generateContent"))?;
    let streams = match action {
        "generateContent" => false,
        "streamGenerateContent" => true,
        "countTokens" | "embedContent" | "batchEmbedContents" => false,
        _ => return Err(Error::not_found(format!("the Compat API has no {action}"))),
    };
    let model = Model::named(name)?;
    model.check(action)?;
    let fault = asked_fault(&headers).or(model.fault.as_deref()).unwrap_or_default().to_owned();
    if fault == "hang" {
        std::future::pending::<()>().await;
    }
    if let Some(answer) = measure::answer(&model, action, &body) {
        let answer = answer?;
        return Ok(fault::response(&fault, &key, &answer).unwrap_or_else(|| Json(answer).into_response()));
    }
    let request = Request::parse(&body)?;
    // Pictures take time to make, and other calls should not wait for them.
    let asked = fault.clone();
    let events = tokio::task::spawn_blocking(move || answer::events(&model, &request, &asked)).await;
    let events = events.map_err(|_| Error::new(500, "the sandbox has a fault of its own", Value::Null))??;
    let whole = fault::distort(&fault, vec![answer::single(&events)]).swap_remove(0);
    let events = fault::distort(&fault, events);
    let sse = parameters.alt.as_deref() == Some("sse");
    let as_events = streams && sse && reported::answer(&fault).is_some();
    if !as_events && let Some(response) = fault::response(&fault, &key, &whole) {
        return Ok(response);
    }
    if !streams {
        return Ok(Json(whole).into_response());
    }
    let error = match fault.strip_suffix("-event").and_then(|name| fault::response(name, &key, &whole)) {
        Some(error) => axum::body::to_bytes(error.into_body(), usize::MAX).await.ok(),
        None => None,
    };
    Ok(stream::response(&events, sse, &fault, error, options.pace))
}

/// A key in any of the places where the documentation allows it.
fn given(headers: &HeaderMap, parameters: &Parameters) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bearer = || header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
    bearer().or_else(|| header("x-goog-api-key")).or_else(|| parameters.key.clone())
}

/// The caller's key.
fn key(headers: &HeaderMap, parameters: &Parameters) -> Result<String, Error> {
    match given(headers, parameters) {
        None => Err(Error::new(401, "a key is required; the sandbox takes any", Value::Null)),
        Some(key) if key.is_empty() => {
            Err(Error::new(401, "the key is empty; the sandbox takes any other", Value::Null))
        }
        Some(key) if key == BAD_KEY => {
            let info = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
            Err(Error::new(400, "API key not valid. Please pass a valid API key.", info))
        }
        Some(key) => Ok(key),
    }
}
