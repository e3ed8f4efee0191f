//! Open files: the limit is raised at startup. When connections have used up their files, calls are refused with that
//! reason, and probes are still answered.

use std::cell::RefCell;
use std::net::TcpStream;
use std::process::{ChildStderr, Command};

use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
use gemini_grpc::pb::gemini::{Content, GenerateContentRequest, Part, part};
use gemini_grpc::pb::health::HealthCheckRequest;
use gemini_grpc::pb::health::health_client::HealthClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Lines, Running, field, get, metric, without_settings};

/// A gateway with few files, with a sandbox in another process.
struct Gateway {
    running: Running,
    log: Lines<ChildStderr>,
    endpoint: String,
    admin: String,
    _sandbox: Running,
}

/// A command that runs a `ulimit` command in a shell, and then the binary.
fn with_limits(ulimit: &str) -> Command {
    let mut command = without_settings("sh");
    command.args(["-c", &format!("{ulimit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_gemini-grpc")]);
    command
}

/// The soft and the hard limit of open files.
fn limits(running: &Running) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    [words[3].to_owned(), words[4].to_owned()]
}

impl Gateway {
    /// `host` can be a name; the gateway needs files to look it up.
    fn start(ulimit: &str, host: &str, flags: &[&str]) -> Self {
        let mut sandbox = with_limits("true");
        sandbox.args(["sandbox", "--listen", "127.0.0.1:0", "--pace", "0"]);
        let mut sandbox = Running::start(&mut sandbox);
        let find = |line: &str| line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        let url = sandbox.out().wait_for(find).replace("127.0.0.1", host);
        let mut command = with_limits(ulimit);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--workers", "2"]);
        command.args(["--api-key", "a-key", "--drain-delay", "0", "--log-format", "json", "--upstream-url", &url]);
        command.args(flags);
        let mut running = Running::start(&mut command);
        let mut log = running.err();
        let serving =
            |says: &'static str| move |line: &str| (field(line, "message")? == says).then(|| field(line, "address"))?;
        let endpoint = format!("http://{}", log.wait_for(serving("serving")));
        let admin = log.wait_for(serving("admin port listening"));
        Self { running, log, endpoint, admin, _sandbox: sandbox }
    }

    async fn connect(&self) -> Channel {
        Endpoint::new(self.endpoint.clone()).unwrap().connect().await.unwrap()
    }

    fn get(&self, path: &str) -> String {
        get(&self.admin, path)
    }

    fn metric(&self, name: &str) -> f64 {
        metric(&self.admin, name).unwrap()
    }

    async fn probes_are_answered(&self) {
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = self.get(path);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        }
        // Each on a new connection.
        for _ in 0..3 {
            let answer = HealthClient::new(self.connect().await).check(HealthCheckRequest::default()).await.unwrap();
            assert_eq!(answer.into_inner().status, 1);
        }
    }

    /// Ends the gateway. Its log must have refused calls, all as `OUT_OF_FILES` with the source `gateway`.
    async fn stop(mut self) {
        self.running.signal("TERM");
        // On another thread, so that our connections can react to GOAWAY meanwhile.
        let ended = tokio::task::spawn_blocking(move || (self.log.rest(), self.running.code()));
        let (log, code) = ended.await.unwrap();
        assert_eq!(code, Some(0), "{log}");
        let refused: Vec<_> = log.lines().filter(|line| field(line, "reason").is_some()).collect();
        assert!(!refused.is_empty(), "{log}");
        for line in refused {
            let fields = ["reason", "source", "code"].map(|name| field(line, name).unwrap());
            assert_eq!(fields, ["OUT_OF_FILES", "gateway", "RESOURCE_EXHAUSTED"], "{line}");
        }
    }
}

/// A stream that stays open after its first message, or the status of a refused one.
async fn open(channel: Channel) -> Result<tonic::Streaming<gemini_grpc::pb::gemini::GenerateContentResponse>, Status> {
    let text = Part { data: Some(part::Data::Text("why?".to_owned())), ..Default::default() };
    let request = GenerateContentRequest {
        model: "sandbox-hang-stream".to_owned(),
        contents: vec![Content { role: "user".to_owned(), parts: vec![text], ..Default::default() }],
        ..Default::default()
    };
    let mut stream = GenerativeServiceClient::new(channel).stream_generate_content(request).await?.into_inner();
    stream.message().await?;
    Ok(stream)
}

/// Opens this many streams concurrently, spread over these channels. Returns the open streams and the number of refused
/// ones.
async fn open_many(channels: &[Channel], count: usize) -> (Vec<impl Sized>, usize) {
    let mut opening = tokio::task::JoinSet::new();
    for channel in channels.iter().cycle().take(count) {
        opening.spawn(open(channel.clone()));
    }
    let (mut streams, mut refused) = (Vec::new(), 0);
    for opened in opening.join_all().await {
        match opened {
            Ok(stream) => streams.push(stream),
            Err(status) => {
                is_out_of_files(&status);
                refused += 1;
            }
        }
    }
    (streams, refused)
}

#[track_caller]
fn is_out_of_files(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["source"].as_str()), ("OUT_OF_FILES", "gateway"), "{status:?}");
    assert!(details.retry_info().is_some() && status.message().contains("limit of open files"), "{status:?}");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
}

#[test]
fn serve_and_sandbox_raise_the_soft_limit_to_the_hard_limit() {
    for arguments in [&["sandbox"][..], &["serve", "--sandbox"]] {
        let mut command = with_limits("ulimit -Sn 64; ulimit -Hn 1000");
        command.args(arguments).args(["--listen", "127.0.0.1:0"]);
        let mut running = Running::start(&mut command);
        match arguments[0] {
            "sandbox" => running.out().wait_for(|line| line.contains("answers at").then_some(())),
            _ => running.err().wait_for(|line| line.contains("serving").then_some(())),
        }
        assert_eq!(limits(&running), ["1000"; 2], "{arguments:?}");
    }
}

#[tokio::test]
async fn more_streams_are_served_than_the_first_soft_limit_allows() {
    let gateway = Gateway::start("ulimit -Sn 64", "127.0.0.1", &[]);
    let mut channels = Vec::new();
    for _ in 0..20 {
        channels.push(gateway.connect().await);
    }
    let (streams, refused) = open_many(&channels, 200).await;
    assert_eq!((streams.len(), refused), (200, 0));
    gateway.probes_are_answered().await;
}

#[tokio::test]
async fn calls_without_a_free_file_are_refused_and_probes_are_answered() {
    // Also with a name, since the gateway needs files to look it up.
    for host in ["127.0.0.1", "localhost"] {
        let gateway = Gateway::start("ulimit -n 256", host, &[]);
        let mut channels = Vec::new();
        for _ in 0..10 {
            channels.push(gateway.connect().await);
        }
        let (streams, refused) = open_many(&channels, 400).await;
        assert!(streams.len() >= 100 && refused >= 200, "{host}: {} {refused}", streams.len());
        gateway.probes_are_answered().await;
        assert_eq!(gateway.metric("gemini_grpc_calls_refused_total{reason=\"OUT_OF_FILES\""), refused as f64);
        assert_eq!(gateway.metric("gemini_grpc_calls_limit"), 135.0);
        assert_eq!(gateway.metric("gemini_grpc_files_limit"), 256.0);
        let files = gateway.metric("gemini_grpc_files_open");
        assert!(files > streams.len() as f64 && files <= 256.0, "{files}");
        // Files that are released can be used immediately.
        drop(streams);
        while open(channels[0].clone()).await.inspect_err(is_out_of_files).is_err() {}
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_cannot_open_its_upstream_connection_is_refused_as_out_of_files() {
    // Many connections use up files that the limit of calls had left for calls.
    let gateway = Gateway::start("ulimit -n 256", "localhost", &[]);
    let mut channels = Vec::new();
    for _ in 0..80 {
        channels.push(gateway.connect().await);
    }
    // Each has an open call, so that none of them is closed to make room.
    let (first, refused) = open_many(&channels, 80).await;
    assert_eq!((first.len(), refused), (80, 0));
    let (more, refused) = open_many(&channels, 54).await;
    assert!(refused > 0, "{} {refused}", more.len());
    gateway.probes_are_answered().await;
    let answer = gateway.get("/metrics");
    // Upstream was not called, so it has no such error.
    assert!(
        !answer.lines().any(|line| line.starts_with("http_client") && line.contains("error_type=\"out")),
        "{answer}"
    );
    assert_eq!(gateway.metric("gemini_grpc_calls_refused_total{reason=\"OUT_OF_FILES\""), refused as f64);
    drop((first, more));
    gateway.stop().await;
}

#[tokio::test]
async fn calls_on_connections_without_a_free_file_are_refused_and_health_is_answered() {
    let gateway = Gateway::start("ulimit -n 256", "127.0.0.1", &[]);
    let (mut channels, mut streams, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..200 {
        channels.push(gateway.connect().await);
        match open(channels[channels.len() - 1].clone()).await {
            Ok(stream) => streams.push(stream),
            Err(status) => {
                is_out_of_files(&status);
                refused += 1;
            }
        }
    }
    assert!(streams.len() >= 80 && refused >= 80, "{} {refused}", streams.len());
    gateway.probes_are_answered().await;
    drop(streams);
    // A connection without a file gets a GOAWAY, and the next one is served.
    let last = channels.pop().unwrap();
    while open(last.clone()).await.inspect_err(is_out_of_files).is_err() {}
    gateway.stop().await;
}

#[tokio::test]
async fn silent_connections_block_neither_calls_nor_probes() {
    let gateway = Gateway::start("ulimit -n 256", "127.0.0.1", &[]);
    let address = gateway.endpoint.strip_prefix("http://").unwrap();
    let mut silent: Vec<_> = (0..400).map(|_| TcpStream::connect(address).unwrap()).collect();
    silent.extend((0..200).map(|_| TcpStream::connect(&gateway.admin).unwrap()));
    gateway.probes_are_answered().await;
    while open(gateway.connect().await).await.inspect_err(is_out_of_files).is_err() {}
    drop(silent);
}

#[test]
fn limits_are_logged_in_one_line_with_a_warning_for_each_that_needs_more_files() {
    for (flags, warnings) in [
        (&["--max-calls", "20", "--max-connections", "20"][..], &[][..]),
        (&["--max-calls", "20"], &[]),
        (&["--max-calls", "500"], &["GEMINI_GRPC_MAX_CALLS is 500"]),
        (&["--max-calls", "5", "--max-connections", "500"], &["GEMINI_GRPC_MAX_CONNECTIONS is 500"]),
        (&["--max-connections", "500"], &["GEMINI_GRPC_MAX_CALLS is 1000", "GEMINI_GRPC_MAX_CONNECTIONS is 500"]),
    ] {
        let mut command = with_limits("ulimit -n 256");
        command.args(["serve", "--listen", "127.0.0.1:0", "--api-key", "a-key", "--log-format", "json"]).args(flags);
        let mut running = Running::start(&mut command);
        let (lines, mut log) = (RefCell::new(Vec::new()), running.err());
        log.wait_for(|line| {
            lines.borrow_mut().push(["level", "message"].map(|name| field(line, name).unwrap()));
            line.contains("\"serving\"").then_some(())
        });
        let lines = lines.into_inner();
        let of_level = |wanted: &str| {
            let lines = lines.iter().filter(|[level, message]| level == wanted && message.contains("files"));
            lines.map(|[_, message]| message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of_level("INFO").len(), 1, "{lines:?}");
        assert!(of_level("INFO")[0].starts_with("256 files may be open, of which 32 are kept back"), "{lines:?}");
        let warned = of_level("WARN");
        assert_eq!(warned.len(), warnings.len(), "{flags:?}: {warned:?}");
        for (line, begins) in warned.iter().zip(warnings) {
            assert!(line.starts_with(begins) && line.contains("ulimit -Hn"), "{line}");
        }
    }
}

/// Changes the soft limit of a running process, like `prlimit`.
fn set_limit(running: &Running, soft: u64) {
    let pid = rustix::process::Pid::from_raw(running.child.id().try_into().unwrap());
    let maximum = limits(running)[1].parse().ok();
    let limit = rustix::process::Rlimit { current: Some(soft), maximum };
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn a_gateway_that_cannot_open_any_file_logs_it_and_recovers() {
    let mut gateway = Gateway::start("ulimit -n 256", "localhost", &[]);
    let channel = gateway.connect().await;
    let _stream = open(channel.clone()).await.unwrap();
    // Fewer than the files that are open.
    set_limit(&gateway.running, 10);
    is_out_of_files(&open(channel.clone()).await.err().unwrap());
    let address = gateway.endpoint.strip_prefix("http://").unwrap().to_owned();
    let waiting = TcpStream::connect(address).unwrap();
    gateway.log.wait_for(|line| line.contains("cannot accept connections").then_some(()));
    set_limit(&gateway.running, 256);
    drop(waiting);
    gateway.probes_are_answered().await;
    drop(open(channel).await.unwrap());
}

#[tokio::test]
async fn a_call_that_cannot_open_its_proxy_connection_is_refused_as_out_of_files() {
    // Nothing listens at the address of this proxy.
    let proxy = "ulimit -n 256; export http_proxy=http://localhost:1";
    let gateway = Gateway::start(proxy, "127.0.0.1", &["--upstream-proxy", "--retries", "0"]);
    let channel = gateway.connect().await;
    let refused = open(channel.clone()).await.err().unwrap();
    assert!(refused.message().contains("cannot be reached (the connection was refused)"), "{refused:?}");
    set_limit(&gateway.running, 10);
    is_out_of_files(&open(channel).await.err().unwrap());
}
