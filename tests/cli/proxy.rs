//! `serve` behind a proxy.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use crate::support::{Running, gemini_grpc, run, run_with};

/// Starts a proxy that only supports CONNECT. Returns its address, and the heads of its requests.
fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let target = head[0].split(' ').nth(1).unwrap();
            let mut upstream = TcpStream::connect(target).unwrap();
            heads.send(head.join("\n")).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut back, mut forth) = (upstream.try_clone().unwrap(), stream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back, &mut forth));
            std::thread::spawn(move || std::io::copy(&mut stream, &mut upstream));
        }
    });
    (address, requests)
}

#[test]
fn http2_uses_a_tunnel_through_the_proxy() {
    let mut sandbox = Running::start(&mut gemini_grpc(["sandbox", "--listen", "127.0.0.1:0", "--pace", "0"]));
    let url = sandbox
        .out()
        .wait_for(|line| line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned));
    let (address, requests) = proxy();
    let flags = ["--upstream-url", &url, "--upstream-http", "2", "--upstream-proxy", "--workers", "1"];
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--api-key", "a-key", "--log-format", "human"];
    let mut command = gemini_grpc(fixed.into_iter().chain(flags));
    command.env("http_proxy", format!("http://me:secret@{address}"));
    let mut gateway = Running::start(&mut command);
    let mut log = gateway.err();
    let endpoint = log.wait_for(|line| {
        line.split_once("address=").map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned())
    });
    for _ in 0..2 {
        let ended = run_with(["call", "--endpoint", &format!("http://{endpoint}"), "hello"]);
        assert!(ended.code == Some(0) && ended.out.contains("[sandbox]"), "{ended:?}");
    }
    let head = requests.recv().unwrap();
    let target = url.strip_prefix("http://").unwrap().strip_suffix("/gemini").unwrap();
    assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1")), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic"), "{head}");
    assert!(requests.try_recv().is_err(), "both calls use one connection");
}

#[test]
fn a_proxy_that_cannot_tunnel_http2_is_refused_at_startup() {
    let flags = ["--upstream-http", "2", "--upstream-proxy", "--api-key", "a-key"];
    let mut command = gemini_grpc(["serve", "--listen", "127.0.0.1:0"].into_iter().chain(flags));
    command.env("https_proxy", "socks5://127.0.0.1:1");
    let ended = run(command);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("SOCKS") && ended.err.contains("GEMINI_GRPC_UPSTREAM_HTTP to 1"), "{}", ended.err);
}
