//! Where plugins come from when that place fails, and what the lock has when it is gone.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{component, components, lock, other_bytes, place, row};
use crate::env::{Run, TestEnv};
use crate::faulty::fault::{self, Fault};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::plugins::examples::Vault;
use crate::tests;
use crate::tools::run;

tests! {
    a_server_that_is_out_of_order_for_a_moment_is_asked_again;
    a_server_that_stays_out_of_order_is_told;
    a_file_that_breaks_off_is_fetched_again_from_its_beginning;
    a_file_that_is_not_there_is_not_asked_for_twice;
    redirects_are_followed_and_do_not_lead_to_plain_http_elsewhere;
    what_is_no_component_is_said_of_an_address_as_well;
    what_is_too_large_is_not_fetched;
    what_is_secret_in_an_address_is_neither_kept_nor_shown;
    an_update_from_an_address_whose_secret_was_not_kept_says_what_to_do;
    a_signature_is_checked_again_and_again needs Minisign;
    a_key_of_another_kind_is_told needs Minisign;
    the_lock_is_restored_from_what_is_kept_when_the_source_is_gone;
    a_provider_that_answers_is_explained_without_its_secret;
}

/// A server with a component, and a home to install it in.
struct Scene {
    env: TestEnv,
    server: Registry,
    digest: String,
}

impl Scene {
    fn new() -> Self {
        let (env, server) = (TestEnv::new(), Registry::start());
        let digest = server.put_blob(&std::fs::read(component("image-json")).unwrap());
        let settings = json!({"registries": {"retry_delay_ms": 10, "attempts": 3}});
        env.write_settings(settings);
        Self {
            env,
            server,
            digest,
        }
    }

    fn install(&self) -> Run {
        let url = self.server.url(&format!("/v2/x/blobs/{}", self.digest));
        self.env.msb(&format!("plugin install {url} --name made"))
    }

    fn on(&self) -> On {
        On::Blob(self.digest.clone())
    }

    fn fault(&self, times: usize, fault: Fault) {
        self.server.fault(self.on(), times, fault);
    }

    fn asked(&self) -> usize {
        self.server.asked(&self.on()).len()
    }

    /// Asserts that the installation fails in these words and leaves nothing, and that it succeeds
    /// when the server has healed.
    #[track_caller]
    fn fails(&self, words: &[&str]) {
        self.install().failure(words);
        assert_eq!(lock(&self.env), "");
        assert!(!self.env.home().join("plugins").exists() || components(&self.env).is_empty());
        self.server.heal();
        self.install().success();
        self.env.msb("plugin verify").success();
    }
}

fn a_server_that_is_out_of_order_for_a_moment_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let scene = Scene::new();
        scene.fault(2, fault::status(status));
        scene.install().success();
        assert_eq!(scene.asked(), 3, "{status}");
    }
    let scene = Scene::new();
    scene.fault(2, fault::instead(Answer::new(0, Vec::new())));
    scene.install().success();
}

fn a_server_that_stays_out_of_order_is_told() {
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::status(503));
    let host = scene.server.host();
    let asked = scene.asked();
    scene
        .install()
        .failure(&["could not fetch", &host, "the server answered 503"]);
    assert_eq!(scene.asked() - asked, 3);
    scene.fails(&["503"]);
}

fn a_file_that_breaks_off_is_fetched_again_from_its_beginning() {
    for cut in [fault::close_after(50_000), fault::reset_after(50_000)] {
        let scene = Scene::new();
        scene.fault(1, cut.clone());
        scene.install().success();
        assert_eq!(row(&scene.env, "made")["sha256"], scene.digest);
        let offsets: Vec<_> = scene.server.asked(&scene.on());
        assert!(offsets.iter().all(|request| request.offset().is_none()));
        let scene = Scene::new();
        scene.fault(ALWAYS, cut);
        scene.fails(&["could not fetch", &scene.server.host()]);
    }
}

fn a_file_that_is_not_there_is_not_asked_for_twice() {
    for status in [401, 403, 404, 410] {
        let scene = Scene::new();
        scene.fault(ALWAYS, fault::status(status));
        let words = format!("the server answered {status}");
        scene.install().failure(&["could not fetch", &words]);
        assert_eq!(scene.asked(), 1, "{status}");
        scene.fails(&[&words]);
    }
}

fn redirects_are_followed_and_do_not_lead_to_plain_http_elsewhere() {
    let scene = Scene::new();
    let elsewhere = Registry::start();
    scene.server.redirect_blobs(&elsewhere, 1);
    scene.install().success();
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::redirect("http://plugins.example/a.wasm"));
    scene.fails(&["could not fetch", "only HTTPS"]);
    let scene = Scene::new();
    let circle = scene.server.url(&format!("/v2/x/blobs/{}", scene.digest));
    scene.fault(ALWAYS, fault::redirect(&circle));
    scene.fails(&["redirects more than 10 times"]);
}

fn what_is_no_component_is_said_of_an_address_as_well() {
    for (body, words) in [
        (
            &b"<!doctype html><title>Log in</title>"[..],
            "perhaps an error page",
        ),
        (b"", "an empty file"),
    ] {
        let scene = Scene::new();
        scene.fault(ALWAYS, fault::instead(Answer::new(200, body.to_vec())));
        scene.fails(&["plugin `made` cannot be used", words]);
    }
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::resized(-1000));
    scene.fails(&["plugin `made` cannot be used", "damaged"]);
}

fn what_is_too_large_is_not_fetched() {
    let scene = Scene::new();
    let large = 33 << 20;
    scene.fault(ALWAYS, fault::lying_length(large));
    scene.fails(&["is larger than 33554432 bytes"]);
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::resized(large));
    scene.fault(ALWAYS, fault::no_length());
    scene.fails(&["is larger than 33554432 bytes"]);
}

#[track_caller]
fn no_secret(scene: &Scene, run: &Run) {
    for text in [&run.stdout, &run.stderr, &lock(&scene.env)] {
        // `secret-file` is a plugin of msb.
        let other = text.replace("secret-file", "");
        assert!(!other.contains("secret-"), "{text}");
    }
}

fn what_is_secret_in_an_address_is_neither_kept_nor_shown() {
    let scene = Scene::new();
    let path = format!("/v2/x/blobs/{}?token=secret-token&raw=1", scene.digest);
    let url = scene.server.url(&path);
    let run = scene.env.msb(&format!("plugin install {url} --name made"));
    no_secret(&scene, &run.success());
    assert!(lock(&scene.env).contains("?token=***&raw=1"));
    // It was asked for with all of it.
    assert_eq!(scene.server.asked(&scene.on())[0].path, path);
    for line in [
        "plugin ls",
        "plugin ls --format json",
        "plugin inspect made",
        "plugin verify",
    ] {
        no_secret(&scene, &scene.env.msb(line).success());
    }
    let missing = url.replace("sha256:", "sha256:0");
    let with_password = url.replace("http://", "http://me:secret-pass@");
    let nowhere = "http://127.0.0.1:1/a.wasm?sig=secret-signature";
    for bad in [
        missing.as_str(),
        &with_password,
        nowhere,
        "https://me:secret-/pass@host/a.wasm",
        "ftp://me:secret-pass@host/a.wasm?secret-token",
        "https://host.invalid/a.wasm?X-Amz-Signature=secret-signature",
    ] {
        let run = scene.env.msb(&format!("plugin install {bad} --name other"));
        no_secret(&scene, &run.failure(&[]));
    }
}

fn an_update_from_an_address_whose_secret_was_not_kept_says_what_to_do() {
    let scene = Scene::new();
    let path = format!("/v2/x/blobs/{}?token=secret-token", scene.digest);
    let url = scene.server.url(&path);
    let install = format!("plugin install {url} --name made");
    scene.env.msb(&install).success();
    let run = scene.env.msb("plugin update made");
    run.failure(&["token=***", "was not kept", "hint: ", "msb plugin remove"]);
    // What is advised helps.
    scene.env.msb("plugin remove made").success();
    scene.env.msb(&install).success();
    // What is kept is restored without asking.
    scene.env.msb("plugin install --locked").success();
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
        "plugin `made` is not kept here any more",
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
