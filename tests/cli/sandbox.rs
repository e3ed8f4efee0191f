//! `sandbox`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gemini_grpc::sandbox::FAULTS;

use crate::support::{Running, gemini_grpc, run_with};

#[test]
fn the_sandbox_says_where_it_is_and_answers_there() {
    let mut running = Running::start(&mut gemini_grpc(["sandbox", "--listen", "127.0.0.1:0", "--pace", "0"]));
    let find = |line: &str| Some(line.split_once("http://")?.1.split('/').next()?.to_owned());
    let address = running.out().wait_for(find);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /gemini/v1beta/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("models/gemini-2.5-flash"), "{answer}");
}

#[test]
fn the_sandbox_takes_any_key_and_so_listens_on_loopback_only() {
    let ended = run_with(["sandbox", "--listen", "0.0.0.0:0"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("GEMINI_GRPC_SANDBOX_LISTEN: 0.0.0.0:0: "), "{}", ended.err);
    assert!(ended.err.contains("loopback only"), "{}", ended.err);
}

#[test]
fn every_fault_is_listed_in_a_column() {
    let ended = run_with(["sandbox", "--faults"]);
    assert_eq!(ended.code, Some(0));
    let lines: Vec<(&str, &str)> = ended.out.lines().map(|line| line.split_at(25)).collect();
    assert_eq!(lines.len(), FAULTS.len() + 1);
    for ((name, what), line) in FAULTS.iter().zip(&lines[1..]) {
        assert_eq!((format!("sandbox-{name}").as_str(), *what), (line.0.trim_end(), line.1));
    }
}
