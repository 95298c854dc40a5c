//! The guide to writing plugins: its files are those of new projects, and those that it shows beside
//! are built, installed and used, out of the document alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::keeper;
use super::languages::{Guarded, PASSWORD, USER};
use super::row;
use super::scaffold::NewPlugin;
use super::workshop::{build, provide};
use crate::env::{Run, TestEnv};
use crate::plugins::examples::vault::Vault;
use crate::tests;

tests! {
    the_files_of_the_guide_are_those_of_new_projects;
    the_provider_of_the_guide_in_c_is_the_one_that_has_every_role;
    a_provider_in_c_passes_the_tests_of_the_guide needs CForWasm;
    a_provider_of_the_guide_in_python_asks_a_server
        needs PythonForWasm, DockerRegistry, Htpasswd, Skopeo;
    a_provider_of_the_guide_in_javascript_asks_a_server_through_wasi
        needs JavaScriptForWasm, DockerRegistry, Htpasswd, Skopeo;
}

const TOKEN: &str = "secret-token";

/// Returns the files that the guide shows: blocks of code below a comment with their path, whose
/// first part says which project they belong to.
fn files() -> BTreeMap<(&'static str, &'static Path), &'static str> {
    let guide = include_str!("../../../docs/plugin-authors.md");
    let blocks = guide.split("<!-- file: ").skip(1);
    blocks
        .map(|rest| {
            let (path, rest) = rest.split_once(" -->\n```").unwrap();
            let (_, rest) = rest.split_once('\n').unwrap();
            let (project, path) = path.split_once('/').unwrap();
            let text = rest.split("\n```\n").next().unwrap();
            ((project, Path::new(path)), text)
        })
        .collect()
}

fn the_files_of_the_guide_are_those_of_new_projects() {
    let files = files();
    let mut compared = 0;
    for (project, name, kind, language) in [
        ("python-credential", "my-login", "credential", "python"),
        ("python-format", "shelf", "format", "python"),
        (
            "javascript-credential",
            "my-login",
            "credential",
            "javascript",
        ),
    ] {
        let plugin = NewPlugin::new(name, kind, language);
        for ((_, path), text) in files.iter().filter(|((of, _), _)| *of == project) {
            let made = std::fs::read_to_string(plugin.folder.join(path)).unwrap();
            assert_eq!(made.trim_end(), *text, "{project}/{}", path.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 4);
}

/// The table of roles of the providers is run over it.
fn the_provider_of_the_guide_in_c_is_the_one_that_has_every_role() {
    let files = files();
    for (path, text) in [("provider.c", keeper::C), ("wit/world.wit", keeper::WORLD)] {
        assert_eq!(text.trim_end(), files[&("c-credential", Path::new(path))]);
    }
}

/// Returns the commands of the guide that make a component of a provider in C.
pub(super) fn build_in_c() -> String {
    let guide = include_str!("../../../docs/plugin-authors.md");
    let (_, section) = guide.split_once("\n## In C\n").unwrap();
    let commands = section.split("\n```sh\n").nth(1).unwrap();
    let commands = commands.split("\n```\n").next().unwrap().lines();
    let commands: Vec<_> = commands
        .filter(|line| {
            let other = ["apt-get ", "cargo install ", "msb "];
            !other.iter().any(|program| line.starts_with(program))
        })
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    commands.join("\n")
}

fn a_provider_in_c_passes_the_tests_of_the_guide() {
    let env = TestEnv::new();
    env.write("box.wasm", &keeper::in_c());
    let tested = env.msb("plugin test box.wasm").success().stdout;
    assert!(tested.contains("passed"), "{tested}");
    env.msb("plugin install box.wasm --yes").success();
    let row = row(&env, "box");
    assert_eq!(row["grants"], json!(["helper=box"]));
    assert!(!row["imports"].to_string().contains("wasi:"), "{row}");
}

/// Returns a project in which the files of the guide have taken the place of those that it had.
fn project(name: &str, language: &str) -> NewPlugin {
    let plugin = NewPlugin::new("logins", "credential", language);
    for ((_, path), text) in files().iter().filter(|((of, _), _)| *of == name) {
        let path: PathBuf = plugin.folder.join(path);
        assert!(path.is_file(), "{}", path.display());
        std::fs::write(path, format!("{text}\n")).unwrap();
    }
    provide(&plugin.folder);
    plugin
}

/// Asserts that a provider pulls with what a server says, if and only if it may ask it.
fn assert_asks(plugin: &NewPlugin, grants: &[&str]) {
    let env = &plugin.env;
    let server = Vault::answering(
        200,
        &json!({"username": USER, "password": PASSWORD, "seconds": 600}),
    );
    let registry = Guarded::start();
    let settings = json!({"logins": {"address": format!("http://{}", server.address)}});
    let settings = json!({"plugins": {"settings": settings}});
    env.write_settings(settings);
    let grants = grants.join(" --grant ");
    env.msb(&format!(
        "plugin install logins/logins.wasm --grant {grants}"
    ))
    .success();
    let pull = || {
        let mut command = env.command(registry.pull().split(' '));
        Run::of(command.env("LOGINS_TOKEN", TOKEN))
    };

    let grant = format!("plugin grant logins {}", server.grant());
    let denied = pull().failure(&[&format!("msb {grant}")]);
    assert!(!denied.stderr.contains("secret-"), "{denied:?}");
    assert_eq!(server.asked().len(), 0);

    // Another server and another method are no more allowed than none.
    for other in [
        "GET@http://127.0.0.1:9",
        &format!("POST@http://{}", server.address),
    ] {
        env.msb(&format!("plugin grant logins http={other}"))
            .success();
    }
    pull().failure(&[&format!("msb {grant}")]);
    assert_eq!(server.asked().len(), 0);

    env.msb(&grant).success();
    pull().success();
    let asked = server.asked();
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(asked[0].header("authorization"), Some(&*bearer));
    assert_eq!(
        asked[0].path,
        format!("/{}", registry.host().replace(':', "%3A"))
    );
}

fn a_provider_of_the_guide_in_python_asks_a_server() {
    let plugin = project("logins-python", "python");
    let line = ".venv/bin/componentize-py -d wit -w plugin componentize -p src --stub-wasi \
                provider -o logins.wasm";
    build(&plugin, line, "logins.wasm");
    assert_asks(&plugin, &["env=LOGINS_TOKEN", "clock"]);
    let imports = row(&plugin.env, "logins")["imports"].to_string();
    assert!(
        !imports.contains("wasi:") && !imports.contains("reveal"),
        "{imports}"
    );
}

fn a_provider_of_the_guide_in_javascript_asks_a_server_through_wasi() {
    let plugin = project("logins-javascript", "javascript");
    build(&plugin, "npm run build", "logins.wasm");
    assert_asks(&plugin, &["env=LOGINS_TOKEN", "clock", "reveal"]);
    let imports = row(&plugin.env, "logins")["imports"].to_string();
    assert!(imports.contains("wasi:http/outgoing-handler"), "{imports}");
    assert!(!imports.contains("msb:plugin/http"), "{imports}");
}
