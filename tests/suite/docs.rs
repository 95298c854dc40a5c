//! The transcripts in the documents: each is run, and must print what it says.
//!
//! A transcript is a block marked `console`. A line after `$ ` is given to a shell in which `msb`
//! is the binary under test; the lines below it are what it prints, stdout and stderr together.
//! `[..]` stands for anything within a line. A file `app.tar`, an image of two layers called
//! `app:1`, is there from the start.

use std::process::Command;

use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;
use crate::tools;

tests! {
    transcripts_print_what_they_say;
    links_between_documents_lead_somewhere;
}

const DOCUMENTS: [(&str, &str); 4] = [
    ("README.md", include_str!("../../README.md")),
    (
        "docs/architecture.md",
        include_str!("../../docs/architecture.md"),
    ),
    (
        "docs/performance.md",
        include_str!("../../docs/performance.md"),
    ),
    ("docs/store.md", include_str!("../../docs/store.md")),
];

fn transcripts_print_what_they_say() {
    let mut commands = 0;
    for (name, text) in DOCUMENTS {
        let env = TestEnv::new();
        let image = Image::new(
            "app:1",
            &[
                "etc/\netc/hostname = app\nbin/sh -> busybox",
                "etc/.wh.hostname = \nsrv/app = hello",
            ],
        );
        env.write("app.tar", &image.docker());
        for block in text.split("```console\n").skip(1) {
            let block = block.split("```").next().unwrap();
            for step in block.split("$ ").skip(1) {
                let (command, expected) = step.split_once('\n').unwrap();
                let seen = shell(&env, command);
                assert!(
                    prints(&seen, expected),
                    "{name}: $ {command}\nprints:\n{seen}\nnot:\n{expected}"
                );
                commands += 1;
            }
        }
    }
    assert!(commands >= 6, "only {commands} commands are shown");
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
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn prints(seen: &str, expected: &str) -> bool {
    let (seen, expected) = (seen.trim_end(), expected.trim_end());
    seen.lines().count() == expected.lines().count()
        && seen.lines().zip(expected.lines()).all(|(seen, expected)| {
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
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
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
