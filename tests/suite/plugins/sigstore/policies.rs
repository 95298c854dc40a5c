//! Who must have signed: policies of the user and of the system, and their trust roots.

use std::process::Command;

use serde_json::{Value, json};

use super::authority::{self, BEGIN, Key};
use super::{IDENTITY, ISSUER, PATTERN, Scene, set};
use crate::env::{SYSTEM_SETTINGS, TestEnv};
use crate::plugins::{lock, other_bytes, row};
use crate::tests;
use crate::tools::run;

tests! {
    a_policy_names_an_identity_and_its_trust_root;
    the_user_and_the_system_each_want_their_key needs Minisign;
    a_trust_root_that_is_none_is_named_with_where_to_get_one;
}

fn the_user_and_the_system_each_want_their_key() {
    let scene = Scene::new();
    let env = &scene.env;
    let minisign = |arguments: &[&str]| {
        run(Command::new("minisign")
            .current_dir(env.path(""))
            .args(arguments))
    };
    minisign(&["-G", "-W", "-p", "user.pub", "-s", "user.sec"]);
    let key = Key::new();
    env.write("system.pub", key.pem().as_bytes());
    let policy = |file: &str| {
        let policy = json!([{"source": "*", "key": env.path(file)}]);
        json!({"plugins": {"signatures": policy}}).to_string()
    };
    env.write(SYSTEM_SETTINGS, policy("system.pub").as_bytes());
    env.write_settings(policy("user.pub"));
    let content = authority::signed_bytes(&key, &scene.bytes);
    let record = authority::record_of_bytes(&content, &key.pem(), &scene.bytes);
    let material = json!({"publicKey": {"hint": ""}});
    let bundle = scene
        .authority
        .bundle(material, content, &record, "hashedrekord", BEGIN);
    let unlogged = set(&bundle, "/verificationMaterial/tlogEntries", json!([]));
    let files = ["made.wasm.minisig", "made.wasm.sigstore.json"];
    let install = "plugin install ./made.wasm";
    for (by_user, by_system) in [(false, false), (true, false), (false, true), (true, true)] {
        for file in files {
            let _ = std::fs::remove_file(env.path(file));
        }
        if by_user {
            minisign(&["-S", "-s", "user.sec", "-m", "made.wasm"]);
        }
        if by_system {
            scene.write(&unlogged);
        }
        let run = env.msb(install);
        if by_user && by_system {
            run.success();
        } else {
            run.failure(&["not taken for signed"]);
            assert_eq!(lock(env), "", "{by_user} {by_system}");
        }
    }
    env.msb("plugin verify").success();
    let held: Vec<String> = lock(env)
        .lines()
        .filter(|line| line.contains("key = "))
        .map(str::to_owned)
        .collect();
    assert_eq!(held.len(), 2, "{held:?}");
    // An update that one of them has not signed is none.
    let bytes = other_bytes(&scene.bytes);
    std::fs::write(env.path("made.wasm"), &bytes).unwrap();
    minisign(&["-S", "-s", "user.sec", "-m", "made.wasm"]);
    env.msb("plugin update made")
        .failure(&["not taken for signed"]);
    env.msb("plugin verify").success();
}

fn a_policy_names_an_identity_and_its_trust_root() {
    let scene = Scene::new();
    let settings = |plugins: Value| {
        let text = json!({"plugins": plugins}).to_string();
        scene.env.write_settings(text);
    };
    let root = scene.env.path("root.json");
    let policy = |identity: &str| json!({"source": "*", "identity": identity, "issuer": ISSUER});
    let mut own = policy(PATTERN);
    own["trust_root"] = json!(root);
    scene.write(&scene.authority.sign_bytes(&scene.signer, &scene.bytes));
    let install = "plugin install ./made.wasm";
    for (plugins, is_right) in [
        (json!({"signatures": [policy(PATTERN)]}), false),
        (
            json!({"signatures": [policy("me@acme.test")], "trust_root": root}),
            false,
        ),
        (
            json!({"signatures": [policy(PATTERN)], "trust_root": root}),
            true,
        ),
        (json!({"signatures": [policy("me@acme.test"), own]}), true),
    ] {
        settings(plugins.clone());
        let run = scene.env.msb(install);
        assert_eq!(run.code == Some(0), is_right, "{plugins}: {run:?}");
        if is_right {
            scene.env.msb("plugin verify").success();
            scene.remove();
        }
    }
    // What the system requires, a user's own trust root does not prove.
    settings(json!({}));
    scene.env.msb(install).success();
    let rows = |env: &TestEnv| row(env, "made")["enabled"].clone();
    assert_eq!(rows(&scene.env), json!(true));
    let env = &scene.env;
    let system = |policy: &Value| json!({"plugins": {"signatures": [policy]}}).to_string();
    let mut wanted = policy(PATTERN);
    env.write(SYSTEM_SETTINGS, system(&wanted).as_bytes());
    assert_eq!(rows(env), json!(false));
    env.msb("plugin rm made").success();
    let forced =
        format!("{install} --identity {IDENTITY} --issuer {ISSUER} --trust-root root.json");
    env.msb(&forced).failure(&["not taken for signed"]);
    // Its relative paths lead from its own folder.
    wanted["trust_root"] = json!("root.json");
    env.write(SYSTEM_SETTINGS, system(&wanted).as_bytes());
    env.msb(&forced).success();
    assert_eq!(rows(env), json!(true));
}

fn a_trust_root_that_is_none_is_named_with_where_to_get_one() {
    let scene = Scene::new();
    scene.write(&scene.authority.sign_bytes(&scene.signer, &scene.bytes));
    for text in ["", "{}", "[1]"] {
        scene.env.write("root.json", text.as_bytes());
        scene
            .install_as(IDENTITY, ISSUER)
            .failure(&["not taken for signed"]);
    }
    scene.env.write("root.json", b"x");
    scene.install_as(IDENTITY, ISSUER).failure(&[
        "the trust root `",
        "root.json` cannot be used",
        "`plugins.trust_root` in config.json and --trust-root name a file as `cosign trusted-root \
         create` writes it; without one, msb trusts the public instance of Sigstore",
    ]);
}
