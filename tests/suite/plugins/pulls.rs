//! Installed plugins at work: a pull with their answers, and archives in their formats.

use serde_json::json;

use super::{component, lock, place, row};
use crate::archive::{Image, architecture};
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::plugins::examples::vault::Vault;
use crate::tests;

tests! {
    a_denied_pull_names_the_grant_with_which_it_works;
    a_format_is_loaded_with_until_it_is_disabled;
    a_plugin_is_installed_from_an_address;
    what_plugins_take_is_shown_to_those_who_look_for_faults;
}

fn a_denied_pull_names_the_grant_with_which_it_works() {
    let env = TestEnv::new();
    place(&env, "vault", "vault.wasm");
    let registry = Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    // ann:secret-vault
    registry.accept_password("YW5uOnNlY3JldC12YXVsdA==");
    let vault = Vault::with_lease(60);
    let token = env.write("vault-token", b"hvs.secret-token\n");
    let settings = json!({"plugins": {"settings": {"vault": {
        "address": format!("http://{}", vault.address),
        "token_file": token,
        "registries": {registry.host(): "registries/app"},
    }}}});
    env.write_settings(settings);
    let files = format!("files={}", token.display());
    env.msb(&format!(
        "plugin install ./vault.wasm --grant {files} --grant clock"
    ))
    .success();
    let pull = format!("pull {}/app:1", registry.host());
    let grant = format!("msb plugin grant vault {}", vault.grant());
    let denied = env.msb(&pull).failure(&[&grant]);
    assert!(!denied.stderr.contains("secret-"), "{denied:#?}");
    env.msb(&grant["msb ".len()..]).success();
    env.msb(&pull).success();
    let explained = env
        .msb(&format!("plugin explain-auth {}", registry.host()))
        .success();
    assert!(explained.stdout.contains("vault"), "{explained:#?}");
    assert!(!explained.stdout.contains("secret-vault"), "{explained:#?}");
    env.msb("plugin disable vault").success();
    env.msb(&format!("pull --force {}/app:1", registry.host()))
        .failure(&[]);
}

fn a_format_is_loaded_with_until_it_is_disabled() {
    let env = TestEnv::new();
    place(&env, "image-json", "image-json.wasm");
    std::fs::create_dir_all(env.path("motd")).unwrap();
    let document = json!({
        "image-json": 1,
        "references": ["example.com/motd:1"],
        "config": {"architecture": architecture()},
        "layers": [[{"path": "motd", "text": "welcome\n"}]],
    });
    env.write("motd/image.json", document.to_string().as_bytes());
    let unknown = "no installed format plugin recognises this archive";
    env.msb("load -i motd").failure(&[unknown]);
    env.msb("plugin install ./image-json.wasm").success();
    env.msb("load -i motd").success();
    assert_eq!(env.references(), ["example.com/motd:1"]);
    env.msb("plugin disable image-json").success();
    env.msb("load -i motd").failure(&[unknown]);
}

fn a_plugin_is_installed_from_an_address() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let digest = registry.put_blob(&std::fs::read(component("vault")).unwrap());
    let url = registry.url(&format!("/v2/x/blobs/{digest}"));
    env.msb(&format!("plugin install {url} --name vault --yes"))
        .success();
    assert_eq!(row(&env, "vault")["sha256"], digest);
    let before = lock(&env);
    env.msb("plugin install http://plugins.example/a.wasm")
        .failure(&["HTTPS"]);
    assert_eq!(lock(&env), before);
}

fn what_plugins_take_is_shown_to_those_who_look_for_faults() {
    let env = TestEnv::new();
    let path = env.write("app.tar", &Image::new("app:1", &["etc/"]).docker());
    let load = format!("load -i {}", path.display());
    let run = env.msb(&format!("--debug {load}")).success();
    for step in ["making it ready", "making an instance", "`read`"] {
        let words = format!("plugin docker-archive: {step} took ");
        assert!(run.stderr.contains(&words), "no {words} in {run:#?}");
    }
    assert!(!env.msb(&load).success().stderr.contains(" took "));
}
