//! `msb plugin new`: what it makes is built, tested, installed and used as its README says.

mod new_plugin;

use std::sync::PoisonError;

use serde_json::json;

use self::new_plugin::{AT_WORK, in_rust, prepare};
pub(super) use self::new_plugin::{NewPlugin, built_in_rust};
use super::{names, row};
use crate::archive::Image;
use crate::cli::commands::assert_prints;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;
use crate::tools::run;

tests! {
    a_new_provider_in_rust_logs_in_where_its_readme_says needs RustForWasm;
    a_new_format_in_rust_saves_and_loads needs RustForWasm;
    a_new_project_in_rust_is_formatted_and_without_warnings needs RustForWasm;
    what_was_made_and_what_comes_next_is_printed;
    a_new_project_in_python_says_that_compiling_takes_more_time_than_msb_gives;
    what_is_no_name_or_language_is_refused_and_nothing_written;
    a_folder_with_something_in_it_is_left_as_it_is;
    the_code_of_the_guide_is_that_of_new_projects;
}

fn a_new_provider_in_rust_logs_in_where_its_readme_says() {
    let plugin = in_rust("my-login", "credential");
    let env = &plugin.env;
    let row = row(env, "my-login");
    assert_eq!(row["version"], "0.1.0", "that of Cargo.toml");
    assert_eq!(
        row["grants"],
        json!(["env=MY_LOGIN_TOKEN", "files=~/.my-login-token"])
    );
    let registry = Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    // ann:opensesame
    registry.accept_password("YW5uOm9wZW5zZXNhbWU=");
    // The settings of the README, for another registry.
    let readme = std::fs::read_to_string(plugin.folder.join("README.md")).unwrap();
    let settings = readme.split("```json\n").nth(1).unwrap();
    let settings = settings.split("```").next().unwrap();
    let settings = settings.replace("registry.example.com", &registry.host());
    env.write_settings(settings);

    let pull = format!("pull --force {}/app:1", registry.host());
    env.msb(&pull)
        .failure(&["MY_LOGIN_TOKEN is not set", "~/.my-login-token"]);
    let mut with_variable = env.command(pull.split(' '));
    Run::of(with_variable.env("MY_LOGIN_TOKEN", "opensesame")).success();
    std::fs::create_dir_all(env.path("user-home")).unwrap();
    env.write("user-home/.my-login-token", b"opensesame\n");
    env.msb(&pull).success();
    env.msb("plugin revoke my-login files=~/.my-login-token")
        .success();
    env.msb(&pull)
        .failure(&["msb plugin grant my-login 'files=~/.my-login-token'"]);
}

fn a_new_format_in_rust_saves_and_loads() {
    let plugin = in_rust("shelf", "format");
    let env = &plugin.env;
    let row = row(env, "shelf");
    assert_eq!(row["version"], "0.1.0", "that of Cargo.toml");
    assert_eq!(row["grants"], json!([]));
    let image = Image::new("app:1", &["etc/\netc/hosts = here", "srv/new = y"]);
    env.write("app.tar", &image.docker());
    env.msb("load -i app.tar").success();
    for line in [
        "save --format shelf --output one.tar app:1",
        "save --format shelf -o two.tar app:1",
    ] {
        env.msb(line).success();
    }
    let saved = std::fs::read(env.path("one.tar")).unwrap();
    assert_eq!(saved, std::fs::read(env.path("two.tar")).unwrap());

    // With an archive of its own, nothing that can be tested of a format is left out.
    let component = plugin
        .folder
        .join("target/wasm32-unknown-unknown/release/shelf.wasm");
    let test = format!("plugin test {} --archive one.tar", component.display());
    let tested = env.msb(&test).success().stdout;
    let samples = tested.lines().filter(|line| line.contains(" samples"));
    assert!(samples.clone().count() >= 3, "{tested}");
    assert!(
        samples.clone().all(|line| line.starts_with("passed")),
        "{tested}"
    );

    let other = TestEnv::new();
    let unknown = "no installed format plugin recognises this archive";
    other.write("one.tar", &saved);
    other.msb("load -i one.tar").failure(&[unknown]);
    env.msb("rmi app:1").success();
    env.msb("load -i one.tar").success();
    let rows = env.json("images --format json");
    assert_eq!(rows[0]["id"], image.id());
    assert_eq!(env.references(), ["app:1"]);
    env.msb("image verify app:1").success();
    env.msb("save -o back.tar app:1").success();
}

fn a_new_project_in_rust_is_formatted_and_without_warnings() {
    for kind in ["format", "credential"] {
        // Long and short: where a line breaks depends on it.
        for name in ["x", "abcdefghijklmnopqrstuvwxyz-abcde"] {
            let plugin = NewPlugin::new(name, kind, "rust");
            prepare(&plugin.folder);
            run(&mut plugin.shell("cargo fmt --check"));
            if name == "x" {
                let _alone = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
                run(&mut plugin
                    .shell("cargo clippy --all-targets -- --deny warnings -W clippy::pedantic"));
            }
        }
    }
}

fn what_was_made_and_what_comes_next_is_printed() {
    let env = TestEnv::untouched();
    let made = env.msb("plugin new my-login --kind credential --lang rust --path a/b");
    assert_prints(
        &env,
        &made,
        "exit 0
         --- stdout
         --- stderr
            ✓ Created      a/b ([…] files)
         next:
           cd a/b
           rustup target add wasm32-unknown-unknown
           cargo test
           cargo plugin
           msb plugin test target/wasm32-unknown-unknown/release/my_login.wasm --settings settings.json
           msb plugin install target/wasm32-unknown-unknown/release/my_login.wasm
         README.md has the rest: permissions, publishing, signing",
    );
    assert!(!env.home().exists(), "no home is needed");
    let quiet = env.msb("plugin new --quiet shelf --kind format --lang rust");
    assert_eq!(quiet.success().stderr, "");
    assert!(env.path("shelf/Cargo.toml").is_file());
}

/// What the README shows of config.json gives it as well: the tests of projects in Python use it.
fn a_new_project_in_python_says_that_compiling_takes_more_time_than_msb_gives() {
    for kind in ["credential", "format"] {
        let plugin = NewPlugin::new("shelf", kind, "python");
        let readme = std::fs::read_to_string(plugin.folder.join("README.md")).unwrap();
        assert!(
            readme.contains("`plugins.limits.shelf.compile_secs` to 60"),
            "{readme}"
        );
        for block in readme.split("```json\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let settings: serde_json::Value = serde_json::from_str(block).unwrap();
            assert_eq!(settings["plugins"]["limits"]["shelf"]["compile_secs"], 60);
        }
    }
}

fn what_is_no_name_or_language_is_refused_and_nothing_written() {
    let env = TestEnv::untouched();
    let run = env.msb("plugin new My_Login --kind format --lang rust");
    assert_prints(
        &env,
        &run,
        "exit 1
         --- stdout
         --- stderr
         error: `My_Login` is not a name for a plugin
         hint: a name has lower-case ASCII letters, digits and single dashes, at most 32 of them, begins with a letter and does not end with a dash",
    );
    let run = env.msb("plugin new serde --kind format --lang rust");
    assert_prints(
        &env,
        &run,
        "exit 1
         --- stdout
         --- stderr
         error: `serde` cannot be the name of a plugin in Rust, where it is the name of a library that the project uses",
    );
    let run = env.msb("plugin new docker-archive --kind format --lang rust");
    assert_prints(
        &env,
        &run,
        "exit 1
         --- stdout
         --- stderr
         error: `docker-archive` is the name of a plugin that ships with msb
         hint: choose another name: a plugin with this one cannot be installed",
    );
    for line in [
        "plugin new x --kind format --lang perl",
        "plugin new x --kind nonsense --lang rust",
        "plugin new x --kind format",
        "plugin new x --lang rust",
        "plugin new --kind format --lang rust",
    ] {
        let run = env.msb(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
    }
    let perl = env.msb("plugin new x --kind format --lang perl");
    assert!(perl.stderr.contains("[possible values: rust"), "{perl:?}");
    assert_eq!(std::fs::read_dir(env.path("")).unwrap().count(), 0);
}

fn a_folder_with_something_in_it_is_left_as_it_is() {
    let env = TestEnv::new();
    let line = "plugin new shelf --kind format --lang rust";
    std::fs::create_dir(env.path("shelf")).unwrap();
    env.write("shelf/notes", b"mine");
    let run = env.msb(line);
    assert_prints(
        &env,
        &run,
        "exit 1
         --- stdout
         --- stderr
         error: `[DIR]/shelf` exists and is not an empty folder
         hint: name another directory with --path",
    );
    let left = std::fs::read_dir(env.path("shelf")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes"]);
    env.write("file", b"mine");
    env.msb(&format!("{line} --path file/below"))
        .failure(&["file"]);
    assert_eq!(std::fs::read(env.path("file")).unwrap(), b"mine");
    std::fs::create_dir(env.path("empty")).unwrap();
    env.msb(&format!("{line} --path empty")).success();
    assert_eq!(
        names(&env.msb("plugin order")),
        names(&TestEnv::new().msb("plugin order"))
    );
}

fn the_code_of_the_guide_is_that_of_new_projects() {
    let guide = include_str!("../../../docs/plugin-authors.md");
    let section = guide.split("\n## In Rust\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let projects = [("my-login", "credential"), ("shelf", "format")];
    let sources = projects.map(|(name, kind)| {
        let plugin = NewPlugin::new(name, kind, "rust");
        std::fs::read_to_string(plugin.folder.join("src/lib.rs")).unwrap()
    });
    let blocks: Vec<&str> = section
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    for part in blocks
        .iter()
        .flat_map(|block| block.trim_end().split("\n\n"))
    {
        let is_there = sources.iter().any(|source| source.contains(part));
        assert!(
            is_there,
            "plugins/templates has other code than the guide:\n{part}"
        );
    }
    for source in &sources {
        let code = source.split("#[cfg(test)]").next().unwrap().trim_end();
        let is_whole = blocks.iter().any(|block| block.trim_end() == code);
        assert!(is_whole, "the guide does not have this:\n{code}");
    }
}
