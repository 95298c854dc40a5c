//! The modules of the library: `docs/architecture.md` says which of them uses which, and the code keeps
//! to it. Tests may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::tests;

tests! {
    every_module_uses_what_the_table_says;
    every_dependency_points_down;
    a_dependency_in_the_code_is_found;
}

const ARCHITECTURE: &str = include_str!("../../../docs/architecture.md");

/// A module, and those that it uses.
type Row = (String, BTreeSet<String>);

fn every_module_uses_what_the_table_says() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&sources) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(&sources).unwrap();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if is_source && path != Path::new("lib.rs") && !is_test(path) {
            let code = std::fs::read_to_string(entry.path()).unwrap();
            let module = path.with_extension("");
            let module = module.iter().next().unwrap().to_str().unwrap();
            let mut used = dependencies(&code);
            used.remove(module);
            found.entry(module.to_owned()).or_default().extend(used);
        }
    }
    let table: BTreeMap<String, BTreeSet<String>> = table().into_iter().collect();
    assert_eq!(found, table);
}

fn every_dependency_points_down() {
    let table = table();
    let mut above = BTreeSet::new();
    for (module, uses) in &table {
        above.insert(module);
        for used in uses {
            assert!(!above.contains(used), "{module} -> {used}");
        }
    }
}

fn a_dependency_in_the_code_is_found() {
    let code = "\
        use crate::digest::Digest;\n\
        // crate::comment\n\
        fn f() -> crate::store::Store { todo() }\n\
        #[cfg(test)]\n\
        mod tests {\n\
            use crate::image;\n\
        }\n";
    let found: Vec<_> = dependencies(code).into_iter().collect();
    assert_eq!(found, ["digest", "store"]);
}

fn table() -> Vec<Row> {
    let mut lines = ARCHITECTURE
        .lines()
        .skip_while(|line| !line.starts_with("| module "));
    lines.next();
    lines.next();
    let row = |line: &str| -> Row {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [module, _, _, uses] = cells[..] else {
            panic!("{line}");
        };
        let uses = uses.split(", ").filter(|used| *used != "none");
        let uses = uses.map(|used| used.trim_matches('`').to_owned());
        (module.trim_matches('`').to_owned(), uses.collect())
    };
    lines
        .take_while(|line| line.starts_with('|'))
        .map(row)
        .collect()
}

/// Returns whether a file has nothing but tests and what they need.
pub(super) fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    path.iter().any(|part| part == "tests")
        || name == "tests"
        || name == "fixtures"
        || name == "test_bench"
        || name.ends_with("_tests")
}

/// Returns the modules that code names outside of its tests.
fn dependencies(code: &str) -> BTreeSet<String> {
    let mut lines = code.lines().peekable();
    let mut found = BTreeSet::new();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        // Tests stand at the end of a file.
        if line == "#[cfg(test)]" && is_module(lines.clone()) {
            break;
        }
        if line.starts_with("//") {
            continue;
        }
        for (_, rest) in line
            .match_indices("crate::")
            .map(|(at, _)| line.split_at(at))
        {
            let rest = &rest["crate::".len()..];
            let end =
                rest.find(|character: char| !character.is_ascii_lowercase() && character != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(!rest.starts_with('{'), "one module a line: {line}");
            if !name.is_empty() {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Returns whether the next lines are those of a module with a body.
pub(super) fn is_module<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut lines = lines
        .map(str::trim_start)
        .skip_while(|line| line.starts_with("#[") || line.ends_with(")]") || !line.contains(' '));
    lines
        .next()
        .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
}
