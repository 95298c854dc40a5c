//! Other versions of a plugin: which there are, going to one, and staying in a range.

mod locks;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{component, lock, other_bytes, place, row};
use crate::docker_registry::{DockerRegistry, Setup};
use crate::env::{Run, TestEnv};
use crate::faulty::http::{Answer, Request};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::tests;
use crate::tools::run;

tests! {
    a_plugin_goes_to_another_tag_and_keeps_what_it_may_and_its_place needs DockerRegistry;
    a_plugin_stays_in_a_range_of_versions needs DockerRegistry;
    all_pages_of_tags_are_read_where_the_registry_says_they_are;
    what_there_is_no_way_to_is_said needs DockerRegistry;
    another_repository_is_one_to_agree_to needs DockerRegistry;
    available_updates_are_data_and_an_exit_status;
    what_is_not_installed_is_looked_at_and_nothing_is_kept;
    an_index_is_searched_wherever_it_is needs DockerRegistry, Curl;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), locks::tests()];
    tests.into_iter().flatten().collect()
}

/// A registry with versions of the same plugin.
struct Scene {
    env: TestEnv,
    registry: DockerRegistry,
}

impl Scene {
    fn new(tags: &[&str]) -> Self {
        let scene = Self {
            env: TestEnv::new(),
            registry: DockerRegistry::start(&Setup::default()),
        };
        for tag in tags {
            scene.push("acme/vault", tag);
        }
        scene
    }

    /// Pushes a component with bytes of its own for each tag.
    fn push(&self, repository: &str, tag: &str) {
        let mut bytes = std::fs::read(component("vault")).unwrap();
        for _ in tag.bytes() {
            bytes = other_bytes(&bytes);
        }
        let note = [
            &[0, u8::try_from(tag.len() + 2).unwrap(), 1, b'y'][..],
            tag.as_bytes(),
        ];
        let path = self
            .env
            .write("push.wasm", &[&bytes[..], &note.concat()].concat());
        let target = format!("{}/{repository}:{tag}", self.registry.host());
        self.env
            .msb(&format!("plugin push {} {target}", path.display()))
            .success();
    }

    fn source(&self, tag: &str) -> String {
        format!("{}/acme/vault:{tag}", self.registry.host())
    }

    fn is_at(&self, tag: &str) {
        let source = row(&self.env, "vault")["source"].clone();
        assert_eq!(source, format!("oci://{}", self.source(tag)));
    }
}

fn a_plugin_goes_to_another_tag_and_keeps_what_it_may_and_its_place() {
    let scene = Scene::new(&["1.0.0", "1.1.0"]);
    let env = &scene.env;
    let install = format!(
        "plugin install {} --grant env=VAULT_TOKEN --before keychain",
        scene.source("1.0.0")
    );
    env.msb(&install).success();
    let order = env.msb("plugin order").stdout;
    env.msb("plugin update vault --to 1.1.0").success();
    scene.is_at("1.1.0");
    assert_eq!(row(env, "vault")["grants"], json!(["env=VAULT_TOKEN"]));
    assert_eq!(env.msb("plugin order").stdout, order);
    // And back, by digest.
    let digest = row(env, "vault")["manifest"].as_str().unwrap().to_owned();
    env.msb("plugin update vault --to 1.0.0").success();
    env.msb(&format!("plugin update vault --to {digest}"))
        .success();
    let source = row(env, "vault")["source"].to_string();
    assert!(source.contains(&digest), "{source}");
}

fn a_plugin_stays_in_a_range_of_versions() {
    let scene = Scene::new(&["1.0.0", "1.2.0", "2.0.0", "latest", "1"]);
    let env = &scene.env;
    env.msb(&format!("plugin install {} --yes", scene.source("1.0.0")))
        .success();
    let mut update = env.command(["plugin", "update", "vault", "--to", "^1"]);
    Run::of(&mut update).success();
    scene.is_at("1.2.0");
    scene.push("acme/vault", "1.10.0");
    scene.push("acme/vault", "2.1.0");
    env.msb("plugin update").success();
    scene.is_at("1.10.0");
    assert!(lock(env).contains("range = \"^1\""), "{}", lock(env));
    env.msb("plugin update vault --to 2.0.0").success();
    scene.is_at("2.0.0");
    assert!(!lock(env).contains("range"), "{}", lock(env));
}

fn all_pages_of_tags_are_read_where_the_registry_says_they_are() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let component = std::fs::read(component("vault")).unwrap();
    for tag in ["1.0.0", "1.2.0"] {
        registry.put_plugin("acme/vault", tag, &component);
    }
    // The registry says where the next page is: the last tag of a page does not lead there. Tags that are
    // not valid, or not texts, are skipped.
    let pages = |request: &Request, answer: Answer| {
        let Some((_, query)) = request.path.split_once("/acme/vault/tags/list?") else {
            return answer;
        };
        let page = |tags: Value| Answer::json(200, &json!({"name": "acme/vault", "tags": tags}));
        let link = |next: &str| format!("</v2/acme/vault/tags/list?{next}>; rel=\"next\"");
        match query {
            "next_page=b%3D" => page(json!([])).with("Link", &link("next_page=c")),
            "next_page=c" => page(json!(["1.9.0+bad", null, "1.2.0", "-x"])),
            _ => page(json!(["1.0.0", "latest"])).with("Link", &link("next_page=b%3D")),
        }
    };
    registry.fault(On::Everything, ALWAYS, Arc::new(pages));
    let source = |tag: &str| format!("{}/acme/vault:{tag}", registry.host());
    env.msb(&format!("plugin install {} --yes", source("1.0.0")))
        .success();
    let mut update = env.command(["plugin", "update", "vault", "--to", "^1"]);
    Run::of(&mut update).success();
    let now = row(&env, "vault")["source"].clone();
    assert_eq!(now, format!("oci://{}", source("1.2.0")));
}

fn what_there_is_no_way_to_is_said() {
    let scene = Scene::new(&["1.0.0"]);
    let env = &scene.env;
    env.msb(&format!("plugin install {} --yes", scene.source("1.0.0")))
        .success();
    let before = lock(env);
    let to = |to: &str| Run::of(&mut env.command(["plugin", "update", "vault", "--to", to]));
    to("^3").failure(&[
        "cannot update to `^3`: no tag of",
        "is in this range: it has 1.0.0",
        "hint: name a tag or digest of its repository",
    ]);
    to("^x").failure(&["cannot update to `^x`"]);
    to("7.7.7").failure(&["7.7.7"]);
    env.msb("plugin update --to 1.0.0")
        .failure(&["must be named"]);
    assert_eq!(lock(env), before);
    let path = place(env, "image-json", "made.wasm");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    env.msb("plugin update made --to 2")
        .failure(&["has no tags"]);
}

fn another_repository_is_one_to_agree_to() {
    let scene = Scene::new(&["1.0.0"]);
    let env = &scene.env;
    scene.push("other/vault", "9");
    env.msb(&format!("plugin install {} --yes", scene.source("1.0.0")))
        .success();
    let other = format!("{}/other/vault:9", scene.registry.host());
    let update = format!("plugin update vault --to {other}");
    env.msb(&update).failure(&[
        "it comes from `oci://",
        &format!("msb plugin update vault --to {other} --yes"),
    ]);
    env.msb(&format!("{update} --yes")).success();
}

fn available_updates_are_data_and_an_exit_status() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    let check = |env: &TestEnv| env.msb("plugin update --check --format json");
    let rows = |run: &Run| serde_json::from_str::<Value>(&run.stdout).unwrap();
    let run = check(&env).success();
    assert_eq!(rows(&run)[0]["available"], false);
    std::fs::copy(component("oci-layout"), &path).unwrap();
    let run = check(&env);
    assert_eq!((run.code, run.stderr.as_str()), (Some(10), ""));
    let row = &rows(&run)[0];
    assert_eq!(row["available"], true);
    assert_eq!(row["increases"][1], "takes the place of oci-layout");
    assert_ne!(row["sha256"], row["available_sha256"]);
    let run = env.msb("plugin update --check");
    assert_eq!(run.code, Some(10), "{run:?}");
    assert_eq!(env.msb("plugin update --format json").code, Some(2));
}

fn what_is_not_installed_is_looked_at_and_nothing_is_kept() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    let run = env
        .msb(&format!("plugin inspect {}", path.display()))
        .success();
    for words in [
        "credential provider",
        "For registries",
        "env=VAULT_TOKEN",
        "sha256:",
        "Limits",
    ] {
        assert!(run.stdout.contains(words), "no {words} in {run:?}");
    }
    let row = env.json(&format!("plugin inspect {} --format json", path.display()));
    assert_eq!(row["enabled"], false);
    assert_eq!(row["registries"], json!(["*"]));
    assert_eq!(row["grants"], json!([]));
    assert_eq!(lock(&env), "");
    assert!(!Path::new(&env.home().join("plugins")).exists());
    // One that has the name of another, and even one of a name that no plugin may have.
    env.msb(&format!("plugin install {} --yes", path.display()))
        .success();
    let other = place(&env, "image-json", "Keychain.wasm");
    env.msb(&format!("plugin inspect {}", other.display()))
        .success();
    env.msb("plugin inspect nothing")
        .failure(&["there is no plugin `nothing`"]);
    env.msb("plugin inspect ./nothing.wasm")
        .failure(&["nothing.wasm"]);
}

fn an_index_is_searched_wherever_it_is() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let index = json!({"version": 1, "plugins": [
        {"name": "vault", "kind": "credential", "description": "Logins of a secrets server",
         "source": "ghcr.io/acme/vault:1.2.0", "version": "1.2.0", "more": true},
        {"name": "rootfs", "kind": "format", "description": "\u{1b}[2JRoot filesystems",
         "source": "ghcr.io/acme/rootfs:1"},
    ]});
    env.msb("plugin search vault")
        .failure(&["no index of plugins is set", "hint: name one with --index"]);
    let path = env.write("index.json", index.to_string().as_bytes());
    let run = env
        .msb("plugin search SECRETS credential --index ./index.json")
        .success();
    assert!(run.stdout.contains("ghcr.io/acme/vault:1.2.0"), "{run:?}");
    assert!(!run.stdout.contains("rootfs"), "{run:?}");
    let run = env.msb("plugin search --index ./index.json").success();
    assert!(run.stdout.contains("\\u{1b}[2JRoot"), "{run:?}");
    // In a registry, and set once.
    let layer =
        super::distribution::put_blob(&registry, "acme/index", &std::fs::read(path).unwrap());
    let config = super::distribution::put_blob(&registry, "acme/index", b"{}");
    let typed = |blob: &Value, media_type: &str| {
        let mut blob = blob.clone();
        blob["mediaType"] = media_type.into();
        blob
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.msb.plugin-index.v1+json",
        "config": typed(&config, "application/vnd.oci.empty.v1+json"),
        "layers": [typed(&layer, "application/vnd.msb.plugin-index.v1+json")],
    });
    let file = env.write("manifest.json", manifest.to_string().as_bytes());
    let url = format!("http://{}/v2/acme/index/manifests/1", registry.host());
    run_curl(&file, &url);
    let settings = json!({"plugins": {"index": format!("{}/acme/index:1", registry.host())}});
    env.write_settings(settings);
    let rows = env.json("plugin search root --format json");
    assert_eq!(rows[0]["source"], "ghcr.io/acme/rootfs:1");
    assert_eq!(rows.as_array().unwrap().len(), 1);
    for (text, words) in [
        ("{}", "it must be an object with `version` and `plugins`"),
        ("[]", "it must be an object with `version` and `plugins`"),
        (r#"{"version":2,"plugins":[]}"#, "form 2"),
    ] {
        env.write("index.json", text.as_bytes());
        env.msb("plugin search --index ./index.json")
            .failure(&["is not an index of plugins", words]);
    }
}

fn run_curl(file: &Path, url: &str) {
    let data = format!("@{}", file.display());
    let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json";
    run(std::process::Command::new("curl").args([
        "-sSf",
        "-X",
        "PUT",
        "-H",
        kind,
        "--data-binary",
        &data,
        url,
    ]));
}
