//! How users find their way: help, completion, manual pages, suggestions, `doctor`, `config`, `version`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;
use crate::tools;

tests! {
    the_names_of_local_images_complete_in_bash;
    every_shell_has_its_completion;
    each_command_has_its_manual_page;
    commands_of_other_tools_say_where_to_go;
    a_name_that_is_nearly_one_is_suggested;
    the_doctor_finds_nothing_wrong_with_a_new_home;
    the_doctor_says_what_is_wrong_and_what_to_do;
    the_doctor_asks_registries;
    settings_are_shown_with_where_they_come_from;
    the_version_names_the_formats;
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    for name in ["alpine:3.10", "ghcr.io/my-org/app:v1"] {
        env.write(
            "in.tar",
            &Image::new(name, &[&format!("a = {name}")]).docker(),
        );
        env.msb("load -q -i in.tar").success();
    }
    env
}

fn the_names_of_local_images_complete_in_bash() {
    let env = loaded();
    let script = env.msb("completion bash").success().stdout;
    let script = env.write("completion.bash", script.as_bytes());
    let complete = |words: &[&str]| -> Vec<String> {
        let line = format!(
            "source {}\n\
             function=$(complete -p msb | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
             COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9\n\
             $function msb \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1
        );
        let mut bash = Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        bash.args(["-c", &line]).env("MSB_HOME", env.home()).env(
            "PATH",
            format!("{}:{path}", tools::msb().parent().unwrap().display()),
        );
        let run = Run::of(&mut bash).success();
        run.stdout
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    };
    assert_eq!(
        complete(&["msb", "image", "inspect", "al"]),
        ["alpine:3.10"]
    );
    assert_eq!(complete(&["msb", "rmi", "gh"]), ["ghcr.io/my-org/app:v1"]);
    assert!(complete(&["msb", "pu"]).contains(&"pull".to_owned()));
    let options = complete(&["msb", "image", "prune", "--d"]);
    assert_eq!(options, ["--dangling", "--dry-run", "--debug"]);
    // Nothing is made where there is nothing.
    let nowhere = TestEnv::untouched();
    let mut command = nowhere.command(["--", "msb", "rmi", ""]);
    command
        .env("MSB_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2");
    Run::of(&mut command);
    assert!(!nowhere.home().exists());
}

fn every_shell_has_its_completion() {
    let env = TestEnv::untouched();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = env.msb(&format!("completion {shell}")).success().stdout;
        assert!(script.contains("MSB_COMPLETE"), "{shell}: {script}");
    }
    let script = env.msb("completion bash").success().stdout;
    let script = env.write("completion.bash", script.as_bytes());
    Run::of(Command::new("bash").arg("-n").arg(script)).success();
    assert!(!env.home().exists());
}

fn each_command_has_its_manual_page() {
    let env = TestEnv::untouched();
    let page = env.msb("man").success().stdout;
    assert!(page.contains(".TH msb 1"), "{page}");
    env.msb("man pages").success();
    for name in [
        "msb",
        "msb-pull",
        "msb-image-prune",
        "msb-registry-login",
        "msb-plugin-install",
    ] {
        let page = std::fs::read_to_string(env.path("pages").join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    assert!(!env.path("pages/msb-login.1").exists());
    assert!(!env.home().exists());
}

fn commands_of_other_tools_say_where_to_go() {
    let env = TestEnv::untouched();
    let run = env.msb("inspect alpine");
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("write `msb image inspect alpine`"),
        "{run:?}"
    );
    let help = env.msb("--help").success().stdout;
    assert!(
        !help.contains("inspect ") || !help.contains("  push"),
        "{help}"
    );
    assert!(!env.home().exists());
}

fn a_name_that_is_nearly_one_is_suggested() {
    let env = loaded();
    for (line, suggestion) in [
        ("image inspect alpine", "did you mean alpine:3.10?"),
        ("rmi alpin:3.10", "did you mean alpine:3.10?"),
        (
            "save -o x.tar ghcr.io/my-org/app:v2",
            "did you mean ghcr.io/my-org/app:v1?",
        ),
    ] {
        env.msb(line).failure(&["image not found", suggestion]);
    }
    env.msb("image inspect nothing")
        .failure(&["`msb images` lists what there is"]);
    env.msb("image inspect alpine:3.10").success();
    env.write_settings(r#"{"store": {"max_byte": 5}}"#);
    let run = env.msb("load -q -i in.tar --warn").success();
    assert!(run.stderr.contains("did you mean `max_bytes`?"), "{run:?}");
}

fn checks(env: &TestEnv, arguments: &str) -> (Option<i32>, Vec<Value>) {
    let run = env.msb(&format!("doctor --format json {arguments}"));
    (run.code, serde_json::from_str(&run.stdout).unwrap())
}

fn of<'a>(checks: &'a [Value], area: &str) -> Vec<(&'a str, &'a str)> {
    let of_area = checks.iter().filter(|check| check["area"] == area);
    of_area
        .map(|check| {
            (
                check["state"].as_str().unwrap(),
                check["message"].as_str().unwrap(),
            )
        })
        .collect()
}

fn the_doctor_finds_nothing_wrong_with_a_new_home() {
    let env = TestEnv::untouched();
    let (code, found) = checks(&env, "");
    assert_eq!(code, Some(0), "{found:#?}");
    for area in ["home", "store", "settings", "plugins"] {
        assert!(
            of(&found, area).iter().all(|(state, _)| *state == "ok"),
            "{found:#?}"
        );
        assert!(!of(&found, area).is_empty(), "{area}");
    }
    for area in ["disk", "credentials", "kernel"] {
        assert!(!of(&found, area).is_empty(), "{area}");
    }
    let env = loaded();
    let text = env.msb("doctor").success().stdout;
    assert!(text.contains("2 images"), "{text}");
}

fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let env = loaded();
    env.write_settings("{");
    std::fs::set_permissions(
        env.home().join("config.json"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    std::fs::write(
        env.home().join("db/images.db"),
        "not a database, and long enough",
    )
    .unwrap();
    let (code, found) = checks(&env, "");
    assert_eq!(code, Some(1));
    assert_eq!(of(&found, "settings")[0].0, "error");
    assert_eq!(of(&found, "store")[0].0, "error");
    let cures = found
        .iter()
        .flat_map(|check| check["cures"].as_array().unwrap());
    let cures: Vec<&str> = cures.map(|cure| cure.as_str().unwrap()).collect();
    for cure in ["fix the file", "msb image verify --repair", "chmod go="] {
        assert!(
            cures.iter().any(|it| it.contains(cure)),
            "{cure}: {found:#?}"
        );
    }
    let run = env.msb("doctor").failure(&["checks failed"]);
    assert!(run.stdout.contains("hint: "), "{run:?}");
    // What the cures say works.
    env.write_settings("{}");
    std::fs::set_permissions(
        env.home().join("config.json"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    env.msb("image verify --repair");
    let (code, found) = checks(&env, "");
    assert_eq!(code, Some(0), "{found:#?}");
}

fn the_doctor_asks_registries() {
    let registry = Registry::start();
    let env = TestEnv::new();
    let (code, found) = checks(&env, &format!("--registry {}", registry.host()));
    assert_eq!(code, Some(0), "{found:#?}");
    assert_eq!(of(&found, "registry")[0].0, "ok");
    let host = registry.host();
    drop(registry);
    let (code, found) = checks(&env, &format!("--registry {host}"));
    assert_eq!(code, Some(1), "{found:#?}");
    let (state, message) = of(&found, "registry")[0];
    assert_eq!(state, "error");
    let words = format!("{host} cannot be reached: could not connect to registry {host}");
    assert!(message.starts_with(&words), "{message}");
    assert!(!message.contains("could not pull"), "{message}");
}

fn settings_are_shown_with_where_they_come_from() {
    let env = TestEnv::new();
    env.write_settings(r#"{"limits": {"entries": 7}}"#);
    env.write(
        crate::env::SYSTEM_SETTINGS,
        br#"{"store": {"max_bytes": 123456}}"#,
    );
    let settings = env.json("config --format json");
    let find = |key: &str| {
        let mut all = settings.as_array().unwrap().iter();
        let found = all.find(|setting| setting["key"] == key).unwrap();
        (found["value"].clone(), found["source"].clone())
    };
    assert_eq!(find("limits.entries"), (json!(7), json!("user")));
    assert_eq!(find("store.max_bytes"), (json!(123_456), json!("system")));
    assert_eq!(find("registries.attempts").1, "default");
    assert_eq!(find("MSB_HOME").1, "environment");
    let table = env.msb("config store").success().stdout;
    assert!(table.contains("store.max_bytes    123456"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    env.msb("config nothing")
        .failure(&["no setting begins with", "`msb config` lists all settings"]);
    let schema = env.json("config --schema");
    assert!(schema["properties"]["store"].is_object());
}

fn the_version_names_the_formats() {
    let env = TestEnv::untouched();
    let version = env.json("version --format json");
    let long = env.msb("--version").success().stdout;
    assert_eq!(
        long,
        format!("msb {}\n", version["version"].as_str().unwrap())
    );
    assert_eq!(version["store_format"], 3);
    let page = env.msb("version").success().stdout;
    assert!(page.contains("Store format"), "{page}");
    assert!(!env.home().exists());
}
