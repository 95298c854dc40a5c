//! The transcripts in the documents: each is run, and must print what it says.
//!
//! A transcript is a block marked `console`. A line after `$ ` is given to a shell in which `msb`
//! is the binary under test; the lines below it are what it prints, stdout and stderr together.
//! Times and paths of the home may differ; `[..]` stands for anything within a line. A file `app.tar`, an image of two layers called
//! `app:1`, is there from the start, and so is a plugin, `my-provider.wasm`.

mod advice;
mod deeds;
mod hour;
mod modules;
mod names;
mod tables;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::plugins::component;
use crate::tests;
use crate::tools;

tests! {
    transcripts_print_what_they_say;
    links_between_documents_lead_somewhere;
}

/// Returns the tests of all documents.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [
        tests(),
        advice::tests(),
        deeds::tests(),
        hour::tests(),
        modules::tests(),
        names::tests(),
        tables::tests(),
    ];
    tests.into_iter().flatten().collect()
}

const COMPARISON: &str = include_str!("../../docs/comparison.md");

const CONVERSION: &str = include_str!("../../docs/conversion.md");

const AUTH: &str = include_str!("../../docs/auth.md");

const AUTHORS: &str = include_str!("../../docs/plugin-authors.md");

const PLUGINS: &str = include_str!("../../docs/plugins.md");

const REGISTRY: &str = include_str!("../../docs/registry.md");

const SECURITY: &str = include_str!("../../docs/SECURITY.md");

const DOCUMENTS: [(&str, &str); 21] = [
    ("README.md", include_str!("../../README.md")),
    (
        "docs/CONTRIBUTING.md",
        include_str!("../../docs/CONTRIBUTING.md"),
    ),
    ("docs/README.md", include_str!("../../docs/README.md")),
    ("docs/SECURITY.md", SECURITY),
    ("docs/STYLE.md", include_str!("../../docs/STYLE.md")),
    (
        "docs/architecture.md",
        include_str!("../../docs/architecture.md"),
    ),
    ("docs/auth.md", AUTH),
    ("docs/comparison.md", COMPARISON),
    (
        "docs/containerd.md",
        include_str!("../../docs/containerd.md"),
    ),
    ("docs/conversion.md", CONVERSION),
    ("docs/disks.md", include_str!("../../docs/disks.md")),
    (hour::NAME, hour::DOCUMENT),
    ("docs/hints.md", advice::HINTS),
    ("docs/json.md", crate::cli::scripts::DOCUMENT),
    (
        "docs/performance.md",
        include_str!("../../docs/performance.md"),
    ),
    (
        "docs/plugin-administrators.md",
        include_str!("../../docs/plugin-administrators.md"),
    ),
    ("docs/plugin-authors.md", AUTHORS),
    ("docs/plugins.md", PLUGINS),
    ("docs/registry.md", REGISTRY),
    (
        "docs/reliability.md",
        include_str!("../../docs/reliability.md"),
    ),
    ("docs/store.md", include_str!("../../docs/store.md")),
];

fn transcripts_print_what_they_say() {
    let mut commands = 0;
    let mut wrong = Vec::new();
    for (name, text) in DOCUMENTS {
        if name == hour::NAME {
            // It needs more than a shell, and is run by itself.
            continue;
        }
        let env = TestEnv::new();
        env.write("app.tar", &image().docker());
        let plugin = std::fs::read(component("env")).unwrap();
        env.write("my-provider.wasm", &plugin);
        commands += run_steps(name, text, &mut wrong, |line| shell(&env, line));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands >= 6, "only {commands} commands are shown");
}

/// The image that transcripts are about.
fn image() -> Image {
    Image::new(
        "app:1",
        &[
            "etc/\netc/hostname = app\nbin/sh -> busybox",
            "etc/.wh.hostname = \nsrv/app = hello",
        ],
    )
}

/// Gives each command of a document to `shell`, and returns how many there are. Those that print
/// something else than the document says are told in `wrong`.
fn run_steps(
    name: &str,
    text: &str,
    wrong: &mut Vec<String>,
    shell: impl Fn(&str) -> String,
) -> usize {
    let mut commands = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for step in block.split("$ ").skip(1) {
            let (command, expected) = step.split_once('\n').unwrap();
            let seen = shell(command);
            if !prints(&seen, expected) {
                wrong.push(format!(
                    "{name}: $ {command}\nprints:\n{seen}\nnot:\n{expected}"
                ));
            }
            commands += 1;
        }
    }
    commands
}

fn shell(env: &TestEnv, line: &str) -> String {
    let mut command = Command::new("sh");
    let path = format!(
        "{}:{}",
        tools::msb().parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = command
        .args(["-c", &format!("exec 2>&1; {line}")])
        .current_dir(env.path(""))
        .env_clear()
        .env("PATH", path)
        .env("MSB_HOME", env.home())
        .env("HOME", env.path("user-home"))
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.replace(env.home().to_str().unwrap(), "/home/ann/.microsandbox")
}

/// Returns lines with those about layers, which come as each is done, in the order of their names.
fn in_order(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.trim_end().lines().collect();
    let of_layers = lines
        .iter()
        .take_while(|line| line.starts_with("layer "))
        .count();
    lines[..of_layers].sort_by_key(|line| line.rsplit(' ').next());
    lines
}

/// Returns a text with the same times in it whenever it was printed: of how long something took, which
/// is only told of what took a while, and of when and how long ago it was.
fn with_fixed_times(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(line_with_fixed_times).collect();
    lines.join("\n")
}

/// Returns whether a text has digits where another has them, and is the same in all else.
fn is_like(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(one, other)| one == other || (other == b'0' && one.is_ascii_digit()))
}

fn line_with_fixed_times(line: &str) -> String {
    let mut fixed: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let bare = word.trim_matches(['(', ')']);
        let digits = bare.strip_suffix("ms").or_else(|| bare.strip_suffix('s'));
        let is_time = digits.is_some_and(|digits| digits.parse::<f64>().is_ok());
        if is_like(word, "0000-00-00") || is_like(word, "00:00:00") {
            fixed.push("0".to_owned());
            continue;
        }
        match is_time {
            true if word.starts_with('(') => continue,
            true => fixed.push("0.1s".to_owned()),
            false => fixed.push(word.to_owned()),
        }
        if let [.., number, unit, ago] = &mut fixed[..]
            && ago == "ago"
            && number.parse::<u64>().is_ok()
        {
            "2".clone_into(number);
            "years".clone_into(unit);
        }
    }
    fixed.join(" ")
}

fn prints(seen: &str, expected: &str) -> bool {
    let (seen, expected) = (with_fixed_times(seen), with_fixed_times(expected));
    let (seen, expected) = (in_order(&seen), in_order(&expected));
    seen.len() == expected.len()
        && seen.iter().zip(expected).all(|(seen, expected)| {
            let mut rest = seen.trim_end();
            let parts: Vec<&str> = expected.trim_end().split("[..]").collect();
            parts.iter().enumerate().all(|(number, part)| {
                let found = match number {
                    0 => rest.starts_with(part).then_some(0),
                    last if last + 1 == parts.len() => {
                        rest.ends_with(part).then(|| rest.len() - part.len())
                    }
                    _ => rest.find(part),
                };
                if let Some(position) = found {
                    rest = &rest[position + part.len()..];
                }
                found.is_some()
            }) && rest.is_empty()
        })
}

fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, text) in DOCUMENTS {
        let folder = root.join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            if !target.contains("://") && !target.starts_with('#') {
                let target = target.split('#').next().unwrap();
                assert!(folder.join(target).exists(), "{name} links to {target}");
            }
        }
    }
}

/// Returns the Rust sources below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.ends_with("target") {
            let entries = std::fs::read_dir(path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

/// Returns the names of functions in a cell: words between backquotes.
fn functions(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns the sources that tests are in.
pub(crate) fn all_sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    [
        "cli/src",
        "host/src",
        "host/erofs",
        "host/kit",
        "plugins",
        "tests",
    ]
    .iter()
    .map(|folder| sources(&root.join(folder)))
    .collect()
}

/// Returns the names of all functions.
pub(crate) fn defined(sources: &str) -> BTreeSet<&str> {
    sources
        .split("fn ")
        .filter_map(|rest| rest.split(|character: char| !is_of_name(character)).next())
        .collect()
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
