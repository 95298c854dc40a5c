//! `msb plugin`: installing, agreeing, pinning, ordering, and what becomes of what was tampered
//! with.

mod bombs;
mod bootstrap;
mod company;
mod compiled;
mod conformance;
mod consent;
mod containers;
mod contract;
mod device_login;
mod distribution;
pub(crate) mod examples;
mod guide;
mod hostile;
pub(crate) mod keeper;
mod languages;
mod pulls;
mod rootfs;
mod scaffold;
mod sigstore;
mod sources;
mod tokens;
mod versions;
mod workshop;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::Image;
use crate::cli::terminal::Terminal;
use crate::env::{Run, TestEnv};
use crate::tests;
use crate::tools::{Tool, run};

tests! {
    what_ships_with_msb_is_listed_and_is_no_different_from_what_is_installed;
    without_a_terminal_nothing_is_granted_and_the_command_that_grants_is_printed;
    the_printed_command_installs_and_what_was_granted_is_kept;
    what_asks_for_nothing_needs_no_consent_and_loads_archives_at_once;
    on_a_terminal_the_user_is_asked_and_decides needs Tmux;
    a_permission_is_given_and_taken_away_later;
    what_the_plugin_cannot_use_is_not_granted;
    other_bytes_at_the_same_source_are_refused_until_an_update;
    an_update_that_asks_for_more_is_agreed_to_anew_and_else_the_old_one_stays;
    a_component_that_was_changed_on_disk_is_never_run;
    a_lock_that_was_garbled_is_named_and_not_overwritten;
    with_locked_nothing_is_installed_that_the_lock_does_not_have;
    what_the_lock_has_is_installed_elsewhere_with_the_same_grants;
    what_is_disabled_is_not_asked_and_a_builtin_can_be_disabled_too;
    the_order_is_the_users_and_settings_come_before_it;
    the_format_that_is_written_is_that_of_the_settings;
    who_asks_is_explained_without_a_secret;
    what_is_no_plugin_is_named_in_plain_words;
    names_that_a_terminal_would_obey_are_shown_as_what_they_are;
    two_installations_at_once_leave_both;
    a_removed_plugin_leaves_nothing;
    a_signature_that_is_wanted_must_be_there_and_right needs Minisign;
}

/// Runs all tests about plugins.
pub(crate) fn all() -> Vec<crate::Test> {
    // No Debian package has wkg: where it is, it is a peer; where it is not, nothing is missing.
    let optional = |test: &crate::Test| !test.needs.contains(&Tool::Wkg) || Tool::Wkg.is_there();
    [
        tests(),
        bootstrap::tests(),
        bombs::tests(),
        company::tests(),
        compiled::tests(),
        conformance::tests(),
        conformance::samples::tests(),
        consent::tests(),
        containers::tests(),
        contract::tests(),
        device_login::tests(),
        distribution::tests(),
        examples::all(),
        guide::tests(),
        hostile::tests(),
        languages::tests(),
        pulls::tests(),
        rootfs::tests(),
        scaffold::tests(),
        sigstore::tests(),
        sources::tests(),
        tokens::tests(),
        versions::tests(),
    ]
    .into_iter()
    .flatten()
    .filter(optional)
    .collect()
}

/// Returns a component that `cargo xtask guests` has built.
pub(crate) fn component(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSB_COMPONENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/target/components"),
        PathBuf::from,
    );
    let path = folder.join(name).with_extension("wasm");
    assert!(
        path.exists(),
        "no {}: run `cargo xtask guests`",
        path.display()
    );
    path.canonicalize().unwrap()
}

/// Puts a component into the test's folder, where it can be changed.
fn place(env: &TestEnv, component_name: &str, as_name: &str) -> PathBuf {
    env.write(as_name, &std::fs::read(component(component_name)).unwrap())
}

/// Returns the same component with another digest: an empty custom section at its end.
pub(crate) fn other_bytes(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0, 2, 1, b'x']].concat()
}

fn lock(env: &TestEnv) -> String {
    std::fs::read_to_string(env.home().join("plugins/plugins.lock")).unwrap_or_default()
}

fn row(env: &TestEnv, name: &str) -> Value {
    env.json(&format!("plugin inspect {name} --format json"))
}

fn names(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

fn what_ships_with_msb_is_listed_and_is_no_different_from_what_is_installed() {
    let env = TestEnv::untouched();
    let rows = env.json("plugin ls --format json");
    let names: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    for name in [
        "docker-archive",
        "oci-layout",
        "keychain",
        "env",
        "docker-config",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(
        !env.home().join("cache/plugins").exists(),
        "listing compiles nothing"
    );
    // Its very bytes, installed by somebody else, take its place.
    let path = place(&env, "oci-layout", "mine.wasm");
    let line = format!("plugin install {} --yes --quiet", path.display());
    let run = env.msb(&line).success();
    assert_eq!(run.stderr, "note: mine takes the place of oci-layout\n");
    assert_eq!(row(&env, "oci-layout")["replaced_by"], "mine");
    let order = env.msb("plugin order").success();
    assert_eq!(
        &order.stdout.lines().collect::<Vec<_>>()[..2],
        ["docker-archive", "mine"]
    );
    env.msb("plugin rm mine").success();
    assert_eq!(row(&env, "oci-layout")["replaced_by"], Value::Null);
}

fn without_a_terminal_nothing_is_granted_and_the_command_that_grants_is_printed() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    let run = env
        .msb(&format!("plugin install {}", path.display()))
        .failure(&[
            "asks for permissions",
            "hint: it asks for `env=VAULT_TOKEN`",
            "the token that opens the server",
            "together: it can send what `env=VAULT_TOKEN`, `files=~/.vault-token` holds to \
             `GET@https://127.0.0.1:8200`",
            "--grant env=VAULT_TOKEN",
            "--grant clock",
            "msb plugin install",
        ]);
    assert_eq!(run.stdout, "");
    env.msb("plugin inspect vault")
        .failure(&["there is no plugin `vault`"]);
    assert_eq!(lock(&env), "");
}

fn the_printed_command_installs_and_what_was_granted_is_kept() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    let refused = env.msb(&format!("plugin install {}", path.display()));
    let (_, command) = refused
        .stderr
        .split_once("to agree to all of it: msb ")
        .unwrap();
    let script = format!("exec \"$0\" {}", command.trim());
    Run::of(&mut env.shell(&script, [""; 0])).success();
    let row = row(&env, "vault");
    assert_eq!(row["grants"].as_array().unwrap().len(), 4, "{row}");
    assert_eq!(row["kind"], "credential");
    assert!(lock(&env).contains("sha256:"), "{}", lock(&env));
    // The same once more is no news.
    env.msb(&format!("plugin install {}", path.display()))
        .success();
}

fn what_asks_for_nothing_needs_no_consent_and_loads_archives_at_once() {
    let env = TestEnv::new();
    let path = component("image-json");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    let layout = env.path("archive");
    std::fs::create_dir(&layout).unwrap();
    std::fs::write(
        layout.join("image.json"),
        r#"{"image-json":1,"references":["made:1"],"config":{"architecture":"amd64","config":{}},
            "layers":[[{"path":"etc","directory":true},{"path":"etc/motd","text":"hello"}]]}"#,
    )
    .unwrap();
    let tar = env.path("archive.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(&tar)
        .arg("image.json"));
    env.msb(&format!("load --platform linux/amd64 -i {}", tar.display()))
        .success();
    env.msb("plugin disable image-json").success();
    env.msb(&format!("load --platform linux/amd64 -i {}", tar.display()))
        .failure(&["no installed format plugin"]);
}

fn on_a_terminal_the_user_is_asked_and_decides() {
    let env = TestEnv::new();
    place(&env, "vault", "vault.wasm");
    let terminal = Terminal::new(&env);
    terminal.enter("msb plugin install ./vault.wasm; echo DONE-$?");
    let screen = terminal.wait_for("[y/N]");
    for words in [
        "credential provider",
        "sha256:",
        "env=VAULT_TOKEN",
        "the token that opens",
        "For registries",
        "find credentials",
        "Together",
        "it can send what",
    ] {
        assert!(screen.contains(words), "no {words} on\n{screen}");
    }
    terminal.enter("n");
    terminal.wait_for("DONE-0");
    env.msb("plugin inspect vault").failure(&["no plugin"]);
    terminal.enter("clear; msb plugin install ./vault.wasm; echo AGAIN-$?");
    terminal.wait_for("[y/N]");
    terminal.enter("y");
    terminal.wait_for("AGAIN-0");
    assert_eq!(row(&env, "vault")["grants"].as_array().unwrap().len(), 4);
}

fn a_permission_is_given_and_taken_away_later() {
    let env = TestEnv::new();
    let path = component("vault");
    env.msb(&format!("plugin install {} --grant clock", path.display()))
        .success();
    assert_eq!(row(&env, "vault")["grants"], serde_json::json!(["clock"]));
    let run = env
        .msb("plugin grant vault http=GET@https://vault.example.com:8200")
        .success();
    assert!(run.stderr.contains("vault.example.com"), "{run:?}");
    env.msb("plugin revoke vault clock").success();
    assert_eq!(row(&env, "vault")["grants"].as_array().unwrap().len(), 1);
    env.msb("plugin revoke vault clock")
        .failure(&["does not have `clock`"]);
    env.msb("plugin revoke vault").success();
    assert_eq!(row(&env, "vault")["grants"], serde_json::json!([]));
    env.msb("plugin revoke docker-config helper=*").success();
    let grants = row(&env, "docker-config")["grants"].to_string();
    assert!(!grants.contains("helper"), "{grants}");
}

fn what_the_plugin_cannot_use_is_not_granted() {
    let env = TestEnv::new();
    let path = component("image-json");
    env.msb(&format!("plugin install {} --grant clock", path.display()))
        .failure(&["cannot make use of `clock`"]);
    env.msb("plugin grant env nonsense")
        .failure(&["`nonsense` is not a permission"]);
    env.msb("plugin grant nobody clock")
        .failure(&["there is no plugin `nobody`"]);
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

fn what_is_disabled_is_not_asked_and_a_builtin_can_be_disabled_too() {
    let env = TestEnv::new();
    env.msb("plugin disable keychain docker-config").success();
    let order = env.msb("plugin order").success();
    assert_eq!(
        names(&order),
        ["docker-archive", "oci-layout", "env", "secret-file"]
    );
    env.msb("plugin enable keychain").success();
    assert!(env.msb("plugin order").stdout.contains("keychain"));
    env.msb("plugin rm keychain").failure(&["ships with msb"]);
    env.msb("plugin disable nobody")
        .failure(&["there is no plugin `nobody`"]);
}

fn the_order_is_the_users_and_settings_come_before_it() {
    let env = TestEnv::new();
    env.msb(&format!(
        "plugin install {} --yes",
        component("vault").display()
    ))
    .success();
    let order = |line: &str| {
        let run = env.msb(line).success();
        let names = run.stdout.lines().skip(2).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        order("plugin order"),
        ["keychain", "env", "secret-file", "vault", "docker-config"]
    );
    assert_eq!(
        order("plugin order vault --before env"),
        ["keychain", "vault", "env", "secret-file", "docker-config"]
    );
    assert_eq!(
        order("plugin order vault --after docker-config")[4],
        "vault"
    );
    env.write_settings(r#"{"plugins": {"order": ["secret-file"]}}"#);
    let run = env.msb("plugin order").success();
    assert_eq!(names(&run)[0], "secret-file");
    env.msb("plugin order nobody")
        .failure(&["there is no plugin `nobody`"]);
}

fn who_asks_is_explained_without_a_secret() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.path("docker-config")).unwrap();
    // me:hunter2
    std::fs::write(
        env.path("docker-config/config.json"),
        r#"{"auths": {"ghcr.io": {"auth": "bWU6aHVudGVyMg=="}}}"#,
    )
    .unwrap();
    let run = env.msb("plugin explain-auth ghcr.io").success();
    assert!(
        run.stderr.contains("`docker-config` answers for ghcr.io"),
        "{run:?}"
    );
    assert!(run.stdout.contains("used"), "{run:?}");
    let rows = env.json("plugin explain-auth ghcr.io --format json");
    for text in [&run.stdout, &run.stderr, &rows.to_string()] {
        assert!(
            !text.contains("hunter2") && !text.contains("bWU6"),
            "{text}"
        );
    }
    let run = env.msb("plugin explain-auth other.example").success();
    assert!(run.stderr.contains("without credentials"), "{run:?}");
    env.msb("plugin explain-auth a/b")
        .failure(&["is not a registry"]);
}

fn what_is_no_plugin_is_named_in_plain_words() {
    let env = TestEnv::new();
    for (name, bytes, words) in [
        ("empty.wasm", &b""[..], "an empty file"),
        ("page.wasm", b"<html>", "a text, perhaps an error page"),
        ("core.wasm", b"\0asm\x01\0\0\0", "core module"),
        (
            "cut.wasm",
            &std::fs::read(component("vault")).unwrap()[..5000],
            "damaged",
        ),
    ] {
        let path = env.write(name, bytes);
        env.msb(&format!("plugin install {} --yes", path.display()))
            .failure(&[words]);
    }
    env.msb("plugin install ./none.wasm")
        .failure(&["could not read", "none.wasm"]);
    env.msb("plugin install ftp://a/b.wasm")
        .failure(&["neither https"]);
    env.msb(&format!(
        "plugin install {} --name Bad",
        component("vault").display()
    ))
    .failure(&["cannot be the name of a plugin"]);
    env.msb(&format!(
        "plugin install {} --name keychain",
        component("vault").display()
    ))
    .failure(&["ships with msb"]);
    assert_eq!(lock(&env), "");
}

fn names_that_a_terminal_would_obey_are_shown_as_what_they_are() {
    let env = TestEnv::new();
    let path = env.write("\u{1b}[31mred.wasm", b"nothing");
    let mut install = env.command(["plugin", "install"]);
    install.arg(&path);
    let run = Run::of(&mut install);
    assert_eq!(run.code, Some(1));
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
}

fn two_installations_at_once_leave_both() {
    let env = TestEnv::new();
    let children: Vec<_> = ["vault", "image-json", "credential-helper"]
        .iter()
        .map(|name| {
            env.command(["plugin", "install", "--yes"])
                .arg(component(name))
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    env.msb("plugin verify").success();
    assert_eq!(components(&env).len(), 3);
}

fn a_removed_plugin_leaves_nothing() {
    let env = TestEnv::new();
    let path = component("vault");
    env.msb(&format!(
        "plugin install {} --yes --before env",
        path.display()
    ))
    .success();
    env.msb("plugin rm vault").success();
    assert!(components(&env).is_empty());
    assert!(!lock(&env).contains("vault"), "{}", lock(&env));
    env.msb("plugin rm vault")
        .failure(&["there is no plugin `vault`"]);
}

fn a_signature_that_is_wanted_must_be_there_and_right() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    let keys = env.path("key");
    let minisign = |arguments: &[&str]| {
        run(Command::new("minisign")
            .current_dir(env.path(""))
            .args(arguments))
    };
    let public = keys.with_extension("pub").display().to_string();
    let secret = keys.with_extension("sec").display().to_string();
    minisign(&["-G", "-W", "-p", &public, "-s", &secret]);
    env.write_settings(serde_json::json!({"plugins": {"signatures": [
        {"source": env.path("").canonicalize().unwrap(), "key": public},
    ]}}));
    let install = format!("plugin install {}", path.display());
    env.msb(&install).failure(&[
        "not taken for signed",
        ".minisig",
        "do not use it unless you know why; `plugins.signatures` in config.json",
    ]);
    minisign(&["-S", "-s", &secret, "-m", "made.wasm"]);
    env.msb(&install).success();
    assert!(row(&env, "made")["key"].as_str().unwrap().starts_with("RW"));
    let bytes = other_bytes(&std::fs::read(&path).unwrap());
    std::fs::write(&path, &bytes).unwrap();
    env.msb("plugin update made")
        .failure(&["not taken for signed"]);
    minisign(&["-S", "-s", &secret, "-m", "made.wasm"]);
    env.msb("plugin update made").success();
}

fn components(env: &TestEnv) -> Vec<PathBuf> {
    let folder = env.home().join("plugins");
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "wasm"))
        .collect()
}

fn the_format_that_is_written_is_that_of_the_settings() {
    let env = TestEnv::new();
    env.write("app.tar", &Image::new("app:1", &["etc/"]).docker());
    env.msb("load -i app.tar").success();
    for (set, option, is_oci) in [
        ("", "", false),
        ("oci", "", true),
        ("oci", "--format docker", false),
    ] {
        let settings = match set {
            "" => json!({}),
            format => json!({"plugins": {"format": format}}),
        };
        env.write_settings(settings);
        env.msb(&format!("save {option} -o saved.tar app:1"))
            .success();
        let saved = std::fs::read(env.path("saved.tar")).unwrap();
        let marker = b"oci-layout";
        let has = saved.chunks(512).any(|block| block.starts_with(marker));
        assert_eq!(has, is_oci, "{set} {option}");
    }
    let settings = json!({"plugins": {"format": "shelf"}});
    env.write_settings(settings);
    env.msb("save -o other.tar app:1")
        .failure(&["there is no format `shelf` to write"]);
}
