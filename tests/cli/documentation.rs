//! What README.md and docs/ say of the program, against the program.

use std::fs;
use std::path::Path;

use gemini_grpc::cli::configuration_table;
use gemini_grpc::sandbox::FAULTS;

use crate::support::{gemini_grpc, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
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
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| (format!("docs/{}", name.to_str().unwrap()), "docs/"));
    let at_top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|name| (name.to_owned(), ""));
    for (from, folder) in at_top.into_iter().chain(docs) {
        let text = page(&from);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = root().join(format!("{folder}{file}"));
            assert!(path.exists(), "{from} links to {link}, which is not there");
        }
    }
}

/// The threats of a page: a name, and what is said to try it.
fn threats(page: &str) -> Vec<(&str, Vec<&str>)> {
    let tables = page.split("| threat |").skip(1);
    let rows = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with("| ")));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim(), cells[cells.len() - 1].split('`').skip(1).step_by(2).collect())).collect()
}

/// Why `file::name` is no test, if it is none.
fn missing(test: &str) -> Option<String> {
    let Some((file, name)) = test.split_once("::") else {
        return Some(format!("{test} is not of the form file::name"));
    };
    let Ok(text) = fs::read_to_string(root().join(file)) else { return Some(format!("{test}: there is no such file")) };
    let is_there = ["fn", "def"].iter().any(|word| text.contains(&format!("{word} {name}(")));
    (!is_there).then(|| format!("{file} has no test {name}"))
}

#[test]
fn every_threat_names_tests_that_exist() {
    let page = page("docs/security.md");
    let threats = threats(&page);
    assert!(threats.len() > 30, "{threats:?}");
    let without = threats.iter().filter(|(_, tests)| tests.is_empty()).map(|(threat, _)| format!("no test: {threat}"));
    let missing = threats.iter().flat_map(|(_, tests)| tests).filter_map(|test| missing(test));
    let faults: Vec<String> = without.chain(missing).collect();
    assert!(faults.is_empty(), "docs/security.md:\n{}", faults.join("\n"));
}
