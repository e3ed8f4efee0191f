//! `call`: text, pictures, tools, errors.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use image::image_dimensions;
use serde_json::Value;

use crate::support::{Gateway, Running, run_with};

const IMAGE_MODEL: &str = "gemini-2.5-flash-image";

#[test]
fn text_goes_to_standard_output_and_statistics_to_standard_error() {
    let ended = Gateway::start().run(["call", "hello", "there"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.starts_with("[sandbox] You said \"hello there\"."), "{}", ended.out);
    assert!(ended.out.ends_with("at no cost.\n"), "{}", ended.out);
    assert!(ended.err.starts_with("STOP, 2 tokens in, ") && ended.err.contains(", request "), "{}", ended.err);
}

#[test]
fn a_stream_prints_many_messages_and_a_unary_call_one() {
    let gateway = Gateway::start();
    let messages = |arguments: &[&str]| -> Vec<Value> {
        let ended = gateway.run(["call", "--json", "hello"].iter().chain(arguments).copied());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let text = |messages: &[Value]| -> String {
        messages.iter().filter_map(|m| m["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
    };
    let (streamed, whole) = (messages(&[]), messages(&["--unary"]));
    assert!(streamed.len() > 5 && whole.len() == 1);
    assert_eq!(text(&streamed), text(&whole));
    let finished = |message: &Value| message["candidates"][0].get("finishReason").is_some();
    assert_eq!(streamed.iter().filter(|message| finished(message)).count(), 1);
    assert!(finished(streamed.last().unwrap()) && finished(&whole[0]));
}

#[test]
fn the_prompt_can_be_read_from_standard_input() {
    let gateway = Gateway::start();
    for arguments in [&["call"][..], &["call", "-"]] {
        let mut running = Running::start(gateway.command(arguments.iter().copied()).stdin(Stdio::piped()));
        running.child.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
        assert!(running.out().rest().contains("You said \"from a pipe\"."));
        assert_eq!(running.code(), Some(0));
    }
}

#[test]
fn a_saved_picture_can_be_sent_back_to_be_edited() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let (pictures, first) = (folder.path().to_str().unwrap(), folder.path().join("image-1.png"));
    let make = ["call", "--model", IMAGE_MODEL, "--aspect-ratio", "4:3", "--save", pictures, "a lighthouse"];
    let ended = gateway.run(make);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains(&format!("saved {} (image/png, ", first.display())), "{}", ended.out);
    let (width, height) = image_dimensions(&first).unwrap();
    assert_eq!(width * 3, height * 4);
    let change = ["call", "--model", IMAGE_MODEL, "--image", first.to_str().unwrap(), "--save", pictures, "at night"];
    let ended = gateway.run(change);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let second = folder.path().join("image-2.png");
    assert_eq!(image_dimensions(&second).unwrap(), (width, height));
    assert_ne!(fs::read(first).unwrap(), fs::read(second).unwrap());
}

#[test]
fn pictures_of_thoughts_are_saved_only_with_the_thoughts_flag() {
    let gateway = Gateway::start();
    for mode in [&[][..], &["--unary"]] {
        for (flags, names) in [(&[][..], &["image-1.png"][..]), (&["--thoughts"], &["image-1.png", "thought-1.png"])] {
            let folder = tempfile::tempdir().unwrap();
            let make = ["call", "--model", "sandbox-thought-picture", "--save", folder.path().to_str().unwrap(), "x"];
            let ended = gateway.run(make.into_iter().chain(flags.iter().chain(mode).copied()));
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            let mut saved: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
            saved.sort();
            assert_eq!(saved, names);
            // The picture of the thought is smaller.
            assert_eq!(image_dimensions(folder.path().join("image-1.png")).unwrap(), (1024, 1024));
            assert_eq!(ended.out.contains("Thinking of something"), !flags.is_empty(), "{}", ended.out);
        }
    }
}

#[test]
fn tools_can_be_one_tool_a_list_of_tools_or_a_list_of_functions() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tools.json");
    let function =
        r#"{"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}"#;
    let tool = format!(r#"{{"functionDeclarations": [{function}]}}"#);
    for json in [tool.clone(), format!("[{tool}]"), format!("[{function}]")] {
        fs::write(&file, &json).unwrap();
        let ended = gateway.run(["call", "--tools", file.to_str().unwrap(), "How is the weather?"]);
        assert_eq!(ended.code, Some(0), "{json}: {}", ended.err);
        assert!(ended.out.starts_with("get_weather({\"city\":\""), "{json}: {}", ended.out);
    }
}

#[test]
fn an_error_is_printed_with_its_details_and_the_exit_code_is_1() {
    let ended = Gateway::start().run(["call", "--model", "sandbox-429", "hello"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines[0], "error: ResourceExhausted: [sandbox] you asked for an error of status 429");
    for line in ["  quota: sandbox", "  try again in 3.5", "  request id: ", "  reason: RATE_LIMIT_EXCEEDED"] {
        assert!(lines.iter().any(|l| l.starts_with(line)), "{line} is missing in {}", ended.err);
    }
}

#[test]
fn finish_reasons_and_quotas_are_printed_with_upstreams_names() {
    let gateway = Gateway::start();
    for (model, line) in [("sandbox-model-armor", "MODEL_ARMOR, "), ("sandbox-daily-and-wait", "  quota: Generate")] {
        let ended = gateway.run(["call", "--model", model, "hello"]);
        assert!(ended.err.lines().any(|l| l.starts_with(line)), "{line} is missing in {}", ended.err);
    }
}

#[test]
fn every_violation_is_printed() {
    let gateway = Gateway::start();
    let ended = gateway.run(["call", "--model", IMAGE_MODEL, "--aspect-ratio", "7:3", "--temperature", "9", "x"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: InvalidArgument: the request breaks 2 rules"), "{}", ended.err);
    for field in ["generation_config.image_config.aspect_ratio", "generation_config.temperature"] {
        assert!(ended.err.contains(&format!("\n  {field}: ")), "{}", ended.err);
    }
}

#[test]
fn a_broken_stream_prints_its_text_so_far_and_then_the_error() {
    let ended = Gateway::start().run(["call", "--model", "sandbox-cut", "hello"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.starts_with("[sandbox] You said \"hello\"") && ended.out.ends_with('\n'), "{}", ended.out);
    assert!(ended.err.starts_with("error: Unavailable: ") && ended.err.contains("UPSTREAM_CUT_OFF"), "{}", ended.err);
}

#[test]
fn a_refused_connection_prints_how_to_start_a_gateway() {
    for flags in [&[][..], &["--rest"]] {
        let ended = run_with(["call", "--endpoint", "http://127.0.0.1:1", "hello"].iter().chain(flags).copied());
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains("nothing answers at http://127.0.0.1:1;"), "{}", ended.err);
        assert!(ended.err.contains("gemini-grpc serve --sandbox"), "{}", ended.err);
    }
}

#[test]
fn a_closed_standard_output_ends_the_call_without_an_error() {
    let gateway = Gateway::start();
    for arguments in [&["call", "hello"][..], &["call", "--json", "hello"], &["call", "--rest", "hello"]] {
        let mut running = Running::start(&mut gateway.command(arguments.iter().copied()));
        let mut out = running.child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        drop(out);
        let err = running.err().rest();
        assert_eq!((running.code(), err.as_str()), (Some(0), ""));
    }
}
