//! Plugins in a registry of the distribution project: what msb pushes, and what others have pushed.

use std::process::Command;

use serde_json::{Value, json};

use super::{component, row};
use crate::archive::sha256;
use crate::docker_registry::{DockerRegistry, Setup};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    what_is_pushed_is_installed_and_has_the_same_digest_each_time needs DockerRegistry;
    a_digest_that_was_not_pushed_is_not_told needs DockerRegistry;
    a_registry_that_wants_a_password_is_pushed_to_and_installed_from
        needs DockerRegistry, Htpasswd;
    what_other_tools_push_is_installed needs DockerRegistry, Curl;
    an_image_is_not_taken_for_a_plugin needs DockerRegistry, Skopeo;
    a_tag_that_moved_is_refused_until_an_update needs DockerRegistry;
    what_cosign_would_push_is_checked needs DockerRegistry, Openssl;
    wkg_installs_what_msb_pushes_and_the_other_way_round needs DockerRegistry, Wkg;
}

fn what_is_pushed_is_installed_and_has_the_same_digest_each_time() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let reference = format!("{}/acme/made:1", registry.host());
    let push = format!(
        "plugin push {} {reference}",
        component("image-json").display()
    );
    let first = env.msb(&push).success().stdout;
    assert_eq!(env.msb(&push).success().stdout, first);
    env.msb(&format!("plugin install {reference}")).success();
    let row = row(&env, "made");
    assert_eq!(row["manifest"], first.trim());
    assert_eq!(row["source"], format!("oci://{reference}"));
    let bytes = std::fs::read(component("image-json")).unwrap();
    assert_eq!(row["sha256"], sha256(&bytes));
}

fn a_digest_that_was_not_pushed_is_not_told() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let name = format!("{}/acme/made", registry.host());
    let push = |reference: &str| {
        let file = component("image-json");
        env.msb(&format!("plugin push {} {reference}", file.display()))
    };
    let other = sha256(b"another");
    for reference in [format!("{name}@{other}"), format!("{name}:1@{other}")] {
        push(&reference).failure(&[
            "names another digest than its manifest has",
            "hint: leave the digest out, or give the one that it has",
        ]);
    }
    env.msb(&format!("plugin install {name}:1"))
        .failure(&["not found"]);
    let digest = push(&format!("{name}:1")).success().stdout;
    let again = push(&format!("{name}@{}", digest.trim())).success();
    assert_eq!(again.stdout, digest);
    env.msb(&format!("plugin install {name}@{}", digest.trim()))
        .success();
}

fn a_registry_that_wants_a_password_is_pushed_to_and_installed_from() {
    let env = TestEnv::new();
    let registry = DockerRegistry::with_password("me", "hunter2");
    let reference = format!("{}/acme/made:1", registry.host());
    let push = format!(
        "plugin push {} {reference}",
        component("image-json").display()
    );
    env.msb(&push).failure(&["no access"]);
    std::fs::create_dir_all(env.path("docker-config")).unwrap();
    // me:hunter2
    let config = json!({"auths": {registry.host(): {"auth": "bWU6aHVudGVyMg=="}}});
    std::fs::write(env.path("docker-config/config.json"), config.to_string()).unwrap();
    env.msb(&push).success();
    env.msb(&format!("plugin install {reference}")).success();
}

/// Puts bytes into a registry as any client does.
pub(super) fn put_blob(registry: &DockerRegistry, name: &str, bytes: &[u8]) -> Value {
    let env = TestEnv::new();
    let file = env.write("blob", bytes);
    let digest = sha256(bytes);
    let script = format!(
        "location=$(curl -sS -X POST -D - -o /dev/null http://{host}/v2/{name}/blobs/uploads/ \
         | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); \
         curl -sSf -X PUT --data-binary @{file} -H 'Content-Type: application/octet-stream' \
         \"$location&digest={digest}\"",
        host = registry.host(),
        file = file.display(),
    );
    run(Command::new("sh").args(["-c", &script]));
    json!({"digest": digest, "size": bytes.len()})
}

fn what_other_tools_push_is_installed() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let bytes = std::fs::read(component("image-json")).unwrap();
    let mut layer = put_blob(&registry, "acme/made", &bytes);
    layer["mediaType"] = json!("application/wasm");
    let mut config = put_blob(&registry, "acme/made", b"{}");
    config["mediaType"] = json!("application/vnd.wasm.config.v0+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer],
        "annotations": {"org.opencontainers.image.version": "7.0.0"},
    });
    registry.put_manifest("acme/made", "1", &manifest);
    env.msb(&format!(
        "plugin install oci://{}/acme/made:1",
        registry.host()
    ))
    .success();
    assert_eq!(row(&env, "made")["sha256"], sha256(&bytes));
}

fn an_image_is_not_taken_for_a_plugin() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    registry.push(
        "acme/image:1",
        &crate::archive::Image::new("x:1", &["etc/"]),
    );
    env.msb(&format!("plugin install {}/acme/image:1", registry.host()))
        .failure(&["is not a plugin", "msb pull"]);
}

fn a_tag_that_moved_is_refused_until_an_update() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let reference = format!("{}/acme/made:1", registry.host());
    let bytes = std::fs::read(component("image-json")).unwrap();
    let other = env.write("other.wasm", &super::other_bytes(&bytes));
    env.msb(&format!(
        "plugin push {} {reference}",
        component("image-json").display()
    ))
    .success();
    env.msb(&format!("plugin install {reference}")).success();
    env.msb(&format!("plugin push {} {reference}", other.display()))
        .success();
    env.msb(&format!("plugin install {reference}"))
        .failure(&["other bytes", "msb plugin update made"]);
    env.msb("plugin update --locked")
        .failure(&["has other bytes than the lock has of plugin `made`"]);
    env.msb("plugin update").success();
    assert_ne!(row(&env, "made")["sha256"], sha256(&bytes));
}

fn what_cosign_would_push_is_checked() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let openssl = |line: &str| {
        run(Command::new("openssl")
            .current_dir(env.path(""))
            .args(line.split(' ')))
    };
    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl("ec -in key.pem -pubout -out public.pem");
    let reference = format!("{}/acme/made:1", registry.host());
    let pushed = env.msb(&format!(
        "plugin push {} {reference}",
        component("image-json").display()
    ));
    let manifest = pushed.success().stdout.trim().to_owned();
    let install = format!("plugin install {reference} --key public.pem");
    env.msb(&install).failure(&["not taken for signed", ".sig"]);
    for (digest, is_right) in [(sha256(b"another"), false), (manifest.clone(), true)] {
        let payload = json!({"critical": {
            "identity": {"docker-reference": ""},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }, "optional": null});
        env.write("payload", payload.to_string().as_bytes());
        openssl("dgst -sha256 -sign key.pem -out signature payload");
        let signature = openssl("base64 -A -in signature");
        let mut layer = put_blob(&registry, "acme/made", payload.to_string().as_bytes());
        layer["mediaType"] = json!("application/vnd.dev.cosign.simplesigning.v1+json");
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signature.trim()});
        let mut config = put_blob(&registry, "acme/made", b"{}");
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let signed = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": [layer],
        });
        let tag = format!("{}.sig", manifest.replace(':', "-"));
        registry.put_manifest("acme/made", &tag, &signed);
        let run = env.msb(&install);
        assert_eq!(run.code == Some(0), is_right, "{run:?}");
    }
}

fn wkg_installs_what_msb_pushes_and_the_other_way_round() {
    let (env, registry) = (TestEnv::new(), DockerRegistry::start(&Setup::default()));
    let bytes = std::fs::read(component("vault")).unwrap();
    let wkg = |arguments: &[&str]| {
        run(Command::new("wkg")
            .current_dir(env.path(""))
            .env("HOME", env.path("user-home"))
            .env("DOCKER_CONFIG", env.path("docker-config"))
            .args(["oci"])
            .args(arguments)
            .args(["--insecure", registry.host()]))
    };
    let ours = format!("{}/acme/ours:1.0.0", registry.host());
    env.msb(&format!(
        "plugin push {} {ours}",
        component("vault").display()
    ))
    .success();
    wkg(&["pull", &ours, "-o", "pulled.wasm"]);
    assert_eq!(std::fs::read(env.path("pulled.wasm")).unwrap(), bytes);
    let theirs = format!("{}/acme/theirs:1.0.0", registry.host());
    wkg(&["push", &theirs, component("vault").to_str().unwrap()]);
    env.msb(&format!("plugin install {theirs} --yes")).success();
    assert_eq!(row(&env, "theirs")["sha256"], sha256(&bytes));
}
