//! `usage`, of a real gateway.

use std::net::TcpListener;

use gemini_grpc::gateway::callers::TokenHash;
use serde_json::Value;

use crate::support::{Ended, Gateway, field, gemini_grpc, get, run, run_with};

const TOKENS: [&str; 2] = ["gg_token-of-team-a-0123456789012345", "gg_token-of-team-b-0123456789012345"];

/// A gateway with two callers, and the URL of its admin port.
struct Operated {
    gateway: Gateway,
    admin: String,
    _folder: tempfile::TempDir,
}

impl Operated {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            std::fs::write(&path, text).unwrap();
            path
        };
        let [a, b] = TOKENS.map(|token| TokenHash::of(token).to_hex());
        let limits = "tokens_per_day = 100000\ncost_per_month = 12.5\n";
        let callers =
            format!("[callers.team-a]\ntoken_sha256 = '{a}'\n{limits}[callers.team-b]\ntoken_sha256 = '{b}'\n");
        let callers = write("callers.toml", &callers);
        let prices = "[[text_model]]\nids = ['gemini-2.5-flash']\nprices = { input = 1000, output = 1000 }\n";
        let catalog = write("catalog.toml", prices);
        let flags = ["--api-key", "own-key", "--auth", "tokens", "--callers", &callers, "--catalog", &catalog];
        let mut gateway = Gateway::with([&flags[..], &["--admin-listen", "127.0.0.1:0"]].concat());
        let admin = |line: &str| line.contains("admin port listening").then(|| field(line, "address"))?;
        let admin = gateway.log.wait_for(admin);
        Self { gateway, admin: format!("http://{admin}"), _folder: folder }
    }

    fn call(&self, token: &str) {
        let mut call = self.gateway.command(["call", "--model", "gemini-2.5-flash", "--unary", "one two three"]);
        call.env("MOUNTSEA_API_KEY", token);
        let ended = run(call);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    fn usage(&self, arguments: &[&str]) -> Ended {
        run_with([&["usage", "--admin", &self.admin], arguments].concat())
    }
}

#[test]
fn what_callers_used_is_shown_in_a_table_and_as_json() {
    let operated = Operated::start();
    operated.call(TOKENS[0]);
    operated.call(TOKENS[0]);
    let json = operated.usage(&["--json", "--caller", "team-a"]);
    assert_eq!((json.code, json.err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&report["source"], &report["store_is_away"]), (&"this process".into(), &false.into()));
    let [team] = &report["callers"].as_array().unwrap()[..] else { panic!("{report}") };
    let [model] = &team["models"].as_array().unwrap()[..] else { panic!("{report}") };
    let number = |value: &Value| value.as_f64().unwrap();
    let (day, tokens) = (&model["day"], number(&model["day"]["input_tokens"]) + number(&model["day"]["output_tokens"]));
    assert_eq!((&model["model"], number(&day["calls"])), (&"gemini-2.5-flash".into(), 2.0), "{report}");
    assert!(tokens > 6.0 && (number(&day["cost"]) - tokens / 1000.0).abs() < 1e-9, "{report}");
    assert_eq!(day, &model["month"]);
    let limits = team["limits"].as_array().unwrap();
    assert_eq!(limits.iter().map(|limit| &limit["limit"]).collect::<Vec<_>>(), ["tokens_per_day", "cost_per_month"]);
    assert_eq!((number(&limits[0]["used"]), number(&limits[0]["left"])), (tokens, 100_000.0 - tokens), "{report}");
    assert!(limits[1]["resets_at"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{report}");

    let table = operated.usage(&[]);
    assert_eq!((table.code, table.err.as_str()), (Some(0), ""));
    assert!(table.out.starts_with("This process, since "), "{}", table.out);
    assert!(table.out.contains("\nteam-a: 0 calls in flight\n  limit "), "{}", table.out);
    assert!(table.out.contains("\nteam-b: 0 calls in flight\n  no calls this month\n"), "{}", table.out);
    let row = table.out.lines().find(|line| line.contains("gemini-2.5-flash")).unwrap();
    assert!(row.split_whitespace().take(3).eq(["gemini-2.5-flash", "today", "2"]), "{row}");
    assert!(table.out.lines().any(|line| line.contains("cost_per_month") && line.contains("$12.50")), "{}", table.out);
    let narrow = run({
        let mut command = gemini_grpc(["usage", "--admin", &operated.admin]);
        command.env("COLUMNS", "40");
        command
    });
    assert!(narrow.out.contains("  gemini-2.5-flash\n    today: 2 calls, "), "{}", narrow.out);

    // Neither tokens nor their hashes are in it.
    let whole = get(operated.admin.trim_start_matches("http://"), "/usage");
    for token in TOKENS {
        assert!(!whole.contains(token) && !whole.contains(&TokenHash::of(token).to_hex()), "{whole}");
    }
    assert!(whole.contains("content-type: application/json"), "{whole}");
}

#[test]
fn the_error_for_an_unknown_caller_names_those_that_there_are() {
    let operated = Operated::start();
    let ended = operated.usage(&["--caller", "team-x"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("no caller \"team-x\"; known are team-a, team-b"), "{}", ended.err);
}

#[test]
fn a_gateway_that_does_not_know_its_callers_says_so() {
    let mut gateway = Gateway::with(["--admin-listen", "127.0.0.1:0"]);
    let admin =
        gateway.log.wait_for(|line| line.contains("admin port listening").then(|| field(line, "address")).flatten());
    let ended = run_with(["usage", "--admin", &admin]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("GEMINI_GRPC_AUTH"), "{}", ended.out);
    let ended = run_with(["usage", "--admin", &admin, "--caller", "team-a"]);
    assert!(ended.code == Some(1) && ended.err.contains("GEMINI_GRPC_AUTH"), "{}", ended.err);
    // The port for calls has no usage.
    let ended = run_with(["usage", "--admin", &gateway.endpoint]);
    assert!(ended.code == Some(1) && ended.err.contains("GEMINI_GRPC_ADMIN_LISTEN"), "{}", ended.err);
}

#[test]
fn an_admin_port_that_does_not_answer_is_named_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = run_with(["usage", "--admin", &free]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains(&free) && ended.err.contains("GEMINI_GRPC_ADMIN_LISTEN"), "{}", ended.err);
    for url in ["https://127.0.0.1:1", "http://", "a b"] {
        let ended = run_with(["usage", "--admin", url]);
        assert!(ended.code == Some(2) && ended.err.contains("--admin: a URL"), "{url}: {}", ended.err);
    }
}
