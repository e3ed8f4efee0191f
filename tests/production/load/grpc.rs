//! Calls over gRPC, with tonic's client.

use std::path::{Path, PathBuf};

use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{
    Content, GenerateContentRequest, GenerateContentResponse, GenerationConfig, Part, Schema, Type, part,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::Failure;
use crate::calls::Call;
use crate::connections::Connections;
use crate::tally::Refusal;

#[derive(Debug)]
pub(super) struct Grpc(Connections<Channel>);

impl Grpc {
    pub(super) fn new(
        urls: &[String],
        each: usize,
        ca: Option<&Path>,
        token_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let ca = ca.map(std::fs::read).transpose()?.map(Certificate::from_pem);
        let mut endpoints = Vec::new();
        for url in urls {
            let mut endpoint = Endpoint::from_shared(url.clone())?;
            if let Some(ca) = &ca {
                endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca.clone()))?;
            }
            endpoints.push(endpoint);
        }
        let connect = move |number: usize| endpoints[number].connect_lazy();
        Ok(Self(Connections::new(urls.len(), each, token_file, connect)))
    }

    pub(super) fn renew_next(&self) {
        self.0.renew_next();
    }

    /// Makes a call. Returns whether it had a finish reason.
    pub(super) async fn make(&self, call: Call) -> Result<bool, Refusal> {
        let (channel, token) = self.0.next();
        let mut request = Request::new(message(call.model, call.words));
        request.set_timeout(call.deadline);
        if let Some(token) = token.and_then(|token| token.parse().ok()) {
            request.metadata_mut().insert("authorization", token);
        }
        read(GenerativeServiceClient::new(channel), request, call.streams).await.map_err(refusal)
    }
}

async fn read(
    mut client: GenerativeServiceClient<Channel>,
    request: Request<GenerateContentRequest>,
    streams: bool,
) -> Result<bool, Status> {
    if !streams {
        return Ok(is_finished(client.generate_content(request).await?.get_ref()));
    }
    let mut stream = client.stream_generate_content(request).await?.into_inner();
    let mut finished = false;
    while let Some(answer) = stream.message().await? {
        finished |= is_finished(&answer);
    }
    Ok(finished)
}

/// A request. With a number of words, its schema allows only one value, which the sandbox streams word by word.
fn message(model: &str, words: Option<usize>) -> GenerateContentRequest {
    let part = Part { data: Some(part::Data::Text("Why is the sky blue?".to_owned())), ..Default::default() };
    let content = Content { parts: vec![part], role: "user".to_owned(), ..Default::default() };
    let schema = |words| Schema {
        r#type: Type::String.into(),
        r#enum: vec![vec!["word"; words].join(" ")],
        ..Default::default()
    };
    let config = |words| GenerationConfig {
        response_mime_type: "application/json".to_owned(),
        response_schema: Some(schema(words)),
        ..Default::default()
    };
    let generation_config = words.map(config);
    GenerateContentRequest { model: model.to_owned(), contents: vec![content], generation_config, ..Default::default() }
}

fn is_finished(answer: &GenerateContentResponse) -> bool {
    answer.candidates.iter().any(|candidate| candidate.finish_reason != 0)
}

fn refusal(status: Status) -> Refusal {
    Refusal { code: name_of(status.code()), message: status.message().to_owned() }
}

/// The name that gRPC's specification gives to a code.
fn name_of(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
