//! `call --rest`: it prints what `call` prints.

use gemini_grpc::sandbox::FAULTS;

use crate::support::{Gateway, run, without_varying_words};

const IMAGE_MODEL: &str = "gemini-2.5-flash-image";
/// Most of the time of a call is the pace of the sandbox.
const CALLS_AT_A_TIME: usize = 16;

/// What a call prints, with placeholders for what differs from run to run.
#[derive(Debug, PartialEq)]
struct Shown {
    code: Option<i32>,
    out: Vec<String>,
    err: Vec<String>,
}

fn show(gateway: &Gateway, arguments: &[&str], flag: Option<&str>) -> Shown {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut command = gateway.command(["call", "--save", path]);
    command.args(arguments).args(flag);
    let ended = run(command);
    let lines = |text: &str| text.replace(path, "FOLDER").lines().map(without_varying_words).collect();
    Shown { code: ended.code, out: lines(&ended.out), err: lines(&ended.err) }
}

/// Makes each call over both protocols, and fails if they print something else.
fn compare(calls: &[Vec<&str>]) {
    let gateway = Gateway::start();
    let compare = |call: &Vec<&str>| {
        let (grpc, rest) = (show(&gateway, call, None), show(&gateway, call, Some("--rest")));
        assert!(!rest.err.is_empty(), "{call:?}");
        assert_eq!(grpc, rest, "{call:?}");
    };
    for calls in calls.chunks(CALLS_AT_A_TIME) {
        std::thread::scope(|scope| calls.iter().for_each(|call| drop(scope.spawn(|| compare(call)))));
    }
}

#[test]
fn answers_and_refusals_look_the_same_over_rest() {
    compare(&[
        vec!["hello", "there"],
        vec!["hello", "--unary"],
        vec!["hello", "--json"],
        vec!["hello", "--json", "--unary"],
        vec!["hello", "--system", "Be brief.", "--temperature", "0.5", "--max-output-tokens", "3"],
        vec!["hello", "--thoughts"],
        vec!["hello", "--model", "models/gemini-2.5-flash"],
        vec!["hello", "--model", "no-such-model"],
        vec!["hello", "--model", "a b/../c?d#e%41"],
        vec!["hello", "--api-key", "bad-key"],
        vec!["a lighthouse", "--model", IMAGE_MODEL, "--aspect-ratio", "4:3"],
        vec!["a lighthouse", "--model", IMAGE_MODEL, "--aspect-ratio", "7:3", "--temperature", "9"],
        vec!["hello", "--model", "sandbox-429", "--unary"],
        vec!["hello", "--model", "sandbox-thought-picture", "--thoughts"],
    ]);
}

#[test]
fn every_fault_of_upstream_looks_the_same_over_rest() {
    let names = FAULTS.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("hang"));
    let models: Vec<String> = names.map(|name| format!("sandbox-{}", name.replace("NAME", "429"))).collect();
    compare(&models.iter().map(|model| vec!["hello", "--model", model.as_str()]).collect::<Vec<_>>());
}

#[test]
fn a_call_over_rest_is_one_of_http() {
    let mut gateway = Gateway::start();
    for flags in [&["--rest"][..], &["--rest", "--unary"]] {
        let ended = gateway.run(["call", "hello"].iter().chain(flags).copied());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    gateway.running.signal("TERM");
    let log = gateway.log.rest();
    for action in ["streamGenerateContent", "generateContent"] {
        assert!(log.contains(&format!("POST /v1beta/models/{{model}}:{action}")), "{log}");
    }
}

#[test]
fn a_call_over_rest_ends_at_its_time_limit() {
    let gateway = Gateway::start();
    for (model, text) in [("sandbox-hang", ""), ("sandbox-hang-stream", "[sandbox] You said")] {
        let ended = gateway.run(["call", "--rest", "--timeout", "1", "--model", model, "hello"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.starts_with(text), "{}", ended.out);
        assert!(ended.err.starts_with("error: DeadlineExceeded: ") && ended.err.contains("TIMED_OUT"), "{}", ended.err);
    }
}

#[test]
fn a_picture_goes_to_the_model_over_rest_too() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let (pictures, first) = (folder.path().to_str().unwrap(), folder.path().join("image-1.png"));
    let fixed = ["call", "--rest", "--model", IMAGE_MODEL, "--save", pictures, "a lighthouse"];
    for image in [&[][..], &["--image", first.to_str().unwrap()]] {
        let ended = gateway.run(fixed.iter().chain(image).copied());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    let second = folder.path().join("image-2.png");
    assert_ne!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
}
