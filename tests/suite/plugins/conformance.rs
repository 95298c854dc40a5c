//! `msb plugin test`: what keeps to the contract passes, what breaks it fails the check that says
//! so, and nothing of the user's has a part in it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::{component, place};
use crate::cli::commands::assert_prints;
use crate::env::{Run, TestEnv};
use crate::tests;

pub(super) mod samples;

tests! {
    the_formats_that_ship_with_msb_pass;
    the_providers_that_ship_with_msb_pass;
    the_examples_pass_with_what_they_need;
    a_provider_that_passes_is_shown_check_by_check;
    a_program_reads_the_same;
    what_is_no_plugin_fails_and_nothing_else_is_tried;
    a_format_fails_where_it_breaks_the_rules;
    a_provider_fails_where_it_breaks_the_rules;
    a_failure_says_what_happened_in_which_case;
    nothing_of_the_user_is_touched_or_shown;
    a_test_that_is_interrupted_leaves_nothing;
    what_cannot_be_used_of_the_arguments_is_said;
    the_checks_in_the_documents_are_those_there_are;
}

const DOCUMENT: &str = include_str!("../../../docs/plugin-authors.md");

/// Tests a component with further arguments.
fn test(env: &TestEnv, name: &str, arguments: &[&str]) -> Run {
    let path = component(name);
    let fixed = ["plugin", "test", path.to_str().unwrap()];
    Run::of(&mut env.command(fixed.iter().chain(arguments)))
}

/// Returns the names of the checks that ended in a way, of a run that printed JSON.
fn ended(run: &Run, outcome: &str) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == outcome)
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Asserts that a component passes, and what was left out.
#[track_caller]
fn passes(env: &TestEnv, name: &str, arguments: &[&str], skipped: &[&str]) {
    let arguments = [&["--format", "json"], arguments].concat();
    let run = test(env, name, &arguments);
    assert_eq!(ended(&run, "failed"), names(&[]), "{name}: {run:#?}");
    assert_eq!(ended(&run, "skipped"), names(skipped), "{name}: {run:#?}");
    assert_eq!(run.code, Some(0), "{name}");
}

/// What takes an archive of the author's.
const OF_SAMPLES: [&str; 4] = ["made-layers", "samples", "samples-again", "samples-load"];
/// What takes a server, or a user who is talked to.
const OF_OTHERS: [&str; 3] = ["hostile-answers", "login", "slow-server"];

fn the_formats_that_ship_with_msb_pass() {
    let env = TestEnv::new();
    for name in ["docker-archive", "oci-layout"] {
        passes(&env, name, &[], &OF_SAMPLES);
    }
}

fn the_providers_that_ship_with_msb_pass() {
    let env = TestEnv::new();
    passes(&env, "keychain", &[], &OF_OTHERS);
    for name in ["env", "secret-file", "docker-config"] {
        passes(&env, name, &[], &[&OF_OTHERS[..], &["keeping"]].concat());
    }
}

fn the_examples_pass_with_what_they_need() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path("motd")).unwrap();
    let document = json!({
        "image-json": 1,
        "references": ["example.com/motd:1"],
        "config": {"architecture": "riscv64"},
        "layers": [
            [{"path": "motd", "text": "welcome\n"}, {"path": "data", "entry": "data"}],
            [{"path": "link", "symlink": "motd"}],
        ],
    });
    env.write("motd/image.json", document.to_string().as_bytes());
    env.write("motd/data", b"data");
    passes(
        &env,
        "image-json",
        &["--archive", "motd"],
        &[
            "golden-again",
            "golden-load",
            "write",
            "write-again",
            "write-none",
            "write-read",
        ],
    );
    // It holds the filesystem of one image, which comes back with everything that files can have.
    let without_images = ["golden-again", "golden-load"];
    let skipped = [&OF_SAMPLES[..], &without_images].concat();
    passes(&env, "rootfs", &[], &skipped);
    let settings = json!({
        "address": "https://127.0.0.1:8200",
        "registries": {"ghcr.io": "registries/ghcr"},
    });
    env.write("vault.json", settings.to_string().as_bytes());
    passes(
        &env,
        "vault",
        &["--settings", "vault.json"],
        &["keeping", "login"],
    );
    let settings = r#"{"helper":"pass"}"#;
    passes(
        &env,
        "credential-helper",
        &["--settings", settings],
        &OF_OTHERS,
    );
}

fn a_provider_that_passes_is_shown_check_by_check() {
    let env = TestEnv::new();
    let mut run = test(&env, "keychain", &[]);
    // How long it took stands behind.
    let end = run.stderr.find("skipped)").unwrap() + "skipped)".len();
    run.stderr.truncate(end);
    assert_prints(
        &env,
        &run,
        "exit 0
        --- stdout
        OUTCOME    CHECK                WHAT
        passed     component            credential provider, API 0.1.1, […] KiB, needs no WASI
        passed     imports              it can make use of keychain
        - msb:plugin/log@0.1.1
        - msb:plugin/secret@0.1.1
        - msb:plugin/types@0.1.1
        - msb:plugin/keychain@0.1.1
        passed     metadata             it states name, version, description, licenses
        passed     description          keychain (the credential store of the system), for *
        - asks for keychain=dev.microsandbox.registry
        passed     description-again    the same
        passed     description-alone    it uses no permission to describe itself
        passed     cache-cold           21 answers
        passed     cache-warm           the same answers
        passed     cache-broken         the same answers
        passed     ungranted            questions answered or refused without any grant: 20
        passed     denials              denied capabilities passed on: 20
        passed     requests             questions answered or refused: 84
        passed     username             questions for a user that there is not: 20
        passed     unclaimed            operations that it does not claim refused: 2
        passed     leaks                questions answered without a word of a secret: 80
        passed     answers-again        answers the same twice: 80
        passed     keeping              logins kept and forgotten: 2
        skipped    hostile-answers      it asks no server
        skipped    slow-server          it asks no server
        skipped    login                it does not log users in by talking to them
        --- stderr
        ✓ Tested       […]/keychain.wasm (17 passed, 3 skipped)",
    );
}

fn a_program_reads_the_same() {
    let env = TestEnv::new();
    let run = test(&env, "env", &["--format", "json"]);
    let mut report: Value = serde_json::from_str(&run.stdout).unwrap();
    let checks = report["checks"].take();
    let sha256 = report["sha256"].take();
    assert_eq!(
        report,
        json!({
            "file": component("env"),
            "kind": "credential",
            "provides": "env",
            "version": env!("CARGO_PKG_VERSION"),
            "api": "0.1.1",
            "sha256": null,
            "passed": 16,
            "failed": 0,
            "skipped": 4,
            "checks": null,
        })
    );
    assert!(sha256.as_str().unwrap().starts_with("sha256:"));
    let checks = checks.as_array().unwrap();
    assert_eq!(
        checks[3],
        json!({
            "name": "description",
            "outcome": "passed",
            "summary": "env (variables of the environment that are configured), for *",
            "details": ["asks for env=@configured"],
        })
    );
    assert_eq!(
        checks.last().unwrap(),
        &json!({
            "name": "login",
            "outcome": "skipped",
            "summary": "it does not log users in by talking to them",
            "details": [],
        })
    );
}

fn what_is_no_plugin_fails_and_nothing_else_is_tried() {
    let env = TestEnv::new();
    for (name, bytes, words) in [
        ("empty", &b""[..], "an empty file"),
        ("page", b"<html>", "a text, perhaps an error page"),
        ("module", b"\0asm\x01\0\0\0", "it is a core module"),
        (
            "package",
            b"\0asm\x0d\0\x01\0",
            "a package of interfaces (WIT)",
        ),
    ] {
        let file = format!("{name}.wasm");
        env.write(&file, bytes);
        let run = env
            .msb(&format!("plugin test {file}"))
            .failure(&[&format!("`{file}` failed 1 of 1 checks")]);
        let line = run.stdout.lines().nth(1).unwrap();
        assert!(line.starts_with("failed     component "), "{run:#?}");
        assert!(line.contains(words), "{run:#?}");
    }
}

/// Writes an archive whose first entry says what the guest does wrong.
fn deed(env: &TestEnv, name: &str) -> String {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    archive.append_data(&mut header, name, &b"x"[..]).unwrap();
    let file = format!("{name}.tar");
    env.write(&file, &archive.into_inner().unwrap());
    file
}

fn a_format_fails_where_it_breaks_the_rules() {
    let env = TestEnv::new();
    let deeds = [
        "escape",
        "layer-greedy",
        "layer-three",
        "out-of-range",
        "panic",
    ];
    let archives = deeds.map(|name| deed(&env, name));
    let mut arguments = vec!["--format", "json", "--keep", "kept"];
    for archive in &archives {
        arguments.extend(["--archive", archive]);
    }
    let run = test(&env, "misbehaving", &arguments);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    for (check, cases) in [
        (
            "foreign",
            &["an archive of sources: it claims to know it"][..],
        ),
        (
            "samples",
            &[
                "escape.tar: malformed: \u{1b}[2Jall is well",
                "out-of-range.tar: its answer is not valid: it points to entry 4000000000",
                "panic.tar: it crashed: panicked at ",
            ],
        ),
        (
            "made-layers",
            &["layer-greedy.tar, greedy (made by plugin "],
        ),
        ("samples-load", &["layer-three.tar: the configuration "]),
        ("hostile-bytes", &["panic.tar, cut off after "]),
        (
            "hostile-entries",
            &["panic.tar, panic twice, the second one empty: it crashed"],
        ),
        ("write-read", &["an image: it does not read what it wrote"]),
    ] {
        let found = report["checks"].as_array().unwrap().iter();
        let mut found = found.filter(|found| found["name"] == check);
        let found = found
            .next()
            .unwrap_or_else(|| panic!("no {check}: {run:#?}"));
        assert_eq!(found["outcome"], "failed", "{check}");
        let details = found["details"].as_array().unwrap();
        for case in cases {
            let told = |detail: &Value| detail.as_str().unwrap().starts_with(case);
            assert!(details.iter().any(told), "{case}: {details:#?}");
        }
    }
    assert_eq!(ended(&run, "failed").len(), 7, "{run:#?}");
    let kept = std::fs::read_dir(env.path("kept")).unwrap();
    let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    kept.sort();
    assert!(kept.len() >= 7, "{kept:?}");
    // What was kept is what it fails with.
    let file = kept
        .iter()
        .find(|path| path.to_str().unwrap().contains("hostile-entries"));
    let file = file.unwrap().to_str().unwrap();
    let run = test(
        &env,
        "misbehaving",
        &["--format", "json", "--archive", file],
    );
    assert!(ended(&run, "failed").contains("samples"), "{run:#?}");
}

fn a_provider_fails_where_it_breaks_the_rules() {
    let env = TestEnv::new();
    let reveal = &["--grant", "reveal"][..];
    let http = &["--grant", "http=https://misbehaving.example.com"][..];
    for (deed, arguments, failed) in [
        ("leak-log", reveal, &["leaks", "login"][..]),
        ("leak-error", reveal, &["leaks", "login"]),
        ("leak-hint", reveal, &["leaks", "login"]),
        ("leak-source", reveal, &["leaks", "login", "username"]),
        ("leak-entry", reveal, &["leaks"]),
        (
            "leak-panic",
            reveal,
            &["leaks", "login", "requests", "username"],
        ),
        ("swallow", &[], &["denials", "login", "username"]),
        ("anyone", &[], &["denials", "login", "username"]),
        ("odd", &[], &["requests"]),
        ("report", &[], &["unclaimed"]),
        ("forget", &[], &["keeping"]),
        (
            "count",
            &["--grant", "keychain=misbehaving"],
            &["answers-again", "denials", "login", "username"],
        ),
        ("echo", http, &["hostile-answers", "leaks", "login"]),
        ("insist", http, &["login", "slow-server", "username"]),
    ] {
        let settings = json!({"deed": deed}).to_string();
        let run = test(
            &env,
            "misbehaving-credentials",
            &[&["--format", "json", "--settings", &settings], arguments].concat(),
        );
        // It looks for a variable while it describes itself.
        let failed = names(&[&["description-alone"], failed].concat());
        assert_eq!(ended(&run, "failed"), failed, "{deed}: {run:#?}");
        assert_eq!(run.code, Some(1), "{deed}");
    }
    let run = test(&env, "misbehaving-credentials", &["--format", "json"]);
    let failed = names(&["description-alone", "leaks", "ungranted"]);
    assert_eq!(ended(&run, "failed"), failed, "{run:#?}");
}

fn a_failure_says_what_happened_in_which_case() {
    let env = TestEnv::new();
    let settings = r#"{"deed":"swallow"}"#;
    let run = test(&env, "misbehaving-credentials", &["--settings", settings])
        .failure(&["misbehaving-credentials.wasm` failed 4 of 17 checks"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let at = |start: &str| {
        let found = lines.iter().position(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start:?} in {run:#?}"))
    };
    let denials = at("failed     denials ");
    assert!(
        lines[denials]
            .ends_with("denied capabilities passed on: 0 of 3, and the rest was left out"),
        "{}",
        lines[denials]
    );
    assert_eq!(
        lines[denials + 1].trim(),
        "- docker.io: `env=MISBEHAVING_NAME` was denied, and it says `not-found`: nothing \
         reports it"
    );
    let username = at("failed     username ");
    assert_eq!(
        lines[username + 1].trim(),
        "- docker.io: `nobody-of-the-kit` is wanted, and it gives the login of `kit-user`"
    );
    let archive = deed(&env, "escape");
    let run = test(&env, "misbehaving", &["--archive", &archive]).failure(&[]);
    let said = "           - escape.tar: malformed: \\u{1b}[2Jall is well";
    assert!(run.stdout.lines().any(|line| line == said), "{run:#?}");
    assert!(!run.stdout.contains('\u{1b}'), "{run:#?}");
}

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
