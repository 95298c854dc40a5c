//! A run of `msb plugin test` itself: what it touches, what it leaves, what it is told.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{ended, test};
use crate::env::{Run, TestEnv};
use crate::plugins::{component, place};
use crate::tests;

tests! {
    nothing_of_the_user_is_touched_or_shown;
    a_test_that_is_interrupted_leaves_nothing;
    what_cannot_be_used_of_the_arguments_is_said;
    the_checks_in_the_documents_are_those_there_are;
}

const DOCUMENT: &str = include_str!("../../../../docs/plugin-authors.md");

fn nothing_of_the_user_is_touched_or_shown() {
    let env = TestEnv::untouched();
    let folder = env.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    let docker = env.path("user-home/.docker");
    std::fs::create_dir_all(&docker).unwrap();
    let secret = "users-own-secret";
    std::fs::write(docker.join("config.json"), format!("{{{secret}")).unwrap();
    for (name, arguments) in [
        (
            "misbehaving-credentials",
            &[
                "--settings",
                r#"{"deed":"leak-error"}"#,
                "--grant",
                "reveal",
            ][..],
        ),
        ("docker-config", &[]),
    ] {
        let path = component(name);
        let fixed = ["plugin", "test", path.to_str().unwrap()];
        let run = Run::of(
            env.command(fixed.iter().chain(arguments))
                .env("TMPDIR", &folder)
                .env("MISBEHAVING_NAME", secret)
                .env("DOCKER_AUTH_CONFIG", secret)
                .env("HTTPS_PROXY", "http://127.0.0.1:1"),
        );
        assert!(run.stdout.contains("passed     answers-again"), "{run:#?}");
        assert!(!format!("{run:?}").contains(secret), "{run:#?}");
    }
    assert!(!env.home().exists(), "the home of msb was made");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn a_test_that_is_interrupted_leaves_nothing() {
    let env = TestEnv::new();
    let folder = env.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    let path = component("docker-archive");
    let mut child = env
        .command(["plugin", "test", "--info", path.to_str().unwrap()])
        .env("TMPDIR", &folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = stderr
        .by_ref()
        .any(|line| line.unwrap().contains("(golden)"));
    assert!(begun, "it never got to the archives");
    let number = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(number, rustix::process::Signal::INT).unwrap();
    let rest: Vec<String> = stderr.map(|line| line.unwrap()).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:#?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

fn what_cannot_be_used_of_the_arguments_is_said() {
    let env = TestEnv::new();
    place(&env, "env", "env.wasm");
    env.write("sample", b"{{secret}}");
    for (arguments, words) in [
        ("none.wasm", "could not read `none.wasm`"),
        ("env.wasm --archive none.tar", "could not read `none.tar`"),
        (
            "env.wasm --grant everything",
            "`everything` is not a permission",
        ),
        ("env.wasm --settings {", "--settings is not JSON"),
        (
            "env.wasm --settings none.json",
            "could not read `none.json`",
        ),
        (
            "env.wasm --env NAME",
            "`NAME` is not of the form NAME=VALUE",
        ),
        (
            "env.wasm --reply NAME",
            "`NAME` is not of the form QUESTION=ANSWER",
        ),
        (
            "env.wasm --file ~/a",
            "`~/a` is not of the form PATH=SAMPLE",
        ),
        (
            "env.wasm --file ../a=sample",
            "is not a path that a plugin reads",
        ),
    ] {
        env.msb(&format!("plugin test {arguments}"))
            .failure(&[words]);
    }
}

fn the_checks_in_the_documents_are_those_there_are() {
    let env = TestEnv::new();
    let mut there = BTreeSet::new();
    for name in ["docker-archive", "env"] {
        let run = test(&env, name, &["--format", "json"]);
        there.extend(ended(&run, "passed"));
        there.extend(ended(&run, "skipped"));
    }
    let (_, section) = DOCUMENT.split_once("\n## Testing a plugin\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<String> = rows
        .flat_map(|row| {
            let cell = row.split('|').nth(1).unwrap();
            cell.split('`').skip(1).step_by(2).map(str::to_owned)
        })
        .collect();
    assert_eq!(named, there);
}
