//! The rules of docs/architecture.md, held against the sources as text. Who changes the house on purpose changes these
//! tables, and that page, in the same commit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room, and the rooms that it may name.
const ROOMS: [(&str, &[&str]); 15] = [
    (
        "cli",
        &[
            "config",
            "server",
            "grpc",
            "face",
            "gateway",
            "upstream",
            "telemetry",
            "memory",
            "files",
            "gemini",
            "sandbox",
            "pb",
            "reason",
            "cause",
        ],
    ),
    ("config", &["server", "grpc", "gateway", "upstream", "telemetry", "gemini"]),
    ("server", &["grpc", "face", "gateway", "upstream", "telemetry", "memory", "files"]),
    ("grpc", &["face", "gateway", "telemetry", "gemini", "pb", "reason"]),
    ("face", &["gateway"]),
    ("gateway", &["upstream", "telemetry", "memory", "gemini", "reason"]),
    ("upstream", &["telemetry", "memory", "files", "gemini", "reason", "cause"]),
    ("telemetry", &["gemini", "pb", "reason", "cause"]),
    ("memory", &[]),
    ("files", &[]),
    ("gemini", &["pb"]),
    ("sandbox", &[]),
    ("pb", &[]),
    ("reason", &["gemini"]),
    ("cause", &[]),
];

/// Crates that shape a room, and the rooms that may name them. A crate that is not here may be named anywhere.
const CRATES: [(&str, &[&str]); 37] = [
    // One way out, and one double of what is at its end. A collector is another end.
    ("reqwest", &["upstream", "telemetry"]),
    ("axum", &["sandbox"]),
    // gRPC is a face: the gateway behind it does not know who asks. Collectors speak it too.
    ("tonic", &["pb", "grpc", "telemetry", "cli"]),
    ("tonic_reflection", &["grpc"]),
    ("tonic_types", &["pb"]),
    ("prost", &["pb", "gemini", "grpc", "cli"]),
    ("prost_types", &["cli", "gemini", "grpc"]),
    ("hyper", &["face", "server", "upstream"]),
    ("hyper_rustls", &["upstream"]),
    ("hyper_util", &["sandbox", "server", "upstream"]),
    ("socket2", &["server"]),
    // To tell what upstream said when it closed a connection.
    ("h2", &["upstream"]),
    ("tower", &["grpc", "server", "upstream"]),
    ("rustix", &["config", "server", "files", "cli"]),
    // Certificates are read where files are, and shown where connections are.
    ("rustls", &["config", "server", "upstream"]),
    ("rustls_platform_verifier", &["upstream"]),
    ("tokio_rustls", &["server"]),
    ("x509_parser", &["config", "server"]),
    // What can be replaced while calls run.
    ("arc_swap", &["upstream", "gateway", "server", "telemetry"]),
    // The command line and the configuration are one definition.
    ("clap", &["config", "cli"]),
    // Who tells of calls, and the one log that all lines go to.
    ("opentelemetry", &["telemetry", "cli"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_prometheus", &["telemetry"]),
    ("opentelemetry_stdout", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry_appender_tracing", &["cli"]),
    ("tracing_opentelemetry", &["cli"]),
    ("tracing_appender", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    // The catalogue, and the callers.
    ("toml", &["gemini", "gateway"]),
    // What is kept of a token, how it is compared, and what it is made of.
    ("sha2", &["gateway"]),
    ("subtle", &["gateway"]),
    ("getrandom", &["cli"]),
    // Gemini is pure: no async, no log. The configuration is read before either exists.
    ("tokio", &["memory", "upstream", "gateway", "face", "grpc", "server", "telemetry", "sandbox", "cli"]),
    ("tokio_stream", &["upstream", "gateway", "grpc", "server", "sandbox", "cli"]),
    ("tracing", &["grpc", "server", "telemetry", "sandbox", "cli"]),
];

/// Words that only some rooms may use, and why.
const WORDS: [(&str, &[&str], &str); 9] = [
    ("std::env", &["config", "cli"], "the environment is read by the configuration and the command line"),
    ("std::process", &["cli"], "only a command ends the process"),
    (
        "std::net",
        &["config", "server", "face", "grpc", "telemetry", "sandbox", "cli"],
        "only listeners and who tells of them know sockets",
    ),
    ("std::fs", &["config", "cli"], "only what a flag names is read or written"),
    ("std::thread", &["config", "server", "telemetry", "sandbox", "cli"], "a call starts no thread"),
    ("SystemTime::now", &["upstream", "gateway"], "a room that is pure is told the time"),
    (
        "Instant::now",
        &["upstream", "gateway", "face", "grpc", "server", "telemetry", "cli"],
        "a room that is pure has no clock",
    ),
    // A status that is made elsewhere would have no reason and no request id.
    ("Status::with_details", &["grpc"], "errors are values until the gRPC face makes a status of them"),
    ("Status::new", &["grpc"], "errors are values until the gRPC face makes a status of them"),
];

/// The constructors of `tonic::Status` that are named after a code.
const STATUSES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// A file that wants to be longer usually holds two ideas.
const MOST_LINES: usize = 500;

#[test]
fn rooms_name_only_the_rooms_below_them() {
    refuse(sources().iter().flat_map(room_faults).collect());
}

#[test]
fn crates_are_named_only_in_their_rooms() {
    refuse(sources().iter().flat_map(crate_faults).collect());
}

#[test]
fn the_environment_the_clock_and_statuses_are_used_only_where_they_belong() {
    refuse(sources().iter().flat_map(word_faults).collect());
}

#[test]
fn every_file_opens_by_saying_what_it_is_and_is_short() {
    let folders = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(&root().join(folder)));
    let mut faults = Vec::new();
    for path in folders.chain([root().join("build.rs")]) {
        let (text, name) = (fs::read_to_string(&path).unwrap(), shown(&path));
        if !text.starts_with("//!") {
            faults.push(format!("{name}:1: a file opens with //! and what it is"));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{name}:{lines}: no file has over {MOST_LINES} lines; give the second idea its own"));
        }
    }
    refuse(faults);
}

#[test]
fn every_room_has_rules_and_every_rule_a_room() {
    let there: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let ruled: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(there, ruled, "src/ on the left, ROOMS in tests/house.rs on the right");
}

#[test]
fn the_page_says_the_same_as_the_table() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for (room, knows) in ROOMS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{room}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/architecture.md has no row for `{room}`"));
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        let named: BTreeSet<&str> = column.split('`').skip(1).step_by(2).collect();
        match column {
            "everything" => assert_eq!(knows.len(), ROOMS.len() - 1, "`{room}`"),
            "nothing" => assert!(knows.is_empty(), "`{room}`"),
            // Settings, so every room that has some.
            _ if room == "config" => assert!(column.contains("`Config`"), "`{room}`"),
            _ => assert_eq!(named, knows.iter().copied().collect(), "`{room}` in docs/architecture.md and in ROOMS"),
        }
    }
}

#[test]
fn a_broken_rule_is_seen() {
    let faults = |room: &str, text: &str| {
        let source = Source::new(room, &[room, "file"], "planted.rs", text);
        [room_faults(&source), crate_faults(&source), word_faults(&source)].concat()
    };
    for (room, text, says) in [
        ("gateway", "use crate::server::Server;", "planted.rs:1: `gateway` may not name the room `server`"),
        (
            "sandbox",
            "\nuse crate::{\n    sandbox,\n    upstream::Error};",
            "`sandbox` may not name the room `upstream`",
        ),
        ("sandbox", "fn f() { crate::upstream::send() }", "`sandbox` may not name the room `upstream`"),
        ("grpc", "use super::super::upstream;", "`grpc` may not name the room `upstream`"),
        ("gateway", "// no\nlet x: reqwest::Error;", "planted.rs:2: `gateway` may not name the crate reqwest"),
        ("server", "use tonic as t;", "`server` may not name the crate tonic"),
        ("gemini", "let f = std::env::var(\"X\");", "`gemini` may not use std::env"),
        ("gateway", "use std::{env, fmt};", "`gateway` may not use std::env"),
        ("server", "let s = Status::new(1);", "`server` may not use Status::new"),
        ("cli", "tonic::Status::unavailable(\"x\")", "`cli` may not use Status::unavailable"),
    ] {
        let found = faults(room, text);
        assert!(found.len() == 1 && found[0].contains(says), "{text:?} gives {found:?}");
    }
    for (room, text) in [
        ("gateway", "//! It is not like crate::server.\n/* reqwest::get */ const A: &str = \"tonic::Status\\\" x\";"),
        ("gateway", "const A: &str = r#\"use crate::server; \"#; const B: char = '\"'; const C: char = '\\'';"),
        ("gateway", "use crate::upstream; use super::super::gateway::Error;"),
        ("gateway", "#[cfg(test)]\nmod tests {\n    use crate::server::Server;\n}"),
        ("gemini", "use super::toml_like::hyper; let a = my::tonic::x;"),
        ("pb", "let f = env!(\"OUT_DIR\");"),
    ] {
        assert_eq!(faults(room, text), [""; 0], "{text:?}");
    }
}

/// One file of src/, without comments, texts and tests.
struct Source {
    room: String,
    /// How many `super` lead from the file to the room.
    depth: usize,
    name: String,
    code: String,
}

impl Source {
    fn new(room: &str, module: &[&str], name: &str, text: &str) -> Self {
        let code = without_tests(&code_of(text));
        Self { room: room.to_owned(), depth: module.len(), name: name.to_owned(), code }
    }

    fn fault(&self, at: usize, sentence: &str) -> String {
        let line = self.code[..at].matches('\n').count() + 1;
        format!("{}:{line}: {sentence} (docs/architecture.md, The rooms)", self.name)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn refuse(faults: Vec<String>) {
    let mut message = String::new();
    for fault in &faults {
        writeln!(message, "  {fault}").unwrap();
    }
    assert!(faults.is_empty(), "the house has rules:\n{message}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of all rooms. What is compiled for tests only is left out: a test may know more than its room.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = rust_files(&src);
    let for_tests: BTreeSet<PathBuf> = files.iter().flat_map(|path| test_modules(path)).collect();
    let rooms = files.iter().filter(|path| !for_tests.contains(*path)).filter_map(|path| {
        let relative = path.strip_prefix(&src).unwrap().with_extension("");
        let module: Vec<&str> =
            relative.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect();
        let room = module[0];
        let text = fs::read_to_string(path).unwrap();
        (!["lib", "main"].contains(&room)).then(|| Source::new(room, &module, &shown(path), &text))
    });
    rooms.collect()
}

/// The files of modules that a file declares under `#[cfg(test)]`.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let code = code_of(&fs::read_to_string(path).unwrap());
    let folder = if path.ends_with("mod.rs") { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let item = rest.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#["))?;
        item.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]).collect()
}

fn room_faults(source: &Source) -> Vec<String> {
    let (_, knows) = ROOMS.iter().find(|(room, _)| *room == source.room).expect("every room has rules");
    let mut faults = Vec::new();
    let mut check = |at: usize, named: &str| {
        let is_room = ROOMS.iter().any(|(room, _)| *room == named);
        if is_room && named != source.room && !knows.contains(&named) {
            faults.push(source.fault(at, &format!("`{}` may not name the room `{named}`", source.room)));
        }
    };
    // The root of the crate, by its name and from below.
    for start in ["crate::".to_owned(), "super::".repeat(source.depth)] {
        for (at, _) in source.code.match_indices(&start) {
            let longer = source.code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
            if !longer {
                members(&source.code[at + start.len()..]).iter().for_each(|named| check(at, named));
            }
        }
    }
    faults
}

/// The first names of a path, or of each path in braces.
fn members(rest: &str) -> Vec<&str> {
    let name = |text: &str| text.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '_')).next().map(str::len);
    let Some(inside) = rest.strip_prefix('{') else { return vec![&rest[..name(rest).unwrap_or(0)]] };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let path = inside[start..i].trim_start();
                found.push(&path[..name(path).unwrap_or(0)]);
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn crate_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, rooms) in CRATES.iter().filter(|(_, rooms)| !rooms.contains(&source.room.as_str())) {
        for (at, _) in source.code.match_indices(name) {
            let (before, after) = (&source.code[..at], &source.code[at + name.len()..]);
            let is_path =
                !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c)) && after.starts_with("::");
            let is_use = before.ends_with("use ") && (after.starts_with(';') || after.starts_with(" as "));
            if is_path || is_use {
                let homes = rooms.iter().map(|room| format!("`{room}`")).collect::<Vec<_>>().join(", ");
                let sentence = format!("`{}` may not name the crate {name}, which belongs to {homes}", source.room);
                faults.push(source.fault(at, &sentence));
            }
        }
    }
    faults
}

fn word_faults(source: &Source) -> Vec<String> {
    let elsewhere = "errors are values until the gRPC face makes a status of them";
    let statuses = STATUSES.map(|code| (format!("Status::{code}("), vec!["grpc"], elsewhere));
    let words = WORDS.map(|(word, rooms, why)| (word.to_owned(), rooms.to_vec(), why));
    let mut faults = Vec::new();
    for (word, _, why) in words.iter().chain(&statuses).filter(|(_, r, _)| !r.contains(&source.room.as_str())) {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |at: &usize| {
            let (before, after) = (&source.code[..*at], &source.code[at + word.len()..]);
            !before.ends_with(part) && (word.ends_with('(') || !after.starts_with(part))
        };
        let mut places: Vec<usize> = source.code.match_indices(word.as_str()).map(|(at, _)| at).filter(whole).collect();
        if let Some(module) = word.strip_prefix("std::") {
            let groups = source.code.match_indices("std::{").map(|(at, _)| at);
            places.extend(groups.filter(|at| members(&source.code[at + "std::".len()..]).contains(&module)));
        }
        let word = word.trim_end_matches('(');
        let sentence = format!("`{}` may not use {word}: {why}", source.room);
        faults.extend(places.into_iter().map(|at| source.fault(at, &sentence)));
    }
    faults
}

/// Blanks what stands after `#[cfg(test)]` up to the end of the item, by its braces.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let item = &rest[at..];
        let mut depth = 0;
        let end = item.char_indices().find_map(|(i, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && (c == '}' || c == ';')).then_some(i + 1)
        });
        let end = end.unwrap_or(item.len());
        out.push_str(&rest[..at]);
        out.extend(item[..end].matches('\n'));
        rest = &item[end..];
    }
    out + rest
}

/// The text with comments and the insides of literals left out, and every line where it was.
fn code_of(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if !out.trim_end_matches('b').ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_text(rest),
            '"' => literal(rest, '"'),
            '\'' if is_char(rest) => literal(rest, '\''),
            _ => 0,
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skipped].matches('\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// The length of a literal with its quotes.
fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether a quote opens a character, and not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

/// The length of a raw literal; 0 if it is none.
fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[2 + hashes..].find(&end).map_or(rest.len(), |at| 2 + hashes + at + end.len())
}
