//! Hints about plugins: those that cannot be installed, changed or used.

use super::advises;
use crate::env::{Run, TestEnv};
use crate::plugins::component;
use crate::tests;

tests! {
    a_lock_that_is_damaged_is_moved_away_as_advised;
    what_ships_with_msb_is_disabled_as_advised;
    a_source_is_named_as_advised;
    a_name_that_is_taken_is_changed_as_advised;
    what_is_not_locked_is_installed_first_as_advised;
    a_component_that_was_damaged_is_fetched_again_as_advised;
    what_was_not_granted_is_listed_as_advised;
    a_plugin_is_named_as_advised;
    a_plugin_for_a_newer_msb_is_replaced_as_advised;
    a_plugin_for_a_newer_wasi_is_built_again_as_advised;
    a_plugin_for_another_msb_is_replaced_as_advised;
    a_project_is_named_as_advised;
}

fn install(env: &TestEnv, name: &str) -> Run {
    env.msb(&format!(
        "plugin install --yes {}",
        component(name).display()
    ))
}

fn a_lock_that_is_damaged_is_moved_away_as_advised() {
    let env = TestEnv::new();
    install(&env, "image-json").success();
    let lock = env.home().join("plugins/plugins.lock");
    let good = std::fs::read(&lock).unwrap();
    std::fs::write(&lock, "version = 1\nplugin = 7\n").unwrap();
    let hint = "fix the file, or move it away and install the plugins again";
    advises(env.msb("plugin ls"), hint);
    std::fs::write(&lock, &good).unwrap();
    env.msb("plugin ls").success();
    std::fs::write(&lock, "\0").unwrap();
    advises(env.msb("plugin ls"), hint);
    std::fs::rename(&lock, env.path("moved")).unwrap();
    install(&env, "image-json").success();
    std::fs::write(&lock, "version = 99\n").unwrap();
    advises(env.msb("plugin ls"), "use the newer msb");
}

fn what_ships_with_msb_is_disabled_as_advised() {
    let env = TestEnv::new();
    let hint = "`msb plugin disable env` keeps it from being used";
    advises(env.msb("plugin rm env"), hint);
    env.msb("plugin disable env").success();
    let order = env.msb("plugin order").success();
    assert!(!order.stdout.contains("env"), "{order:#?}");
}

fn a_source_is_named_as_advised() {
    let env = TestEnv::new();
    let hint = "name a file, an HTTPS address, or a reference like ghcr.io/my-org/plugin:1";
    for text in [
        "Nothing:x",
        "ftp://u:secret-pass@a.example/x.wasm",
        "https:u:secret-pass@a",
    ] {
        let run = env.msb(&format!("plugin install {text}"));
        assert!(!run.stderr.contains("secret-pass"), "{run:#?}");
        advises(run, hint);
    }
    install(&env, "image-json").success();
    let run = env.msb("plugin disable image-jsn");
    let names = run.stderr.split("hint: there are ").nth(1).unwrap();
    assert!(names.contains("image-json"), "{run:#?}");
    env.msb("plugin disable image-json").success();
}

fn a_name_that_is_taken_is_changed_as_advised() {
    let env = TestEnv::new();
    let bytes = std::fs::read(component("image-json")).unwrap();
    for folder in ["one", "two"] {
        std::fs::create_dir(env.path(folder)).unwrap();
        env.write(&format!("{folder}/same.wasm"), &bytes);
    }
    env.msb("plugin install one/same.wasm").success();
    let run = env.msb("plugin install two/same.wasm").failure(&["hint: "]);
    let advised = "--name, or remove the other one first: `msb plugin rm same`";
    assert!(run.stderr.contains(advised), "{run:#?}");
    env.msb("plugin rm same").success();
    env.msb("plugin install two/same.wasm").success();
    let hint = "disable the other one first: `msb plugin disable same`";
    advises(env.msb("plugin install one/same.wasm --name second"), hint);
    env.msb("plugin disable same").success();
    env.msb("plugin install one/same.wasm --name second")
        .success();
    env.msb("plugin rm second").success();
    env.write("1.wasm", &bytes);
    let hint = "give it another name with --name";
    advises(env.msb("plugin install 1.wasm"), hint);
    env.msb("plugin install 1.wasm --name first").success();
}

fn what_is_not_locked_is_installed_first_as_advised() {
    let env = TestEnv::new();
    let file = component("image-json");
    let run = env.msb(&format!("plugin install --locked {}", file.display()));
    let hint = "install it without --locked first (and without MSB_PLUGIN_LOCKED), and keep the new \
                plugins.lock";
    advises(run, hint);
    install(&env, "image-json").success();
    env.msb("plugin install --locked").success();
}

fn a_component_that_was_damaged_is_fetched_again_as_advised() {
    let env = TestEnv::new();
    install(&env, "image-json").success();
    let other = TestEnv::new();
    let folder = other.home().join("plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = env.home().join("plugins/plugins.lock");
    std::fs::copy(lock, folder.join("plugins.lock")).unwrap();
    let hint = "`msb plugin install --locked` fetches them again";
    advises(other.msb("plugin verify"), hint);
    other.msb("plugin install --locked").success();
    other.msb("plugin verify").success();
}

fn a_plugin_is_named_as_advised() {
    let env = TestEnv::new();
    let hint = "no plugin is installed: `msb plugin install` installs one";
    advises(env.msb("plugin update nosuch"), hint);
    install(&env, "image-json").success();
    let run = env.msb("plugin inspect nothing");
    let run = run.failure(&["there is no plugin `nothing`", "hint: there are "]);
    let names = run.stderr.split("hint: there are ").nth(1).unwrap();
    let mut names = names.trim().split(", ");
    assert!(names.clone().any(|name| name == "image-json"), "{run:#?}");
    let first = names.next().unwrap();
    env.msb(&format!("plugin inspect {first}")).success();
}

/// Returns a component in which a name is replaced by another one.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(component("image-json")).unwrap();
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn a_plugin_for_another_msb_is_replaced_as_advised() {
    let env = TestEnv::new();
    let earlier = renamed("msb:plugin/archive@0.1.1", "msb:plugin/archive@0.0.9");
    env.write("earlier.wasm", &earlier);
    advises(
        env.msb("plugin install --yes earlier.wasm"),
        "the plugin was made for another version of msb; install one for this version",
    );
    install(&env, "image-json").success();
}

fn a_plugin_for_a_newer_msb_is_replaced_as_advised() {
    let env = TestEnv::new();
    for (from, to, words) in [
        (
            "msb:plugin/archive@0.1.1",
            "msb:plugin/archive@0.9.0",
            "it was built for msb:plugin@0.9.0 (`archive`), and this msb offers msb:plugin@0.1.1",
        ),
        (
            "msb:plugin/log@0.1.1",
            "msb:plugin/fog@0.1.7",
            "it was built for msb:plugin@0.1.7 and uses what msb:plugin@0.1.1, which this msb \
             offers, does not have: component imports instance `msb:plugin/fog@0.1.7`",
        ),
    ] {
        env.write("later.wasm", &renamed(from, to));
        let run = env.msb("plugin install --yes later.wasm");
        assert!(run.stderr.contains(words), "{run:#?}");
        advises(
            run,
            "update msb, or install a version of the plugin that was made for this one",
        );
    }
    install(&env, "image-json").success();
}

fn a_plugin_for_a_newer_wasi_is_built_again_as_advised() {
    let env = TestEnv::new();
    let newer = renamed("msb:plugin/log@0.1.1", "wasi:cli/stdin@0.3.0");
    env.write("newer.wasm", &newer);
    let run = env.msb("plugin install --yes newer.wasm");
    let words = "it was built for WASI 0.3.0 (`wasi:cli/stdin`), and this msb offers WASI 0.2";
    assert!(run.stderr.contains(words), "{run:#?}");
    advises(
        run,
        "build the plugin for WASI 0.2 (in Rust for the target `wasm32-wasip2`), or without WASI",
    );
    install(&env, "image-json").success();
}

fn what_was_not_granted_is_listed_as_advised() {
    let env = TestEnv::new();
    install(&env, "vault").success();
    let run = env.msb("plugin revoke vault env=NOTHING");
    let has = run.stderr.split("hint: it has ").nth(1).unwrap();
    let first = has.split([',', '\n']).next().unwrap().trim().to_owned();
    assert_ne!(first, "nothing", "{run:#?}");
    env.msb(&format!("plugin revoke vault {first}")).success();
    install(&env, "image-json").success();
    advises(
        env.msb("plugin revoke image-json env=NOTHING"),
        "it has nothing",
    );
}

fn a_project_is_named_as_advised() {
    let env = TestEnv::new();
    let hint = "a name has lower-case ASCII letters, digits and single dashes";
    advises(
        env.msb("plugin new --kind format --lang rust My_Plugin"),
        hint,
    );
    env.msb("plugin new --kind format --lang rust my-plugin")
        .success();
    let hint = "name another directory with --path";
    advises(
        env.msb("plugin new --kind format --lang rust my-plugin"),
        hint,
    );
    env.msb("plugin new --kind format --lang rust my-plugin --path other")
        .success();
}
