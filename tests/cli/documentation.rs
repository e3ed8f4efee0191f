//! Checks the pages against the program: tables, shown output, examples, links and the names of tests.

use std::fs;
use std::path::Path;

use gemini_grpc::cli::configuration_table;
use gemini_grpc::sandbox::FAULTS;

use crate::support::{gemini_grpc, run, without_varying_words};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
}

/// The fenced blocks of a page in this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_configuration_table_matches_the_program() {
    let table = configuration_table();
    let is_there = page("docs/configuration.md").contains(&table);
    assert!(is_there, "docs/configuration.md should contain this table:\n{table}");
}

#[test]
fn every_fault_of_the_sandbox_is_documented() {
    let rows: String = FAULTS.iter().map(|(name, what)| format!("| `sandbox-{name}` | {what} |\n")).collect();
    assert!(page("docs/sandbox.md").contains(&rows), "docs/sandbox.md should contain these rows:\n{rows}");
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
    let mut lines = real.out.lines().map(without_varying_words);
    for line in shown.lines().map(without_varying_words).filter(|line| !line.is_empty()) {
        assert!(lines.any(|real| real == line), "README.md shows {line:?}, which the demo does not print there");
    }
}

#[test]
fn clients_shown_in_pages_match_the_examples() {
    const PROTOS: [&str; 2] =
        ["proto/mountsea/gemini/v1/generative_service.proto", "proto/mountsea/gemini/v1/model_service.proto"];
    for (shown_in, language, files) in
        [("README.md", "python", &["examples/python/google_client.py"][..]), ("README.md", "proto", &PROTOS[..])]
    {
        let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        // A page leaves out comments and blank lines, and shows the body of a function without its indentation.
        let is_code = |line: &String| !line.is_empty() && !line.starts_with("//");
        let examples: Vec<String> = files
            .iter()
            .map(|file| lines(&page(file)).into_iter().filter(is_code).collect::<Vec<_>>().join("\n"))
            .collect();
        let text = page(shown_in);
        let shown = blocks(&text, language);
        assert!(!shown.is_empty(), "{shown_in} shows no {language}");
        for block in shown {
            let code = lines(block).into_iter().filter(is_code).collect::<Vec<_>>().join("\n");
            assert!(examples.iter().any(|text| text.contains(&code)), "no file of {files:?} contains\n{block}");
        }
    }
}

/// Every page of the repository, as a path from its root.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_symlink() || [".git", "node_modules", "target"].contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The anchors that GitHub makes of a page's headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_points_to_an_existing_file_and_heading() {
    let pages = pages();
    assert!(pages.len() > 20 && pages.iter().any(|page| page == "tests/production/README.md"), "{pages:?}");
    for from in &pages {
        let text = page(from);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target =
                if file.is_empty() { root().join(from) } else { root().join(from).parent().unwrap().join(file) };
            assert!(target.exists(), "{from} links to {link}, which does not exist");
            if let Some(anchor) = anchor {
                let target = fs::read_to_string(&target).unwrap();
                assert!(anchors(&target).iter().any(|a| a == anchor), "{from} links to {link}: no such heading");
            }
        }
    }
}

/// Whether a name in the last column of docs/faults.md is that of a file, a test in `tests/gateway`, a fuzz target or a
/// module with unit tests.
fn is_tested_by(name: &str) -> bool {
    let is_there = |path: String| root().join(path).exists();
    if name.contains('/') {
        return is_there(name.to_owned());
    }
    if let Some((module, test)) = name.split_once("::")
        && is_there(format!("tests/gateway/{module}.rs"))
    {
        return missing(&format!("tests/gateway/{module}.rs::{test}")).is_none();
    }
    let module = format!("src/{}", name.replace("::", "/"));
    is_there(format!("tests/gateway/{name}.rs"))
        || is_there(format!("tests/fuzz/targets/{name}.rs"))
        || is_there(format!("{module}.rs"))
        || is_there(module)
}

#[test]
fn every_test_named_in_the_faults_page_exists() {
    let page = page("docs/faults.md");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !is_tested_by(name)).collect();
    assert!(missing.is_empty(), "docs/faults.md names what does not exist: {missing:?}");
}

/// The threats of a page: the name of each, and the tests in its last column.
fn threats(page: &str) -> Vec<(&str, Vec<&str>)> {
    let tables = page.split("| threat |").skip(1);
    let rows = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with("| ")));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim(), cells[cells.len() - 1].split('`').skip(1).step_by(2).collect())).collect()
}

/// Why `file::name` does not name a test, or `None` if it does.
fn missing(test: &str) -> Option<String> {
    let Some((file, name)) = test.split_once("::") else {
        return Some(format!("{test} is not of the form file::name"));
    };
    let Ok(text) = fs::read_to_string(root().join(file)) else { return Some(format!("{test}: there is no such file")) };
    // A test of JavaScript has a sentence as its name, and may be named by how that begins.
    let beginnings = [format!("fn {name}("), format!("def {name}("), format!("test('{name}"), format!("test(`{name}")];
    let is_there = beginnings.iter().any(|beginning| text.contains(beginning));
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
