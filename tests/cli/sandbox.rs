//! `sandbox`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gemini_grpc::sandbox::FAULTS;
use serde_json::{Value, json};

use crate::support::{Running, gemini_grpc, run_with};

#[test]
fn the_sandbox_prints_its_address_and_answers_there() {
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
fn the_sandbox_listens_only_on_loopback() {
    let ended = run_with(["sandbox", "--listen", "0.0.0.0:0"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("GEMINI_GRPC_SANDBOX_LISTEN: 0.0.0.0:0: "), "{}", ended.err);
    assert!(ended.err.contains("loopback only"), "{}", ended.err);
}

#[test]
fn every_fault_is_listed() {
    let ended = run_with(["sandbox", "--faults"]);
    assert_eq!(ended.code, Some(0));
    let lines: Vec<(&str, &str)> = ended.out.lines().map(|line| line.split_at(25)).collect();
    assert_eq!(lines.len(), FAULTS.len() + 1);
    for ((name, what), line) in FAULTS.iter().zip(&lines[1..]) {
        assert_eq!((format!("sandbox-{name}").as_str(), *what), (line.0.trim_end(), line.1));
    }
}

/// Sends a request to a sandbox. Returns the status, and the body as JSON.
fn generate(address: &str, model: &str, request: &Value) -> (u16, Value) {
    let (status, body) = post(address, &format!("{model}:generateContent"), request);
    (status, serde_json::from_str(&body).unwrap())
}

/// Sends a request to a sandbox. Returns the status and the body.
fn post(address: &str, target: &str, request: &Value) -> (u16, String) {
    let body = request.to_string();
    let head = format!(
        "POST /gemini/v1beta/models/{target} HTTP/1.0\r\nx-goog-api-key: any\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn faulty_answers_and_errors_are_streamed_as_events_too() {
    let (_running, address) = start();
    let stream = |fault: &str| {
        let request = json!({"contents": [{"parts": [{"text": "one two three four"}]}]});
        post(&address, &format!("sandbox-{fault}:streamGenerateContent?alt=sse"), &request)
    };
    let (status, halves) = stream("halves");
    assert_eq!((status, halves.matches("data: ").count()), (200, 2), "{halves}");
    assert!(halves.contains(r#"hi \ud83d"#) && halves.contains(r#""\ude00""#), "{halves}");
    for (fault, says) in [("nested-error-event", "slow down"), ("429-event", "RATE_LIMIT_EXCEEDED")] {
        let (status, events) = stream(fault);
        let (before, error) = events.trim_end().rsplit_once("data: ").unwrap();
        assert!(status == 200 && before.contains("[sandbox]"), "{events}");
        assert!(serde_json::from_str::<Value>(error).unwrap()["error"].is_object() && error.contains(says), "{error}");
    }
    assert_eq!(stream("nested-error").0, 429);
}

fn start() -> (Running, String) {
    let mut running = Running::start(&mut gemini_grpc(["sandbox", "--listen", "127.0.0.1:0", "--pace", "0"]));
    let address = running.out().wait_for(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
    (running, address)
}

#[test]
fn unknown_roles_are_refused_with_geminis_message() {
    let (_running, address) = start();
    let content = |role: Value| json!({"role": role, "parts": [{"text": "hi"}]});
    for role in ["assistant", "system", "tool", "USER"] {
        let request = json!({"contents": [content(json!("user")), content(json!(role))]});
        let (status, body) = generate(&address, "gemini-2.5-flash", &request);
        assert_eq!((status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{role}");
        assert_eq!(body["error"]["message"], "[sandbox] Please use a valid role: user, model.");
    }
    for role in [json!("user"), json!("model"), json!("function"), json!(""), Value::Null] {
        let request = json!({"contents": [content(role)], "systemInstruction": content(json!("system"))});
        assert_eq!(generate(&address, "gemini-2.5-flash", &request).0, 200);
    }
    assert_eq!(generate(&address, "gemini-2.5-flash", &json!({"contents": [{"parts": [{"text": "hi"}]}]})).0, 200);
}

#[test]
fn released_image_models_accept_sizes_in_both_fields() {
    let (_running, address) = start();
    let generate = |model: &str, mut config: Value| {
        config["responseModalities"] = json!(["IMAGE"]);
        generate(&address, model, &json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config}))
    };
    let plain = |size: &str| json!({"imageConfig": {"imageSize": size}});
    let format = |size: &str| json!({"responseFormat": {"image": {"imageSize": size}}});
    assert_eq!(generate("gemini-3.1-flash-image", plain("512")).0, 200);
    assert_eq!(generate("gemini-3.1-flash-image", format("IMAGE_SIZE_FIVE_TWELVE")).0, 200);
    assert_eq!(generate("gemini-nano-banana-2.1", plain("512")).0, 400);
    assert_eq!(generate("gemini-nano-banana-2.1", format("IMAGE_SIZE_FIVE_TWELVE")).0, 400);
    assert_eq!(generate("gemini-3.1-flash-lite-image", plain("2K")).0, 400);
    let (status, body) = generate("gemini-nano-banana-2.1", format("IMAGE_SIZE_TWO_K"));
    let parts = body["candidates"][0]["content"]["parts"].as_array().unwrap();
    let thoughts: Vec<bool> = parts.iter().map(|part| part["thought"] == true).collect();
    assert_eq!((status, thoughts), (200, vec![true, false]));
}
