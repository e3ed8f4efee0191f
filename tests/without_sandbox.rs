//! The binary as `cargo build --no-default-features` makes it: `cargo test --no-default-features --test without_sandbox`.

#![cfg(not(feature = "sandbox"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, dead_code)]

/// Runs the binary in a clean environment, and ends what it started.
#[path = "cli/support.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use support::{Running, field, gemini_grpc, run, run_with};

const ANSWER: &str =
    r#"{"candidates":[{"content":{"parts":[{"text":"it works"}],"role":"model"},"finishReason":"STOP"}]}"#;

/// An upstream that gives the same answer to one request.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let n = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..n]);
        }
        let length = ANSWER.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ANSWER}")
    });
    url
}

#[test]
fn it_serves() {
    let url = upstream();
    let mut command = gemini_grpc(["serve", "--listen", "127.0.0.1:0", "--auth", "none", "--api-key", "any"]);
    command.args(["--upstream-url", &url, "--workers", "1", "--log-format", "json", "--drain-delay", "0"]);
    let mut gateway = Running::start(&mut command);
    let endpoint = format!("http://{}", gateway.err().wait_for(|line| field(line, "address")));
    assert_eq!(run_with(["healthcheck", "--endpoint", &endpoint]).code, Some(0));
    let ended = run_with(["call", "--unary", "--endpoint", &endpoint, "hello"]);
    assert!(ended.code == Some(0) && ended.out.contains("it works"), "{ended:?}");
}

#[test]
fn it_writes_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("contract");
    let ended = run_with(["contract", "--out", out.to_str().unwrap()]);
    assert!(ended.code == Some(0) && out.join("proto/mountsea/gemini/v1/content.proto").exists(), "{ended:?}");
}

#[test]
fn what_needs_the_sandbox_says_what_to_build() {
    for arguments in [&["sandbox", "--listen", "127.0.0.1:0"][..], &["demo"], &["serve", "--sandbox", "--auth", "none"]]
    {
        let ended = run_with(arguments.iter().copied());
        assert!(
            ended.code == Some(2) && ended.err.contains("cargo build --features sandbox"),
            "{arguments:?}: {ended:?}"
        );
    }
    let help = run_with(["--help"]).out;
    assert!(!help.contains("\n  sandbox") && !help.contains("gemini-grpc demo"), "{help}");
}

#[test]
fn its_tree_has_no_crate_of_the_sandbox() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--no-default-features", "--edges", "normal", "--prefix", "none"]);
    tree.current_dir(env!("CARGO_MANIFEST_DIR"));
    let ended = run(tree);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let is_there = |name: &str| ended.out.lines().any(|line| line.starts_with(&format!("{name} v")));
    assert!(is_there("hyper"), "{}", ended.out);
    for name in ["axum", "image", "mimalloc"] {
        assert!(!is_there(name), "{name} is built without default features:\n{}", ended.out);
    }
}
