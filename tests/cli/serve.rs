//! `serve` and `healthcheck`: addresses, signals, health.

use std::fs::File;
use std::process::Command;

use crate::certificates::Files;
use crate::support::{Gateway, Running, field, gemini_grpc, run, run_with, without_settings};

#[test]
fn a_gateway_with_a_sandbox_logs_that_and_a_command_to_try() {
    let mut gateway = Gateway::start();
    let endpoint = gateway.endpoint.clone();
    assert!(!endpoint.ends_with(":0"));
    let message = gateway.log.wait_for(|line| field(line, "message"));
    assert_eq!(message, format!("try: gemini-grpc call --endpoint {endpoint} 'Why is the sky blue?'"));
    let ended = gateway.run(["call", "Why is the sky blue?"]);
    assert!(ended.code == Some(0) && ended.out.contains("sky blue"), "{}", ended.err);
}

#[test]
fn a_gateway_with_budgets_and_without_a_store_logs_that_it_forgets_them() {
    let files = Files::new();
    let row = |limit: &str| format!("[callers.a]\ntoken_sha256 = '{}'\n{limit} = 5\n", "0".repeat(64));
    for (limit, forgets) in [("tokens_per_month", true), ("cost_per_day", true), ("tokens_per_minute", false)] {
        let callers = files.write("callers.toml", &row(limit));
        let mut gateway = Gateway::with(["--auth", "tokens", "--api-key", "own", "--callers", &callers]);
        let mut lines = Vec::new();
        // The line before the one with the command to try.
        while !lines.last().is_some_and(|line: &String| line.starts_with("try: ")) {
            lines.push(gateway.log.wait_for(|line| field(line, "message")));
        }
        assert_eq!(
            lines.iter().any(|line| line.contains("a restart forgets what was used")),
            forgets,
            "{limit} {lines:?}"
        );
    }
}

#[test]
fn sigterm_and_sigint_end_a_gateway_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let mut gateway = Gateway::start();
        gateway.running.signal(signal);
        assert_eq!(gateway.running.code(), Some(0), "{signal}");
        assert!(gateway.log.rest().contains("\"stopped\""), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_a_gateway_immediately_with_exit_code_143() {
    let mut gateway = Gateway::with(["--drain-delay", "3600"]);
    gateway.running.signal("TERM");
    gateway.log.wait_for(|line| line.contains("NOT_SERVING").then_some(()));
    assert_eq!(gateway.run(["healthcheck"]).code, Some(1));
    gateway.running.signal("TERM");
    assert_eq!(gateway.running.code(), Some(143));
}

#[test]
fn a_signal_during_startup_ends_a_gateway_with_exit_code_0() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("authorities");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = gemini_grpc(["serve", "--listen", "127.0.0.1:0"]);
    // The system's certificate authorities are in a pipe, so a library blocks while it reads them.
    command.env("SSL_CERT_FILE", &pipe);
    let mut running = Running::start(&mut command);
    // This returns when the gateway starts to read. Nothing is written, so it does not finish.
    let _writer = File::options().write(true).open(&pipe).unwrap();
    running.signal("TERM");
    assert_eq!((running.code(), running.err().rest().as_str()), (Some(0), ""));
}

#[test]
#[cfg(target_os = "linux")]
fn a_gateway_leaves_no_core_dump() {
    // Core dumps are allowed when it starts.
    let mut command = without_settings("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gemini-grpc"), "serve"]);
    command.args(["--sandbox", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut running = Running::start(&mut command);
    running.err().wait_for(|line| field(line, "address"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{line}");
}

#[test]
fn a_gateway_serves_even_if_its_log_is_not_read() {
    let Gateway { mut running, log, endpoint } = Gateway::start();
    drop(log);
    // A reload writes to the log.
    running.signal("HUP");
    let ended = run_with(["call", "--endpoint", &endpoint, "hello"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    running.signal("TERM");
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_healthcheck_prints_serving_and_exits_with_0() {
    let gateway = Gateway::start();
    for service in ["", "mountsea.gemini.v1.GenerativeService"] {
        let ended = gateway.run(["healthcheck", "--service", service]);
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "SERVING\n", ""));
    }
    let ended = gateway.run(["healthcheck", "--service", "no.such.Service"]);
    assert!(ended.code == Some(1) && ended.err.contains("NotFound"), "{}", ended.err);
}

#[test]
fn a_healthcheck_without_a_gateway_exits_with_1() {
    let ended = run_with(["healthcheck", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("nothing answers at http://127.0.0.1:1"), "{}", ended.err);
}

#[test]
fn the_endpoint_can_be_set_by_its_variable() {
    let gateway = Gateway::start();
    let mut command = gemini_grpc(["healthcheck"]);
    command.env("GEMINI_GRPC_ENDPOINT", &gateway.endpoint);
    assert_eq!(run(command).code, Some(0));
}
