//! Plugins that were built for earlier versions of the contract: they work in this msb as they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{component, row};
use crate::archive::{Image, archive};
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::plugins::examples::vault::Vault;
use crate::tests;

tests! {
    a_format_of_the_first_contract_loads_and_saves;
    a_provider_of_the_first_contract_answers_with_all_that_it_had;
}

/// The name of the interface that a component of the first contract exports.
fn is_of_the_first_contract(name: &str, export: &str) {
    let bytes = std::fs::read(component(name)).unwrap();
    let export = format!("msb:plugin/{export}@0.1.0");
    let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    assert!(has(export.as_bytes()) && !has(b"@0.1.1"), "{name}");
}

fn a_format_of_the_first_contract_loads_and_saves() {
    is_of_the_first_contract("contract-0-1-0-format", "archive");
    let env = TestEnv::new();
    let path = component("contract-0-1-0-format");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    assert_eq!(row(&env, "contract-0-1-0-format")["api"], "0.1.0");
    let image = Image::new(
        "old:1",
        &["etc/\netc/hosts = here", "etc/\netc/motd = made"],
    );
    let files = [
        ("config.json".to_owned(), image.config_bytes()),
        ("first.tar".to_owned(), image.layers[0].clone()),
        ("second.tar".to_owned(), image.layers[1].clone()),
    ];
    env.write("old.tar", &archive(&files));
    env.msb("load -i old.tar").success();
    assert_eq!(
        env.json("image inspect old:1 --format json")["id"],
        image.id()
    );
    env.msb("save --format old -o again.tar old:1").success();
    let saved = std::fs::read(env.path("again.tar")).unwrap();
    let mut saved = tar::Archive::new(&saved[..]);
    let paths = saved.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        entry.path().unwrap().display().to_string()
    });
    let paths: Vec<String> = paths.collect();
    for path in [
        "old",
        "old/config",
        "config.json",
        "first.tar",
        "second.tar",
    ] {
        assert!(paths.iter().any(|it| it == path), "{path} in {paths:?}");
    }
    env.msb("image rm old:1").success();
    env.msb("load -i again.tar").success();
}

fn a_provider_of_the_first_contract_answers_with_all_that_it_had() {
    is_of_the_first_contract("contract-0-1-0-provider", "credentials");
    let env = TestEnv::new();
    let registry = Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    registry.accept_password(&STANDARD.encode("7:secret-old"));
    let server = Vault::answering(200, &json!(7));
    let file = env.write("password", b"secret-old\n");
    let settings = json!({"plugins": {"settings": {"old": {
        "url": format!("http://{}/login", server.address),
        "file": file,
    }}}});
    env.write_settings(settings);
    env.msb(&format!(
        "plugin install {} --name old --grant env=OLD_TOKEN --grant files={} --grant clock \
         --grant http=POST@http://{}",
        component("contract-0-1-0-provider").display(),
        file.display(),
        server.address,
    ))
    .success();
    let mut pull = env.command(["pull", &format!("{}/app:1", registry.host())]);
    pull.env("OLD_TOKEN", "secret-token");
    crate::env::Run::of(&mut pull).success();
    let asked = &server.asked()[0];
    assert_eq!(asked.header("x-token"), Some("secret-token"));
    assert_eq!(asked.header("authorization"), Some("Bearer made"));
    assert_eq!(asked.body, b"question");
    let listed = env.msb("registry ls").success();
    assert!(listed.stdout.contains("old.example.com"), "{listed:#?}");
}
