//! `--help`.

use crate::support::run_with;

const COMMANDS: [&str; 8] = ["serve", "sandbox", "call", "demo", "healthcheck", "contract", "token", "usage"];

#[test]
fn help_names_every_command_and_shows_examples() {
    let ended = run_with(["--help"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("Examples:\n  gemini-grpc demo"), "{}", ended.out);
    for command in COMMANDS {
        assert!(ended.out.contains(&format!("\n  {command} ")), "{command} is missing in {}", ended.out);
    }
}

#[test]
fn every_command_accepts_the_examples_in_its_help() {
    for command in COMMANDS {
        let ended = run_with([command, "--help"]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        let (_, examples) = ended.out.split_once("\nExamples:\n").expect("every command shows examples");
        let (mut shown, flags) = (0, examples.split_whitespace().filter(|word| word.starts_with("--")));
        for flag in flags {
            let flag = flag.trim_end_matches([',', ';']);
            shown += 1;
            assert!(ended.out.matches(flag).count() > 1, "{command} has no {flag}");
        }
        assert!(examples.contains(&format!("gemini-grpc {command}")), "{examples}");
        assert!(shown > 0, "{command} has no example with a flag");
    }
}

#[test]
fn the_flags_of_serve_are_grouped() {
    let help = run_with(["serve", "-h"]).out;
    for group in [
        "Serving:",
        "TLS:",
        "Connections:",
        "Stopping:",
        "Upstream:",
        "Key:",
        "Callers:",
        "Limits:",
        "Time limits:",
        "Models:",
        "Reload:",
        "Logging:",
    ] {
        assert!(help.contains(&format!("\n{group}\n")), "{group} is missing in {help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

#[test]
fn an_unknown_flag_exits_with_2_and_suggests_the_nearest_one() {
    for command in COMMANDS {
        assert_eq!(run_with([command, "--no-such-flag"]).code, Some(2), "{command}");
    }
    let ended = run_with(["serve", "--listn", "127.0.0.1:0"]);
    assert!(ended.code == Some(2) && ended.err.contains("'--listen'"), "{}", ended.err);
    assert_eq!(run_with([]).code, Some(2));
    assert_eq!(run_with(["surve"]).code, Some(2));
}
