//! The service `ModelService`: from the catalogue, and as upstream says.

use std::io::Write as _;
use std::time::Duration;

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::pb::gemini::model_service_client::ModelServiceClient;
use gemini_grpc::pb::gemini::{GetModelRequest, ListModelsRequest, ListModelsResponse, Model};
use gemini_grpc::pb::rpc;
use gemini_grpc::sandbox::{Options, Sandbox};
use http::uri::PathAndQuery;
use tempfile::NamedTempFile;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::spending::scraped;
use crate::support::{Answer, Details, Gateway, Upstream, assert_status, body, config, json};

/// The token of the caller in [`callers`].
pub const TOKEN: &str = "gg_token-of-team-a";
const PASSED_ON: [&str; 2] = ["--upstream-methods", "models"];
const SERVICES: [&str; 3] = [
    "mountsea.gemini.v1.ModelService",
    "google.ai.generativelanguage.v1beta.ModelService",
    "google.ai.generativelanguage.v1.ModelService",
];
const THEIRS: &str =
    r#"{"models":[{"name":"models/a-1","topK":64,"news":[1]},{"name":"models/b-1"}],"nextPageToken":"x/y"}"#;

/// A file with one caller, which has these limits.
pub fn callers(limits: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "[callers.team-a]\ntoken_sha256 = '{}'\n{limits}\n", TokenHash::of(TOKEN).to_hex()).unwrap();
    file
}

/// The request with the token of the caller.
pub fn with_token<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("x-goog-api-key", MetadataValue::from_static(TOKEN));
    request
}

async fn list(
    gateway: &Gateway,
    request: impl tonic::IntoRequest<ListModelsRequest>,
) -> Result<ListModelsResponse, Status> {
    ModelServiceClient::new(gateway.channel.clone()).list_models(request).await.map(Response::into_inner)
}

async fn get(gateway: &Gateway, name: &str) -> Result<Model, Status> {
    get_as(gateway, GetModelRequest { name: name.into(), ..Default::default() }).await
}

async fn get_as(gateway: &Gateway, request: impl tonic::IntoRequest<GetModelRequest>) -> Result<Model, Status> {
    ModelServiceClient::new(gateway.channel.clone()).get_model(request).await.map(Response::into_inner)
}

fn page(page_size: i32, page_token: &str) -> ListModelsRequest {
    ListModelsRequest { page_size, page_token: page_token.into(), ..Default::default() }
}

fn names(list: &ListModelsResponse) -> Vec<&str> {
    list.models.iter().map(|model| model.name.as_str()).collect()
}

const CATALOGUE: [&str; 8] = [
    "models/gemini-2.5-flash",
    "models/gemini-2.5-pro",
    "models/gemini-2.5-flash-image",
    "models/nano-banana-fast",
    "models/gemini-3.1-flash-image-preview",
    "models/nano-banana-2",
    "models/gemini-3-pro-image-preview",
    "models/nano-banana-pro",
];

#[tokio::test]
async fn the_catalogue_is_listed_under_every_name_of_the_service_without_asking_upstream() {
    let upstream = Upstream::answering("").await;
    let gateway = Gateway::over(&upstream).await;
    for service in SERVICES {
        let mut client = tonic::client::Grpc::new(gateway.channel.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::try_from(format!("/{service}/ListModels")).unwrap();
        let codec = ProstCodec::<ListModelsRequest, ListModelsResponse>::default();
        let listed = client.unary(Request::new(page(0, "")), path, codec).await.unwrap().into_inner();
        assert_eq!(names(&listed), CATALOGUE);
        assert_eq!(listed.next_page_token, "");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn pages_make_the_whole_list() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let listed = list(&gateway, page(3, &token)).await.unwrap();
        assert!(listed.models.len() <= 3);
        seen.extend(names(&listed).into_iter().map(str::to_owned));
        token = listed.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, CATALOGUE);
}

#[tokio::test]
async fn a_model_says_what_it_takes() {
    let gateway = Gateway::with(&Upstream::answering("").await, &["--upstream-methods", "countTokens"]).await;
    let image = get(&gateway, "models/nano-banana-pro").await.unwrap();
    assert_eq!(image.name, "models/nano-banana-pro");
    assert_eq!((&*image.base_model_id, &*image.display_name), ("gemini-3-pro-image-preview", "NanoBananaPro"));
    assert_eq!((image.aspect_ratios.len(), &image.image_sizes[..]), (10, &["1K", "2K", "4K"].map(String::from)[..]));
    assert!(image.description.contains("16:9") && image.description.contains("4K"), "{}", image.description);
    assert_eq!(image.supported_generation_methods, ["generateContent", "streamGenerateContent", "countTokens"]);
    let text = get(&gateway, "gemini-2.5-flash").await.unwrap();
    assert_eq!((text.input_token_limit, text.output_token_limit), (1_048_576, 65_536));
    assert!(text.aspect_ratios.is_empty() && text.additional_fields.is_none());
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let methods = get(&gateway, "gemini-2.5-flash").await.unwrap().supported_generation_methods;
    assert_eq!(methods, ["generateContent", "streamGenerateContent"]);
}

#[tokio::test]
async fn an_unknown_model_is_not_found_and_a_wrong_question_is_invalid() {
    let upstream = Upstream::answering("").await;
    let gateway = Gateway::over(&upstream).await;
    assert_status(&get(&gateway, "gemini-9").await.unwrap_err(), Code::NotFound, "MODEL_NOT_FOUND");
    let violation = |status: Status| {
        assert_status(&status, Code::InvalidArgument, "REQUEST_INVALID");
        let violations = Details::of(&status).find::<rpc::BadRequest>("BadRequest").unwrap().field_violations;
        let [violation] = &violations[..] else { panic!("{violations:?}") };
        (violation.field.clone(), violation.reason.clone())
    };
    let is = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    for name in ["", "models/", "../x", "tunedModels/mine"] {
        assert_eq!(violation(get(&gateway, name).await.unwrap_err()), is("name", "MODEL_INVALID"), "{name}");
    }
    for (asked, expected) in [
        (page(-1, ""), is("page_size", "NUMBER_OUT_OF_RANGE")),
        (page(0, "gemini-9"), is("page_token", "PAGE_TOKEN_INVALID")),
        (page(0, &"x".repeat(20_000)), is("page_token", "REQUEST_TOO_LONG")),
    ] {
        assert_eq!(violation(list(&gateway, asked).await.unwrap_err()), expected);
    }
    let message = body([vec![0, 0, 0, 0, 1, 255]]);
    let headers = gateway.raw_at("mountsea.gemini.v1.ModelService/GetModel", [], message).await;
    let status = Status::from_header_map(&headers).unwrap();
    assert_status(&status, Code::InvalidArgument, "REQUEST_MALFORMED");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_caller_that_may_use_certain_models_sees_no_others() {
    let file = callers("models = ['gemini-2.5-*']");
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let gateway = Gateway::with(&Upstream::answering("").await, &flags).await;
    let status = list(&gateway, page(0, "")).await.unwrap_err();
    assert_status(&status, Code::Unauthenticated, "TOKEN_MISSING");
    let listed = list(&gateway, with_token(page(2, ""))).await.unwrap();
    assert_eq!(names(&listed), CATALOGUE[..2]);
    let listed = list(&gateway, with_token(page(2, &listed.next_page_token))).await.unwrap();
    assert_eq!((names(&listed), &*listed.next_page_token), (CATALOGUE[2..3].to_vec(), ""));
    // A model that it may not use cannot be found out either, whether it exists or not.
    for name in ["gemini-3-pro-image-preview", "gemini-9"] {
        let request = GetModelRequest { name: name.into(), ..Default::default() };
        let status = get_as(&gateway, with_token(request)).await.unwrap_err();
        assert_status(&status, Code::PermissionDenied, "MODEL_NOT_ALLOWED");
        let status = list(&gateway, with_token(page(0, name))).await.unwrap_err();
        assert_status(&status, Code::InvalidArgument, "REQUEST_INVALID");
    }
}

#[tokio::test]
async fn upstreams_list_is_passed_on_as_it_is() {
    let upstream = Upstream::answering(json("200 OK", THEIRS)).await;
    let gateway = Gateway::with(&upstream, &PASSED_ON).await;
    let listed = list(&gateway, page(2, "a/b&c")).await.unwrap();
    assert_eq!((names(&listed), &*listed.next_page_token), (vec!["models/a-1", "models/b-1"], "x/y"));
    assert_eq!(listed.models[0].top_k, Some(64));
    assert!(listed.models[0].additional_fields.as_ref().unwrap().fields.contains_key("news"));
    list(&gateway, page(0, "")).await.unwrap();
    let [asked, first] = &upstream.requests()[..] else { panic!("{:?}", upstream.requests()) };
    assert!(asked.starts_with("GET /gemini/v1beta/models?pageSize=2&pageToken=a%2Fb%26c HTTP/1.1\r\n"), "{asked}");
    assert!(first.starts_with("GET /gemini/v1beta/models HTTP/1.1\r\n"), "{first}");
    assert!(
        asked.contains("\r\nauthorization: Bearer own-key\r\n") && asked.contains("\r\naccept: application/json\r\n")
    );
    assert!(!asked.contains("content-") && !asked.contains("transfer-encoding"), "{asked}");
}

#[tokio::test]
async fn a_model_of_upstream_is_passed_on_and_so_is_its_error() {
    let not_found = r#"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}"#;
    let answers = [json("200 OK", r#"{"name":"models/a-1"}"#), json("404 Not Found", not_found)];
    let upstream = Upstream::with(answers.map(Answer::closing)).await;
    let gateway = Gateway::with(&upstream, &PASSED_ON).await;
    assert_eq!(get(&gateway, "models/a-1").await.unwrap().name, "models/a-1");
    let status = get(&gateway, "a-2").await.unwrap_err();
    assert_status(&status, Code::NotFound, "UPSTREAM_REFUSED");
    assert_eq!(status.message(), "no such model");
    let [one, other] = &upstream.requests()[..] else { panic!("{:?}", upstream.requests()) };
    assert!(one.starts_with("GET /gemini/v1beta/models/a-1 HTTP/1.1\r\n"), "{one}");
    assert!(other.starts_with("GET /gemini/v1beta/models/a-2 HTTP/1.1\r\n"), "{other}");
}

#[tokio::test]
async fn a_caller_that_may_use_certain_models_sees_no_others_of_upstream() {
    let file = callers("models = ['a-*']");
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let answers = [json("200 OK", THEIRS), json("200 OK", "[")];
    let upstream = Upstream::with(answers.map(Answer::closing)).await;
    let gateway = Gateway::with(&upstream, &[&PASSED_ON[..], &flags].concat()).await;
    let listed = list(&gateway, with_token(page(0, ""))).await.unwrap();
    assert_eq!((names(&listed), &*listed.next_page_token), (vec!["models/a-1"], "x/y"));
    assert!(listed.models[0].additional_fields.as_ref().unwrap().fields.contains_key("news"));
    // What cannot be read cannot be filtered.
    let status = list(&gateway, with_token(page(0, ""))).await.unwrap_err();
    assert_status(&status, Code::Internal, "UPSTREAM_ANSWER_UNREADABLE");
    let request = GetModelRequest { name: "b-1".into(), ..Default::default() };
    let status = get_as(&gateway, with_token(request)).await.unwrap_err();
    assert_status(&status, Code::PermissionDenied, "MODEL_NOT_ALLOWED");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_question_about_models_is_asked_again_whatever_upstream_made_of_it() {
    let gone = Answer::closing("");
    let broken = Answer::closing(json("502 Bad Gateway", "{}"));
    let upstream = Upstream::with([gone, broken, Answer::closing(json("200 OK", THEIRS))]).await;
    let gateway = Gateway::with(&upstream, &PASSED_ON).await;
    assert_eq!(list(&gateway, page(0, "")).await.unwrap().models.len(), 2);
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_call_about_models_counts_for_its_caller_and_ends_at_its_deadline() {
    let (telemetry, scrape) = scraped();
    let file = callers("calls_per_minute = 2");
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let upstream = Upstream::with([Answer::closing(json("404 Not Found", "{}")), Answer::silence_after("")]).await;
    let gateway = Gateway::with_telemetry(&upstream, &[&PASSED_ON[..], &flags].concat(), &telemetry).await;
    let status = list(&gateway, with_token(page(0, ""))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let mut late = with_token(page(0, ""));
    late.set_timeout(Duration::from_millis(100));
    let status = list(&gateway, late).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    let status = list(&gateway, with_token(page(0, ""))).await.unwrap_err();
    assert_status(&status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    let scrape = scrape();
    for label in ["rpc_method=\"mountsea.gemini.v1.ModelService/ListModels\"", "http_request_method=\"GET\""] {
        assert!(scrape.contains(label), "{scrape}");
    }
    // No model was asked for anything. What upstream refused is no refusal of the gateway.
    assert!(!scrape.contains("gen_ai_operation_name"), "{scrape}");
    let refused = |line: &&str| line.starts_with("gemini_grpc_calls_refused_total{") && !line.ends_with(" 0");
    let refusals: Vec<_> = scrape.lines().filter(refused).collect();
    assert!(matches!(refusals[..], [only] if only.contains("CALLER_QUOTA_EXCEEDED")), "{refusals:?}");
}

#[tokio::test]
async fn the_models_of_the_sandbox_are_listed_over_http2() {
    let sandbox = Sandbox::bind(([127, 0, 0, 1], 0).into(), Options::default()).unwrap();
    let mut upstream = Upstream::answering("").await;
    upstream.url = sandbox.url();
    tokio::spawn(sandbox.run(std::future::pending()));
    let config = config(&upstream, &[&PASSED_ON[..], &["--upstream-http", "2"]].concat());
    let gateway = Gateway::start(&config, &gemini_grpc::telemetry::Telemetry::default()).await;
    let first = list(&gateway, page(1, "")).await.unwrap();
    assert_eq!(names(&first), ["models/gemini-2.5-flash"]);
    let second = list(&gateway, page(1, &first.next_page_token)).await.unwrap();
    assert_eq!(names(&second), ["models/gemini-2.5-pro"]);
    let model = get(&gateway, "gemini-2.5-pro").await.unwrap();
    assert!(model.display_name.contains("[sandbox]"), "{model:?}");
    assert_eq!(get(&gateway, "no-such-model").await.unwrap_err().code(), Code::NotFound);
}
