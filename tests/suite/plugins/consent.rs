//! What the user agrees to, and what an update may not make of it: another kind, name, place,
//! registries, operations, permissions, source or signer.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{component, lock, other_bytes, place, row};
use crate::cli::terminal::Terminal;
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    an_update_that_takes_the_place_of_another_is_asked_about;
    an_update_that_is_asked_about_more_registries_is_asked_about;
    an_update_that_does_more_is_asked_about_and_one_that_does_less_is_not;
    permissions_that_are_named_are_no_word_on_what_else_is_more;
    the_question_of_an_update_says_what_is_more needs Tmux;
    a_plugin_that_takes_a_place_is_not_installed_unasked;
    what_can_be_sent_is_said needs Tmux;
    a_lock_that_says_less_than_the_component_is_refused;
    a_lock_of_an_earlier_msb_is_read_and_compared;
    a_key_that_was_named_stays_wanted_beside_those_of_the_settings needs Minisign;
    another_signer_is_asked_about needs Minisign;
    a_policy_is_about_a_place_however_it_is_written needs Minisign;
}

/// Changes what the lock says of the only plugin.
fn amend(env: &TestEnv, from: &str, to: &str) {
    let text = lock(env);
    assert!(text.contains(from), "no {from} in {text}");
    let path = env.home().join("plugins/plugins.lock");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Installs a component as `mine`, and puts other bytes of it at its source.
fn changed(env: &TestEnv, name: &str) -> PathBuf {
    let path = place(env, name, "mine.wasm");
    env.msb(&format!("plugin install {} --yes --quiet", path.display()))
        .success();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, other_bytes(&bytes)).unwrap();
    path
}

fn an_update_that_takes_the_place_of_another_is_asked_about() {
    let env = TestEnv::untouched();
    let path = place(&env, "image-json", "mine.wasm");
    env.msb(&format!("plugin install {} -q", path.display()))
        .success();
    let before = lock(&env);
    std::fs::copy(component("oci-layout"), &path).unwrap();
    env.msb("plugin update -q").failure(&[
        "plugin `mine` is more than you have agreed to, and there is no terminal to ask you",
        "hint: it provides `oci` and provided `image-json`",
        "hint: it takes the place of oci-layout",
        "hint: to agree to all of it: msb plugin update mine --yes\n",
    ]);
    assert_eq!(lock(&env), before);
    assert_eq!(row(&env, "oci-layout")["replaced_by"], Value::Null);
    let check = env.msb("plugin update --check");
    assert!(
        check
            .stdout
            .contains("  it takes the place of oci-layout\n"),
        "{check:?}"
    );
    let run = env.msb("plugin update mine --yes --quiet").success();
    assert!(
        run.stderr
            .contains("note: mine takes the place of oci-layout\n"),
        "{run:?}"
    );
    assert!(
        lock(&env).contains("replaces = \"oci-layout\""),
        "{}",
        lock(&env)
    );
}

fn an_update_that_is_asked_about_more_registries_is_asked_about() {
    let env = TestEnv::new();
    changed(&env, "vault");
    amend(
        &env,
        "registries = [\"*\"]",
        "registries = [\"vault.example\"]",
    );
    let before = lock(&env);
    env.msb("plugin update mine").failure(&[
        "hint: it is also asked about *\n",
        "msb plugin update mine --yes",
    ]);
    assert_eq!(lock(&env), before);
    env.msb("plugin update mine --yes").success();
    // Now it is agreed to.
    let path = env.path("mine.wasm");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, other_bytes(&bytes)).unwrap();
    env.msb("plugin update mine").success();
}

fn an_update_that_does_more_is_asked_about_and_one_that_does_less_is_not() {
    let env = TestEnv::new();
    changed(&env, "credential-helper");
    let operations = |text: &str| {
        let start = text.find("operations = ").unwrap();
        let end = start + text[start..].find(']').unwrap() + 1;
        text[start..end].to_owned()
    };
    let all = operations(&lock(&env));
    assert!(all.contains("store") && all.contains("erase"), "{all}");
    amend(&env, &all, "operations = []");
    let refused = env
        .msb("plugin update mine")
        .failure(&["it can also store"]);
    assert!(refused.stderr.contains("erase"), "{refused:?}");
    amend(
        &env,
        "operations = []",
        "operations = [\"store\", \"erase\", \"list\", \"report\"]",
    );
    env.msb("plugin update mine").success();
    assert_eq!(operations(&lock(&env)), all);
}

fn permissions_that_are_named_are_no_word_on_what_else_is_more() {
    let env = TestEnv::new();
    changed(&env, "vault");
    amend(
        &env,
        "registries = [\"*\"]",
        "registries = [\"vault.example\"]",
    );
    let before = lock(&env);
    env.msb("plugin update mine --grant clock").failure(&[
        "it is also asked about *",
        "msb plugin update mine --yes --grant clock\n",
    ]);
    assert_eq!(lock(&env), before);
    env.msb("plugin update mine --yes --grant clock").success();
    assert_eq!(row(&env, "mine")["grants"], serde_json::json!(["clock"]));
}

fn the_question_of_an_update_says_what_is_more() {
    let env = TestEnv::new();
    changed(&env, "vault");
    amend(
        &env,
        "registries = [\"*\"]",
        "registries = [\"vault.example\"]",
    );
    let terminal = Terminal::new(&env);
    terminal.enter("msb plugin update mine; echo DONE-$?");
    let screen = terminal.wait_for("[y/N]");
    for words in [
        "More than now",
        "it is also asked about *",
        "Limits",
        "64 MiB",
        "Update it",
    ] {
        assert!(screen.contains(words), "no {words} on\n{screen}");
    }
    terminal.enter("n");
    terminal.wait_for("DONE-0");
    assert!(lock(&env).contains("vault.example"));
}

fn a_plugin_that_takes_a_place_is_not_installed_unasked() {
    let env = TestEnv::untouched();
    let path = component("oci-layout");
    let install = format!("plugin install {} --name mine", path.display());
    env.msb(&format!("{install} -q")).failure(&[
        "plugin `mine` takes the place of another, and there is no terminal to ask you",
        "hint: it takes the place of oci-layout",
        "--name mine --yes\n",
    ]);
    assert_eq!(lock(&env), "");
    env.msb(&format!("{install} --yes -q")).success();
}

fn what_can_be_sent_is_said() {
    let env = TestEnv::new();
    place(&env, "vault", "vault.wasm");
    let terminal = Terminal::new(&env);
    terminal.enter("clear; msb plugin install ./vault.wasm; echo DONE-$?");
    let screen = terminal.wait_for("[y/N]");
    assert!(screen.contains("Together"), "{screen}");
    assert!(
        screen.contains("it can send what `env=VAULT_TOKEN`"),
        "{screen}"
    );
    terminal.enter("n");
    terminal.wait_for("DONE-0");
}

fn a_lock_that_says_less_than_the_component_is_refused() {
    let env = TestEnv::new();
    let path = component("vault");
    env.msb(&format!("plugin install {} --yes", path.display()))
        .success();
    amend(
        &env,
        "registries = [\"*\"]",
        "registries = [\"vault.example\"]",
    );
    let before = lock(&env);
    env.msb("plugin install --locked").failure(&[
        "plugin `vault` is more than the lock says: it is also asked about *",
        "hint: take a plugins.lock that was agreed to",
    ]);
    assert_eq!(lock(&env), before);
}

fn a_lock_of_an_earlier_msb_is_read_and_compared() {
    let env = TestEnv::new();
    changed(&env, "vault");
    let text = lock(&env);
    let start = text.find("[plugin.limits]").unwrap();
    let end = start + text[start..].find("\n\n").unwrap();
    amend(&env, &text[start..end], "");
    env.msb("plugin ls").success();
    env.msb("plugin update mine").success();
    assert!(lock(&env).contains("memory_mib = 64"), "{}", lock(&env));
}

/// Two keys of minisign, and a folder whose files they sign.
struct Signers {
    env: TestEnv,
}

impl Signers {
    fn new() -> Self {
        let signers = Self {
            env: TestEnv::new(),
        };
        for key in ["a", "b"] {
            let (public, secret) = (format!("{key}.pub"), format!("{key}.sec"));
            signers.minisign(&["-G", "-W", "-p", &public, "-s", &secret]);
        }
        place(&signers.env, "image-json", "mine.wasm");
        signers
    }

    fn minisign(&self, arguments: &[&str]) {
        run(Command::new("minisign")
            .current_dir(self.env.path(""))
            .args(arguments));
    }

    fn sign(&self, key: &str) {
        self.minisign(&["-S", "-s", &format!("{key}.sec"), "-m", "mine.wasm"]);
    }

    fn change(&self) {
        let path = self.env.path("mine.wasm");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, other_bytes(&bytes)).unwrap();
    }

    /// Wants what comes from a source to be signed with a key.
    fn want(&self, source: &str, key: &str) {
        let key = self.env.path(&format!("{key}.pub"));
        let policy = serde_json::json!({"source": source, "key": key});
        let settings = serde_json::json!({"plugins": {"signatures": [policy]}});
        self.env.write_settings(settings);
    }

    fn folder(&self) -> String {
        self.env
            .path("")
            .canonicalize()
            .unwrap()
            .display()
            .to_string()
    }
}

fn a_key_that_was_named_stays_wanted_beside_those_of_the_settings() {
    let signers = Signers::new();
    signers.sign("a");
    signers
        .env
        .msb("plugin install ./mine.wasm --key a.pub")
        .success();
    signers.want(&signers.folder(), "b");
    signers.change();
    signers.sign("b");
    // The signature is one of b, which the settings want; a was wanted by name.
    signers
        .env
        .msb("plugin update mine --yes")
        .failure(&["not taken for signed"]);
}

fn another_signer_is_asked_about() {
    let signers = Signers::new();
    signers.want(&signers.folder(), "a");
    signers.sign("a");
    signers.env.msb("plugin install ./mine.wasm").success();
    signers.want(&signers.folder(), "b");
    signers.change();
    signers.sign("b");
    signers
        .env
        .msb("plugin update mine")
        .failure(&["it is signed with `RW", "and was signed with `RW"]);
    signers.env.msb("plugin update mine --yes").success();
}

fn a_policy_is_about_a_place_however_it_is_written() {
    let signers = Signers::new();
    signers.want(&signers.folder(), "a");
    let folder = signers.folder();
    for source in [
        "./mine.wasm".to_owned(),
        format!("{folder}/mine.wasm"),
        format!("/{folder}/mine.wasm"),
        format!("file://{folder}/mine.wasm"),
        "file:///proc/self/cwd/mine.wasm".to_owned(),
        format!(
            "file://{folder}/../{}/mine.wasm",
            folder.rsplit('/').next().unwrap()
        ),
    ] {
        signers
            .env
            .msb(&format!("plugin install {source}"))
            .failure(&["not taken for signed"]);
    }
    // However the place is written in the settings.
    std::os::unix::fs::symlink(&folder, signers.env.path("link")).unwrap();
    signers.want(&format!("{folder}/link/"), "a");
    signers
        .env
        .msb("plugin install ./mine.wasm")
        .failure(&["not taken for signed"]);
}
