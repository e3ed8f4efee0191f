//! Every name that is given to OpenTelemetry, and nothing else.
//!
//! They follow the semantic conventions of version 1.45.0 for RPC and HTTP (stable), and for GenAI those of
//! `semantic-conventions-genai` (development, schema `gen-ai-dev/1.42.0-dev`) with the metric names of 1.41, which are
//! the ones that released tools read. What starts with `gemini_grpc` is our own.

/// The version of the stable conventions.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";
/// The scope of spans and instruments.
pub const SCOPE: &str = "gemini-grpc";
/// The target of log lines about exporting.
pub const EXPORT_TARGET: &str = "gemini_grpc::telemetry::export";
/// The value of a label for all that are not known, or not yet.
pub const OTHER: &str = "_other";
/// The value of a label for none of those that could be.
pub const NONE: &str = "_none";
/// The caller, where callers are not known.
pub const UNKNOWN: &str = "_unknown";
/// The name of every unknown method.
pub const UNKNOWN_METHOD: &str = "_OTHER";
/// The HTTP method of nearly all requests to upstream.
pub const USUAL_HTTP_METHOD: &str = "POST";

/// Names of attributes of spans and of labels of metrics.
pub mod attribute {
    pub const ERROR_TYPE: &str = "error.type";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
    pub const NETWORK_PEER_PORT: &str = "network.peer.port";

    pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
    pub const RPC_STATUS_CODE: &str = "rpc.status_code";

    pub const OPERATION_NAME: &str = "gen_ai.operation.name";
    pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
    pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
    pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
    pub const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
    pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    pub const REQUEST_SEED: &str = "gen_ai.request.seed";
    pub const REQUEST_CHOICE_COUNT: &str = "gen_ai.request.choice.count";
    pub const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
    pub const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
    pub const REQUEST_REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    pub const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub const USAGE_REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
    pub const USAGE_CACHED_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Of text, image, audio.
    pub const INPUT_BY_MODALITY: [&str; 3] =
        ["gen_ai.usage.text.input_tokens", "gen_ai.usage.image.input_tokens", "gen_ai.usage.audio.input_tokens"];
    pub const OUTPUT_BY_MODALITY: [&str; 3] =
        ["gen_ai.usage.text.output_tokens", "gen_ai.usage.image.output_tokens", "gen_ai.usage.audio.output_tokens"];
    pub const CACHED_BY_MODALITY: [&str; 3] = [
        "gen_ai.usage.text.cache_read.input_tokens",
        "gen_ai.usage.image.cache_read.input_tokens",
        "gen_ai.usage.audio.cache_read.input_tokens",
    ];
    pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";

    pub const HTTP_ROUTE: &str = "http.route";
    pub const URL_PATH: &str = "url.path";
    pub const URL_SCHEME: &str = "url.scheme";
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    pub const URL_FULL: &str = "url.full";

    /// The id that stands in every error and log line of the call.
    pub const REQUEST_ID: &str = "gemini_grpc.request_id";
    /// `ErrorInfo.reason` (docs/errors.md).
    pub const REASON: &str = "gemini_grpc.reason";
    /// The name of the caller in the file of callers.
    pub const CALLER: &str = "gemini_grpc.caller";
    /// The name of the key of a pool (docs/keys.md).
    pub const KEY: &str = "gemini_grpc.key";
    /// The trace that a request to upstream began there, as its `traceparent` has it.
    pub const UPSTREAM_TRACE_ID: &str = "gemini_grpc.upstream.trace_id";
    /// Why upstream blocked the prompt.
    pub const BLOCK_REASON: &str = "gemini_grpc.block_reason";
    /// What the call cost by the prices of the catalogue, in dollars.
    pub const COST: &str = "gemini_grpc.cost";
    /// The model that answered, if it is not the one that was asked for.
    pub const MODEL_USED: &str = "gemini_grpc.model_used";
    /// How many pictures came.
    pub const IMAGES: &str = "gemini_grpc.images";
    /// Which file of certificates.
    pub const CERTIFICATE: &str = "gemini_grpc.tls.certificate";
    /// How many messages a stream had.
    pub const CHUNKS: &str = "gemini_grpc.chunks";
}

/// Names of events.
pub mod event {
    /// A call with what was asked and answered; only if that is asked for.
    pub const INFERENCE_DETAILS: &str = "gen_ai.client.inference.operation.details";
}

/// What an instrument counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// As UCUM writes it.
    pub unit: &'static str,
    pub meaning: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident, $name:literal, $unit:literal, [$($label:literal),*], $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                meaning: $meaning,
                labels: &[$($label),*],
            };
        )*
        /// All of them.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    RPC_DURATION: Histogram, "rpc.server.call.duration", "s",
        ["rpc.system.name", "rpc.method", "rpc.status_code", "error.type"],
        "duration of calls, from their headers to their status";
    HTTP_SERVER_DURATION: Histogram, "http.server.request.duration", "s",
        ["http.request.method", "url.scheme", "network.protocol.version", "http.route", "http.response.status_code", "error.type"],
        "duration of calls over REST, from their headers to the last byte of the response";
    OPERATION_DURATION: Histogram, "gen_ai.client.operation.duration", "s",
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port", "error.type"],
        "duration of operations, from the first request to upstream to the end of the response, retries included";
    TIME_TO_FIRST_CHUNK: Histogram, "gen_ai.client.operation.time_to_first_chunk", "s",
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port"],
        "time from the request of a stream to its first event";
    TIME_PER_CHUNK: Histogram, "gen_ai.client.operation.time_per_output_chunk", "s",
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port"],
        "time from one event of a stream to the next";
    TOKEN_USAGE: Histogram, "gen_ai.client.token.usage", "{token}",
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port", "gen_ai.token.type"],
        "tokens of a call: input includes cached tokens, output includes reasoning tokens";
    HTTP_DURATION: Histogram, "http.client.request.duration", "s",
        ["http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"],
        "duration of requests to upstream, to the end of the response; each retry is one of them";

    CALLS_IN_FLIGHT: Gauge, "gemini_grpc.calls.in_flight", "{call}", [],
        "calls in flight, from the last byte of the request to the end of the response";
    CALLS_LIMIT: Gauge, "gemini_grpc.calls.limit", "{call}", [],
        "limit of calls in flight (GEMINI_GRPC_MAX_CALLS, or less if the limit of open files requires it)";
    STREAMS_OPEN: Gauge, "gemini_grpc.streams.open", "{call}", [],
        "calls of streaming methods that have not ended";
    CONNECTIONS_OPEN: Gauge, "gemini_grpc.connections.open", "{connection}", [],
        "open connections of clients";
    FILES_OPEN: Gauge, "gemini_grpc.files.open", "{file}", [],
        "open files of the process; each connection is one";
    FILES_LIMIT: Gauge, "gemini_grpc.files.limit", "{file}", [],
        "limit of open files of the process (ulimit -n)";
    MEMORY_HELD: Gauge, "gemini_grpc.memory.held", "By", [],
        "bytes that calls have reserved for requests and responses";
    MEMORY_LIMIT: Gauge, "gemini_grpc.memory.limit", "By", [],
        "limit of these bytes (GEMINI_GRPC_MAX_BYTES_HELD)";
    UTILIZATION: Gauge, "gemini_grpc.utilization", "1", [],
        "part of its limit that is in use, of calls in flight or of bytes, whichever is larger: the mean of the last 10 s, which load reports have too";
    CALLS_REFUSED: Counter, "gemini_grpc.calls.refused", "{call}", ["reason"],
        "calls that the gateway refused before it sent a request to upstream, by reason (docs/errors.md)";
    REQUESTS_REFUSED: Counter, "gemini_grpc.requests.refused", "{request}", ["reason"],
        "requests to gRPC services that are not gRPC and were refused: method (not POST), content_type or http1";
    CALLS_CANCELLED: Counter, "gemini_grpc.calls.cancelled", "{call}", ["phase"],
        "calls that their caller cancelled, by phase: upload, awaiting (upstream), answering, or sending (the rest)";
    RETRIES: Counter, "gemini_grpc.upstream.retries", "{request}", ["error.type"],
        "retries of requests to upstream, by the error of the attempt before";
    RETRIES_DENIED: Counter, "gemini_grpc.upstream.retries.denied", "{request}", [],
        "retries that were not made because the retry budget was used up";
    RETRY_BUDGET: Gauge, "gemini_grpc.upstream.retry_budget", "{request}", [],
        "retries that are left in the budget of the current 10 s window";
    FALLBACKS: Counter, "gemini_grpc.fallbacks", "{call}", ["model", "model_used"],
        "calls that another model was asked to answer, by the model that was asked for and the one that answered; _none if none did";
    UPSTREAM_CONNECTIONS: Counter, "gemini_grpc.upstream.connections", "{connection}", [],
        "connections to upstream that were opened, or failed to open";
    KEY_REQUESTS: Counter, "gemini_grpc.key.requests", "{request}", ["key", "outcome"],
        "requests to upstream with a key of a pool, by its name and outcome: ok, limited, used_up (a daily quota), refused or failed (not for the key)";
    KEY_RESTING: Gauge, "gemini_grpc.key.resting", "s", ["key"],
        "for how long a key of a pool rests, for all models; 0 if it does not";
    UNKNOWN_MEMBERS: Counter, "gemini_grpc.unknown_members", "{member}", ["member"],
        "JSON members of responses that the contract does not have; they were passed on in additional_fields";
    UNREADABLE_MEMBERS: Counter, "gemini_grpc.unreadable_members", "{member}", ["member"],
        "JSON members of responses, outside of the content, that could not be read; they were passed on in additional_fields";
    REPAIRED_TEXTS: Counter, "gemini_grpc.repaired_texts", "{text}", ["member"],
        "places in texts of responses that are not valid characters; U+FFFD was passed on instead";
    USAGE_CALLS: Counter, "gemini_grpc.usage.calls", "{call}", ["caller", "model", "code"],
        "calls for which a request was sent to upstream, by caller, model and status code";
    USAGE_TOKENS: Counter, "gemini_grpc.usage.tokens", "{token}", ["caller", "model", "kind"],
        "tokens that upstream reported, each under one kind: input, cached_input, tool_use_input, output, reasoning; estimated_input and estimated_output are estimates of tokens that it did not report";
    USAGE_IMAGES: Counter, "gemini_grpc.usage.images", "{image}", ["caller", "model"],
        "images that upstream generated";
    USAGE_COST: Counter, "gemini_grpc.usage.cost", "{USD}", ["caller", "model"],
        "cost of calls in US dollars, by the prices of the catalogue; not for models without prices";
    CERTIFICATE_EXPIRY: Gauge, "gemini_grpc.tls.certificate.expiry", "s", ["gemini_grpc.tls.certificate"],
        "time until the first certificate of a file expires; negative after that";
    RELOADS: Counter, "gemini_grpc.reloads", "{reload}", ["outcome"],
        "reloads of changed files: applied or refused";
    RELOAD_REFUSED: Gauge, "gemini_grpc.reload.refused", "{reload}", [],
        "1 while changed files cannot be used and the old ones stay in force";
    DRAIN_PHASE: Gauge, "gemini_grpc.drain.phase", "{phase}", [],
        "phase of the drain: 0 serving; 1 NOT_SERVING but still serving calls; 2 closing";
    WORKER_TASKS: Gauge, "gemini_grpc.worker.tasks", "{task}", ["worker"],
        "tasks of a worker that have not ended";
    WORKER_CONNECTIONS: Gauge, "gemini_grpc.worker.connections", "{connection}", ["worker"],
        "open connections of a worker, with those that it has not begun to serve";
    STORE_UP: Gauge, "gemini_grpc.store.up", "{store}", [],
        "1 while the store of limits (GEMINI_GRPC_LIMITS_URL) answers in time; 0 while each gateway allows callers its share";
    STORE_PODS: Gauge, "gemini_grpc.store.pods", "{pod}", [],
        "gateways that shared the limits when the store last answered";
    STORE_DURATION: Histogram, "gemini_grpc.store.duration", "s", [],
        "time that calls waited for the store of limits";
    STORE_SHARES: Counter, "gemini_grpc.store.shares", "{call}", [],
        "calls that were decided by this gateway's share of the limits, because the store did not answer in time";
    STORE_FAILURES: Counter, "gemini_grpc.store.failures", "{operation}", ["operation"],
        "operations that the store of limits did not answer: admit, settle, pods or resting";
    LOG_LINES_DROPPED: Counter, "gemini_grpc.log.lines_dropped", "{line}", [],
        "log lines that were dropped because they were not read in time";
}

/// Bounds of durations in seconds: those that the conventions advise, then those of calls that take minutes.
pub const RPC_BOUNDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0,
    600.0, 900.0,
];
/// The same for GenAI.
pub const GEN_AI_BOUNDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];
/// Bounds of the time that a call waits for the store, in seconds; it waits at most 0.05.
pub const STORE_BOUNDS: &[f64] = &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05];
/// Bounds of tokens.
pub const TOKEN_BOUNDS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
