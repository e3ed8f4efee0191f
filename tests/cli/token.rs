//! `token`.

use std::io::Write as _;

use crate::support::{Ended, gemini_grpc, run, run_with};

/// `token --hash` with this on standard input.
fn hash(text: &str) -> Ended {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = gemini_grpc(["token", "--hash"]);
    command.stdin(file);
    run(command)
}

#[test]
fn a_token_is_printed_with_its_lines_for_the_callers_file() {
    let ended = run_with(["token", "--name", "team-a"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let (token, table) = ended.out.split_once("\n\n").unwrap();
    let base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // 43 characters of base64 are 32 bytes.
    assert!(token.strip_prefix("gg_").is_some_and(|rest| rest.len() == 43 && rest.chars().all(base64url)), "{token}");
    let hash = hash(&format!("{token}\n"));
    assert_eq!(hash.code, Some(0), "{}", hash.err);
    assert_eq!(table, format!("[callers.team-a]\ntoken_sha256 = \"{}\"\n", hash.out.trim()));
}

#[test]
fn a_name_with_a_dot_is_quoted_and_without_a_name_there_is_no_table_header() {
    assert!(run_with(["token", "--name", "a.b"]).out.contains("\n\n[callers.\"a.b\"]\ntoken_sha256 = \""));
    assert!(run_with(["token"]).out.contains("\n\ntoken_sha256 = \""));
}

#[test]
fn every_token_is_different() {
    assert_ne!(run_with(["token"]).out, run_with(["token"]).out);
}

#[test]
fn the_hash_is_sha_256() {
    // The output of `printf %s gg_0123456789012345678901234567890123456789012 | sha256sum`.
    let ended = hash("gg_0123456789012345678901234567890123456789012\r\n");
    assert_eq!(ended.out, "0dcf51b0d2186bbbf63b4983bd424b29fd84fd6ad9c0f4747bf8e41e52f8d2b9\n");
}

#[test]
fn an_invalid_token_is_refused_and_not_printed() {
    let long = "SECRET".repeat(2000);
    for text in [
        "",
        "SECRET",
        "SECRET 67890123456789012345678901234567890",
        "SECRETä678901234567890123456789012345678901",
        &long,
    ] {
        let ended = hash(text);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{text}");
        assert!(ended.err.starts_with("error: --hash: a token of 32 to 4096 visible ASCII characters is expected"));
        assert!(!ended.err.contains("SECRET") && ended.err.lines().count() == 1, "{}", ended.err);
    }
    for name in ["Team", "", "a b", &"x".repeat(65)] {
        let ended = run_with(["token", "--name", name]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{name}");
        assert!(ended.err.starts_with("error: --name: the name of a caller is 1 to 64 of "), "{}", ended.err);
    }
    assert_eq!(run_with(["token", "--hash", "--name", "a"]).code, Some(2));
}
