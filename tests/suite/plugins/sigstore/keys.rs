//! Bundles of a key, and bundles next to a manifest in a registry.

use serde_json::{Value, json};

use super::authority::{self, BEGIN, Key, base64};
use super::{IDENTITY, ISSUER, SIGN, Scene, set};
use crate::archive::sha256;
use crate::docker_registry::{DockerRegistry, Setup};
use crate::plugins::distribution::put_blob;
use crate::plugins::{component, row};
use crate::tests;

tests! {
    a_bundle_of_a_key_is_checked_with_and_without_a_log;
    what_refers_to_a_manifest_is_found_by_the_list_and_by_its_tag needs DockerRegistry, Curl;
}

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn a_bundle_of_a_key_is_checked_with_and_without_a_log() {
    let scene = Scene::new();
    let (key, bytes) = (Key::new(), &*scene.bytes);
    scene.env.write("cosign.pub", key.pem().as_bytes());
    let install = "plugin install ./made.wasm --key cosign.pub --trust-root root.json";
    scene
        .env
        .msb(install)
        .failure(&["no signature found", "`.sigstore.json`"]);
    let content = authority::signed_bytes(&key, bytes);
    let record = authority::record_of_bytes(&content, &key.pem(), bytes);
    let material = json!({"publicKey": {"hint": ""}});
    let logged = scene.authority.bundle(
        material.clone(),
        content.clone(),
        &record,
        "hashedrekord",
        BEGIN,
    );
    // `cosign sign-blob --tlog-upload=false`
    let unlogged = set(&logged, "/verificationMaterial/tlogEntries", json!([]));
    let other = authority::signed_bytes(&Key::new(), bytes);
    let promise = "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp";
    for (bundle, is_right) in [
        (logged.clone(), true),
        (unlogged.clone(), true),
        (
            set(
                &unlogged,
                "/messageSignature",
                other["messageSignature"].clone(),
            ),
            false,
        ),
        (
            set(
                &logged,
                "/messageSignature",
                other["messageSignature"].clone(),
            ),
            false,
        ),
        (
            set(&logged, promise, json!(base64(&Key::new().sign(b"x")))),
            false,
        ),
        (scene.authority.sign_bytes(&scene.signer, bytes), false),
    ] {
        scene.write(&bundle);
        let run = scene.env.msb(install);
        assert_eq!(run.code == Some(0), is_right, "{bundle}: {run:?}");
        if is_right {
            scene.env.msb("plugin verify").success();
            scene.remove();
        }
    }
}

/// Puts a bundle into a registry as a manifest that refers to another.
fn refer(registry: &DockerRegistry, subject: &Value, bundle: &Value) -> Value {
    let bytes = bundle.to_string();
    let mut layer = put_blob(registry, "acme/made", bytes.as_bytes());
    layer["mediaType"] = json!(BUNDLE);
    let mut config = put_blob(registry, "acme/made", b"{}");
    config["mediaType"] = json!("application/vnd.oci.empty.v1+json");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE, "config": config, "layers": [layer], "subject": subject,
    });
    let text = manifest.to_string();
    let digest = sha256(text.as_bytes());
    registry.put_manifest("acme/made", &digest, &manifest);
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE, "digest": digest, "size": text.len(),
    })
}

fn what_refers_to_a_manifest_is_found_by_the_list_and_by_its_tag() {
    let scene = Scene::new();
    let registry = DockerRegistry::start(&Setup::default());
    let reference = format!("{}/acme/made:1", registry.host());
    let pushed = scene.env.msb(&format!(
        "plugin push {} {reference}",
        component("image-json").display()
    ));
    let manifest = pushed.success().stdout.trim().to_owned();
    let key = Key::new();
    scene.env.write("cosign.pub", key.pem().as_bytes());
    let by_key = format!("plugin install {reference} --key cosign.pub --trust-root root.json");
    let by_identity = format!(
        "plugin install {reference} --identity {IDENTITY} --issuer {ISSUER} --trust-root root.json"
    );
    for install in [&by_key, &by_identity] {
        scene
            .env
            .msb(install)
            .failure(&["no signature found", "refers to its manifest", ".sig`"]);
    }
    let subject = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": manifest, "size": 0,
    });
    let of = |digest: &str| authority::statement(digest, SIGN, &json!({}));
    // What this registry keeps no list of: the tag stands in for it.
    let tag = manifest.replace(':', "-");
    let mut entries = Vec::new();
    let mut add = |bundle: &Value| {
        entries.push(refer(&registry, &subject, bundle));
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        });
        registry.put_manifest("acme/made", &tag, &index);
    };
    let another = of(&sha256(b"another"));
    add(&scene.authority.sign_statement_with_key(&key, &another));
    add(&scene.authority.sign_statement(&scene.signer, &another));
    scene.env.msb(&by_key).failure(&["not taken for signed"]);
    scene
        .env
        .msb(&by_identity)
        .failure(&["not taken for signed"]);
    add(&scene
        .authority
        .sign_statement_with_key(&key, &of(&manifest)));
    scene
        .env
        .msb(&by_identity)
        .failure(&["not taken for signed"]);
    scene.env.msb(&by_key).success();
    scene.env.msb("plugin verify").success();
    scene.remove();
    add(&scene
        .authority
        .sign_statement(&scene.signer, &of(&manifest)));
    scene.env.msb(&by_identity).success();
    assert_eq!(row(&scene.env, "made")["identity"], json!(IDENTITY));
    scene.env.msb("plugin verify").success();
    scene.env.msb("plugin update").success();
}
