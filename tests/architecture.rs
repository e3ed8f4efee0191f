//! The rules of docs/architecture.md, checked against the parsed sources. A change of the module structure changes these
//! tables and that page in the same commit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Circles of imports between files.
#[path = "architecture/circles.rs"]
mod circles;
/// One file of src/, parsed.
#[path = "architecture/source.rs"]
mod source;
/// Which module may import which, and which crates, parts of std and statuses each may name.
#[path = "architecture/tables.rs"]
mod tables;
/// Words that are hard to understand.
#[path = "architecture/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use source::Source;
use tables::{CRATES, FACES, MODULES, STATUSES, USES};

/// A file that wants to be longer usually contains two ideas.
const MAX_LINES: usize = 500;
const MAX_LINES_IN_SRC: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

#[test]
fn modules_import_only_the_modules_below_them() {
    refuse(sources().iter().flat_map(module_faults).collect());
}

#[test]
fn files_of_a_module_do_not_import_each_other_in_a_circle() {
    refuse(circles::faults(sources()));
}

#[test]
fn crates_are_named_only_in_their_modules() {
    refuse(sources().iter().flat_map(crate_faults).collect());
}

#[test]
fn only_faces_write_a_status() {
    let others = sources().iter().filter(|source| !FACES.contains(&source.top()));
    let faults = others.flat_map(|source| {
        let written = source.texts.iter().filter(|text| ["grpc-status", "grpc-message"].contains(&&text.text[..]));
        written.map(|text| source.fault(text.line, "only a face renders errors"))
    });
    refuse(faults.collect());
}

#[test]
fn the_gateway_knows_no_protocol() {
    let gateway = rust_files(&root().join("src/gateway"));
    let faults = gateway.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.into_iter().enumerate().filter_map(move |(i, line)| {
            let word = protocol_word(&line)?;
            Some(format!("{}:{}: {word:?} belongs to a face", shown(path), i + 1))
        })
    });
    refuse(faults.collect());
}

#[test]
fn comments_texts_and_pages_use_plain_words() {
    let text = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    refuse(words::files(root()).iter().flat_map(|name| words::faults(name, &text(name))).collect());
}

#[test]
fn the_environment_the_clock_and_statuses_are_used_only_where_they_belong() {
    refuse(sources().iter().flat_map(use_faults).collect());
}

#[test]
fn every_variable_that_a_text_names_exists() {
    let existing: BTreeSet<&str> =
        sources().iter().flat_map(|source| &source.variables).map(|name| &name[..]).collect();
    let texts = sources().iter().flat_map(|source| source.texts.iter().map(move |text| (source, text)));
    let faults = texts.flat_map(|(source, text)| {
        let missing = variables(&text.text).into_iter().filter(|name| !existing.contains(name));
        missing.map(|name| source.fault(text.line, &format!("there is no variable {name}")))
    });
    refuse(faults.collect());
}

#[test]
fn every_file_begins_with_its_purpose_and_is_short() {
    let folders = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(&root().join(folder)));
    let mut faults = Vec::new();
    for path in folders.chain([root().join("build.rs")]) {
        let (text, name) = (fs::read_to_string(&path).unwrap(), shown(&path));
        if !text.starts_with("//!") {
            faults.push(format!("{name}:1: a file begins with //! and what it is for"));
        }
        let lines = text.lines().count();
        let most = if name.starts_with("src/") { MAX_LINES_IN_SRC } else { MAX_LINES };
        if lines > most {
            faults.push(format!("{name}:{lines}: no file has over {most} lines; move the second idea to its own file"));
        }
    }
    refuse(faults);
}

#[test]
fn every_function_is_short() {
    let functions = sources().iter().flat_map(|source| source.functions.iter().map(move |f| (source, f)));
    let long = functions.filter(|(_, function)| function.lines > MAX_FUNCTION_LINES);
    let fault = |(source, f): (&Source, &source::Function)| {
        source.fault(f.line, &format!("{} has {} lines; at most {MAX_FUNCTION_LINES} are allowed", f.name, f.lines))
    };
    refuse(long.map(fault).collect());
}

#[test]
fn every_module_has_a_row_and_every_row_a_module() {
    let there: BTreeSet<String> = sources().iter().map(|source| source.top().to_owned()).collect();
    let rows: BTreeSet<String> = MODULES.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(there, rows, "src/ on the left, MODULES in tests/architecture/tables.rs on the right");
}

#[test]
fn the_page_has_the_same_table() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for (module, imports) in MODULES {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{module}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/architecture.md has no row for `{module}`"));
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        let named: BTreeSet<&str> = column.split('`').skip(1).step_by(2).collect();
        match column {
            "everything" => assert_eq!(imports.len(), MODULES.len() - 1, "`{module}`"),
            "nothing" => assert!(imports.is_empty(), "`{module}`"),
            // The settings of every module that has some.
            _ if module == "config" => assert!(column.contains("`Config`"), "`{module}`"),
            _ => assert_eq!(named, imports.iter().copied().collect(), "`{module}`: the page, and MODULES"),
        }
    }
}

#[test]
fn a_broken_rule_is_found() {
    let faults = |module: &str, text: &str| {
        let source = Source::parse(&format!("src/{module}/planted.rs"), text);
        [module_faults(&source), crate_faults(&source), use_faults(&source)].concat()
    };
    for (module, text, says) in [
        ("gateway", "use crate::server::Server;", "planted.rs:1: `gateway` may not import `server`"),
        ("sandbox", "\nuse crate::{\n    sandbox,\n    upstream::Error};", "planted.rs:4: `sandbox` may not import"),
        ("sandbox", "fn f() { crate::upstream::send() }", "`sandbox` may not import `upstream`"),
        ("sandbox", "fn f() { select! { x = crate::upstream::send() => {} } }", "`sandbox` may not import `upstream`"),
        ("grpc", "use super::super::upstream;", "`grpc` may not import `upstream`"),
        ("gateway", "// no\nstatic X: reqwest::Error = f();", "planted.rs:2: `gateway` may not name the crate reqwest"),
        ("server", "use tonic as t;", "`server` may not name the crate tonic"),
        ("gemini", "fn f() { std::env::var(\"X\") }", "`gemini` may not use std::env"),
        ("gateway", "use std::{env, fmt};", "`gateway` may not use std::env"),
        ("gateway", "fn f() { info!(at = std::env::var(\"X\")) }", "`gateway` may not use std::env"),
        ("server", "fn f() { Status::new(1) }", "`server` may not use Status::new"),
        ("cli", "fn f() { tonic::Status::unavailable(\"x\") }", "`cli` may not use Status::unavailable"),
    ] {
        let found = faults(module, text);
        assert!(found.len() == 1 && found[0].contains(says), "{text:?} gives {found:?}");
    }
    for (module, text) in [
        ("gateway", "//! It is not like crate::server.\nconst A: &str = \"tonic::Status\\\" x\";"),
        ("gateway", "use crate::upstream; use super::super::gateway::Error;"),
        ("gateway", "#[cfg(test)]\nmod tests {\n    use crate::server::Server;\n}"),
        ("gateway", "impl A {\n#[cfg(test)]\nfn f() { crate::server::f() }\n}"),
        ("gemini", "use super::toml_like::hyper; fn f() { my::tonic::x }"),
        ("pb", "fn f() { env!(\"OUT_DIR\") }"),
    ] {
        assert_eq!(faults(module, text), [""; 0], "{text:?}");
    }
    let file = |name: &str, text| Source::parse(name, text);
    let circle = [
        file("src/cli/mod.rs", "mod log; mod serve; mod table; pub use self::table::of; struct Failure;"),
        file("src/cli/serve.rs", "use super::log;"),
        file("src/cli/log.rs", "use super::of; use super::Failure;"),
        file("src/cli/table.rs", "fn f() { super::serve::run() }"),
    ];
    let found = circles::faults(&circle);
    assert!(found.len() == 1 && found[0].contains("cli::log → cli::table → cli::serve → cli::log"), "{found:?}");
    assert_eq!(circles::faults(&circle[..3]), [""; 0]);
    let planted = file("src/cli/planted.rs", "struct A {\n#[arg(long, env = \"GEMINI_GRPC_LISTEN\")]\nlisten: u8,\n}");
    assert_eq!(planted.variables, ["GEMINI_GRPC_LISTEN"]);
    assert_eq!(variables("set GEMINI_GRPC_LISTN, or GEMINI_GRPC_*"), ["GEMINI_GRPC_LISTN"]);
    for (line, word) in [
        ("/// The header `grpc-timeout`.", Some("grpc")),
        ("use tonic::Status;", Some("tonic")),
        ("Method::StreamGenerateContent => {}", Some("generatecontent")),
        ("#[error(\"raise GEMINI_GRPC_MAX_CALLS; `gemini-grpc token` makes one\")]", None),
        ("r#\"{\"generateContentRequest\":{}}\"#", None),
    ] {
        assert_eq!(protocol_word(line), word, "{line}");
    }
    let worded = "/// Told\n/// once more.\nfn told() { // anew\n    f(\"for ever\", \"forever\") }";
    let found = words::faults("planted.rs", worded);
    let lines: Vec<_> = found.iter().filter_map(|fault| fault.split(" →").next()).collect();
    let expected = [("1", "told"), ("2", "once more"), ("3", "anew"), ("4", "for ever")];
    assert_eq!(lines, expected.map(|(line, word)| format!("planted.rs:{line}: {word:?}")));
    assert_eq!(words::faults("planted.md", "one\nnot untold, but told").len(), 1);
}

fn module_faults(source: &Source) -> Vec<String> {
    let (_, imports) = MODULES.iter().find(|(module, _)| *module == source.top()).expect("every module has a row");
    let named = source.named.iter().filter_map(|named| {
        let first = named.absolute.as_ref()?.first()?;
        let (module, _) = MODULES.iter().find(|(module, _)| module == first)?;
        let is_refused = *module != source.top() && !imports.contains(module);
        is_refused.then(|| source.fault(named.line, &format!("`{}` may not import `{module}`", source.top())))
    });
    named.collect()
}

fn crate_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, modules) in CRATES.iter().filter(|(_, modules)| !modules.contains(&source.top())) {
        let uses =
            source.named.iter().filter(|named| named.path[0] == *name && (named.is_import || named.path.len() > 1));
        let homes = modules.iter().map(|module| format!("`{module}`")).collect::<Vec<_>>().join(", ");
        let sentence = format!("`{}` may not name the crate {name}, which belongs to {homes}", source.top());
        faults.extend(uses.map(|named| source.fault(named.line, &sentence)));
    }
    faults
}

fn use_faults(source: &Source) -> Vec<String> {
    let why = "errors are values until the gRPC face makes a status of them";
    let statuses = STATUSES.map(|name| (format!("Status::{name}"), &["grpc"][..], why));
    let uses = USES.map(|(path, modules, why)| (path.to_owned(), modules, why));
    let mut faults = Vec::new();
    for (path, _, why) in uses.iter().chain(&statuses).filter(|(_, modules, _)| !modules.contains(&source.top())) {
        let wanted: Vec<&str> = path.split("::").collect();
        let names = source.named.iter().filter(|named| named.path.windows(wanted.len()).any(|part| part == wanted));
        let sentence = format!("`{}` may not use {path}: {why}", source.top());
        faults.extend(names.map(|named| source.fault(named.line, &sentence)));
    }
    faults
}

/// A word of a protocol in a line: of gRPC, of its library, or the name of an RPC. The names of our variables, of the
/// program, and of a member of Gemini's JSON contain one too.
fn protocol_word(line: &str) -> Option<&'static str> {
    let own = ["GEMINI_GRPC_", "gemini-grpc", "gemini_grpc", "\"generateContentRequest\""];
    let line = own.iter().fold(line.to_owned(), |line, name| line.replace(name, "")).to_lowercase();
    ["grpc", "tonic", "generatecontent"].into_iter().find(|word| line.contains(word))
}

/// The names of our variables in a text.
fn variables(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| is_variable(word)).collect()
}

fn is_variable(word: &str) -> bool {
    let rest = word.strip_prefix("GEMINI_GRPC_").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn refuse(faults: Vec<String>) {
    let mut message = String::new();
    for fault in &faults {
        writeln!(message, "  {fault}").unwrap();
    }
    assert!(faults.is_empty(), "these lines break a rule (docs/architecture.md, CONTRIBUTING.md):\n{message}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
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

/// The files of all modules. Those that are compiled for tests only are left out: a test may import more than its module.
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(parse_sources)
}

fn parse_sources() -> Vec<Source> {
    let parse = |path: PathBuf| Source::parse(&shown(&path), &fs::read_to_string(&path).unwrap());
    let all: Vec<Source> = rust_files(&root().join("src")).into_iter().map(parse).collect();
    let of_tests = all.iter().flat_map(|source| {
        let children = source.children.iter().filter(|(_, is_for_tests)| **is_for_tests);
        children.map(|(name, _)| [&source.module[..], std::slice::from_ref(name)].concat())
    });
    let of_tests: Vec<Vec<String>> = of_tests.collect();
    let is_ours = |source: &Source| {
        !["lib", "main"].contains(&source.top()) && !of_tests.iter().any(|module| source.module.starts_with(module))
    };
    all.into_iter().filter(is_ours).collect()
}
