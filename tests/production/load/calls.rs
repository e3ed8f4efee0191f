//! Makes the calls: unary ones, long streams, and calls for the sandbox's faults.

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
/// A call counts as unanswered if it has not ended this long after its deadline.
const GRACE: Duration = Duration::from_secs(5);
/// Models for which the sandbox has a fault, and whether to call them with a stream. Those that hang end at the caller's
/// deadline.
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
/// The deadline of calls to models that hang.
const HANG_DEADLINE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) connections: Arc<Connections>,
    pub(super) tally: Arc<Tally>,
    pub(super) timeout: Duration,
}

impl Caller {
    /// The longest time that a call can take.
    pub(super) fn longest(&self) -> Duration {
        self.timeout * 10 + GRACE
    }

    /// Makes a unary call.
    pub(super) async fn call(&self) {
        let start = Instant::now();
        self.tally.sent(Kind::Call);
        let outcome = unary(self.connections.next(), request(MODEL, None), self.timeout).await;
        self.tally.ended(Kind::Call, &outcome, start.elapsed());
    }

    /// Reads a stream with this many words. Returns whether it succeeded.
    pub(super) async fn stream(&self, words: usize) -> bool {
        let start = Instant::now();
        self.tally.sent(Kind::Stream);
        let outcome = streaming(self.connections.next(), request(MODEL, Some(words)), self.timeout * 10).await;
        self.tally.ended(Kind::Stream, &outcome, start.elapsed());
        outcome == Outcome::Ok
    }

    /// Makes a call that the sandbox answers with a fault.
    pub(super) async fn fault(&self, number: usize) {
        let (model, streams) = FAULTS[number % FAULTS.len()];
        let start = Instant::now();
        self.tally.sent(Kind::Fault(model));
        let deadline = if model.contains("hang") { HANG_DEADLINE } else { self.timeout };
        let (connection, request) = (self.connections.next(), request(model, None));
        let outcome = match streams {
            true => streaming(connection, request, deadline).await,
            false => unary(connection, request, deadline).await,
        };
        self.tally.ended(Kind::Fault(model), &outcome, start.elapsed());
    }
}

/// A request. With a number of words, its schema allows only one value, which the sandbox streams word by word.
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

async fn unary(connection: Connection, message: GenerateContentRequest, deadline: Duration) -> Outcome {
    let call = async {
        let answer = GenerativeServiceClient::new(connection.channel.clone())
            .generate_content(with_metadata(&connection, message, deadline))
            .await?
            .into_inner();
        Ok(is_finished(&answer))
    };
    outcome(call, deadline).await
}

async fn streaming(connection: Connection, message: GenerateContentRequest, deadline: Duration) -> Outcome {
    let call = async {
        let mut stream = GenerativeServiceClient::new(connection.channel.clone())
            .stream_generate_content(with_metadata(&connection, message, deadline))
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

/// A request with its deadline, and the caller's token if there is one.
fn with_metadata(
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
