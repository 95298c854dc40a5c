//! What the lock keeps of a source: its signature, and what restores the lock.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::Scene;
use crate::env::TestEnv;
use crate::plugins::examples::vault::Vault;
use crate::plugins::{component, components, lock, other_bytes, place, row};
use crate::tests;
use crate::tools::run;

tests! {
    a_signature_is_checked_again_and_again needs Minisign;
    a_key_of_another_kind_is_told needs Minisign;
    the_lock_is_restored_from_what_is_kept_when_the_source_is_gone;
    a_provider_that_answers_is_explained_without_its_secret;
}

/// Makes a pair of keys, and returns the file of the public one.
fn keys(env: &TestEnv) -> PathBuf {
    let (public, secret) = (env.path("key.pub"), env.path("key.sec"));
    run(Command::new("minisign")
        .args(["-G", "-W", "-p"])
        .arg(&public)
        .arg("-s")
        .arg(secret));
    public
}

fn sign(env: &TestEnv, file: &str) {
    run(Command::new("minisign")
        .current_dir(env.path(""))
        .args(["-S", "-s", "key.sec", "-m", file]));
}

fn a_signature_is_checked_again_and_again() {
    let env = TestEnv::new();
    place(&env, "image-json", "made.wasm");
    keys(&env);
    sign(&env, "made.wasm");
    env.msb("plugin install ./made.wasm --key key.pub")
        .success();
    env.msb("plugin verify").success();
    let whole = lock(&env);
    let path = env.home().join("plugins/plugins.lock");
    // Who changes bytes and digest alike has no signature for them.
    let bytes = other_bytes(&std::fs::read(env.path("made.wasm")).unwrap());
    let (old, new) = (
        row(&env, "made")["sha256"].clone(),
        crate::archive::sha256(&bytes),
    );
    let forged = whole.replace(old.as_str().unwrap(), &new);
    std::fs::write(&path, forged).unwrap();
    let file = components(&env).remove(0);
    let forged_file = file.with_file_name(format!("{}.wasm", new.replace(':', "_")));
    assert_eq!(
        file.file_name().unwrap().to_str().unwrap(),
        format!("{}.wasm", old.as_str().unwrap().replace(':', "_"))
    );
    std::fs::write(&forged_file, &bytes).unwrap();
    env.msb("plugin verify").failure(&[
        "the signature does not verify with key",
        "1 of 1 plugins are damaged",
    ]);
    env.msb("plugin install --locked")
        .failure(&["not taken for signed"]);
    std::fs::write(&path, &whole).unwrap();
    env.msb("plugin verify").success();
    // A key without its signature is no proof.
    let mut lines: Vec<&str> = whole.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("[plugin.signed]"))
        .unwrap();
    let rest = lines.split_off(at);
    let rest = rest
        .iter()
        .skip(1)
        .skip_while(|line| !line.starts_with('['));
    let without = lines
        .into_iter()
        .chain(rest.copied())
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(&path, without).unwrap();
    env.msb("plugin verify")
        .failure(&["has no signature of it"]);
    env.msb("plugin install --locked").success();
    env.msb("plugin verify").success();
}

fn a_key_of_another_kind_is_told() {
    let scene = Scene::new();
    let env = &scene.env;
    let key = keys(env);
    let bytes = std::fs::read(component("image-json")).unwrap();
    let layer = scene.server.put_blob(&bytes);
    let config = scene.server.put_blob(b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": layer, "size": bytes.len()}],
    });
    scene.server.put_manifest("acme/made", "1", &manifest);
    let reference = format!("{}/acme/made:1", scene.server.host());
    env.msb(&format!(
        "plugin install {reference} --key {}",
        key.display()
    ))
    .failure(&[
        "a key of minisign signs files and what is at an address, and this comes from a registry",
        "hint: ",
        "cosign sign --key",
    ]);
    assert_eq!(lock(env), "");
    env.msb(&format!("plugin install {reference}")).success();
}

fn the_lock_is_restored_from_what_is_kept_when_the_source_is_gone() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    env.msb("plugin install ./made.wasm").success();
    let digest = row(&env, "made")["sha256"].as_str().unwrap().to_owned();
    std::fs::remove_file(&path).unwrap();
    let before = lock(&env);
    env.msb("plugin install --locked").success();
    assert_eq!(lock(&env), before);
    // What was kept is damaged as well.
    let kept = components(&env).remove(0);
    std::fs::write(&kept, b"garbage").unwrap();
    let refused = env.msb("plugin install --locked").failure(&[
        "plugin `made` is not kept here, and",
        "made.wasm",
        "could not read",
        "hint: ",
        &digest,
    ]);
    assert_eq!(refused.stdout, "");
    assert_eq!(lock(&env), before);
    place(&env, "image-json", "made.wasm");
    env.msb("plugin install --locked").success();
    env.msb("plugin verify").success();
}

fn a_provider_that_answers_is_explained_without_its_secret() {
    let env = TestEnv::new();
    place(&env, "vault", "vault.wasm");
    let vault = Vault::with_lease(60);
    let token = env.write("vault-token", b"hvs.secret-token\n");
    let settings = json!({"plugins": {"settings": {"vault": {
        "address": format!("http://{}", vault.address),
        "token_file": token,
        "registries": {"registry.example": "registries/app"},
    }}}});
    env.write_settings(settings);
    let files = format!("files={}", token.display());
    env.msb(&format!(
        "plugin install ./vault.wasm --grant {files} --grant clock --grant {}",
        vault.grant()
    ))
    .success();
    let explain = |registry: &str| {
        let run = env
            .msb(&format!("plugin explain-auth {registry}"))
            .success();
        let rows = env.json(&format!("plugin explain-auth {registry} --format json"));
        for text in [&run.stdout, &run.stderr, &rows.to_string()] {
            assert!(
                !text.contains("secret-vault") && !text.contains("hvs."),
                "{text}"
            );
        }
        (run, rows)
    };
    let (run, rows) = explain("registry.example");
    assert!(
        run.stderr.contains("`vault` answers for registry.example"),
        "{run:#?}"
    );
    let rows: Vec<&Value> = rows.as_array().unwrap().iter().collect();
    let order: Vec<_> = rows
        .iter()
        .map(|row| row["provider"].as_str().unwrap())
        .collect();
    assert_eq!(
        order,
        ["keychain", "env", "secret-file", "vault", "docker-config"]
    );
    let used: Vec<_> = rows.iter().filter(|row| row["used"] == true).collect();
    assert_eq!(used.len(), 1);
    assert_eq!(
        (&used[0]["provider"], &used[0]["tier"], &used[0]["answers"]),
        (&json!("vault"), &json!("installed"), &json!(true))
    );
    let line = run
        .stdout
        .lines()
        .find(|line| line.contains("vault"))
        .unwrap();
    assert!(line.contains("used") && line.contains("ann"), "{line}");
    // It is not asked in vain about what it does not know.
    let (run, rows) = explain("other.example");
    assert!(run.stderr.contains("without credentials"), "{run:#?}");
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .all(|row| row["used"] == false)
    );
    // Without its permission it says so, and the search ends there.
    env.msb(&format!("plugin revoke vault {}", vault.grant()))
        .success();
    let (run, rows) = explain("registry.example");
    assert!(
        run.stderr.contains("ends with the fault of `vault`"),
        "{run:#?}"
    );
    assert!(run.stdout.contains("msb plugin grant vault"), "{run:#?}");
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .all(|row| row["used"] == false)
    );
}
