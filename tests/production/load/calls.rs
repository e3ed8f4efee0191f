//! The calls: one answer, a long stream, and a fault of the sandbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{
    Content, GenerateContentRequest, GenerateContentResponse, GenerationConfig, Part, Schema, Type, part,
};
use tonic::{Request, Status};

use crate::connections::{Connection, Connections};
use crate::tally::{Kind, Outcome, Tally};

const MODEL: &str = "gemini-2.5-flash";
/// Beyond its deadline a call gets this much longer before it counts as unanswered.
const GRACE: Duration = Duration::from_secs(5);
/// What the sandbox does wrong, and whether to ask for a stream. The hanging ones end by the caller's deadline.
const FAULTS: [(&str, bool); 12] = [
    ("sandbox-429", false),
    ("sandbox-cut", true),
    ("sandbox-html-502", false),
    ("sandbox-hang", false),
    ("sandbox-error-event", true),
    ("sandbox-503", false),
    ("sandbox-hang-stream", true),
    ("sandbox-empty-500", false),
    ("sandbox-cut-clean", true),
    ("sandbox-html-200", false),
    ("sandbox-429-retry-after", true),
    ("sandbox-big-error", false),
];
const HANG: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) connections: Arc<Connections>,
    pub(super) tally: Arc<Tally>,
    pub(super) timeout: Duration,
}

impl Caller {
    /// When the last call that is open now has ended.
    pub(super) fn longest(&self) -> Duration {
        self.timeout * 10 + GRACE
    }

    /// A call with one answer.
    pub(super) async fn call(&self) {
        let begun = Instant::now();
        self.tally.sent(Kind::Call);
        let outcome = one(self.connections.next(), request(MODEL, None), self.timeout).await;
        self.tally.ended(Kind::Call, &outcome, begun.elapsed());
    }

    /// A stream of this many words, and whether it ended well.
    pub(super) async fn stream(&self, words: usize) -> bool {
        let begun = Instant::now();
        self.tally.sent(Kind::Stream);
        let outcome = many(self.connections.next(), request(MODEL, Some(words)), self.timeout * 10).await;
        self.tally.ended(Kind::Stream, &outcome, begun.elapsed());
        outcome == Outcome::Ok
    }

    /// A call that the sandbox answers wrongly.
    pub(super) async fn fault(&self, number: usize) {
        let (model, streams) = FAULTS[number % FAULTS.len()];
        let begun = Instant::now();
        self.tally.sent(Kind::Fault(model));
        let deadline = if model.contains("hang") { HANG } else { self.timeout };
        let (connection, request) = (self.connections.next(), request(model, None));
        let outcome = match streams {
            true => many(connection, request, deadline).await,
            false => one(connection, request, deadline).await,
        };
        self.tally.ended(Kind::Fault(model), &outcome, begun.elapsed());
    }
}

/// A question. Given a number of words, it asks for JSON of just one kind, which the sandbox says word by word.
fn request(model: &str, words: Option<usize>) -> GenerateContentRequest {
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

async fn one(connection: Connection, message: GenerateContentRequest, deadline: Duration) -> Outcome {
    let call = async {
        let answer = GenerativeServiceClient::new(connection.channel.clone())
            .generate_content(within(&connection, message, deadline))
            .await?
            .into_inner();
        Ok(is_finished(&answer))
    };
    outcome(call, deadline).await
}

async fn many(connection: Connection, message: GenerateContentRequest, deadline: Duration) -> Outcome {
    let call = async {
        let mut stream = GenerativeServiceClient::new(connection.channel.clone())
            .stream_generate_content(within(&connection, message, deadline))
            .await?
            .into_inner();
        let mut finished = false;
        while let Some(answer) = stream.message().await? {
            finished |= is_finished(&answer);
        }
        Ok(finished)
    };
    outcome(call, deadline).await
}

fn within(
    connection: &Connection,
    message: GenerateContentRequest,
    deadline: Duration,
) -> Request<GenerateContentRequest> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    if let Some(token) = &connection.token {
        request.metadata_mut().insert("authorization", token.clone());
    }
    request
}

fn is_finished(answer: &GenerateContentResponse) -> bool {
    answer.candidates.iter().any(|candidate| candidate.finish_reason != 0)
}

async fn outcome(call: impl Future<Output = Result<bool, Status>>, deadline: Duration) -> Outcome {
    match tokio::time::timeout(deadline + GRACE, call).await {
        Ok(Ok(true)) => Outcome::Ok,
        Ok(Ok(false)) => Outcome::Unfinished,
        Ok(Err(status)) => Outcome::Refused(status.code(), status.message().to_owned()),
        Err(_) => Outcome::NoAnswer,
    }
}
