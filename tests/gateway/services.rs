//! Health and reflection.

use std::collections::HashMap;

use gemini_grpc::pb::health::health_check_response::ServingStatus;
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::pb::health::{HealthCheckRequest, HealthListRequest};
use gemini_grpc::server::Server;
use gemini_grpc::telemetry::Telemetry;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{Gateway, Upstream, config};

const SERVICES: [&str; 6] = [
    "google.ai.generativelanguage.v1.GenerativeService",
    "google.ai.generativelanguage.v1beta.GenerativeService",
    "mountsea.gemini.v1.GenerativeService",
    "google.ai.generativelanguage.v1.ModelService",
    "google.ai.generativelanguage.v1beta.ModelService",
    "mountsea.gemini.v1.ModelService",
];

#[tokio::test]
async fn health_is_reported_for_every_service_and_for_the_whole_server() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let mut health = HealthClient::new(gateway.channel.clone());
    let list = health.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
    for service in SERVICES.into_iter().chain(["", "grpc.health.v1.Health"]) {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
        assert_eq!(list[service].status(), ServingStatus::Serving);
    }
    assert_eq!(list.len(), 8);
}

#[tokio::test]
async fn an_unknown_service_is_not_found_by_check_and_unknown_in_watch() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let mut health = HealthClient::new(gateway.channel.clone());
    let unknown = HealthCheckRequest { service: "no.such.Service".into() };
    assert_eq!(health.check(unknown.clone()).await.unwrap_err().code(), Code::NotFound);
    let mut watch = health.watch(unknown).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn health_watchers_are_notified_of_the_shutdown() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let mut health = HealthClient::new(gateway.channel.clone());
    let mut watch = health.watch(HealthCheckRequest { service: SERVICES[2].into() }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    drop(gateway);
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
}

async fn reflect(gateway: &Gateway, request: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(gateway.channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn reflection_lists_every_service_and_describes_the_messages() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let answer = reflect(&gateway, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    let mut expected: Vec<_> = SERVICES.to_vec();
    expected.extend([
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "xds.service.orca.v3.OpenRcaService",
    ]);
    expected.sort_unstable();
    assert_eq!(names, expected);

    for symbol in [
        "mountsea.gemini.v1.GenerateContentResponse",
        "google.rpc.ErrorInfo",
        SERVICES[0],
        "xds.data.orca.v3.OrcaLoadReport",
    ] {
        let answer = reflect(&gateway, MessageRequest::FileContainingSymbol(symbol.into())).await;
        assert!(matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))), "{symbol}");
    }
}

#[tokio::test]
async fn reflection_serves_the_rules_that_clients_can_check() {
    let gateway = Gateway::over(&Upstream::answering("").await).await;
    let (mut files, mut wanted) = (HashMap::new(), vec!["mountsea/gemini/v1/generation_config.proto".to_owned()]);
    while let Some(name) = wanted.pop() {
        let answer = reflect(&gateway, MessageRequest::FileByFilename(name)).await;
        let Some(MessageResponse::FileDescriptorResponse(found)) = answer.message_response else {
            panic!("{answer:?}")
        };
        for encoded in found.file_descriptor_proto {
            let file = FileDescriptorProto::decode(encoded.as_slice()).unwrap();
            files.insert(file.name().to_owned(), encoded);
            wanted.extend(file.dependency.into_iter().filter(|name| !files.contains_key(name)));
        }
    }
    assert!(files.contains_key("buf/validate/validate.proto"), "{:?}", files.keys());
    let mut set = Vec::new();
    prost::encoding::bytes::encode_repeated(1, &files.into_values().collect::<Vec<_>>(), &mut set);
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let rule = pool.get_extension_by_name("buf.validate.field").unwrap();
    let config = pool.get_message_by_name("mountsea.gemini.v1.GenerationConfig").unwrap();
    assert!(config.get_field_by_name("temperature").unwrap().options().has_extension(&rule));
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let gateway = Gateway::with(&Upstream::answering("").await, &["--reflection", "false"]).await;
    let request = ServerReflectionRequest { host: String::new(), message_request: None };
    let mut client = ServerReflectionClient::new(gateway.channel.clone());
    let status = client.server_reflection_info(tokio_stream::once(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_second_server_cannot_take_connections_from_the_first() {
    let mut config = config(&Upstream::answering("").await, &["--workers", "2"]);
    let first = Server::bind(&config, &Telemetry::default(), None).unwrap();
    config.listen = first.address();
    let error = Server::bind(&config, &Telemetry::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}: Address already in use (os error 98)", first.address())
    );
    drop(first);
    Server::bind(&config, &Telemetry::default(), None).unwrap();
}
