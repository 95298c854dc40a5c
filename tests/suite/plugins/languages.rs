//! Plugins in Python and JavaScript: what `msb plugin new` makes is built with the tools of its
//! authors, tested, installed, and used with a real registry, as its README says.

use serde_json::json;

use super::row;
use super::scaffold::NewPlugin;
use super::workshop::{build, finished, provide};
use crate::archive::Image;
use crate::docker_registry::DockerRegistry;
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_new_provider_in_python_logs_in_where_its_readme_says
        needs PythonForWasm, DockerRegistry, Htpasswd, Skopeo;
    a_new_provider_in_javascript_logs_in_where_its_readme_says
        needs JavaScriptForWasm, DockerRegistry, Htpasswd, Skopeo;
    the_same_javascript_is_a_plugin_with_another_engine
        needs JavaScriptForWasm, DockerRegistry, Htpasswd, Skopeo;
    with_wasi_python_says_where_it_stopped_and_gets_nothing_more
        needs PythonForWasm, DockerRegistry, Htpasswd, Skopeo;
    with_wasi_javascript_says_where_it_stopped needs JavaScriptForWasm;
    new_formats_in_python_and_javascript_save_and_load_the_same
        needs PythonForWasm, JavaScriptForWasm;
}

pub(super) const USER: &str = "ann";
pub(super) const PASSWORD: &str = "secret-word";

/// A registry that lets in [`USER`] alone, and has the image `app:1`.
pub(super) struct Guarded {
    registry: DockerRegistry,
}

impl Guarded {
    pub(super) fn start() -> Self {
        let registry = DockerRegistry::with_password(USER, PASSWORD);
        let image = Image::new("app:1", &["etc/\netc/hosts = here"]);
        registry.push_as(USER, PASSWORD, "app:1", &image);
        Self { registry }
    }

    pub(super) fn host(&self) -> &str {
        self.registry.host()
    }

    pub(super) fn pull(&self) -> String {
        format!("pull --force {}/app:1", self.host())
    }
}

/// Puts what a README shows of config.json into the home, for another registry.
fn configure(plugin: &NewPlugin, registry: &str) {
    let readme = std::fs::read_to_string(plugin.folder.join("README.md")).unwrap();
    let settings = readme.split("```json\n").nth(1).unwrap();
    let settings = settings.split("```").next().unwrap();
    let settings = settings.replace("registry.example.com", registry);
    plugin.env.write_settings(settings);
}

/// Pulls with the variable set.
fn pull_with_token(env: &TestEnv, registry: &Guarded) -> Run {
    let mut command = env.command(registry.pull().split(' '));
    Run::of(command.env("MY_LOGIN_TOKEN", PASSWORD))
}

/// Asserts that a provider which is installed as `my-login` does what its README says.
fn assert_logs_in(plugin: &NewPlugin) {
    let env = &plugin.env;
    assert_eq!(
        row(env, "my-login")["grants"],
        json!(["env=MY_LOGIN_TOKEN", "files=~/.my-login-token"])
    );
    let registry = Guarded::start();
    configure(plugin, registry.host());
    env.msb(&registry.pull())
        .failure(&["MY_LOGIN_TOKEN is not set", "~/.my-login-token"]);
    pull_with_token(env, &registry).success();
    std::fs::create_dir_all(env.path("user-home")).unwrap();
    env.write(
        "user-home/.my-login-token",
        format!("{PASSWORD}\n").as_bytes(),
    );
    env.msb(&registry.pull()).success();
    env.msb("plugin revoke my-login files=~/.my-login-token")
        .success();
    let denied = env
        .msb(&registry.pull())
        .failure(&["msb plugin grant my-login 'files=~/.my-login-token'"]);
    assert!(!denied.stderr.contains(PASSWORD), "{denied:?}");
    env.msb("plugin grant my-login files=~/.my-login-token")
        .success();
    env.msb(&registry.pull()).success();
}

fn imports_of_wasi(env: &TestEnv) -> usize {
    let row = row(env, "my-login");
    let imports = row["imports"].as_array().unwrap();
    imports
        .iter()
        .filter(|import| import.as_str().unwrap().starts_with("wasi:"))
        .count()
}

fn a_new_provider_in_python_logs_in_where_its_readme_says() {
    let plugin = finished("my-login", "credential", "python");
    assert_eq!(imports_of_wasi(&plugin.env), 0);
    assert_logs_in(&plugin);
}

fn a_new_provider_in_javascript_logs_in_where_its_readme_says() {
    let plugin = finished("my-login", "credential", "javascript");
    assert_eq!(imports_of_wasi(&plugin.env), 0);
    assert_logs_in(&plugin);
}

/// A project builds with `componentize-qjs`; `componentize-js` has another engine inside.
fn the_same_javascript_is_a_plugin_with_another_engine() {
    let plugin = NewPlugin::new("my-login", "credential", "javascript");
    provide(&plugin.folder);
    let line = "node_modules/.bin/componentize-js src/provider.js --wit wit --world-name plugin \
                --out my-login.wasm --disable stdio random clocks http fetch-event";
    build(&plugin, line, "my-login.wasm");
    plugin
        .env
        .msb("plugin install my-login/my-login.wasm --yes")
        .success();
    assert_eq!(imports_of_wasi(&plugin.env), 0);
    assert_logs_in(&plugin);
}

fn with_wasi_python_says_where_it_stopped_and_gets_nothing_more() {
    let plugin = NewPlugin::new("my-login", "credential", "python");
    provide(&plugin.folder);
    let path = plugin.folder.join("src/provider.py");
    let source = std::fs::read_to_string(&path).unwrap();
    let broken = source.replace("users().get(request.registry)", "users()[request.registry]");
    assert_ne!(source, broken);
    std::fs::write(&path, broken).unwrap();
    let line = ".venv/bin/componentize-py -d wit -w plugin componentize -p src provider \
                -o my-login.wasm";
    build(&plugin, line, "my-login.wasm");
    let env = &plugin.env;
    env.msb("plugin install my-login/my-login.wasm --grant env=MY_LOGIN_TOKEN")
        .success();
    assert!(imports_of_wasi(env) > 20);
    let registry = Guarded::start();
    configure(&plugin, registry.host());
    pull_with_token(env, &registry).success();
    configure(&plugin, "another.example.com");
    pull_with_token(env, &registry).failure(&[
        "plugin `my-login` did not finish",
        "Traceback",
        "provider.py",
        "KeyError",
    ]);
}

fn with_wasi_javascript_says_where_it_stopped() {
    let plugin = NewPlugin::new("my-login", "credential", "javascript");
    provide(&plugin.folder);
    let path = plugin.folder.join("src/provider.js");
    let source = std::fs::read_to_string(&path).unwrap();
    let broken = source.replace("const username = ", "const username = nothing ?? ");
    assert_ne!(source, broken);
    std::fs::write(&path, broken).unwrap();
    let package = plugin.folder.join("package.json");
    let without = std::fs::read_to_string(&package).unwrap();
    std::fs::write(&package, without.replace(" --stub-wasi", "")).unwrap();
    build(&plugin, "npm run build", "my-login.wasm");
    let env = &plugin.env;
    env.msb("plugin install my-login/my-login.wasm --yes")
        .success();
    let registry = crate::faulty::Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    env.msb(&format!("pull {}/app:1", registry.host()))
        .failure(&["nothing is not defined", "provider.js:"]);
}

fn new_formats_in_python_and_javascript_save_and_load_the_same() {
    let image = Image::new("app:1", &["etc/\netc/hosts = here", "srv/new = y"]);
    let saved = ["python", "javascript"].map(|language| {
        let plugin = finished("shelf", "format", language);
        let env = &plugin.env;
        assert_eq!(row(env, "shelf")["grants"], json!([]));
        env.write("app.tar", &image.docker());
        env.msb("load -i app.tar").success();
        env.msb("save --format shelf --output saved.tar app:1")
            .success();
        env.msb("rmi app:1").success();
        env.msb("load -i saved.tar").success();
        assert_eq!(env.json("images --format json")[0]["id"], image.id());
        env.msb("image verify app:1").success();
        let saved = std::fs::read(env.path("saved.tar")).unwrap();
        env.write("damaged.tar", &damaged(&saved));
        env.msb("load -i damaged.tar").failure(&["shelf.json"]);
        saved
    });
    assert_eq!(saved[0], saved[1], "what one writes the other reads");
}

/// Returns an archive whose first document is no JSON.
fn damaged(saved: &[u8]) -> Vec<u8> {
    let mut damaged = saved.to_vec();
    damaged[512] = b'?';
    damaged
}
