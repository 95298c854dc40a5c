//! What plugins are fetched and pushed with: installed providers as well, and a broken one keeps no
//! plugin from its own update.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{component, other_bytes, row};
use crate::archive::sha256;
use crate::docker_registry::DockerRegistry;
use crate::env::{Run, TestEnv};
use crate::faulty::http::{Answer, Request};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::tests;

tests! {
    an_installed_provider_is_asked_when_plugins_are_pushed_and_fetched
        needs DockerRegistry, Htpasswd;
    a_broken_provider_keeps_no_plugin_from_its_update;
    a_provider_that_the_settings_name_is_fetched_before_it_is_there;
}

/// Says what the provider `box` does, and for which registries the settings name it.
fn configure(env: &TestEnv, what: &str, named: &[&str]) {
    let entry = |host: &&str| ((*host).to_owned(), json!({"provider": "box"}));
    let auth: serde_json::Map<String, Value> = named.iter().map(entry).collect();
    let settings = json!({
        "plugins": {"settings": {"box": {"what": what}}},
        "registries": {"auth": auth},
    });
    env.write_settings(settings);
}

fn install_box(env: &TestEnv) {
    let source = component("misbehaving-credentials");
    let install = format!(
        "plugin install {} --name box --grant clock",
        source.display()
    );
    env.msb(&install).success();
}

/// A registry that lets in everybody by a token, and nobody with a password.
fn public() -> Registry {
    let registry = Registry::start();
    registry.require_token(&registry);
    let refused = |request: &Request, answer: Answer| match request.header("authorization") {
        Some(_) => Answer::error(401, "DENIED", "token has expired"),
        None => answer,
    };
    registry.fault(On::Token, ALWAYS, Arc::new(refused));
    registry
}

fn an_installed_provider_is_asked_when_plugins_are_pushed_and_fetched() {
    let env = TestEnv::new();
    let registry = DockerRegistry::with_password("user", "secret");
    let reference = format!("{}/acme/made:1", registry.host());
    let push = format!(
        "plugin push {} {reference}",
        component("image-json").display()
    );
    install_box(&env);
    configure(&env, "nothing", &[]);
    env.msb(&push).failure(&["no access"]);
    configure(&env, "good", &[]);
    env.msb(&push).success();
    env.msb(&format!("plugin install {reference}")).success();
    // One that a push needs ends it.
    configure(&env, "trap", &[]);
    env.msb(&push)
        .failure(&["no credentials for", "`box`", "did not finish"]);
    // Fetching tells of it, and goes on.
    let run = env.msb("plugin update made");
    let run: Run = run.failure(&["no access"]);
    assert!(run.stderr.contains("`box` was skipped for"), "{run:#?}");
    configure(&env, "good", &[registry.host()]);
    env.msb("plugin update made").success();
}

fn a_broken_provider_keeps_no_plugin_from_its_update() {
    let first = std::fs::read(component("misbehaving-credentials")).unwrap();
    let second = other_bytes(&first);
    // It crashes, or its password is not taken; it may be named for the very registry.
    for (what, words) in [
        ("trap", "`box` was skipped for"),
        ("good", "going on without any"),
    ] {
        for is_named in [false, true] {
            let (env, registry) = (TestEnv::new(), public());
            let host = registry.host();
            let named: &[&str] = if is_named { &[&host] } else { &[] };
            registry.put_plugin("acme/box", "1", &first);
            configure(&env, "nothing", &[]);
            env.msb(&format!("plugin install {host}/acme/box:1 --grant clock"))
                .success();
            registry.put_plugin("acme/box", "1", &second);
            configure(&env, what, named);
            env.msb(&format!("pull {host}/acme/box:1"))
                .failure(&["`box`"]);
            let run = env.msb("plugin update box").success();
            assert!(run.stderr.contains(words), "{what}: {run:#?}");
            assert_eq!(row(&env, "box")["sha256"], sha256(&second));
        }
    }
}

fn a_provider_that_the_settings_name_is_fetched_before_it_is_there() {
    let (env, registry) = (TestEnv::new(), public());
    let host = registry.host();
    let bytes = std::fs::read(component("misbehaving-credentials")).unwrap();
    registry.put_plugin("acme/box", "1", &bytes);
    configure(&env, "good", &[&host]);
    let install = format!("plugin install {host}/acme/box:1 --grant clock");
    env.msb(&install).success();
    // Elsewhere, by the lock: its file is missing at first.
    let other = TestEnv::new();
    configure(&other, "trap", &[&host]);
    std::fs::create_dir_all(other.home().join("plugins")).unwrap();
    let lock = "plugins/plugins.lock";
    std::fs::copy(env.home().join(lock), other.home().join(lock)).unwrap();
    let run = other.msb("plugin install --locked").success();
    assert!(!run.stderr.contains("skipped"), "{run:#?}");
    assert_eq!(row(&other, "box")["sha256"], sha256(&bytes));
}
