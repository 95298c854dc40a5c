//! msb and microsandbox in one home, with the code of microsandbox itself: `cargo xtask incumbent`
//! builds it, says where it is, and runs these tests. What decides is tested without it in
//! `sandboxes`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_home_that_msb_used_first_serves_microsandbox;
    a_home_that_microsandbox_used_first_serves_msb;
}

/// Returns the program that does to a home what microsandbox does, where it was built.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("MSB_INCUMBENT").map(PathBuf::from)
}

/// Runs microsandbox on the home of msb.
fn theirs(env: &TestEnv, line: &str) -> Run {
    let mut command = Command::new(program().unwrap());
    command
        .arg(env.home())
        .args(line.split_whitespace())
        .current_dir(env.path(""))
        .env_clear()
        .env("HOME", env.path("user-home"))
        .env("MSB_HOME", env.home())
        .stdin(Stdio::null());
    Run::of(&mut command)
}

/// Returns the names that microsandbox has for images, sorted.
fn their_references(env: &TestEnv) -> Vec<String> {
    let mut names: Vec<String> = theirs(env, "list")
        .success()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn images() -> [Image; 3] {
    let base = "etc/\netc/base = base";
    [
        Image::new("ours:1", &[base, "etc/own = ours"]),
        Image::new("theirs:1", &[base, "etc/own = theirs"]),
        Image::new("shared:1", &[base, "etc/own = shared"]),
    ]
}

/// Names in an archive, which microsandbox keeps as they are.
const THEIRS: [&str; 2] = ["shared:1", "theirs:1"];

fn msb_loads(env: &TestEnv) {
    for name in ["ours", "shared"] {
        env.msb(&format!("load -q -i {name}.tar")).success();
    }
}

fn they_load(env: &TestEnv) {
    for name in ["theirs", "shared"] {
        theirs(env, &format!("load {name}.tar")).success();
    }
}

fn home() -> TestEnv {
    let env = TestEnv::untouched();
    for image in images() {
        let name = image.name.clone().unwrap();
        env.write(&name.replace(":1", ".tar"), &image.docker());
    }
    env
}

/// Asserts that microsandbox can give all of its images back.
fn assert_theirs_are_whole(env: &TestEnv) {
    assert_eq!(their_references(env), THEIRS);
    let other = TestEnv::new();
    for reference in THEIRS {
        let saved = other.path("saved.tar");
        theirs(env, &format!("save {reference} {}", saved.display())).success();
        other.msb("load -q -i saved.tar").success();
        std::fs::remove_file(saved).unwrap();
    }
    assert_eq!(other.references(), ["shared:1", "theirs:1"]);
}

#[track_caller]
fn assert_ours_are_whole(env: &TestEnv) {
    assert_eq!(env.references(), ["ours:1", "shared:1"]);
    env.msb("image verify").success();
    for image in images()
        .iter()
        .filter(|it| it.name.as_deref() != Some("theirs:1"))
    {
        let name = image.name.as_deref().unwrap();
        let shown = env.json(&format!("image inspect {name} --format json"));
        assert_eq!(shown["id"], image.id());
        env.msb(&format!("save -q -o saved.tar {name}")).success();
    }
}

/// What holds once both have used the home, whichever came first.
fn both_go_on(env: &TestEnv) {
    assert_ours_are_whole(env);
    assert_theirs_are_whole(env);
    env.msb("image prune --yes").success();
    assert_eq!(env.references(), [] as [String; 0]);
    assert_theirs_are_whole(env);
    msb_loads(env);
    assert_ours_are_whole(env);
    for reference in THEIRS {
        theirs(env, &format!("remove {reference}")).success();
    }
    theirs(env, "prune").success();
    assert_eq!(their_references(env), [] as [String; 0]);
    // They may have taken files of layers along: those are absent, and made again.
    msb_loads(env);
    assert_ours_are_whole(env);
    they_load(env);
    assert_theirs_are_whole(env);
}

fn a_home_that_msb_used_first_serves_microsandbox() {
    let env = home();
    msb_loads(&env);
    they_load(&env);
    both_go_on(&env);
}

fn a_home_that_microsandbox_used_first_serves_msb() {
    let env = home();
    they_load(&env);
    msb_loads(&env);
    both_go_on(&env);
}
