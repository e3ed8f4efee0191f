//! Golden calls: what goes upstream, and what comes back, over each face.
//!
//! Each folder of tests/golden/calls is a call. `rest.request.json` and `grpc.request.json` are the requests, and
//! `upstream.json` or `upstream.sse` is what upstream answers, to a unary or to a streaming call. The other files are
//! expected: `GOLDEN=write cargo test --test gateway golden` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use gemini_grpc::gemini::json::{to_json, to_wire};
use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{GenerateContentRequest, GenerateContentResponse};
use prost::Message as _;
use serde_json::Value;

use crate::rest::client::call;
use crate::rest::web;
use crate::support::{Gateway, Upstream, json, sse};

const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";

/// A folder with a call.
struct Case {
    folder: PathBuf,
    request: GenerateContentRequest,
    is_stream: bool,
}

impl Case {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/calls");
        let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let wire = to_wire(REQUEST, &fs::read(folder.join("grpc.request.json")).unwrap()).unwrap();
        let is_stream = folder.join("upstream.sse").exists();
        Self { folder, request: GenerateContentRequest::decode(&*wire).unwrap(), is_stream }
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_else(|error| panic!("{error}: {file} of {self}"))
    }

    async fn upstream(&self) -> Upstream {
        Upstream::answering(match self.is_stream {
            true => sse(self.text("upstream.sse")),
            false => json("200 OK", &self.text("upstream.json")),
        })
        .await
    }

    /// Compares a text with a file, to the byte.
    fn expect(&self, file: &str, found: &str) {
        self.write(file, found);
        assert_eq!(found, self.text(file), "{file} of {self}");
    }

    /// Compares messages with a file, which has each as JSON in a line.
    fn expect_messages(&self, file: &str, messages: &[GenerateContentResponse]) {
        let lines = messages.iter().map(|message| to_json(RESPONSE, &message.encode_to_vec()).unwrap());
        let lines: Vec<_> = lines.map(|json| String::from_utf8(json).unwrap()).collect();
        self.write(file, &(lines.join("\n") + "\n"));
        let values = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let found: Vec<_> = lines.iter().map(|line| values(line)).collect();
        assert_eq!(found, self.text(file).lines().map(values).collect::<Vec<_>>(), "{file} of {self}");
    }

    fn write(&self, file: &str, text: &str) {
        if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
            fs::write(self.folder.join(file), text).unwrap();
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.folder.display().fmt(f)
    }
}

/// The body of the last request that upstream got.
fn last_body(upstream: &Upstream) -> String {
    upstream.requests().pop().unwrap().split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn golden_calls_over_rest_reach_the_other_side_as_their_files_say() {
    let cases = Case::all();
    assert!(cases.len() >= 7, "{} cases", cases.len());
    for case in cases {
        let upstream = case.upstream().await;
        let gateway = Gateway::over(&upstream).await;
        let method = if case.is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let path = format!("/v1beta/{}:{method}", case.request.model);
        let response = call(gateway.running.address, &path, &case.text("rest.request.json")).await;
        assert_eq!(response.status, 200, "{case}: {response:?}");
        case.expect("rest.upstream.json", &last_body(&upstream));
        case.expect(if case.is_stream { "rest.response.sse" } else { "rest.response.json" }, &response.body);
    }
}

#[tokio::test]
async fn golden_calls_over_grpc_reach_the_other_side_as_their_files_say() {
    for case in Case::all() {
        let upstream = case.upstream().await;
        let gateway = Gateway::over(&upstream).await;
        let mut client: GenerativeServiceClient<_> = gateway.client.clone();
        let mut messages = Vec::new();
        if case.is_stream {
            let mut stream = client.stream_generate_content(case.request.clone()).await.unwrap().into_inner();
            while let Some(message) = stream.message().await.unwrap() {
                messages.push(message);
            }
        } else {
            messages.push(client.generate_content(case.request.clone()).await.unwrap().into_inner());
        }
        case.expect("grpc.upstream.json", &last_body(&upstream));
        case.expect_messages("grpc.response.jsonl", &messages);
    }
}

#[tokio::test]
async fn golden_calls_over_grpc_web_are_those_over_grpc() {
    for case in Case::all() {
        let upstream = case.upstream().await;
        let gateway = Gateway::over(&upstream).await;
        let method = if case.is_stream { "StreamGenerateContent" } else { "GenerateContent" };
        for content_type in web::TYPES {
            let request = case.request.encode_to_vec();
            let response = web::send(&gateway.running, false, content_type, method, &[], &request).await;
            assert_eq!((response.status, response.code()), (200, "0"), "{case}");
            case.expect("grpc.upstream.json", &last_body(&upstream));
            case.expect_messages("grpc.response.jsonl", &response.messages);
        }
    }
}
