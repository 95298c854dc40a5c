//! Locks of a project and of an administrator, and plugins that are installed twice.

use serde_json::json;

use crate::env::{Run, TestEnv};
use crate::plugins::{component, lock, other_bytes, place, row};
use crate::tests;
use crate::tools::run;

tests! {
    one_component_serves_twice_with_settings_of_its_own;
    of_a_format_and_of_a_place_there_is_one;
    locked_plugins_are_not_changed_by_any_command;
    the_lock_of_a_project_is_written_and_installed_elsewhere;
    a_lock_is_written_next_to_where_msb_is_run;
    a_plugin_that_is_disabled_in_a_lock_needs_no_place;
    a_lock_whose_files_are_others_now_is_told;
}

fn one_component_serves_twice_with_settings_of_its_own() {
    let env = TestEnv::new();
    let path = component("vault");
    for name in ["prod", "dev"] {
        env.msb(&format!(
            "plugin install {} --name {name} --yes",
            path.display()
        ))
        .success();
    }
    let order = env.msb("plugin order").stdout;
    assert!(order.contains("prod\ndev\n"), "{order}");
    let settings = |address: &str| json!({"address": address, "registries": {"ghcr.io": "x"}});
    let config = json!({"plugins": {"settings": {
        "prod": settings("https://prod.invalid"), "dev": settings("https://dev.invalid"),
    }}});
    env.write_settings(config);
    let run = env.msb("plugin explain-auth ghcr.io");
    for name in ["prod", "dev"] {
        assert!(run.stdout.contains(name), "{run:?}");
    }
    env.msb("plugin disable prod").success();
    env.msb("plugin enable prod").success();
    env.msb("plugin rm prod").success();
    assert_eq!(row(&env, "dev")["provides"], "vault");
    env.msb("plugin verify").success();
}

fn of_a_format_and_of_a_place_there_is_one() {
    let env = TestEnv::new();
    for component_name in ["image-json", "env"] {
        let install = format!(
            "plugin install {} --yes",
            component(component_name).display()
        );
        env.msb(&format!("{install} --name first")).success();
        env.msb(&format!("{install} --name second"))
            .failure(&["plugin `first` is the"]);
        env.msb("plugin rm first").success();
    }
}

fn locked_plugins_are_not_changed_by_any_command() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    env.msb(&format!("plugin install {} --grant clock", path.display()))
        .success();
    let before = lock(&env);
    for line in [
        "plugin grant vault env=*",
        "plugin revoke vault clock",
        "plugin rm vault",
        "plugin disable vault",
        "plugin disable keychain",
        "plugin order vault keychain",
        "plugin tier vault ambient",
        "plugin install ./vault.wasm --grant env=*",
        "plugin install ./vault.wasm --before env",
    ] {
        let words = line.split(' ').collect::<Vec<_>>();
        let mut command = env.command(&words);
        command.env("MSB_PLUGIN_LOCKED", "1");
        Run::of(&mut command).failure(&["the plugins are locked", "hint: leave out --locked"]);
        env.msb(&format!("{line} --locked"))
            .failure(&["the plugins are locked"]);
        assert_eq!(lock(&env), before, "{line}");
    }
    // What changes nothing is no harm.
    for line in [
        "plugin enable vault --locked",
        "plugin order --locked",
        "plugin install --locked",
    ] {
        env.msb(line).success();
    }
    assert_eq!(lock(&env), before);
}

fn the_lock_of_a_project_is_written_and_installed_elsewhere() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.path("project/plugins")).unwrap();
    let path = place(&env, "vault", "project/plugins/vault.wasm");
    env.msb(&format!(
        "plugin install {} --grant clock --before env",
        path.display()
    ))
    .success();
    env.msb("plugin disable keychain").success();
    env.msb("plugin lock project/plugins.lock").success();
    let text = std::fs::read_to_string(env.path("project/plugins.lock")).unwrap();
    assert!(text.contains("source = \"./plugins/vault.wasm\""), "{text}");
    // The project is moved to another machine, where another plugin is installed.
    let other = TestEnv::new();
    run(std::process::Command::new("cp")
        .arg("-r")
        .args([env.path("project"), other.path("moved")]));
    let made = component("image-json");
    other
        .msb(&format!("plugin install {}", made.display()))
        .success();
    other.msb("plugin install --lock moved/plugins.lock").failure(&[
        "has plugins that you have not agreed to",
        "hint: it has vault (credential `vault`) from ",
        "which may use clock",
        "hint: it has keychain, disabled",
        "hint: it has the order ",
        "hint: to agree to all that is in the lock: msb plugin install --lock moved/plugins.lock --yes",
    ]);
    assert!(!lock(&other).contains("vault"));
    other
        .msb("plugin install --lock moved/plugins.lock --yes")
        .success();
    assert_eq!(
        other.msb("plugin order").stdout,
        env.msb("plugin order").stdout + "image-json\n"
    );
    assert_eq!(row(&other, "vault")["grants"], json!(["clock"]));
    other.msb("plugin verify").success();
    // Now it is agreed to.
    other
        .msb("plugin install --lock moved/plugins.lock")
        .success();
    // Other bytes than the lock has are not installed, nor anything else of it.
    let fresh = TestEnv::new();
    let vault = other.path("moved/plugins/vault.wasm");
    std::fs::write(&vault, other_bytes(&std::fs::read(&vault).unwrap())).unwrap();
    let shared = other.path("moved/plugins.lock");
    fresh
        .msb(&format!("plugin install --lock {} --yes", shared.display()))
        .failure(&["vault"]);
    assert_eq!(lock(&fresh), "");
    fresh
        .msb("plugin install --lock nowhere.lock")
        .failure(&["nowhere.lock"]);
}

fn a_lock_is_written_next_to_where_msb_is_run() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    env.msb("plugin lock own.lock").success();
    env.msb("plugin install --lock own.lock").success();
    // Settings with a name alone are written as well.
    let mut command = env.command(["plugin", "ls"]);
    Run::of(command.env("MSB_CONFIG_PATH", "own.json")).success();
}

fn a_plugin_that_is_disabled_in_a_lock_needs_no_place() {
    let env = TestEnv::new();
    for (name, place_name) in [("one", "one.wasm"), ("two", "two.wasm")] {
        if name == "two" {
            env.msb("plugin disable one").success();
        }
        let path = place(&env, "image-json", place_name);
        env.msb(&format!("plugin install {}", path.display()))
            .success();
    }
    env.msb("plugin lock own.lock").success();
    let other = TestEnv::new();
    let shared = env.path("own.lock");
    other
        .msb(&format!("plugin install --lock {} --yes", shared.display()))
        .success();
    assert_eq!(row(&other, "one")["enabled"], json!(false));
    assert_eq!(row(&other, "two")["enabled"], json!(true));
    // To be enabled, it needs its place.
    other
        .msb("plugin enable one")
        .failure(&["`two` is the format"]);
}

fn a_lock_whose_files_are_others_now_is_told() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path("project")).unwrap();
    let path = place(&env, "image-json", "project/made.wasm");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    env.msb("plugin lock project/own.lock").success();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = TestEnv::new();
    let install = format!(
        "plugin install --lock {} --yes",
        env.path("project/own.lock").display()
    );
    let run = other.msb(&install).failure(&[
        "plugin `made` is not kept here, and `",
        "hint: put the component with the digest sha256:",
    ]);
    assert!(!run.stderr.contains("already"), "{run:#?}");
    std::fs::write(&path, other_bytes(&bytes)).unwrap();
    let run = other.msb(&install).failure(&[
        "has other bytes than the lock has of plugin `made`",
        "hint: put the component with the digest sha256:",
        "`msb plugin update made` in the home that the lock is of",
    ]);
    assert!(!run.stderr.contains("--locked"), "{run:#?}");
    // What is advised helps.
    std::fs::write(&path, &bytes).unwrap();
    other.msb(&install).success();
}
