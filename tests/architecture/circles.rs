//! Finds files of one module that import each other in a circle.
//!
//! What a file imports from its parent is followed to where the parent has it from. Items of the parent itself are no
//! edge, and neither is what a parent imports from its children: `mod.rs` declares them and may use them.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, absolute};

/// More re-exports behind one another than this would be a circle of their own.
const MAX_REEXPORTS: usize = 8;

type Module = [String];

pub fn faults(sources: &[Source]) -> Vec<String> {
    let files: BTreeMap<&Module, &Source> = sources.iter().map(|source| (&source.module[..], source)).collect();
    let imports: BTreeMap<&Module, BTreeSet<&Module>> =
        files.iter().map(|(module, source)| (*module, imports(source, &files))).collect();
    let mut faults: Vec<String> = Vec::new();
    let mut reported: BTreeSet<&Module> = BTreeSet::new();
    for (module, source) in &files {
        if reported.contains(module) {
            continue;
        }
        if let Some(circle) = shortest_circle(module, &imports) {
            let shown = circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" → ");
            faults.push(source.fault(1, &format!("these files import each other: {shown}")));
            reported.extend(circle);
        }
    }
    faults
}

/// The files of the same module that a file imports, without those above and below it.
fn imports<'s>(source: &'s Source, files: &BTreeMap<&'s Module, &'s Source>) -> BTreeSet<&'s Module> {
    let found = source.named.iter().filter_map(|named| {
        let file = file_of(named.absolute.clone()?, files, MAX_REEXPORTS)?;
        let is_related = file.starts_with(&source.module) || source.module.starts_with(file);
        (!is_related && file[0] == source.module[0]).then_some(file)
    });
    found.collect()
}

/// The file that defines what a path from the root names.
fn file_of<'s>(path: Vec<String>, files: &BTreeMap<&'s Module, &'s Source>, depth: usize) -> Option<&'s Module> {
    let (length, (module, source)) =
        (1..=path.len()).rev().find_map(|length| Some((length, files.get_key_value(&path[..length])?)))?;
    let imported = path.get(length).and_then(|name| source.imports.get(name));
    match imported.and_then(|imported| absolute(imported, module)) {
        Some(from) if depth > 0 => file_of(from, files, depth - 1),
        _ => Some(module),
    }
}

fn shortest_circle<'s>(
    start: &'s Module,
    imports: &BTreeMap<&'s Module, BTreeSet<&'s Module>>,
) -> Option<Vec<&'s Module>> {
    let mut paths = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in &imports[path[path.len() - 1]] {
                let path = [&path[..], &[*next]].concat();
                if *next == start {
                    return Some(path);
                }
                if seen.insert(*next) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}
