//! The RPCs `EmbedContent` and `BatchEmbedContents`, whose messages are only translated.

use gemini_grpc::pb::gemini::{
    BatchEmbedContentsRequest, ContentEmbedding, EmbedContentConfig, EmbedContentRequest, TaskType,
};
use gemini_grpc::pb::rpc;
use tonic::{Code, Status};

use crate::models::{callers, with_token};
use crate::spending::scraped;
use crate::support::{Details, Gateway, Upstream, assert_status, json, prompt};

const OFFERED: [&str; 2] = ["--upstream-methods", "embedContent,batchEmbedContents"];
const VECTOR: &str = r#"{"embedding":{"values":[0.5,-1,2.5e-3],"shape":[3]},"usageMetadata":{"promptTokenCount":20}}"#;

fn request(model: &str) -> EmbedContentRequest {
    EmbedContentRequest { model: model.into(), content: prompt("hi").contents.pop(), ..Default::default() }
}

fn values(embedding: &ContentEmbedding) -> &[f32] {
    &embedding.values
}

#[tokio::test]
async fn a_content_becomes_a_vector() {
    let upstream = Upstream::answering(json("200 OK", VECTOR)).await;
    let gateway = Gateway::with(&upstream, &OFFERED).await;
    let config = EmbedContentConfig { document_ocr: Some(true), ..Default::default() };
    let request = EmbedContentRequest {
        task_type: Some(TaskType::RetrievalQuery.into()),
        title: Some("a title".into()),
        output_dimensionality: Some(3),
        embed_content_config: Some(config),
        ..request("models/gemini-embedding-001")
    };
    let answer = gateway.client.clone().embed_content(request).await.unwrap().into_inner();

    let head = &upstream.requests()[0];
    assert!(head.starts_with("POST /gemini/v1beta/models/gemini-embedding-001:embedContent HTTP/1.1\r\n"), "{head}");
    let expected = serde_json::json!({
        "content": { "parts": [{ "text": "hi" }], "role": "user" },
        "taskType": "RETRIEVAL_QUERY",
        "title": "a title",
        "outputDimensionality": 3,
        "embedContentConfig": { "documentOcr": true },
    });
    assert_eq!(upstream.body(), expected);
    let embedding = answer.embedding.unwrap();
    assert_eq!((values(&embedding), &embedding.shape[..]), (&[0.5, -1.0, 2.5e-3][..], &[3][..]));
    assert_eq!(answer.usage_metadata.unwrap().prompt_token_count, 20);
}

#[tokio::test]
async fn several_contents_become_vectors_in_their_order() {
    let vectors = r#"{"embeddings":[{"values":[1]},{"values":[2]}]}"#;
    let upstream = Upstream::answering(json("200 OK", vectors)).await;
    let gateway = Gateway::with(&upstream, &OFFERED).await;
    let batch = BatchEmbedContentsRequest {
        model: "gemini-embedding-001".into(),
        requests: vec![request("models/gemini-embedding-001"), request("")],
        ..Default::default()
    };
    let answer = gateway.client.clone().batch_embed_contents(batch).await.unwrap().into_inner();
    let head = &upstream.requests()[0];
    assert!(head.starts_with("POST /gemini/v1beta/models/gemini-embedding-001:batchEmbedContents "), "{head}");
    let content = serde_json::json!({ "parts": [{ "text": "hi" }], "role": "user" });
    let named = serde_json::json!({ "model": "models/gemini-embedding-001", "content": content });
    let unnamed = serde_json::json!({ "content": content });
    assert_eq!(upstream.body(), serde_json::json!({ "requests": [named, unnamed] }));
    let values: Vec<_> = answer.embeddings.iter().map(values).collect();
    assert_eq!(values, [[1.0], [2.0]]);
}

#[tokio::test]
async fn a_content_of_a_batch_cannot_name_a_model_that_its_caller_may_not_use() {
    let upstream = Upstream::answering(json("200 OK", "{}")).await;
    let file = callers("models = ['gemini-embedding-001']");
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let gateway = Gateway::with(&upstream, &[&OFFERED[..], &flags].concat()).await;
    let batch = BatchEmbedContentsRequest {
        model: "gemini-embedding-001".into(),
        requests: vec![request("gemini-embedding-001"), request("gemini-embedding-2")],
        ..Default::default()
    };
    let status = gateway.client.clone().batch_embed_contents(with_token(batch)).await.unwrap_err();
    assert_status(&status, Code::InvalidArgument, "REQUEST_INVALID");
    let violations = Details::of(&status).find::<rpc::BadRequest>("BadRequest").unwrap().field_violations;
    assert_eq!(violations[0].field, "requests[1].model");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn only_the_tokens_that_upstream_reports_are_charged() {
    for (answer, charged) in [(VECTOR, 20), (r#"{"embedding":{"values":[1]}}"#, 0)] {
        let (telemetry, scrape) = scraped();
        let upstream = Upstream::answering(json("200 OK", answer)).await;
        let file = callers("tokens_per_minute = 10");
        let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
        let gateway = Gateway::with_telemetry(&upstream, &[&OFFERED[..], &flags].concat(), &telemetry).await;
        let embed = async || -> Result<_, Status> {
            gateway.client.clone().embed_content(with_token(request("gemini-embedding-001"))).await
        };
        embed().await.unwrap();
        match embed().await {
            // The caller has spent twice what a minute allows.
            Err(status) if charged > 0 => assert_status(&status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED"),
            again => drop(again.unwrap()),
        }
        let scrape = scrape();
        assert!(scrape.contains("gen_ai_operation_name=\"embeddings\""), "{scrape}");
        let input =
            |line: &&str| line.starts_with("gemini_grpc_usage_tokens_total{") && line.contains("kind=\"input\"");
        let counted = scrape.lines().find(input).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
        assert_eq!(counted, charged, "{scrape}");
    }
}
