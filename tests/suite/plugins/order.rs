//! Which plugins are listed, enabled and asked, and in which order.

use serde_json::{Value, json};

use super::{component, names, place, row};
use crate::archive::Image;
use crate::env::TestEnv;
use crate::tests;

tests! {
    what_ships_with_msb_is_listed_and_is_no_different_from_what_is_installed;
    what_is_disabled_is_not_asked_and_a_builtin_can_be_disabled_too;
    the_order_is_the_users_and_settings_come_before_it;
    the_format_that_is_written_is_that_of_the_settings;
    who_asks_is_explained_without_a_secret;
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
    // Its very bytes, installed from elsewhere, take its place.
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
