//! Requests that are refused before anything is sent.

use gemini_grpc::pb::gemini::image_response_format::ImageSize;
use gemini_grpc::pb::gemini::{
    GenerateContentRequest, GenerationConfig, ImageConfig, ImageResponseFormat, ResponseFormatConfig,
};
use gemini_grpc::pb::rpc;
use tonic::Code;

use crate::support::{Details, Gateway, STOP, Upstream, assert_status, json, prompt};

fn picture(ratio: &str, size: Option<&str>) -> GenerateContentRequest {
    let image_config =
        ImageConfig { aspect_ratio: Some(ratio.into()), image_size: size.map(Into::into), ..Default::default() };
    GenerateContentRequest {
        model: "gemini-2.5-flash-image".into(),
        generation_config: Some(GenerationConfig { image_config: Some(image_config), ..Default::default() }),
        ..prompt("a lighthouse")
    }
}

#[tokio::test]
async fn all_violations_are_reported_together_and_nothing_is_sent() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let request = GenerateContentRequest { contents: Vec::new(), ..picture("7:3", Some("4K")) };
    for status in [gateway.generate(request.clone()).await.unwrap_err(), gateway.stream(request).await.unwrap_err()] {
        assert_status(&status, Code::InvalidArgument, "REQUEST_INVALID");
        let bad: rpc::BadRequest = Details::of(&status).find("BadRequest").unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|v| v.field.as_str()).collect();
        let config = "generation_config.image_config";
        assert_eq!(fields, ["contents", &format!("{config}.aspect_ratio"), &format!("{config}.image_size")]);
        assert!(bad.field_violations[1].description.contains("16:9"));
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_model_name_cannot_change_the_path() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    for model in ["../../admin", "a/b", "a%2fb", "a?x=1", "a#b", "a:countTokens", "a\nb", "a\0b", "", "tunedModels/x"] {
        let status =
            gateway.generate(GenerateContentRequest { model: model.into(), ..prompt("hi") }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{model:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn image_models_are_asked_for_text_and_image_by_default() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    Gateway::over(&upstream).await.generate(picture("16:9", None)).await.unwrap();
    let expected = serde_json::json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "16:9"}});
    assert_eq!(upstream.body()["generationConfig"], expected);
}

#[tokio::test]
async fn released_image_models_are_validated_only_under_googles_profile() {
    for (profile, size, refused) in [("mountsea", "512", false), ("google", "2K", false), ("google", "512", true)] {
        let upstream = Upstream::answering(json("200 OK", STOP)).await;
        let gateway = Gateway::with(&upstream, &["--catalog-profile", profile]).await;
        let model = "models/gemini-nano-banana-2.1".to_owned();
        let request = GenerateContentRequest { model, ..picture("1:8", Some(size)) };
        let answer = gateway.generate(request).await;
        assert_eq!(answer.is_err(), refused, "{profile} {size}");
        if !refused {
            assert_eq!(upstream.body()["generationConfig"]["responseModalities"], serde_json::json!(["TEXT", "IMAGE"]));
        }
    }
}

#[tokio::test]
async fn violations_in_response_format_name_the_callers_field() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let image = ImageResponseFormat { image_size: Some(ImageSize::FourK as i32), ..Default::default() };
    let response_format = Some(ResponseFormatConfig { image: Some(image), ..Default::default() });
    let request = GenerateContentRequest {
        generation_config: Some(GenerationConfig { response_format, ..Default::default() }),
        ..picture("1:1", None)
    };
    for status in [gateway.generate(request.clone()).await.unwrap_err(), gateway.stream(request).await.unwrap_err()] {
        let bad: rpc::BadRequest = Details::of(&status).find("BadRequest").unwrap();
        assert_eq!(bad.field_violations[0].field, "generation_config.response_format.image.image_size");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_message_over_the_size_limit_is_refused_and_the_limit_is_named() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--max-request-bytes", "2048"]).await;
    let large = prompt(&"x".repeat(4096));
    let plain = gateway.generate(large.clone()).await.unwrap_err();
    let mut client = gateway.client.clone().send_compressed(tonic::codec::CompressionEncoding::Gzip);
    let compressed = client.generate_content(large).await.unwrap_err();
    for status in [plain, compressed] {
        assert_status(&status, Code::ResourceExhausted, "REQUEST_TOO_LARGE");
        assert!(status.message().contains("2048"));
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_compressed_request_is_decompressed() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let mut client = gateway.client.clone().send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.generate_content(prompt("hi")).await.unwrap();
    assert_eq!(upstream.body()["contents"][0]["parts"][0]["text"], "hi");
}

#[tokio::test]
async fn a_value_that_json_cannot_represent_is_refused_with_its_path() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let config = GenerationConfig { presence_penalty: Some(f32::NAN), ..Default::default() };
    let request = GenerateContentRequest { generation_config: Some(config), ..prompt("hi") };
    let status = gateway.generate(request).await.unwrap_err();
    assert_status(&status, Code::InvalidArgument, "REQUEST_MALFORMED");
    let bad: rpc::BadRequest = Details::of(&status).find("BadRequest").unwrap();
    assert_eq!(bad.field_violations[0].field, "generation_config.presence_penalty");
    assert!(upstream.requests().is_empty());
}
