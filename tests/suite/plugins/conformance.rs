//! `msb plugin test`: what keeps to the contract passes, what breaks it fails the check that says
//! so, and nothing of the user's has a part in it.

mod failures;
mod runs;
pub(super) mod samples;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::component;
use crate::cli::commands::assert_prints;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    the_formats_that_ship_with_msb_pass;
    the_providers_that_ship_with_msb_pass;
    the_examples_pass_with_what_they_need;
    a_provider_that_passes_is_shown_check_by_check;
    a_program_reads_the_same;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), failures::tests(), runs::tests()];
    tests.into_iter().flatten().collect()
}

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
