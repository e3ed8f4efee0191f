//! Words that a stranger has to read twice, and what to write instead (CONTRIBUTING.md, "Words"). They are searched in
//! comments, in texts of the program, and in pages.

use std::fs;
use std::path::{Path, PathBuf};

/// A pattern, in small letters, and what to write instead. It begins and ends at the edge of a word.
const WORDS: [(&str, &str); 21] = [
    ("so many", "the number, or `this many`"),
    ("so much", "the amount, or `this much`"),
    ("told", "recorded, reported, asked, set"),
    ("whoever", "a client, a caller, an operator"),
    ("somebody", "a client, a caller, an operator, a person"),
    ("nobody", "no client, no caller, no operator, nothing"),
    ("goes before", "takes precedence over"),
    ("go before", "take precedence over"),
    ("further try", "retry"),
    ("further tries", "retries"),
    ("once more", "again, or retry"),
    ("for ever", "forever"),
    ("anew", "again"),
    ("lest", "so that … not"),
    ("hand over", "return, pass, give"),
    ("hands over", "returns, passes, gives"),
    ("handed over", "returned, passed, given"),
    ("strike out", "redact"),
    ("struck out", "redacted"),
    ("turned away", "refused, rejected"),
    ("tell apart", "distinguish"),
];

/// Where people read. Contents that only look like text (golden files, corpora) are left out.
const FOLDERS: [&str; 10] = [".ci", ".github", "benches", "docs", "examples", "helm", "proto", "src", "tests", "."];
const LEFT_OUT: [&str; 6] = ["target", "golden", "corpus", "node_modules", "words.rs", "Cargo.lock"];

/// Each place with such a word.
pub fn faults(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| files(&root.join(folder), *folder != ".")) {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        // A file that is not text is no page.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let lines = text.lines().enumerate().filter(|(_, line)| !is_in_the_table_of_words(&name, line));
        let found = lines.flat_map(|(i, line)| found(&prose(&name, line)).map(move |word| (i + 1, word)));
        faults.extend(found.map(|(line, (word, instead))| format!("{name}:{line}: {word:?}; write: {instead}")));
    }
    faults
}

/// The words that a text contains.
pub fn found(text: &str) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let words = text.to_lowercase();
    let words: Vec<&str> = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let words = format!(" {} ", words.join(" "));
    WORDS.into_iter().filter(move |(word, _)| words.contains(&format!(" {word} ")))
}

/// The part of a line that people read: all of it in pages, comments and texts in code.
fn prose(name: &str, line: &str) -> String {
    let extension = name.rsplit('.').next().unwrap_or_default();
    match extension {
        "md" | "gotmpl" | "txt" => line.to_owned(),
        "rs" | "go" | "java" | "js" | "ts" | "cc" | "proto" => comment(line, "//") + &quoted(line),
        _ => comment(line, "#") + &quoted(line),
    }
}

fn comment(line: &str, mark: &str) -> String {
    line.split_once(mark).map(|(_, comment)| comment.to_owned()).unwrap_or_default()
}

/// The insides of double quotes. A text over several lines is found by its first and last line.
fn quoted(line: &str) -> String {
    line.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" ")
}

/// CONTRIBUTING.md lists such words, in a table with two columns.
fn is_in_the_table_of_words(name: &str, line: &str) -> bool {
    name == "CONTRIBUTING.md" && line.starts_with('|')
}

fn files(folder: &Path, is_deep: bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if LEFT_OUT.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() && is_deep {
            found.append(&mut files(&path, true));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
