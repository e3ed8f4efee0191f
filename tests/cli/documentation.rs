//! What README.md and docs/ say of the program, against the program.

use std::fs;
use std::path::Path;

use gemini_grpc::cli::configuration_table;
use gemini_grpc::sandbox::FAULTS;

use crate::support::{gemini_grpc, run};

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
}

/// The fenced blocks of a page in that language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_configuration_table_is_the_one_of_the_program() {
    let table = configuration_table();
    let held = page("docs/configuration.md").contains(&table);
    assert!(held, "docs/configuration.md should hold this table:\n{table}");
}

#[test]
fn every_fault_of_the_sandbox_is_documented() {
    let rows: String = FAULTS.iter().map(|(name, what)| format!("| `sandbox-{name}` | {what} |\n")).collect();
    assert!(page("docs/sandbox.md").contains(&rows), "docs/sandbox.md should hold these rows:\n{rows}");
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = gemini_grpc(["demo"]);
    command.current_dir(&folder);
    let real = run(command);
    assert_eq!(real.code, Some(0), "{}", real.err);
    let readme = page("README.md");
    let shown = *blocks(&readme, "text").iter().find(|block| block.contains("Sandbox at ")).expect("the demo is shown");
    let mut lines = real.out.lines().map(fixed);
    for line in shown.lines().map(fixed).filter(|line| !line.is_empty()) {
        assert!(lines.any(|real| real == line), "README.md shows {line:?}, which the demo does not print there");
    }
}

/// A line without what differs from run to run: ports, times and request ids.
fn fixed(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches(',');
        let time = bare.ends_with('s') && bare.starts_with(|c: char| c.is_ascii_digit());
        let id = bare.len() == 36 && bare.matches('-').count() == 4;
        match word.split_once("127.0.0.1:") {
            Some((before, _)) => format!("{before}ADDRESS"),
            None if time || id => "…".to_owned(),
            None => word.to_owned(),
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_clients_in_the_readme_are_those_in_examples() {
    let readme = page("README.md");
    for (language, files) in [
        ("python", &["examples/python/google_client.py", "examples/python/contract_client.py"][..]),
        ("go", &["examples/go/contract/main.go", "examples/go/google/main.go"]),
    ] {
        // A part of a function stands further to the left in the page.
        let flush = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let examples: Vec<String> = files.iter().map(|file| flush(&page(file))).collect();
        let shown = blocks(&readme, language);
        assert!(!shown.is_empty(), "README.md shows no {language}");
        for block in shown {
            assert!(examples.iter().any(|text| text.contains(&flush(block))), "no file of {files:?} holds\n{block}");
        }
    }
}

#[test]
fn every_link_in_the_pages_leads_to_a_file() {
    for (from, folder) in [
        ("README.md", ""),
        ("CONTRIBUTING.md", ""),
        ("CHANGELOG.md", ""),
        ("docs/architecture.md", "docs/"),
        ("docs/callers.md", "docs/"),
        ("docs/errors.md", "docs/"),
        ("docs/models.md", "docs/"),
        ("docs/operations.md", "docs/"),
        ("docs/sandbox.md", "docs/"),
    ] {
        let text = page(from);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{folder}{file}"));
            assert!(path.exists(), "{from} links to {link}, which is not there");
        }
    }
}
