//! The tables of the rules.

/// Every module at the top of src/, and those that it may import.
pub const MODULES: [(&str, &[&str]); 18] = [
    (
        "cli",
        &[
            "config",
            "server",
            "grpc",
            "rest",
            "face",
            "page",
            "gateway",
            "upstream",
            "store",
            "telemetry",
            "memory",
            "files",
            "gemini",
            "sandbox",
            "pb",
            "reason",
            "cause",
        ],
    ),
    ("config", &["server", "grpc", "gateway", "upstream", "store", "telemetry", "gemini"]),
    ("server", &["grpc", "rest", "face", "page", "gateway", "upstream", "store", "telemetry", "memory", "files"]),
    ("grpc", &["face", "gateway", "telemetry", "gemini", "pb", "reason"]),
    ("rest", &["face", "gateway", "telemetry", "gemini", "reason"]),
    ("face", &["gateway", "telemetry", "gemini", "pb", "reason"]),
    ("gateway", &["upstream", "store", "telemetry", "memory", "gemini", "reason"]),
    ("upstream", &["store", "telemetry", "memory", "files", "gemini", "reason", "cause"]),
    ("store", &["telemetry", "cause"]),
    ("telemetry", &["gemini", "pb", "reason", "cause"]),
    ("page", &[]),
    ("memory", &[]),
    ("files", &[]),
    ("gemini", &["pb"]),
    ("sandbox", &[]),
    ("pb", &[]),
    ("reason", &["gemini"]),
    ("cause", &[]),
];

/// Crates that shape a module, and the modules that may name them. A crate that is not here may be named anywhere.
pub const CRATES: [(&str, &[&str]); 40] = [
    // One module sends requests to upstream, and one stands in for it. Telemetry sends to collectors, and `call --rest`
    // to a gateway.
    ("reqwest", &["upstream", "telemetry", "cli"]),
    ("axum", &["sandbox"]),
    // gRPC is a face: the gateway behind it does not know the protocol. Collectors speak it too.
    ("tonic", &["pb", "grpc", "telemetry", "cli"]),
    ("tonic_reflection", &["grpc"]),
    ("tonic_web", &["grpc"]),
    ("tonic_types", &["pb"]),
    ("prost", &["pb", "gemini", "face", "grpc", "cli"]),
    ("prost_types", &["cli", "gemini", "face", "grpc", "rest"]),
    ("hyper", &["face", "server", "upstream"]),
    ("hyper_rustls", &["upstream"]),
    ("hyper_util", &["sandbox", "server", "upstream"]),
    ("socket2", &["server"]),
    // Reads the reason for which upstream closed a connection.
    ("h2", &["upstream"]),
    ("tower", &["grpc", "server", "upstream"]),
    ("tower_http", &["server", "upstream"]),
    ("rustix", &["config", "server", "files", "cli"]),
    // Certificates are read with the configuration and used by connections.
    ("rustls", &["config", "server", "upstream"]),
    // One module knows the engine where gateways count together.
    ("redis", &["store"]),
    ("rustls_platform_verifier", &["upstream"]),
    ("tokio_rustls", &["server"]),
    ("x509_parser", &["config", "server"]),
    // What can be replaced while calls run.
    ("arc_swap", &["upstream", "gateway", "server", "store", "telemetry"]),
    // The command line and the configuration are one definition.
    ("clap", &["config", "cli"]),
    // Telemetry of calls, and the one log that all lines go to.
    ("opentelemetry", &["telemetry", "cli"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_prometheus", &["telemetry"]),
    ("opentelemetry_stdout", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry_appender_tracing", &["cli"]),
    ("tracing_opentelemetry", &["cli"]),
    ("tracing_appender", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    // The catalogue, and the callers.
    ("toml", &["gemini", "gateway"]),
    // Hashes, compares and makes tokens.
    ("sha2", &["gateway", "page"]),
    ("subtle", &["gateway"]),
    ("getrandom", &["cli"]),
    // Gemini is pure: no async, no log. The configuration is read before either exists.
    ("tokio", &["memory", "upstream", "gateway", "face", "grpc", "server", "store", "telemetry", "sandbox", "cli"]),
    ("tokio_stream", &["upstream", "gateway", "face", "grpc", "server", "sandbox", "cli"]),
    ("tracing", &["face", "grpc", "server", "store", "telemetry", "sandbox", "cli"]),
];

/// Paths that only some modules may use, and why.
pub const USES: [(&str, &[&str], &str); 7] = [
    ("std::env", &["config", "cli"], "the environment is read by the configuration and the command line"),
    ("std::process", &["cli"], "only a command ends the process"),
    (
        "std::net",
        &["config", "server", "face", "grpc", "telemetry", "sandbox", "cli"],
        "only listeners and telemetry know sockets",
    ),
    ("std::fs", &["config", "cli"], "only what a flag names is read or written"),
    ("std::thread", &["config", "server", "telemetry", "sandbox", "cli"], "a call starts no thread"),
    ("SystemTime::now", &["upstream", "gateway", "store", "cli"], "a pure module is given the time"),
    (
        "Instant::now",
        &["upstream", "gateway", "face", "grpc", "server", "store", "telemetry", "cli"],
        "a pure module has no clock",
    ),
];

/// The constructors of `tonic::Status`. A status that is made outside of the face would have no reason and no request id.
pub const STATUSES: [&str; 19] = [
    "new",
    "with_details",
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// The modules that speak a protocol, and render errors in it.
pub const FACES: [&str; 2] = ["grpc", "rest"];
