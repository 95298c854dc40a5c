//! That each hint that msb prints has a row in `docs/hints.md`, with a test that says some of its
//! words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{all_sources, defined, functions};
use crate::tests;

tests! {
    every_hint_has_its_row_and_its_test;
    texts_are_found_in_sources;
    words_of_a_test_are_found_in_sources;
}

pub(crate) const HINTS: &str = include_str!("../../../docs/hints.md");

/// What stands beside the hints and is none.
const NOT_HINTS: [&str; 1] = ["no credentials for … in …"];

/// Where hints are given with a method of that name, beside the files that have nothing else.
const CALL: &str = ".hint(";

fn every_hint_has_its_row_and_its_test() {
    let mut rows = BTreeMap::new();
    for line in HINTS.lines().filter(|line| line.starts_with("| ")) {
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect();
        let [hint, tests] = cells.as_slice() else {
            panic!("{line}");
        };
        if hint != "Hint" {
            assert!(rows.insert(hint.clone(), tests.clone()).is_none(), "{hint}");
        }
    }
    let hints = hints();
    assert!(hints.len() > 80, "only {} hints", hints.len());
    let listed: BTreeSet<String> = rows.keys().cloned().collect();
    let missing: Vec<&String> = hints.difference(&listed).collect();
    assert!(missing.is_empty(), "without a row: {missing:#?}");
    let gone: Vec<&String> = listed.difference(&hints).collect();
    assert!(gone.is_empty(), "no hint any more: {gone:#?}");
    let sources = all_sources();
    let defined = defined(&sources);
    let mut unsaid = Vec::new();
    for (hint, tests) in rows {
        assert!(tests.contains('`'), "no test of: {hint}");
        let mut is_said = false;
        for test in functions(&tests) {
            assert!(defined.contains(test), "no `fn {test}`: {hint}");
            let words = words(&sources, test);
            is_said |= parts(&hint).iter().any(|part| words.contains(part));
        }
        if !is_said {
            unsaid.push(hint);
        }
    }
    assert!(unsaid.is_empty(), "not in the test of its row: {unsaid:#?}");
}

/// Returns the parts of a hint of which its test must have one: so many characters in a row, or all
/// that there are between two values.
fn parts(hint: &str) -> BTreeSet<String> {
    const ENOUGH: usize = 12;
    let between: Vec<Vec<char>> = hint.split('…').map(|it| it.chars().collect()).collect();
    let longest = between.iter().map(Vec::len).max().unwrap_or(0);
    let windows = between
        .iter()
        .flat_map(|it| it.windows(longest.clamp(1, ENOUGH)));
    windows.map(|window| window.iter().collect()).collect()
}

/// Returns all texts in the functions of a name, and in the constants that they use.
fn words(sources: &str, name: &str) -> String {
    let mut words = String::new();
    for body in bodies(sources, &format!("fn {name}(")) {
        words += &literals(body).join("\n");
        let is_constant = |word: &&str| {
            word.len() > 1 && word.bytes().all(|it| it.is_ascii_uppercase() || it == b'_')
        };
        let names = body.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        for constant in names.filter(is_constant) {
            for definition in sources.split(&format!("const {constant}: &str")).skip(1) {
                words.extend(literals(definition.split(";\n").next().unwrap()));
            }
        }
    }
    words.replace("{{", "{").replace("}}", "}")
}

/// Returns the functions that begin like this, each up to the brace in the column where it begins.
fn bodies<'a>(sources: &'a str, head: &str) -> Vec<&'a str> {
    let at_heads = sources.match_indices(head);
    let body = |at: usize| {
        let line = sources[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let column = sources[line..].len() - sources[line..].trim_start().len();
        let end = format!("\n{}}}\n", " ".repeat(column));
        let from = &sources[line..];
        from.find(&end).map_or(from, |end| &from[..end])
    };
    at_heads.map(|(at, _)| body(at)).collect()
}

/// Returns all hints of msb and of the plugins that ship with it, with what is filled in left out.
fn hints() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut hints = BTreeSet::new();
    for file in files(&[root.join("cli/src"), root.join("plugins")]) {
        let path = file
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let is_ours = path.starts_with("cli/")
            || ["keychain", "env", "secret-file", "docker-config"]
                .iter()
                .any(|name| path.starts_with(&format!("plugins/{name}/src")));
        // Unit tests that have a file of their own.
        if !is_ours || file.ends_with("tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        if path.starts_with("cli/src/hints") {
            let texts = literals(source)
                .into_iter()
                .filter(|text| is_sentence(text));
            hints.extend(texts.map(|text| without_values(&text)));
        } else {
            for call in source.split(CALL).skip(1) {
                let call = call
                    .trim_start()
                    .trim_start_matches("format!(")
                    .trim_start();
                if call.starts_with('"') {
                    let first = literals(call).into_iter().next();
                    hints.extend(first.map(|text| without_values(&text)));
                }
            }
        }
    }
    for text in NOT_HINTS {
        assert!(hints.remove(text), "{text} is not there any more");
    }
    hints
}

fn files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = folders.to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.ends_with("target") {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

fn is_sentence(text: &str) -> bool {
    text.len() >= 12 && text.contains(' ')
}

/// Returns the texts in a source, as they are printed but for what is filled in.
fn literals(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let from = &rest[at..];
        if from.starts_with("//") {
            rest = from.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(quoted) = from.strip_prefix('"') {
            let raw = rest[..at].ends_with("r#");
            let (text, length) = if raw {
                let end = quoted.find("\"#").unwrap();
                (quoted[..end].to_owned(), end)
            } else {
                unescaped(quoted)
            };
            texts.push(text);
            rest = &quoted[length + 1..];
        } else if let Some(character) = from.strip_prefix('\'') {
            // A character, or the name of a lifetime.
            let length = match character.strip_prefix('\\') {
                Some(escaped) => escaped[1..].find('\'').map(|end| end + 3),
                None => character
                    .chars()
                    .next()
                    .filter(|it| character[it.len_utf8()..].starts_with('\''))
                    .map(|it| it.len_utf8() + 1),
            };
            rest = &character[length.unwrap_or(0)..];
        } else {
            rest = &from[1..];
        }
    }
    texts
}

/// Returns a text up to its closing quote, and how long it is in the source.
fn unescaped(quoted: &str) -> (String, usize) {
    let mut text = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (text, at),
            '\\' => match characters.next() {
                Some((_, '\n')) => {
                    while characters.next_if(|(_, it)| it.is_whitespace()).is_some() {}
                }
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    (text, quoted.len())
}

/// Returns a format without what is filled in: `{name}` is `…`, and `{{` is `{`.
fn without_values(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let from = &rest[at..];
        if from.starts_with("{{") || from.starts_with("}}") {
            text.push_str(&from[..1]);
            rest = &from[2..];
        } else {
            text.push('…');
            rest = from.split_once('}').map_or("", |(_, rest)| rest);
        }
    }
    (text + rest).trim().to_owned()
}

fn texts_are_found_in_sources() {
    let source = r#"
        // "not this"
        let a: &'static str = "one {name} and {{two}}";
        let b = ['"', '\'', '{'];
        let c = "a long \
                 text with \"quotes\"";
    "#
    .to_owned()
        + "let d = r#\"raw \"text\"\"#;";
    let texts: Vec<String> = literals(&source)
        .iter()
        .map(|text| without_values(text))
        .collect();
    let expected = [
        "one … and {two}",
        "a long text with \"quotes\"",
        "raw \"text\"",
    ];
    assert_eq!(texts, expected);
}

fn words_of_a_test_are_found_in_sources() {
    let source = "
const WORDS: &str = \"from a constant\";
mod tests {
    fn first() {
        says(\"of the first\", WORDS, format!(\"{{}}\"));
    }

    fn second() {
        says(\"of the second\");
    }
}
";
    let first = words(source, "first");
    assert!(first.contains("of the first") && first.contains("from a constant"));
    assert!(first.contains("{}") && !first.contains("second"));
    assert!(words(source, "second").contains("of the second"));
    let listed: Vec<String> = parts("be quick: …").into_iter().collect();
    assert_eq!(listed, ["be quick: "]);
    assert!(parts("a…choose another one").contains("choose anoth"));
}
