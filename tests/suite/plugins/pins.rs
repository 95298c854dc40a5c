//! What the lock pins, and what happens to bytes that are not those of the lock.

use super::{component, components, lock, other_bytes, place, row};
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    other_bytes_at_the_same_source_are_refused_until_an_update;
    an_update_that_asks_for_more_is_agreed_to_anew_and_else_the_old_one_stays;
    a_component_that_was_changed_on_disk_is_never_run;
    a_lock_that_was_garbled_is_named_and_not_overwritten;
    with_locked_nothing_is_installed_that_the_lock_does_not_have;
    what_the_lock_has_is_installed_elsewhere_with_the_same_grants;
}

fn other_bytes_at_the_same_source_are_refused_until_an_update() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    let install = format!("plugin install {}", path.display());
    env.msb(&install).success();
    let before = lock(&env);
    let bytes = other_bytes(&std::fs::read(&path).unwrap());
    std::fs::write(&path, &bytes).unwrap();
    env.msb(&install)
        .failure(&["other bytes", "msb plugin update made"]);
    assert_eq!(lock(&env), before);
    let check = env.msb("plugin update --check");
    assert_eq!(check.code, Some(10), "{check:?}");
    assert!(check.stdout.contains("made: "), "{check:?}");
    assert_eq!(lock(&env), before);
    env.msb("plugin update made").success();
    assert_ne!(lock(&env), before);
    env.msb("plugin verify").success();
    assert_eq!(components(&env).len(), 1, "the old one is gone");
}

fn an_update_that_asks_for_more_is_agreed_to_anew_and_else_the_old_one_stays() {
    let env = TestEnv::new();
    let path = place(&env, "env", "mine.wasm");
    env.msb(&format!("plugin install {} --yes", path.display()))
        .success();
    let before = lock(&env);
    std::fs::copy(component("vault"), &path).unwrap();
    env.msb("plugin update mine").failure(&[
        "is more than you have agreed to",
        "http=",
        "msb plugin update mine --yes --grant",
    ]);
    assert_eq!(lock(&env), before);
    env.msb("plugin verify").success();
    env.msb("plugin update mine --yes").success();
    assert_eq!(row(&env, "mine")["provides"], "vault");
    std::fs::copy(component("env"), &path).unwrap();
    env.msb("plugin update mine")
        .failure(&["it takes the place of env"]);
}

fn a_component_that_was_changed_on_disk_is_never_run() {
    let env = TestEnv::new();
    env.msb(&format!(
        "plugin install {}",
        component("image-json").display()
    ))
    .success();
    let files = components(&env);
    std::fs::write(&files[0], other_bytes(&std::fs::read(&files[0]).unwrap())).unwrap();
    env.msb("plugin verify")
        .failure(&["was changed", "1 of 1 plugins are damaged"]);
    let archive = env.write("x.tar", &[0; 1024]);
    let run = env.msb(&format!("load -i {}", archive.display()));
    assert_eq!(run.code, Some(1), "{run:?}");
    env.msb("plugin install --locked").success();
    env.msb("plugin verify").success();
}

fn a_lock_that_was_garbled_is_named_and_not_overwritten() {
    let env = TestEnv::new();
    env.msb(&format!(
        "plugin install {}",
        component("image-json").display()
    ))
    .success();
    let path = env.home().join("plugins/plugins.lock");
    for text in ["version = 1\nplugin = 7\n", "version = 99\n", "\u{0}"] {
        std::fs::write(&path, text).unwrap();
        env.msb("plugin ls").failure(&["plugins.lock"]);
        env.msb("plugin disable env").failure(&["plugins.lock"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

fn with_locked_nothing_is_installed_that_the_lock_does_not_have() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    env.msb(&format!("plugin install {} --locked", path.display()))
        .failure(&["is not in the lock"]);
    let mut install = env.command(["plugin", "install", "made.wasm"]);
    install.env("MSB_PLUGIN_LOCKED", "1");
    Run::of(&mut install).failure(&["is not in the lock"]);
    assert_eq!(lock(&env), "");
}

fn what_the_lock_has_is_installed_elsewhere_with_the_same_grants() {
    let env = TestEnv::new();
    env.msb(&format!(
        "plugin install {} --yes",
        component("vault").display()
    ))
    .success();
    let other = TestEnv::new();
    std::fs::create_dir_all(other.home().join("plugins")).unwrap();
    std::fs::write(other.home().join("plugins/plugins.lock"), lock(&env)).unwrap();
    other.msb("plugin verify").failure(&["damaged"]);
    other.msb("plugin install --locked").success();
    other.msb("plugin verify").success();
    assert_eq!(row(&other, "vault"), row(&env, "vault"));
    assert_eq!(lock(&other), lock(&env));
}
