//! The settings of the system, which those of a user lie over and cannot loosen.

use std::process::Command;

use serde_json::{Value, json};

use super::{component, lock, place, row};
use crate::env::{Run, SYSTEM_SETTINGS, TestEnv};
use crate::tests;

tests! {
    plugins_come_from_allowed_sources_alone;
    a_place_that_is_allowed_is_not_one_that_begins_like_it;
    a_misspelled_policy_is_not_taken_for_none;
    nothing_is_granted_that_the_system_does_not_allow;
    what_was_there_before_the_policy_is_held_to_it;
    a_signature_that_the_system_wants_is_wanted_whatever_the_user_wants needs Minisign;
    everyone_has_the_plugins_of_the_system_and_cannot_disable_them;
    the_settings_of_a_user_lie_over_those_of_the_system;
    a_file_that_cannot_be_used_is_named;
}

/// A user of a machine with settings.
struct Machine {
    env: TestEnv,
}

impl Machine {
    fn new(settings: &Value) -> Self {
        let machine = Self {
            env: TestEnv::new(),
        };
        machine.set(settings);
        machine
    }

    fn set(&self, settings: &Value) {
        self.env
            .write(SYSTEM_SETTINGS, settings.to_string().as_bytes());
    }

    fn user(&self, settings: &Value) {
        self.env.write_settings(settings);
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.env.command(line.split(' '));
        command.env("MSB_SYSTEM_CONFIG_PATH", self.env.path(SYSTEM_SETTINGS));
        command
    }

    fn msb(&self, line: &str) -> Run {
        Run::of(&mut self.command(line))
    }
}

fn plugins_come_from_allowed_sources_alone() {
    let machine = Machine::new(&json!({}));
    let allowed = machine.env.path("allowed");
    std::fs::create_dir(&allowed).unwrap();
    machine.set(&json!({"plugins": {"allowed_sources": [allowed, "oci://ghcr.io/acme/"]}}));
    let other = component("image-json");
    machine
        .msb(&format!("plugin install {}", other.display()))
        .failure(&[
            "system.json` does not allow plugins from `",
            "hint: the administrator of this machine decides this; ask them",
        ]);
    assert_eq!(lock(&machine.env), "");
    // The user's settings are no way around it.
    machine.user(&json!({"plugins": {"allowed_sources": ["*"]}}));
    machine
        .msb(&format!("plugin install {}", other.display()))
        .failure(&["does not allow plugins from"]);
    machine
        .msb("plugin install ghcr.io/other/vault:1")
        .failure(&["does not allow plugins from `oci://ghcr.io/other/vault:1`"]);
    std::fs::copy(&other, allowed.join("made.wasm")).unwrap();
    machine.msb("plugin install allowed/made.wasm").success();
}

fn a_place_that_is_allowed_is_not_one_that_begins_like_it() {
    let machine = Machine::new(&json!({}));
    place(&machine.env, "image-json", "w-evil.wasm");
    let allowed = machine.env.path("w");
    machine.set(&json!({"plugins": {"allowed_sources": [
        allowed, "oci://ghcr.io", "oci://127.0.0.1:611", "oci://registry.example/acme",
    ]}}));
    for source in [
        "./w-evil.wasm",
        "oci://ghcr.io.evil.invalid/vault:1",
        "oci://127.0.0.1:6111/acme/vault:1",
        "oci://registry.example/acme-evil/vault:1",
    ] {
        machine
            .msb(&format!("plugin install {source}"))
            .failure(&["does not allow plugins from"]);
    }
    std::fs::create_dir(&allowed).unwrap();
    place(&machine.env, "image-json", "w/made.wasm");
    machine.msb("plugin install ./w/made.wasm").success();
}

fn a_misspelled_policy_is_not_taken_for_none() {
    let machine = Machine::new(&json!({"plugins": {"allowed_source": ["/nowhere"]}}));
    place(&machine.env, "image-json", "made.wasm");
    let words = [
        "system.json` is not valid at `plugins.allowed_source`",
        "did you mean `allowed_sources`?",
    ];
    for line in ["plugin install ./made.wasm", "plugin ls", "plugin order"] {
        machine.msb(line).failure(&words);
    }
    machine.set(&json!({"plugins": {"allowed_grants": ["nosuch=1"]}}));
    machine
        .msb("plugin install ./made.wasm")
        .failure(&["plugins.allowed_grants[0]", "`nosuch=1` allows nothing"]);
    // That of a user is one of several, and the file may be one of a later msb: it is told.
    machine.set(&json!({}));
    machine.user(&json!({"plugins": {"signature": [{"source": "*", "key": "k"}]}}));
    let run = machine.msb("plugin install ./made.wasm").success();
    let note = "`plugins.signature` is not a setting and has no effect; did you mean `signatures`?";
    assert!(run.stderr.contains(note), "{run:#?}");
}

fn nothing_is_granted_that_the_system_does_not_allow() {
    let machine = Machine::new(&json!({"plugins": {"allowed_grants": ["env=VAULT_*", "clock"]}}));
    let install = format!("plugin install {}", component("vault").display());
    machine
        .msb(&format!("{install} --yes"))
        .failure(&["does not allow `", "for plugins"]);
    machine
        .msb(&format!("{install} --grant env=*"))
        .failure(&["does not allow `env=*` for plugins"]);
    machine
        .msb(&format!("{install} --grant env=VAULT_TOKEN --grant clock"))
        .success();
    machine
        .msb("plugin grant vault http=https://evil.example")
        .failure(&["does not allow `http=https://evil.example` for plugins"]);
    machine.msb("plugin revoke vault clock").success();
    machine.msb("plugin grant vault clock").success();
}

fn what_was_there_before_the_policy_is_held_to_it() {
    let machine = Machine::new(&json!({}));
    let path = place(&machine.env, "vault", "vault.wasm");
    machine
        .msb(&format!(
            "plugin install {} --grant env=VAULT_TOKEN --grant clock",
            path.display()
        ))
        .success();
    machine.set(&json!({"plugins": {"allowed_grants": ["clock"]}}));
    let shown = machine.msb("plugin inspect vault --format json").success();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["grants"], json!(["clock"]));
    machine.set(&json!({"plugins": {"allowed_sources": ["/nowhere/"]}}));
    let order = machine.msb("plugin order").success();
    assert!(!order.stdout.contains("vault"), "{order:?}");
    machine.set(&json!({}));
    assert_eq!(
        row(&machine.env, "vault")["grants"],
        json!(["env=VAULT_TOKEN", "clock"])
    );
}

fn a_signature_that_the_system_wants_is_wanted_whatever_the_user_wants() {
    let machine = Machine::new(&json!({}));
    let env = &machine.env;
    let minisign = |arguments: &[&str]| {
        crate::tools::run(
            Command::new("minisign")
                .current_dir(env.path(""))
                .args(arguments),
        )
    };
    minisign(&["-G", "-W", "-p", "a.pub", "-s", "a.sec"]);
    place(env, "image-json", "made.wasm");
    machine
        .msb("plugin install ./made.wasm --name before")
        .success();
    let policy = json!([{"source": "*", "key": env.path("a.pub")}]);
    machine.set(&json!({"plugins": {"signatures": policy}}));
    machine.user(&json!({"plugins": {"signatures": []}}));
    machine
        .msb("plugin install ./made.wasm")
        .failure(&["not taken for signed"]);
    let order = machine.msb("plugin order").success();
    assert!(!order.stdout.contains("before"), "{order:?}");
    machine.msb("plugin rm before").success();
    minisign(&["-S", "-s", "a.sec", "-m", "made.wasm"]);
    machine.msb("plugin install ./made.wasm").success();
    let order = machine.msb("plugin order").success();
    assert!(order.stdout.contains("made"), "{order:?}");
}

fn everyone_has_the_plugins_of_the_system_and_cannot_disable_them() {
    let administrator = TestEnv::new();
    let path = component("vault");
    administrator
        .msb(&format!("plugin install {} --grant clock", path.display()))
        .success();
    let machine = Machine::new(&json!({"plugins": {"home": administrator.home()}}));
    let order = machine.msb("plugin order").success();
    assert!(order.stdout.contains("vault"), "{order:?}");
    machine
        .msb("plugin disable vault")
        .failure(&["there is no plugin `vault`"]);
    machine
        .msb("plugin rm vault")
        .failure(&["there is no plugin `vault`"]);
    // One of the user's with the same name is not in its place.
    let own = component("credential-helper");
    machine
        .msb(&format!(
            "plugin install {} --name vault --yes",
            own.display()
        ))
        .success();
    let shown = machine.msb("plugin inspect vault --format json").success();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["provides"], "vault");
    assert_eq!(shown["grants"], json!(["clock"]));
    // It is run from where it is.
    machine.msb("plugin explain-auth ghcr.io").success();
}

fn the_settings_of_a_user_lie_over_those_of_the_system() {
    let machine = Machine::new(&json!({
        "limits": {"entries": 1},
        "plugins": {"order": ["env"], "settings": {"vault": {"a": 1}}},
    }));
    let image = crate::archive::Image::new("app:1", &["etc/\netc/hosts = here"]);
    machine.env.write("in.tar", &image.docker());
    machine.msb("load -i in.tar").failure(&["entries"]);
    machine.user(&json!({"limits": {"entries": 1000}}));
    machine.msb("load -i in.tar").success();
    let first = |machine: &Machine| {
        let order = machine.msb("plugin order").success();
        order.stdout.lines().next().unwrap().to_owned()
    };
    assert_eq!(first(&machine), "env");
    machine.user(&json!({"plugins": {"order": ["keychain"]}}));
    assert_eq!(first(&machine), "keychain");
}

fn a_file_that_cannot_be_used_is_named() {
    let machine = Machine::new(&json!({"plugins": {"allowed_sources": "all"}}));
    machine.msb("plugin ls").failure(&[
        "system.json",
        "plugins.allowed_sources",
        "hint: fix the file as root: its settings are those of everyone on this machine",
    ]);
    machine.set(&json!({"plugins": {"home": "relative"}}));
    machine
        .msb("plugin ls")
        .failure(&["the settings of this system", "must be an absolute path"]);
    machine.env.write(SYSTEM_SETTINGS, b"{");
    machine.msb("plugin ls").failure(&["system.json"]);
    std::fs::remove_file(machine.env.path(SYSTEM_SETTINGS)).unwrap();
    machine
        .msb("plugin ls")
        .failure(&["could not read", "system.json"]);
}
