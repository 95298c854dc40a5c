//! `msb plugin`: what is installed with which consent, pinned, ordered, replaced, and told.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::examples::Vault;
use crate::faulty::Registry;
use crate::terminal::Terminal;
use crate::tests;

tests! {
    what_ships_with_msb_is_listed_in_its_order;
    without_a_terminal_an_installation_names_the_command_that_consents;
    a_terminal_is_asked needs Tmux;
    what_is_installed_is_shown_and_kept_in_the_lock;
    a_denied_call_names_the_grant_which_then_works;
    a_login_of_an_installed_plugin_is_pulled_with;
    a_format_that_is_installed_is_loaded_with;
    a_changed_component_is_named_and_not_run;
    a_locked_installation_fetches_what_is_pinned_and_nothing_else;
    an_update_that_wants_more_asks_and_one_that_wants_the_same_does_not;
    a_plugin_takes_the_place_of_one_that_ships_with_msb;
    plugins_are_disabled_ordered_and_removed;
    the_settings_come_before_the_order_of_the_lock;
    what_is_no_plugin_is_refused_in_plain_words;
    nothing_a_plugin_says_of_itself_is_obeyed_by_a_terminal;
    two_installations_at_once_are_both_there;
    a_plugin_is_installed_from_a_registry;
    a_plugin_is_installed_from_an_address;
    a_missing_signature_is_an_error_where_one_is_wanted;
    a_broken_lock_is_named_and_kept;
}

const MISBEHAVING: &str = "misbehaving-credentials";

fn component(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSB_COMPONENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/target/components"),
        PathBuf::from,
    );
    folder.join(name).with_extension("wasm")
}

/// Returns a home beside which there is a component.
fn with_component(name: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write(
        &format!("{name}.wasm"),
        &std::fs::read(component(name)).unwrap(),
    );
    env
}

/// Writes a component with some of its text changed to other text of the same length.
fn patch(env: &TestEnv, name: &str, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(component(name)).unwrap();
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    env.write(&format!("{name}.wasm"), &bytes);
}

fn lock(env: &TestEnv) -> String {
    std::fs::read_to_string(env.home().join("plugins/plugins.lock")).unwrap_or_default()
}

/// Returns the names of what is listed, in its order.
fn names(env: &TestEnv) -> Vec<String> {
    let rows = env.json("plugin ls --format json");
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

fn row(env: &TestEnv, name: &str) -> Value {
    let rows = env.json("plugin ls --format json");
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row["name"] == name).unwrap().clone()
}

/// Returns what a provider says when it is asked about a registry.
fn said(env: &TestEnv, registry: &str, provider: &str) -> Value {
    let rows = env.json(&format!("plugin explain-auth {registry} --format json"));
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row["provider"] == provider)
        .unwrap()
        .clone()
}

fn configure(env: &TestEnv, settings: &Value) {
    std::fs::create_dir_all(env.home()).unwrap();
    std::fs::write(env.home().join("config.json"), settings.to_string()).unwrap();
}

fn what_ships_with_msb_is_listed_in_its_order() {
    let env = TestEnv::new();
    let expected = [
        "docker-archive",
        "oci-layout",
        "keychain",
        "env",
        "secret-file",
        "docker-config",
    ];
    assert_eq!(names(&env), expected);
    let table = env.msb("plugin ls").success().stdout;
    assert!(table.starts_with("NAME "), "{table}");
    assert!(table.contains("ships with msb"), "{table}");
    assert_eq!(row(&env, "env")["grants"], json!(["env=@configured"]));
    env.msb("plugin rm env")
        .failure(&["plugin `env` ships with msb", "msb plugin disable env"]);
    env.msb("plugin inspect nobody")
        .failure(&["there is no plugin `nobody`", "hint: plugins are docker"]);
}

fn without_a_terminal_an_installation_names_the_command_that_consents() {
    let env = with_component("vault");
    let run = env.msb("plugin install vault.wasm").failure(&[
        "plugin `vault` asks for permissions, and there is no terminal",
        "Kind:      credential: a secrets server",
        "API:       0.1.0",
        "Digest:    sha256:",
        "env=VAULT_TOKEN  (the token that opens the server)",
        "hint: if you agree: msb plugin install vault.wasm --grant env=VAULT_TOKEN --grant ",
    ]);
    assert_eq!(lock(&env), "");
    // The very command works.
    let (_, line) = run.stderr.split_once("if you agree: msb ").unwrap();
    let mut shell = std::process::Command::new("sh");
    let msb = crate::tools::msb().display().to_string();
    shell
        .args(["-c", &format!("{msb} {}", line.trim())])
        .current_dir(env.path(""))
        .env("MSB_HOME", env.home());
    Run::of(&mut shell).success();
    let grants = row(&env, "vault")["grants"].clone();
    assert_eq!(grants.as_array().unwrap().len(), 4, "{grants}");
}

fn a_terminal_is_asked() {
    let env = with_component("vault");
    let terminal = Terminal::new(&env);
    terminal.enter("clear; msb plugin install vault.wasm; echo exit $?");
    terminal.wait_for("Install it with these permissions? [y/N]");
    terminal.enter("n");
    let screen = terminal.wait_for("exit 0");
    assert!(screen.contains("Aborted."), "{screen}");
    assert_eq!(lock(&env), "");
    terminal.enter("clear; msb plugin install vault.wasm; echo done $?");
    terminal.wait_for("[y/N]");
    terminal.enter("y");
    terminal.wait_for("done 0");
    assert!(lock(&env).contains("\"env=VAULT_TOKEN\""));
}

fn what_is_installed_is_shown_and_kept_in_the_lock() {
    let env = with_component("vault");
    let run = env
        .msb("plugin install vault.wasm --grant env=VAULT_TOKEN")
        .success();
    assert!(run.stderr.contains("✓ Installed    vault"), "{run:#?}");
    assert!(
        run.stderr
            .contains("it also asks for clock: `msb plugin grant vault clock`"),
        "{run:#?}"
    );
    let details = env.json("plugin inspect vault --format json");
    assert_eq!(details["kind"], "credential");
    assert_eq!(details["api"], "0.1.0");
    assert_eq!(details["builtin"], false);
    assert_eq!(details["grants"], json!(["env=VAULT_TOKEN"]));
    assert_eq!(details["asks"][0]["granted"], true);
    assert_eq!(details["asks"][1]["granted"], false);
    let digest = details["sha256"].as_str().unwrap();
    let file = format!("plugins/{}.wasm", digest.replace(':', "_"));
    assert!(env.home().join(file).is_file());
    let lock = lock(&env);
    for words in [digest, "vault.wasm\"", "api = \"0.1.0\"", "env=VAULT_TOKEN"] {
        assert!(lock.contains(words), "{words}: {lock}");
    }
    let page = env.msb("plugin inspect vault").success().stdout;
    assert!(page.contains("May use:\n  env=VAULT_TOKEN\n"), "{page}");
    // Once more is no change.
    let run = env.msb("plugin install vault.wasm").success();
    assert!(run.stderr.contains("the same as before"), "{run:#?}");
    assert_eq!(self::lock(&env), lock);
    // Other bytes under the same name are no update.
    patch(&env, "vault", "a secrets server", "A secrets server");
    env.msb("plugin install vault.wasm --yes").failure(&[
        "there is a plugin `vault` already",
        "msb plugin update vault",
    ]);
    assert_eq!(self::lock(&env), lock);
}

fn a_denied_call_names_the_grant_which_then_works() {
    let env = with_component(MISBEHAVING);
    env.msb("plugin install misbehaving-credentials.wasm --grant env=NOTHING")
        .success();
    let before = said(&env, "clock", MISBEHAVING);
    let words = "msb plugin grant misbehaving-credentials clock`";
    assert!(before["said"].as_str().unwrap().contains(words), "{before}");
    env.msb("plugin grant misbehaving-credentials clock")
        .success();
    let after = said(&env, "clock", MISBEHAVING);
    assert!(
        after["said"].as_str().unwrap().contains("it is 1"),
        "{after}"
    );
    env.msb("plugin revoke misbehaving-credentials clock")
        .success();
    assert_eq!(said(&env, "clock", MISBEHAVING), before);
}

fn a_login_of_an_installed_plugin_is_pulled_with() {
    let env = with_component("vault");
    let registry = Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    // ann:secret-vault
    registry.accept_password("YW5uOnNlY3JldC12YXVsdA==");
    let vault = Vault::with_lease(60);
    let token = env.write("vault-token", b"hvs.secret-token\n");
    configure(
        &env,
        &json!({"plugins": {"settings": {"vault": {
            "address": format!("http://{}", vault.address),
            "token_file": token,
            "registries": {registry.host(): "registries/app"},
        }}}}),
    );
    let files = format!("files={}", token.display());
    env.msb(&format!(
        "plugin install vault.wasm --grant {files} --grant clock"
    ))
    .success();
    let pull = format!("pull {}/app:1", registry.host());
    let grant = format!("msb plugin grant vault {}", vault.grant());
    let denied = env.msb(&pull).failure(&[&grant]);
    assert!(!denied.stderr.contains("secret-"), "{denied:#?}");
    env.msb(&grant["msb ".len()..]).success();
    env.msb(&pull).success();
    let answer = said(&env, &registry.host(), "vault");
    assert_eq!(answer["outcome"], "answers");
    assert!(!answer.to_string().contains("secret-vault"), "{answer}");
    env.msb("plugin disable vault").success();
    env.msb(&pull.replace("pull", "pull --force")).failure(&[]);
}

fn a_format_that_is_installed_is_loaded_with() {
    let env = with_component("image-json");
    std::fs::create_dir_all(env.path("motd")).unwrap();
    let document = json!({
        "image-json": 1,
        "references": ["example.com/motd:1"],
        "config": {"architecture": crate::archive::architecture()},
        "layers": [[{"path": "motd", "text": "welcome\n"}]],
    });
    env.write("motd/image.json", document.to_string().as_bytes());
    env.msb("load -i motd")
        .failure(&["no installed format plugin recognises this archive"]);
    env.msb("plugin install image-json.wasm").success();
    env.msb("load -i motd").success();
    assert_eq!(env.references(), ["example.com/motd:1"]);
    env.msb("plugin disable image-json").success();
    env.msb("load -i motd")
        .failure(&["no installed format plugin recognises this archive"]);
}

fn a_changed_component_is_named_and_not_run() {
    let env = with_component(MISBEHAVING);
    env.msb("plugin install misbehaving-credentials.wasm --yes")
        .success();
    let digest = row(&env, MISBEHAVING)["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = env
        .home()
        .join(format!("plugins/{}.wasm", digest.replace(':', "_")));
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let words = format!("is not what was installed, {digest}");
    env.msb("plugin verify").failure(&[
        "✗ Verifying    misbehaving-credentials",
        &words,
        "msb plugin install --locked",
    ]);
    let answer = said(&env, "good", MISBEHAVING);
    assert!(
        answer["said"].as_str().unwrap().contains(&words),
        "{answer}"
    );
    let run = env.msb("plugin verify --format json").failure(&[]);
    let rows: Value = serde_json::from_str(&run.stdout).unwrap();
    let bad: Vec<_> = rows.as_array().unwrap().iter().collect();
    let bad: Vec<_> = bad.into_iter().filter(|row| row["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{rows}");
    env.msb("plugin install --locked").success();
    env.msb("plugin verify").success();
}

fn a_locked_installation_fetches_what_is_pinned_and_nothing_else() {
    let env = with_component("vault");
    env.msb("plugin install vault.wasm --yes").success();
    let before = lock(&env);
    // Elsewhere there is the lock file alone.
    let other = env.path("elsewhere");
    std::fs::create_dir_all(other.join("plugins")).unwrap();
    std::fs::write(other.join("plugins/plugins.lock"), &before).unwrap();
    let locked = |source: &str| {
        let mut command = env.command(["plugin", "install", "--locked"]);
        command
            .args(source.split_whitespace())
            .env("MSB_HOME", &other);
        Run::of(&mut command)
    };
    locked("other.wasm").failure(&["the lock file has no plugin from"]);
    locked("").success();
    let run = locked("vault.wasm").success();
    assert!(
        run.stderr.contains("Everything in the lock file"),
        "{run:#?}"
    );
    for file in std::fs::read_dir(other.join("plugins")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|it| it == "wasm") {
            std::fs::remove_file(path).unwrap();
        }
    }
    patch(&env, "vault", "a secrets server", "A secrets server");
    locked("").failure(&["and the lock file wants sha256:", "msb plugin update"]);
    let kept = std::fs::read_to_string(other.join("plugins/plugins.lock")).unwrap();
    assert_eq!(kept, before);
}

fn an_update_that_wants_more_asks_and_one_that_wants_the_same_does_not() {
    let env = with_component(MISBEHAVING);
    env.msb("plugin install misbehaving-credentials.wasm --yes")
        .success();
    let run = env.msb("plugin update").success();
    assert!(run.stderr.contains("Up to date"), "{run:#?}");
    let first = row(&env, MISBEHAVING)["sha256"].clone();
    patch(&env, MISBEHAVING, "Breaks the rules", "Breaks all rules");
    let run = env.msb("plugin update --check").success();
    assert!(run.stderr.contains("asks for the same"), "{run:#?}");
    assert_eq!(row(&env, MISBEHAVING)["sha256"], first);
    env.msb("plugin update").success();
    let second = row(&env, MISBEHAVING);
    assert_eq!(second["title"], "Breaks all rules");
    assert_eq!(second["grants"], json!(["env=MISBEHAVING_*"]));
    patch(&env, MISBEHAVING, "MISBEHAVING_*", "AWS_SECRET_AC");
    let before = lock(&env);
    env.msb("plugin update").failure(&[
        "It asks for more than before:\n    env=AWS_SECRET_AC",
        "msb plugin update misbehaving-credentials --grant env=AWS_SECRET_AC",
    ]);
    assert_eq!(lock(&env), before);
    env.msb("plugin update misbehaving-credentials --grant env=AWS_SECRET_AC")
        .success();
    assert_eq!(
        row(&env, MISBEHAVING)["grants"],
        json!(["env=AWS_SECRET_AC", "env=MISBEHAVING_*"])
    );
    // Of three versions the last is kept.
    let files = std::fs::read_dir(env.home().join("plugins")).unwrap();
    assert_eq!(files.count(), 2);
}

fn a_plugin_takes_the_place_of_one_that_ships_with_msb() {
    let env = with_component(MISBEHAVING);
    let line = "plugin install misbehaving-credentials.wasm --name docker-config";
    env.msb(line).failure(&["Replaces:  `docker-config`"]);
    env.msb(&format!("{line} --yes")).success();
    let rows = env.json("plugin ls --format json");
    let rows: Vec<&Value> = rows.as_array().unwrap().iter().collect();
    let own: Vec<&&Value> = rows
        .iter()
        .filter(|row| row["name"] == "docker-config")
        .collect();
    assert_eq!(own.len(), 2);
    assert_eq!(own[0]["builtin"], false);
    assert_eq!(own[1]["replaced_by"], "docker-config");
    let answer = said(&env, "good", "docker-config");
    assert_eq!(answer["outcome"], "answers");
    env.msb("plugin rm docker-config").success();
    assert_eq!(row(&env, "docker-config")["replaced_by"], Value::Null);
    // What is of another kind cannot have the name.
    env.msb("plugin install misbehaving-credentials.wasm --name oci-layout --yes")
        .failure(&["there is a plugin `oci-layout` already, from msb itself"]);
}

fn plugins_are_disabled_ordered_and_removed() {
    let env = with_component(MISBEHAVING);
    env.msb("plugin install misbehaving-credentials.wasm --yes --name mine --before keychain")
        .success();
    assert_eq!(names(&env)[2..4], ["mine", "keychain"]);
    env.msb("plugin order mine --after docker-config").success();
    assert_eq!(names(&env)[5..], ["docker-config", "mine"]);
    env.msb("plugin order mine --before oci-layout")
        .failure(&["formats and credential providers are asked apart"]);
    env.msb("plugin order mine --before mine")
        .failure(&["they are the same"]);
    env.msb("plugin disable mine docker-archive").success();
    assert_eq!(row(&env, "mine")["enabled"], false);
    let rows = env.json("plugin explain-auth good --format json");
    assert!(!rows.to_string().contains("mine"), "{rows}");
    env.write("a.tar", &Image::new("app:1", &["a = b"]).docker());
    env.msb("save --format docker -o x app:1")
        .failure(&["there is no format `docker`"]);
    env.msb("plugin enable mine docker-archive").success();
    env.msb("load -i a.tar").success();
    assert_eq!(said(&env, "good", "mine")["outcome"], "answers");
    env.msb("plugin rm mine").success();
    assert_eq!(names(&env).len(), 6);
    let left: Vec<_> = std::fs::read_dir(env.home().join("plugins"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(left, ["plugins.lock"]);
}

fn the_settings_come_before_the_order_of_the_lock() {
    let env = TestEnv::new();
    configure(
        &env,
        &json!({"plugins": {
            "order": ["docker-config"],
            "limits": {"keychain": {"memory_mib": 2, "wall_secs": 3}},
        }}),
    );
    assert_eq!(names(&env)[0], "docker-config");
    let limits = env.json("plugin inspect keychain --format json")["limits"].clone();
    assert_eq!(limits["memory_bytes"], 2 << 20);
    assert_eq!(limits["wall_secs"], 3);
    configure(&env, &json!({"plugins": {"order": ["No"]}}));
    env.msb("plugin ls").failure(&["plugins.order[0]"]);
}

fn what_is_no_plugin_is_refused_in_plain_words() {
    let env = TestEnv::new();
    for (bytes, words) in [
        (&b"#!/bin/sh\n"[..], "WebAssembly"),
        (b"", "WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x0d\0\x01\0", "package of interfaces (WIT)"),
    ] {
        env.write("bad.wasm", bytes);
        env.msb("plugin install bad.wasm --yes").failure(&[words]);
    }
    env.msb("plugin install missing.wasm")
        .failure(&["could not read `", "missing.wasm"]);
    env.msb("plugin install ftp://a/b.wasm")
        .failure(&["neither https, oci nor file"]);
    assert_eq!(lock(&env), "");
}

fn nothing_a_plugin_says_of_itself_is_obeyed_by_a_terminal() {
    let env = TestEnv::new();
    patch(
        &env,
        MISBEHAVING,
        "to see what is there",
        "\u{1b}[2J\u{1b}[31m so nice to",
    );
    let refused = env.msb("plugin install misbehaving-credentials.wasm");
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let _ = env.msb("plugin install misbehaving-credentials.wasm --yes");
    for line in ["plugin ls", "plugin ls --format json", "plugin verify"] {
        let run = env.msb(line).success();
        assert!(!run.stdout.contains('\u{1b}'), "{run:#?}");
    }
    for name in names(&env) {
        let page = env.msb(&format!("plugin inspect {name}")).success();
        assert!(!page.stdout.contains('\u{1b}'), "{page:#?}");
    }
    assert!(!refused.stderr.contains('\u{1b}'), "{refused:#?}");
}

fn two_installations_at_once_are_both_there() {
    let env = with_component(MISBEHAVING);
    std::thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let env = &env;
            scope.spawn(move || {
                let line = "plugin install misbehaving-credentials.wasm --yes --name";
                env.msb(&format!("{line} {name}")).success();
            });
        }
    });
    let names = names(&env);
    for name in ["one", "two", "three"] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
    // One component is shared, and stays until the last is gone.
    env.msb("plugin rm one two").success();
    env.msb("plugin verify three").success();
}

fn a_plugin_is_installed_from_a_registry() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let bytes = std::fs::read(component("vault")).unwrap();
    let digest = registry.put_blob(&bytes);
    let config = registry.put_blob(b"{}");
    let descriptor = |media_type: &str, digest: &str, size: usize| json!({"mediaType": media_type, "digest": digest, "size": size});
    registry.put_manifest(
        "acme/vault",
        "1.0",
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.wasm.config.v0+json", &config, 2),
            "layers": [descriptor("application/wasm", &digest, bytes.len())],
        }),
    );
    registry.put_image("app", "1", &Image::new("", &["a = b"]));
    let host = registry.host();
    env.msb(&format!("plugin install {host}/app:1"))
        .failure(&["is not a plugin: it is an image of a container"]);
    env.msb(&format!("plugin install {host}/acme/vault:1.0 --yes"))
        .success();
    let details = env.json("plugin inspect vault --format json");
    assert_eq!(details["source"], format!("oci://{host}/acme/vault:1.0"));
    assert_eq!(details["sha256"], digest);
    assert!(details["manifest"].as_str().unwrap().starts_with("sha256:"));
    let run = env.msb("plugin update").success();
    assert!(run.stderr.contains("Up to date"), "{run:#?}");
}

fn a_plugin_is_installed_from_an_address() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let digest = registry.put_blob(&std::fs::read(component("vault")).unwrap());
    let url = registry.url(&format!("/v2/x/blobs/{digest}"));
    env.msb(&format!("plugin install {url} --name vault --yes"))
        .success();
    assert_eq!(row(&env, "vault")["sha256"], digest);
    env.msb("plugin install http://plugins.example/a.wasm")
        .failure(&["only HTTPS keeps others from changing what is fetched"]);
}

fn a_missing_signature_is_an_error_where_one_is_wanted() {
    let env = with_component("vault");
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    configure(
        &env,
        &json!({"plugins": {"signatures": [{"source": "/", "key": key}]}}),
    );
    let words = "has no valid signature, which the settings want at `plugins.signatures[0]`";
    env.msb("plugin install vault.wasm --yes")
        .failure(&[words, "`.minisig`"]);
    env.write("vault.wasm.minisig", b"nonsense");
    env.msb("plugin install vault.wasm --yes")
        .failure(&[words, "the signature is not one of minisign"]);
    assert_eq!(lock(&env), "");
}

fn a_broken_lock_is_named_and_kept() {
    let env = TestEnv::new();
    let path = env.home().join("plugins/plugins.lock");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for (text, words) in [("version = 9", "has form 9"), ("nonsense", "is not valid")] {
        std::fs::write(&path, text).unwrap();
        for line in ["plugin ls", "plugin disable env", "pull app"] {
            env.msb(line).failure(&["plugins.lock", words]);
        }
        assert_eq!(lock(&env), text);
    }
}
