//! Wordings that a reader has to think about, and what to write instead: in comments, texts and pages.

use std::fs;
use std::path::Path;

use proc_macro2::{Literal, TokenStream, TokenTree};

/// Wording → what to write instead.
const WORDINGS: [(&str, &str); 23] = [
    ("so many", "this many, or the number"),
    ("so much", "this much, or the amount"),
    ("so long", "this long, or the time"),
    ("told", "reported, returned, answered, or configured"),
    ("whoever", "every client that, or everyone who"),
    ("whomever", "every client that, or everyone who"),
    ("somebody", "a client, an operator, or someone"),
    ("nobody", "no client, no operator, or no one"),
    ("goes before", "takes precedence over"),
    ("go before", "take precedence over"),
    ("anew", "again"),
    ("once more", "again, or a retry"),
    ("further try", "retry"),
    ("further tries", "retries"),
    ("for ever", "forever"),
    ("lest", "so that … not"),
    ("hands over", "returns, or passes"),
    ("handed over", "returned, or passed"),
    ("hand over", "return, or pass"),
    ("strike out", "redact"),
    ("struck out", "redacted"),
    ("turned away", "refused, or rejected"),
    ("tell apart", "distinguish"),
];

/// Where pages, comments and texts are.
const FOLDERS: [&str; 9] = ["src", "tests", "benches", "examples", "clients", "docs", "helm", "proto", ".ci"];
const FILES: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "build.rs",
    "Cargo.toml",
    "Dockerfile",
    "tests/production/short",
];
const ENDINGS: [&str; 17] =
    ["rs", "md", "py", "proto", "yaml", "tpl", "txt", "sh", "go", "js", "gotmpl", "ts", "java", "kt", "cc", "rb", "cs"];
/// The table above, inputs for tests, and what tools write.
const SKIPPED: [&str; 6] =
    ["tests/architecture", "tests/golden", "tests/fuzz/corpus", "tests/chart/golden", "node_modules", "target"];

/// Every file that has words for readers, by its path below the root.
pub fn files(root: &Path) -> Vec<String> {
    let mut files: Vec<String> = FILES.map(str::to_owned).into();
    for folder in FOLDERS {
        collect(root, folder, &mut files);
    }
    files.retain(|name| root.join(name).exists());
    files
}

fn collect(root: &Path, folder: &str, files: &mut Vec<String>) {
    let mut names: Vec<_> = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{}", name.to_str().unwrap());
        if SKIPPED.iter().any(|skipped| path.starts_with(skipped) || path.ends_with(skipped)) {
            continue;
        }
        if root.join(&path).is_dir() {
            collect(root, &path, files);
        } else if ENDINGS.iter().any(|ending| path.ends_with(&format!(".{ending}"))) {
            files.push(path);
        }
    }
}

/// The wordings in one file: its line, the word, and what to write.
pub fn faults(name: &str, text: &str) -> Vec<String> {
    let lines = match name.ends_with(".rs") {
        true => comments_and_texts(text),
        false => text.lines().enumerate().map(|(i, line)| (i + 1, line.to_owned())).collect(),
    };
    let mut faults = Vec::new();
    for (line, text) in lines {
        // CONTRIBUTING.md has such a table too.
        if name == "CONTRIBUTING.md" && text.starts_with('|') {
            continue;
        }
        let text = text.to_lowercase();
        for (wording, instead) in WORDINGS.iter().filter(|(wording, _)| contains(&text, wording)) {
            faults.push(format!("{name}:{line}: {wording:?} → {instead}"));
        }
    }
    faults.dedup();
    faults
}

/// Whether a text has these words as whole words.
fn contains(text: &str, words: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + words.len()..].starts_with(is_part))
}

/// The comments and literals of a Rust file, by line. Code is left out: `else` is a word there.
fn comments_and_texts(text: &str) -> Vec<(usize, String)> {
    let mut literals = Vec::new();
    collect_literals(text.parse().unwrap(), &mut literals);
    let mut lines = Vec::new();
    let mut code = text.as_bytes().to_vec();
    for literal in literals {
        let span = literal.span();
        let literal_lines = text[span.byte_range()].lines().enumerate();
        lines.extend(literal_lines.map(|(i, line)| (span.start().line + i, line.to_owned())));
        code[span.byte_range()].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    let code = String::from_utf8_lossy(&code);
    let comments = code.lines().enumerate().filter_map(|(i, line)| Some((i + 1, line.split_once("//")?.1.to_owned())));
    lines.extend(comments);
    lines.sort();
    lines
}

fn collect_literals(tokens: TokenStream, literals: &mut Vec<Literal>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect_literals(group.stream(), literals),
            TokenTree::Literal(literal) => literals.push(literal),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}
