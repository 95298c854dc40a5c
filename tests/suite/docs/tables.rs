//! The tables of the documents: each row has a test, and each test that belongs there a row.

use std::collections::BTreeSet;
use std::path::Path;

use super::{
    AUTH, AUTHORS, COMPARISON, CONVERSION, PLUGINS, REGISTRY, SECURITY, all_sources, defined,
    functions,
};
use crate::tests;

tests! {
    every_case_of_conversion_has_its_row_and_its_test;
    every_fault_of_registries_has_its_row_and_its_test;
    every_case_of_credentials_has_its_row_and_its_test;
    every_refusal_has_its_reason_and_its_test;
    every_function_of_the_contract_has_its_row;
    every_claim_about_hostile_plugins_has_its_test;
    every_claim_of_the_security_policy_has_its_test;
    every_row_of_the_comparison_has_its_test;
}

fn every_case_of_conversion_has_its_row_and_its_test() {
    let sources = all_sources();
    let defined = defined(&sources);
    let mut numbers = Vec::new();
    let mut named = BTreeSet::new();
    let mut has_tests = false;
    for line in CONVERSION.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if !line.starts_with('|') || line.starts_with("|---") {
            continue;
        }
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else {
            continue;
        };
        // The head of a table says whether its last column names tests.
        if let Some("Test" | "Tests" | "Why") = cells.last().copied() {
            has_tests = *last == "Test";
            continue;
        }
        if !has_tests {
            continue;
        }
        assert!(last.contains('`'), "no test in: {line}");
        for function in functions(last) {
            assert!(defined.contains(function), "no `fn {function}`: {line}");
            named.insert(function);
        }
        if let Ok(number) = first.parse::<usize>() {
            let own = format!("case_{number:02}_");
            assert!(last.contains(&own), "no test of its own: {line}");
            numbers.push(number);
        }
    }
    assert_eq!(numbers, (1..=97).collect::<Vec<_>>());
    let of_credentials: BTreeSet<&str> = functions(AUTH).collect();
    let cases = defined.iter().filter(|name| name.starts_with("case_"));
    for case in cases {
        let is_in_a_row = named.contains(case) || of_credentials.contains(case);
        assert!(is_in_a_row, "{case} is in no row");
    }
}

fn every_fault_of_registries_has_its_row_and_its_test() {
    let (_, section) = REGISTRY.split_once("\n## Faults\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| Test |"));
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(cells[2].contains('`'), "no test in: {row}");
        named.extend(functions(cells[2]));
    }
    let tests = crate::pull::faults::all();
    let defined: BTreeSet<&str> = tests
        .iter()
        .filter_map(|test| test.name.rsplit("::").next())
        .collect();
    assert_eq!(named, defined);
}

fn every_case_of_credentials_has_its_row_and_its_test() {
    let sources = all_sources();
    let defined = defined(&sources);
    let (_, section) = AUTH.split_once("\n## Cases\n").unwrap();
    let mut numbers = Vec::new();
    let mut named = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let Ok(number) = cells[0].parse::<usize>() else {
            continue;
        };
        numbers.push(number);
        assert!(cells[3].contains('`'), "no test in: {row}");
        for function in functions(cells[3]) {
            assert!(defined.contains(function), "no `fn {function}`: {row}");
            named.insert(function);
        }
    }
    assert_eq!(numbers, (1..=85).collect::<Vec<_>>());
    assert!(named.len() > 85, "{}", named.len());
}

/// The documents with a table of what msb refuses, beside what others do with the same input, and
/// how many rows each has at least.
const REFUSALS: [(&str, &str, usize); 2] = [
    ("docs/conversion.md", CONVERSION, 30),
    ("docs/registry.md", REGISTRY, 20),
];

/// The columns of those tables.
const REFUSAL_COLUMNS: [&str; 6] = [
    "Refusal",
    "docker",
    "podman",
    "containerd",
    "msb, and why",
    "Test",
];

fn every_refusal_has_its_reason_and_its_test() {
    let sources = all_sources();
    let defined = defined(&sources);
    for (name, text, expected) in REFUSALS {
        let (_, section) = text
            .split_once("\n## What msb refuses, and why\n")
            .unwrap_or_else(|| panic!("{name} has no section on refusals"));
        let section = section.split("\n## ").next().unwrap();
        let mut rows = 0;
        for row in section.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), REFUSAL_COLUMNS.len(), "{name}: {row}");
            if cells[0] == REFUSAL_COLUMNS[0] {
                assert_eq!(cells, REFUSAL_COLUMNS, "{name}");
                continue;
            }
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{name}: {row}");
            assert!(
                cells[4].contains(": ") || cells[4].contains("; ") || cells[4].contains(", "),
                "{name}: no reason in: {row}"
            );
            let tests: Vec<&str> = functions(cells[5]).collect();
            assert!(!tests.is_empty(), "{name}: no test in: {row}");
            for test in tests {
                assert!(defined.contains(test), "{name}: no `fn {test}`: {row}");
            }
            rows += 1;
        }
        assert!(rows >= expected, "{name}: only {rows} rows");
    }
}

/// The rows of the reference, against the files of the contract.
fn every_claim_about_hostile_plugins_has_its_test() {
    let (_, section) = PLUGINS
        .split_once("\n## What a malicious plugin can do, and what it cannot\n")
        .unwrap();
    assert!(claims(section) >= 13);
}

fn every_claim_of_the_security_policy_has_its_test() {
    assert!(claims(SECURITY) >= 20);
}

/// All rows, but for those about what msb does not do.
fn every_row_of_the_comparison_has_its_test() {
    let sources = all_sources();
    let defined = defined(&sources);
    let rows = COMPARISON.lines().filter(|line| line.starts_with("| "));
    let mut shown = 0;
    for row in rows.skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 9, "{row}");
        let tests: Vec<&str> = functions(cells[8]).collect();
        assert!(!tests.is_empty() || cells[1] == "no", "no test in: {row}");
        for test in &tests {
            assert!(defined.contains(test), "no `fn {test}`: {row}");
        }
        shown += usize::from(!tests.is_empty());
    }
    assert!(shown >= 15);
}

/// Counts the rows of tables that end with a column of tests, after a look whether these exist.
fn claims(document: &str) -> usize {
    let sources = all_sources();
    let defined = defined(&sources);
    let mut rows = 0;
    for row in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        if cells[2] == "Tests" {
            continue;
        }
        let mut tests = functions(cells[2]).peekable();
        assert!(tests.peek().is_some(), "no test in: {row}");
        for test in tests {
            assert!(defined.contains(test), "no `fn {test}`: {row}");
        }
        rows += 1;
    }
    rows
}

fn every_function_of_the_contract_has_its_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut functions = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let (mut interface, mut resource) = ("", "");
        for line in text.lines().map(str::trim_start) {
            let named = |keyword: &str| line.strip_prefix(keyword)?.strip_suffix(" {");
            if let Some(name) = named("interface ") {
                (interface, resource) = (name, "");
            } else if let Some(name) = named("resource ") {
                resource = name;
                functions.insert(format!("{interface}.[constructor]{name}"));
            } else if let Some((name, _)) = line.split_once(": func(") {
                let name = name.trim_start_matches('%');
                functions.insert(match resource {
                    "" => format!("{interface}.{name}"),
                    resource => format!("{interface}.[method]{resource}.{name}"),
                });
            } else if line == "}" {
                resource = "";
            }
        }
    }
    let rows = AUTHORS
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    let rows: BTreeSet<String> = rows
        .filter(|row| row.contains('.') && !row.contains('/') && !row.contains('='))
        .map(str::to_owned)
        .collect();
    assert!(functions.len() > 30, "{functions:?}");
    assert_eq!(rows, functions);
}
